"""Removes what computes nothing from a formula: x - x, 1*x, numbers that can be added up."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable

_EXACT: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else None,
    "neg": lambda a: -a,
    "abs": abs,
}
_LARGEST = 1 << 64


def tidied(expr: Expr) -> Expr:
    """Return a formula of the same value, rounded the same, without operations that change nothing."""
    pool = expr.pool
    nodes = pool._nodes
    new: dict[int, Expr] = {}
    for i in reachable(pool, [expr.id]):
        node = nodes[i]
        new[i] = Expr(pool, i) if node[0] in LEAVES else _made(pool, node[0], [new[a] for a in node[1:]])
    return new[expr.id]


def _made(pool: ExprPool, op: str, args: list[Expr]) -> Expr:
    numbers = [_number(a) for a in args]
    if op in _EXACT and None not in numbers:
        value: Fraction | None = _EXACT[op](*numbers)
        if value is not None and abs(value.numerator) < _LARGEST and value.denominator < _LARGEST:
            return pool.number(value)
    rule = _RULES.get(op)
    found = None if rule is None else rule(pool, args, numbers)
    return pool.apply(op, *args) if found is None else found


def _number(expr: Expr) -> Fraction | None:
    return Fraction(expr.value) if expr.op in ("integer", "rational") and expr.value is not None else None


Rule = Callable[[ExprPool, list[Expr], "list[Fraction | None]"], Expr | None]


def _add(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    a, b = args
    if numbers[0] == 0:
        return b
    if numbers[1] == 0:
        return a
    if b.op == "neg":
        return _made(pool, "sub", [a, b.args[0]])
    if a.op == "neg":
        return _made(pool, "sub", [b, a.args[0]])
    if numbers[1] is not None and numbers[1] < 0:
        return pool.apply("sub", a, -numbers[1])
    return None


def _sub(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    a, b = args
    if a.id == b.id:
        return pool.integer(0)
    if numbers[1] == 0:
        return a
    if numbers[0] == 0:
        return _made(pool, "neg", [b])
    if numbers[1] is not None and numbers[1] < 0:
        return pool.apply("add", a, -numbers[1])
    return _made(pool, "add", [a, b.args[0]]) if b.op == "neg" else None


def _mul(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    a, b = args
    for number, other in ((numbers[0], b), (numbers[1], a)):
        if number == 0:
            return pool.integer(0)
        if number == 1:
            return other
        if number == -1:
            return _made(pool, "neg", [other])
    if a.op == "neg" and b.op == "neg":
        return _made(pool, "mul", [a.args[0], b.args[0]])
    return None


def _div(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    a, b = args
    if numbers[0] == 0:
        return pool.integer(0)
    if numbers[1] == 1:
        return a
    if numbers[1] == -1:
        return _made(pool, "neg", [a])
    if a.id == b.id:
        return pool.integer(1)
    return _made(pool, "div", [a.args[0], b.args[0]]) if a.op == "neg" and b.op == "neg" else None


def _neg(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    a = args[0]
    if a.op == "neg":
        return a.args[0]
    return _made(pool, "sub", [a.args[1], a.args[0]]) if a.op == "sub" else None


def _abs(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    a = args[0]
    return _made(pool, "abs", [a.args[0]]) if a.op in ("neg", "abs") else None


def _sqrt(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    from math import isqrt

    value = numbers[0]
    if value is None or value < 0:
        return None
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top != value.numerator or bottom * bottom != value.denominator:
        return None
    return pool.number(Fraction(top, bottom))


def _where(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    return args[1] if args[1].id == args[2].id else None


def _hypot(pool: ExprPool, args: list[Expr], numbers: list[Fraction | None]) -> Expr | None:
    if numbers[0] == 0:
        return _made(pool, "abs", [args[1]])
    return _made(pool, "abs", [args[0]]) if numbers[1] == 0 else None


_RULES: dict[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "abs": _abs,
    "sqrt": _sqrt,
    "where": _where,
    "hypot": _hypot,
}
