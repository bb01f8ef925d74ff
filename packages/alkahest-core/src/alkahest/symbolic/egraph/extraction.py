"""Choosing one way to write each class, so that the whole costs least.

Shared classes count once. Method: each class keeps the set of classes that its best way needs; the cost of a way is
that of the union of its arguments' sets (the greedy DAG extraction of the extraction gym, Goodman et al., 2023). What
needs its own class is no way to write it, so that the result has no cycle. Ties are broken by structure.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from hashlib import blake2b
from typing import NamedTuple

from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.symbolic.egraph.costs import Argument, CostModel
from alkahest.symbolic.egraph.engine import ENode, Graph

_NUMBER, _ATOM = "number", "atom"


class Extraction(NamedTuple):
    """What was chosen for each class that the root needs, and what the whole costs."""

    root: int
    choice: dict[int, ENode]
    cost: float


class _Best(NamedTuple):
    cost: float
    digest: bytes
    way: ENode
    needs: dict[int, float]  # the class itself and all below it, with the cost of each


def extract(graph: Graph, model: CostModel) -> Extraction | None:
    """Return the cheapest way to write the root of a graph, None where it has none."""
    best = _fixpoint(graph.classes, model)
    if graph.root not in best:
        return None
    found = best[graph.root]
    return Extraction(graph.root, {c: best[c].way for c in found.needs}, found.cost)


def _fixpoint(classes: Mapping[int, list[ENode]], model: CostModel) -> dict[int, _Best]:
    users: dict[int, list[tuple[int, ENode]]] = {}
    work: list[tuple[int, ENode]] = []
    for c, ways in classes.items():
        for way in ways:
            if way.children:
                for child in dict.fromkeys(way.children):
                    users.setdefault(child, []).append((c, way))
            else:
                work.append((c, way))
    best: dict[int, _Best] = {}
    left = 40 * (len(work) + sum(map(len, users.values())))  # improvements get small: there is a last one
    position = 0
    while position < len(work) and left > 0:
        c, way = work[position]
        position += 1
        left -= 1
        candidate = _candidate(c, way, best, model)
        known = best.get(c)
        if candidate is not None and (known is None or candidate[:2] < known[:2]):
            best[c] = candidate
            work += users.get(c, ())
    return _acyclic(best, classes)


def _candidate(c: int, way: ENode, best: Mapping[int, _Best], model: CostModel) -> _Best | None:
    parts = [best.get(child) for child in way.children]
    needs: dict[int, float] = {}
    for part in parts:
        if part is None or c in part.needs:
            return None
        needs.update(part.needs)
    needs[c] = model.node(way.op, [_argument(p.way) for p in parts if p is not None])
    digest = blake2b(f"{way.op} {way.value}".encode(), digest_size=8)
    for part in parts:
        if part is not None:
            digest.update(part.digest)
    return _Best(round(sum(needs.values()), 6), digest.digest(), way, needs)


def _argument(way: ENode) -> Argument:
    return way.value if way.op == _NUMBER else way.op


def _acyclic(best: dict[int, _Best], classes: Mapping[int, list[ENode]]) -> dict[int, _Best]:
    """Return the choices with the needs as they are now: parts may have changed after a class had chosen them."""
    fresh: dict[int, _Best] = {}
    for start in classes:
        stack = [start] if start in best and start not in fresh else []
        open_: set[int] = set()
        while stack:
            c = stack[-1]
            if c in fresh:
                stack.pop()
                continue
            missing = [k for k in best[c].way.children if k not in fresh]
            if any([k in open_ for k in missing]):
                return {}  # a cycle: nothing is chosen
            if missing and c not in open_:
                open_.add(c)
                stack += missing
                continue
            needs = {c: best[c].needs[c]}
            for k in best[c].way.children:
                needs.update(fresh[k].needs)
            fresh[c] = best[c]._replace(needs=needs, cost=sum(needs.values()))
            open_.discard(c)
            stack.pop()
    return fresh


def built(pool: ExprPool, extraction: Extraction) -> Expr:
    """Return the expression that was chosen, not in canonical form."""
    made: dict[int, int] = {}
    stack = [extraction.root]
    while stack:
        c = stack[-1]
        way = extraction.choice[c]
        missing = [k for k in way.children if k not in made]
        if c in made or missing:
            stack += [] if c in made else missing
            if c in made:
                stack.pop()
            continue
        stack.pop()
        made[c] = _node(pool, way, [made[k] for k in way.children])
    return Expr(pool, made[extraction.root])


def _node(pool: ExprPool, way: ENode, args: list[int]) -> int:
    if way.op == _ATOM:
        return way.value
    if way.op == _NUMBER:
        value: Fraction = way.value
        return pool.rational(value.numerator, value.denominator).id
    return pool._intern((way.op, *args))
