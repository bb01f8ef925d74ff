"""Random expressions, assumptions and points for the soundness of the simplifier."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from soundness_values import NONE, UNKNOWN, VALUES, value

from alkahest import Expr, ExprPool
from alkahest.errors import AssumptionError
from alkahest.extend import arity_of
from alkahest.symbolic.facts.assumptions import assumed_facts

SYMBOLS = {"x": "real", "y": "real", "p": "positive", "q": "nonnegative", "z": "nonzero", "n": "integer"}
NUMBERS = [0, 1, -1, 2, 3, -2, 4, 8, Fraction(1, 2), Fraction(-2, 3), Fraction(3, 4), 0.5, -1.5, 0.0, 0.1, -0.0, 1.0]
CONSTANTS = ["pi", "e"]
EXPONENTS = [2, 2, 3, -1, -2, 0, 4, Fraction(1, 2), Fraction(1, 2), Fraction(1, 3), Fraction(-1, 2), Fraction(3, 2)]
EXPONENTS += [Fraction(2, 3), Fraction(-2, 3), Fraction(1, 4), 5, -3, 0.5]
ARITHMETIC = ["add", "sub", "mul", "mul", "div", "div", "neg", "pow", "pow", "sqrt", "abs"]
CHOICES = ["lt", "le", "gt", "ge", "eq", "ne", "where", "where", "min", "max", "floor", "sign", "and", "or", "not"]
OPS = 3 * ARITHMETIC + CHOICES + sorted({*VALUES, "where"})
RELATIONS = ["gt", "ge", "lt", "le", "ne", "gt", "ge"]
TRIES = 60  # points drawn for one that satisfies the assumptions


class Case(NamedTuple):
    """An expression, what is assumed, and points at which all of that holds."""

    expr: Expr
    conditions: list[Expr]
    points: list[dict[str, Fraction]]


def random_case(rng: random.Random, points: int = 8, size: int = 9) -> Case:
    """Return a random case; there may be no points at all."""
    pool = ExprPool()
    symbols = [pool.symbol(name, domain) for name, domain in SYMBOLS.items()]
    expr = random_expr(rng, pool, symbols, rng.randint(1, size))
    names = {s.name for s in expr.free_symbols}
    used = [s for s in symbols if s.name in names] or symbols[:1]
    conditions = random_conditions(rng, pool, used) if rng.random() < 0.6 else []
    try:
        assumed_facts(conditions, pool)
    except AssumptionError:
        conditions = []
    return Case(expr, conditions, list(random_points(rng, conditions, [s.name for s in used], points)))


def random_expr(rng: random.Random, pool: ExprPool, symbols: list[Expr], size: int) -> Expr:
    """Return a random expression of about `size` operations over a few symbols; operands are shared."""
    few = rng.sample(symbols, rng.randint(1, 3))
    values = [*few, *few]
    for _ in range(size):
        values.append(random_node(rng, pool, values, few))
    return values[-1]


def random_node(rng: random.Random, pool: ExprPool, values: list[Expr], few: list[Expr]) -> Expr:
    """Return a random operation on earlier values, the last of them among its operands as a rule."""
    last = [rng.random() < 0.8]

    def operand() -> Expr:
        if last.pop() if last else False:
            return values[-1]
        kind = rng.random()
        if kind < 0.2:
            return pool.number(rng.choice(NUMBERS))
        if kind < 0.22:
            return pool.constant(rng.choice(CONSTANTS))
        return rng.choice(values[-4:]) if kind < 0.6 else rng.choice(few) if kind < 0.85 else rng.choice(values)

    op = rng.choice(OPS)
    if op == "pow" and rng.random() < 0.8:
        return pool.apply("pow", operand(), rng.choice(EXPONENTS))
    if op == "polygamma":
        return pool.apply(op, rng.randint(0, 2), operand())
    count = 3 if op in ("where", "fma") else arity_of(op)
    operands = [operand() for _ in range(count)]
    rng.shuffle(operands)
    return pool.apply(op, *operands)


def random_conditions(rng: random.Random, pool: ExprPool, used: list[Expr]) -> list[Expr]:
    """Return some comparisons of symbols and small expressions with numbers and each other."""
    out: list[Expr] = []
    for _ in range(rng.randint(1, 3)):
        a = rng.choice(used)
        kind = rng.random()
        if kind < 0.2:
            a = random_expr(rng, pool, used + used, 1) if len(used) > 2 else a * rng.choice([1, 2, -1]) + 1
        b = pool.number(rng.choice([0, 0, 0, 1, -1, 2, Fraction(1, 2)]))
        if kind > 0.7:
            b = rng.choice(used)
        out.append(pool.apply(rng.choice(RELATIONS), a, b))
    return out


def random_points(
    rng: random.Random, conditions: list[Expr], names: list[str], count: int
) -> list[dict[str, Fraction]]:
    """Return points at which the conditions hold, corners among them."""
    out: list[dict[str, Fraction]] = []
    for _ in range(TRIES):
        at = {name: random_value(rng, SYMBOLS[name]) for name in names}
        if len(names) > 1 and rng.random() < 0.15:
            at = same_values(rng, at)
        held = [value(c, at, 40) for c in conditions]
        if at not in out and all([v not in (NONE, UNKNOWN) and v != 0 for v in held]):
            out.append(at)
            if len(out) == count:
                break
    return out


def same_values(rng: random.Random, at: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return a point with one coordinate as another, where its domain has that value."""
    a, b = rng.sample(sorted(at), 2)
    return {**at, a: at[b]} if IN_DOMAIN[SYMBOLS[a]](at[b]) else at


CORNERS = [Fraction(c) for c in (0, 0, 1, -1, 2, -2, 3, -3, 4, 10, -10, 100, -1000)]
CORNERS += [Fraction(1, 2), Fraction(-1, 2), Fraction(1, 10**9), Fraction(-1, 10**9), Fraction(10**9)]
IN_DOMAIN: dict[str, Callable[[Fraction], bool]] = {
    "real": lambda v: True,
    "positive": lambda v: v > 0,
    "nonnegative": lambda v: v >= 0,
    "nonzero": lambda v: v != 0,
    "integer": lambda v: v.denominator == 1,
}


def random_value(rng: random.Random, domain: str) -> Fraction:
    """Return a value of a domain: a corner, or a number of moderate size."""
    while True:
        v = rng.choice(CORNERS) if rng.random() < 0.5 else Fraction(rng.randint(-400, 400), rng.choice([1, 7, 64, 100]))
        if IN_DOMAIN[domain](v):
            return v
