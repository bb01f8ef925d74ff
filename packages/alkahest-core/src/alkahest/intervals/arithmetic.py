"""Interval rules of what operators build, of rounding, signs and extrema."""

from __future__ import annotations

from typing import Any

import numpy as np

from alkahest.intervals.interval import (
    Interval,
    Reals,
    Truths,
    Unary,
    chosen,
    corners,
    empty_like,
    interval,
    magnitude,
    negated,
    product_down,
    product_up,
    quotient_down,
    quotient_up,
    sum_down,
    sum_up,
    up,
)
from alkahest.intervals.table import interval_rule


def has_infinity(x: Interval) -> Truths:
    """Tell where a bound is infinite: a computation that overflows has that value."""
    return np.isinf(x.lo) | np.isinf(x.hi)


def is_empty(x: Interval) -> Truths:
    """Tell where there is no value at all."""
    return np.isnan(x.lo)


@interval_rule("add")
def add(a: Interval, b: Interval) -> Interval:
    """Return the sums; opposite infinities have none."""
    opposite = ((a.lo == -np.inf) & (b.hi == np.inf)) | ((a.hi == np.inf) & (b.lo == -np.inf))
    lo, hi = sum_down(a.lo, b.lo), sum_up(a.hi, b.hi)
    return interval(np.where(opposite, -np.inf, lo), np.where(opposite, np.inf, hi), a, b, where=~opposite)


@interval_rule("sub")
def sub(a: Interval, b: Interval) -> Interval:
    """Return the differences."""
    return add(a, negated(b))


@interval_rule("neg")
def neg(a: Interval) -> Interval:
    """Return the negatives."""
    return negated(a)


@interval_rule("mul")
def mul(a: Interval, b: Interval) -> Interval:
    """Return the products; zero times infinity is not defined."""
    lo, hi = corners(product_down, product_up, a, b)
    undefined = (a.contains(0.0) & has_infinity(b)) | (b.contains(0.0) & has_infinity(a))
    nothing = is_empty(a) | is_empty(b)
    return interval(np.where(nothing, np.nan, lo), np.where(nothing, np.nan, hi), a, b, where=~undefined)


@interval_rule("div")
def div(a: Interval, b: Interval) -> Interval:
    """Return the quotients: unbounded where the divisor comes to zero, empty where it is nothing else."""
    zero = b.contains(0.0)
    # The sign of a zero bound of the divisor is that of the numbers beside it, so that division gives the limit.
    below = Interval(np.where(b.lo == 0.0, 0.0, b.lo), np.where(b.hi == 0.0, -0.0, b.hi), b.defined)
    lo, hi = corners(quotient_down, quotient_up, a, below)
    inside = (b.lo < 0.0) & (b.hi > 0.0) & ~((a.lo == 0.0) & (a.hi == 0.0))
    nothing = is_empty(a) | is_empty(b) | ((b.lo == 0.0) & (b.hi == 0.0))
    lo = np.where(nothing, np.nan, np.where(inside, -np.inf, lo))
    hi = np.where(nothing, np.nan, np.where(inside, np.inf, hi))
    return interval(lo, hi, a, b, where=~(zero | (has_infinity(a) & has_infinity(b))))


@interval_rule("fma")
def fma(a: Interval, b: Interval, c: Interval) -> Interval:
    """Return a*b + c."""
    return add(mul(a, b), c)


@interval_rule("abs")
def absolute(x: Interval) -> Interval:
    """Return the absolute values."""
    return magnitude(x)


def square(x: Interval) -> Interval:
    """Return the squares."""
    size = magnitude(x)
    return interval(product_down(size.lo, size.lo), product_up(size.hi, size.hi), x)


def _stepping(f: Unary) -> Any:
    def rule(x: Interval) -> Interval:
        return interval(f(x.lo), f(x.hi), x)

    return rule


def _half_away(value: Reals) -> Reals:
    whole = np.trunc(value)
    return np.where(np.abs(value - whole) >= 0.5, whole + np.copysign(1.0, value), whole)


for _name, _step in (
    ("sign", np.sign),
    ("floor", np.floor),
    ("ceil", np.ceil),
    ("trunc", np.trunc),
    ("round", np.rint),
    ("round_away", _half_away),
):
    interval_rule(_name)(_stepping(_step))


@interval_rule("min")
def minimum(a: Interval, b: Interval) -> Interval:
    """Return the lesser ones."""
    return interval(np.minimum(a.lo, b.lo), np.minimum(a.hi, b.hi), a, b)


@interval_rule("max")
def maximum(a: Interval, b: Interval) -> Interval:
    """Return the greater ones."""
    return negated(minimum(negated(a), negated(b)))


@interval_rule("fmin")
def fmin(a: Interval, b: Interval) -> Interval:
    """Return the lesser ones; where one argument may be undefined, the other may be the value."""
    hi = np.fmin(a.hi, b.hi)
    hi = np.where(a.defined, hi, np.fmax(hi, b.hi))
    return interval(np.fmin(a.lo, b.lo), np.where(b.defined, hi, np.fmax(hi, a.hi)), a, b)


@interval_rule("fmax")
def fmax(a: Interval, b: Interval) -> Interval:
    """Return the greater ones, as `fmin` the lesser ones."""
    return negated(fmin(negated(a), negated(b)))


@interval_rule("copysign")
def copysign(a: Interval, b: Interval) -> Interval:
    """Return the sizes of `a` with the signs of `b`; a zero in `b` may have either sign."""
    size = magnitude(a)
    lo = np.where(b.lo > 0.0, size.lo, -size.hi)
    hi = np.where(b.hi < 0.0, -size.lo, size.hi)
    nothing = is_empty(a) | is_empty(b)
    return interval(np.where(nothing, np.nan, lo), np.where(nothing, np.nan, hi), a, b)


def _modulo(a: Interval, b: Interval, rounding: Unary, bound: Interval) -> Interval:
    """Return a - n*b, where n is a quotient made whole: by that formula where n is one number, else within `bound`."""
    quotient = div(a, b)
    first, last = rounding(quotient.lo), rounding(quotient.hi)
    one = (first == last) & np.isfinite(first) & ~b.contains(0.0)
    whole = Interval(np.where(one, first, 0.0), np.where(one, first, 0.0), quotient.defined)
    exact = sub(a, mul(whole, b))
    lo, hi = np.maximum(exact.lo, bound.lo), np.minimum(exact.hi, bound.hi)
    found = interval(np.where(one, lo, bound.lo), np.where(one, hi, bound.hi), a, b)
    zero = (b.lo == 0.0) & (b.hi == 0.0)
    nothing = is_empty(a) | is_empty(b) | zero
    kept = chosen(nothing, empty_like(a), found)
    return interval(kept.lo, kept.hi, a, b, where=~(b.contains(0.0) | has_infinity(a)))


@interval_rule("fmod")
def fmod(a: Interval, b: Interval) -> Interval:
    """Return the remainders with the sign of `a`: no larger than `a`, and smaller than `b`."""
    size = np.minimum(magnitude(a).hi, magnitude(b).hi)
    bound = Interval(np.where(a.lo < 0.0, -size, 0.0), np.where(a.hi > 0.0, size, 0.0), a.defined)
    return _modulo(a, b, np.trunc, bound)


@interval_rule("remainder")
def remainder(a: Interval, b: Interval) -> Interval:
    """Return the remainders of the nearest multiple: no larger than half of `b`, nor than `a`."""
    size = np.minimum(magnitude(a).hi, up(magnitude(b).hi * 0.5))
    return _modulo(a, b, np.rint, Interval(-size, size, a.defined))
