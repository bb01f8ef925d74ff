"""Functions that C lacks, as C99 text: included where an emitted expression calls them.

The methods are those of `alkahest.prims.special`. Each has a guard, so that texts emitted one by one can be joined in
one file.
"""

from __future__ import annotations

_DIGAMMA = """\
/* The logarithmic derivative of the gamma function: reflection (DLMF 5.5.4), recurrence (5.5.2) and the
   asymptotic series (5.11.2). */
static double alkahest_digamma(double x) {
    static const double b[10] = {  /* B(2k) / (2k) */
        1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0,
        -691.0 / 32760.0, 1.0 / 12.0, -3617.0 / 8160.0, 43867.0 / 14364.0, -174611.0 / 6600.0
    };
    double reflected = 0.0, shift = 0.0, series = 0.0, w;
    int k;
    if (x == 0.0) return -copysign(INFINITY, x);
    if (x < 0.0) {
        w = remainder(x, 1.0);
        if (w == 0.0) return NAN;
        reflected = 3.141592653589793 / tan(3.141592653589793 * w);
        x = 1.0 - x;
    }
    if (x == INFINITY) return x - reflected;
    for (; x < 16.0; x += 1.0) shift += 1.0 / x;
    w = 1.0 / (x * x);
    for (k = 9; k >= 0; k--) series = (series + b[k]) * w;
    return log(x) - 0.5 / x - series - shift - reflected;
}
"""

_POLYGAMMA = """\
/* The n-th derivative of digamma, n a whole number: reflection (DLMF 5.15.6) for n = 1, else recurrence (5.15.5),
   and the asymptotic series (5.15.9). nan where n is larger than 151, and for n > 1 below -10000. */
static double alkahest_polygamma(double n, double x) {
    static const double b[10] = {  /* B(2k) */
        1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0,
        -691.0 / 2730.0, 7.0 / 6.0, -3617.0 / 510.0, 43867.0 / 798.0, -174611.0 / 330.0
    };
    const int odd = fmod(n, 2.0) == 1.0;
    double factorial, shift = 0.0, total;
    int k;
    if (n != floor(n) || n < 0.0 || x != x) return NAN;
    if (n == 0.0) return alkahest_digamma(x);
    if (x <= 0.0 && x == floor(x)) return odd && x != -INFINITY ? INFINITY : NAN;
    if (x < 0.0 && n == 1.0) {
        total = 3.141592653589793 / sin(3.141592653589793 * remainder(x, 1.0));
        return total * total - alkahest_polygamma(1.0, 1.0 - x);
    }
    if (x < -10000.0 || n > 151.0) return NAN;
    if (x == INFINITY) return 0.0;
    factorial = tgamma(n + 1.0);
    for (; x < 16.0 + n; x += 1.0) shift += factorial * pow(x, -(n + 1.0));
    total = factorial / n * pow(x, -n) + 0.5 * factorial * pow(x, -(n + 1.0));
    for (k = 0; k < 10; k++) {
        const double m = 2.0 * (k + 1);
        total += b[k] * tgamma(m + n) / tgamma(m + 1.0) * pow(x, -(m + n));
    }
    return odd ? total + shift : -(total + shift);
}
"""

# By name, in order of definition; a helper may call those before it.
_TEXTS = {"alkahest_digamma": _DIGAMMA, "alkahest_polygamma": _POLYGAMMA}
_PARAMETERS = {"alkahest_digamma": ("x",), "alkahest_polygamma": ("n", "x")}
_CALLS = {"alkahest_polygamma": ("alkahest_digamma",)}
HELPERS = frozenset(_TEXTS)


def helper_texts(used: frozenset[str], single: bool) -> list[str]:
    """Return the definitions that text calling the helpers `used` needs, in order; with `single` in `float` too."""
    wanted = {name for called in used for name in (called, *_CALLS.get(called, ()))}
    texts = [_guarded(name, text) for name, text in _TEXTS.items() if name in wanted]
    if single:
        texts += [_guarded(f"{name}f", _in_float(name)) for name in _TEXTS if name in used]
    return texts


def _in_float(name: str) -> str:
    parameters = ", ".join([f"float {p}" for p in _PARAMETERS[name]])
    return f"""\
static float {name}f({parameters}) {{
    return (float){name}({", ".join(_PARAMETERS[name])});
}}
"""


def _guarded(name: str, text: str) -> str:
    return f"#ifndef {name.upper()}\n#define {name.upper()}\n{text}#endif\n"
