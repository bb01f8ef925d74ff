"""Nodes of canonical expressions read as flat sums and products, to look for identities in."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from alkahest.expr.pool import LEAVES, ExprPool

# A product without its coefficient: bases with their exponents, by base. A sum: coefficients by product.
Factors = tuple[tuple[int, Fraction], ...]
SumView = dict[Factors, Fraction]

SUMS = frozenset({"add", "sub", "neg"})
PRODUCTS = frozenset({"mul", "div", "pow", "sqrt", "neg"})
_ONE = Fraction(1)
# Sums of more terms are put together as they stand.
_MANY = 32

# Builds a node of an op and arguments.
Make = Callable[..., int]


class Views:
    """Sums and products of one pool, each read once."""

    def __init__(self, pool: ExprPool, make: Make | None = None) -> None:
        self.pool = pool
        self.make: Make = make or (lambda op, *args: pool._intern((op, *args)))
        self.nodes: list[Any] = pool._nodes
        self._products: dict[int, tuple[Fraction, Factors]] = {}
        self._sums: dict[int, SumView] = {}

    def number(self, i: int) -> Fraction | None:
        """Return the number at a node, None where there is something else."""
        node = self.nodes[i]
        if node[0] == "integer":
            return Fraction(node[1])
        return Fraction(node[1], node[2]) if node[0] == "rational" else None

    def product(self, i: int) -> tuple[Fraction, Factors]:
        """Return a node as a coefficient and factors; a sum is one factor."""
        found = self._products.get(i)
        if found is None:
            found = self._products[i] = self._product(i)
        return found

    def _product(self, root: int) -> tuple[Fraction, Factors]:
        coef = _ONE
        factors: dict[int, Fraction] = {}
        stack = [(root, _ONE)]
        while stack:
            i, q = stack.pop()
            node = self.nodes[i]
            op = node[0]
            value = self.number(i)
            if value is not None and q.denominator == 1 and (value or q > 0) and abs(q) < 64:
                coef *= value ** int(q)
            elif op == "mul" and q.denominator == 1:
                stack += [(node[2], q), (node[1], q)]
            elif op == "div" and q.denominator == 1:
                stack += [(node[2], -q), (node[1], q)]
            elif op == "neg" and q.denominator == 1:
                coef *= -1 if q.numerator % 2 else 1
                stack.append((node[1], q))
            elif op == "sqrt" and abs(q) == 1:
                stack.append((node[1], q / 2))
            elif op == "pow" and abs(q) == 1 and self.number(node[2]) is not None:
                stack.append((node[1], q * (self.number(node[2]) or 0)))
            else:
                factors[i] = factors.get(i, Fraction(0)) + q
        return coef, tuple(sorted([(b, q) for b, q in factors.items() if q]))

    def sum(self, i: int) -> SumView:
        """Return a node as a sum of products."""
        found = self._sums.get(i)
        if found is None:
            found = self._sums[i] = self._sum(i)
        return found

    def _sum(self, root: int) -> SumView:
        terms: SumView = {}
        stack = [(root, 1)]
        while stack:
            i, sign = stack.pop()
            node = self.nodes[i]
            if node[0] == "add":
                stack += [(node[2], sign), (node[1], sign)]
            elif node[0] == "sub":
                stack += [(node[2], -sign), (node[1], sign)]
            elif node[0] == "neg":
                stack.append((node[1], -sign))
            else:
                coef, factors = self.product(i)
                terms[factors] = terms.get(factors, Fraction(0)) + sign * coef
        return {factors: coef for factors, coef in terms.items() if coef}

    def built_product(self, coef: Fraction, factors: Factors) -> int:
        """Return a node that says a product."""
        total = self.literal(coef)
        for base, q in factors:
            total = self.make("mul", total, base if q == 1 else self.make("pow", base, self.literal(q)))
        return total

    def built_sum(self, terms: SumView, others: list[int]) -> int:
        """Return a node that says a sum of terms and nodes."""
        parts = [self.built_product(coef, factors) for factors, coef in terms.items()] + others
        if not parts:
            return self.literal(Fraction(0))
        total, *rest = parts
        few = len(parts) <= _MANY
        for part in rest:
            total = self.make("add", total, part) if few else self.pool._intern(("add", total, part))
        return total

    def literal(self, value: Fraction) -> int:
        """Return the node of a number."""
        return self.pool.rational(value.numerator, value.denominator).id


def is_leaf(node: tuple[Any, ...]) -> bool:
    """Tell whether a node has no arguments."""
    return node[0] in LEAVES


def without(factors: Factors, taken: Factors) -> Factors | None:
    """Return factors less others; None where an exponent would change its sign or is not there."""
    left = dict(factors)
    for base, q in taken:
        have = left.get(base)
        if have is None or have * q < 0 or abs(have) < abs(q):
            return None
        if have == q:
            del left[base]
        else:
            left[base] = have - q
    return tuple(sorted(left.items()))


def times(one: Factors, other: Factors) -> Factors:
    """Return the factors of a product of two."""
    found = dict(one)
    for base, q in other:
        found[base] = found.get(base, Fraction(0)) + q
    return tuple(sorted([(b, q) for b, q in found.items() if q]))
