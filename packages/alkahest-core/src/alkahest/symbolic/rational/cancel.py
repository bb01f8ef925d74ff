"""`cancel`: rational functions in lowest terms."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alkahest.errors import PolynomialError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical_node
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.definedness import Definedness
from alkahest.symbolic.forms import Undefined
from alkahest.symbolic.rational.inputs import canonical_now, checked, facts_now
from alkahest.symbolic.writing import write

if TYPE_CHECKING:
    from alkahest.symbolic.rational.field import Quotient
    from alkahest.symbolic.rational.flint_ring import Budget, Poly
    from alkahest.symbolic.rational.regions import Region

MAX_WORK = 2_000_000
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg"})


def cancel(expr: Expr, *, strict: bool = False) -> Expr:
    """Return `expr` with every rational function in it as one quotient of expanded polynomials in lowest terms.

    Functions, roots and floats count as further variables; function arguments are treated likewise. The result equals
    `expr` wherever `expr` is defined and may be defined in more places; with `strict=True` it is defined exactly where
    `expr` is: a common factor goes only where facts say that it is not zero. Where that takes too much work,
    `PolynomialError` is raised.

    >>> from alkahest import ExprPool
    >>> x, y = ExprPool().symbols("x y")
    >>> cancel((x**2 - 1) / (x - 1))
    x + 1
    >>> cancel(1 / (1 + 1 / x) + y / (x + 1))
    (x + y)/(x + 1)
    >>> cancel((x**2 - 1) / (x - 1), strict=True)
    (x^2 - 1)/(x - 1)
    """
    from alkahest.symbolic.rational.flint_ring import Budget, TooLarge

    pool = checked(expr).pool
    root = canonical_now([expr], strict=strict)[0].id
    budget = Budget(MAX_WORK, 200_000, 100_000, 1 << 28)
    try:
        found = Expr(pool, _Cancelling(pool, budget, strict).run(root))
    except TooLarge:
        raise PolynomialError(
            f"bringing {expr.to_string(60)} to one quotient takes too much work.",
            remedy="Cancel parts of it, or substitute symbols for parts.",
        ) from None
    return canonical_now([found], strict=strict)[0]


def rational_form(pool: ExprPool, ident: int, budget: Budget) -> int:
    """Return the node of one quotient in lowest terms that equals a node, its functions taken as they are.

    Raises `TooLarge` where the budget does not suffice, `Undefined` where something is divided by zero.
    """
    from alkahest.symbolic.rational.regions import Region

    region = Region(pool, [ident], budget)
    return region.node(region.values[ident])


class _Cancelling:
    """Region by region, from the arguments of functions up to the root."""

    def __init__(self, pool: ExprPool, budget: Budget, strict: bool) -> None:
        self.pool = pool
        self.budget = budget
        self.strict = strict
        self.knowledge = Knowledge(pool._nodes, facts_now(pool))
        self.new: dict[int, int] = {}  # nodes with their functions' arguments done
        self.done: dict[int, int] = {}  # by new node: its quotient

    def run(self, root: int) -> int:
        nodes = self.pool._nodes
        for i in reachable(self.pool, [root]):
            node = nodes[i]
            self.new[i] = i if node[0] in LEAVES else self._rebuilt(i, node)
        return self._quotient(self.new[root])

    def _rebuilt(self, ident: int, node: tuple[Any, ...]) -> int:
        op = node[0]
        args = tuple([self.new[c] for c in node[1:]])
        arithmetic = op in _ARITHMETIC or self._is_whole_power(node)
        if not arithmetic:
            args = tuple([self._quotient(c) for c in args])
        if args == node[1:]:
            return ident
        if arithmetic or self.strict:
            return self.pool._intern((op, *args))
        return canonical_node(self.pool, op, args).id

    def _is_whole_power(self, node: tuple[Any, ...]) -> bool:
        return bool(node[0] == "pow" and self.pool._nodes[node[2]][0] == "integer")

    def _quotient(self, ident: int) -> int:
        """Return the quotient of a node, the node itself where it is no arithmetic or has no value."""
        node = self.pool._nodes[ident]
        if node[0] not in _ARITHMETIC and node[0] != "pow":
            return ident
        found = self.done.get(ident)
        if found is None:
            from alkahest.symbolic.rational.regions import Region

            try:
                region = Region(self.pool, [ident], self.budget)
                value = region.values[ident]
                found = self._strictly(region, ident, value) if self.strict else region.node(value)
            except Undefined:
                found = ident
            self.done[ident] = found
        return found

    def _strictly(self, region: Region, ident: int, value: Quotient) -> int:
        """Return a quotient that is defined exactly where the node is."""
        ring = region.field.ring
        for factor in _lost(region, value, self.knowledge):
            value = value._replace(num=ring.multiply(value.num, factor), den=ring.multiply(value.den, factor))
        if _hides(region, value, self.knowledge):
            return ident
        from alkahest.symbolic.rational.expansion import Expansion

        expansion = Expansion(self.pool)
        if value.den == ring.one:
            return write(expansion.space, expansion.form(region.terms(value.num, expansion)))
        above, below = region.sides(value, expansion)
        return self.pool._intern(("div", write(expansion.space, above), write(expansion.space, below)))


def _lost(region: Region, value: Quotient, knowledge: Knowledge) -> list[Poly]:
    """Return the factors that were divided by, may be zero, and are no longer in the denominator."""
    from alkahest.symbolic.rational.expansion import Expansion
    from alkahest.symbolic.rational.flint_ring import factors_of

    found: list[Poly] = []
    pool = region.pool
    for divisor in region.field.divisors:
        for factor in factors_of(divisor):
            if factor in found or not region.field.ring.gcd(factor, value.den).is_constant():
                continue
            expansion = Expansion(pool)
            ident = write(expansion.space, expansion.form(region.terms(factor, expansion)))
            if not knowledge.fact(ident).not_zero:
                found.append(factor)
    return found


def _hides(region: Region, value: Quotient, knowledge: Knowledge) -> bool:
    """Tell whether a generator that has no value everywhere is gone, and its domain with it."""
    definedness = Definedness(knowledge)
    above = list(zip(*[e for p in value for e in p.monoms()], strict=True)) or [() for _ in region.generators]
    for generator, exponents in zip(region.generators, above, strict=True):
        scale = region.scales[generator]
        if scale > 1 and generator.kind == "power" and not any([int(e) % scale for e in exponents]):
            return True
        if not any(exponents) and not definedness.is_total(generator.node):
            return True
    return False
