"""Numbers as sums of two doubles, the second far below the first: what intermediate results of long formulas are.

T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18, 1971.
"""

from __future__ import annotations

from collections.abc import Sequence

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import fabs, fma, horner, select
from alkahest_llvm.vecmath.coefficients import EXPM1, LN2, LOG2_E
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, fast_two_sum, two_product

Twofold = tuple[Value, Value]


def plus(a: Twofold, b: Twofold) -> Twofold:
    """Return a + b, whichever is larger (D. E. Knuth, "The Art of Computer Programming" 2, section 4.2.2)."""
    total = a[0] + b[0]
    part = total - a[0]
    error = (a[0] - (total - part)) + (b[0] - part)
    return fast_two_sum(total, error + (a[1] + b[1]))


def minus(a: Twofold) -> Twofold:
    """Return -a."""
    return -a[0], -a[1]


def magnitude(a: Twofold) -> Twofold:
    """Return |a|."""
    negative = a[0] < 0.0
    return fabs(a[0]), select(negative, -a[1], a[1])


def times(a: Twofold, b: Twofold) -> Twofold:
    """Return a b."""
    product, rest = two_product(a[0], b[0])
    return product, fma(a[1], b[0], fma(a[0], b[1], rest))


def times_one(a: Twofold, b: Value) -> Twofold:
    """Return a b."""
    product, rest = two_product(a[0], b)
    return product, fma(a[1], b, rest)


def over(a: Twofold, b: Twofold) -> Twofold:
    """Return a / b, with one division."""
    inverse = 1.0 / b[0]
    quotient = a[0] * inverse
    residual = fma(-quotient, b[0], a[0]) + fma(-quotient, b[1], a[1])
    return quotient, residual * inverse


def choose(condition: Value, a: Twofold, b: Twofold) -> Twofold:
    """Return a where the condition holds, else b."""
    return select(condition, a[0], b[0]), select(condition, a[1], b[1])


def linear(x: Value, first: Sequence[float], rest: Value) -> Twofold:
    """Return first + x rest; `first` is the larger, given as one or two doubles."""
    total = fma(x, rest, first[0])
    low = fma(x, rest, first[0] - total)
    return total, low if len(first) == 1 else low + first[1]


def polynomial(x: Value, first: Sequence[float], others: Sequence[float]) -> Twofold:
    """Return first + x (c[0] + x (c[1] + …)), of which the first two steps are twofold."""
    product, low = times_one(linear(x, others[:1], horner(x, others[1:])), x)
    total = first[0] + product
    low = ((first[0] - total) + product) + low
    return total, low if len(first) == 1 else low + first[1]


def exponential(a: Twofold) -> tuple[Value, Value, Value]:
    """Return v, v' and `k + EXPONENT_SHIFT`, where e^a = (v + v') 2^k, to about 2^-58 relatively, for |a| < 2000."""
    high, low = a
    shifted = fma(high, LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    exact = fma(k, -LN2[0], high)
    rest = fma(k, -LN2[1], low)
    r = exact + rest
    r_low = (exact - r) + rest
    one = 1.0 + r
    tail = fma(r * r, horner(r, EXPM1), fma(r, r_low, r_low))
    v, v_low = fast_two_sum(one, ((1.0 - one) + r) + tail)
    return v, v_low, shifted
