"""A fact: bounds of the values of an expression, whether an end is reached, whether integer, whether zero."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

Bound = int | Fraction | float  # a float is an infinity only
INF = math.inf
_LONGEST = 256  # bits of a bound: a longer one is given up


class Fact(NamedTuple):
    """The values lie between `low` and `high`; an end that is `open` is not reached; never 0 where `nonzero`.

    >>> Fact(low=0).positive, Fact(low=0, low_open=False).positive
    (True, False)
    """

    low: Bound = -INF
    high: Bound = INF
    low_open: bool = True
    high_open: bool = True
    integer: bool = False
    nonzero: bool = False

    @property
    def positive(self) -> bool:
        """Whether all values are above 0."""
        return self.low > 0 or (self.low == 0 and (self.low_open or self.nonzero))

    @property
    def negative(self) -> bool:
        """Whether all values are below 0."""
        return self.high < 0 or (self.high == 0 and (self.high_open or self.nonzero))

    @property
    def nonnegative(self) -> bool:
        """Whether no value is below 0."""
        return self.low >= 0

    @property
    def nonpositive(self) -> bool:
        """Whether no value is above 0."""
        return self.high <= 0

    @property
    def not_zero(self) -> bool:
        """Whether no value is 0."""
        return self.nonzero or self.positive or self.negative

    @property
    def exact(self) -> bool:
        """Whether there is one value only."""
        return self.low == self.high

    @property
    def impossible(self) -> bool:
        """Whether there is no value at all: what is known contradicts itself."""
        if self.low == self.high:
            return self.low_open or self.high_open or (self.nonzero and self.low == 0)
        return self.low > self.high


ANY = Fact()
POSITIVE = Fact(low=0, nonzero=True)
NONNEGATIVE = Fact(low=0, low_open=False)
NEGATIVE = Fact(high=0, nonzero=True)
NONPOSITIVE = Fact(high=0, high_open=False)
NONZERO = Fact(nonzero=True)
INTEGER = Fact(integer=True)
DOMAINS = {
    "real": ANY,
    "positive": POSITIVE,
    "nonnegative": NONNEGATIVE,
    "nonzero": NONZERO,
    "integer": INTEGER,
}


def exactly(value: int | Fraction) -> Fact:
    """Return the fact of one exact number.

    >>> exactly(2).integer, exactly(Fraction(1, 2)).integer
    (True, False)
    """
    return Fact(value, value, False, False, value.denominator == 1, value != 0)


def both(one: Fact, other: Fact) -> Fact:
    """Return what is known where two facts hold of the same values.

    >>> both(NONNEGATIVE, NONZERO).positive
    True
    """
    low, low_open = max((one.low, one.low_open), (other.low, other.low_open))
    high, high_closed = min((one.high, not one.high_open), (other.high, not other.high_open))
    return made(low, high, low_open, not high_closed, one.integer or other.integer, one.nonzero or other.nonzero)


def either(one: Fact, other: Fact) -> Fact:
    """Return what is known where one of two facts holds.

    >>> either(exactly(1), exactly(3)).positive
    True
    """
    low, low_open = min((one.low, one.low_open), (other.low, other.low_open))
    high, high_closed = max((one.high, not one.high_open), (other.high, not other.high_open))
    nonzero = one.not_zero and other.not_zero
    return made(low, high, low_open, not high_closed, one.integer and other.integer, nonzero)


def made(
    low: Bound, high: Bound, low_open: bool, high_open: bool, integer: bool = False, nonzero: bool = False
) -> Fact:
    """Return a fact in its normal form.

    An infinite end is open, a bound that has become long is given up, the bounds of integers are integers.

    >>> made(Fraction(1, 2), 4, True, True, integer=True)[:4]
    (1, 3, False, False)
    """
    if _is_long(low):
        low, low_open = -INF, True
    if _is_long(high):
        high, high_open = INF, True
    if integer:
        if not isinstance(low, float):
            low, low_open = math.floor(low) + 1 if low_open else math.ceil(low), False
        if not isinstance(high, float):
            high, high_open = math.ceil(high) - 1 if high_open else math.floor(high), False
    if nonzero:
        low, low_open = _beyond_zero(low, low_open, 1 if integer else 0)
        high, high_open = _beyond_zero(high, high_open, -1 if integer else 0)
    elif low > 0 or high < 0 or (low == 0 and low_open) or (high == 0 and high_open):
        nonzero = True
    return Fact(low, high, low_open, high_open, integer or _is_whole(low, high), nonzero)


def _is_whole(low: Bound, high: Bound) -> bool:
    return low == high and not isinstance(low, float) and low.denominator == 1


def _beyond_zero(bound: Bound, is_open: bool, following: int) -> tuple[Bound, bool]:
    """Return a bound of values that are not 0: an integer's is the next one."""
    if bound != 0:
        return bound, is_open
    return following, not following


def _is_long(bound: Bound) -> bool:
    if isinstance(bound, float):  # an infinity, of either sign: no bound
        return True
    return bound.numerator.bit_length() + bound.denominator.bit_length() > _LONGEST
