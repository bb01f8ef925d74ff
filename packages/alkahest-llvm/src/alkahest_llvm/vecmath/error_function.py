"""erf and erfc.

erf: x + x p(x^2) for |x| < 27/32; beyond, 1 - 2^(x q(x)), where x q(x) is log2 erfc x: that polynomial may be the
rougher the nearer erf is to 1, which saves half of its coefficients.

erfc: (1 + 9/8 x) exp(x^2) erfc x as a polynomial in (x - 4) / (x + 4) (the form is that of M. M. Shepherd and
J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < oo", Mathematics of Computation 36,
1981; the factor 9/8 makes it flat at 0), times exp(-x^2) with x^2 as a sum of two.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, fabs, fma, horner, select
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, patch, power_of_two, scale, two_product
from alkahest_llvm.vecmath.registry import kernel
from alkahest_llvm.vecmath.special_coefficients import ERF, ERF_TAIL, ERFC, ERFC_FIRST, EXP2
from alkahest_llvm.vecmath.twofold import exponential, linear, polynomial, times

_NEAR = 0.84375
_ONE_FROM = 6.0  # from here on erf is 1
_NORMAL = 26.0  # up to here erfc is a normal number
_ZERO_FROM = 28.0  # from here on erfc is 0
_CENTRE, _SLOPE = 4.0, 1.125


@kernel("erf")
def erf(x: Value) -> Value:
    """Return the error function. Error below 0.9 ulp."""
    size = fabs(x)
    near = fma(x, horner(x * x, ERF), x)
    return patch(~(size < _NEAR), near, lambda: copysign(_erf_far(size), x))


def _erf_far(size: Value) -> Value:
    """Return erf x for x >= 27/32 or nan."""
    size = select(size > _ONE_FROM, _ONE_FROM, size)
    q, q_low = linear(size, ERF_TAIL[:1], horner(size, ERF_TAIL[1:]))
    shifted = fma(size, q, EXPONENT_SHIFT)
    r = fma(size, q_low, fma(size, q, EXPONENT_SHIFT - shifted))
    return fma(-horner(r, EXP2), power_of_two(shifted), 1.0)


@kernel("erfc")
def erfc(x: Value) -> Value:
    """Return the complementary error function, 1 - erf x. Error below 0.8 ulp, subnormal results 1 ulp."""
    size = fabs(x)
    y, low, shifted = _erfc_parts(select(size > _NORMAL, _NORMAL, size))
    scaling = power_of_two(shifted)
    y, low = y * scaling, low * scaling
    total = 2.0 - y
    reflected = total + (((2.0 - total) - y) - low)
    y = select(x < 0.0, reflected, y + low)
    return patch(~(x < _NORMAL), y, lambda: x.builder.kernel("erfc_tail", x))


@kernel("erfc_tail", inline=False)
def erfc_tail(x: Value) -> Value:
    """Return erfc x for x >= 26 or nan."""
    y, low, shifted = _erfc_parts(select(x > _ZERO_FROM, _ZERO_FROM, x))
    return scale(y + low, shifted - EXPONENT_SHIFT)


def _erfc_parts(size: Value) -> tuple[Value, Value, Value]:
    """Return y and its correction, and `k + EXPONENT_SHIFT`, where erfc x = (y + correction) 2^k, for 0 <= x <= 28."""
    v, v_low, shifted = exponential(two_product(-size, size))
    slope = fma(size, _SLOPE, 1.0)
    slope_low = fma(size, _SLOPE, 1.0 - slope)
    above, below = size + _CENTRE, size - _CENTRE
    inverse = 1.0 / (above * slope)
    over_above, over_slope = slope * inverse, above * inverse
    t = below * over_above
    lost = fma(t, (above - _CENTRE) - size, size - (below + _CENTRE))
    t = fma(fma(-t, above, below) + lost, over_above, t)
    product, product_low = times((v, v_low), polynomial(t, ERFC_FIRST, ERFC))
    y = product * over_slope
    residual = fma(-y, slope, product) + fma(-y, slope_low, product_low)
    return y, residual * over_slope, shifted
