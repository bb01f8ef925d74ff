"""Native interval rules of operators, rounding, signs, extrema, comparisons and choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alkahest_llvm.emitting import lowering
from alkahest_llvm.emitting import operations as ir
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import select
from alkahest_llvm.intervals.bounds import (
    Pair,
    PairRule,
    above,
    below,
    corners,
    greatest,
    is_anything,
    least,
    no_nan,
    provided,
    sizes,
    strict,
    unless,
    well_above,
    well_below,
)


def add(_: Builder, x: Pair, y: Pair) -> Pair:
    """Return the sums: opposite infinities give nan at one end, and then an infinity or nan at the other."""
    return no_nan(below(x[0] + y[0]), above(x[1] + y[1]))


def neg(_: Builder, x: Pair) -> Pair:
    """Return the negatives."""
    return -x[1], -x[0]


def sub(_: Builder, x: Pair, y: Pair) -> Pair:
    """Return the differences."""
    return no_nan(below(x[0] - y[1]), above(x[1] - y[0]))


def square(_: Builder, x: Pair) -> Pair:
    """Return the squares."""
    low, high = sizes(x)
    lo = greatest(well_below(low * low), low * 0.0)
    return unless(is_anything(x), no_nan(lo, well_above(high * high)))


def mul(b: Builder, x: Pair, y: Pair) -> Pair:
    """Return the products; those of numbers not below zero are not below zero, however they were rounded."""
    if x is y:
        return square(b, x)
    lo, hi, undefined = corners(lambda p, q: p * q, x, y)
    positive = (x[0] >= 0.0) & (y[0] >= 0.0)
    down = well_below(lo)
    return unless(undefined, no_nan(select(positive, greatest(down, 0.0), down), well_above(hi)))


def _multiply_add(b: Builder, x: Pair, y: Pair, z: Pair) -> Pair:
    """Return x*y + z, rounded once at each end."""
    if x is y:
        low, high = sizes(x)
        lo, hi = ir.fma(low, low, z[0]), ir.fma(high, high, z[1])
        down = well_below(lo)
        found = select(z[0] >= 0.0, greatest(down, 0.0), down), well_above(hi)
        return unless(is_anything(x), no_nan(*found))
    lo, hi, undefined = corners(lambda p, q: p * q, x, y)
    at_lo, _, undefined_lo = corners(lambda p, q: ir.fma(p, q, z[0]), x, y)
    _, at_hi, undefined_hi = corners(lambda p, q: ir.fma(p, q, z[1]), x, y)
    return unless(undefined | undefined_lo | undefined_hi, no_nan(well_below(at_lo), well_above(at_hi)))


def _less_product(b: Builder, x: Pair, y: Pair, z: Pair) -> Pair:
    return neg(b, _multiply_add(b, x, y, neg(b, z)))


def div(_: Builder, x: Pair, y: Pair) -> Pair:
    """Return the quotients where the divisor is not zero."""
    lo, hi, undefined = corners(lambda p, q: p / q, x, y)
    regular = (y[0] > 0.0) | (y[1] < 0.0)
    same_sign = ((x[0] >= 0.0) & (y[0] > 0.0)) | ((x[1] <= 0.0) & (y[1] < 0.0))
    down = well_below(lo)
    down = select(same_sign, greatest(down, 0.0), down)
    return provided(regular & ~undefined, no_nan(down, well_above(hi)))


def sqrt(_: Builder, x: Pair) -> Pair:
    """Return the square roots where no number is negative."""
    return provided(x[0] >= 0.0, no_nan(below(ir.sqrt(x[0])), above(ir.sqrt(x[1]))))


def absolute(_: Builder, x: Pair) -> Pair:
    """Return the absolute values."""
    return unless(is_anything(x), sizes(x))


def _stepping(step: Callable[[Value], Value]) -> PairRule:
    return lambda b, x: (step(x[0]), step(x[1]))


def _of_rule(name: str) -> PairRule:
    """Return the rule of a function that increases in steps and is exact, from its own lowering rule."""
    step = lowering.RULES[name]
    return lambda b, x: (step(b, x[0]), step(b, x[1]))


def copysign(_: Builder, x: Pair, y: Pair) -> Pair:
    """Return the sizes of `x` with the signs of `y`; a zero in `y` may have either."""
    low, high = sizes(x)
    lo = select(y[0] > 0.0, low, -high)
    hi = select(y[1] < 0.0, -low, high)
    return unless(is_anything(x) | is_anything(y), (lo, hi))


def _extremum(pick: Callable[[Value, Value], Value], *, ignores_nan: bool) -> PairRule:
    def rule(b: Builder, x: Pair, y: Pair) -> Pair:
        found = pick(x[0], y[0]), pick(x[1], y[1])
        # Where one argument may be nan, the extremum that ignores it may be the other argument; the bounds say so.
        return found if ignores_nan else unless(is_anything(x) | is_anything(y), found)

    return rule


def _condition(b: Builder, surely: Value, never: Value) -> Pair:
    one, zero = b.constant(1.0), b.constant(0.0)
    return select(surely, one, zero), select(never, zero, one)


def _comparison(surely: Callable[[Pair, Pair], Value], never: Callable[[Pair, Pair], Value]) -> PairRule:
    # A comparison with nan is false: where an argument may be anything, nothing is sure but that.
    def rule(b: Builder, x: Pair, y: Pair) -> Pair:
        known = ~(is_anything(x) | is_anything(y))
        return _condition(b, surely(x, y) & known, never(x, y) & known)

    return rule


def _same(x: Pair, y: Pair) -> Value:
    return ir.equal(x[0], y[1]) & ir.equal(x[1], y[0])


def _apart(x: Pair, y: Pair) -> Value:
    return (x[1] < y[0]) | (y[1] < x[0])


def truth(x: Pair) -> tuple[Value, Value]:
    """Return where a number surely holds as a condition, and where it surely does not."""
    return (x[0] > 0.0) | (x[1] < 0.0), ir.equal(x[0], 0.0) & ir.equal(x[1], 0.0)


def _and(b: Builder, x: Pair, y: Pair) -> Pair:
    (yes_x, no_x), (yes_y, no_y) = truth(x), truth(y)
    return _condition(b, yes_x & yes_y, no_x | no_y)


def _or(b: Builder, x: Pair, y: Pair) -> Pair:
    (yes_x, no_x), (yes_y, no_y) = truth(x), truth(y)
    return _condition(b, yes_x | yes_y, no_x & no_y)


def _not(b: Builder, x: Pair) -> Pair:
    yes, no = truth(x)
    return _condition(b, no, yes)


def _where(b: Builder, condition: Pair, x: Pair, y: Pair) -> Pair:
    yes, no = truth(condition)
    lo, hi = least(x[0], y[0]), greatest(x[1], y[1])
    return select(yes, x[0], select(no, y[0], lo)), select(yes, x[1], select(no, y[1], hi))


RULES: dict[str, Any] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "neg": neg,
    "fma": _multiply_add,
    "fma.sub": lambda b, x, y, z: _multiply_add(b, x, y, neg(b, z)),
    "fma.neg": _less_product,
    "sqrt": sqrt,
    "abs": absolute,
    "sign": strict(_of_rule("sign")),
    "floor": _stepping(ir.floor),
    "ceil": _stepping(ir.ceil),
    "trunc": _stepping(ir.trunc),
    "round": _stepping(ir.rint),
    "round_away": strict(_of_rule("round_away")),
    "min": _extremum(least, ignores_nan=False),
    "max": _extremum(greatest, ignores_nan=False),
    "fmin": _extremum(least, ignores_nan=True),
    "fmax": _extremum(greatest, ignores_nan=True),
    "copysign": copysign,
    "lt": _comparison(lambda x, y: x[1] < y[0], lambda x, y: x[0] >= y[1]),
    "le": _comparison(lambda x, y: x[1] <= y[0], lambda x, y: x[0] > y[1]),
    "gt": _comparison(lambda x, y: x[0] > y[1], lambda x, y: x[1] <= y[0]),
    "ge": _comparison(lambda x, y: x[0] >= y[1], lambda x, y: x[1] < y[0]),
    "eq": _comparison(_same, _apart),
    "ne": _comparison(_apart, _same),
    "and": _and,
    "or": _or,
    "not": _not,
    "where": _where,
}
