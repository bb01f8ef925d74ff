"""asin, acos and atan.

Method: reduction to |t| <= tan(pi/8), respectively |s| <= 1/2, with the error of the reduction carried, and a
polynomial (as in FreeBSD's e_asin.c and s_atan.c, Sun Microsystems, 1993).
"""

from __future__ import annotations

import math

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, fabs, fma, horner, select, sqrt
from alkahest_llvm.vecmath.coefficients import ASIN, ATAN, HALF_PI, PI, QUARTER_PI
from alkahest_llvm.vecmath.common import rough_reciprocal
from alkahest_llvm.vecmath.registry import kernel

TAN_EIGHTH = math.sqrt(2.0) - 1.0
_TAN_THREE_EIGHTHS = math.sqrt(2.0) + 1.0


@kernel("atan")
def atan(x: Value) -> Value:
    """Return the inverse tangent. Error below 0.75 ulp.

    Beyond tan(3 pi/8) the argument becomes -1/|x|, between that and tan(pi/8) it becomes (|x| - 1) / (|x| + 1).
    """
    size = fabs(x)
    middle, high = size > TAN_EIGHTH, size > _TAN_THREE_EIGHTHS
    size = select(size > 1e300, 1e300, size)
    above, below = size + 1.0, size - 1.0
    n = select(high, -1.0, select(middle, below, size))
    d = select(high, size, select(middle, above, 1.0))
    between = middle & ~high
    n_low = select(between, size - (below + 1.0), 0.0)
    d_low = select(between, size - (above - 1.0), 0.0)
    inverse = 1.0 / d
    t = n * inverse
    t_low = (fma(-t, d, n) + fma(-t, d_low, n_low)) * inverse
    u = t * t
    p = fma(u * t, horner(u, ATAN), t_low)
    zero = x.builder.constant(0.0, "double")
    base = select(high, HALF_PI[0], select(middle, QUARTER_PI[0], zero))
    base_low = select(high, HALF_PI[1], select(middle, QUARTER_PI[1], zero))
    total = base + t
    y = total + ((t - (total - base)) + (p + base_low))
    return copysign(y, x)


def _asin_reduced(size: Value) -> tuple[Value, Value, Value]:
    """Return whether |x| >= 1/2, and s and p, where asin(s) = s + p and s is |x| or sqrt((1 - |x|) / 2)."""
    big = size >= 0.5
    z = select(big, fma(size, -0.5, 0.5), size * size)
    root = sqrt(z)
    root_low = fma(-root, root, z) * (rough_reciprocal(root) * 0.5)
    s = select(big, root, size)
    p = fma(z * s, horner(z, ASIN), select(big, root_low, 0.0))
    return big, s, p


@kernel("asin")
def asin(x: Value) -> Value:
    """Return the inverse sine, nan outside [-1, 1]. Error below 0.65 ulp."""
    size = fabs(x)
    big, s, p = _asin_reduced(size)
    twice = s + s
    h = HALF_PI[0] - twice
    from_right = h + (((HALF_PI[0] - h) - twice) + (HALF_PI[1] - (p + p)))
    y = select(big, from_right, s + p)
    return copysign(y, x)


@kernel("acos")
def acos(x: Value) -> Value:
    """Return the inverse cosine, nan outside [-1, 1]. Error below 0.65 ulp."""
    big, s, p = _asin_reduced(fabs(x))
    negative = x < 0.0
    signed, signed_p = select(negative, -s, s), select(negative, -p, p)
    h = HALF_PI[0] - signed
    middle = h + (((HALF_PI[0] - h) - signed) + (HALF_PI[1] - signed_p))
    twice = s + s
    g = PI[0] - twice
    left = g + (((PI[0] - g) - twice) + (PI[1] - (p + p)))
    return select(big, select(negative, left, (s + p) * 2.0), middle)
