"""Exact constants that arise one after the other: quotients of polynomials in generators that are met on the way."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.symbolic.canonical import canonical, read_form
from alkahest.symbolic.exact import exact_node, exact_of
from alkahest.symbolic.forms import Form, Undefined
from alkahest.symbolic.ordering import sort_key
from alkahest.symbolic.products import divide, multiply, power
from alkahest.symbolic.rational.expansion import Expansion, Terms
from alkahest.symbolic.rational.field import Field, Quotient
from alkahest.symbolic.rational.flint_ring import (
    Budget,
    Poly,
    common_denominator,
    constant_of,
    fmpq,
    items_of,
    number_of,
)
from alkahest.symbolic.writing import write

_LONG = 4_096  # bits of a number that stays in front of a constant
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": lambda a, b: a / b,
}


class Constant:
    """A constant that is no rational number; arithmetic with rationals and its like gives either kind."""

    __slots__ = ("field", "value")

    def __init__(self, field: Field, value: Quotient) -> None:
        self.field = field
        self.value = value

    def lifted(self, other: Any) -> Quotient:
        """Return a number or constant as a quotient."""
        if other.__class__ is Constant:
            return other.value
        ring = self.field.ring
        return Quotient(ring.one * other, ring.one)

    def power(self, n: int) -> Any:
        """Return a whole power."""
        return self._made(self.field.power(self.value, n))

    def _made(self, value: Quotient) -> Any:
        number = value.num.is_constant() and value.den == self.field.ring.one
        if number:
            c = constant_of(value.num)
            return fmpq(c.numerator, c.denominator)
        return Constant(self.field, value)

    def __add__(self, other: Any) -> Any:
        return self._made(self.field.add(self.value, self.lifted(other))) if _joins(other) else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> Constant:
        return Constant(self.field, Quotient(-self.value.num, self.value.den))

    def __sub__(self, other: Any) -> Any:
        return self._made(self.field.add(self.value, self.lifted(other), -1)) if _joins(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if other.__class__ in _NUMBERS:
            num = self.value.num * other
            return self._made(Quotient(num, self.value.den if len(num) else self.field.ring.one))
        return self._made(self.field.multiply(self.value, other.value)) if _joins(other) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if other.__class__ in _NUMBERS:
            return Constant(self.field, Quotient(self.value.num / other, self.value.den))
        return (
            self._made(self.field.multiply(self.value, self.field.inverse(other.value)))
            if _joins(other)
            else NotImplemented
        )

    def __rtruediv__(self, other: Any) -> Any:
        return Constant(self.field, self.field.inverse(self.value)) * other


_NUMBERS = (fmpq, int)


def _joins(other: Any) -> bool:
    return other.__class__ is Constant or other.__class__ in _NUMBERS


class Constants:
    """The constants of one pool, up to `size` generators, and the way between them and expressions."""

    def __init__(self, pool: ExprPool, size: int, budget: Budget) -> None:
        self.pool = pool
        self.field = Field(size, budget)
        # Generators take positions from the last one on: a later one may be a root of what earlier ones make.
        self.nodes: list[int] = []
        self.found: dict[int, Any] = {}

    def of(self, expr: Expr) -> Any:
        """Return an expression, its functions and symbols taken as generators; raises `Undefined` for division by 0."""
        nodes = self.pool._nodes
        stack = [canonical([expr])[0].id]
        root = stack[0]
        while stack:
            i = stack[-1]
            missing = [c for c in self._inner(nodes[i]) if c not in self.found]
            if missing:
                stack += missing
                continue
            stack.pop()
            if i not in self.found:
                self.found[i] = self._value(i, nodes[i])
        return self.found[root]

    def _inner(self, node: tuple[Any, ...]) -> tuple[int, ...]:
        op = node[0]
        if op in _BINARY or op == "neg":
            return node[1:]
        return (node[1],) if op in ("sqrt", "cbrt") or self._exponent(node) is not None else ()

    def _exponent(self, node: tuple[Any, ...]) -> Fraction | None:
        if node[0] == "pow":
            value = exact_of(self.pool._nodes[node[2]])
            return None if value is None else Fraction(value)
        return {"sqrt": Fraction(1, 2), "cbrt": Fraction(1, 3)}.get(node[0])

    def _value(self, ident: int, node: tuple[Any, ...]) -> Any:
        op = node[0]
        number = exact_of(node)
        if number is not None:
            return fmpq(number.numerator, number.denominator)
        if op in _BINARY:
            a, b = self.found[node[1]], self.found[node[2]]
            if op == "div" and b.__class__ is fmpq and not b:
                raise Undefined
            return _BINARY[op](a, b)
        if op == "neg":
            return -self.found[node[1]]
        exponent = self._exponent(node)
        return self._generator(ident) if exponent is None else self._power(node, exponent)

    def _power(self, node: tuple[Any, ...], exponent: Fraction) -> Any:
        value, n = self.found[node[1]], exponent.numerator
        if exponent.denominator > 1:
            value = self._root(node, value, exponent.denominator)
        if isinstance(value, fmpq):
            if n < 0 and not value:
                raise Undefined
            return value**n
        return value.power(n)

    def _root(self, node: tuple[Any, ...], radicand: Any, degree: int) -> Constant:
        """Return a root, a generator of its own of which the power is known."""
        if node[0] == "cbrt":
            key = node
        elif degree == 2:
            key = ("sqrt", node[1])
        else:
            key = ("pow", node[1], self.pool._intern(exact_node(Fraction(1, degree))))
        ident = self.pool._intern(key)
        if ident not in self.found:
            root = self.found[ident] = self._generator(ident)
            self.field.relate(self.field.ring.size - len(self.nodes), degree, root.lifted(radicand))
        return self.found[ident]

    def _generator(self, ident: int) -> Constant:
        self.nodes.append(ident)
        if len(self.nodes) > self.field.ring.size:
            from alkahest.symbolic.rational.flint_ring import TooLarge

            raise TooLarge
        return Constant(self.field, self.field.generator(self.field.ring.size - len(self.nodes)))

    def expr(self, c: Any) -> Expr:
        """Return a constant as an expression."""
        pool = self.pool
        if c.__class__ is fmpq:
            return pool.number(Fraction(int(c.p), int(c.q)))
        lead = number_of(c.value.num.leading_coefficient())
        if max(lead.numerator.bit_length(), lead.denominator.bit_length()) > _LONG:
            rest = self.expr(c / fmpq(lead.numerator, lead.denominator))
            return Expr(pool, pool._intern(("mul", pool.number(lead).id, rest.id)))
        expansion = Expansion(pool)
        space = expansion.space
        num, den = c.value
        if den == self.field.ring.one:
            return Expr(pool, write(space, expansion.form(self._terms(num, expansion))))
        k = math.lcm(common_denominator(num), common_denominator(den))
        above, below = self._terms(num * k, expansion), self._terms(den * k, expansion)
        lead = min(below, key=lambda key: (key == expansion.one, sort_key(space, key)))
        if below[lead] < 0:
            above, below = {key: -c for key, c in above.items()}, {key: -c for key, c in below.items()}
        quotient = divide(space, expansion.form(above), expansion.form(below))
        return canonical([Expr(pool, write(space, quotient))])[0]

    def _terms(self, p: Poly, expansion: Expansion) -> Terms:
        out: Terms = {}
        size = self.field.ring.size
        for exponents, c in items_of(p):
            form: Form = 1
            for position, e in enumerate(exponents):
                if e:
                    base = read_form(expansion.space, self.nodes[size - 1 - position])
                    form = multiply(expansion.space, form, power(expansion.space, base, e))
            expansion.accumulate(out, form, c)
        return out
