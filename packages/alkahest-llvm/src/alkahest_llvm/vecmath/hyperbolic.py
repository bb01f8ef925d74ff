"""sinh, cosh and tanh."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, fabs, fma, horner, select
from alkahest_llvm.vecmath.coefficients import COSH, SINH
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, fast_two_sum, outside, patch, power_of_two
from alkahest_llvm.vecmath.exponential import USUAL, expm1_parts, reduced_twofold
from alkahest_llvm.vecmath.registry import kernel


def _halves(size: Value) -> tuple[Value, Value, Value, Value, Value]:
    """Return 2^(k-1) and 2^(-k-1), cosh(r) - 1, and sinh(r) as a sum of two, where size = k ln 2 + r."""
    shifted, k, r, low = reduced_twofold(size)
    u = r * r
    cosh_rest = fma(u * u, horner(u, COSH), u * 0.5)
    sinh_rest = fma(u * r, horner(u, SINH), low)
    down = power_of_two((EXPONENT_SHIFT - 1.0) - k)
    return power_of_two(shifted - 1.0), down, cosh_rest, r, sinh_rest


@kernel("cosh")
def cosh(x: Value) -> Value:
    """Return the hyperbolic cosine. Error below 0.8 ulp.

    With a = 2^(k-1) and b = 2^(-k-1), cosh x = (a + b) cosh r + (a - b) sinh r; what a + b loses is carried.
    """
    a, b, c, s, s_low = _halves(fabs(x))
    total, difference = a + b, a - b
    lost = b - (total - a)
    product = difference * s
    y = total + product
    rest = (product - (y - total)) + (lost + fma(difference, s, -product))
    y = y + fma(total, c, fma(difference, s_low, rest))
    return patch(outside(x, USUAL), y, lambda: _beyond(x))


@kernel("sinh")
def sinh(x: Value) -> Value:
    """Return the hyperbolic sine. Error below 0.8 ulp.

    With a = 2^(k-1) and b = 2^(-k-1), sinh x = (a - b) cosh r + (a + b) sinh r; what a - b loses is carried.
    """
    a, b, c, s, s_low = _halves(fabs(x))
    total, difference = a + b, a - b
    lost = (a - difference) - b
    product = total * s
    y = difference + product
    part = y - difference
    rest = ((difference - (y - part)) + (product - part)) + (lost + fma(total, s, -product))
    y = y + fma(difference, c, fma(total, s_low, rest))
    return patch(outside(x, USUAL), copysign(y, x), lambda: copysign(_beyond(x), x))


def _beyond(x: Value) -> Value:
    """Return e^|x| / 2, which is all that is left of either function where |x| is large or not finite."""
    return x.builder.kernel("half_exp", fabs(x))


@kernel("tanh")
def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent. Error below 0.7 ulp.

    With e = exp(2 |x|) - 1 as a sum of two, tanh |x| = e / (e + 2); the quotient is corrected once.
    """
    size = fabs(x)
    size = select(size > 20.0, 20.0, size)
    s, z, w = expm1_parts(size + size)
    z, w = fast_two_sum(z, w)
    a, rest = s * z, s * w
    below, above = s - 1.0, s + 1.0
    n, d = below + a, above + a
    n_low = ((below - n) + a) + (rest + ((s - below) - 1.0))
    d_low = ((above - d) + a) + (rest + ((s - above) + 1.0))
    inverse = 1.0 / d
    q = n * inverse
    y = fma(fma(-q, d, n) + fma(-q, d_low, n_low), inverse, q)
    return copysign(y, x)
