"""What a rational function may be taken to be a function of: its symbols, and whole sums, exponentials and powers.

In `(x - a)^2/b + (x - a)/b^2` the sum `x - a` is a variable: nothing else holds `a`. Multiplying it out would only have
to be undone. The same goes for the argument of an exponential, and powers of one base whose exponents differ by whole
numbers are one power times the base.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.symbolic.canonical import read_form
from alkahest.symbolic.exact import Exact, exact_of, normal
from alkahest.symbolic.forms import SMALL, Form, Product, Sum, Workspace
from alkahest.symbolic.rational.flint_ring import Budget
from alkahest.symbolic.rational.regions import Generator, Region

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg"})
_SUMS = frozenset({"add", "sub", "neg"})
_MAX_SUMS = 16
_NUMBER = -1  # stands for the constant of a sum among its keys; keys of products are below it

Direction = tuple[tuple[int, Exact], ...]


def operands(nodes: list[Any], ident: int) -> tuple[int, ...]:
    """Return the operands of a node that belong to the same rational function; none for what is a variable of it."""
    node = nodes[ident]
    if node[0] in ARITHMETIC:
        return node[1:]
    if node[0] in ("sqrt", "cbrt") or (node[0] == "pow" and exact_of(nodes[node[2]]) is not None):
        return node[1:2]
    return ()


class Interior(NamedTuple):
    """The nodes of a rational function, children first, and for each the nodes of it that it is an operand of."""

    order: list[int]
    above: dict[int, list[int]]

    @property
    def root(self) -> int:
        """The node of the whole."""
        return self.order[-1]


def interior(nodes: list[Any], root: int) -> Interior:
    """Return what belongs to the rational function of a node."""
    above: dict[int, list[int]] = {root: []}
    stack = [root]
    while stack:
        i = stack.pop()
        for c in operands(nodes, i):
            if c not in above:
                above[c] = []
                stack.append(c)
            above[c].append(i)
    return Interior(sorted(above), above)


class Whole(Region):
    """A region in which some sums, and the arguments of exponentials, are not looked into.

    `sums` gives for each node of such a sum the node that stands for it, and whether it is minus that.
    """

    def __init__(
        self,
        pool: ExprPool,
        root: int,
        budget: Budget,
        sums: Mapping[int, tuple[int, bool]],
        exponents: Mapping[int, tuple[int, Exact]],
    ) -> None:
        self.sums = sums
        self.exponents = exponents
        self._written: dict[tuple[tuple[int, Exact], ...], int] = {}  # exponentials
        super().__init__(pool, [root], budget)

    def _inner(self, ident: int, node: tuple[Any, ...]) -> tuple[int, ...]:
        known = self.sums.get(ident)
        if known is None:
            return super()._inner(ident, node)
        self._atom(ident, known[0], Fraction(1))
        return ()

    def _is_negated(self, ident: int) -> bool:
        known = self.sums.get(ident)
        return super()._is_negated(ident) if known is None else known[1]

    def _root(self, ident: int, base: int, exponent: Exact) -> tuple[int, ...]:
        known = self.sums.get(base)
        if known is None:
            return super()._root(ident, base, exponent)
        self._atom(ident, ident if known[1] else known[0], Fraction(1) if known[1] else exponent)
        return ()

    def _exponential(self, ident: int, argument: int) -> None:
        known = self.exponents.get(argument)
        if known is None:
            super()._exponential(ident, argument)
            return
        generator = Generator("exp", known[0])
        self.scales[generator] = math.lcm(self.scales.get(generator, 1), known[1].denominator)
        self.monomials[ident] = [(generator, known[1])]

    def _exp(self, inside: dict[int, Exact]) -> int:
        terms = tuple(inside.items())
        if len(terms) == 1 and terms[0][1] == 1:
            return self.pool._intern(("exp", terms[0][0]))
        found = self._written.get(terms)
        if found is None:
            found = self._written[terms] = super()._exp(inside)
        return found


# -- sums


def whole_sums(pool: ExprPool, inside: Interior) -> dict[int, tuple[int, bool]]:
    """Return the sums that are variables: each holds a variable that occurs in it only.

    So it depends on nothing else there is, and a rational function of it has the same lowest terms.

    >>> pool = ExprPool()
    >>> x, a, b = pool.symbols("x a b")
    >>> e = (x - a) ** 2 / b + 1 / (a - x) + (b + 1) ** 2
    >>> sorted(set(whole_sums(pool, interior(pool._nodes, e.id)).values())) == [((x - a).id, False), ((x - a).id, True)]
    True
    """
    nodes = pool._nodes
    groups = _same_up_to_sign(pool, inside)
    out: dict[int, tuple[int, bool]] = {}
    for members in list(groups.values())[:_MAX_SUMS]:
        if any([_is_private(nodes, inside, v, members) for v in _variables(nodes, members)]):
            first = min(members)
            same = members[first]
            out |= {i: (first, sign != same) for i, sign in members.items()}
    return out


def _same_up_to_sign(pool: ExprPool, inside: Interior) -> dict[Direction, dict[int, bool]]:
    """Return the sums that stand as factors, minus a sum beside it, and which of them are negative."""
    nodes = pool._nodes
    space = Workspace(pool, reuses=False)
    groups: dict[Direction, dict[int, bool]] = {}
    divides: set[int] = set()  # what is no polynomial may have something to cancel
    for i in inside.order:
        node = nodes[i]
        below = operands(nodes, i)
        if node[0] == "div" or _is_reciprocal(nodes, node) or any([c in divides for c in below]):
            divides.add(i)
            continue
        if node[0] not in ("add", "sub") or all([nodes[p][0] in _SUMS for p in inside.above[i]]):
            continue
        form = read_form(space, i)
        if not isinstance(form, Sum) or len(form.terms) > SMALL:
            continue
        keys = _keys(space, form)
        negative = keys[0][1] < 0
        groups.setdefault(_scaled(keys, -1) if negative else keys, {})[i] = negative
    return groups


def _is_reciprocal(nodes: list[Any], node: tuple[Any, ...]) -> bool:
    exponent = exact_of(nodes[node[2]]) if node[0] == "pow" else None
    return exponent is not None and exponent < 0


def _variables(nodes: list[Any], members: Iterable[int]) -> list[int]:
    """Return the variables below some nodes."""
    seen = set(members)
    stack = list(seen)
    found: list[int] = []
    while stack:
        i = stack.pop()
        inner = operands(nodes, i)
        if not inner and nodes[i][0] not in ("integer", "rational", "float"):
            found.append(i)
        for c in inner:
            if c not in seen:
                seen.add(c)
                stack.append(c)
    return found


def _is_private(nodes: list[Any], inside: Interior, variable: int, members: Mapping[int, bool]) -> bool:
    """Tell whether a variable occurs below these nodes only: every way up from it leads through one of them."""
    seen = {variable}
    stack = [variable]
    while stack:
        i = stack.pop()
        if i == inside.root:
            return False
        for p in inside.above[i]:
            if p not in seen and p not in members:
                seen.add(p)
                stack.append(p)
    return nodes[variable][0] != "exp"  # exponentials may depend on each other


# -- exponentials


def whole_exponents(pool: ExprPool, inside: Interior) -> dict[int, tuple[int, Exact]]:
    """Return, by argument of an exponential, the argument it is a multiple of and the factor.

    Left out are those that hang together otherwise, as in exp(x + y)/exp(x): they are products of exponentials.

    >>> pool = ExprPool()
    >>> x, y = pool.symbols("x y")
    >>> from alkahest import exp
    >>> e = exp(x - y) + 1 / (exp(2 * x - 2 * y) + 1)
    >>> sorted([c for _, c in whole_exponents(pool, interior(pool._nodes, e.id)).values()])
    [1, 2]
    """
    nodes = pool._nodes
    space = Workspace(pool, reuses=False)
    arguments = [nodes[i][1] for i in inside.order if nodes[i][0] == "exp"]
    found: dict[Direction, list[tuple[int, Exact]]] = {}
    for argument in dict.fromkeys(arguments):
        keys = _keys(space, read_form(space, argument))
        unit = keys[0][1]
        found.setdefault(_scaled(keys, Fraction(1) / unit), []).append((argument, unit))
    uses: dict[int, int] = {}
    for keys in found:
        for key, _ in keys:
            uses[key] = uses.get(key, 0) + 1
    out: dict[int, tuple[int, Exact]] = {}
    for keys, members in found.items():
        if all([uses[key] == 1 for key, _ in keys]):
            first, unit = members[0]
            out |= {argument: (first, normal(Fraction(c) / unit)) for argument, c in members}
    return out


def _keys(space: Workspace, form: Form) -> Direction:
    """Return the terms of a form, in an order of their own."""
    if isinstance(form, Product):
        return ((_key(space.key_of(form)), form.coef),)
    if not isinstance(form, Sum):
        return ((_NUMBER, form),)
    form.settle()
    terms = [(_key(key), c) for key, c in form.terms.items()]
    if form.const:
        terms.append((_NUMBER, form.const))
    return tuple(sorted(terms, key=lambda t: t[0]))


def _key(key: int) -> int:
    return key if key >= 0 else key - 1


def _scaled(keys: Direction, c: Exact) -> Direction:
    return tuple([(key, normal(b * c)) for key, b in keys])


# -- powers


def aligned_powers(pool: ExprPool, inside: Interior) -> dict[int, int]:
    """Return nodes for powers whose exponents differ by whole numbers: the least of them, times the base.

    All of them occur, so where the whole has a value the least of them has one: the product is equal where the base is
    zero, too.

    >>> pool = ExprPool()
    >>> x, a = pool.symbols("x a")
    >>> p, q = x**a, x ** (a - 1)
    >>> [new] = aligned_powers(pool, interior(pool._nodes, (p + q).id)).values()
    >>> new == (q * x).id
    True
    """
    out: dict[int, int] = {}
    for base, members in power_families(pool, inside.order):
        least, lowest = min(members)
        for const, i in members:
            steps = int(const - least)
            if steps:
                factor = base if steps == 1 else pool._intern(("pow", base, pool._intern(("integer", steps))))
                out[i] = pool._intern(("mul", lowest, factor))
    return out


def power_families(pool: ExprPool, order: Iterable[int]) -> list[tuple[int, list[tuple[Exact, int]]]]:
    """Return the powers whose exponents differ by whole numbers: the base, and the constants with the nodes."""
    nodes = pool._nodes
    groups: dict[tuple[int, Direction, Exact], list[tuple[Exact, int]]] = {}
    space = Workspace(pool, reuses=False)
    for i in order:
        node = nodes[i]
        if node[0] != "pow" or exact_of(nodes[node[2]]) is not None or nodes[node[1]][0] in LEAVES - {"symbol"}:
            continue
        keys = _keys(space, read_form(space, node[2]))
        const = sum([c for key, c in keys if key == _NUMBER])
        rest = tuple([(key, c) for key, c in keys if key != _NUMBER])
        groups.setdefault((node[1], rest, normal(const % 1)), []).append((const, i))
    return [(base, members) for (base, _, _), members in groups.items()]
