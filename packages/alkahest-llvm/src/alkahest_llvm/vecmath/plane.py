"""hypot and atan2: length and direction of a vector of the plane."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, equal, fabs, fma, horner, is_nan, select, sqrt
from alkahest_llvm.vecmath.coefficients import ATAN, HALF_PI, PI, QUARTER_PI, THREE_QUARTERS_PI
from alkahest_llvm.vecmath.common import INF, fast_two_sum, patch, rough_reciprocal, two_product
from alkahest_llvm.vecmath.inverse_trigonometric import TAN_EIGHTH
from alkahest_llvm.vecmath.registry import kernel

_LARGE, _SMALL = 2.0**500, 2.0**-500
_STEEP = 2.0**-60  # where the ratio is smaller, it is its own arctangent


def _ordered(x: Value, y: Value) -> tuple[Value, Value]:
    """Return the smaller and the larger absolute value."""
    a, b = fabs(x), fabs(y)
    swap = a > b
    return select(swap, b, a), select(swap, a, b)


def _length(n: Value, d: Value) -> Value:
    """Return sqrt(n^2 + d^2) for n <= d, the sum of squares and the root corrected."""
    square, square_low = two_product(d, d)
    other, other_low = two_product(n, n)
    total, error = fast_two_sum(square, other)
    root = sqrt(total)
    rest = (fma(-root, root, total) + error) + (square_low + other_low)
    return fma(rest, rough_reciprocal(root) * 0.5, root)


@kernel("hypot")
def hypot(x: Value, y: Value) -> Value:
    """Return sqrt(x^2 + y^2) without overflow or underflow on the way. Error below 0.51 ulp, subnormal 1 ulp."""
    n, d = _ordered(x, y)
    usual = (d > _SMALL) & (d < _LARGE)
    return patch(~usual, _length(n, d), lambda: x.builder.kernel("hypot_any", n, d))


@kernel("hypot_any", inline=False)
def hypot_any(n: Value, d: Value) -> Value:
    """Return sqrt(n^2 + d^2) of any two numbers that are not negative; infinity beats nan."""
    down, up = 2.0**-600, 2.0**600
    one = n.builder.constant(1.0, "double")
    factor = select(d > _LARGE, down, select(d < _SMALL, up, one))
    back = select(d > _LARGE, up, select(d < _SMALL, down, one))
    y = _length(n * factor, d * factor) * back
    y = select(equal(d, 0.0) & equal(n, 0.0), 0.0, y)
    y = select(is_nan(n) | is_nan(d), n + d, y)
    return select(equal(n, INF) | equal(d, INF), INF, y)


def _angle(n: Value, d: Value) -> tuple[Value, Value, Value]:
    """Return whether n/d > tan(pi/8), and t and p, where atan(n/d) is t + p, with pi/4 more in that case.

    n <= d. As in `atan`, a steep ratio becomes (n - d) / (n + d).
    """
    middle = n > d * TAN_EIGHTH
    below, below_low = fast_two_sum(-d, n)
    above, above_low = fast_two_sum(d, n)
    top, top_low = select(middle, below, n), select(middle, below_low, 0.0)
    bottom, bottom_low = select(middle, above, d), select(middle, above_low, 0.0)
    inverse = 1.0 / bottom
    t = top * inverse
    t_low = (fma(-t, bottom, top) + fma(-t, bottom_low, top_low)) * inverse
    u = t * t
    return middle, t, fma(u * t, horner(u, ATAN), t_low)


def _turned(y: Value, x: Value, middle: Value, t: Value, p: Value) -> Value:
    """Return the angle of (x, y) from that of the first octant: C + t + p or C - t - p, C a multiple of pi/4."""
    steep, left = fabs(y) > fabs(x), copysign(1.0, x) < 0.0
    flip = steep ^ left
    t, p = select(flip, -t, t), select(flip, -p, p)
    zero = x.builder.constant(0.0, "double")

    def turn(part: int) -> Value:
        between = select(left, THREE_QUARTERS_PI[part], x.builder.constant(QUARTER_PI[part], "double"))
        return select(middle, between, select(steep, HALF_PI[part], select(left, PI[part], zero)))

    base = turn(0)
    total = base + t
    return copysign(total + ((t - (total - base)) + (p + turn(1))), y)


@kernel("atan2")
def atan2(y: Value, x: Value) -> Value:
    """Return the angle of the point (x, y), in [-pi, pi]. Error below 0.8 ulp."""
    n, d = _ordered(x, y)
    usual = (n > _SMALL) & (d < _LARGE)
    return patch(~usual, _turned(y, x, *_angle(n, d)), lambda: x.builder.kernel("atan2_any", y, x))


@kernel("atan2_any", inline=False)
def atan2_any(y: Value, x: Value) -> Value:
    """Return the angle of any point, special cases as C99 F.9.1.4 lists them."""
    n, d = _ordered(x, y)
    both = equal(n, INF)
    n, d = select(both, 1.0, n), select(both, 1.0, d)
    ratio = select(equal(n, 0.0) | equal(d, INF), 0.0, n / d)
    factor = select(d > _LARGE, 2.0**-550, select(d < _SMALL, 2.0**550, x.builder.constant(1.0, "double")))
    middle, t, p = _angle(n * factor, d * factor)
    tiny = ratio < _STEEP
    t, p = select(tiny, ratio, t), select(tiny, 0.0, p)
    angle = _turned(y, x, middle & ~tiny, t, p)
    return select(is_nan(x) | is_nan(y), x + y, angle)
