"""`interval_eval`: enclosures of what expressions and functions give over boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from alkahest.compile.columns import import_array
from alkahest.compile.compiled import CompiledFn
from alkahest.compile.functions import expressions
from alkahest.compile.tracing import TracedFn
from alkahest.errors import (
    ArityError,
    DomainError,
    DuplicateInputError,
    MissingRuleError,
    NotASymbolError,
    OperandError,
    ShapeError,
    UnknownSymbolError,
)
from alkahest.expr.expression import Expr, number_like
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import Tape, linearize, literal_float, rounded_literal
from alkahest.expr.traversal import reachable
from alkahest.intervals.interval import Interval, Reals, Truths
from alkahest.intervals.table import IntervalRule, interval_rules

BLOCK = 1 << 12  # boxes at a time: the bounds of an operation stay in the second-level cache


class Enclosure(tuple[Any, Any]):
    """The pair (lo, hi) that `interval_eval` gives, with the decoration `defined`."""

    defined: Any

    def __new__(cls, lo: Any, hi: Any, defined: Any) -> Enclosure:
        """Return the pair with its decoration."""
        made = super().__new__(cls, (lo, hi))
        made.defined = defined
        return made

    def __getnewargs__(self) -> tuple[Any, Any, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.lo, self.hi, self.defined

    @property
    def lo(self) -> Any:
        """The lower bound, or an array of them."""
        return self[0]

    @property
    def hi(self) -> Any:
        """The upper bound, or an array of them."""
        return self[1]


def interval_eval(f: Any, boxes: Mapping[Any, Any] | Sequence[Any]) -> Any:
    """Return an enclosure (lo, hi) of the values of `f` over a box, or over each of many boxes.

    `f` is an expression, a list of expressions (the result is a list then), or a function of `trace`, `jit` or
    `compile_expr`. `boxes` maps each symbol, or its name, to a pair of bounds or to a number; for a function it may
    also be a sequence of those, one per input. Bounds may be arrays, which broadcast; lo and hi are then arrays of the
    common shape, else floats.

    Every value that `f` takes on a box lies between lo and hi: its exact value, and the one that is computed operation
    by operation in double precision, as every tier does with `contract=False`. Sums, products, quotients and square
    roots are rounded outwards to the next float, other functions by their error and a few ulps. Exact constants that
    are no floats, 1/10 or pi, are enclosed as well; those of a `compile_expr` are floats already.

    Where `f` is not defined on the whole box, the enclosure is that of the points where it is, nan if there is none.
    `result.defined` is True, or an array, where `f` is surely defined and a number on the whole box; where it is
    False, single points may give nan, or an infinity of either sign. An infinite bound counts as a value: `x - x` is
    not defined on (0, inf). Conditions are (1, 1), (0, 0), or (0, 1) where both may be.

    Raises `DomainError` for a bound that is nan or bounds in the wrong order, `MissingRuleError` where a primitive has
    no interval rule, `UnknownSymbolError`, `DuplicateInputError` and `NotASymbolError` for bindings that do not fit.

    >>> from alkahest import ExprPool, sqrt
    >>> x = ExprPool().symbol("x")
    >>> interval_eval(x**2 - 2, {x: (-1.0, 3.0)})
    (-2.0, 7.0)
    >>> root = interval_eval(sqrt(x), {x: (-1.0, 4.0)})
    >>> root, root.defined
    ((0.0, 2.0), False)
    """
    tape, bounds = tape_and_bounds(f, boxes)
    shape, arrays = _broadcast(tape, bounds)
    found = evaluate(tape, arrays, _rounded_constants(f, boxes))
    enclosures = [_enclosure(e, shape) for e in found]
    function = isinstance(f, TracedFn | CompiledFn) and len(enclosures) == 1
    return enclosures[0] if function or isinstance(f, Expr) or number_like(f) else enclosures


def _enclosure(e: Interval, shape: tuple[int, ...]) -> Enclosure:
    if not shape:
        return Enclosure(float(e.lo[0]), float(e.hi[0]), bool(e.defined[0]))
    return Enclosure(e.lo.reshape(shape), e.hi.reshape(shape), e.defined.reshape(shape))


def _rounded_constants(f: Any, boxes: Any) -> frozenset[float]:
    """Return the floats that stand for other numbers in the tape of `f`: rationals, long integers, pi."""
    if isinstance(f, CompiledFn):
        return frozenset()
    outputs = (
        f.program.outputs if isinstance(f, TracedFn) else expressions(f, [k for k in boxes if isinstance(k, Expr)])[0]
    )
    if not outputs:
        return frozenset()
    pool = outputs[0].pool
    used = reachable(pool, [o.id for o in outputs])
    return frozenset([literal_float(pool, i) for i in used if rounded_literal(pool, i)])


# ------------------------------------------------------------------------------------------------- what is given


def tape_and_bounds(f: Any, boxes: Any) -> tuple[Tape, list[Any]]:
    """Return the tape of `f` and what each of its inputs is bound to."""
    if isinstance(f, TracedFn):
        tape = linearize(f.program.outputs, f.program.symbols)
        return tape, _bounds_of_inputs(tape, f.symbols, boxes)
    if isinstance(f, CompiledFn):
        return f.tape, _bounds_of_inputs(f.tape, [], boxes)
    if not isinstance(boxes, Mapping):
        raise OperandError(
            f"the boxes of an expression are a {type(boxes).__name__}, not a mapping.",
            remedy="Pass a dict from symbols, or their names, to bounds: {x: (0, 1)}.",
        )
    given = cast("Mapping[Any, Any]", boxes)
    outputs, _ = expressions(f, [k for k in given if isinstance(k, Expr)])
    bound = _bound_symbols(outputs[0].pool, given)
    return linearize(outputs, list(bound)), list(bound.values())


def _bounds_of_inputs(tape: Tape, symbols: Sequence[Expr], boxes: Any) -> list[Any]:
    """Return the bounds of a function's inputs from a sequence, or a mapping by name or symbol."""
    names = list(tape.inputs)
    if isinstance(boxes, Mapping):
        by_name: dict[Any, Any] = {}
        for key, value in cast("Mapping[Any, Any]", boxes).items():
            name = names[symbols.index(key)] if isinstance(key, Expr) and key in symbols else key
            if name not in names:
                raise UnknownSymbolError(
                    f"{key!r} is no input of the function (inputs: {', '.join(names) or 'none'}).",
                    remedy="Bind its inputs, by name or in order.",
                )
            if name in by_name:
                raise DuplicateInputError(f"the input {name} is bound twice.", remedy="Bind each input once.")
            by_name[name] = value
        boxes = [by_name[n] for n in names if n in by_name]
    elif not isinstance(boxes, Sequence):
        raise OperandError(
            f"the boxes are a {type(boxes).__name__}.", remedy="Pass bounds in the order of the inputs, or a dict."
        )
    given: list[Any] = list(cast("Sequence[Any]", boxes))
    if len(given) != len(names):
        raise ArityError(
            f"the function has {len(names)} input(s) ({', '.join(names)}) and bounds are given for {len(given)}.",
            remedy="Give a pair of bounds, or a number, for each input.",
        )
    return given


