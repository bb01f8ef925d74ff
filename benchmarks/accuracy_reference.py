"""What results are compared with: MPFR's values, and 80-bit values which tell where MPFR is worth asking.

An error in ulps is |result - exact| / 2^(e - 53), where the exact value lies in [2^(e-1), 2^e) (J.-M. Muller, "On the
definition of ulp(x)", 2005): 0.5 for a correctly rounded result. Below 2^-1022 the step is that of subnormal numbers,
2^-1074. An infinite result counts as 2^1024, and must be infinite where the exact value is beyond that.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import platform
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import gmpy2
import mpmath
import numpy as np

Array = Any
WORKING_BITS = 140


class Format(NamedTuple):
    """A binary format: digits of the significand, the exponents of its least number and of the first beyond it."""

    digits: int
    least: int
    beyond: int


FORMATS = {"f64": Format(53, -1074, 1024), "f32": Format(24, -149, 128)}


class Screened(NamedTuple):
    """80-bit values, and how far from the truth they may be: so many of their own ulps, and absolutely.

    `rounded` are the correctly rounded results, where IEEE 754 makes the processor's own operation give them.
    """

    values: Array
    ulps: float = 10.0
    doubt: Array | float = 0.0
    rounded: Array | None = None


Screen = Callable[..., Screened]
Exact = Callable[..., Any]


def long_double_is_wide() -> bool:
    """Return whether `numpy.longdouble` has 64 digits or more here; otherwise every point is measured by MPFR."""
    return np.finfo(np.longdouble).nmant >= 63


def errors(got: Array, screened: Screened, form: Format, unit: float = 0.0) -> tuple[Array, Array]:
    """Return each error in ulps against 80-bit values, and how much larger it may be against exact ones.

    Errors of values below `unit` are counted in ulps of `unit`.
    """
    ref = np.asarray(screened.values, np.longdouble)
    one = np.longdouble(1)
    limit = np.ldexp(one, form.beyond)
    # A value that seems to be a power of two may be just below it, where ulps are half as large.
    size = np.maximum(np.abs(ref) * (one - one / 2**55), np.longdouble(unit))
    step = np.ldexp(one, np.maximum(np.frexp(size)[1] - form.digits, form.least))
    wide = got.astype(np.longdouble)
    infinite = np.isinf(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(np.where(infinite, np.copysign(limit, wide), wide) - np.clip(ref, -limit, limit)) / step
        margin = (np.minimum(np.abs(ref), limit) * (screened.ulps / 2**63) + screened.doubt) / step
        beyond = (np.abs(ref) >= limit) & ~(infinite & (np.signbit(wide) == np.signbit(ref)))
    nans = np.isnan(wide), np.isnan(ref)
    off = np.where(beyond | (nans[0] != nans[1]), np.inf, np.where(nans[0], 0.0, off))
    return off.astype(np.float64), np.where(np.isfinite(margin), margin, 0.0).astype(np.float64)


def error(got: float, exact: Any, form: Format, unit: float = 0.0) -> float:
    """Return the error of one result in ulps of the exact value, an MPFR number."""
    if gmpy2.is_nan(exact) or got != got:
        return 0.0 if gmpy2.is_nan(exact) and got != got else float("inf")
    limit = gmpy2.exp2(gmpy2.mpfr(form.beyond))
    if abs(exact) >= limit:
        return 0.0 if gmpy2.is_infinite(gmpy2.mpfr(got)) and (got > 0) == (exact > 0) else float("inf")
    value = gmpy2.mpfr(got)
    if gmpy2.is_infinite(value):
        value = gmpy2.copy_sign(limit, value)
    size = max(abs(exact), gmpy2.mpfr(unit))
    exponent = max(gmpy2.get_exp(size) - form.digits, form.least) if size else form.least
    return float(
        gmpy2.mul_2exp(abs(value - exact), -exponent) if exponent < 0 else gmpy2.div_2exp(abs(value - exact), exponent)
    )


def numpy_screen(name: str) -> Screen:
    """Return NumPy's function of 80-bit numbers, which is the C library's."""
    function = getattr(np, name)
    return lambda *xs: Screened(function(*xs))


def processor_screen(function: Callable[[Array], Array]) -> Screen:
    """Return a function that the processor rounds correctly in every format."""
    return lambda x: Screened(function(x), ulps=1.0, rounded=function(x.astype(np.float64)))


@cache
def library_screen(name: str, arity: int = 1) -> Screen | None:
    """Return the C library's 80-bit function `name` over arrays, or None where there is none.

    NumPy has no 80-bit loops for these, and ctypes rounds their arguments to doubles: the loop is written in LLVM IR.
    """
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    if platform.machine() not in ("x86_64", "AMD64") or not hasattr(library, name):
        return None
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    loop = _compiled(_loop_text(name, arity), name, int(address or 0))
    size = np.dtype(np.longdouble).itemsize

    def call(*xs: Array) -> Screened:
        columns = [np.ascontiguousarray(x, np.longdouble) for x in xs]
        out = np.zeros(len(columns[0]), np.longdouble)
        loop(len(out), out.ctypes.data, *[c.ctypes.data for c in columns])
        return Screened(out)

    return call if size == 16 else None


def _loop_text(name: str, arity: int) -> str:
    inputs = range(arity)
    columns = "".join(f", ptr noalias %x{k}" for k in inputs)
    loads = "".join(
        f"  %p{k} = getelementptr i8, ptr %x{k}, i64 %at\n  %v{k} = load x86_fp80, ptr %p{k}\n" for k in inputs
    )
    values = ", ".join(f"x86_fp80 %v{k}" for k in inputs)
    types = ", ".join("x86_fp80" for _ in inputs)
    return f"""
