"""log, log2, log10, log1p.

Method: x = 2^k m with sqrt(1/2) <= m < sqrt 2, log m = 2 atanh(s) with s = (m - 1) / (m + 1). With f = m - 1 and the
series 2 atanh(s) = 2 s + s R this is f - s (f - R), in which only the small second term is rounded (FreeBSD's
e_log.c, K. C. Ng, Sun Microsystems, 1993).
"""

from __future__ import annotations

from collections.abc import Callable

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, copysign, equal, fma, from_bits, horner, is_nan, select
from alkahest_llvm.vecmath.coefficients import LN2, LOG, LOG2_E, LOG10_2, LOG10_E
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    INF,
    NAN,
    SMALLEST_NORMAL,
    fast_two_sum,
    not_normal_positive,
    power_of_two,
    unless,
)
from alkahest_llvm.vecmath.registry import kernel

_SQRT_HALF = 0x3FE6A09E667F3BCD
_BIAS = 1024 << 52
_FRACTION_FIELD = (1 << 52) - 1
_TWO_TO_52 = 0x4330000000000000
_SUBNORMAL_SCALE = 2.0**54
_FAR = 2.0**1000  # from here on log1p is log


def exponent_and_fraction(x: Value) -> tuple[Value, Value]:
    """Return k and m, where x = 2^k m and sqrt(1/2) <= m < sqrt 2, for positive normal x."""
    above = bits(x) + (_BIAS - _SQRT_HALF)  # its exponent field is k + 1024, never negative
    k = from_bits((above >> 52) | _TWO_TO_52) - (2.0**52 + 1024.0)
    return k, from_bits((above & _FRACTION_FIELD) + _SQRT_HALF)


def _fraction_terms(m: Value) -> tuple[Value, Value, Value]:
    """Return f = m - 1, s and w, where log m = f - s w."""
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    return f, s, fma(-z, horner(z, LOG), f)


def _log(k: Value, m: Value) -> Value:
    f, s, w = _fraction_terms(m)
    return fma(k, LN2[0], f + fma(-s, w, k * LN2[1]))


def _log2(k: Value, m: Value) -> Value:
    total, rest = _scaled(k, m, LOG2_E)
    return total + rest


def _log10(k: Value, m: Value) -> Value:
    total, rest = _scaled(k * LOG10_2[0], m, LOG10_E)
    return total + fma(k, LOG10_2[1], rest)


def _scaled(base: Value, m: Value, factor: tuple[float, float]) -> tuple[Value, Value]:
    """Return base + factor log m as a sum of two; base is zero or at least about as large.

    The second term is factor (s R - s f), corrected for the rounding of m + 1.
    """
    f, d = m - 1.0, m + 1.0
    d_low = m - (d - 1.0)
    s = f / d
    z, scaled = s * s, s * factor[0]
    high = f * factor[0]
    low = fma(f, factor[1], fma(f, factor[0], -high))
    low = fma(scaled * s, d_low, fma(scaled, z * horner(z, LOG), low))
    total, error = fast_two_sum(base, high)
    return total, error + fma(-scaled, f, low)


def _any(x: Value, formula: Callable[[Value, Value], Value]) -> Value:
    """Return a logarithm for any x: subnormal numbers are scaled, and the rest is as C99 Annex F has it."""
    small = x < SMALLEST_NORMAL
    k, m = exponent_and_fraction(select(small, x * _SUBNORMAL_SCALE, x))
    y = formula(select(small, k - 54.0, k), m)
    y = select(x < 0.0, NAN, select(equal(x, 0.0), -INF, y))
    return select(x < INF, y, x)


@kernel("log")
def log(x: Value) -> Value:
    """Return the natural logarithm. Error below 0.95 ulp."""
    return unless(
        not_normal_positive(x), lambda: _log(*exponent_and_fraction(x)), lambda: x.builder.kernel("log_any", x)
    )


@kernel("log_any", inline=False)
def log_any(x: Value) -> Value:
    """Return the natural logarithm of any x."""
    return _any(x, _log)


