"""cbrt; sqrt is an instruction."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, equal, fabs, fma, from_bits, horner, select
from alkahest_llvm.vecmath.coefficients import INVERSE_CBRT
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    SMALLEST_NORMAL,
    not_normal_positive,
    power_of_two,
    signed,
    unless,
)
from alkahest_llvm.vecmath.registry import kernel

_THIRD = 1.0 / 3.0
_TWO_NINTHS = 2.0 / 9.0


def _cbrt_normal(size: Value) -> Value:
    """Return the cube root of a positive normal number.

    |x| = 2^(3 q) m with 1/2 <= m < 4; a polynomial for m^(-1/3), two Newton-like steps of third order, and one
    correction of the cube root itself with the residual in twofold precision.
    """
    b = bits(size)
    k = from_bits((b >> 52) | 0x4330000000000000) - (2.0**52 + 1023.0)
    m = from_bits((b & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000)
    shifted = fma(k, _THIRD, EXPONENT_SHIFT)
    left = fma(shifted - EXPONENT_SHIFT, -3.0, k)  # -1, 0 or 1
    m = m * select(equal(left, 0.0), 1.0, select(left > 0.0, 2.0, size.builder.constant(0.5, "double")))
    y = horner(m, INVERSE_CBRT)
    for _ in range(2):
        e = fma(-(m * y), y * y, 1.0)
        y = fma(y * e, fma(e, _TWO_NINTHS, _THIRD), y)
    y2 = y * y
    root = m * y2
    square = root * root
    residual = fma(-square, root, m) - fma(root, root, -square) * root
    root = fma(residual * _THIRD, y2, root)
    return root * power_of_two(shifted)


@kernel("cbrt")
def cbrt(x: Value) -> Value:
    """Return the cube root. Error below 0.51 ulp."""
    size = fabs(x)
    rare = not_normal_positive(size)
    return signed(unless(rare, lambda: _cbrt_normal(size), lambda: x.builder.kernel("cbrt_any", size)), x)


@kernel("cbrt_any", inline=False)
def cbrt_any(size: Value) -> Value:
    """Return the cube root of any number that is not negative, or nan."""
    small = size < SMALLEST_NORMAL
    y = _cbrt_normal(select(small, size * 2.0**54, size))
    y = select(small, y * 2.0**-18, y)
    return select((size > 0.0) & (size < float("inf")), y, size)
