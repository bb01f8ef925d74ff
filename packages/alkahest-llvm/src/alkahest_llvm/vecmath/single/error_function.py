"""erf of floats, as in `vecmath.error_function`."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, fabs, fma, horner, select
from alkahest_llvm.vecmath.common import patch
from alkahest_llvm.vecmath.registry import single_kernel
from alkahest_llvm.vecmath.single.coefficients import ERF, ERF_TAIL, EXP2_SHORT
from alkahest_llvm.vecmath.single.common import EXPONENT_SHIFT, power_of_two
from alkahest_llvm.vecmath.twofold import linear

_NEAR = 0.84375
_ONE_FROM = 4.0  # from here on erf is 1


@single_kernel("erff", serves=("erf",))
def erf(x: Value) -> Value:
    """Return the error function. Error below 0.9 ulp."""
    size = fabs(x)
    near = fma(x, horner(x * x, ERF), x)
    return patch(~(size < _NEAR), near, lambda: copysign(_far(size), x))


def _far(size: Value) -> Value:
    """Return erf x for x >= 27/32 or nan."""
    size = select(size > _ONE_FROM, _ONE_FROM, size)
    q, q_low = linear(size, ERF_TAIL[:1], horner(size, ERF_TAIL[1:]))
    shifted = fma(size, q, EXPONENT_SHIFT)
    r = fma(size, q_low, fma(size, q, EXPONENT_SHIFT - shifted))
    return fma(-horner(r, EXP2_SHORT), power_of_two(shifted), 1.0)