def _bound_symbols(pool: ExprPool, boxes: Mapping[Any, Any]) -> dict[Expr, Any]:
    bound: dict[Expr, Any] = {}
    for key, value in boxes.items():
        symbol = pool.find_symbol(key) if isinstance(key, str) else key
        if isinstance(key, str) and symbol is None:
            raise UnknownSymbolError(f"no symbol of the pool is called {key!r}.", remedy="Bind symbols that exist.")
        if not isinstance(symbol, Expr) or symbol.op != "symbol":
            raise NotASymbolError(f"{key!r} is bound and is no symbol.", remedy="Bind symbols, or their names.")
        if pool.expr(symbol) in bound:
            raise DuplicateInputError(
                f"the symbol {symbol} is bound twice.", remedy="Bind it by itself or by name, not both."
            )
        bound[symbol] = value
    return bound


def _pair(name: str, value: Any) -> tuple[Reals, Reals]:
    """Return what an input is bound to as two arrays."""
    kind = np.dtype(np.float64)
    if isinstance(value, tuple | list):
        ends = cast("Sequence[Any]", value)
        if len(ends) != 2:
            raise ShapeError(
                f"{name} is bound to {len(ends)} bounds.", remedy="Pass a pair (lo, hi), each a number or an array."
            )
        lo, hi = import_array(ends[0], kind), import_array(ends[1], kind)
    else:
        lo = hi = import_array(value, kind)
    return lo, hi


