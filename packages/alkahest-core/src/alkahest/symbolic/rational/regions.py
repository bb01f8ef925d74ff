"""Regions: what lies below a node down to what is no arithmetic, as a quotient of polynomials.

Generators are what the region ends at: symbols, floats, functions. Two kinds of relations between them are seen:
x and x^(1/2) are powers of one generator x^(1/2), exp(2*x) and exp(x + y) are products of exp(x) and exp(y); and the
square of sqrt(x + 1) is x + 1.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.expr.pool import ExprPool
from alkahest.symbolic.canonical import canonical_node, read_form, texts_of
from alkahest.symbolic.exact import Exact, exact_of, normal
from alkahest.symbolic.forms import Form, Product, Sum, Workspace, atom
from alkahest.symbolic.ordering import sort_key
from alkahest.symbolic.products import divide, multiply, power
from alkahest.symbolic.rational.expansion import Expansion, Terms
from alkahest.symbolic.rational.field import Field, Quotient
from alkahest.symbolic.rational.flint_ring import Budget, Poly, TooLarge, common_denominator, content, items_of
from alkahest.symbolic.writing import write

_BINARY = frozenset({"add", "sub", "mul", "div"})
_COMPOSITE = _BINARY | {"neg", "pow", "sqrt", "exp", "cbrt", "integer", "rational"}
_MAX_GENERATORS = 256
_MAX_ROOT = 64


class Generator(NamedTuple):
    """What a generator stands for: `kind` "power" of a node, or "exp" of it; the exponent counts in 1/scale."""

    kind: str
    node: int


class Region:
    """The nodes of a canonical DAG below `roots`, as quotients over one set of generators.

    Raises `TooLarge` where the budget is spent, and `Undefined` where something is divided by zero.
    """

    def __init__(self, pool: ExprPool, roots: Iterable[int], budget: Budget) -> None:
        self.pool = pool
        self.space = Workspace(pool, reuses=False)
        self.space.texts = texts_of(pool)
        self.scales: dict[Generator, int] = {}
        self.monomials: dict[int, list[tuple[Generator, Exact]]] = {}  # of what is no arithmetic
        self.roots_of: dict[Generator, tuple[int, int]] = {}  # a root: the node of its radicand, its degree
        self.cube_roots: dict[Generator, int] = {}  # cbrt(x), where x is a generator
        self.budget = budget
        self.order = self._walk(list(roots))
        if len(self.scales) > _MAX_GENERATORS:
            raise TooLarge
        # Roots first, outer before inner: a division in the lexicographic order then lowers their degrees.
        self.generators = sorted(self.scales, key=lambda g: (g not in self.roots_of, -g.node))
        self.position = {g: k for k, g in enumerate(self.generators)}
        self.field = Field(len(self.generators), budget)
        self.values: dict[int, Quotient] = {}
        for i in self.order:
            self.values[i] = self._value(i)

    # -- what there is

    def _walk(self, roots: list[int]) -> list[int]:
        nodes = self.pool._nodes
        seen = set(roots)
        stack = list(seen)
        while stack:
            i = stack.pop()
            node = nodes[i]
            self.budget.spend(1)
            for c in self._inner(i, node):
                if c not in seen:
                    seen.add(c)
                    stack.append(c)
        return sorted(seen)

    def _inner(self, ident: int, node: tuple[Any, ...]) -> tuple[int, ...]:
        """Return the children that belong to the region; notes the generators of a node that ends it."""
        op = node[0]
        if op in _BINARY or op == "neg":
            return node[1:]
        if op in ("integer", "rational"):
            return ()
        if op in ("pow", "sqrt"):
            exponent = exact_of(self.pool._nodes[node[2]]) if op == "pow" else Fraction(1, 2)
            if isinstance(exponent, int):
                return (node[1],)
            if exponent is not None and exponent.denominator <= _MAX_ROOT:
                return self._root(ident, node[1], exponent)
        if op == "exp":
            self._exponential(ident, node[1])
        elif op == "cbrt":
            return self._cube_root(ident, node[1])
        elif self._is_negated(ident):
            self._atom(ident, self.space.intern(("float", -node[1], 1.0)), Fraction(1))
        else:
            self._atom(ident, ident, Fraction(1))
        return ()

    def _atom(self, ident: int, base: int, exponent: Exact) -> None:
        generator = Generator("power", base)
        self.monomials[ident] = [(generator, exponent)]
        self.scales[generator] = math.lcm(self.scales.get(generator, 1), exponent.denominator)

    def _root(self, ident: int, base: int, exponent: Exact) -> tuple[int, ...]:
        self._atom(ident, base, exponent)
        if not self._is_composite(base):
            return ()
        self.roots_of[Generator("power", base)] = (base, 0)  # the degree is the scale, known at the end
        return (base,)

    def _is_composite(self, ident: int) -> bool:
        """Tell whether a node is no generator itself."""
        node = self.pool._nodes[ident]
        exponent = exact_of(self.pool._nodes[node[2]]) if node[0] == "pow" else 1
        return node[0] in _COMPOSITE and exponent is not None and exponent.denominator <= _MAX_ROOT

    def _cube_root(self, ident: int, base: int) -> tuple[int, ...]:
        """Note a cube root, which has a value for negative numbers too, other than a power of 1/3."""
        if not self._is_composite(base):
            self._atom(ident, base, Fraction(1, 3))
            self.cube_roots[Generator("power", base)] = ident
            return (base,)
        self._atom(ident, ident, Fraction(1))
        self.roots_of[Generator("power", ident)] = (base, 3)
        return (base,)

    def _exponential(self, ident: int, argument: int) -> None:
        found: list[tuple[Generator, Exact]] = []
        form = read_form(self.space, argument)
        if isinstance(form, Product):
            parts = [(self.space.key_of(form), form.coef)]
        elif isinstance(form, Sum):
            parts = list(form.settle().terms.items())
            if form.const:
                found.append((Generator("exp", self.space.number(1)), form.const))
        else:
            parts = []
            found.append((Generator("exp", self.space.number(1)), form))
        for key, coef in parts:
            found.append((Generator("exp", write(self.space, self.space.product_of(key))), coef))
        for generator, exponent in found:
            self.scales[generator] = math.lcm(self.scales.get(generator, 1), exponent.denominator)
        self.monomials[ident] = found

    # -- values

    def _value(self, ident: int) -> Quotient:
        node = self.pool._nodes[ident]
        op = node[0]
        if ident in self.monomials:
            return self._monomial_value(ident)
        number = exact_of(node)
        if number is not None:
            return self.field.number(number)
        if op in ("add", "sub"):
            return self.field.add(self.values[node[1]], self.values[node[2]], -1 if op == "sub" else 1)
        if op == "mul":
            return self.field.multiply(self.values[node[1]], self.values[node[2]])
        if op == "div":
            return self.field.multiply(self.values[node[1]], self.field.inverse(self.values[node[2]]))
        if op == "neg":
            return self.field.add(self.field.zero, self.values[node[1]], -1)
        return self.field.power(self.values[node[1]], int(exact_of(self.pool._nodes[node[2]]) or 0))

    def _monomial_value(self, ident: int) -> Quotient:
        powers = [(self.position[g], int(e * self.scales[g])) for g, e in self.monomials[ident]]
        if any([abs(e) > 1 << 60 for _, e in powers]):
            raise TooLarge
        for generator, _ in self.monomials[ident]:
            radicand = self.roots_of.pop(generator, None)
            if radicand is not None:
                degree = radicand[1] or self.scales[generator]
                self.field.relate(self.position[generator], degree, self.values[radicand[0]])
        value = self.field.monomial(powers)
        return self.field.add(self.field.zero, value, -1) if self._is_negated(ident) else value

    def _is_negated(self, ident: int) -> bool:
        node = self.pool._nodes[ident]
        return node[0] == "float" and node[1] < 0

    # -- back to nodes

    def terms(self, p: Poly, expansion: Expansion) -> Terms:
        """Return a polynomial as an expanded sum."""
        out: Terms = {}
        for exponents, c in items_of(p):
            expansion.accumulate(out, self._form(exponents, expansion.space), c)
        return out

    def _form(self, exponents: tuple[int, ...], space: Workspace) -> Form:
        form: Form = 1
        inside: dict[int, Exact] = {}
        for generator, e in zip(self.generators, exponents, strict=True):
            if not e:
                continue
            exponent = normal(Fraction(e, self.scales[generator]))
            if generator.kind == "exp":
                inside[generator.node] = exponent
            else:
                base = generator.node
                if self.scales[generator] == 3 and generator in self.cube_roots:
                    base, exponent = self.cube_roots[generator], e
                value = exact_of(self.pool._nodes[base])
                form = multiply(space, form, power(space, atom(base) if value is None else value, exponent))
        if not inside:
            return form
        return multiply(space, form, atom(self._exp(inside)))

    def _exp(self, inside: dict[int, Exact]) -> int:
        """Return the node of the exponential of a sum of multiples of nodes."""
        pool = self.pool
        total = self.space.number(0)
        for node, c in inside.items():
            term = canonical_node(pool, "mul", (self.space.number(c), node))
            total = canonical_node(pool, "add", (total, term.id)).id
        return canonical_node(pool, "exp", (total,)).id

    def node(self, value: Quotient) -> int:
        """Return the node of a quotient: an expanded sum, or one sum over another with whole coefficients."""
        expansion = Expansion(self.pool)
        if value.den == self.field.ring.one:
            return write(expansion.space, expansion.form(self.terms(value.num, expansion)))
        above, below = self.sides(value, expansion)
        return write(expansion.space, divide(expansion.space, above, below))

    def sides(self, value: Quotient, expansion: Expansion) -> tuple[Form, Form]:
        """Return numerator and denominator with whole coefficients, the first term below positive."""
        space = expansion.space
        p, q = value
        k = math.lcm(common_denominator(p), common_denominator(q))
        above = self.terms(p * k, expansion)
        below = self.terms(q * k, expansion)
        common = math.gcd(content(p * k), content(q * k)) or 1
        lead = min(below, key=lambda key: (key == expansion.one, sort_key(space, key)))
        factor = Fraction(1 if below[lead] > 0 else -1, common)
        above = {key: normal(c * factor) for key, c in above.items()}
        below = {key: normal(c * factor) for key, c in below.items()}
        return expansion.form(above), expansion.form(below)
