"""`stabilize`: a formula rearranged so that it keeps its digits on a domain."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

from alkahest.errors import OperandError, StabilityError
from alkahest.expr.building import building
from alkahest.expr.expression import Expr
from alkahest.expr.fpcore import FPCore
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.derivation import Step
from alkahest.symbolic.stability.alternatives import Alternative, Alternatives
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.candidates import Source
from alkahest.symbolic.stability.judging import Points, fresh_points, local_errors, mean, search_points
from alkahest.symbolic.stability.regimes import Regimes, Tree, branch_expressions
from alkahest.symbolic.stability.sampling import Domain, domain_of
from alkahest.symbolic.stability.truth import known_ops

SEARCH_POINTS = 512
FRESH_POINTS = 1024
GOOD_BITS = 0.4  # an input that loses no more is left as it is
GO_ON_BITS = 1.0  # doubtful bits above which the search goes on
MARGIN_BITS = 0.1  # what a result must gain
SIMPLER_BITS = 0.1  # what a formula must gain over a simpler one
_STRAY = 0.03  # of all points: where an approximation may be worse, because thresholds are found by sampling
_HARM_BITS = 0.5  # what an approximation may cost on the mean where it is worse
_LOSSY = 3.0  # bits that are worth a warning
_MOST_NODES = 2000
_MOST_VALUES = 250_000  # nodes times points
_LAST_SECONDS = 0.5  # for the verdict, where the search took all


@dataclass(frozen=True, kw_only=True)
class Stabilized:
    """A formula and how many bits of its value are wrong, before and after.

    `expr` is the formula, `bits_before` and `bits_after` the mean bits of error of the input and of `expr` at `points`
    points that the search had not seen (nan where a function of the formula has no known true values), `steps` the
    derivation, `remaining` in words what still loses digits.
    `unsettled` points had no true value within the precision that was tried, and were left out.
    """

    expr: Expr
    bits_before: float
    bits_after: float
    steps: tuple[Step, ...]
    remaining: tuple[str, ...]
    points: int
    unsettled: int = 0

    def __str__(self) -> str:
        lines = [f"{self.expr}", f"  mean bits of error: {self.bits_before:.2f} before, {self.bits_after:.2f} after"]
        if not self.steps:
            lines.append("  nothing better was found" if self.remaining else "  nothing to improve")
        lines += [f"  {line}" for step in self.steps for line in str(step).splitlines()]
        return "\n".join(lines + [f"  still lossy: {what}" for what in self.remaining])


def stabilize(expr: Expr | FPCore, domain: Any = None, budget_s: float = 10.0, *, seed: int = 0) -> Stabilized:
    """Return a formula that equals `expr` on a domain and loses fewer digits there, with what it lost and loses.

    `domain` maps symbols to pairs of bounds, or is a condition such as `x > 1`, or a list of these; an `FPCore`
    brings its own. A symbol of which nothing is said has all floats. Floats are drawn uniformly by bit pattern, as
    Herbie does (Panchekha, Sanchez-Stern, Wilcox and Tatlock, 2015), and errors are those of arithmetic in float64
    against the value over the real numbers, correctly rounded.

    Formulas come from identities, from series (approximations, taken only where they are as good as exact at the
    sampled points; the steps say so) and from `where`, which chooses between them. What comes back is never worse
    than the input at points that the search has not seen: else it is the input. About `budget_s` seconds are spent;
    one seed gives one result as long as they suffice.

    Raises `StabilityError` where the domain holds no point at which the formula has a value.

    >>> from alkahest import ExprPool, sqrt
    >>> x = ExprPool().symbol("x")
    >>> found = stabilize(sqrt(x + 1) - sqrt(x), {x: (1, 1e300)})
    >>> found.bits_before > 50, found.bits_after < 1
    (True, True)
    """
    if isinstance(expr, FPCore):
        domain = [expr] if domain is None else [expr, domain]
        expr = expr.expr
    _check(expr, budget_s)
    with building(None):  # as written, whatever block the caller is in: the shape is what matters
        where = domain_of(expr, domain)
        return _Search(expr, where, Deadline(budget_s), seed).run()


def _check(expr: Any, budget_s: float) -> None:
    if not isinstance(expr, Expr):
        raise OperandError(
            f"a value of type {type(expr).__name__} is no expression.",
            remedy="Pass an Expr; pool.expr(value) makes one of a number.",
        )
    if not budget_s > 0:
        raise StabilityError(f"a budget of {budget_s} seconds leaves no time.", remedy="Give a positive budget_s.")


class _Proposal(NamedTuple):
    """A formula for the input's place, how it came about, and whether it equals the input."""

    expr: Expr
    steps: list[Step]
    exact: bool


