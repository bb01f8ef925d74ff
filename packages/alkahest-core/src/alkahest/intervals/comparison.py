"""Interval rules of comparisons, logic and choice: a condition is [1, 1], [0, 0], or [0, 1] where it may be either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from alkahest.intervals.interval import Interval, Truths, hull, interval
from alkahest.intervals.table import interval_rule


def _condition(surely: Truths, never: Truths, *args: Interval) -> Interval:
    """Return the conditions that hold `surely` or `never`; where an argument may be undefined, nothing is sure."""
    known: Any = True
    for a in args:
        known = known & a.defined
    return interval(np.where(surely & known, 1.0, 0.0), np.where(never & known, 0.0, 1.0), *args)


@interval_rule("lt")
def lt(a: Interval, b: Interval) -> Interval:
    """Return whether a < b."""
    return _condition(a.hi < b.lo, a.lo >= b.hi, a, b)


@interval_rule("le")
def le(a: Interval, b: Interval) -> Interval:
    """Return whether a <= b."""
    return _condition(a.hi <= b.lo, a.lo > b.hi, a, b)


@interval_rule("gt")
def gt(a: Interval, b: Interval) -> Interval:
    """Return whether a > b."""
    return lt(b, a)


@interval_rule("ge")
def ge(a: Interval, b: Interval) -> Interval:
    """Return whether a >= b."""
    return le(b, a)


def _equality(a: Interval, b: Interval) -> tuple[Truths, Truths]:
    return (a.lo == b.hi) & (a.hi == b.lo), (a.hi < b.lo) | (b.hi < a.lo)


@interval_rule("eq")
def eq(a: Interval, b: Interval) -> Interval:
    """Return whether a = b: sure for two equal thin intervals alone."""
    same, apart = _equality(a, b)
    return _condition(same, apart, a, b)


@interval_rule("ne")
def ne(a: Interval, b: Interval) -> Interval:
    """Return whether a and b differ."""
    same, apart = _equality(a, b)
    return _condition(apart, same, a, b)


def _truth(x: Interval) -> tuple[Truths, Truths]:
    """Return where a number surely holds as a condition, and where it surely does not."""
    return (x.lo > 0.0) | (x.hi < 0.0), (x.lo == 0.0) & (x.hi == 0.0)


def _logic(surely: Callable[..., Any], never: Callable[..., Any]) -> Callable[..., Interval]:
    def rule(a: Interval, b: Interval) -> Interval:
        (yes_a, no_a), (yes_b, no_b) = _truth(a), _truth(b)
        return _condition(surely(yes_a, yes_b), never(no_a, no_b), a, b)

    return rule


interval_rule("and")(_logic(np.logical_and, np.logical_or))
interval_rule("or")(_logic(np.logical_or, np.logical_and))


@interval_rule("not")
def not_(a: Interval) -> Interval:
    """Return whether a number does not hold."""
    yes, no = _truth(a)
    return _condition(no, yes, a)


@interval_rule("where")
def where(condition: Interval, a: Interval, b: Interval) -> Interval:
    """Return the branch that is taken, or the hull of both; a branch that is never taken need not be defined."""
    yes, no = _truth(condition)
    lo, hi = hull((a.lo, a.hi), (b.lo, b.hi))
    lo, hi = np.where(yes, a.lo, np.where(no, b.lo, lo)), np.where(yes, a.hi, np.where(no, b.hi, hi))
    return interval(lo, hi, condition, where=(no | a.defined) & (yes | b.defined))
