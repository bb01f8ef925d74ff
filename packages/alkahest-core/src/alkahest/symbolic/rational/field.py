"""Quotients of polynomials in lowest terms, where some generators are roots of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alkahest.symbolic.exact import Exact
from alkahest.symbolic.forms import Undefined
from alkahest.symbolic.rational.flint_ring import Budget, Poly, Ring, constant_of


class Quotient(NamedTuple):
    """`num / den` without a common factor; `den` is 1 or has leading coefficient 1."""

    num: Poly
    den: Poly


class Field:
    """Arithmetic of quotients (Henrici 1956: common factors are taken out before products are formed).

    `divisors` collects what has been divided by, for those who must keep the domain.
    """

    def __init__(self, size: int, budget: Budget) -> None:
        self.ring = Ring(size, budget)
        self.one = Quotient(self.ring.one, self.ring.one)
        self.zero = Quotient(self.ring.zero, self.ring.one)
        self.relations: list[tuple[int, int, Poly]] = []  # position, degree, what the power equals
        self.divisors: list[Poly] = []

    def number(self, value: Exact) -> Quotient:
        """Return a number."""
        return Quotient(self.ring.constant(value), self.ring.one)

    def generator(self, position: int, exponent: int = 1) -> Quotient:
        """Return a power of a generator, its exponent of either sign."""
        return self.monomial([(position, exponent)])

    def monomial(self, exponents: Sequence[tuple[int, int]]) -> Quotient:
        """Return a product of powers of generators."""
        num = self.ring.monomial([(k, e) for k, e in exponents if e > 0])
        den = self.ring.monomial([(k, -e) for k, e in exponents if e < 0])
        if den != self.ring.one:
            self.divisors.append(den)
        return self._reduced(num, den)

    def relate(self, position: int, degree: int, value: Quotient) -> None:
        """Take a generator as a root: its power of this degree is `value`. Later generators only occur in that."""
        if value.den.is_constant():
            self.relations.append((position, degree, self.ring.monomial([(position, degree)]) - value.num))

    def add(self, a: Quotient, b: Quotient, sign: int = 1) -> Quotient:
        """Return `a + b`, or `a - b` where `sign` is -1."""
        ring = self.ring
        p, q = a
        r, s = b
        if sign < 0:
            r = -r
        if q == s:
            total = p + r
            if q == ring.one:
                return Quotient(total, q)
            return self._cancelled(total, q, q)
        g = ring.gcd(q, s)
        q, s = q / g, s / g
        total = ring.multiply(p, s) + ring.multiply(r, q)
        return self._cancelled(total, ring.multiply(ring.multiply(q, s), g), g)

    def _cancelled(self, p: Poly, q: Poly, common: Poly) -> Quotient:
        """Return p/q, whose common factor divides `common`."""
        g = self.ring.gcd(p, common) if len(p) else q
        return self._reduced(p / g, q / g)

    def multiply(self, a: Quotient, b: Quotient) -> Quotient:
        """Return `a * b`."""
        ring = self.ring
        (p, q), (r, s) = a, b
        if not len(p) or not len(r):
            return self.zero
        if q == ring.one and s == ring.one:
            return self._reduced(ring.multiply(p, r), q)
        g, h = ring.gcd(p, s), ring.gcd(r, q)
        return self._reduced(ring.multiply(p / g, r / h), ring.multiply(q / h, s / g))

    def inverse(self, a: Quotient) -> Quotient:
        """Return `1 / a`; raises `Undefined` for zero."""
        if not len(a.num):
            raise Undefined
        if not a.num.is_constant():
            self.divisors.append(a.num)
        return self._monic(a.den, a.num)

    def power(self, a: Quotient, n: int) -> Quotient:
        """Return a whole power; raises `Undefined` for zero below."""
        if n < 0:
            a, n = self.inverse(a), -n
        return self._reduced(self.ring.power(a.num, n), self.ring.power(a.den, n))

    def _reduced(self, p: Poly, q: Poly) -> Quotient:
        """Return p/q with powers of roots reduced."""
        if not self.relations:
            return self._monic(p, q)
        ring = self.ring
        before = q
        again = False
        for position, degree, relation in self.relations:
            if len(p) and p.degrees()[position] >= degree:
                p, again = ring.remainder(p, relation), True
            if q.degrees()[position] >= degree:
                q, again = ring.remainder(q, relation), True
        if not len(q):
            raise Undefined
        if again and before != ring.one:
            g = ring.gcd(p, q)
            p, q = p / g, q / g
        return self._monic(p, q)

    def _monic(self, p: Poly, q: Poly) -> Quotient:
        if q == self.ring.one:
            return Quotient(p, q)
        lead = q.leading_coefficient()
        if not len(p):
            return self.zero
        return Quotient(p, q) if lead == 1 else Quotient(p / lead, q / lead)

    def constant(self, a: Quotient) -> Exact | None:
        """Return the value of a constant, None where it is none."""
        return constant_of(a.num) if a.den == self.ring.one and a.num.is_constant() else None
