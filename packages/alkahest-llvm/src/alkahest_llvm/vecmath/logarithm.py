"""log, log2, log10, log1p.

Method: x = 2^k m with sqrt(1/2) <= m < sqrt 2, log m = 2 atanh(s) with s = (m - 1) / (m + 1), and the rounding-aware
sum of FreeBSD's e_log.c (K. C. Ng, Sun Microsystems, 1993).
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
    patch,
    power_of_two,
)
from alkahest_llvm.vecmath.registry import kernel

_SQRT_HALF = 0x3FE6A09E667F3BCD
_EXPONENT_FIELD = 0xFFF0000000000000
_TWO_TO_52 = 0x4330000000000000
_SUBNORMAL_SCALE = 2.0**54
_FAR = 2.0**1000  # from here on log1p is log


def exponent_and_fraction(x: Value) -> tuple[Value, Value]:
    """Return k and m, where x = 2^k m and sqrt(1/2) <= m < sqrt 2, for positive normal x."""
    ix = bits(x)
    above = ix - _SQRT_HALF
    field = (above + (1 << 62)) >> 52  # k + 1024, never negative
    k = from_bits(field | _TWO_TO_52) - (2.0**52 + 1024.0)
    return k, from_bits(ix - (above & _EXPONENT_FIELD))


def _fraction_terms(m: Value) -> tuple[Value, Value, Value]:
    """Return f = m - 1, h = f^2 / 2 and the small term t, where log m = f - (h - t)."""
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    h = (f * f) * 0.5
    return f, h, s * fma(z, horner(z, LOG), h)


def _log(k: Value, m: Value) -> Value:
    f, h, t = _fraction_terms(m)
    return fma(k, LN2[0], f - (h - fma(k, LN2[1], t)))


def _twofold_fraction(m: Value) -> tuple[Value, Value]:
    """Return log m as a sum of two."""
    f, h, t = _fraction_terms(m)
    high = f - h
    return high, ((f - high) - h) + t


def _log2(k: Value, m: Value) -> Value:
    high, low = _twofold_fraction(m)
    y = high * LOG2_E[0]
    y_low = fma(high, LOG2_E[0], -y) + fma(high, LOG2_E[1], low * LOG2_E[0])
    total, error = fast_two_sum(k, y)
    return total + (error + y_low)


def _log10(k: Value, m: Value) -> Value:
    high, low = _twofold_fraction(m)
    y = high * LOG10_E[0]
    y_low = fma(high, LOG10_E[0], -y) + fma(high, LOG10_E[1], low * LOG10_E[0])
    total, error = fast_two_sum(k * LOG10_2[0], y)
    return total + fma(k, LOG10_2[1], error + y_low)


def _any(x: Value, formula: Callable[[Value, Value], Value]) -> Value:
    """Return a logarithm for any x: subnormal numbers are scaled, and the rest is as C99 Annex F has it."""
    small = x < SMALLEST_NORMAL
    k, m = exponent_and_fraction(select(small, x * _SUBNORMAL_SCALE, x))
    y = formula(select(small, k - 54.0, k), m)
    y = select(x < 0.0, NAN, select(equal(x, 0.0), -INF, y))
    return select(x < INF, y, x)


@kernel("log_normal")
def log_normal(x: Value) -> Value:
    """Return the logarithm of a positive normal number, and nothing of meaning for others: `log` without its test."""
    return _log(*exponent_and_fraction(x))


@kernel("log")
def log(x: Value) -> Value:
    """Return the natural logarithm. Error below 0.8 ulp."""
    return patch(not_normal_positive(x), log_normal(x), lambda: x.builder.kernel("log_any", x))


@kernel("log_any", inline=False)
def log_any(x: Value) -> Value:
    """Return the natural logarithm of any x."""
    return _any(x, _log)


@kernel("log2")
def log2(x: Value) -> Value:
    """Return the binary logarithm, exact for powers of two. Error below 0.6 ulp."""
    y = _log2(*exponent_and_fraction(x))
    return patch(not_normal_positive(x), y, lambda: x.builder.kernel("log2_any", x))


@kernel("log2_any", inline=False)
def log2_any(x: Value) -> Value:
    """Return the binary logarithm of any x."""
    return _any(x, _log2)


@kernel("log10")
def log10(x: Value) -> Value:
    """Return the decimal logarithm, exact for powers of ten. Error below 0.6 ulp."""
    y = _log10(*exponent_and_fraction(x))
    return patch(not_normal_positive(x), y, lambda: x.builder.kernel("log10_any", x))


@kernel("log10_any", inline=False)
def log10_any(x: Value) -> Value:
    """Return the decimal logarithm of any x."""
    return _any(x, _log10)


def log_of_sum(u: Value, c: Value) -> Value:
    """Return log(u + c) for a normal u and a c below an ulp or two of it.

    c enters as c / u = c 2^-k / m, where 1 - 2 s + 2 s^2 is 1 / m, the better the smaller the result.
    """
    k, m = exponent_and_fraction(u)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    h = (f * f) * 0.5
    t = s * fma(z, horner(z, LOG), h)
    inverse = fma(s, fma(s, 2.0, -2.0), 1.0) * power_of_two(EXPONENT_SHIFT - k)
    return fma(k, LN2[0], f - (h - fma(c, inverse, fma(k, LN2[1], t))))


@kernel("log1p")
def log1p(x: Value) -> Value:
    """Return log(1 + x). Error below 0.9 ulp."""
    u = 1.0 + x
    y = log_of_sum(u, select(u >= 2.0, 1.0 - (u - x), x - (u - 1.0)))
    return patch(~((x > -1.0) & (x < _FAR)), copysign(y, x), lambda: x.builder.kernel("log1p_any", x))


@kernel("log1p_any", inline=False)
def log1p_any(x: Value) -> Value:
    """Return log(1 + x) where x is large, or not above -1."""
    y = select(x > 0.0, x.builder.kernel("log_any", x), NAN)
    y = select(equal(x, -1.0), -INF, y)
    return select(is_nan(x), x, y)
