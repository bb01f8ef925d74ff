"""pow for any exponent.

Method: log x as a sum of two doubles, times y, and exp of that (as in FreeBSD's e_pow.c, Sun Microsystems, 1993,
with fused multiply-adds in place of split operands).
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, equal, fabs, fma, horner, is_nan, rint, select, unequal
from alkahest_llvm.vecmath.coefficients import EXP, LN2, LOG2_E, LOG_TAIL, TWO_THIRDS
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    INF,
    NAN,
    SMALLEST_NORMAL,
    fast_two_sum,
    not_normal_positive,
    outside,
    patch,
    power_of_two,
    scale,
    two_product,
)
from alkahest_llvm.vecmath.exponential import USUAL
from alkahest_llvm.vecmath.logarithm import exponent_and_fraction
from alkahest_llvm.vecmath.registry import kernel


def twofold_log(k: Value, m: Value) -> tuple[Value, Value]:
    """Return log(2^k m) as a sum of two, to about 2^-65 relatively: 2 s + (2/3 + z p(z)) s^3, s = (m - 1) / (m + 1)."""
    n, d = m - 1.0, m + 1.0
    d_low = m - (d - 1.0)
    inverse = 1.0 / d
    s = n * inverse
    s_low = fma(-s, d_low, fma(-s, d, n)) * inverse
    z, z_rest = two_product(s, s)
    z_low = fma(s + s, s_low, z_rest)
    tail = z * horner(z, LOG_TAIL)
    c = TWO_THIRDS[0] + tail
    c_low = (tail - (c - TWO_THIRDS[0])) + TWO_THIRDS[1]
    cube, cube_rest = two_product(z, s)
    cube_low = cube_rest + fma(z, s_low, z_low * s)
    p, p_rest = two_product(c, cube)
    p_low = p_rest + fma(c, cube_low, c_low * cube)
    total, e1 = fast_two_sum(k * LN2[0], s + s)
    total, e2 = fast_two_sum(total, p)
    return fast_two_sum(total, fma(k, LN2[1], (e1 + e2) + fma(s_low, 2.0, p_low)))


def _exponent(y: Value, high: Value, low: Value) -> tuple[Value, Value]:
    """Return y log x as a sum of two."""
    product, rest = two_product(y, high)
    return product, fma(y, low, rest)


def _exp(high: Value, low: Value) -> tuple[Value, Value, Value]:
    """Return e^(high + low) as v 2^k: v, k and `k + EXPONENT_SHIFT`."""
    shifted = fma(high, LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    r = fma(k, -LN2[0], high)
    rest = fma(k, -LN2[1], low)
    total = r + rest
    rest = (r - total) + rest
    h = 1.0 + total
    return h + (fma(total * total, horner(total, EXP), rest) + ((1.0 - h) + total)), k, shifted


@kernel("pow")
def power(x: Value, y: Value) -> Value:
    """Return x^y. Error below 0.85 ulp, subnormal results 1 ulp."""
    high, low = _exponent(y, *twofold_log(*exponent_and_fraction(x)))
    v, _, shifted = _exp(high, low)
    unusual = not_normal_positive(x) | outside(high, USUAL)
    return patch(unusual, v * power_of_two(shifted), lambda: x.builder.kernel("pow_any", x, y))


@kernel("pow_any", inline=False)
def power_any(x: Value, y: Value) -> Value:
    """Return x^y for any two numbers, special cases as C99 F.9.4.4 lists them."""
    size = fabs(x)
    small = size < SMALLEST_NORMAL
    k, m = exponent_and_fraction(select(small, size * 2.0**54, size))
    high, low = _exponent(y, *twofold_log(select(small, k - 54.0, k), m))
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
