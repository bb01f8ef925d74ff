"""asinh, acosh and atanh.

Method: each is the logarithm of one plus something small for small results; that something is computed as a sum of two,
so that the logarithm sees it to more than double precision.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, equal, fabs, fma, is_nan, select
from alkahest_llvm.vecmath.common import (
    INF,
    NAN,
    fast_two_sum,
    outside,
    rough_half_reciprocal,
    signed,
    two_product,
    twofold_root,
    unless,
)
from alkahest_llvm.vecmath.logarithm import log_of_sum
from alkahest_llvm.vecmath.registry import kernel

_FAR = 2.0**500  # squares of smaller numbers do not overflow
_TINY = 2.0**-28  # below this, asinh x and atanh x are x


def log1p_of_sum(t: Value, t_low: Value) -> Value:
    """Return log(1 + t + t') for t >= 0 and |t'| below an ulp or two of t."""
    u = 1.0 + t
    part = u - 1.0
    return log_of_sum(u, ((1.0 - (u - part)) + (t - part)) + t_low)


@kernel("asinh")
def asinh(x: Value) -> Value:
    """Return the inverse hyperbolic sine, log(1 + |x| + x^2 / (1 + sqrt(1 + x^2))). Error below 0.95 ulp."""
    return unless(outside(x, _FAR), lambda: signed(_asinh(fabs(x)), x), lambda: x.builder.kernel("asinh_any", x))


def _asinh(size: Value) -> Value:
    square, square_low = two_product(size, size)
    v = 1.0 + square
    part = v - 1.0
    v_low = ((1.0 - (v - part)) + (square - part)) + square_low
    root, root_low = twofold_root(v)
    root_low = fma(v_low, rough_half_reciprocal(root), root_low)
    d, d_low = fast_two_sum(root, size.builder.constant(1.0, "double"))
    d_low = d_low + root_low
    inverse = 1.0 / d
    q = square * inverse
    q_low = ((fma(-q, d, square) + square_low) - q * d_low) * inverse
    t, t_low = fast_two_sum(size, q)
    return select(size < _TINY, size, log1p_of_sum(t, t_low + q_low))


@kernel("asinh_any", inline=False)
def asinh_any(x: Value) -> Value:
    """Return the inverse hyperbolic sine of any x."""
    size = fabs(x)
    return copysign(select(outside(x, _FAR), x.builder.kernel("log_of_twice", size), _asinh(size)), x)


@kernel("acosh")
def acosh(x: Value) -> Value:
    """Return the inverse hyperbolic cosine, log(x + sqrt((x - 1) (x + 1))). Error below 0.95 ulp."""
    return unless(~_usual(x), lambda: _acosh(x), lambda: x.builder.kernel("acosh_any", x))


def _usual(x: Value) -> Value:
    return (x >= 1.0) & (x < _FAR)


def _acosh(x: Value) -> Value:
    a, b = x - 1.0, x + 1.0
    a_low, b_low = (x - a) - 1.0, 1.0 - (b - x)
    product, rest = two_product(a, b)
    root, root_low = twofold_root(product)
    rest = rest + fma(a, b_low, a_low * b)
    t, t_low = fast_two_sum(root, a)
    return log1p_of_sum(t, t_low + (fma(rest, rough_half_reciprocal(root), root_low) + a_low))


@kernel("acosh_any", inline=False)
def acosh_any(x: Value) -> Value:
    """Return the inverse hyperbolic cosine of any x, nan below 1."""
    return select(_usual(x), _acosh(x), select(x < 1.0, NAN, x.builder.kernel("log_of_twice", x)))


@kernel("atanh")
def atanh(x: Value) -> Value:
    """Return the inverse hyperbolic tangent, log(1 + 2 |x| / (1 - |x|)) / 2. Error below 0.95 ulp."""
    return unless(outside(x, 1.0), lambda: signed(_atanh(fabs(x)), x), lambda: x.builder.kernel("atanh_any", x))


def _atanh(size: Value) -> Value:
    d = 1.0 - size
    d_low = (1.0 - d) - size
    inverse = 1.0 / d
    twice = size + size
    t = twice * inverse
    t_low = fma(-t, d_low, fma(-t, d, twice)) * inverse
    return select(size < _TINY, size, log1p_of_sum(t, t_low) * 0.5)


@kernel("atanh_any", inline=False)
def atanh_any(x: Value) -> Value:
    """Return the inverse hyperbolic tangent of any x: an infinity for ±1, nan outside [-1, 1]."""
    size = fabs(x)
    pole = select(equal(size, 1.0), x.builder.constant(INF, "double"), NAN)
    y = select(outside(x, 1.0), select(is_nan(x), x, pole), _atanh(size))
    return copysign(y, x)