@kernel("log_of_twice", inline=False)
def log_of_twice(x: Value) -> Value:
    """Return log(2 x) for positive normal x, also where 2 x overflows; infinity and nan as they are."""
    k, m = exponent_and_fraction(x)
    return select(x < INF, _log(k + 1.0, m), x)


@kernel("log2")
def log2(x: Value) -> Value:
    """Return the binary logarithm, exact for powers of two. Error below 0.95 ulp."""
    return unless(
        not_normal_positive(x), lambda: _log2(*exponent_and_fraction(x)), lambda: x.builder.kernel("log2_any", x)
    )


@kernel("log2_any", inline=False)
def log2_any(x: Value) -> Value:
    """Return the binary logarithm of any x."""
    return _any(x, _log2)


@kernel("log10")
def log10(x: Value) -> Value:
    """Return the decimal logarithm, exact for powers of ten. Error below 0.95 ulp."""
    return unless(
        not_normal_positive(x), lambda: _log10(*exponent_and_fraction(x)), lambda: x.builder.kernel("log10_any", x)
    )


@kernel("log10_any", inline=False)
def log10_any(x: Value) -> Value:
    """Return the decimal logarithm of any x."""
    return _any(x, _log10)


@kernel("log2_fast")
def log2_fast(x: Value) -> Value:
    """Return the binary logarithm, exact for powers of two, with an error below 2 ulp: log m is one double."""
    return unless(not_normal_positive(x), lambda: _log2_fast(x), lambda: x.builder.kernel("log2_fast_any", x))


def _log2_fast(x: Value) -> Value:
    k, m = exponent_and_fraction(x)
    f, s, w = _fraction_terms(m)
    return fma(fma(-s, w, f), LOG2_E[0], k)


@kernel("log2_fast_any", inline=False)
def log2_fast_any(x: Value) -> Value:
    """Return the binary logarithm of any x."""
    return select(not_normal_positive(x), x.builder.kernel("log2_any", x), _log2_fast(x))


@kernel("log10_fast")
def log10_fast(x: Value) -> Value:
    """Return the decimal logarithm with an error below 2 ulp: log m is one double."""
    return unless(not_normal_positive(x), lambda: _log10_fast(x), lambda: x.builder.kernel("log10_fast_any", x))


def _log10_fast(x: Value) -> Value:
    k, m = exponent_and_fraction(x)
    f, s, w = _fraction_terms(m)
    return fma(k, LOG10_2[0], fma(fma(-s, w, f), LOG10_E[0], k * LOG10_2[1]))


@kernel("log10_fast_any", inline=False)
def log10_fast_any(x: Value) -> Value:
    """Return the decimal logarithm of any x."""
    return select(not_normal_positive(x), x.builder.kernel("log10_any", x), _log10_fast(x))


def log_of_sum(u: Value, c: Value) -> Value:
    """Return log(u + c) for a normal u and a c below an ulp or two of it.

    c enters as c / u = c 2^-k / m, where 1 - 2 s + 2 s^2 is 1 / m, the better the smaller the result.
    """
    k, m = exponent_and_fraction(u)
    f, s, w = _fraction_terms(m)
    inverse = fma(s, fma(s, 2.0, -2.0), 1.0)
    relative = (c * power_of_two(EXPONENT_SHIFT - k)) * inverse
    return fma(k, LN2[0], f + fma(-s, w, fma(k, LN2[1], relative)))


@kernel("log1p")
def log1p(x: Value) -> Value:
    """Return log(1 + x). Error below 0.95 ulp."""
    return unless(~((x > -1.0) & (x < _FAR)), lambda: _log1p(x), lambda: x.builder.kernel("log1p_any", x))


def _log1p(x: Value) -> Value:
    u = 1.0 + x
    part = u - 1.0
    return copysign(log_of_sum(u, (1.0 - (u - part)) + (x - part)), x)


@kernel("log1p_any", inline=False)
def log1p_any(x: Value) -> Value:
    """Return log(1 + x) for any x: large ones give log x, and below -1 it is nan."""
    y = select(x > 0.0, x.builder.kernel("log_any", x), NAN)
    y = select(equal(x, -1.0), -INF, select(is_nan(x), x, y))
    return select((x > -1.0) & (x < _FAR), _log1p(x), y)
