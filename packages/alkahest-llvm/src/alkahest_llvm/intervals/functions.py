"""Native interval rules of functions: monotone ones by their kernel at both bounds, periodic ones by quadrants."""

from __future__ import annotations

import math
from typing import Any

from alkahest_llvm.emitting import operations as ir
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import select
from alkahest_llvm.intervals.arithmetic import div, sqrt, square
from alkahest_llvm.intervals.bounds import (
    INFINITY,
    Pair,
    PairRule,
    corners,
    greatest,
    is_anything,
    least,
    no_nan,
    provided,
    sizes,
    strict,
    unless,
    widened,
)

_POWER_ULPS = 8.0  # the error of constant powers, which are products of rounded factors, is 2 ulps
_ABOVE_PI = 3.1415926535897936
# The margins of `alkahest.intervals.trigonometric`, for the same formula.
_RELATIVE, _ABSOLUTE = 2.0**-51, 2.0**-49


def _increasing(
    kernel: str,
    *,
    domain: tuple[float, float] = (-INFINITY, INFINITY),
    within: tuple[float, float] = (-INFINITY, INFINITY),
    zero_at: float | None = None,
    open_domain: bool = False,
) -> PairRule:
    """Return the rule of an increasing function with one zero, given by a kernel; outside its domain it is unknown."""

    def rule(b: Builder, x: Pair) -> Pair:
        lo, hi = widened(b.kernel(kernel, x[0]), b.kernel(kernel, x[1]))
        if zero_at is not None:
            lo = select(x[0] >= zero_at, greatest(lo, 0.0), lo)
            hi = select(x[1] <= zero_at, least(hi, 0.0), hi)
        if within[0] > -INFINITY:
            lo = greatest(lo, within[0])
        if within[1] < INFINITY:
            hi = least(hi, within[1])
        if domain == (-INFINITY, INFINITY):
            return lo, hi
        inside = x[0] > domain[0] if open_domain else x[0] >= domain[0]
        if domain[1] < INFINITY:
            inside = inside & (x[1] < domain[1] if open_domain else x[1] <= domain[1])
        return provided(inside, no_nan(lo, hi))

    return strict(rule)


def _decreasing_arc(b: Builder, x: Pair) -> Pair:
    lo, hi = widened(b.kernel("acos", x[1]), b.kernel("acos", x[0]))
    return provided((x[0] >= -1.0) & (x[1] <= 1.0), no_nan(greatest(lo, 0.0), least(hi, _ABOVE_PI)))


def _erfc(b: Builder, x: Pair) -> Pair:
    lo, hi = widened(b.kernel("erfc", x[1]), b.kernel("erfc", x[0]))
    return greatest(lo, 0.0), least(hi, 2.0)


def _cosh(b: Builder, x: Pair) -> Pair:
    low, high = sizes(x)
    lo, hi = widened(b.kernel("cosh", low), b.kernel("cosh", high))
    return greatest(lo, 1.0), hi


def _hypot(b: Builder, x: Pair, y: Pair) -> Pair:
    (low_x, high_x), (low_y, high_y) = sizes(x), sizes(y)
    lo, hi = widened(b.kernel("hypot", low_x, low_y), b.kernel("hypot", high_x, high_y))
    return greatest(lo, 0.0), hi


def _meets(x: Pair, period: float, shift: float) -> Value:
    """Return where an interval may hold a point (k + shift) * period with a whole number k."""
    first, last = x[0] / period - shift, x[1] / period - shift
    first = first - (ir.fabs(x[0]) * _RELATIVE + _ABSOLUTE)
    last = last + (ir.fabs(x[1]) * _RELATIVE + _ABSOLUTE)
    return ~(ir.floor(last) < ir.ceil(first))


def _finite(x: Pair) -> Value:
    return (x[0] > -INFINITY) & (x[1] < INFINITY)


def _wave(kernel: str, top: float, bottom: float) -> PairRule:
    def rule(b: Builder, x: Pair) -> Pair:
        at_lo, at_hi = b.kernel(kernel, x[0]), b.kernel(kernel, x[1])
        lo, hi = widened(least(at_lo, at_hi), greatest(at_lo, at_hi))
        lo = select(_meets(x, 2.0 * math.pi, bottom), -1.0, greatest(lo, -1.0))
        hi = select(_meets(x, 2.0 * math.pi, top), 1.0, least(hi, 1.0))
        return provided(_finite(x), (lo, hi))

    return rule


def _tan(b: Builder, x: Pair) -> Pair:
    lo, hi = widened(b.kernel("tan", x[0]), b.kernel("tan", x[1]))
    return provided(_finite(x) & ~_meets(x, math.pi, 0.5), no_nan(lo, hi))