declare x86_fp80 @{name}({types})
define void @loop(i64 %n, ptr noalias %out{columns}) {{
entry:
  br label %next
next:
  %i = phi i64 [0, %entry], [%i1, %next]
  %at = shl i64 %i, 4
{loads}  %y = call x86_fp80 @{name}({values})
  %to = getelementptr i8, ptr %out, i64 %at
  store x86_fp80 %y, ptr %to
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n
  br i1 %more, label %next, label %done
done:
  ret void
}}
"""


_engines: list[Any] = []


def _compiled(text: str, name: str, address: int) -> Callable[..., None]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.add_symbol(name, address)
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
    engine.finalize_object()
    _engines.append(engine)  # the code lives as long as its engine
    arity = text.count("load x86_fp80")
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * (1 + arity))
    return kind(engine.get_function_address("loop"))


def power_screen(exponent: float) -> Screen:
    """Return x^exponent in 80 bits: by the operations which round once, where these do."""
    rounded_once = {2.0: lambda x: x * x, -1.0: lambda x: 1 / x, 0.5: np.sqrt}
    if exponent in rounded_once:
        return processor_screen(rounded_once[exponent])
    return lambda x: Screened(np.power(x, np.longdouble(exponent)))


# -- digamma and its derivatives, which no C library has: recurrence, then the asymptotic series

_BERNOULLI = (
    *((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798)),
    *((-174611, 330), (854513, 138), (-236364091, 2730)),
)
_PI = np.longdouble("3.14159265358979323846264338327950288")


def _series(n: int, square: Array) -> Array:
    """Return the sum of B(2k) (2k + n - 1)! / (2k)! z^-2k, k = 1, 2, … (DLMF 5.15.9; digamma as n = 0, 5.11.2)."""
    total = np.zeros_like(square)
    for k in range(len(_BERNOULLI), 0, -1):
        numerator, denominator = _BERNOULLI[k - 1]
        factor = np.longdouble(numerator) / denominator
        for j in range(2 * k + 1, 2 * k + n):
            factor = factor * j
        if n == 0:
            factor = factor / (2 * k)
        total = (total + factor) * square
    return total


def _product(x: Array, n: int) -> Array:
    out = x
    for _ in range(n - 1):
        out = out * x
    return out


def _shifted(x: Array, n: int) -> tuple[Array, Array, Array]:
    """Return z >= 13 + n, a whole number above x > 0, the sum of (x + k)^-n for 0 < k < z - x, and x^-n.

    The first term which `_series` leaves out of the series at z is below 2^-66 for all orders up to 30.
    """
    start = 13 + n
    z, rest, first = x.copy(), np.zeros_like(x), np.zeros_like(x)
    low = np.flatnonzero(x < start)
    at = x[low]
    steps = np.ceil(start - at)
    total = np.zeros_like(at)
    for k in range(start - 1, 0, -1):
        total += np.where(k < steps, 1 / _product(at + k, n), 0)
    z[low], rest[low], first[low] = at + steps, total, 1 / _product(at, n)
    return z, rest, first


def _positive_digamma(x: Array) -> tuple[Array, Array]:
    """Return digamma(x) for x > 0 and the size of its largest terms."""
    z, rest, first = _shifted(x, 1)
    head = np.log(z)
    return head - 0.5 / z - _series(0, 1 / (z * z)) - rest - first, np.abs(head) + rest + first


@cache
def _around_root() -> tuple[Array, Array]:
    """Return the positive root of digamma as two 80-bit numbers, and the coefficients of the Taylor series there."""
    with mpmath.workprec(200):
        root = mpmath.findroot(mpmath.digamma, 1.46)
        high = mpmath.mpf(int(root * 2**63)) / 2**63
        parts = [np.longdouble(mpmath.nstr(part, 25)) for part in (high, root - high)]
        series = [np.longdouble(mpmath.nstr(mpmath.psi(k, root) / mpmath.factorial(k), 25)) for k in range(1, 24)]
    return np.array(parts), np.array(series)


def digamma_screen(x: Array) -> Screened:
    """Return digamma in 80 bits; the doubt is that of the terms which cancel."""
    with np.errstate(all="ignore"):
        negative = x < 0
        y, size = _positive_digamma(np.where(negative, 1 - x, x))
        cotangent = _PI / np.tan(_PI * (x - np.rint(x)))
        y = np.where(negative, y - cotangent, y)
        size = np.where(negative, size + np.abs(cotangent), size)
    root, series = _around_root()
    near = np.abs(x - root[0]) < 0.05
    h = (x[near] - root[0]) - root[1]
    total = np.zeros_like(h)
    for coefficient in series[::-1]:
        total = (total + coefficient) * h
    y[near], size[near] = total, 0
    return Screened(y, doubt=size * np.longdouble(2) ** -59)


def polygamma_screen(n: int) -> Screen:
    """Return the 80-bit polygamma function of order n, for x > 0."""
    factorial = math.factorial(n)

    def call(x: Array) -> Screened:
        with np.errstate(all="ignore"):
            z, rest, first = _shifted(x, n + 1)
            inverse = 1 / z
            head = math.factorial(n - 1) + inverse * factorial / 2 + _series(n, inverse * inverse)
            total = head * _product(inverse, n) + factorial * rest + factorial * first
        return Screened(total if n % 2 else -total, ulps=10.0 + 2 * n)

    return call


def exact_polygamma(n: int) -> Exact:
    """Return the polygamma function of order n by mpmath, since MPFR has none."""

    def call(x: Any) -> Any:
        with mpmath.workprec(WORKING_BITS):
            return gmpy2.mpfr(str(mpmath.nstr(mpmath.psi(n, mpmath.mpf(float(x))), 40)))

    return call


def exact_lgamma(x: Any) -> Any:
    """Return log |gamma(x)|."""
    return gmpy2.lgamma(x)[0]


def exact_power(exponent: float) -> Exact:
    """Return x -> x^exponent, rounded once."""
    fixed = gmpy2.mpfr(exponent)
    return lambda x: x**fixed
