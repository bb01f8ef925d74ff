"""Where better formulas come from: the e-graph, series, other normal forms; each is put among the alternatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial, reduce
from itertools import product
from typing import TYPE_CHECKING, Any

from alkahest.errors import AlkahestError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.traversal import reachable, rebuild
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.facts.analysis import facts_of
from alkahest.symbolic.facts.fact import POSITIVE, Fact
from alkahest.symbolic.stability.alternatives import BITS_PER_COST, Alternative, Alternatives, cost_of
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.choosing import Chooser
from alkahest.symbolic.stability.judging import Points, local_errors, mean
from alkahest.symbolic.stability.naming import name_of_step
from alkahest.symbolic.stability.program import NUMBERS, program_of
from alkahest.symbolic.stability.regimes import signed_form
from alkahest.symbolic.stability.sampling import Domain
from alkahest.symbolic.stability.series_rules import Place, expand_at, partial_sum

if TYPE_CHECKING:
    from alkahest.symbolic.egraph.engine import Graph

EGRAPH_POINTS = 96
NEGATIVE = Fact(high=0, nonzero=True)
_SIGNED_ROUNDS = 3
_SIGNED_SHARE = 0.55  # of the time that is left
_SIGNED = 2  # terms whose signs are told apart
MOST_NODES = 60  # of a formula that goes into the e-graph whole
_BAD = 1.0  # bits: points that lose more are worked on
_PASSES = 4
_TAKEN = 12  # formulas of one class
_MOST_ROWS = 6000  # of an e-graph that is looked through
_GROWTH = 3  # how many times as many there are after another iteration, at least
_TERMS = (1, 2, 3, 4, 6, 8, 12)
_WIDTH = {1: 26, 2: 9}  # exponents of a series, by the number of symbols; fewer for more
_SECONDS = 0.6  # for one series


class Source:
    """What all sources share: the domain, the identities, the time."""

    def __init__(self, domain: Domain, deadline: Deadline) -> None:
        self.domain = domain
        self.deadline = deadline
        self._identities: tuple[Any, ...] | None = None
        self.facts = domain.facts()

    def identities(self) -> tuple[Any, ...]:
        """Return the identities between forms that round differently, and the plugins' own."""
        if self._identities is None:
            from alkahest.symbolic.rules.identity import GROUPS
            from alkahest.symbolic.rules.registry import all_identities

            chosen = [i for i in all_identities() if i.group == "stability" or i.group not in GROUPS]
            self._identities = tuple(chosen)
        return self._identities

    # -- normal forms

    def forms(self, alternatives: Alternatives, source: Alternative) -> None:
        """Add the canonical form, common factors cancelled, and Horner's forms."""
        expr = source.expr
        for name, form in (("canonical form", _canonical), ("rational functions cancelled", _cancelled)):
            new = _attempt(form, expr)
            if new is not None:
                alternatives.add(new, name, source)
        from alkahest.symbolic.polynomials.horner import horner

        for x in sorted(expr.free_symbols, key=lambda s: s.id):
            new = _attempt(lambda e, x=x: horner(e, x), expr)
            if new is not None:
                alternatives.add(new, f"Horner's form in {x}", source)

    # -- the e-graph

    def rewritten(self, alternatives: Alternatives, source: Alternative, seconds: float) -> None:
        """Add what the identities make of a formula, or of its parts that lose digits where it is large."""
        expr = source.expr
        size = len(reachable(expr.pool, [expr.id]))
        if size <= MOST_NODES:
            self._saturated(alternatives, source, expr, seconds)
            return
        for part in self.lossy_parts(source, alternatives.points, most=3):
            below = len(reachable(expr.pool, [part.id]))
            if 2 < below <= MOST_NODES:
                self._saturated(alternatives, source, part, seconds / 3)

    def _graph(self, part: Expr, extra: Mapping[int, Fact], seconds: float) -> Graph | None:
        """Return the e-graph of an expression after as many iterations as keep it small."""
        from alkahest.symbolic.egraph.engine import Budget, saturate

        pool = part.pool
        facts = facts_of(pool, [part.id], {**self.facts, **extra})
        graph = None
        end = self.deadline.within(seconds)
        for iterations in range(3, 8):
            budget = Budget(iterations=iterations, nodes=3000, seconds=min(seconds, self.deadline.left))
            larger = saturate(pool, [part.id], self.identities(), facts=facts, budget=budget, plain=True)
            rows = 0 if larger is None else sum(map(len, larger.classes.values()))
            if larger is None or rows > _MOST_ROWS:
                return graph or larger
            graph = larger
            if rows > _MOST_ROWS / _GROWTH or end.expired:
                break
        return graph

    def _saturated(self, alternatives: Alternatives, source: Alternative, part: Expr, seconds: float) -> None:
        import numpy as np

        graph = self._graph(part, {}, seconds)
        if graph is None or self.deadline.expired:
            return
        pool = part.pool
        points = alternatives.points
        rows = _hard_rows(alternatives, EGRAPH_POINTS)
        chooser = Chooser(pool, graph, graph.root, points.part(rows), self.deadline)
        lost = alternatives.current[rows] > _BAD
        for weights in (np.ones(len(rows)), np.where(lost, 1.0, 0.0)):
            if weights.any() and not self.deadline.expired:
                self._take(alternatives, source, part, graph, chooser.pick(weights))
        weights = np.where(alternatives.oracle()[rows] > _BAD, 1.0, 0.0)
        for _ in range(_PASSES if weights.any() else 0):
            before = alternatives.oracle()[rows]
            self._take(alternatives, source, part, graph, chooser.pick(weights))
            after = alternatives.oracle()[rows]
            weights = np.where(after > _BAD, 1.0, 0.0)
            if not weights.any() or (mean(before) - mean(after) < 0.02 and _ > 0) or self.deadline.expired:
                break
        alternatives.prune()

    def _take(
        self, alternatives: Alternatives, source: Alternative, part: Expr, graph: Graph, found: list[Expr]
    ) -> None:
        name = partial(name_of_step, graph.fired, self.identities(), part)
        for new in found[:_TAKEN]:
            alternatives.add(_replaced(source.expr, part, new), partial(name, new), source)

    def signed(self, alternatives: Alternatives, source: Alternative, seconds: float = 0.5) -> None:
        """Add what the identities make of a formula where the signs of some parts are known, joined by `where`."""
        expr = source.expr
        pool = expr.pool
        if len(reachable(pool, [expr.id])) > MOST_NODES:
            return
        items = self.undecided(source, alternatives.points)[:_SIGNED]
        joined = expr
        end = self.deadline.within(self.deadline.left * _SIGNED_SHARE)
        for signs in product((1, -1), repeat=len(items)) if items else ():
            if end.expired:
                break
            share = max(seconds, end.left / 2 ** len(items) / 2)
            found = self._best_where(alternatives, source, dict(zip(items, signs, strict=True)), share)
            if found is None:
                continue
            signed = zip([signed_form(item) for item in items], signs, strict=True)
            tests = [pool.apply("gt" if sign > 0 else "lt", item, 0) for item, sign in signed]
            joined = pool.apply("where", reduce(lambda a, b: pool.apply("and", a, b), tests), found, joined)
        if joined.id != expr.id:
            names = ", ".join(str(i) for i in items)
            alternatives.add(joined, f"by the sign of {names}", source)

    def _best_where(
        self, alternatives: Alternatives, source: Alternative, signs: dict[Expr, int], seconds: float
    ) -> Expr | None:
        """Return the best formula for the points where some expressions have some signs."""
        import numpy as np

        points = alternatives.points
        forms = [(signed_form(e), s) for e, s in signs.items()]
        program, where = program_of([e for e, _ in forms], self.domain.inputs)
        floats = program.floats(points.columns)
        rows = np.flatnonzero(np.all([floats[where[e.id]] * s > 0 for e, s in forms], axis=0))
        if len(rows) < 2 or self.deadline.expired:
            return None
        extra = {e.id: POSITIVE if s > 0 else NEGATIVE for e, s in signs.items()}
        part = points.part(rows)
        best, done = source.expr, set[int]()
        end = self.deadline.within(2 * seconds)
        while best.id not in done and len(done) < _SIGNED_ROUNDS and not end.expired:
            done.add(best.id)
            found = [best, *self._picked(best, extra, part, seconds)]
            best = min(found, key=lambda f: mean(part.errors(f, doubtful=True)) + BITS_PER_COST * cost_of(f))
            if mean(part.errors(best, doubtful=True)) < _BAD:
                break
        return best

    def _picked(self, expr: Expr, extra: Mapping[int, Fact], points: Points, seconds: float) -> list[Expr]:
        """Return what the e-graph makes of a formula under some facts, for points where those hold."""
        import numpy as np

        graph = self._graph(expr, extra, seconds)
        if graph is None or self.deadline.expired:
            return []
        chooser = Chooser(expr.pool, graph, graph.root, points.part(slice(0, EGRAPH_POINTS)), self.deadline)
        found = chooser.pick(np.ones(chooser.count))[:8]
        if not found:
            return []
        errors = np.min([points.errors(f, doubtful=True) for f in found], axis=0)[:EGRAPH_POINTS]
        return [*found, *chooser.pick(np.where(errors > _BAD, 1.0, 0.01))[:8]]

    def undecided(self, source: Alternative, points: Points) -> list[Expr]:
        """Return terms of lossy sums whose sign is not known, those of the worst sums first."""
        pool = source.expr.pool
        nodes = pool._nodes
        facts = facts_of(pool, [source.expr.id], self.facts)
        out: dict[int, None] = {}
        for part in self.lossy_parts(source, points, most=4):
            node = nodes[part.id]
            inner = [part.id] if node[0] in ("add", "sub") else list(node[1:])
            terms: list[int] = [t for i in inner if nodes[i][0] in ("add", "sub") for t in nodes[i][1:]]
            for term in terms:
                while nodes[term][0] == "neg":
                    term = nodes[term][1]
                fact = facts[term]
                known = fact.nonnegative or fact.nonpositive
                if nodes[term][0] not in NUMBERS and not known:
                    out[_core(pool, term, facts)] = None
        return [Expr(pool, i) for i in out]

    def lossy_parts(self, source: Alternative, points: Points, most: int) -> list[Expr]:
        """Return the operations that lose most digits, worst first, each with what is just above it."""
        errors = local_errors(source.expr, points.part(slice(0, EGRAPH_POINTS)), self.deadline)
        worst = sorted((i for i in errors if errors[i] > _BAD / 2), key=lambda i: -errors[i])
        return [Expr(source.expr.pool, i) for i in worst[:most]]

    # -- series

    def series(self, alternatives: Alternatives, source: Alternative) -> None:
        """Add partial sums of series of a formula, and of its parts that lose digits."""
        parts = [source.expr]
        parts += [p for p in self.lossy_parts(source, alternatives.points, most=3) if p.id != source.expr.id]
        for part in parts:
            for x in sorted(part.free_symbols, key=lambda s: s.id):
                for place in self._places(part, x):
                    if self.deadline.expired:
                        return
                    self._partial_sums(alternatives, source, part, x, place)
            alternatives.prune()

    def _partial_sums(self, alternatives: Alternatives, source: Alternative, part: Expr, x: Expr, place: Place) -> None:
        symbols = len(part.free_symbols)
        series = expand_at(part, x, place, _WIDTH.get(symbols, 6), self.deadline.within(_SECONDS))
        if series is None:
            return
        for terms in _TERMS if symbols == 1 else _TERMS[:4]:
            if terms > len(series.terms):
                break
            found = partial_sum(series, x, place, terms)
            if found is not None:
                why = f"series of {part} at {x} = {place}, {terms} term{'s' * (terms > 1)} (approximate)"
                alternatives.add(_replaced(source.expr, part, found), why, source, exact=False)

    def _places(self, part: Expr, x: Expr) -> Iterable[Place]:
        low, high = dict(zip(self.domain.symbols, self.domain.ranges, strict=True))[x]
        if high > 0 and low < 1:
            yield Place("zero")
        if low < 0 and high > -1:
            yield Place("zero", -1)
        if high > 1e3:
            yield Place("infinity")
        if low < -1e3:
            yield Place("infinity", -1)
        for point in sorted(_constants_beside(part, x)):
            if low <= point <= high and point:
                yield Place("point", 1, point)


