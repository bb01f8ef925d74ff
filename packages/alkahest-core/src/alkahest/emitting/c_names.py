"""Which names are free in C: what an emitted function and its parameters may be called."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from alkahest.errors import IdentifierError

HELPER_PREFIX = "alkahest_"

# <math.h> of C99 (7.12). Each function has a float and a long double form with the suffixes f and l.
_MATH_STEMS = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma
    fmax fmin fmod frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan
    nearbyint nextafter nexttoward pow remainder remquo rint round scalbln scalbn sin sinh sqrt tan tanh tgamma
    trunc
""".split()
MATH_FUNCTIONS = frozenset(_MATH_STEMS)
CLASSIFICATIONS = frozenset(
    """
    isfinite isgreater isgreaterequal isinf isless islessequal islessgreater isnan isnormal isunordered signbit
    """.split()
)
_MATH_OTHER = """
    double_t float_t fpclassify math_errhandling HUGE_VAL HUGE_VALF HUGE_VALL INFINITY NAN FP_FAST_FMA FP_FAST_FMAF
    FP_FAST_FMAL FP_ILOGB0 FP_ILOGBNAN FP_INFINITE FP_NAN FP_NORMAL FP_SUBNORMAL FP_ZERO MATH_ERREXCEPT MATH_ERRNO
""".split()
# Macros that <math.h> of POSIX, GNU and older systems defines beside those; a macro replaces a parameter's name too.
_MATH_MACROS = """
    DOMAIN HUGE MAXFLOAT M_1_PI M_2_PI M_2_SQRTPI M_E M_LN10 M_LN2 M_LOG10E M_LOG2E M_PI M_PI_2 M_PI_4 M_SQRT1_2
    M_SQRT2 OVERFLOW PLOSS SING TLOSS UNDERFLOW X_TLOSS
""".split()
_MATH = frozenset([s + suffix for s in _MATH_STEMS for suffix in ("", "f", "l")]) | CLASSIFICATIONS
_MATH_RESERVED = _MATH | frozenset(_MATH_OTHER + _MATH_MACROS)
_PREDEFINED = frozenset("i386 linux sun unix vax".split())  # macros of compilers in their default modes

# Macros of the other common headers (C99 7), which a program that uses the text may well include before it.
_COMMON_MACROS = frozenset(
    """
    BUFSIZ CHAR_BIT EDOM EILSEQ EOF ERANGE EXIT_FAILURE EXIT_SUCCESS FILENAME_MAX FOPEN_MAX I MB_CUR_MAX NULL
    RAND_MAX SEEK_CUR SEEK_END SEEK_SET TMP_MAX assert complex errno imaginary offsetof stderr stdin stdout
    unreachable
    """.split()
)

