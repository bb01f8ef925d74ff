"""The formulas and points on which every backend is compared with the interpreter."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alkahest.base.prim import prim_by_name
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import Instr, Tape, linearize
from alkahest.prims.arithmetic import max as max_
from alkahest.prims.arithmetic import min as min_
from alkahest.prims.comparison import and_, eq, not_, or_, where
from alkahest.prims.elementary import cos, exp, log, sin, sqrt, tanh
from alkahest.prims.scalar import declarations

Interval = tuple[float, float]

SPECIALS = (
    *(math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -2.5),
    *(1e308, -1e308, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-20, 4503599627370497.5),
)
FEW_SPECIALS = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -2.0)


@dataclass(frozen=True)
class Case:
    """A named formula: `build` takes one symbol per interval and returns the outputs."""

    name: str
    domain: tuple[Interval, ...]
    build: Callable[..., list[Any]]

    def tape(self) -> Tape:
        """Return the tape of the formula, with inputs x0, x1 and so on."""
        pool = ExprPool()
        symbols = [pool.symbol(f"x{k}") for k in range(len(self.domain))]
        # A case without inputs is given the pool, to make its constants.
        outputs = self.build(*symbols) if symbols else self.build(pool)
        return linearize([pool.expr(out) for out in outputs], symbols)

    def points(self, n: int = 24) -> list[list[float]]:
        """Return `n` points of the domain, the same every time; the first are its corners."""
        return sample(self.domain, n)


def sample(domain: tuple[Interval, ...], n: int) -> list[list[float]]:
    """Return `n` points of a box, the same every time: corners, some near zero where that is inside, then random.

    >>> sample(((0.0, 1.0), (2.0, 3.0)), 5)[:4]
    [[0.0, 2.0], [0.0, 3.0], [1.0, 2.0], [1.0, 3.0]]
    """
    points = [list(corner) for corner in itertools.islice(itertools.product(*domain), n)]
    draw = random.Random(20)  # the same points on every machine and in every run
    for scale in (1e-3, 1e-9, 1e-30):
        if all(low < 0.0 < high for low, high in domain):
            points.append([scale * draw.uniform(low, high) for low, high in domain])
    while len(points) < n:
        points.append([draw.uniform(low, high) for low, high in domain])
    return points[:n]


def op_tape(op: str) -> Tape:
    """Return the tape that applies the primitive `op` to its inputs."""
    arity = declarations[op].arity
    return Tape(tuple(f"x{k}" for k in range(arity)), (), (Instr(op, tuple(range(arity))),), (arity,))


def op_domain(op: str) -> tuple[Interval, ...]:
    """Return the box in which the primitive `op` is sampled, as its declaration gives it."""
    return declarations[prim_by_name(op).name].domain


def special_points(arity: int) -> list[list[float]]:
    """Return combinations of nan, infinities, zeros, the largest and the smallest numbers, for `arity` arguments."""
    values = SPECIALS if arity < 3 else FEW_SPECIALS
    return [list(point) for point in itertools.product(values, repeat=arity)]


def _chain(x: Expr, y: Expr) -> list[Any]:
    e: Any = x
    for k in range(100):
        e = e * 0.75 + (y if k % 2 else sin(e))
    return [e]


def _shared(x: Expr, y: Expr) -> list[Any]:
    e: Any = sin(x * y)
    for _ in range(12):
        e = e * e + e
        e = e / (1 + e * e)
    return [e, e + x]


def _constants(x: Expr, y: Expr) -> list[Any]:
    return [x.pool.float(2.5), x.pool.pi, x + 2.5]


def _no_input(pool: ExprPool) -> list[Any]:
    return [sin(pool.integer(1)), pool.float(-0.0)]


WIDE: tuple[Interval, ...] = ((-3.0, 3.0), (-3.0, 3.0))
CASES = (
    Case("sum and product", WIDE, lambda x, y: [2 * x + y, x * y * x]),
    Case("cancellation", WIDE, lambda x, y: [(x + y) - x, x * x - y * y, (x - y) * (x + y)]),
    Case("multiply-add", WIDE, lambda x, y: [x * y + 1, x * y - 1, 1 - x * y, x * y + y * x, -(x * y) - x]),
    Case("polynomial", WIDE, lambda x, y: [4 + x * (3 + x * (2 + x)), x**5 - 3 * x**2 * y]),
    Case("elementary", ((0.1, 4.0), (-3.0, 3.0)), lambda x, y: [log(x) * exp(-y) + sqrt(x) * sin(y)]),
    Case("gradient", WIDE, lambda x, y: [2 * x * cos(x * x + y), cos(x * x + y), tanh(x) ** 2]),
    Case("shared", WIDE, _shared),
    Case("chain", WIDE, _chain),
    Case(
        "branches",
        WIDE,
        lambda x, y: [where(x < y, sin(x), where(x > 0, log(x), -y)), max_(x, y, min_(x, 0))],
    ),
    Case(
        "logic",
        WIDE,
        lambda x, y: [and_(x < 1, y < 1), or_(x < -1, not_(y < 0)), not_(eq(x, y)), where(x, 1, 2)],
    ),
    Case("unused branch", WIDE, lambda x, y: [where(x > 100, log(-(x * x)), y), where(x > 100, 1 / (x - x), x)]),
    Case("names an input", WIDE, lambda x, y: [y, x, y]),
    Case("names a constant", WIDE, _constants),
    Case("one output twice", WIDE, lambda x, y: [x + y, x, x + y]),
    Case("unused input", WIDE, lambda x, y: [sin(y)]),
    Case("no input", (), _no_input),
)


def corpus() -> tuple[Case, ...]:
    """Return the formulas of the corpus, beside the one formula per primitive.

    >>> [str(case.tape().outputs) for case in corpus() if case.name == "names an input"]
    ['(1, 0, 1)']
    """
    return CASES
