"""Coefficients of series: exact numbers, or expressions that do not depend on the series' variable."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.stability.program import program_of

Coefficient: TypeAlias = "Fraction | Expr"

_LARGE = 1 << 512  # digits of numbers: beyond, a series is given up
_PRECISION = 256
_TINY = 2.0**-150


def is_number(c: Coefficient, value: int) -> bool:
    """Tell whether a coefficient is that number."""
    return isinstance(c, Fraction) and c == value


class TooLarge(Exception):
    """A series whose coefficients have grown beyond use."""


class Coefficients:
    """Arithmetic on coefficients of one pool: numbers as numbers, the rest in canonical form."""

    def __init__(self, pool: ExprPool, most_nodes: int = 400) -> None:
        self.pool = pool
        self._most_nodes = most_nodes
        self._zero: dict[int, bool] = {}

    def expr(self, c: Coefficient) -> Expr:
        """Return a coefficient as an expression."""
        return c if isinstance(c, Expr) else self.pool.number(c)

    def of(self, expr: Expr) -> Coefficient:
        """Return an expression as a coefficient: a number where it is one."""
        out = canonical([expr])[0]
        if out.op in ("integer", "rational", "float"):
            return self._bounded(Fraction(out.value or 0))
        if self._vanishes(out):
            return Fraction(0)
        return out

    def add(self, a: Coefficient, b: Coefficient) -> Coefficient:
        """Return the sum."""
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return self._bounded(a + b)
        return self.of(self.expr(a) + self.expr(b))

    def mul(self, a: Coefficient, b: Coefficient) -> Coefficient:
        """Return the product."""
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return self._bounded(a * b)
        if is_number(a, 0) or is_number(b, 0):
            return Fraction(0)
        return self.of(self.expr(a) * self.expr(b))

    def power(self, a: Coefficient, exponent: Fraction) -> Coefficient | None:
        """Return a power; None where a number has none."""
        if isinstance(a, Fraction):
            if exponent.denominator == 1:
                return self._bounded(a ** int(exponent)) if a or exponent > 0 else None
            if a < 0 and exponent.denominator % 2 == 0:
                return None
        e = self.expr(a)
        if exponent == Fraction(1, 2):
            return self.of(self.pool.apply("sqrt", e))
        if exponent == Fraction(1, 3):
            return self.of(self.pool.apply("cbrt", e))
        if isinstance(a, Fraction) and a < 0:
            return None
        return self.of(e ** self.pool.number(exponent))

    def apply(self, op: str, a: Coefficient) -> Coefficient:
        """Return a function of a coefficient."""
        return self.of(self.pool.apply(op, self.expr(a)))

    def _bounded(self, value: Fraction) -> Fraction:
        if abs(value.numerator) > _LARGE or value.denominator > _LARGE:
            raise TooLarge
        return value

    def _vanishes(self, expr: Expr) -> bool:
        """Tell whether an expression is 0 at points chosen blindly: canonical forms do not always see it."""
        known = self._zero.get(expr.id)
        if known is None:
            if expr.node_count() > self._most_nodes:
                raise TooLarge
            known = self._zero[expr.id] = _is_zero(expr)
        return known


def _is_zero(expr: Expr) -> bool:
    import flint

    from alkahest.symbolic.stability.balls import RULES

    symbols = sorted(expr.free_symbols, key=lambda s: s.id)
    program, where = program_of([expr], {s.id: k for k, s in enumerate(symbols)})
    before = flint.ctx.prec
    try:
        flint.ctx.prec = _PRECISION
        for shift in (0.37, 0.81):
            values: list[Any] = []
            for op in program.ops:
                if op.op == "input":
                    values.append(flint.arb(shift + 0.618 * op.value).exp() / 2)
                elif op.op == "number":
                    values.append(flint.arb(flint.fmpq(op.value.numerator, op.value.denominator)))
                elif op.op == "const":
                    values.append(flint.arb.pi() if op.value == "pi" else flint.arb.const_e())
                else:
                    args = [values[a] for a in op.args]
                    known = op.op in RULES and not any(a is None for a in args)
                    values.append(RULES[op.op](*args) if known else None)
            value = values[where[expr.id]]
            if value is None or not value.is_finite() or not abs(value) < _TINY:
                return False
        return True
    finally:
        flint.ctx.prec = before