class _Search:
    """One search: alternatives at some points, a tree of them, a verdict at others."""

    def __init__(self, expr: Expr, domain: Domain, deadline: Deadline, seed: int) -> None:
        import numpy as np

        self.expr = expr
        self.domain = domain
        self.deadline = deadline
        self.searching = deadline.within(deadline.left * 0.75)
        self.rng = np.random.default_rng(seed)
        self.terms: list[Expr] = []
        # Of a large formula fewer points are looked at: true values take about a microsecond a node and point.
        self.part = min(1.0, _MOST_VALUES / (expr.node_count() * SEARCH_POINTS))

    def run(self) -> Stabilized:
        """Return the result."""
        strange = self._strange()
        if strange:
            return self._unjudged(f"no true values are known of {', '.join(strange)}")
        points = search_points(self.expr, self.domain, round(SEARCH_POINTS * self.part), self.rng, self.searching)
        if not points.count and self.searching.expired:
            return self._unjudged("the time was too short for true values")
        if not points.count:
            raise StabilityError(
                "the formula has no finite value at any point of the domain that was tried.",
                remedy="Check the ranges and the condition, and that the formula uses real functions only.",
            )
        found: list[_Proposal] = []
        if self._can_be_searched() and mean(points.errors(self.expr)) > GOOD_BITS:
            found = self._search(points)
        return self._verdict(found)

    def _unjudged(self, why: str) -> Stabilized:
        why = f"{why}: nothing was judged"
        return Stabilized(expr=self.expr, bits_before=nan, bits_after=nan, steps=(), remaining=(why,), points=0)

    def _strange(self) -> list[str]:
        """Return the operations of which no true values are known."""
        pool = self.expr.pool
        known = LEAVES | known_ops()
        return sorted({pool._nodes[i][0] for i in reachable(pool, [self.expr.id])} - known)

    def _can_be_searched(self) -> bool:
        return self.expr.node_count() <= _MOST_NODES

    def _search(self, points: Points) -> list[_Proposal]:
        """Return the results worth judging, the simpler ones first."""
        alternatives = Alternatives(self.expr, points)
        source = Source(self.domain, self.searching)
        self.terms = source.undecided(alternatives.input, points)[:2]
        source.forms(alternatives, alternatives.input)
        source.rewritten(alternatives, alternatives.input, seconds=1.0)
        # Of several symbols the signs matter most, of one the places where its terms cancel.
        single = len(self.domain.symbols) == 1
        for improve in (source.series, source.signed) if single else (source.signed, source.series):
            alternatives.prune()
            if (single and improve == source.series) or self._tree(alternatives)[1] > GO_ON_BITS:
                improve(alternatives, alternatives.input)
        alternatives.prune()
        done = {alternatives.input.expr.id}
        while not self.searching.expired and self._tree(alternatives)[1] > GO_ON_BITS:
            following = self._next(alternatives, done)
            if following is None:
                break
            done.add(following.expr.id)
            self._round(source, alternatives, following)
        return self._proposals(alternatives)

    def _proposals(self, alternatives: Alternatives) -> list[_Proposal]:
        """Return the best tree, the best without approximations, and the best single formula of either kind."""
        trees = [self._tree(alternatives)[0]]
        if not all(leaf.exact for leaf in trees[0].leaves()):
            alternatives.kept = [a for a in alternatives.kept if a.exact]
            trees += [Tree(alternatives.best()), self._tree(alternatives)[0]]
        trees.append(Tree(alternatives.best()))
        return [
            _Proposal(t.expr(), self._tree_steps(t), all(leaf.exact for leaf in t.leaves())) for t in reversed(trees)
        ]

    def _round(self, source: Source, alternatives: Alternatives, at: Alternative) -> None:
        source.rewritten(alternatives, at, seconds=1.0)
        alternatives.prune()
        source.series(alternatives, at)
        alternatives.prune()

    def _next(self, alternatives: Alternatives, done: set[int]) -> Alternative | None:
        """Return the formula to go on from: the best one where digits are lost still."""
        import numpy as np

        hard = alternatives.current > 1.0
        left = [a for a in alternatives.kept if a.expr.id not in done]
        if not left or not hard.any():
            return None
        return min(left, key=lambda a: float(np.mean(a.errors[hard])) + 0.01 * a.cost)

    def _tree(self, alternatives: Alternatives) -> tuple[Tree, float]:
        used = self.expr.free_symbols
        branches = branch_expressions([s for s in self.domain.symbols if s in used], self.terms)
        regimes = Regimes(self.expr, alternatives.kept, branches, self.deadline, self.rng)
        tree = regimes.infer(alternatives.points)
        alternatives.current = alternatives.points.errors(tree.expr(), doubtful=True)
        return tree, mean(alternatives.current)

    def _tree_steps(self, tree: Tree) -> list[Step]:
        """Return the steps of each formula used, and the one that joins them."""
        if tree.leaf is not None:
            return tree.leaf.steps()
        steps: dict[tuple[str, int, int], Step] = {}
        for leaf in tree.leaves():
            for step in leaf.steps():
                steps.setdefault((step.name, step.before.id, step.after.id), step)
        return [*steps.values(), Step(f"split by {tree.branch}", self.expr, tree.expr())]

    def _verdict(self, found: list[_Proposal]) -> Stabilized:
        """Return the best of input and proposals: chosen at fresh points, told of others."""
        count = round(FRESH_POINTS * self.part)
        deadline = Deadline(max(self.deadline.left, _LAST_SECONDS))
        chosen, steps = self.expr, list[Step]()
        if found:
            points = search_points(self.expr, self.domain, count, self.rng, deadline)
            best = mean(points.errors(self.expr)) - MARGIN_BITS
            for expr, how, exact in found:
                bits = max(mean(points.errors(expr)), mean(points.errors(expr, doubtful=True)) - GOOD_BITS)
                if expr.id != self.expr.id and bits < best and (exact or self._holds(expr, points)):
                    chosen, steps, best = expr, how, bits - SIMPLER_BITS
        points, unsettled = fresh_points(self.expr, self.domain, count, self.rng, deadline)
        before, after = mean(points.errors(self.expr)), mean(points.errors(chosen))
        if after > before or not points.count:
            chosen, steps, after = self.expr, [], before
        return Stabilized(
            expr=chosen,
            bits_before=before,
            bits_after=after,
            steps=tuple(steps),
            remaining=self._remaining(chosen, points),
            points=points.count,
            unsettled=unsettled,
        )

    def _holds(self, expr: Expr, points: Points) -> bool:
        """Tell whether an approximation is worse than the input at few points only (beside a threshold), or by little.

        The points are not only those by bit pattern, of which few are of ordinary size.
        """
        import numpy as np

        found, before = points.errors(expr), points.errors(self.expr)
        worse = found > np.maximum(before + 1.0, _LOSSY)
        return float(worse.mean()) < _STRAY or mean(np.where(worse, found - before, 0.0)) < _HARM_BITS

    def _remaining(self, expr: Expr, points: Points) -> tuple[str, ...]:
        """Tell which operations still lose more than a few bits, and where."""
        import numpy as np

        errors = points.errors(expr)
        if mean(errors) <= _LOSSY:
            return ()
        lossy = np.flatnonzero(errors > _LOSSY)
        out = [f"{len(lossy)} of {points.count} points lose more than {_LOSSY:.0f} bits"]
        part = points.part(lossy[:128])
        local = local_errors(expr, part, self.deadline.within(1.0))
        worst = max(local, key=lambda i: local[i], default=None)
        if worst is not None and local[worst] > _LOSSY:
            ends = ", ".join(
                f"{s} from {c[lossy].min():.3g} to {c[lossy].max():.3g}"
                for s, c in zip(self.domain.symbols, points.columns, strict=True)
            )
            out.append(f"{Expr(expr.pool, worst).to_string(120)} loses {local[worst]:.1f} bits of them ({ends})")
        return tuple(out)


class StabilityCost:
    """A cost for `simplify`: how many bits a formula loses on a domain. Arguments are those of `stabilize`.

    >>> from alkahest import ExprPool, exp
    >>> x = ExprPool().symbol("x")
    >>> StabilityCost({x: (-1, 1)}).best(exp(x) - 1).expr
    expm1(x)
    """

    def __init__(self, domain: Any = None, budget_s: float = 10.0, *, seed: int = 0) -> None:
        self.domain = domain
        self.budget_s = budget_s
        self.seed = seed

    def best(self, expr: Expr) -> Stabilized:
        """Return what `stabilize` gives."""
        return stabilize(expr, self.domain, self.budget_s, seed=self.seed)

    def bits(self, expr: Expr, points: int = FRESH_POINTS) -> float:
        """Return the mean bits of error of a formula, as it stands, on the domain."""
        import numpy as np

        where = domain_of(expr, self.domain)
        found, _ = fresh_points(expr, where, points, np.random.default_rng(self.seed), Deadline(self.budget_s))
        return mean(found.errors(expr))

    def __repr__(self) -> str:
        return f"StabilityCost({self.domain!r})"
