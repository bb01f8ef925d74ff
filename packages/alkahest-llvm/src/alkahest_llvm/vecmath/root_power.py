"""x^(n + 1/2) for a constant n, from one square root, with what pow makes of -0 and of -inf."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, fabs, fma, select, sqrt
from alkahest_llvm.vecmath.common import INF, rough_half_reciprocal, two_product

EXPONENTS = frozenset((0.5, 1.5, 2.5, -0.5, -1.5))
_FAR_BELOW = -(2.0**1000)  # any error of a product of doubles


def root_power(x: Value, exponent: float) -> Value:
    """Return x to one of the `EXPONENTS`: error below 1.5 ulp."""
    root = _root(x)
    if exponent == 0.5:
        return root
    if exponent == -0.5:
        return 1.0 / root
    if exponent == 1.5:
        return root * fabs(x)
    if exponent == -1.5:
        return _inverse_cube(x, root)
    return _fifth(x, root) if x.kind == "double" else root * (x * x)


def _root(x: Value) -> Value:
    memo = x.builder.memo
    if ("root", x.ref) not in memo:
        memo["root", x.ref] = select(equal(x, -INF), INF, sqrt(x) + 0.0)
    return memo["root", x.ref]


def _inverse_cube(x: Value, root: Value) -> Value:
    """Return x^-3/2 with an error below 0.6 ulp, subnormal results 1 ulp.

    It is the cube of 1/root, whose relative error follows from the residuals of the root and of the division. Only the
    last two operations are of the result's size, so that no digit is lost earlier than in the result.
    """
    inverse = 1.0 / root
    square, square_low = two_product(inverse, inverse)
    residual = fma(-root, inverse, 1.0)
    off = fma(fma(-root, root, x) * -1.5, square, residual * 3.0)  # relatively, of the cube
    low = fma(square, off, square_low) * inverse
    total = fma(square, inverse, low)
    return fabs(select(total.compare("ord", 0.0), total, square * inverse))  # as low may be anything after an overflow


def _fifth(x: Value, root: Value) -> Value:
    """Return x^5/2 with an error below 0.6 ulp, subnormal results 1 ulp, in the same way."""
    square, square_low = two_product(x, x)
    off = fma(-root, root, x) * rough_half_reciprocal(x)
    low = fma(square, off, square_low) * root
    low = select(low > _FAR_BELOW, low, _FAR_BELOW)  # of infinity and after an overflow it is nan or -inf
    return fma(square, root, low)
