"""Interval rules of trigonometric functions: where in its period an interval lies is found with a margin for errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from alkahest.intervals.arithmetic import has_infinity, is_empty
from alkahest.intervals.interval import Interval, Truths, corners, increasing, interval, widened
from alkahest.intervals.table import interval_rule

_PI_ABOVE = 3.1415926535897936
# x / (2 pi) - shift is off by two roundings of the quotient and one of the difference, which is below 2^-50 of it and
# 2^-50 absolutely; the margins are twice that.
_RELATIVE, _ABSOLUTE = 2.0**-51, 2.0**-49


def _meets(x: Interval, period: float, shift: float) -> Truths:
    """Tell where an interval may hold a point (k + shift) * period with a whole number k."""
    first, last = x.lo / period - shift, x.hi / period - shift
    margin_first = np.abs(x.lo) * _RELATIVE + _ABSOLUTE
    margin_last = np.abs(x.hi) * _RELATIVE + _ABSOLUTE
    return ~(np.floor(last + margin_last) < np.ceil(first - margin_first))


def _wave(f: Any, x: Interval, top: float, bottom: float) -> Interval:
    """Return the range of a function of period 2 pi with its maxima at `top` and minima at `bottom`, in periods."""
    at_lo, at_hi = f(x.lo), f(x.hi)
    lo, hi = widened(np.fmin(at_lo, at_hi), np.fmax(at_lo, at_hi))
    lo = np.where(_meets(x, 2.0 * np.pi, bottom), -1.0, np.maximum(lo, -1.0))
    hi = np.where(_meets(x, 2.0 * np.pi, top), 1.0, np.minimum(hi, 1.0))
    nothing = is_empty(x)
    return interval(np.where(nothing, np.nan, lo), np.where(nothing, np.nan, hi), x, where=~has_infinity(x))


@interval_rule("sin")
def sin(x: Interval) -> Interval:
    """Return the sines."""
    found = _wave(np.sin, x, 0.25, 0.75)
    zero = (x.lo == 0.0) & (x.hi == 0.0)
    return Interval(np.where(zero, 0.0, found.lo), np.where(zero, 0.0, found.hi), found.defined)


@interval_rule("cos")
def cos(x: Interval) -> Interval:
    """Return the cosines."""
    return _wave(np.cos, x, 0.0, 0.5)


@interval_rule("tan")
def tan(x: Interval) -> Interval:
    """Return the tangents: unbounded, and not defined, where a pole may lie between the bounds."""
    pole = _meets(x, np.pi, 0.5)
    found = increasing(np.tan, x, fixed=(0.0,))
    nothing = is_empty(x)
    lo = np.where(nothing, np.nan, np.where(pole, -np.inf, found.lo))
    hi = np.where(nothing, np.nan, np.where(pole, np.inf, found.hi))
    return interval(lo, hi, x, where=~pole)


@interval_rule("atan2")
def atan2(y: Interval, x: Interval) -> Interval:
    """Return the angles of the points (x, y): those of the corners, and all where a box touches the negative x axis.

    On that axis the sign of a zero decides, and a zero may have either. The origin has no angle.
    """
    lo, hi = widened(*corners(np.arctan2, np.arctan2, y, x))
    across = y.contains(0.0) & (x.lo < 0.0)
    origin = y.contains(0.0) & x.contains(0.0)
    lo = np.where(across, -_PI_ABOVE, np.where(origin & (y.lo < 0.0), -0.5 * _PI_ABOVE, lo))
    hi = np.where(across, _PI_ABOVE, np.where(origin & (y.hi > 0.0), 0.5 * _PI_ABOVE, hi))
    nothing = is_empty(x) | is_empty(y)
    lo = np.where(nothing, np.nan, np.maximum(lo, -_PI_ABOVE))
    hi = np.where(nothing, np.nan, np.minimum(hi, _PI_ABOVE))
    return interval(lo, hi, x, y, where=~origin)
