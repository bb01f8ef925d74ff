"""Rewriting without the e-graph: identities that make things cheaper, applied from the leaves upwards in one pass."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Mapping, Sequence

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical, canonical_node
from alkahest.symbolic.derivation import Step
from alkahest.symbolic.egraph.costs import CostModel, cost_of, cost_of_nodes
from alkahest.symbolic.egraph.definedness import LAZY
from alkahest.symbolic.egraph.encoding import directions
from alkahest.symbolic.egraph.matching import FLIPPED, Expression, Match, Pattern
from alkahest.symbolic.egraph.views import PRODUCTS, SUMS, Make, Views
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.rules.identity import Identity

# How often one node may be written anew.
_AGAIN = 8
# Below so many nodes two ways to write a node are compared by themselves.
_NEAR = 64


class Book:
    """The identities that make things cheaper by one cost model, by the ops that they look for."""

    def __init__(self, identities: Sequence[Identity], model: CostModel) -> None:
        ways = [way for identity in identities for way in directions(identity)]
        patterns = [Pattern(way) for way in ways]
        patterns = [p for p in patterns if p.kind and _gains(p, model)]
        self.patterns = patterns
        self._chosen: dict[frozenset[str], dict[str, list[Pattern]]] = {}

    def for_ops(self, ops: frozenset[str]) -> dict[str, list[Pattern]]:
        """Return what can be found in an expression of some ops, by "sum", "product", or the op of a function."""
        found = self._chosen.get(ops)
        if found is None:
            found = dict[str, list[Pattern]]()
            for pattern in self.patterns:
                if pattern.needs <= ops:
                    key = pattern.head if pattern.kind == "function" else pattern.kind
                    found.setdefault(key, []).append(pattern)
            if len(self._chosen) > 500:
                self._chosen.clear()
            self._chosen[ops] = found
        return found


def _gains(pattern: Pattern, model: CostModel) -> bool:
    """Tell whether the right side costs less. Of a product any multiple is found: its number is on both sides.

    The left side is taken as it is written: of a symbol that is positive the canonical form knows more than of what
    the symbol stands for.
    """
    left, right = Expr(pattern.pool, pattern.left), Expr(pattern.pool, pattern.right)
    coef = pattern.views.product(pattern.left)[0] if pattern.kind == "product" else 1
    if coef != 1:
        left, right = canonical([left / coef, right / coef])
    return cost_of(canonical([right]), model) < cost_of([left], model)


def maker(pool: ExprPool, strict: bool) -> Make:
    """Return what builds nodes: in canonical form, which is done for the whole at the end where domains are kept."""

    def as_written(op: str, *args: int) -> int:
        return pool._intern((op, *args))

    def canonically(op: str, *args: int) -> int:
        return canonical_node(pool, op, args).id

    return as_written if strict else canonically


def guarded(pool: ExprPool, order: Sequence[int]) -> set[int]:
    """Return the nodes whose domain must be kept, since what stands above may have a value where they have none.

    Those are operands of comparisons, connectives, fmin and fmax, and conditions of choices, with all below.
    """
    nodes = pool._nodes
    starts: set[int] = set()
    for i in order:
        node = nodes[i]
        if node[0] in LAZY:
            starts.update(node[1:2] if node[0] == "where" else node[1:])
    return set(reachable(pool, starts)) if starts else starts


def rewritten(
    pool: ExprPool,
    roots: Sequence[int],
    chosen: Mapping[str, list[Pattern]],
    knowledge: Knowledge,
    model: CostModel,
    strict: bool,
) -> tuple[list[int], list[Step]]:
    """Return nodes after one pass over all below them, and the steps; not in canonical form as a whole."""
    nodes = pool._nodes
    order = reachable(pool, roots)
    kept = guarded(pool, order)
    inner = _inner(pool, order)
    make = maker(pool, strict)
    e = Expression(Views(pool, make), knowledge)
    steps: list[Step] = []
    new: dict[int, int] = {}
    for i in order:
        node = nodes[i]
        if node[0] in LEAVES:
            new[i] = i
            continue
        args = [new[c] for c in node[1:]]
        now = i if args == list(node[1:]) else make(node[0], *args)
        new[i] = now if i in inner else _written(e, now, chosen, model, strict or i in kept, steps)
    return [new[r] for r in roots], steps


def _inner(pool: ExprPool, order: Sequence[int]) -> set[int]:
    """Return the nodes that are read together with what they occur in: sums in a sum, products in a product."""
    nodes = pool._nodes
    uses: dict[int, int] = {}
    inner: set[int] = set()
    for i in order:
        node = nodes[i]
        if node[0] in LEAVES:
            continue
        family = SUMS if node[0] in SUMS else PRODUCTS if node[0] in PRODUCTS else frozenset[str]()
        for child in node[1:]:
            uses[child] = uses.get(child, 0) + 1
            if nodes[child][0] in family:
                inner.add(child)
    return {i for i in inner if uses[i] == 1}


def _written(
    e: Expression, i: int, chosen: Mapping[str, list[Pattern]], model: CostModel, strict: bool, steps: list[Step]
) -> int:
    """Return what a node is written as, once nothing more is found that costs less."""
    for _ in range(_AGAIN):
        op: str = e.nodes[i][0]
        done = len(steps)
        if op in SUMS:
            after = _sum_written(e, i, chosen.get("sum", ()), strict, steps)
        else:
            found = _found(e, i, chosen.get("product" if op in PRODUCTS else FLIPPED.get(op, op), ()), strict)
            after = i if found is None else found.after
            if found is not None:
                steps.append(Step(found.identity, Expr(e.pool, i), Expr(e.pool, after)))
        if after == i:
            break
        if not _is_cheaper(e, after, i, model):
            del steps[done:]
            break
        i = after
    return i


def _is_cheaper(e: Expression, after: int, before: int, model: CostModel) -> bool:
    """Tell whether a node costs less than another; what is large is left to the comparison of the whole."""
    costs: list[float] = []
    for root in (after, before):
        near = _near(e, root)
        if near is None:
            return True
        costs.append(cost_of_nodes(e.nodes, near, model))
    return costs[0] < costs[1]


def _near(e: Expression, root: int) -> set[int] | None:
    """Return all nodes below one, None where there are many."""
    seen = {root}
    stack = [root]
    while stack:
        node = e.nodes[stack.pop()]
        if node[0] not in LEAVES:
            fresh = [c for c in node[1:] if c not in seen]
            seen.update(fresh)
            stack += fresh
            if len(seen) > _NEAR:
                return None
    return seen


def _found(e: Expression, i: int, patterns: Sequence[Pattern], strict: bool) -> Match | None:
    for pattern in patterns:
        if not (strict and pattern.widens):
            found = pattern.match(e, i)
            if found is not None and found.after != i:
                return found
    return None


def _sum_written(e: Expression, i: int, patterns: Sequence[Pattern], strict: bool, steps: list[Step]) -> int:
    """Return a sum with all that is found in it written anew; the terms are put together once."""
    if not patterns:
        return i
    terms = dict(e.views.sum(i))
    others: list[int] = []
    for pattern in patterns:
        if strict and pattern.widens:
            continue
        for found in pattern.in_sum(e, terms):
            before = e.views.built_sum(found.used, [])
            steps.append(Step(found.identity, Expr(e.pool, before), Expr(e.pool, found.after)))
            others.append(found.after)
            for factors in found.used:
                del terms[factors]
    return e.views.built_sum(terms, others) if others else i
