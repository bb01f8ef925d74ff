"""asinh, acosh and atanh.

Method: each is the logarithm of one plus something small for small results; that something is computed as a sum of two,
so that the logarithm sees it to more than double precision.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, equal, fabs, fma, is_nan, select, sqrt
from alkahest_llvm.vecmath.coefficients import LN2
from alkahest_llvm.vecmath.common import INF, NAN, fast_two_sum, patch, rough_reciprocal, two_product
from alkahest_llvm.vecmath.logarithm import log_of_sum
from alkahest_llvm.vecmath.registry import kernel

_FAR = 2.0**500  # squares of smaller numbers do not overflow
_LN2 = LN2[0] + LN2[1]


def log1p_of_sum(t: Value, t_low: Value) -> Value:
    """Return log(1 + t + t') for t >= 0 and |t'| below an ulp or two of t."""
    u = 1.0 + t
    c = select(u >= 2.0, 1.0 - (u - t), t - (u - 1.0))
    return log_of_sum(u, c + t_low)


def _root(v: Value, v_low: Value) -> tuple[Value, Value]:
    """Return sqrt(v + v') as a sum of two."""
    root = sqrt(v)
    return root, (fma(-root, root, v) + v_low) * (rough_reciprocal(root) * 0.5)


@kernel("asinh")
def asinh(x: Value) -> Value:
    """Return the inverse hyperbolic sine, log(1 + |x| + x^2 / (1 + sqrt(1 + x^2))). Error below 1.1 ulp."""
    size = fabs(x)
    square, square_low = two_product(size, size)
    v = 1.0 + square
    v_low = select(square > 1.0, 1.0 - (v - square), square - (v - 1.0)) + square_low
    root, root_low = _root(v, v_low)
    d, d_low = fast_two_sum(root, size.builder.constant(1.0, "double"))
    d_low = d_low + root_low
    inverse = 1.0 / d
    q = square * inverse
    q_low = ((fma(-q, d, square) + square_low) - q * d_low) * inverse
    t, t_low = fast_two_sum(size, q)
    y = log1p_of_sum(t, t_low + q_low)
    return copysign(patch(~(size < _FAR), y, lambda: _log_of_twice(size)), x)


@kernel("acosh")
def acosh(x: Value) -> Value:
    """Return the inverse hyperbolic cosine, log(x + sqrt((x - 1) (x + 1))). Error below 1.1 ulp."""
    a, b = x - 1.0, x + 1.0
    a_low, b_low = select(x < 2.0, 0.0, (x - a) - 1.0), select(x < 1.0, 0.0, 1.0 - (b - x))
    product, rest = two_product(a, b)
    root, root_low = _root(product, rest + fma(a, b_low, a_low * b))
    t, t_low = fast_two_sum(root, a)
    y = log1p_of_sum(t, t_low + (root_low + a_low))

    def rare() -> Value:
        return select(x < 1.0, NAN, _log_of_twice(x))

    return patch(~((x >= 1.0) & (x < _FAR)), y, rare)


def _log_of_twice(x: Value) -> Value:
    """Return log(2 x), for numbers so large that it is all that is left; infinity and nan as they are."""
    return x.builder.kernel("log_any", x) + _LN2


@kernel("atanh")
def atanh(x: Value) -> Value:
    """Return the inverse hyperbolic tangent, log(1 + 2 |x| / (1 - |x|)) / 2. Error below 1.1 ulp."""
    size = fabs(x)
    d = 1.0 - size
    d_low = (1.0 - d) - size
    inverse = 1.0 / d
    twice = size + size
    t = twice * inverse
    t_low = fma(-t, d_low, fma(-t, d, twice)) * inverse
    y = log1p_of_sum(t, t_low) * 0.5

    def rare() -> Value:
        pole = select(equal(size, 1.0), x.builder.constant(INF, "double"), NAN)
        return select(is_nan(x), x, pole)

    return copysign(patch(~(size < 1.0), y, rare), x)
