"""Interval rules of exponentials, logarithms, roots and hyperbolic functions: monotone, or monotone on either side."""

from __future__ import annotations

import numpy as np

from alkahest.intervals.interval import (
    FUNCTION_ULPS,
    Interval,
    Unary,
    clipped,
    increasing,
    interval,
    magnitude,
    root_down,
    root_up,
    widened,
)
from alkahest.intervals.table import interval_rule

_INFINITY = float("inf")
_LARGEST_ASIN = 1.5707963267948968  # the float above pi/2


def _rule(
    name: str,
    f: Unary,
    *,
    domain: tuple[float, float] | None = None,
    open_domain: bool = False,
    within: tuple[float, float] = (-_INFINITY, _INFINITY),
    fixed: tuple[float, ...] = (0.0,),
) -> None:
    """Set the rule of an increasing function; at the ends of an open domain it has poles, where it is not defined."""

    def rule(x: Interval) -> Interval:
        if domain is None:
            return increasing(f, x, within=within, fixed=fixed)
        inside = clipped(x, *domain)
        found = increasing(f, inside, within=within, fixed=fixed)
        if not open_domain:
            return found
        at_pole = (inside.lo == domain[0]) | ((inside.hi == domain[1]) & (domain[1] < np.inf))
        only_pole = (inside.lo == inside.hi) & at_pole
        lo, hi = np.where(only_pole, np.nan, found.lo), np.where(only_pole, np.nan, found.hi)
        return interval(lo, hi, found, where=~at_pole)

    interval_rule(name)(rule)


_POSITIVE = (0.0, _INFINITY)
_rule("exp", np.exp, within=_POSITIVE)
_rule("expm1", np.expm1, within=(-1.0, _INFINITY))
_rule("log", np.log, domain=_POSITIVE, open_domain=True, fixed=(1.0,))
_rule("log2", np.log2, domain=_POSITIVE, open_domain=True, fixed=(1.0,))
_rule("log10", np.log10, domain=_POSITIVE, open_domain=True, fixed=(1.0,))
_rule("log1p", np.log1p, domain=(-1.0, _INFINITY), open_domain=True)
_rule("cbrt", np.cbrt)
_rule("asin", np.arcsin, domain=(-1.0, 1.0), within=(-_LARGEST_ASIN, _LARGEST_ASIN))
_rule("atan", np.arctan, within=(-_LARGEST_ASIN, _LARGEST_ASIN))
_rule("sinh", np.sinh)
_rule("tanh", np.tanh, within=(-1.0, 1.0))
_rule("asinh", np.arcsinh)
_rule("acosh", np.arccosh, domain=(1.0, _INFINITY), within=_POSITIVE, fixed=(1.0,))
_rule("atanh", np.arctanh, domain=(-1.0, 1.0), open_domain=True)


@interval_rule("sqrt")
def sqrt(x: Interval) -> Interval:
    """Return the square roots, which IEEE 754 rounds correctly."""
    inside = clipped(x, 0.0, np.inf)
    return interval(root_down(inside.lo), root_up(inside.hi), inside)


@interval_rule("acos")
def acos(x: Interval) -> Interval:
    """Return the arc cosines, which decrease."""
    inside = clipped(x, -1.0, 1.0)
    lo, hi = widened(np.arccos(inside.hi), np.arccos(inside.lo))
    lo = np.where(inside.hi == 1.0, 0.0, np.maximum(lo, 0.0))
    return interval(lo, np.minimum(hi, 2.0 * _LARGEST_ASIN), inside)


@interval_rule("cosh")
def cosh(x: Interval) -> Interval:
    """Return the hyperbolic cosines, which are even and increase with the size of the argument."""
    return increasing(np.cosh, magnitude(x), within=(1.0, _INFINITY))


@interval_rule("hypot")
def hypot(x: Interval, y: Interval) -> Interval:
    """Return the lengths of (x, y), which increase with the size of either."""
    a, b = magnitude(x), magnitude(y)
    lo, hi = widened(np.hypot(a.lo, b.lo), np.hypot(a.hi, b.hi), ulps=FUNCTION_ULPS)
    lo = np.maximum(lo, np.fmax(a.lo, b.lo))
    return interval(lo, np.where((a.hi == 0.0) & (b.hi == 0.0), 0.0, hi), x, y)
