"""Intervals as arrays of bounds, outward rounding, and the functions with which interval rules are written.

An `Interval` holds many intervals at once, one per box. Bounds are rounded outwards by the exact error of an operation
or by `nextafter`, never by changing the processor's rounding mode; functions that are not rounded correctly are widened
by their error. Terms follow IEEE 1788: an interval may be empty (both bounds are nan), and `defined` is the decoration
that tells whether the function is surely defined on the whole box.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Reals: TypeAlias = NDArray[np.float64]
Truths: TypeAlias = NDArray[np.bool_]
Unary: TypeAlias = Callable[[Any], Any]

LARGEST = 1.7976931348623157e308
# NumPy's vector loops err by up to 4 ulps, and so may the fastest tiers; see `widened`.
FUNCTION_ULPS = 8.0


class Interval(NamedTuple):
    """Intervals [lo, hi], one per box, and whether the value is defined on the whole of each."""

    lo: Reals
    hi: Reals
    defined: Truths

    def contains(self, value: float) -> Truths:
        """Tell where `value` lies between the bounds."""
        return (self.lo <= value) & (self.hi >= value)


def interval(lo: Any, hi: Any, *args: Interval, where: Any = True) -> Interval:
    """Return the intervals between two arrays of bounds, defined where `where` holds and all `args` are."""
    defined: Any = where
    for a in args:
        defined = defined & a.defined
    return Interval(lo, hi, np.broadcast_to(defined, np.shape(lo)))


def down(value: Reals) -> Reals:
    """Return the floats below; of results that underflow the sign tells on which side of zero they are.

    >>> down(np.array([1.0, 0.0])).tolist()
    [0.9999999999999999, 0.0]
    """
    return np.where((value == 0.0) & ~np.signbit(value), 0.0, np.nextafter(value, -np.inf))


def up(value: Reals) -> Reals:
    """Return the floats above, as `down` does those below."""
    return -down(-value)


def sum_down(a: Reals, b: Reals) -> Reals:
    """Return a + b rounded down: by the exact error of the sum (Knuth, TAOCP 2, 4.2.2, theorem B)."""
    total = a + b
    shadow = total - a
    error = (a - (total - shadow)) + (b - shadow)
    exact = (error >= 0.0) | (a == -np.inf) | (b == -np.inf) | (a == np.inf) | (b == np.inf)
    return np.where(exact, total, np.nextafter(total, -np.inf))


def sum_up(a: Reals, b: Reals) -> Reals:
    """Return a + b rounded up."""
    return -sum_down(-a, -b)


def product_error(a: Any, b: Any, product: Any) -> Reals:
    """Return a*b less the rounded `product`, exactly (Dekker 1971); nan where that could overflow or underflow."""
    a_hi, a_lo = _halves(a)
    b_hi, b_lo = _halves(b)
    error = a_lo * b_lo - (((product - a_hi * b_hi) - a_lo * b_hi) - a_hi * b_lo)
    safe = (np.abs(product) > 2.0**-960) & (np.maximum(np.abs(a), np.abs(b)) < 2.0**990)
    return np.where(safe & (np.abs(product) < 2.0**1020), error, np.nan)


def _halves(a: Any) -> tuple[Any, Any]:
    """Return a number as the sum of two of 26 bits each."""
    scaled = 134217729.0 * a  # 2^27 + 1
    high = scaled - (scaled - a)
    return high, a - high


def product_down(a: Any, b: Any) -> Reals:
    """Return a*b rounded down; zero times infinity counts as zero."""
    product = a * b
    rounded = np.where(product_error(a, b, product) >= 0.0, product, down(product))
    return np.where((a == 0.0) | (b == 0.0), 0.0, rounded)


def product_up(a: Any, b: Any) -> Reals:
    """Return a*b rounded up, as `product_down` rounds it down."""
    return -product_down(-a, b)


def quotient_down(a: Any, b: Any) -> Reals:
    """Return a/b rounded down; exact where the remainder is zero."""
    quotient = a / b
    multiple = quotient * b
    exact = (a == 0.0) | ((a - multiple) == product_error(quotient, b, multiple))
    return np.where(exact, quotient, down(quotient))


def quotient_up(a: Any, b: Any) -> Reals:
    """Return a/b rounded up."""
    return -quotient_down(-a, b)


def root_down(x: Any) -> Reals:
    """Return the square root rounded down; exact where its square is `x`."""
    root = np.sqrt(x)
    exact = (x - root * root) == product_error(root, root, root * root)
    return np.where(exact | (root == np.inf), root, down(root))


def root_up(x: Any) -> Reals:
    """Return the square root rounded up."""
    root = np.sqrt(x)
    return np.where((root_down(x) == root) | (x == 0.0), root, up(root))


def widened(lo: Any, hi: Any, *, ulps: Any = FUNCTION_ULPS, absolute: float = 0.0) -> tuple[Reals, Reals]:
    """Return bounds moved outwards by the errors of the functions that computed them, at both ends and in between.

    The allowance is the error of the bound itself, and once more that of a tier which computes a value inside.
    """
    with np.errstate(all="ignore"):
        below: Reals = lo - (ulps * np.spacing(np.abs(lo)) + absolute)
        above: Reals = hi + (ulps * np.spacing(np.abs(hi)) + absolute)
    # A value that overflowed stands for one beyond the largest number.
    lowest: Reals = np.minimum(lo, LARGEST)
    highest: Reals = np.maximum(hi, -LARGEST)
    return np.where(np.isinf(lo), lowest, below), np.where(np.isinf(hi), highest, above)


def clipped(x: Interval, low: float, high: float) -> Interval:
    """Return the part of `x` within a closed domain: empty where none is, undefined where not all of it is."""
    lo, hi = np.maximum(x.lo, low), np.minimum(x.hi, high)
    none = ~(lo <= hi)
    inside = (x.lo >= low) & (x.hi <= high)
    return Interval(np.where(none, np.nan, lo), np.where(none, np.nan, hi), x.defined & inside)


def increasing(
    f: Unary,
    x: Interval,
    *,
    ulps: Any = FUNCTION_ULPS,
    absolute: float = 0.0,
    within: tuple[float, float] = (-np.inf, np.inf),
    fixed: tuple[float, ...] = (),
) -> Interval:
    """Return the range of an increasing function: its values at the bounds, widened.

    `within` is the range of the function over the reals, `fixed` are arguments at which `f` computes it exactly.
    """
    at_lo, at_hi = f(x.lo), f(x.hi)
    lo, hi = widened(at_lo, at_hi, ulps=ulps, absolute=absolute)
    lo, hi = np.maximum(lo, within[0]), np.minimum(hi, within[1])
    for at in fixed:
        lo, hi = np.where(x.lo == at, at_lo, lo), np.where(x.hi == at, at_hi, hi)
    return interval(lo, hi, x)


def decreasing(f: Unary, x: Interval, **how: Any) -> Interval:
    """Return the range of a decreasing function, as `increasing` does."""
    return increasing(lambda v: f(-v), negated(x), **how)


def negated(x: Interval) -> Interval:
    """Return the intervals mirrored at zero."""
    return Interval(-x.hi, -x.lo, x.defined)


def magnitude(x: Interval) -> Interval:
    """Return the absolute values."""
    lo = np.where(x.contains(0.0), 0.0, np.minimum(np.abs(x.lo), np.abs(x.hi)))
    return Interval(lo, np.maximum(np.abs(x.lo), np.abs(x.hi)), x.defined)


def hull(first: tuple[Any, Any], second: tuple[Any, Any]) -> tuple[Reals, Reals]:
    """Return the bounds that hold two pairs of bounds; an empty pair, of nan, adds nothing."""
    return np.fmin(first[0], second[0]), np.fmax(first[1], second[1])


def chosen(condition: Any, a: Interval, b: Interval) -> Interval:
    """Return `a` where a condition holds, else `b`."""
    return Interval(
        np.where(condition, a.lo, b.lo), np.where(condition, a.hi, b.hi), np.where(condition, a.defined, b.defined)
    )


def corners(
    lowest: Callable[[Any, Any], Any], highest: Callable[[Any, Any], Any], a: Interval, b: Interval
) -> tuple[Reals, Reals]:
    """Return the least and greatest value of a function at the corners of the boxes; corners of nan are passed over.

    These are the bounds of a function that is monotone in each argument while the other is fixed. `lowest` computes it
    rounded down and `highest` rounded up.
    """
    pairs = [(p, q) for p in (a.lo, a.hi) for q in (b.lo, b.hi)]
    lo, hi = lowest(*pairs[0]), highest(*pairs[0])
    for p, q in pairs[1:]:
        lo, hi = hull((lo, hi), (lowest(p, q), highest(p, q)))
    return lo, hi


def empty_like(x: Interval) -> Interval:
    """Return empty intervals, nowhere defined."""
    nothing = np.full(np.shape(x.lo), np.nan)
    return Interval(nothing, nothing, np.zeros(np.shape(x.lo), np.bool_))
