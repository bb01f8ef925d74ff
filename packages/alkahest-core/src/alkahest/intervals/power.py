"""The interval rule of powers: whole exponents by parity, others for bases above zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alkahest.intervals.arithmetic import div, is_empty, square
from alkahest.intervals.elementary import sqrt
from alkahest.intervals.interval import (
    Interval,
    Reals,
    chosen,
    corners,
    empty_like,
    hull,
    interval,
    magnitude,
    negated,
    widened,
)
from alkahest.intervals.table import interval_rule
from alkahest.prims.arithmetic import power_array


@interval_rule("pow")
def power(x: Interval, y: Interval) -> Interval:
    """Return x to the power y.

    A negative base has powers at whole exponents alone, as with C99's `pow`; an interval of exponents that is not
    one whole number is therefore not defined there.
    """
    whole = (y.lo == y.hi) & (np.rint(y.lo) == y.lo)
    found = chosen(whole, _whole_power(x, y), _any_power(x, y))
    for exponent, rule in _EXACT.items():
        is_it = (y.lo == exponent) & (y.hi == exponent)
        if np.any(is_it):
            found = chosen(is_it, rule(x), found)
    kept = chosen(is_empty(x) | is_empty(y), empty_like(found), found)
    return interval(kept.lo, kept.hi, kept, x, y)


def _reciprocal(x: Interval) -> Interval:
    one = np.ones_like(x.lo)
    return div(Interval(one, one, np.ones_like(x.defined)), x)


def _itself(x: Interval) -> Interval:
    return x


_EXACT: dict[float, Callable[[Interval], Interval]] = {2.0: square, 1.0: _itself, -1.0: _reciprocal, 0.5: sqrt}


def _positive_power(x: Interval, y: Interval) -> tuple[Reals, Reals]:
    """Return the bounds of the power of bases not below zero: it is monotone in base and exponent by themselves."""
    lo, hi = widened(*corners(power_array, power_array, x, y))
    one = (y.lo == 0.0) & (y.hi == 0.0)
    return np.where(one, 1.0, np.maximum(lo, 0.0)), np.where(one, 1.0, hi)


def _whole_power(x: Interval, n: Interval) -> Interval:
    """Return the power for thin whole exponents: even ones depend on the size of the base alone."""
    even = np.rint(n.lo * 0.5) * 2.0 == n.lo
    pole = (n.lo < 0.0) & x.contains(0.0)
    size = magnitude(x)
    # Where the base is zero alone, a power below zero has no value; the corners give its limit.
    lo, hi = _positive_power(size, n)
    right, left = clipped_at_zero(x), clipped_at_zero(negated(x))
    odd_lo, odd_hi = _positive_power(right, n)
    mirrored = _positive_power(left, n)
    odd_lo, odd_hi = hull((odd_lo, odd_hi), (-mirrored[1], -mirrored[0]))
    only_zero = pole & (size.hi == 0.0)
    lo, hi = np.where(even, lo, odd_lo), np.where(even, hi, odd_hi)
    return interval(np.where(only_zero, np.nan, lo), np.where(only_zero, np.nan, hi), x, where=~pole)


def clipped_at_zero(x: Interval) -> Interval:
    """Return the part not below zero, as far as there is one."""
    none = ~(x.hi >= 0.0)
    lo, hi = np.where(none, np.nan, np.maximum(x.lo, 0.0)), np.where(none, np.nan, np.abs(x.hi))
    return Interval(lo, hi, x.defined)


def _any_power(x: Interval, y: Interval) -> Interval:
    """Return the power for exponents that are not one whole number."""
    lo, hi = _positive_power(clipped_at_zero(x), y)
    # Of negative bases there are the powers of the whole exponents between the bounds, of either sign.
    holds_whole = np.floor(y.hi) >= np.ceil(y.lo)
    _, largest = _positive_power(magnitude(Interval(x.lo, np.minimum(x.hi, 0.0), x.defined)), y)
    negative = (x.lo < 0.0) & holds_whole
    beside = np.where(negative, -largest, np.nan), np.where(negative, largest, np.nan)
    lo, hi = hull((lo, hi), beside)
    return interval(lo, hi, x, where=(x.lo >= 0.0) & ~(x.contains(0.0) & (y.lo < 0.0)))
