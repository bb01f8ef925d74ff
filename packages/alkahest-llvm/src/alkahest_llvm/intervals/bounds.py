"""Intervals as pairs of vectors, one interval per lane, and the functions with which native interval rules are written.

A pair (lo, hi) says that a number lies between the bounds and is not nan; (-inf, inf) alone says nothing, not even that
there is a number. So no bound is ever nan, and whatever is neither known nor worth knowing becomes `anything`. A bound
of minus infinity counts as a value, as overflow makes it one.

Bounds are moved outwards by a multiply-add, in whatever rounding mode the processor is: for normal t,
t - |t| (2^-53 + 2^-105), rounded once, is the float below t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from alkahest_llvm.emitting import operations as ir
from alkahest_llvm.emitting.builder import Builder, Number, Value
from alkahest_llvm.emitting.operations import select

Pair: TypeAlias = tuple[Value, Value]
PairRule: TypeAlias = Callable[..., Pair]

INFINITY = float("inf")
_HALF_ULP = 2.0**-53 + 2.0**-105
_SMALLEST = 5e-324
# The errors of a kernel in its most careless mode, at the bound and inside, are 2 * 2.2 ulps.
FUNCTION_ULPS = 5.0


def anything(b: Builder) -> Pair:
    """Return the pair that says nothing."""
    return b.constant(-INFINITY), b.constant(INFINITY)


def unless(condition: Value, pair: Pair) -> Pair:
    """Return `pair`, but `anything` where a condition holds."""
    return select(condition, -INFINITY, pair[0]), select(condition, INFINITY, pair[1])


def provided(condition: Value, pair: Pair) -> Pair:
    """Return `pair` where a condition holds, elsewhere `anything`."""
    return select(condition, pair[0], -INFINITY), select(condition, pair[1], INFINITY)


def is_anything(x: Pair) -> Value:
    """Return where a pair says nothing."""
    return ir.equal(x[0], -INFINITY) & ir.equal(x[1], INFINITY)


def no_nan(lo: Value, hi: Value) -> Pair:
    """Return bounds with each nan replaced by the infinity on its side.

    It is enough where a nan at one end comes with an infinity, or a nan, at the other.
    """
    return select(lo > -INFINITY, lo, -INFINITY), select(hi < INFINITY, hi, INFINITY)


def below(t: Value) -> Value:
    """Return the float below, `t` itself where it is zero or subnormal; of an infinity, nan or itself."""
    return ir.fma(ir.fabs(t), -_HALF_ULP, t)


def above(t: Value) -> Value:
    """Return the float above, as `below`."""
    return ir.fma(ir.fabs(t), _HALF_ULP, t)


def well_below(t: Value) -> Value:
    """Return a lower bound of a result that was rounded to `t`, subnormal ones included."""
    return below(t) - _SMALLEST


def well_above(t: Value) -> Value:
    """Return an upper bound, as `well_below`."""
    return above(t) + _SMALLEST


def least(a: Value, b: Number) -> Value:
    """Return the lesser; `b` where one is nan."""
    return select(a < b, a, b)


def greatest(a: Value, b: Number) -> Value:
    """Return the greater; `b` where one is nan."""
    return select(a > b, a, b)


def sizes(x: Pair) -> Pair:
    """Return the bounds of the absolute values; of `anything`, (0, inf)."""
    at_lo, at_hi = ir.fabs(x[0]), ir.fabs(x[1])
    across = (x[0] < 0.0) & (x[1] > 0.0)
    return select(across, 0.0, least(at_lo, at_hi)), greatest(at_lo, at_hi)


def widened(lo: Value, hi: Value, ulps: float = FUNCTION_ULPS) -> Pair:
    """Return bounds moved outwards by the errors of the kernels that computed them."""
    share, smallest = ulps * 2.0**-52, ulps * _SMALLEST
    return ir.fma(ir.fabs(lo), -share, lo) - smallest, ir.fma(ir.fabs(hi), share, hi) + smallest


def corners(f: Callable[[Value, Value], Value], a: Pair, b: Pair) -> tuple[Value, Value, Value]:
    """Return the least and greatest value at the corners of boxes, and where a value there is nan."""
    firsts = a if a[0] is not a[1] else a[:1]
    seconds = b if b[0] is not b[1] else b[:1]
    values = [f(p, q) for p in firsts for q in seconds]
    lo = hi = values[0]
    undefined = ir.is_nan(values[0])
    for v in values[1:]:
        lo, hi, undefined = least(lo, v), greatest(hi, v), undefined | ir.is_nan(v)
    return lo, hi, undefined


def strict(rule: Callable[..., Any]) -> PairRule:
    """Return a rule that gives `anything` where an argument is that, and elsewhere what `rule` gives."""

    def whole(b: Builder, *args: Pair, **params: Any) -> Pair:
        unknown = is_anything(args[0])
        for a in args[1:]:
            unknown = unknown | is_anything(a)
        return unless(unknown, no_nan(*rule(b, *args, **params)))

    return whole
