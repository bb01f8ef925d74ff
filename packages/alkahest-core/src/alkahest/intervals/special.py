"""Interval rules of the error functions and the gamma family.

Between two poles the logarithm of the size of the gamma function is convex, digamma and its even derivatives increase,
and the odd derivatives are convex too (DLMF 5.15, 5.7.6): the greatest value of a convex function is at a bound, and
the least is at a bound or above the tangents there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alkahest.base.rules import impl_rules
from alkahest.intervals.interval import Interval, Reals, Truths, chosen, decreasing, increasing, interval, widened
from alkahest.intervals.table import interval_rule

_ULPS = 256.0  # the interpreter's own error is some tens of ulps; near their zeros these are wrong by as much of 1
_BESIDE_ZERO = _ULPS * 2.0**-52
_STEEPER = 1.0 + 2.0**-40  # for the errors of slopes


def _values(name: str) -> Any:
    return impl_rules.by_name(name).array


@interval_rule("erf")
def erf(x: Interval) -> Interval:
    """Return the error function, which increases."""
    return increasing(_values("erf"), x, ulps=64.0, within=(-1.0, 1.0), fixed=(0.0,))


@interval_rule("erfc")
def erfc(x: Interval) -> Interval:
    """Return the complement of the error function, which decreases."""
    # SciPy's error grows with the rounding of x^2 in exp(-x^2), up to where the value underflows.
    size = np.fmax(np.abs(x.lo), np.abs(x.hi))
    return decreasing(_values("erfc"), x, ulps=64.0 + np.fmin(size * size, 800.0), within=(0.0, 2.0))


def _between_poles(x: Interval) -> Truths:
    """Tell where an interval lies above zero, or between two neighbouring whole numbers not above it."""
    return (x.lo > 0.0) | (np.ceil(x.lo) > x.hi)


def _convex(value: Any, slope: Any, x: Interval) -> tuple[Reals, Reals]:
    """Return bounds of a convex function with its derivative: values at the bounds, and tangents from them below."""
    at_lo, at_hi = value(x.lo), value(x.hi)
    slope_lo, slope_hi = slope(x.lo), slope(x.hi)
    width = np.where(np.isinf(x.lo) | np.isinf(x.hi), np.inf, x.hi - x.lo)
    inside: Reals = np.fmax(at_lo + slope_lo * width * _STEEPER, at_hi - slope_hi * width * _STEEPER)
    within: Reals = np.fmin(inside, np.fmin(at_lo, at_hi))
    least: Reals = np.where(slope_lo >= 0.0, at_lo, np.where(slope_hi <= 0.0, at_hi, within))
    return widened(least, np.fmax(at_lo, at_hi), ulps=_ULPS, absolute=_BESIDE_ZERO)


def _regular(lo: Any, hi: Any, x: Interval) -> Interval:
    """Return bounds found for intervals between poles, for others all numbers; empty ones stay empty."""
    known = _between_poles(x) & ~np.isnan(lo) & ~np.isnan(hi)
    lo, hi = np.where(known, lo, -np.inf), np.where(known, hi, np.inf)
    nothing = np.isnan(x.lo)
    return interval(np.where(nothing, np.nan, lo), np.where(nothing, np.nan, hi), x, where=known)


# Above zero the gamma function is least here (DLMF 5.4.20).
_LEAST_AT, _LEAST, _LOG_LEAST = 1.4616321449683623, 0.8856031944108887, -0.12148629053584961


@interval_rule("lgamma")
def lgamma(x: Interval) -> Interval:
    """Return the logarithms of the size of the gamma function."""
    lo, hi = _convex(_values("lgamma"), _values("digamma"), x)
    return _regular(np.where(x.lo > 0.0, np.fmax(lo, _LOG_LEAST - _BESIDE_ZERO), lo), hi, x)


@interval_rule("gamma")
def gamma(x: Interval) -> Interval:
    """Return the gamma function: of one sign between two poles, least in size where its logarithm is."""
    at_lo, at_hi = np.abs(_values("gamma")(x.lo)), np.abs(_values("gamma")(x.hi))
    at_bound = np.fmin(at_lo, at_hi)
    holds_least = (x.lo <= _LEAST_AT) & (x.hi >= _LEAST_AT)
    logarithm, _ = _convex(_values("lgamma"), _values("digamma"), x)
    below_zero = np.fmin(at_bound, np.exp(logarithm))
    least = np.where(x.lo > 0.0, np.where(holds_least, _LEAST, at_bound), below_zero)
    lo, hi = widened(least, np.fmax(at_lo, at_hi), ulps=_ULPS)
    lo = np.maximum(lo, 0.0)
    negative = (x.hi < 0.0) & (np.fmod(np.floor(x.lo), 2.0) != 0.0)
    return _regular(np.where(negative, -hi, lo), np.where(negative, -lo, hi), x)


@interval_rule("digamma")
def digamma(x: Interval) -> Interval:
    """Return digamma, which increases between poles."""
    return _increasing(_values("digamma"), x)


def _increasing(f: Any, x: Interval) -> Interval:
    return _regular(*widened(f(x.lo), f(x.hi), ulps=_ULPS, absolute=_BESIDE_ZERO), x)


@interval_rule("polygamma")
def polygamma(n: Interval, x: Interval) -> Interval:
    """Return the derivatives of digamma, for orders that are one whole number."""
    whole = (n.lo == n.hi) & (np.rint(n.lo) == n.lo) & (n.lo >= 0.0)
    values = _values("polygamma")
    even = _increasing(lambda at: values(n.lo, at), x)
    odd = _regular(*_convex(lambda at: values(n.lo, at), lambda at: values(n.lo + 1.0, at), x), x)
    odd = Interval(np.maximum(odd.lo, 0.0), odd.hi, odd.defined)
    found = chosen(np.rint(n.lo * 0.5) * 2.0 == n.lo, even, odd)
    lo, hi = np.where(whole, found.lo, -np.inf), np.where(whole, found.hi, np.inf)
    nothing = np.isnan(x.lo) | np.isnan(n.lo)
    return interval(np.where(nothing, np.nan, lo), np.where(nothing, np.nan, hi), found, n, where=whole)
