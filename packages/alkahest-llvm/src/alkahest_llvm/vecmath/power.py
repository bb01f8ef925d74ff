"""pow for any exponent.

Method: log x as a sum of two doubles, times y, and exp of that (as in FreeBSD's e_pow.c, Sun Microsystems, 1993,
with fused multiply-adds in place of split operands).
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, equal, fabs, fma, horner, is_nan, rint, select, unequal
from alkahest_llvm.vecmath.coefficients import LN2, LOG2_E, LOG_TAIL, TWO_THIRDS
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    INF,
    NAN,
    SMALLEST_NORMAL,
    fast_two_sum,
    not_normal_positive,
    outside,
    power_of_two,
    scale,
    two_product,
    unless,
)
from alkahest_llvm.vecmath.exponential import USUAL, near_one
from alkahest_llvm.vecmath.logarithm import exponent_and_fraction
from alkahest_llvm.vecmath.registry import kernel

_TAIL_SLOPE = 0.41  # about the derivative of z p(z)


def twofold_log(k: Value, m: Value) -> tuple[Value, Value]:
    """Return log(2^k m) as a sum of two, to about 2^-65 relatively."""
    return fast_two_sum(*_log_terms(k, m))


def _log_terms(k: Value, m: Value) -> tuple[Value, Value]:
    """Return log(2^k m) as a sum of two, the second of a few ulps of the first.

    log m = f - s w, where f = m - 1, s = f / (m + 1) and w = f - s^2 (2/3 + s^2 p(s^2)), all but p as sums of two.
    """
    f, d = m - 1.0, m + 1.0
    d_low = m - (d - 1.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = fma(-s, d_low, fma(-s, d, f)) * inverse
    z, z_rest = two_product(s, s)
    z_low = fma(s + s, s_low, z_rest)
    p = horner(z, LOG_TAIL)
    c = fma(z, p, TWO_THIRDS[0])
    c_low = fma(z_low, _TAIL_SLOPE, fma(z, p, TWO_THIRDS[0] - c)) + TWO_THIRDS[1]
    w = fma(-z, c, f)
    w_low = fma(-z_low, c, fma(-z, c_low, fma(-z, c, f - w)))
    product, rest = two_product(s, w)
    product_low = fma(s_low, w, fma(s, w_low, rest))
    total, e1 = fast_two_sum(k * LN2[0], f)
    total, e2 = fast_two_sum(total, -product)
    return total, fma(k, LN2[1], (e1 + e2) - product_low)


def _exponent(y: Value, high: Value, low: Value) -> tuple[Value, Value]:
    """Return y log x as a sum of two."""
    product, rest = two_product(y, high)
    return product, fma(y, low, rest)


def _exp(high: Value, low: Value) -> tuple[Value, Value, Value]:
    """Return e^(high + low) as v 2^k: v, k and `k + EXPONENT_SHIFT`."""
    shifted = fma(high, LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    r = fma(k, -LN2[0], high) + fma(k, -LN2[1], low)
    return near_one(r), k, shifted


@kernel("pow")
def power(x: Value, y: Value) -> Value:
    """Return x^y. Error below 0.95 ulp, subnormal results 1 ulp."""
    high, low = _exponent(y, *_log_terms(*exponent_and_fraction(x)))

    def usual() -> Value:
        v, _, shifted = _exp(high, low)
        return v * power_of_two(shifted)

    return unless(not_normal_positive(x) | outside(high, USUAL), usual, lambda: x.builder.kernel("pow_any", x, y))


@kernel("pow_any", inline=False)
def power_any(x: Value, y: Value) -> Value:
    """Return x^y for any two numbers, special cases as C99 F.9.4.4 lists them."""
    size = fabs(x)
    small = size < SMALLEST_NORMAL
    k, m = exponent_and_fraction(select(small, size * 2.0**54, size))
    high, low = _exponent(y, *_log_terms(select(small, k - 54.0, k), m))
    near = fabs(high) < 750.0
    v, k, _ = _exp(select(near, high, 0.0), select(near, low, 0.0))
    v = scale(v, k)
    v = select(near, v, select(high > 0.0, INF, select(high < 0.0, 0.0, v)))
    v = _at_zero_and_infinity(v, size, y)
    v = _sign(v, x, y)
    v = select(is_nan(x) | is_nan(y), x + y, v)
    one = equal(x, 1.0) | equal(y, 0.0)
    one = one | (equal(x, -1.0) & equal(fabs(y), INF))
    return select(one, 1.0, v)


def _at_zero_and_infinity(v: Value, size: Value, y: Value) -> Value:
    negative = y < 0.0
    b = v.builder
    infinity, zero = b.constant(INF, "double"), b.constant(0.0, "double")
    v = select(equal(size, 0.0), select(negative, infinity, zero), v)
    return select(equal(size, INF), select(negative, zero, infinity), v)


def _sign(v: Value, x: Value, y: Value) -> Value:
    """Give |x|^y the sign of x where y is odd; it is nan where x < 0 is finite and y no integer."""
    integer = equal(rint(y), y)
    half = y * 0.5
    odd = integer & unequal(rint(half), half)
    undefined = (x < 0.0) & (x > -INF) & ~integer
    return select(odd, copysign(v, x), select(undefined, NAN, v))
