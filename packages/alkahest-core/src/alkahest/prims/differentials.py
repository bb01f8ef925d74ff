"""Derivatives of scalar primitives in programs: push and pull rules from their partial derivatives.

The partials of a primitive are written once with public functions. Here they are built as expressions over symbols
for the arguments and the value, once per primitive, and bound node by node on what is traced. Where a primitive
chooses between its arguments (`Select`) the tangent or cotangent is chosen, not multiplied by 0 and 1: nothing, a
symbolic zero, goes the way that was not taken, and stays nothing where a derivative there is nan or infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alkahest.base.avals import FLOAT, AVal, BoolAVal, FloatAVal, IntAVal, StrAVal, find_aval
from alkahest.base.prim import Prim, prim_by_name
from alkahest.base.rules import impl_rules, partials_rules
from alkahest.base.zero import Zero
from alkahest.errors import DifferentiationError, OperandTypeError
from alkahest.expr.building import building
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import literal_float
from alkahest.ir.boxes import Traced
from alkahest.ir.bridge import build_nodes
from alkahest.prims.scalar import Select

Values = tuple[Any, ...]


class _Partials:
    """The partial derivatives of one primitive, as expressions over symbols for its arguments and its value."""

    def __init__(self, arity: int, rule: Callable[..., Any]) -> None:
        self.pool = ExprPool()
        self.args = self.pool.symbols([f"x{k}" for k in range(arity)])
        self.out = self.pool.symbol("out")
        with building(None):
            found = rule(*self.args, out=self.out) if _takes_out(rule) else rule(*self.args)
            self.entries = [entry() if callable(entry) else entry for entry in found]


_known: dict[Any, _Partials] = {}


def _partials(prim: Prim, arity: int) -> _Partials:
    if prim not in partials_rules:
        raise DifferentiationError(
            f"the primitive {prim.name} has no derivative.",
            remedy="Declare `partials` for it, or apply stop_gradient to what goes into it.",
        )
    rule = partials_rules.get(prim)
    found = _known.get(rule)
    if found is None:
        import alkahest.prims.standard  # noqa: F401  # pyright: ignore[reportUnusedImport] - what they are written with

        found = _known[rule] = _Partials(arity, rule)
    return found


def _takes_out(rule: Callable[..., Any]) -> bool:
    code = rule.__code__
    return "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


# --------------------------------------------------------------------------------------- building on given values


def _bind(op: str, *xs: Any) -> Any:
    """Return the value of a primitive: an equation where an operand is traced, else a number as programs have it."""
    prim = prim_by_name(op)
    if any([x.__class__ is Traced for x in xs]):
        from alkahest.prims.numeric import bind_traced

        return bind_traced(prim, xs)
    return impl_rules.get(prim)(xs)


def _bind_node(op: str, xs: list[Any]) -> Any:
    """Return `_bind`, without equations that multiply by 0 or 1 or raise to the power 0 or 1."""
    if op == "mul":
        for k in (0, 1):
            if _is(xs[k], 0):
                return 0
            if _is(xs[k], 1):
                return xs[1 - k]
    elif op == "pow":
        if _is(xs[1], 0):
            return 1
        if _is(xs[1], 1):
            return xs[0]
    return _bind(op, *xs)


def _is(x: Any, number: int) -> bool:
    return x.__class__ in (int, float) and x == number


def _literal(pool: ExprPool, ident: int) -> Any:
    """Return a literal as a value of programs: an integer, or else a float."""
    node = pool.node(ident)
    return node[1] if node[0] == "integer" else literal_float(pool, ident)


class _Builder:
    """Builds partial derivatives on the values of one equation, what they share once."""

    def __init__(self, partials: _Partials, inputs: Values, out: Any) -> None:
        self.pool = partials.pool
        self.values: dict[int, Any] = {s.id: x for s, x in zip(partials.args, inputs, strict=True)}
        self.values[partials.out.id] = out

    def value(self, entry: Any) -> Any:
        """Return an expression on the given values, and a number as it is."""
        if entry.__class__ is not Expr:
            return entry
        build_nodes(self.pool, [entry.id], self.values, _literal, _bind_node)
        return self.values[entry.id]

    def times(self, flow: Any, entry: Any) -> Any:
        """Return a tangent or cotangent times a partial derivative; None where that is 0."""
        factor = self.value(entry)
        if _is(factor, 0):
            return None
        if _is(factor, 1):
            return flow
        return _bind("neg", flow) if _is(factor, -1) else _bind("mul", flow, factor)

    def chosen(self, condition: Any, taken: Any, other: Any) -> Any:
        """Return `taken` where the condition of a `Select` holds, and `other` elsewhere."""
        holds = self.value(condition)
        if holds.__class__ is Traced:
            return _bind("where", holds, taken, other)
        return taken if holds else other


# -------------------------------------------------------------------------------------------------- what can flow


def _aval(value: Any) -> AVal:
    return value.aval if value.__class__ is Traced else find_aval(value) or FLOAT


def _is_number(aval: AVal) -> bool:
    return isinstance(aval, FloatAVal | IntAVal)


def _flows(flow: Any, between: Any) -> bool:
    """Tell whether a tangent or cotangent counts for a value: numbers for numbers, feedback in words for texts."""
    if flow.__class__ is Zero:
        return False
    aval, kind = _aval(between), _aval(flow)
    return not isinstance(aval, BoolAVal) and isinstance(aval, StrAVal) == isinstance(kind, StrAVal)


def _entry(prim: Prim, entry: Any, operand: Any, out: Any) -> Any:
    """Return a partial derivative that is needed: an order, an integer, has none and takes no part."""
    if entry is None:
        if isinstance(_aval(operand), IntAVal):
            return 0
        raise DifferentiationError(
            f"{prim.name} has no derivative by an argument that varies.",
            remedy="Make it an int or a static input, or apply stop_gradient to the result.",
        )
    if not _is(entry, 0) and _is_number(_aval(operand)) and not _is_plain(_aval(out)):
        raise OperandTypeError(
            f"a number and {_aval(out).label} meet in {prim.name}, and how their derivatives do is not known.",
            remedy=f"Set push and pull rules of your own for {prim.name}, or use values of one type.",
        )
    return entry


def _is_plain(aval: AVal) -> bool:
    return isinstance(aval, FloatAVal | IntAVal | BoolAVal | StrAVal)


# --------------------------------------------------------------------------------------------------------- rules


def push_rule(prim: Prim) -> Callable[..., Any]:
    """Return the push rule: `((primals, tangents))` gives the output and its tangent."""

    def push(in_tree: Any, /, **_: Any) -> Any:
        primals, tangents = in_tree
        out = prim.bind(primals)
        nothing = Zero(_aval(out))
        counting = [k for k, t in enumerate(tangents) if _flows(t, primals[k])]
        if not counting or isinstance(nothing.aval, BoolAVal):
            return out, nothing
        partials = _partials(prim, len(primals))
        builder = _Builder(partials, primals, out)
        terms: list[Any] = []
        choices: dict[int, tuple[Any, list[Any]]] = {}  # by condition: the tangents where it fails and where it holds
        for k in counting:
            entry = _entry(prim, partials.entries[k], primals[k], out)
            if isinstance(entry, Select):
                _, sides = choices.setdefault(entry.condition.id, (entry.condition, [nothing, nothing]))
                sides[entry.taken] = tangents[k]
            else:
                terms.append(builder.times(tangents[k], entry))
        terms += [builder.chosen(condition, sides[1], sides[0]) for condition, sides in choices.values()]
        return out, _sum([t for t in terms if t is not None], nothing)

    return push


def _sum(terms: list[Any], nothing: Zero) -> Any:
    if not terms:
        return nothing
    total = terms[0]
    for term in terms[1:]:
        total = _bind("add", total, term)
    return total


def forward_rule(prim: Prim) -> Callable[..., Any]:
    """Return the forward rule of the pullback: it keeps inputs and output."""

    def forward(in_tree: Any, /, **_: Any) -> Any:
        out = prim.bind(in_tree)
        return out, (in_tree, out)

    return forward


def backward_rule(prim: Prim) -> Callable[..., Any]:
    """Return the backward rule of the pullback: `((residuals, cotangent))` gives one cotangent per input."""

    def backward(in_tree: Any, /, **_: Any) -> Any:
        (inputs, out), cotangent = in_tree
        found: list[Any] = [Zero(_aval(x)) for x in inputs]
        # Where something is traced, what is not is a literal, and nobody asks for its cotangent.
        traced = any([x.__class__ is Traced for x in (*inputs, out, cotangent)])
        wanted = [k for k, x in enumerate(inputs) if (x.__class__ is Traced or not traced) and _flows(cotangent, x)]
        if not wanted or isinstance(_aval(out), BoolAVal):
            return tuple(found)
        partials = _partials(prim, len(inputs))
        builder = _Builder(partials, inputs, out)
        for k in wanted:
            entry = _entry(prim, partials.entries[k], inputs[k], out)
            if isinstance(entry, Select):
                sides = (cotangent, found[k]) if entry.taken else (found[k], cotangent)
                found[k] = builder.chosen(entry.condition, *sides)
            else:
                flow = builder.times(cotangent, entry)
                found[k] = found[k] if flow is None else flow
        return tuple(found)

    return backward
