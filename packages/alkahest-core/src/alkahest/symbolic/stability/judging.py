"""What candidates are judged by: points with true values, and the bits of error of formulas at them."""

from __future__ import annotations

from typing import Any

from alkahest.expr.expression import Expr
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.error import bits_of_error
from alkahest.symbolic.stability.program import program_of
from alkahest.symbolic.stability.sampling import Domain
from alkahest.symbolic.stability.truth import truth

_ROUNDS = 8  # of points drawn again where few of them have a value


class Points:
    """Points of a domain at which a formula has finite true values; `columns` of floats, one for each symbol."""

    def __init__(self, domain: Domain, columns: list[Any], true: Any) -> None:
        self.domain = domain
        self.columns = columns
        self.true = true
        self._errors: dict[tuple[int, bool], Any] = {}

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(self.true)

    def errors(self, expr: Expr, *, doubtful: bool = False) -> Any:
        """Return the bits of error of a formula at the points, taking their true values for its own."""
        found = self._errors.get((expr.id, doubtful))
        if found is None:
            program, where = program_of([expr], self.domain.inputs)
            computed = program.floats(self.columns, doubtful=doubtful)[where[expr.id]]
            found = self._errors[expr.id, doubtful] = bits_of_error(computed, self.true)
        return found

    def part(self, rows: Any) -> Points:
        """Return some of the points."""
        return Points(self.domain, [c[rows] for c in self.columns], self.true[rows])


def points_with_values(expr: Expr, domain: Domain, columns: list[Any], deadline: Deadline) -> tuple[Points, int]:
    """Return those of the points where `expr` has a finite value, and how many did not settle."""
    import numpy as np

    program, where = program_of([expr], domain.inputs)
    found = truth(program, columns, [where[expr.id]], deadline)
    true = found.values[where[expr.id]]
    rows = np.isfinite(true)
    return Points(domain, [c[rows] for c in columns], true[rows]), found.unsettled[where[expr.id]]


def fresh_points(expr: Expr, domain: Domain, count: int, rng: Any, deadline: Deadline) -> tuple[Points, int]:
    """Return up to `count` points with values, drawn anew, and how many others did not settle."""
    import numpy as np

    parts: list[Points] = []
    unsettled = total = 0
    for _ in range(_ROUNDS if domain.symbols else 1):
        columns = domain.sample(count, rng)
        points, lost = points_with_values(expr, domain, columns, deadline)
        parts.append(points)
        unsettled += lost
        total += points.count
        if total >= count or deadline.expired:
            break
    columns = [np.concatenate([p.columns[k] for p in parts])[:count] for k in range(len(domain.symbols))]
    return Points(domain, columns, np.concatenate([p.true for p in parts])[:count]), unsettled


def search_points(expr: Expr, domain: Domain, count: int, rng: Any, deadline: Deadline) -> Points:
    """Return points with values to search with: by bit pattern, and some of ordinary size, in no order."""
    import numpy as np

    points, _ = fresh_points(expr, domain, count, rng, deadline)
    if not domain.symbols:
        return points  # a constant has one point
    usual, _ = points_with_values(expr, domain, domain.ordinary(count // 4, rng), deadline)
    order = rng.permutation(points.count + usual.count)
    columns = [np.concatenate(pair)[order] for pair in zip(points.columns, usual.columns, strict=True)]
    return Points(domain, columns, np.concatenate([points.true, usual.true])[order])


def mean(errors: Any) -> float:
    """Return the mean of errors, 0 of none."""
    return float(errors.mean()) if len(errors) else 0.0


def local_errors(expr: Expr, points: Points, deadline: Deadline) -> dict[int, float]:
    """Return the mean bits of error that each operation adds, by node: it is given the true values of its operands.

    The localisation of Herbie (Panchekha and others, 2015, section 4.2).
    """
    import numpy as np

    from alkahest.base.rules import impl_rules

    program, where = program_of([expr], points.domain.inputs)
    inner = [k for k, op in enumerate(program.ops) if op.args]
    found = truth(program, points.columns, list(range(len(program.ops))), deadline, levels=3)
    out: dict[int, float] = {}
    ident = {k: i for i, k in where.items()}
    with np.errstate(all="ignore"):
        for k in inner:
            op = program.ops[k]
            rule = impl_rules.by_name(op.op).array_function()
            computed = rule(*[found.values[a] for a in op.args])
            known = np.all([~np.isnan(found.values[a]) for a in op.args], axis=0)
            out[ident[k]] = mean(np.where(known, bits_of_error(computed, found.values[k]), 0.0))
    return out