def _broadcast(tape: Tape, bounds: list[Any]) -> tuple[tuple[int, ...], list[tuple[Reals, Reals]]]:
    """Return the common shape of all bounds, and the bounds of each input as flat arrays."""
    pairs = [_pair(name, value) for name, value in zip(tape.inputs, bounds, strict=True)]
    try:
        shape = np.broadcast_shapes(*[end.shape for pair in pairs for end in pair])
    except ValueError:
        shapes = ", ".join(str(end.shape) for pair in pairs for end in pair)
        raise ShapeError(
            f"the bounds' shapes {shapes} do not broadcast.", remedy="Use shapes that broadcast."
        ) from None
    flat: list[tuple[Reals, Reals]] = []
    for name, (lo, hi) in zip(tape.inputs, pairs, strict=True):
        if not bool(np.all(lo <= hi)):
            raise DomainError(
                f"the bounds of {name} are not in order, or nan.", remedy="Pass (lo, hi) with lo <= hi, both numbers."
            )
        flat.append((np.broadcast_to(lo, shape).reshape(-1), np.broadcast_to(hi, shape).reshape(-1)))
    return shape, flat


# ------------------------------------------------------------------------------------------------- evaluation


def evaluate(
    tape: Tape, boxes: Sequence[tuple[Reals, Reals]], rounded: frozenset[float] = frozenset()
) -> list[Interval]:
    """Return the enclosures of a tape's outputs over boxes: flat arrays (lo, hi) of one length per input.

    `rounded` are the constants that stand for numbers next to them.
    """
    n = len(boxes[0][0]) if boxes else 1
    plan = _Plan(tape, rounded)
    parts = [
        plan.run([(lo[start : start + BLOCK], hi[start : start + BLOCK]) for lo, hi in boxes], min(BLOCK, n - start))
        for start in range(0, max(n, 1), BLOCK)
    ]
    return [
        Interval(*[np.concatenate(column) for column in zip(*out, strict=True)]) for out in zip(*parts, strict=True)
    ]


class _Plan:
    """A tape with the rule of each instruction, and which slots are read for the last time by it."""

    def __init__(self, tape: Tape, rounded: frozenset[float]) -> None:
        rules = _rules(tape)
        last = {a: k for k, instr in enumerate(tape.instrs) for a in instr.args}
        for slot in tape.outputs:
            last.pop(slot, None)
        dead: dict[int, list[int]] = {}
        for slot, k in last.items():
            dead.setdefault(k, []).append(slot)
        self.tape = tape
        self.rounded = rounded
        self.steps = [(rules[i.op], i.args, dict(i.params), dead.get(k, [])) for k, i in enumerate(tape.instrs)]

    def run(self, boxes: list[tuple[Reals, Reals]], n: int) -> list[Interval]:
        """Return the enclosures over `n` boxes."""
        everywhere: Truths = np.ones(n, np.bool_)
        slots: list[Any] = [Interval(lo, hi, everywhere) for lo, hi in boxes]
        for c in self.tape.consts:
            lo, hi = (math.nextafter(c, -math.inf), math.nextafter(c, math.inf)) if c in self.rounded else (c, c)
            slots.append(Interval(np.full(n, lo), np.full(n, hi), everywhere if not math.isnan(c) else ~everywhere))
        with np.errstate(all="ignore"):
            for rule, args, params, dead in self.steps:
                slots.append(rule(*[slots[a] for a in args], **params))
                for slot in dead:
                    slots[slot] = None
        return [slots[o] for o in self.tape.outputs]


def _rules(tape: Tape) -> dict[str, IntervalRule]:
    table = interval_rules()
    missing = sorted([op for op in tape.ops if op not in table])
    if missing:
        raise MissingRuleError(
            f"there is no interval rule for {', '.join(missing)}.",
            remedy='Give the primitive one: scalar_p(..., lower={"interval": rule}).',
        )
    return {op: table.by_name(op) for op in tape.ops}