_C_KEYWORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local
    alignas alignof asm bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual
    """.split()
)
# Emitted text is C++ as well, so these are kept out too.
_CPP_KEYWORDS = frozenset(
    """
    and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return co_yield compl concept
    const_cast consteval constinit decltype delete dynamic_cast explicit export friend mutable namespace new
    noexcept not not_eq operator or or_eq private protected public reinterpret_cast requires static_cast template
    this throw try typeid typename using virtual wchar_t xor xor_eq
    """.split()
)
# Functions of the C library: reserved as names of functions even where their header is not included (C99 7.1.3).
_LIBRARY = frozenset(
    """
    _Exit abort abs aligned_alloc asctime at_quick_exit atexit atof atoi atol atoll bsearch btowc calloc clearerr
    clock ctime difftime div exit fclose feclearexcept fegetenv fegetexceptflag fegetround feholdexcept feof
    feraiseexcept ferror fesetenv fesetexceptflag fesetround fetestexcept feupdateenv fflush fgetc fgetpos fgets
    fgetwc fgetws fopen fprintf fputc fputs fputwc fputws fread free freopen fscanf fseek fsetpos ftell fwide
    fwprintf fwrite fwscanf getc getchar getenv gets getwc getwchar gmtime imaxabs imaxdiv isalnum isalpha isblank
    iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit labs ldiv llabs lldiv localeconv
    localtime longjmp malloc mblen mbrlen mbrtowc mbsinit mbsrtowcs mbstowcs mbtowc memchr memcmp memcpy memmove
    memset mktime perror printf putc putchar puts putwc putwchar qsort quick_exit raise rand realloc remove rename
    rewind scanf setbuf setjmp setlocale setvbuf signal snprintf sprintf srand sscanf strcat strchr strcmp strcoll
    strcpy strcspn strerror strftime strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof
    strtoimax strtok strtol strtold strtoll strtoul strtoull strtoumax strxfrm swprintf swscanf system time tmpfile
    tmpnam tolower toupper towlower towupper ungetc ungetwc va_arg va_copy va_end va_start vfprintf vfscanf
    vfwprintf vfwscanf vprintf vscanf vsnprintf vsprintf vsscanf vswprintf vswscanf vwprintf vwscanf wcrtomb wcscat
    wcschr wcscmp wcscoll wcscpy wcscspn wcsftime wcslen wcsncat wcsncmp wcsncpy wcspbrk wcsrchr wcsrtombs wcsspn
    wcsstr wcstod wcstof wcstoimax wcstok wcstol wcstold wcstoll wcstombs wcstoul wcstoull wcstoumax wcsxfrm wctob
    wctomb wmemchr wmemcmp wmemcpy wmemmove wmemset wprintf wscanf
    """.split()
)
_COMPLEX = frozenset(
    [
        stem + suffix
        for stem in """
            cabs cacos cacosh carg casin casinh catan catanh ccos ccosh cexp cimag clog conj cpow cproj creal csin
            csinh csqrt ctan ctanh
        """.split()
        for suffix in ("", "f", "l")
    ]
)
# Functions that <math.h> of POSIX and GNU declares beside those; as names of parameters they do no harm.
_MATH_EXTENSIONS = frozenset(
    """
    drem exp10 exp10f finite gamma gammaf j0 j0f j1 j1f jn jnf lgamma_r pow10 scalb signgam significand sincos
    sincosf y0 y0f y1 y1f yn ynf
    """.split()
)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RENAME = "Pass other names in var_names=[…] (var_name=… for one input), one free C identifier per input."
_RENAME_FUNCTION = "Pass a free C identifier as fn_name."


def check_names(fn_name: str, var_names: Sequence[str]) -> None:
    """Raise `IdentifierError` unless function and parameters have free, distinct C identifiers as names.

    Refused are what is no identifier, keywords of C (to C23) and C++, names of <math.h>, macros of other common
    headers, reserved names, and names that begin as those of Alkahest's helper functions do. The function's own name
    may be none of the C library.
    """
    why = _why_not_free(fn_name) or _why_no_function(fn_name)
    if why:
        raise IdentifierError(f"fn_name {fn_name!r} {why}.", remedy=_RENAME_FUNCTION)
    seen: set[str] = set()
    for name in var_names:
        why = _why_not_free(name)
        if why:
            raise IdentifierError(f"the input {name!r} cannot keep its name in C: it {why}.", remedy=_RENAME)
        if name in seen:
            raise IdentifierError(f"two inputs are called {name!r}.", remedy=_RENAME)
        if name == fn_name:
            raise IdentifierError(f"fn_name {fn_name!r} is the name of an input too.", remedy=_RENAME_FUNCTION)
        seen.add(name)


def _why_not_free(name: object) -> str:
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        return "is no C identifier (letters, digits and underscores, no digit first)"
    if name in _C_KEYWORDS:
        return "is a keyword of C"
    if name in _CPP_KEYWORDS:
        return "is a keyword of C++"
    if name in _MATH_RESERVED:
        return "is a name of <math.h>"
    if name in _COMMON_MACROS:
        return "is a macro of the C library"
    if name in _PREDEFINED:
        return "is a macro that some compilers predefine"
    if name == "main":
        return "is the name of a program's entry point"
    if (name.startswith("_") and name[1:2].isupper()) or name.startswith("__"):
        return "is reserved for compilers (it begins with an underscore and a capital, or with two underscores)"
    if name.lower().startswith(HELPER_PREFIX):
        return f"begins with {name[: len(HELPER_PREFIX)]}, as the helper functions of emitted text do"
    return ""


def _why_no_function(name: str) -> str:
    if name.startswith("_"):
        return "is reserved: no function's name may begin with an underscore"
    if name in _LIBRARY or name in _COMPLEX:
        return "is a function of the C library"
    if name in _MATH_EXTENSIONS:
        return "is a function of <math.h> on many systems"
    return ""


def free_prefix(stem: str, taken: Collection[str]) -> str:
    """Return `stem`, lengthened by underscores until stem and number together name nothing in `taken`.

    >>> free_prefix("t", ["x", "t0"])
    't_'
    """
    while any(name.startswith(stem) and name[len(stem) :].isdigit() for name in taken):
        stem += "_"
    return stem
