"""Splits a domain so that on each part another formula serves (Herbie's regimes: dynamic programming over points)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from alkahest.expr.expression import Expr
from alkahest.symbolic.stability.alternatives import Alternative
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.error import from_ordinals, ordinals
from alkahest.symbolic.stability.judging import Points, points_with_values
from alkahest.symbolic.stability.program import program_of

PIECES = 4
SPLIT_BITS = 0.25  # what each split must gain, in mean bits of error over the whole domain
_LEAST_POINTS = 12  # of a part that may be split again
_DEPTH = 3
_PROBES = 64
_PAIRED = 4  # symbols of which two are compared


class Tree(NamedTuple):
    """One formula, or one for each part of the values of a branch expression, cut at thresholds."""

    leaf: Alternative | None
    branch: Expr | None = None
    cuts: tuple[float, ...] = ()
    parts: tuple[Tree, ...] = ()

    def expr(self) -> Expr:
        """Return the tree as an expression."""
        if self.leaf is not None:
            return self.leaf.expr
        assert self.branch is not None
        out = self.parts[-1].expr()
        for cut, part in zip(reversed(self.cuts), reversed(self.parts[:-1]), strict=True):
            out = out.pool.apply("where", _below(self.branch, cut), part.expr(), out)
        return out

    def leaves(self) -> list[Alternative]:
        """Return the formulas used, from left to right."""
        return [self.leaf] if self.leaf is not None else [a for p in self.parts for a in p.leaves()]


def _below(branch: Expr, cut: float) -> Expr:
    """Return the condition that a branch expression is below a threshold."""
    pool = branch.pool
    if branch.op == "sub" and cut == 0:
        return pool.apply("lt", *branch.args)
    return pool.apply("lt", branch, pool.number(int(cut) if cut == int(cut) and abs(cut) < 1e15 else cut))


class _Split(NamedTuple):
    branch: Expr
    values: Any
    order: Any
    pieces: tuple[tuple[int, int, int], ...]  # (first point, end, which formula), points by value
    cost: float


class Regimes:
    """Looks for the splits of a domain among some formulas."""

    def __init__(
        self, root: Expr, choices: Sequence[Alternative], branches: Sequence[Expr], deadline: Deadline, rng: Any
    ) -> None:
        self._root = root
        self._choices = choices
        self._branches = branches
        self._deadline = deadline
        self._rng = rng

    def infer(self, points: Points) -> Tree:
        """Return the tree for the points of the search."""
        import numpy as np

        errors = np.array([a.errors for a in self._choices])
        return self._tree(points, np.arange(points.count), errors, points.count, _DEPTH)

    def _tree(self, points: Points, rows: Any, errors: Any, total: int, depth: int) -> Tree:
        import numpy as np

        own = errors[:, rows]
        costs = np.array([a.price for a in self._choices]) * len(rows)
        alone = own.sum(axis=1) + costs
        single = int(np.argmin(alone))
        leaf = Tree(self._choices[single])
        room = own[single].sum() - own.min(axis=0).sum()
        if depth == 0 or len(rows) < _LEAST_POINTS or room < 2 * SPLIT_BITS * total or self._deadline.expired:
            return leaf
        part = points.part(rows)
        found = [s for b in self._branches for s in [self._split(b, part, own, costs / len(rows), total)] if s]
        if not found:
            return leaf
        best = min(found, key=lambda s: s.cost)
        if len(best.pieces) < 2 or best.cost >= alone[single]:
            return leaf
        cuts = [self._cut(best, part, k) for k in range(len(best.pieces) - 1)]
        parts = [
            self._tree(points, rows[best.order[first:end]], errors, total, depth - 1) for first, end, _ in best.pieces
        ]
        return Tree(None, best.branch, tuple(cuts), tuple(parts))

    def _split(self, branch: Expr, points: Points, errors: Any, costs: Any, total: int) -> _Split | None:
        """Return the best split by the values of one expression, with at most `PIECES` pieces."""
        import numpy as np

        program, where = program_of([branch], points.domain.inputs)
        values = program.floats(points.columns)[where[branch.id]]
        if branch.op != "symbol":
            values = np.sign(values)  # of others only the sign is looked at: cuts between samples would be guesses
        if np.isnan(values).any() or self._deadline.expired:
            return None
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        n = len(ordered)
        starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [n]])
        if len(starts) < 3:
            return None
        sums = np.concatenate([np.zeros((len(errors), 1)), np.cumsum(errors[:, order], axis=1)], axis=1)[:, starts]
        sums += np.outer(costs, starts)
        m = len(starts)
        between = np.full((m, m), np.inf)
        which = np.zeros((m, m), dtype=np.int32)
        for c in range(len(errors)):
            segment = sums[c][None, :] - sums[c][:, None]
            better = segment < between
            between[better] = segment[better]
            which[better] = c
        between[np.tril_indices(m)] = np.inf
        return self._best_path(branch, values, order, starts, between, which, SPLIT_BITS * total)

    @staticmethod
    def _best_path(
        branch: Expr, values: Any, order: Any, starts: Any, between: Any, which: Any, penalty: float
    ) -> _Split:
        import numpy as np

        m = len(starts)
        costs = [between[0]]
        previous: list[Any] = []
        for _ in range(PIECES - 1):
            through = costs[-1][:, None] + between + penalty
            came = np.argmin(through, axis=0)
            previous.append(came)
            costs.append(through[came, np.arange(m)])
        pieces = int(np.argmin([c[-1] for c in costs]))
        cost = float(costs[pieces][-1])
        ends = [m - 1]
        for k in range(pieces - 1, -1, -1):
            ends.append(int(previous[k][ends[-1]]))
        bounds = [0, *reversed(ends)]
        found = [(int(starts[a]), int(starts[b]), int(which[a, b])) for a, b in pairwise(bounds)]
        return _Split(branch, values, order, tuple(found), cost)

    def _cut(self, split: _Split, points: Points, k: int) -> float:
        """Return the threshold between two pieces: probed between neighbouring points, with as few digits as can be."""
        _, at, left = split.pieces[k]
        right = split.pieces[k + 1][2]
        low, high = float(split.values[split.order[at - 1]]), float(split.values[split.order[at]])
        if split.branch.op == "symbol" and split.branch.domain != "integer":
            low, high = self._probe(split, points, (low, high), (left, right))
        return shortest_between(low, high)

    def _probe(
        self, split: _Split, points: Points, gap: tuple[float, float], formulas: tuple[int, int]
    ) -> tuple[float, float]:
        """Return the two neighbouring probes between which the errors say to change formulas."""
        import numpy as np

        low, high = (int(i) for i in ordinals(np.array(gap)))
        if high - low < 2 or self._deadline.expired:
            return gap
        tried = np.sort(self._rng.integers(low, high, size=_PROBES))
        near = split.order[self._rng.integers(0, points.count, size=_PROBES)]
        column = points.domain.symbols.index(split.branch)
        columns = [c[near] for c in points.columns]
        columns[column] = from_ordinals(tried)
        probes, _ = points_with_values(self._root, points.domain, columns, self._deadline)
        if not probes.count:
            return gap
        left, right = (probes.errors(self._choices[f].expr, doubtful=True) for f in formulas)
        change = np.concatenate([[0.0], np.cumsum(left - right)])
        best = np.flatnonzero(change <= change.min() + 1e-9)
        at = int(best[len(best) // 2])
        ends = np.concatenate([[gap[0]], probes.columns[column], [gap[1]]])
        return float(ends[at]), float(ends[at + 1])


def shortest_between(low: float, high: float) -> float:
    """Return a number of few digits in (low, high]: 0 where it lies there."""
    import math

    if low < 0 < high:
        return 0.0
    middle = float(from_ordinals((int(ordinals(low)) + int(ordinals(high))) // 2))
    for digits in range(1, 17):
        value = float(f"{middle:.{digits}g}")
        if low < value <= high and math.isfinite(value):
            return value
    return high


def branch_expressions(symbols: Sequence[Expr], terms: Sequence[Expr]) -> list[Expr]:
    """Return what to branch on: symbols, the signs of some terms, and which of two symbols is larger, also in size."""
    pairs = list(combinations(symbols, 2)) if len(symbols) <= _PAIRED else []
    sizes = [x.pool.apply("sub", x.pool.apply("abs", x), x.pool.apply("abs", y)) for x, y in pairs]
    differences = [x.pool.apply("sub", x, y) for x, y in pairs]
    return [*symbols, *[signed_form(t) for t in terms if t.op != "symbol"], *differences, *sizes]


def signed_form(expr: Expr) -> Expr:
    """Return an expression of the same sign, in which products neither overflow nor vanish: sign(a)*c for a*c."""
    pool = expr.pool
    factors: list[Expr] = []
    work = [expr]
    while work:
        node = work.pop()
        if node.op in ("mul", "div"):
            work += reversed(node.args)
        elif not (node.op in ("integer", "rational") and node.value is not None and node.value > 0):
            factors.append(node)
    out = factors[-1] if factors else pool.integer(1)
    for factor in reversed(factors[:-1]):
        out = pool.apply("mul", pool.apply("sign", factor), out)
    return out
