"""The formulas found so far, each with its errors at the points of the search and where it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from alkahest.base.prim import arity_of
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.derivation import Step
from alkahest.symbolic.stability.judging import Points, mean

_CHEAP = {"add": 1.0, "sub": 1.0, "mul": 1.0, "fma": 1.0, "neg": 0.5, "abs": 0.5, "div": 4.0, "sqrt": 4.0}
_DEAR = 12.0
BITS_PER_COST = 0.006  # what a formula's cost counts against its error
APPROXIMATE_BITS = 0.5
EVEN_BITS = 0.2  # scores that differ by less are even
MOST = 24

Reason: TypeAlias = str | Callable[[], str]


def op_cost(op: str) -> float:
    """Return what an operation costs, about, in additions."""
    return 0.0 if arity_of(op) is None else _CHEAP.get(op, _DEAR)


def cost_of(expr: Expr) -> float:
    """Return what a formula costs, shared parts once."""
    nodes = expr.pool._nodes
    return sum([op_cost(nodes[i][0]) for i in reachable(expr.pool, [expr.id]) if nodes[i][0] not in LEAVES])


@dataclass(frozen=True, eq=False)
class Alternative:
    """A formula, its errors at the points, and how it came about."""

    expr: Expr
    errors: Any
    cost: float
    why: Reason = ""
    source: Alternative | None = None
    exact: bool = True

    @property
    def score(self) -> float:
        """Its mean error, and a little for its cost and for being an approximation."""
        return mean(self.errors) + self.price

    @property
    def price(self) -> float:
        """What its cost, and being an approximation, counts against it, in bits."""
        return BITS_PER_COST * min(self.cost, 1000.0) + (0.0 if self.exact else APPROXIMATE_BITS)

    def steps(self) -> list[Step]:
        """Return how it came from the input."""
        out: list[Step] = []
        at = self
        while at.source is not None:
            why = at.why if isinstance(at.why, str) else at.why()
            out.append(Step(why, at.source.expr, at.expr))
            at = at.source
        return out[::-1]


class Alternatives:
    """The formulas worth keeping: each is the best at some point."""

    def __init__(self, expr: Expr, points: Points) -> None:
        self.points = points
        self.input = Alternative(expr, points.errors(expr, doubtful=True), cost_of(expr))
        self.kept = [self.input]
        self._seen = {expr.id}
        self.current = self.input.errors  # of the best that can be made of them so far, by point

    def add(self, expr: Expr, why: Reason, source: Alternative, *, exact: bool = True) -> None:
        """Take a formula in, unless it is known."""
        if expr.id not in self._seen:
            self._seen.add(expr.id)
            errors = self.points.errors(expr, doubtful=True)
            self.kept.append(Alternative(expr, errors, cost_of(expr), why, source, exact and source.exact))

    def oracle(self) -> Any:
        """Return the least error of any formula at each point."""
        import numpy as np

        return np.min([a.errors for a in self.kept], axis=0)

    def best(self) -> Alternative:
        """Return the cheapest of the formulas whose scores are about the best."""
        least = min(a.score for a in self.kept)
        return min((a for a in self.kept if a.score <= least + EVEN_BITS), key=lambda a: (a.cost, a.expr.id))

    def prune(self, most: int = MOST) -> None:
        """Keep the formulas that improve some points, one after the other the one that improves them most."""
        import numpy as np

        kept = [self.best()]
        current = kept[0].errors
        left = [a for a in self.kept if a is not kept[0]]
        while left and len(kept) < most:
            gains = [mean(np.maximum(current - a.errors, 0.0)) - 0.1 * a.price for a in left]
            best = int(np.argmax(gains))
            if gains[best] <= 0.01:
                break
            kept.append(left.pop(best))
            current = np.minimum(current, kept[-1].errors)
        if self.input not in kept:
            kept.append(self.input)
        self.kept = kept
