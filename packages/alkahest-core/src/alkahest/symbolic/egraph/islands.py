"""Improving expressions by identities: a pass by hashing, then the e-graph on islands; only what is cheaper counts.

An island is a small part of the DAG around functions that have identities, cut off from the rest, so that the cost
grows linearly with the size of the whole. Islands go through the e-graph in batches.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from alkahest.expr.building import building
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.derivation import Step
from alkahest.symbolic.egraph.costs import CostModel, SizeCost, argument, cost_of
from alkahest.symbolic.egraph.encoding import has_conditions
from alkahest.symbolic.egraph.engine import Budget, Graph, saturate_all
from alkahest.symbolic.egraph.extraction import Extraction, extract
from alkahest.symbolic.egraph.matching import FLIPPED
from alkahest.symbolic.egraph.rewriting import Book, guarded, maker, rewritten
from alkahest.symbolic.egraph.views import PRODUCTS, SUMS, Make, Views
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.fact import Fact
from alkahest.symbolic.facts.harvest import harvested
from alkahest.symbolic.rules.identity import Identity

MOST_NODES = 24
MOST_OPERANDS = 7
BATCH = 50
# What the e-graph of an island may cost: enough for a few identities after each other.
ISLAND = Budget(iterations=4, nodes=200, seconds=2.0)
# The same where there are many.
ISLANDS = Budget(iterations=3, nodes=150, seconds=10.0)
_FEW = 8
# So many islands of one expression go through the e-graph, those near its root first; identities that make something
# cheaper at once are found everywhere, by hashing.
MOST_ISLANDS = 64
_PASSES = 6
_REARRANGED = "sums and products rearranged"

# The functions that a group of identities is about: two of them near each other may have something to do with each
# other. Groups that are not named here (plugins') are used wherever all their ops are.
_FAMILIES: Mapping[str, frozenset[str]] = {
    "trigonometric": frozenset("sin cos tan asin acos atan".split()),
    "hyperbolic": frozenset("sinh cosh tanh asinh acosh atanh exp".split()),
    "exponential": frozenset("exp log expm1 log1p".split()),
    "roots": frozenset("sqrt cbrt abs sign hypot".split()),
    "choices": frozenset("min max abs where".split()),
    "arithmetic": frozenset(),
    "stability": frozenset(),
}


class Island(NamedTuple):
    """A part of an expression: its root, its nodes, and what is cut off below."""

    root: int
    inside: tuple[int, ...]
    cut: frozenset[int]


def improve(
    exprs: Sequence[Expr],
    *,
    identities: Sequence[Identity],
    cost: CostModel | None = None,
    assumed: Mapping[int, Fact] | None = None,
    budget: Budget | None = None,
    strict: bool = False,
) -> tuple[list[Expr], list[Step]]:
    """Return expressions of one pool, in canonical form, as the identities make them cheapest, and the steps.

    What comes in is in canonical form already (`canonical(exprs, assumed=…, strict=…)`). `assumed` is known of nodes
    by their ids; what one expression alone has to say of its parts is found out here. The result equals the input
    wherever the input has a value; `strict` keeps the domain. Each step is an equation that can be checked by itself.
    A failing engine or a spent budget costs improvements, never correctness.

    >>> from alkahest import ExprPool, cos, sin
    >>> from alkahest.symbolic.rules.registry import identities_of
    >>> x, y = ExprPool().symbols("x y")
    >>> [out], steps = improve([y * sin(x) ** 2 + y * cos(x) ** 2], identities=identities_of(["trigonometric"]))
    >>> out, [step.name for step in steps]
    (y, ['Pythagoras'])
    """
    if not exprs:
        return [], []
    with building(None):
        return _Improvement(exprs[0].pool, tuple(identities), cost or SizeCost(), assumed or {}, strict).of(
            [e.id for e in exprs], budget
        )


class _Improvement:
    def __init__(
        self,
        pool: ExprPool,
        identities: tuple[Identity, ...],
        model: CostModel,
        assumed: Mapping[int, Fact],
        strict: bool,
    ) -> None:
        self.pool = pool
        self.nodes = pool._nodes
        self.identities = identities
        self.model = model
        self.assumed = assumed
        self.strict = strict
        self.views = Views(pool)
        self.others = [i for i in identities if i.group not in _FAMILIES]

    def of(self, roots: list[int], budget: Budget | None) -> tuple[list[Expr], list[Step]]:
        steps: list[Step] = []
        book = _book(self.identities, self.model)
        for _ in range(_PASSES):
            new, made = self._by_hashing(roots, book)
            new = self._cheaper(roots, new)
            if new == roots:
                break
            roots, steps = new, steps + made
        new, made = self._by_engine(roots, budget)
        new = self._cheaper(roots, new)
        if new != roots:
            roots, steps = new, steps + made
            new, made = self._by_hashing(roots, book)
            new = self._cheaper(roots, new)
            if new != roots:
                roots, steps = new, steps + made
        return [Expr(self.pool, i) for i in roots], steps

    def _cheaper(self, old: list[int], new: list[int]) -> list[int]:
        """Return the canonical form of what is new where it costs less, else what is old."""
        if new == old:
            return old
        exprs = canonical([Expr(self.pool, i) for i in new], assumed=self.assumed, strict=self.strict)
        before = cost_of([Expr(self.pool, i) for i in old], self.model)
        return [e.id for e in exprs] if cost_of(exprs, self.model) < before else old

    def _knowledge(self, roots: list[int], needed: bool) -> Mapping[int, Fact]:
        if needed and len(roots) == 1 and not self.strict:
            return harvested(self.pool, roots[0], self.assumed)
        return self.assumed

    def _by_hashing(self, roots: list[int], book: Book) -> tuple[list[int], list[Step]]:
        chosen = book.for_ops(_ops(self.pool, roots))
        if not chosen:
            return roots, []
        needed = any([has_conditions(p.identity) for patterns in chosen.values() for p in patterns])
        knowledge = Knowledge(self.nodes, self._knowledge(roots, needed))
        return rewritten(self.pool, roots, chosen, knowledge, self.model, self.strict)

    # -- islands

    def _by_engine(self, roots: list[int], budget: Budget | None) -> tuple[list[int], list[Step]]:
        if not self._may_interact(roots):
            return roots, []
        order = reachable(self.pool, roots)
        islands = _islands(self.pool, roots, self.views)
        kept = guarded(self.pool, order)
        plans: dict[bool, list[Island]] = {}
        groups: set[str] = set()
        left = MOST_ISLANDS
        for island in islands:
            there = self._groups_of(island) if left else None
            if there:
                left -= 1
                groups |= there
                plans.setdefault(self.strict or island.root in kept, []).append(island)
        if not plans:
            return roots, []
        budget = budget or (ISLAND if sum(map(len, plans.values())) <= _FEW else ISLANDS)
        # One set for all islands: e-graphs with their rules are kept, and take long to make.
        used = tuple([i for i in self.identities if i.group in groups or i.group == "arithmetic"])
        facts = self._knowledge(roots, needed=True)
        found: dict[int, tuple[Island, Graph, Extraction]] = {}
        for strict, members in plans.items():
            for start in range(0, len(members), BATCH):
                for island, graph in self._saturated(members[start : start + BATCH], used, strict, facts, budget):
                    best = extract(graph, self.model)
                    if best is not None:
                        found[island.root] = (island, graph, best)
        return self._rebuilt(roots, order, found)

    def _may_interact(self, roots: list[int]) -> bool:
        """Tell whether there is any function that identities are about."""
        ops = _ops(self.pool, roots)
        return any([not ops.isdisjoint(family) for family in _FAMILIES.values()]) or any(
            [_needs(i) <= ops for i in self.others]
        )

    def _saturated(
        self,
        islands: list[Island],
        used: tuple[Identity, ...],
        strict: bool,
        facts: Mapping[int, Fact],
        budget: Budget,
    ) -> list[tuple[Island, Graph]]:
        graphs = saturate_all(
            self.pool,
            [i.root for i in islands],
            used,
            facts=facts,
            budget=budget,
            strict=strict,
            atoms=[i.cut for i in islands],
        )
        return [(island, graph) for island, graph in zip(islands, graphs, strict=True) if graph is not None]

    def _groups_of(self, island: Island) -> set[str]:
        """Return the groups of identities that may do something for an island."""
        found = {g for g, family in _FAMILIES.items() if family and self._interact(island, family)}
        ops = frozenset([FLIPPED.get(self.nodes[i][0], self.nodes[i][0]) for i in island.inside])
        return found | {i.group for i in self.others if _needs(i) <= ops}

    def _interact(self, island: Island, family: frozenset[str]) -> bool:
        """Tell whether two functions of a family may have to do with each other: by their arguments, or one in one."""
        seen: set[object] = set()
        for i in island.inside:
            node = self.nodes[i]
            if node[0] not in family:
                continue
            parts = {part for c in node[1:] for part in (c, *self.views.sum(c))}
            if not seen.isdisjoint(parts) or any([self._holds_one(c, family) for c in node[1:]]):
                return True
            seen.update(parts)
        return False

    def _holds_one(self, argument: int, family: frozenset[str]) -> bool:
        """Tell whether a function of a family is a factor or term of an argument."""
        return any([self.nodes[base][0] in family for factors in self.views.sum(argument) for base, _ in factors])

    def _rebuilt(
        self, roots: list[int], order: list[int], found: Mapping[int, tuple[Island, Graph, Extraction]]
    ) -> tuple[list[int], list[Step]]:
        make = maker(self.pool, self.strict)
        new: dict[int, int] = {}
        steps: list[Step] = []
        for i in order:
            node = self.nodes[i]
            if node[0] in LEAVES:
                new[i] = i
                continue
            args = [new[c] for c in node[1:]]
            new[i] = i if args == list(node[1:]) else make(node[0], *args)
            if i in found:
                island, graph, best = found[i]
                after = self._instance(best, make, new)
                if after != new[i] and self._island_cost(after, island, new) < self._island_cost(new[i], island, new):
                    steps.append(
                        Step(" · ".join(graph.fired) or _REARRANGED, Expr(self.pool, new[i]), Expr(self.pool, after))
                    )
                    new[i] = after
        return [new[r] for r in roots], steps

    def _instance(self, best: Extraction, make: Make, new: Mapping[int, int]) -> int:
        """Return what was chosen for an island as a node."""
        made: dict[int, int] = {}
        stack = [best.root]
        while stack:
            c = stack[-1]
            way = best.choice[c]
            missing = [k for k in way.children if k not in made]
            if missing:
                stack += missing
                continue
            stack.pop()
            if way.op == "atom":
                made[c] = new.get(way.value, way.value)
            elif way.op == "number":
                made[c] = self.pool.rational(way.value.numerator, way.value.denominator).id
            else:
                made[c] = make(way.op, *[made[k] for k in way.children])
        return made[best.root]

    def _island_cost(self, root: int, island: Island, new: Mapping[int, int]) -> float:
        """Return what a node costs down to what the island was cut off from."""
        ends = {new.get(i, i) for i in island.cut}
        seen = {root}
        stack = [root]
        total = 0.0
        while stack:
            i = stack.pop()
            node = self.nodes[i]
            if node[0] in LEAVES or i in ends:
                total += self.model.node("number" if node[0] in ("integer", "rational") else "atom", ())
                continue
            total += self.model.node(node[0], [argument(self.nodes, c) for c in node[1:]])
            fresh = [c for c in node[1:] if c not in seen]
            seen.update(fresh)
            stack += fresh
            if len(seen) > 4 * MOST_NODES:  # what was cut off has been merged into it: it cannot be compared
                return math.inf
        return total


# ---------------------------------------------------------------------------------------------------------- pieces

_books: dict[Hashable, Book] = {}


def _book(identities: tuple[Identity, ...], model: CostModel) -> Book:
    try:
        key = (identities, model)
        found = _books.get(key)
    except TypeError:  # a cost model that cannot be hashed
        return Book(identities, model)
    if found is None:
        if len(_books) > 16:
            _books.clear()
        found = _books[key] = Book(identities, model)
    return found


def _ops(pool: ExprPool, roots: list[int]) -> frozenset[str]:
    nodes = pool._nodes
    ops: set[str] = {nodes[i][0] for i in reachable(pool, roots)}
    return frozenset([FLIPPED.get(op, op) for op in ops])


def _needs(identity: Identity) -> frozenset[str]:
    arithmetic = SUMS | PRODUCTS | LEAVES
    return _ops(identity.pool, [identity.left.id]) - arithmetic


def _islands(pool: ExprPool, roots: list[int], views: Views) -> list[Island]:
    """Return islands that cover what is below some roots, as far as functions are there; none overlaps another."""
    found: list[Island] = []
    seen = set(roots)
    starts = list(dict.fromkeys(roots))
    for root in starts:
        inside, cut = _island(pool, root, views)
        found.append(Island(root, tuple(inside), frozenset(cut)))
        fresh = sorted([i for i in cut if i not in seen], reverse=True)
        seen.update(fresh)
        starts += fresh
    return found


def _island(pool: ExprPool, root: int, views: Views) -> tuple[list[int], set[int]]:
    """Return the nodes next to a root, level by level, and those at which they are cut off."""
    nodes = pool._nodes
    inside: list[int] = []
    cut: set[int] = set()
    queue = [root]
    known = {root}
    for i in queue:
        node = nodes[i]
        if node[0] in LEAVES:
            continue
        if i != root and (len(inside) >= MOST_NODES or _is_wide(views, i)):
            cut.add(i)
            continue
        inside.append(i)
        if i == root and _is_wide(views, i):
            cut.update(_operands(pool, i))
            break
        fresh = [c for c in node[1:] if c not in known]
        known.update(fresh)
        queue += fresh
    return inside, cut


def _operands(pool: ExprPool, root: int) -> set[int]:
    """Return what a sum adds up, or a product multiplies, but for leaves."""
    nodes = pool._nodes
    family = SUMS if nodes[root][0] in SUMS else PRODUCTS
    found: set[int] = set()
    stack = [root]
    while stack:
        for c in nodes[stack.pop()][1:]:
            if nodes[c][0] in family:
                stack.append(c)
            elif nodes[c][0] not in LEAVES:
                found.add(c)
    return found


def _is_wide(views: Views, i: int) -> bool:
    """Tell whether a sum or product has too many operands to be rearranged."""
    op = views.nodes[i][0]
    if op in SUMS:
        return len(views.sum(i)) > MOST_OPERANDS
    return op in PRODUCTS and len(views.product(i)[1]) > MOST_OPERANDS
