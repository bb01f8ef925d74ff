"""asin, acos and atan.

Method: reduction to |t| <= 0.64, respectively |s| <= 1/2, with the error of the reduction carried where it matters, and
a polynomial (as in FreeBSD's e_asin.c and s_atan.c, Sun Microsystems, 1993).
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, fabs, fma, from_bits, select
from alkahest_llvm.vecmath.coefficients import ASIN, ATAN, HALF_PI, PI, QUARTER_PI
from alkahest_llvm.vecmath.common import SIGN, even_odd, signed, twofold_root
from alkahest_llvm.vecmath.registry import kernel

NEAR = 0.64  # atan without reduction up to here
_FAR = 2.0
# The second double of pi/4, pi/2 and pi is this times the first.
_REST = HALF_PI[1] / HALF_PI[0]


@kernel("atan")
def atan(x: Value) -> Value:
    """Return the inverse tangent. Error below 0.95 ulp.

    Beyond 2 the argument becomes -1/|x|, between that and 0.64 it becomes (|x| - 1) / (|x| + 1). Both quotients are so
    small, compared with the multiple of pi/4 that is added, that their rounding errors need not be carried.
    """
    zero = x.builder.constant(0.0, "double")
    size = fabs(x)
    middle, far = size > NEAR, size > _FAR
    top = select(far, -1.0, size - select(middle, 1.0, zero))
    bottom = select(far, size, select(middle, size, zero) + 1.0)
    t = top / bottom
    u = t * t
    base = select(far, HALF_PI[0], select(middle, QUARTER_PI[0], zero))
    return signed(base + (t + fma(u * t, even_odd(u, ATAN), base * _REST)), x)


def _asin_reduced(size: Value) -> tuple[Value, Value, Value]:
    """Return whether |x| >= 1/2, and s and p, where asin(s) = s + p and s is |x| or sqrt((1 - |x|) / 2)."""
    big = size >= 0.5
    half, square = fma(size, -0.5, 0.5), size * size
    z = select(square < half, square, half)  # the smaller one is the one that is wanted
    root, root_low = twofold_root(z)
    s = select(big, root, size)
    return big, s, fma(z * s, even_odd(z, ASIN), select(big, root_low, 0.0))


@kernel("asin")
def asin(x: Value) -> Value:
    """Return the inverse sine, nan outside [-1, 1]. Error below 0.85 ulp."""
    big, s, p = _asin_reduced(fabs(x))
    high = fma(s, -2.0, HALF_PI[0])
    low = fma(s, -2.0, HALF_PI[0] - high) + HALF_PI[1]
    return signed(select(big, high + fma(p, -2.0, low), s + p), x)


@kernel("acos")
def acos(x: Value) -> Value:
    """Return the inverse cosine, nan outside [-1, 1]. Error below 0.85 ulp.

    It is C + f asin(s): pi/2 - asin x, and where |x| is large 2 asin(s), or pi - 2 asin(s) for x < 0.
    """
    zero = x.builder.constant(0.0, "double")
    big, s, p = _asin_reduced(fabs(x))
    base = select(big, select(x < 0.0, PI[0], zero), HALF_PI[0])
    factor = select(big, 2.0, x.builder.constant(-1.0, "double"))
    factor = from_bits(bits(factor) ^ (bits(x) & SIGN))
    high = fma(s, factor, base)
    low = fma(base, _REST, fma(s, factor, base - high))
    return high + fma(p, factor, low)
