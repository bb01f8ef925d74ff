"""Polynomials over the rationals in several generators: what this package takes from FLINT, and nothing else does.

Imported late, because python-flint is loaded with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from flint import arb as arb
from flint import fmpq as fmpq
from flint import fmpq_mpoly, fmpq_mpoly_ctx
from flint import fmpq_poly as fmpq_poly

from alkahest.symbolic.exact import Exact

Poly = fmpq_mpoly
Exponents = tuple[int, ...]
_LARGE = 256  # products of terms from which on the size of a result is foreseen


class TooLarge(Exception):
    """Raised before an operation that would take more than its budget."""


class Budget:
    """How much work is left, in products of coefficients; and how large single results may be."""

    __slots__ = ("bits", "degree", "products", "terms")

    def __init__(self, products: int, terms: int, degree: int, bits: int) -> None:
        self.products = products
        self.terms = terms
        self.degree = degree
        self.bits = bits

    def spend(self, products: int) -> None:
        """Take from the budget; raises `TooLarge` where it is gone."""
        self.products -= products
        if self.products < 0:
            raise TooLarge


class Ring:
    """The polynomials in a number of generators, which are known by position."""

    def __init__(self, size: int, budget: Budget) -> None:
        self.size = size
        self.budget = budget
        self._ctx = _context(size)
        self.zero: Poly = self._ctx.constant(0)
        self.one: Poly = self._ctx.constant(1)

    def constant(self, value: Exact) -> Poly:
        """Return a number as a polynomial."""
        return self._ctx.constant(fmpq(value.numerator, value.denominator))

    def poly(self, terms: Mapping[Exponents, Exact]) -> Poly:
        """Return the polynomial of these coefficients by exponents."""
        return self._ctx.from_dict({e: fmpq(c.numerator, c.denominator) for e, c in terms.items()})

    def monomial(self, exponents: Iterable[tuple[int, int]]) -> Poly:
        """Return the product of generators, given by (position, exponent)."""
        powers = [0] * self.size
        for k, e in exponents:
            powers[k] += e
        return self._ctx.from_dict({tuple(powers): 1})

    def multiply(self, p: Poly, q: Poly) -> Poly:
        """Return the product; raises `TooLarge`."""
        products = len(p) * len(q)
        self.budget.spend(products)
        if products > _LARGE:
            self._check(_bits(p) + _bits(q), min(products, _dense(p, q)))
        return p * q

    def power(self, p: Poly, n: int) -> Poly:
        """Return a whole power; raises `TooLarge`."""
        if n == 0:
            return self.one
        if max(p.degrees(), default=0) * n > 1 << 62:
            raise TooLarge
        count = len(p)
        if count > 1:
            size = terms_of_power(count, n)
            dense = math.prod([n * d + 1 for d in p.degrees()])
            size = min(size, dense)
            self.budget.spend(size)
            self._check(_bits(p) * n + n * count.bit_length(), size)
        else:
            self._check(_bits(p) * n, 1)
        return p**n

    def gcd(self, p: Poly, q: Poly) -> Poly:
        """Return the greatest common divisor, its leading coefficient 1; raises `TooLarge`."""
        if p.is_constant() or q.is_constant():
            return self.one
        budget = self.budget
        budget.spend(len(p) * len(q))
        if len(p) > 1 and len(q) > 1 and max(*p.degrees(), *q.degrees()) > budget.degree:
            raise TooLarge
        return p.gcd(q)

    def remainder(self, p: Poly, divisor: Poly) -> Poly:
        """Return the remainder of a division in the lexicographic order."""
        self.budget.spend(len(p) * len(divisor))
        return divmod(p, divisor)[1]

    def _check(self, bits: int, terms: int) -> None:
        if terms > self.budget.terms or bits * terms > self.budget.bits:
            raise TooLarge


def terms_of_power(count: int, n: int) -> int:
    """Return the number of terms of the n-th power of a sum of `count` terms in general, or a number above 10^9."""
    out = 1
    for k in range(1, min(count - 1, n) + 1):
        out = out * (n + count - k) // k
        if out > 10**9:
            break
    return out


@lru_cache(maxsize=64)
def _context(size: int) -> fmpq_mpoly_ctx:
    return fmpq_mpoly_ctx.get(tuple([f"g{k}" for k in range(size)]), "lex")


def _dense(p: Poly, q: Poly) -> int:
    return math.prod([a + b + 1 for a, b in zip(p.degrees(), q.degrees(), strict=True)])


def _bits(p: Poly) -> int:
    """Return about how long the coefficients are: of the first, middle and last."""
    count = len(p)
    found = [p.coefficient(k) for k in {0, count // 2, count - 1} if 0 <= k < count]
    return max([int(c.p).bit_length() + int(c.q).bit_length() for c in found], default=0)


def items_of(p: Poly) -> Iterator[tuple[Exponents, Exact]]:
    """Yield exponents and coefficients."""
    for exponents, c in p.terms():
        yield tuple([int(e) for e in exponents]), number_of(c)


def number_of(c: fmpq) -> Exact:
    """Return a rational as Python has it."""
    return int(c.p) if c.q == 1 else Fraction(int(c.p), int(c.q))


def common_denominator(p: Poly) -> int:
    """Return the least common denominator of the coefficients."""
    return math.lcm(*[int(c.q) for c in p.coeffs()])


def content(p: Poly) -> int:
    """Return the greatest common divisor of the numerators of the coefficients."""
    return math.gcd(*[int(c.p) for c in p.coeffs()])


def constant_of(p: Poly) -> Exact:
    """Return the value of a constant polynomial."""
    return number_of(p.leading_coefficient()) if len(p) else 0


def factors_of(p: Poly) -> Sequence[Poly]:
    """Return the irreducible factors, each once."""
    return [f for f, _ in p.factor()[1]]
