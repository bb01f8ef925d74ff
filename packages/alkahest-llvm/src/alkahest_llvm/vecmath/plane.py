"""hypot and atan2: length and direction of a vector of the plane."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, equal, fabs, fma, from_bits, is_nan, select, sqrt
from alkahest_llvm.vecmath.coefficients import ATAN, HALF_PI, PI, QUARTER_PI, THREE_QUARTERS_PI
from alkahest_llvm.vecmath.common import (
    INF,
    SIGN,
    even_odd,
    fast_two_sum,
    rough_half_reciprocal,
    rough_reciprocal,
    signed,
    two_product,
    unless,
)
from alkahest_llvm.vecmath.inverse_trigonometric import NEAR
from alkahest_llvm.vecmath.registry import kernel

_LARGE, _SMALL = 2.0**500, 2.0**-500
_STEEP = 2.0**-60  # where the ratio is smaller, it is its own arctangent
_REST = HALF_PI[1] / HALF_PI[0]  # the second double of a multiple of pi/4 is this times the first


def _ordered(x: Value, y: Value) -> tuple[Value, Value]:
    """Return the smaller and the larger absolute value; nan is among them if it was."""
    a, b = fabs(x), fabs(y)
    less = a < b
    return select(less, a, b), select(less, b, a)


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
    usual = (d > _SMALL) & (d < _LARGE) & (n >= 0.0)
    return unless(~usual, lambda: _length(n, d), lambda: x.builder.kernel("hypot_any", x, y))


@kernel("hypot_any", inline=False)
def hypot_any(x: Value, y: Value) -> Value:
    """Return sqrt(x^2 + y^2) of any two numbers; infinity beats nan."""
    n, d = _ordered(x, y)
    down, up = 2.0**-600, 2.0**600
    one = n.builder.constant(1.0, "double")
    factor = select(d > _LARGE, down, select(d < _SMALL, up, one))
    back = select(d > _LARGE, up, select(d < _SMALL, down, one))
    r = _length(n * factor, d * factor) * back
    r = select(equal(d, 0.0) & equal(n, 0.0), 0.0, r)
    r = select(is_nan(x) | is_nan(y), x + y, r)
    return select(equal(fabs(x), INF) | equal(fabs(y), INF), INF, r)


def _turned(y: Value, x: Value, n: Value, d: Value) -> Value:
    """Return the angle of (x, y), where 0 <= n <= d are |x| and |y| or a multiple of them: C ± atan(n/d).

    C is a multiple of pi/2; where n > 0.64 d it is an odd multiple of pi/4, and n/d becomes (n - d) / (n + d).
    """
    zero = x.builder.constant(0.0, "double")
    middle = n > d * NEAR
    steep, left = fabs(y) > fabs(x), bits(x) & SIGN
    flip = select(steep, SIGN, x.builder.constant(0, "i64")) ^ left
    top = from_bits(bits(n - select(middle, d, zero)) ^ flip)
    bottom = select(middle, n, zero) + d
    t = top / bottom
    u = t * t
    # The rounding error of t, times the derivative of atan.
    t_low = fma(-t, bottom, top) * (rough_half_reciprocal(fma(bottom, u, bottom)) * 2.0)
    is_left = left < 0
    between = select(is_left, THREE_QUARTERS_PI[0], x.builder.constant(QUARTER_PI[0], "double"))
    base = select(middle, between, select(steep, HALF_PI[0], select(is_left, PI[0], zero)))
    return signed(base + (t + fma(u * t, even_odd(u, ATAN), fma(base, _REST, t_low))), y)


@kernel("atan2")
def atan2(y: Value, x: Value) -> Value:
    """Return the angle of the point (x, y), in [-pi, pi]. Error below 0.95 ulp, subnormal results 1 ulp."""
    n, d = _ordered(x, y)
    return unless(~_usual(n, d), lambda: _turned(y, x, n, d), lambda: x.builder.kernel("atan2_any", y, x))


def _usual(n: Value, d: Value) -> Value:
    return (n > _SMALL) & (d < _LARGE)


@kernel("atan2_any", inline=False)
def atan2_any(y: Value, x: Value) -> Value:
    """Return the angle of any point, special cases as C99 F.9.1.4 lists them."""
    n, d = _ordered(x, y)
    usual = _usual(n, d)
    both = equal(n, INF)
    n, d = select(both, 1.0, n), select(both, 1.0, d)
    # A ratio that may underflow, or has a zero or an infinity in it, must not meet products.
    ratio = select(equal(n, 0.0) | equal(d, INF), 0.0, n / d)
    tiny = ~usual & (ratio < _STEEP)
    factor = select(d > _LARGE, 2.0**-550, select(d < _SMALL, 2.0**550, x.builder.constant(1.0, "double")))
    angle = _turned(y, x, select(tiny, ratio, n * factor), select(tiny, 1.0, d * factor))
    return select(is_nan(x) | is_nan(y), x + y, angle)
