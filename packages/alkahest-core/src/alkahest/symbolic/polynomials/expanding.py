"""The series of every node of an expression around a point, children first: Laurent series with exact coefficients."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.facts.analysis import facts_of
from alkahest.symbolic.forms import Undefined
from alkahest.symbolic.polynomials.power_series import (
    ONE,
    ZERO,
    Coefficients,
    inverse,
    is_zero,
    multiply,
    power,
    scaled,
)
from alkahest.symbolic.rational.constant_signs import sign_of_constant
from alkahest.symbolic.rational.constants import Constants
from alkahest.symbolic.rational.flint_ring import Budget, TooLarge, fmpq

_MAX_GENERATORS = 250
POLES = frozenset({"gamma", "lgamma", "digamma", "polygamma"})  # at 0 and the negative integers


class Series(NamedTuple):
    """The sum of coefs[k] * h**(low + k); nothing is known of h**(low + len(coefs)) and above."""

    low: int
    coefs: Coefficients

    @property
    def known(self) -> int:
        """The first power of which nothing is known."""
        return self.low + len(self.coefs)


Rule = Callable[..., Series]  # of an expander, a node, and its arguments' nodes


class Singular(Exception):
    """Raised where a node has no such series."""


class Vanishing(Exception):
    """Raised where all known coefficients are zero and one that is not is needed."""


class Expander:
    """The series of one expression in `x` around `point`, each operation carried out to `terms` terms."""

    def __init__(self, expr: Expr, x: Expr, point: Expr, terms: int) -> None:
        from alkahest.symbolic.polynomials.series_rules import RULES

        pool = self.pool = expr.pool
        self.x = x
        self.terms = terms
        self.order = reachable(pool, [expr.id])
        self.active = _dependents(pool, self.order, x)
        size = 8 + 3 * len(self.order) + len(reachable(pool, [point.id]))
        if any([pool._nodes[i][0] not in RULES or pool._nodes[i][0] == "gamma" for i in self.active]):
            size += terms  # the derivatives of what has no rule
        size = min(_MAX_GENERATORS, size)
        self.constants = Constants(pool, size, Budget(5_000_000, 20_000, 2_000, 1 << 26))
        self.found: dict[int, Series | Singular | Vanishing] = {}
        first = self.constants.of(point)
        self.found[x.id] = Series(0, [first, ONE, *[ZERO] * terms][: max(terms, 1)])

    def run(self, root: int) -> Series:
        """Return the series of the expression; raises `Singular`, `Vanishing` or `TooLarge`."""
        from alkahest.symbolic.polynomials.series_functions import composed
        from alkahest.symbolic.polynomials.series_rules import RULES

        nodes = self.pool._nodes
        for i in self.order:
            if i in self.active and i not in self.found:
                node = nodes[i]
                rule = RULES.get(node[0], composed)
                self.found[i] = self._outcome(lambda r=rule, n=node, j=i: r(self, j, *n[1:]))
        return self.of(root)

    @staticmethod
    def _outcome(rule: Callable[[], Series]) -> Series | Singular | Vanishing:
        try:
            return rule()
        except (Singular, Vanishing) as failure:  # of no matter in the branch of a choice that is not taken
            return failure
        except Undefined:
            return Singular()

    def of(self, ident: int) -> Series:
        """Return the series of a node that has been expanded, or of a constant."""
        found = self.found.get(ident)
        if found is None:
            found = self.found[ident] = self._outcome(lambda: self.constant(self.constants.of(Expr(self.pool, ident))))
        if isinstance(found, Series):
            return found
        raise found

    def constant(self, c: Any) -> Series:
        """Return a constant as a series."""
        return Series(0, [c, *[ZERO] * (self.terms - 1)])

    # -- constants

    def value(self, op: str, *args: Any) -> Any:
        """Return a function of constants as a constant."""
        if op in POLES and is_pole(args[-1]):
            raise Singular
        return self.constants.of(self.pool.apply(op, *[self.constants.expr(a) for a in args]))

    def sign(self, c: Any) -> int | None:
        """Return the sign of a constant, None where it is not known."""
        if c.__class__ is fmpq:
            return (c > 0) - (c < 0)
        expr = canonical([self.constants.expr(c)])[0]
        fact = facts_of(self.pool, [expr.id])[expr.id]
        if fact.positive or fact.negative:
            return 1 if fact.positive else -1
        return sign_of_constant(self.pool, expr.id)

    def at_point(self, ident: int) -> Coefficients:
        """Return a series without negative powers as its coefficients; raises `Singular` for others."""
        low, coefs = stripped(self.of(ident))
        if low < 0:
            raise Singular
        return [ZERO] * low + coefs


def _dependents(pool: ExprPool, order: list[int], x: Expr) -> set[int]:
    nodes = pool._nodes
    active = {x.id}
    for i in order:
        if nodes[i][0] not in LEAVES and any([c in active for c in nodes[i][1:]]):
            active.add(i)
    return active


# -- arithmetic of Laurent series


def stripped(a: Series) -> Series:
    """Return a series without leading zeros."""
    k = next((k for k, c in enumerate(a.coefs) if not is_zero(c)), len(a.coefs))
    return Series(a.low + k, a.coefs[k:]) if k else a


def plus(a: Series, b: Series, sign: int = 1) -> Series:
    """Return `a + b`, or `a - b` where `sign` is -1."""
    low, end = min(a.low, b.low), min(a.known, b.known)
    out: Coefficients = [ZERO] * (end - low)
    for k, c in enumerate(a.coefs[: max(0, end - a.low)]):
        out[k + a.low - low] = c
    for k, c in enumerate(b.coefs[: max(0, end - b.low)]):
        if not is_zero(c):
            out[k + b.low - low] = out[k + b.low - low] + (c if sign == 1 else -c)
    return Series(low, out)


def times(a: Series, b: Series) -> Series:
    """Return `a * b`."""
    n = min(len(a.coefs), len(b.coefs))
    return Series(a.low + b.low, multiply(a.coefs, b.coefs, n))


def reciprocal(a: Series) -> Series:
    """Return `1 / a`."""
    low, coefs = stripped(a)
    if not coefs:
        raise Vanishing
    return Series(-low, inverse(coefs, len(coefs)))


def whole_power(a: Series, n: int, most: int) -> Series:
    """Return a whole power, of no more than `most` terms."""
    low, coefs = stripped(a)
    if not coefs:
        if n < 0:
            raise Vanishing
        return Series(low * n, []) if n else Series(0, [ONE, *[ZERO] * (most - 1)])
    if abs(low * n) > 1 << 40:
        raise TooLarge
    lead = coefs[0]
    rest = scaled([ZERO, *coefs[1:]], ONE / lead)
    front = _to_power(lead, n)
    return Series(low * n, scaled(power(rest, fmpq(n), min(len(coefs), most)), front))


def _to_power(c: Any, n: int) -> Any:
    if c.__class__ is fmpq:
        if max(int(c.p).bit_length(), int(c.q).bit_length()) * abs(n) > 1 << 20:
            raise TooLarge
        return c**n
    return c.power(n)


def is_pole(c: Any) -> bool:
    """Tell whether a constant is 0 or a negative integer."""
    value = number(c)
    return value is not None and value <= 0 and value.denominator == 1


def number(c: Any) -> Fraction | None:
    """Return a rational constant as Python has it."""
    return Fraction(int(c.p), int(c.q)) if c.__class__ is fmpq else None