def _constants_beside(expr: Expr, x: Expr) -> set[Fraction]:
    """Return the points c at which x is compared with a number by a sum: x - c, c - x, x + c."""
    nodes = expr.pool._nodes
    out: set[Fraction] = set()
    for i in reachable(expr.pool, [expr.id]):
        node = nodes[i]
        if node[0] in ("add", "sub") and x.id in node[1:]:
            other = nodes[int(node[1] if node[2] == x.id else node[2])]
            if other[0] in NUMBERS:
                value = Fraction(other[1], other[2]) if other[0] == "rational" else Fraction(other[1])
                out.add(value if node[0] == "sub" else -value)
        elif node[0] in ("log", "acosh", "acos", "asin", "atanh") and node[1] == x.id:
            out.add(Fraction(1))
    return out


def _core(pool: ExprPool, ident: int, facts: Mapping[int, Fact]) -> int:
    """Return the factor that decides the sign of a product or quotient whose others have known signs."""
    nodes = pool._nodes
    while nodes[ident][0] in ("mul", "div"):
        open_ = [i for i in nodes[ident][1:] if not (facts[i].nonnegative or facts[i].nonpositive)]
        if len(open_) != 1:
            break
        ident = open_[0]
    return ident


def _hard_rows(alternatives: Alternatives, count: int) -> Any:
    """Return points to look at: half of them where digits are lost still, half as they come."""
    import numpy as np

    lost = np.flatnonzero(alternatives.current > _BAD)[: count // 2]
    rest = np.setdiff1d(np.arange(alternatives.points.count), lost)[: count - len(lost)]
    return np.sort(np.concatenate([lost, rest]))


def _replaced(expr: Expr, part: Expr, by: Expr) -> Expr:
    return by if part.id == expr.id else rebuild([expr], lambda i: by if i == part.id else None)[0]


def _attempt(form: Callable[[Expr], Expr], expr: Expr) -> Expr | None:
    try:
        return form(expr)
    except AlkahestError:
        return None


def _canonical(expr: Expr) -> Expr:
    return canonical([expr])[0]


def _cancelled(expr: Expr) -> Expr:
    from alkahest.symbolic.rational.cancel import cancel

    return cancel(expr)