def _atan2(b: Builder, y: Pair, x: Pair) -> Pair:
    """Return the angles of boxes that do not touch the negative x axis, nor the origin."""
    lo, hi, undefined = corners(lambda p, q: b.kernel("atan2", p, q), y, x)
    regular = (x[0] > 0.0) | (y[0] > 0.0) | (y[1] < 0.0)
    return provided(regular & ~undefined, widened(lo, hi))


def _power(b: Builder, x: Pair, y: Pair) -> Pair:
    # Constants have one value for both bounds; a rule that looks at it gets a kernel for that exponent alone.
    exponent = y[0].number if y[0] is y[1] else None
    if exponent is None:
        lo, hi, undefined = corners(lambda p, q: b.kernel("pow", p, q), x, y)
        lo, hi = widened(lo, hi, _POWER_ULPS)
        return provided((x[0] > 0.0) & ~undefined, no_nan(greatest(lo, 0.0), hi))
    if exponent in _SIMPLE:
        return _SIMPLE[exponent](b, x)
    if exponent == math.floor(exponent) and abs(exponent) < 2.0**53:
        return _whole_power(b, x, exponent)
    return _positive_power(b, x, exponent)


def _reciprocal(b: Builder, x: Pair) -> Pair:
    one = b.constant(1.0)
    return div(b, (one, one), x)


_SIMPLE: dict[float, Any] = {
    0.0: lambda b, x: (b.constant(1.0), b.constant(1.0)),
    0.5: sqrt,
    1.0: lambda b, x: x,
    2.0: square,
    -1.0: _reciprocal,
}


def _raised(b: Builder, x: Pair, exponent: float) -> Pair:
    """Return the powers of numbers not below zero."""
    n = b.constant(exponent)
    ends = (x[0], x[1]) if exponent > 0.0 else (x[1], x[0])
    lo, hi = widened(b.kernel("pow", ends[0], n), b.kernel("pow", ends[1], n), _POWER_ULPS)
    return greatest(lo, 0.0), hi


def _positive_power(b: Builder, x: Pair, exponent: float) -> Pair:
    regular = x[0] >= 0.0 if exponent > 0.0 else x[0] > 0.0
    return provided(regular, no_nan(*_raised(b, x, exponent)))


def _whole_power(b: Builder, x: Pair, exponent: float) -> Pair:
    found = _raised(b, sizes(x), exponent)
    if exponent % 2.0:
        n = b.constant(exponent)
        at_lo, at_hi = b.kernel("pow", x[0], n), b.kernel("pow", x[1], n)
        lo, hi = widened(least(at_lo, at_hi), greatest(at_lo, at_hi), _POWER_ULPS)
        lo = select(x[0] >= 0.0, greatest(lo, 0.0), lo)
        found = lo, select(x[1] <= 0.0, least(hi, 0.0), hi)
    if exponent < 0.0:
        found = provided((x[0] > 0.0) | (x[1] < 0.0), found)
    return unless(is_anything(x), no_nan(*found))


_HALF_PI = 0.5 * _ABOVE_PI
RULES: dict[str, PairRule] = {
    "exp": _increasing("exp", within=(0.0, INFINITY)),
    "expm1": _increasing("expm1", within=(-1.0, INFINITY), zero_at=0.0),
    "log": _increasing("log", domain=(0.0, INFINITY), open_domain=True, zero_at=1.0),
    "log2": _increasing("log2", domain=(0.0, INFINITY), open_domain=True, zero_at=1.0),
    "log10": _increasing("log10", domain=(0.0, INFINITY), open_domain=True, zero_at=1.0),
    "log1p": _increasing("log1p", domain=(-1.0, INFINITY), open_domain=True, zero_at=0.0),
    "cbrt": _increasing("cbrt", zero_at=0.0),
    "sin": strict(_wave("sin", 0.25, 0.75)),
    "cos": strict(_wave("cos", 0.0, 0.5)),
    "tan": strict(_tan),
    "asin": _increasing("asin", domain=(-1.0, 1.0), within=(-_HALF_PI, _HALF_PI), zero_at=0.0),
    "acos": strict(_decreasing_arc),
    "atan": _increasing("atan", within=(-_HALF_PI, _HALF_PI), zero_at=0.0),
    "atan2": strict(_atan2),
    "sinh": _increasing("sinh", zero_at=0.0),
    "cosh": strict(_cosh),
    "tanh": _increasing("tanh", within=(-1.0, 1.0), zero_at=0.0),
    "asinh": _increasing("asinh", zero_at=0.0),
    "acosh": _increasing("acosh", domain=(1.0, INFINITY), zero_at=1.0),
    "atanh": _increasing("atanh", domain=(-1.0, 1.0), open_domain=True, zero_at=0.0),
    "hypot": strict(_hypot),
    "erf": _increasing("erf", within=(-1.0, 1.0), zero_at=0.0),
    "erfc": strict(_erfc),
    "pow": _power,
}
# What `alkahest_llvm.optimising` writes where both are wanted: the same functions.
RULES |= {"sin.pair": RULES["sin"], "cos.pair": RULES["cos"]}
