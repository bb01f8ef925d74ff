"""True values: what a formula gives over the real numbers, rounded once to a float.

Computed in Arb's balls (Johansson 2017) with more and more digits, until both ends of a ball round to the same float
(Ziv 1991).
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.program import Op, Program

PRECISIONS = (128, 640, 2600, 10_400)


class Truth(NamedTuple):
    """True values at points: by node an array of floats, nan where there is none; and how many never settled."""

    values: dict[int, Any]
    unsettled: dict[int, int]


def truth(
    program: Program,
    columns: Sequence[Any],
    wanted: Sequence[int],
    deadline: Deadline,
    *,
    levels: int = len(PRECISIONS),
) -> Truth:
    """Return the true values of the wanted nodes at the points of columns of floats.

    A point has no value where the formula is undefined over the reals, where it did not settle, or where time ran out.
    """
    import flint
    import numpy as np

    size = len(columns[0]) if columns else 1
    values = {w: np.full(size, np.nan) for w in wanted}
    open_points = {w: list(range(size)) for w in wanted}
    before = flint.ctx.prec
    try:
        for precision in PRECISIONS[:levels]:
            if not any(open_points.values()) or deadline.expired:
                break
            flint.ctx.prec = precision
            balls = _run(program, columns, open_points, deadline)
            open_points = {w: _settle(balls[w], values[w]) if w in balls else open_points[w] for w in wanted}
    finally:
        flint.ctx.prec = before
    return Truth(values, {w: len(points) for w, points in open_points.items()})


def _settle(balls: dict[int, Any], values: Any) -> list[int]:
    """Write down what has settled; return the points that need more digits."""
    still: list[int] = []
    for k, ball in balls.items():
        if ball is None:
            continue
        low = float(ball.lower())
        if low == float(ball.upper()):
            values[k] = low
        else:
            still.append(k)
    return still


def _run(program: Program, columns: Sequence[Any], points: dict[int, list[int]], deadline: Deadline) -> dict[int, Any]:
    """Return balls by node and point, for the nodes that the open points of the wanted ones need."""
    ops = program.ops
    need: dict[int, set[int]] = {w: set(p) for w, p in points.items() if p}
    for i in range(max(need), -1, -1):
        for a in ops[i].args if i in need else ():
            need.setdefault(a, set()).update(need[i])
    balls: dict[int, dict[int, Any]] = {}
    for i in sorted(need):
        if deadline.expired:
            break
        order = sorted(need[i])
        balls[i] = dict(zip(order, _node(ops[i], columns, balls, order), strict=True))
    return {w: balls[w] for w in points if w in balls}


def _node(op: Op, columns: Sequence[Any], balls: dict[int, dict[int, Any]], order: list[int]) -> list[Any]:
    import flint

    if op.op == "input":
        column = columns[op.value]
        return [flint.arb(float(column[k])) for k in order]
    if op.op == "number":
        exact = flint.arb(flint.fmpq(op.value.numerator, op.value.denominator))
        return [exact] * len(order)
    if op.op == "const":
        return [flint.arb.pi() if op.value == "pi" else flint.arb.const_e()] * len(order)
    rule = ball_rules().get(op.op)
    if rule is None:
        return [None] * len(order)
    args = [[balls[a][k] for k in order] for a in op.args]
    if op.op == "where" or not any(v is None for column in args for v in column):
        return [rule(*row) for row in zip(*args, strict=True)]
    return [None if any(v is None for v in row) else rule(*row) for row in zip(*args, strict=True)]


def known_ops() -> frozenset[str]:
    """Return the primitives that have true values."""
    return frozenset(ball_rules())


_rules: dict[str, Callable[..., Any]] = {}


def ball_rules() -> dict[str, Callable[..., Any]]:
    """Return what each primitive does to balls: a ball, or None where it has no value."""
    if not _rules:
        from alkahest.symbolic.stability import balls

        _rules.update(balls.RULES)
    return _rules
