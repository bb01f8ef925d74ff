"""Walks over the DAG: loops over ids, never recursion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from alkahest.errors import OperandError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool


def reachable(pool: ExprPool, roots: Iterable[int]) -> list[int]:
    """Return the ids reachable from `roots`, ascending, which is children before parents."""
    nodes = pool._nodes
    seen = set(roots)
    stack = list(seen)
    add, push, pop = seen.add, stack.append, stack.pop
    while stack:
        node = nodes[pop()]
        if node[0] in LEAVES:
            continue
        if len(node) == 3:  # by far the most, and the general way takes half as long again
            _, a, b = node
            if a not in seen:
                add(a)
                push(a)
            if b not in seen:
                add(b)
                push(b)
            continue
        for child in node[1:]:
            if child not in seen:
                add(child)
                push(child)
    return sorted(seen)


def tree_size(expr: Expr) -> int:
    """Return the number of nodes of `expr` written out as a tree."""
    nodes = expr.pool._nodes
    size: dict[int, int] = {}
    for i in reachable(expr.pool, [expr.id]):
        node = nodes[i]
        size[i] = 1 if node[0] in LEAVES else 1 + sum([size[c] for c in node[1:]])
    return size[expr.id]


def rebuild(roots: list[Expr], leaf: Callable[[int], Expr | None], into: ExprPool | None = None) -> list[Expr]:
    """Return `roots` with every node for which `leaf` gives a replacement replaced, parents built anew."""
    pool = roots[0].pool
    target = pool if into is None else into  # an empty pool counts as false
    nodes = pool._nodes
    new: dict[int, int] = {}
    for i in reachable(pool, [r.id for r in roots]):
        given = leaf(i)
        if given is not None:
            new[i] = given.id
            continue
        node = nodes[i]
        if node[0] in LEAVES:
            new[i] = i if target is pool else target._intern(node)
            continue
        args = tuple([new[c] for c in node[1:]])
        unchanged = target is pool and args == node[1:]
        new[i] = i if unchanged else target._build(node[0], args).id
    return [Expr(target, new[r.id]) for r in roots]


def substitute(expr: Expr, replacements: Mapping[Any, Any]) -> Expr:
    """Return `expr` with the keys of `replacements` replaced by their values, all at once."""
    pool = expr.pool
    table: dict[int, Expr] = {}
    for key, value in replacements.items():
        if not isinstance(key, Expr):
            raise OperandError(
                f"{key!r} cannot be replaced: it is no expression.",
                remedy="Use symbols or expressions as keys.",
            )
        table[pool.expr(key).id] = pool.expr(value)
    return rebuild([expr], table.get)[0]
