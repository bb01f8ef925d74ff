"""Exact derivatives over the DAG, forward and reverse; one partials rule per primitive serves both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import alkahest.prims.standard  # noqa: F401  # pyright: ignore[reportUnusedImport] - declares the rules of core
from alkahest.base.rules import partials_rules
from alkahest.errors import DifferentiationError, PoolMismatchError
from alkahest.expr.building import building
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.prims.scalar import Select
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.folding import folding_node
from alkahest.symbolic.guards import ROOT, Branches, Guarded, add

# Larger results get cheap local folding only: collecting like terms over them takes longer than it saves.
CANONICAL_UP_TO = 50_000


def check_variables(pool: ExprPool, wrt: Sequence[Any]) -> list[Expr]:
    """Return `wrt` as symbols of `pool`, or raise what is wrong with them."""
    for x in wrt:
        if not isinstance(x, Expr) or x.op != "symbol":
            raise DifferentiationError(
                f"{x!r} is no symbol, so nothing can be differentiated by it.",
                remedy="Differentiate by a symbol; substitute one for a sub-expression with subs first.",
            )
        if x.pool is not pool:
            raise PoolMismatchError(f"the symbol {x} is of another pool.", remedy="Use the pool of the expression.")
    return list(wrt)


def diff(expr: Expr, x: Expr, n: int = 1) -> Expr:
    """Return the `n`-th derivative of `expr` by the symbol `x`, folded.

    Differentiation by what is no symbol, or through a primitive without a derivative, raises `DifferentiationError`.

    >>> from alkahest import ExprPool, sin
    >>> x, y = ExprPool().symbols("x y")
    >>> diff(x**2 + sin(y), x)
    2*x
    >>> diff(x**4, x, 2)
    12*x^2
    """
    if not isinstance(expr, Expr):
        raise DifferentiationError(
            f"{expr!r} is no expression.", remedy="Pass an Expr, or use grad on a traced function."
        )
    check_variables(expr.pool, [x])
    if not isinstance(n, int) or n < 0:
        raise DifferentiationError(f"there is no derivative of order {n!r}.", remedy="Pass a whole number n >= 0.")
    for _ in range(n):
        expr = jacobian_rows([expr], [x])[0][0]
    return expr


def jacobian_rows(outputs: Sequence[Expr], wrt: Sequence[Any]) -> list[list[Expr]]:
    """Return one row of derivatives per output, one entry per symbol of `wrt`, folded.

    Fewer symbols than outputs go forward, one sweep a symbol; else reverse, one sweep an output.
    """
    if not outputs:
        return []
    pool = outputs[0].pool
    symbols = check_variables(pool, wrt)
    forward = len(symbols) < len(outputs)
    with building(folding_node):
        if forward:
            columns = [_tangents(pool, outputs, x) for x in symbols]
            rows = [list(row) for row in zip(*columns, strict=True)] or [[] for _ in outputs]
        else:
            rows = [_cotangents(pool, out, symbols) for out in outputs]
    return _fold(pool, rows)


def _fold(pool: ExprPool, rows: list[list[Expr]]) -> list[list[Expr]]:
    flat = [e for row in rows for e in row]
    if not flat or len(reachable(pool, [e.id for e in flat])) > CANONICAL_UP_TO:
        return rows
    entries = iter(canonical(flat))
    return [[next(entries) for _ in row] for row in rows]


def _partials(pool: ExprPool, ident: int, node: tuple[Any, ...]) -> Sequence[Any]:
    op = node[0]
    if op not in partials_rules:
        raise DifferentiationError(
            f"the primitive {op} has no derivative.",
            remedy="Declare `partials` for it, or keep it out of what is differentiated.",
        )
    rule: Callable[..., Sequence[Any]] = partials_rules.by_name(op)
    args = [Expr(pool, i) for i in node[1:]]
    if _takes_out(rule):
        return rule(*args, out=Expr(pool, ident))
    return rule(*args)


_takes: dict[Any, bool] = {}


def _takes_out(rule: Callable[..., Any]) -> bool:
    found = _takes.get(rule)
    if found is None:
        code = rule.__code__
        found = _takes[rule] = "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return found


def _entry(op: str, partial: Any) -> Any:
    """Return one entry of a partials rule: given as it is, or as a function where it is dear to build."""
    if partial is None:
        raise DifferentiationError(
            f"{op} has no derivative by the argument that depends on the symbol.",
            remedy="Keep that argument constant.",
        )
    return partial() if callable(partial) else partial


def _active(pool: ExprPool, order: list[int], symbols: Sequence[Expr]) -> set[int]:
    """Return the nodes of `order` that depend on any of `symbols`."""
    nodes = pool._nodes
    active = {s.id for s in symbols}
    for i in order:
        node = nodes[i]
        if node[0] not in LEAVES and any([c in active for c in node[1:]]):
            active.add(i)
    return active


def _cotangents(pool: ExprPool, output: Expr, symbols: Sequence[Expr]) -> list[Expr]:
    """Reverse accumulation (Griewank & Walther, Evaluating Derivatives, 2008, section 3.2)."""
    nodes = pool._nodes
    order = reachable(pool, [output.id])
    active = _active(pool, order, symbols)
    branches = Branches()
    bars: dict[int, Guarded] = {output.id: {ROOT: pool.integer(1)}}
    for i in reversed(order):
        node = nodes[i]
        if i not in active or i not in bars or node[0] in LEAVES:
            continue
        cell, seed = branches.joined(bars.pop(i))
        for child, partial in zip(node[1:], _partials(pool, i, node), strict=True):
            if child not in active:
                continue
            entry = _entry(node[0], partial)
            if isinstance(entry, Select):
                add(bars.setdefault(child, {}), branches.below(cell, entry.condition, entry.taken), seed)
            elif not _is_zero(entry):
                add(bars.setdefault(child, {}), cell, seed * entry)
    zero = pool.integer(0)
    return [branches.total(bars[s.id]) if s.id in bars else zero for s in symbols]


def _is_zero(entry: Any) -> bool:
    return entry.__class__ is int and entry == 0


def _tangents(pool: ExprPool, outputs: Sequence[Expr], x: Expr) -> list[Expr]:
    """Forward accumulation: the derivative of every node by one symbol."""
    nodes = pool._nodes
    order = reachable(pool, [o.id for o in outputs])
    active = _active(pool, order, [x])
    zero = pool.integer(0)
    branches = Branches()
    dots: dict[int, tuple[int, Expr]] = {x.id: (ROOT, pool.integer(1))}
    for i in order:
        node = nodes[i]
        if i not in active or node[0] in LEAVES:
            continue
        terms: Guarded = {}
        for child, partial in zip(node[1:], _partials(pool, i, node), strict=True):
            if child not in active:
                continue
            entry = _entry(node[0], partial)
            cell, dot = dots[child]
            if isinstance(entry, Select):
                add(terms, branches.below(cell, entry.condition, entry.taken), dot)
            elif not _is_zero(entry):
                add(terms, cell, dot * entry)
        dots[i] = branches.joined(terms) if terms else (ROOT, zero)
    return [branches.total(dict([dots[o.id]])) if o.id in dots else zero for o in outputs]
