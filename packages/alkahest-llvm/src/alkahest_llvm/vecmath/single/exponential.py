"""exp, and tanh with it, of floats.

exp is computed as in `vecmath.exponential`. tanh: x + x^3 p(x^2) for |x| < 1; beyond, 1 - 2 / (exp(2 |x|) + 1).
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, fabs, fma, horner, select
from alkahest_llvm.vecmath.common import outside, patch
from alkahest_llvm.vecmath.registry import single_kernel
from alkahest_llvm.vecmath.single.coefficients import EXP, LN2, LOG2_E, TANH
from alkahest_llvm.vecmath.single.common import EXPONENT_SHIFT, power_of_two, scale

_USUAL = 87.0  # for |x| below this 2^k and the result are normal numbers
_NEAR = 1.0
_ONE_FROM = 10.0  # from here on tanh is 1


def _reduced(x: Value) -> tuple[Value, Value, Value]:
    """Return `k + EXPONENT_SHIFT`, k and r, where x = k ln 2 + r."""
    shifted = fma(x, LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    return shifted, k, fma(k, -LN2[1], fma(k, -LN2[0], x))


def _near_one(r: Value) -> Value:
    h = 1.0 + r
    return h + fma(r * r, horner(r, EXP), (1.0 - h) + r)


def _exp_usual(x: Value) -> Value:
    shifted, _, r = _reduced(x)
    return _near_one(r) * power_of_two(shifted)


@single_kernel("expf", serves=("exp",))
def exp(x: Value) -> Value:
    """Return e^x. Error below 0.85 ulp, with subnormal results 1 ulp."""
    return patch(outside(x, _USUAL), _exp_usual(x), lambda: x.builder.kernel("expf_any", x))


@single_kernel("expf_any", inline=False)
def exp_any(x: Value) -> Value:
    """Return e^x for any x: infinities, nan, overflow and subnormal results."""
    clamped = select(x > 89.0, 89.0, x)
    clamped = select(clamped < -105.0, -105.0, clamped)
    _, k, r = _reduced(clamped)
    return scale(_near_one(r), k)


@single_kernel("tanhf", serves=("tanh", "tanh_fast"))
def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent. Error below 1 ulp."""
    size = fabs(x)
    u = x * x
    near = fma(u * size, horner(u, TANH), size)

    def far() -> Value:
        e = _exp_usual(select(size > _ONE_FROM, 2.0 * _ONE_FROM, size + size))
        return 1.0 - 2.0 / (e + 1.0)

    return copysign(patch(~(size < _NEAR), near, far), x)
