"""Facts of sums, products and powers from the facts of their operands: interval arithmetic with exact ends."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from alkahest.symbolic.facts.fact import (
    ANY,
    INF,
    NONNEGATIVE,
    NONZERO,
    POSITIVE,
    Bound,
    Fact,
    both,
    exactly,
    made,
)

# Above this exponent the ends of a power are not worked out.
_MAX_EXPONENT = 64


def add(a: Fact, b: Fact) -> Fact:
    """Return the fact of a + b."""
    if a.impossible or b.impossible:
        return ANY
    return made(
        a.low + b.low, a.high + b.high, a.low_open or b.low_open, a.high_open or b.high_open, a.integer and b.integer
    )


def neg(a: Fact) -> Fact:
    """Return the fact of -a."""
    return Fact(-a.high, -a.low, a.high_open, a.low_open, a.integer, a.nonzero)


def mul(a: Fact, b: Fact) -> Fact:
    """Return the fact of a * b."""
    corners = [
        _corner(x, x_open, y, y_open)
        for x, x_open in ((a.low, a.low_open), (a.high, a.high_open))
        for y, y_open in ((b.low, b.low_open), (b.high, b.high_open))
    ]
    low, low_open = min(corners)
    high, high_closed = max([(value, not is_open) for value, is_open in corners])
    return made(low, high, low_open, not high_closed, a.integer and b.integer, a.not_zero and b.not_zero)


def _corner(x: Bound, x_open: bool, y: Bound, y_open: bool) -> tuple[Bound, bool]:
    """Return the product of two ends, and whether it is open: 0, where it is reached, times anything is 0."""
    if x == 0 or y == 0:
        return 0, not ((x == 0 and not x_open) or (y == 0 and not y_open))
    return x * y, x_open or y_open


def inverse(a: Fact) -> Fact:
    """Return the fact of 1 / a."""
    if a.low < 0 < a.high or a.low == a.high == 0 or a.impossible:
        return NONZERO
    if a.low < 0:
        return neg(inverse(neg(a)))
    low = 0 if isinstance(a.high, float) else Fraction(1) / a.high
    high = INF if a.low == 0 else Fraction(1) / Fraction(a.low)
    return made(low, high, a.high_open, a.low_open, nonzero=True)


def div(a: Fact, b: Fact) -> Fact:
    """Return the fact of a / b."""
    return mul(a, inverse(b))


def power(a: Fact, b: Fact) -> Fact:
    """Return the fact of a ** b."""
    if b.exact and b.integer:
        return whole_power(a, int(b.low))
    if b.exact and not b.impossible:  # a root: of nothing below 0
        base = both(a, NONNEGATIVE)
        if b.low > 0:
            return rising(base, one=True)
        return POSITIVE
    if a.positive:
        return POSITIVE
    return NONNEGATIVE if a.nonnegative else ANY


def whole_power(a: Fact, n: int) -> Fact:
    """Return the fact of a ** n."""
    if n < 0:
        return inverse(whole_power(a, -n))
    if n == 0:
        return exactly(1)
    if n % 2 == 0:
        a = absolute(a)
    if n > _MAX_EXPONENT:
        return rising(a, one=True, integer=a.integer) if a.nonnegative else Fact(integer=a.integer, nonzero=a.not_zero)
    low = -INF if isinstance(a.low, float) else a.low**n
    high = INF if isinstance(a.high, float) else a.high**n
    return made(low, high, a.low_open, a.high_open, a.integer, a.not_zero)


def absolute(a: Fact) -> Fact:
    """Return the fact of abs(a)."""
    if a.nonnegative:
        return a
    if a.nonpositive:
        return neg(a)
    high, high_closed = max((-a.low, not a.low_open), (a.high, not a.high_open))
    return made(0, high, False, not high_closed, a.integer, a.not_zero)


def rising(a: Fact, *, one: bool = False, integer: bool = False) -> Fact:
    """Return what is known of f(a) for an odd increasing f; where `one`, f(1) = 1 as well.

    >>> rising(Fact(2, 5), one=True)[:4]
    (1, inf, True, True)
    """
    points = (1, 0, -1) if one else (0,)
    low, low_open = _known_below(a.low, a.low_open, points)
    high, high_open = _known_below(-a.high, a.high_open, points)
    return made(low, -high, low_open, high_open, integer, a.not_zero)


def _known_below(end: Bound, is_open: bool, points: tuple[int, ...]) -> tuple[Bound, bool]:
    """Return the bound of f(x) for x >= end, from the last of the points that f leaves where they are."""
    for point in points:
        if end >= point:
            return point, is_open or end != point
    return -INF, True


def bounded(limit: Bound) -> Callable[[Fact], Fact]:
    """Return the rule of an odd increasing function that stays between -limit and limit."""

    def rule(a: Fact) -> Fact:
        found = rising(a)
        return both(found, Fact(-limit, limit))

    return rule


def least(a: Fact, b: Fact) -> Fact:
    """Return the fact of min(a, b)."""
    return neg(greatest(neg(a), neg(b)))


def greatest(a: Fact, b: Fact) -> Fact:
    """Return the fact of max(a, b)."""
    low, low_open = max((a.low, a.low_open), (b.low, b.low_open))
    high, high_closed = max((a.high, not a.high_open), (b.high, not b.high_open))
    nonzero = (a.not_zero and b.not_zero) or a.positive or b.positive
    return made(low, high, low_open, not high_closed, a.integer and b.integer, nonzero)
