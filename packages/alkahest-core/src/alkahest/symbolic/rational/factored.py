"""Rational functions in lowest terms and in factors, where that is less to compute than what was there."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical, canonical_node
from alkahest.symbolic.egraph.costs import CostModel, SizeCost, cost_of, cost_of_nodes
from alkahest.symbolic.exact import Exact, exact_of
from alkahest.symbolic.forms import Form, Sum, Undefined, atom
from alkahest.symbolic.products import multiply, power
from alkahest.symbolic.rational.expansion import Expansion
from alkahest.symbolic.sums import negated, scale
from alkahest.symbolic.writing import write

if TYPE_CHECKING:
    from alkahest.symbolic.rational.flint_ring import Poly
    from alkahest.symbolic.rational.variables import Interior, Whole

_EACH = 20_000  # products of coefficients that one rational function may take
_MAX_NODES = 400  # of one rational function, written out
_MAX_BELOW = 1_000  # nodes of a rational function and the arguments of its functions, that are counted in its cost
_MAX_TERMS = 80  # of a polynomial that is factored
_MAX_DEGREE = 60
_ATTEMPT = 1_000  # what one rational function takes at least
_SUMS = frozenset({"add", "sub"})

Factors = tuple[Fraction, list[tuple["Poly", int]]]


def compact(root: Expr, model: CostModel | None = None, *, work: int = 200_000) -> Expr:
    """Return `root`, which is canonical, with its rational functions in lowest terms and factors where that is cheaper.

    The result equals `root` wherever it is defined. Functions and roots are variables; arguments of functions are done
    likewise. What costs less is told by `model`, `SizeCost()` unless given. `work` bounds all that is spent, in
    products of coefficients.

    >>> x, a, b = ExprPool().symbols("x a b")
    >>> compact(x / (b * x + 1) - b * x**2 / (b * x + 1) ** 2)
    x/(b*x + 1)^2
    >>> compact((x - a) ** 2 / b**4 - 3 / b**2)
    ((x - a)^2 - 3*b^2)/b^4
    """
    pool = root.pool
    cost = SizeCost() if model is None else model
    nodes = pool._nodes
    order = reachable(pool, [root.id])
    if not any([nodes[i][0] in _SUMS for i in order]) or not any([_is_quotient(nodes, i) for i in order]):
        return root
    new: dict[int, int] = {}
    tops = _tops(nodes, order, root.id)
    for i in order:
        node = nodes[i]
        args = node[1:] if node[0] in LEAVES else tuple([new[c] for c in node[1:]])
        new[i] = i if args == node[1:] else pool._intern((node[0], *args))
        if i in tops and work >= _ATTEMPT:
            new[i], spent = _best(pool, new[i], cost, min(work, _EACH))
            work -= spent
    if new[root.id] == root.id:
        return root
    found = canonical([Expr(pool, new[root.id])])[0]
    return found if cost_of([found], cost) < cost_of([root], cost) else root


def _is_quotient(nodes: list[Any], ident: int) -> bool:
    """Tell whether a node divides, or is a power that may."""
    node = nodes[ident]
    if node[0] != "pow":
        return bool(node[0] == "div")
    exponent = exact_of(nodes[node[2]])
    return exponent is None or exponent < 0


def _tops(nodes: list[Any], order: list[int], root: int) -> set[int]:
    """Return the largest rational functions that are not too large, and hold a sum and a quotient or a power."""
    from alkahest.symbolic.rational.variables import operands

    size: dict[int, int] = {}
    mixed: dict[int, int] = {}  # 1: a sum is below, 2: a quotient or power
    inner: set[int] = set()
    for i in order:
        below = operands(nodes, i)
        size[i] = min(1 + sum([size[c] for c in below]), _MAX_NODES)
        mixed[i] = 1 if nodes[i][0] in _SUMS else 2 if _is_quotient(nodes, i) else 0
        for c in below:
            mixed[i] |= mixed[c]
        if size[i] < _MAX_NODES:
            inner.update(below)
    own = {i for i in order if size[i] < _MAX_NODES and mixed[i] == 3 and nodes[i][0] not in ("sqrt", "cbrt")}
    used = _used_outside(nodes, order, own, root)
    return {i for i in own if i not in inner or i in used}


def _used_outside(nodes: list[Any], order: list[int], own: set[int], root: int) -> set[int]:
    """Return the nodes that a function, or a rational function that is too large, has as operands."""
    from alkahest.symbolic.rational.variables import operands

    used = {root}
    for i in order:
        if nodes[i][0] in LEAVES:
            continue
        inside = operands(nodes, i) if i in own else ()
        used.update([c for c in nodes[i][1:] if c not in inside])
    return used


# -- one rational function


def _best(pool: ExprPool, root: int, model: CostModel, work: int) -> tuple[int, int]:
    """Return the cheapest node found for a rational function, and what was spent.

    Where the whole of a sum is cheaper as it is, its quotients are tried without its polynomials.
    """
    best, spent = _best_of_whole(pool, root, model, work)
    if best == root:
        quotients, rest = _quotients_apart(pool, root)
        if rest:
            found, more = _best_of_whole(pool, quotients, model, work)
            spent += more
            if found != quotients:
                best = _signed_sum(pool, [(1, found), *rest])
    return best, spent


def _quotients_apart(pool: ExprPool, root: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the sum of the terms of a sum that hold a quotient, and the signs and nodes of the others."""
    from alkahest.symbolic.rational.variables import interior

    nodes = pool._nodes
    stack = [(1, root)]
    quotients: list[tuple[int, int]] = []
    rest: list[tuple[int, int]] = []
    while stack:
        sign, i = stack.pop()
        op, *args = nodes[i]
        if op in _SUMS:
            stack += [(-sign if op == "sub" else sign, args[1]), (sign, args[0])]
        else:
            has = any([_is_quotient(nodes, k) for k in interior(nodes, i).order])
            (quotients if has else rest).append((sign, i))
    if len(quotients) < 2:
        return root, []
    return _signed_sum(pool, quotients), rest


def _signed_sum(pool: ExprPool, terms: list[tuple[int, int]]) -> int:
    total = None
    for sign, i in sorted(terms, key=lambda t: t[0] < 0):
        if total is None:
            total = i if sign > 0 else pool._intern(("neg", i))
        else:
            total = pool._intern(("add" if sign > 0 else "sub", total, i))
    return pool._intern(("integer", 0)) if total is None else total


def _best_of_whole(pool: ExprPool, root: int, model: CostModel, work: int) -> tuple[int, int]:
    """Return the cheapest node found for a rational function as one quotient, and what was spent."""
    from alkahest.symbolic.rational.flint_ring import Budget, TooLarge
    from alkahest.symbolic.rational.reducing import _nodes_up_to
    from alkahest.symbolic.rational.variables import interior, operands

    nodes = pool._nodes
    inside = interior(nodes, root)
    if len(inside.order) > _MAX_NODES:
        return root, 0
    ends: set[int] = set()
    if len(_nodes_up_to(pool, root, _MAX_BELOW)) == _MAX_BELOW:
        ends = {i for i in inside.order if nodes[i][0] not in LEAVES and not operands(nodes, i)}
    best, least = root, _cost(nodes, root, ends, model)
    spent = _ATTEMPT
    start = _aligned(pool, inside)
    for sums_whole in (True, False):
        budget = Budget(work, 1_000, _MAX_DEGREE, 1 << 20)
        try:
            for candidate in _candidates(pool, start, budget, sums_whole):
                cost = _cost(nodes, candidate, ends, model)
                if cost < least:
                    best, least = candidate, cost
        except (TooLarge, Undefined):
            pass
        spent += work - max(budget.products, 0)
    return best, spent


def _cost(nodes: list[Any], root: int, ends: set[int], model: CostModel) -> float:
    """Return what a node costs, the arguments of some functions left out."""
    arguments = {c for i in ends for c in nodes[i][1:]}
    seen = {root}
    stack = [root]
    while stack:
        i = stack.pop()
        if i in ends or nodes[i][0] in LEAVES:
            continue
        for c in nodes[i][1:]:
            if c not in seen and (c not in arguments or nodes[c][0] in LEAVES):
                seen.add(c)
                stack.append(c)
    return cost_of_nodes(nodes, seen, model)


def _aligned(pool: ExprPool, inside: Interior) -> Interior:
    """Return a rational function with the powers of one base written by the least of them."""
    from alkahest.symbolic.rational.reducing import _rebuilt
    from alkahest.symbolic.rational.variables import aligned_powers, interior

    powers = aligned_powers(pool, inside)
    if not powers:
        return inside
    return interior(pool._nodes, _rebuilt(pool, reachable(pool, [inside.root]), powers, inside.root))


def _candidates(pool: ExprPool, inside: Interior, budget: Any, sums_whole: bool) -> Iterator[int]:
    """Yield nodes that equal a rational function: over one denominator, factored in several ways."""
    from alkahest.symbolic.rational.variables import Whole, whole_exponents, whole_sums

    sums = whole_sums(pool, inside)
    if not sums and not sums_whole:
        return  # done already
    region = Whole(pool, inside.root, budget, sums if sums_whole else {}, whole_exponents(pool, inside))
    value = region.values[inside.root]
    if not len(value.num):
        yield pool._intern(("integer", 0))
        return
    above = _ways(value.num, (_irreducible, _squarefree, _monomial_apart))
    below = _ways(value.den, (_irreducible, _squarefree))
    for up in above:
        for down in below:
            yield _Writer(region).quotient(up, down)


def _ways(p: Poly, kinds: Sequence[Callable[[Poly], Factors]]) -> list[Factors]:
    """Return a polynomial as products of powers, the same product once."""
    if len(p) == 1 or len(p) > _MAX_TERMS or max(p.degrees()) > _MAX_DEGREE:
        kinds = (_monomial_apart,)
    found: list[Factors] = []
    for kind in kinds:
        made = kind(p)
        if made not in found:
            found.append(made)
    return found


def _irreducible(p: Poly) -> Factors:
    c, factors = p.factor()
    return Fraction(int(c.p), int(c.q)), [(f, int(e)) for f, e in factors]


def _squarefree(p: Poly) -> Factors:
    c, factors = p.factor_squarefree()
    return Fraction(int(c.p), int(c.q)), [(f, int(e)) for f, e in factors]


def _monomial_apart(p: Poly) -> Factors:
    """Return a polynomial as a monomial times a polynomial that none divides."""
    monomial = p.term_content()
    return Fraction(1), [(monomial, 1), (p / monomial, 1)]


class _Writer:
    """Writes quotients of products of a region's polynomials."""

    def __init__(self, region: Whole) -> None:
        self.region = region
        self.expansion = Expansion(region.pool)
        self.space = self.expansion.space
        self.coef = Fraction(1)
        self.exponents = [0] * len(region.generators)
        self.sums: dict[int, Exact] = {}  # by node: its exponent
        self.forms: dict[int, Form] = {}

    def quotient(self, above: Factors, below: Factors) -> int:
        """Return the node of a quotient."""
        for (c, factors), sign in ((above, 1), (below, -1)):
            self.coef *= c**sign
            for p, e in factors:
                self._take(p, sign * e)
        self._merge_powers()
        self._turn_sum()
        form = self.region._form(tuple(self.exponents), self.space)
        for base, e in self.sums.items():
            form = multiply(self.space, form, power(self.space, atom(base), e))
        return write(self.space, scale(self.space, _plain(self.coef), form))

    def _take(self, p: Poly, e: int) -> None:
        """Multiply by a power of a polynomial."""
        if len(p) == 1:
            [(exponents, c)] = p.terms()
            self.coef *= Fraction(int(c.p), int(c.q)) ** e
            for k, n in enumerate(exponents):
                self.exponents[k] += e * int(n)
            return
        from alkahest.symbolic.ordering import sort_key
        from alkahest.symbolic.rational.flint_ring import common_denominator, content

        k = common_denominator(p)
        size = content(p * k)
        terms = self.region.terms(p * k / size, self.expansion)
        lead = min(terms, key=lambda key: (key == self.expansion.one, sort_key(self.space, key)))
        sign = 1 if terms[lead] > 0 else -1
        form = self.expansion.form({key: sign * c for key, c in terms.items()})
        base = write(self.space, form)
        self.forms[base] = form
        self.coef *= Fraction(sign * size, k) ** e
        self.sums[base] = self.sums.get(base, 0) + e

    def _turn_sum(self) -> None:
        """Turn a sum round instead of a minus sign before the quotient: (b - a)/c for -(a - b)/c."""
        if self.coef.numerator != -1:
            return
        for base, e in self.sums.items():
            form = self.forms.get(base)
            if e % 2 and isinstance(form, Sum) and (form.const < 0 or any([c < 0 for c in form.terms.values()])):
                turned = write(self.space, negated(form))
                if turned not in self.sums:
                    self.sums = {turned if i == base else i: n for i, n in self.sums.items()}
                    self.coef = -self.coef
                return

    def _merge_powers(self) -> None:
        """Put powers of one base together: x^(a - 1)*x^2 is x^(a + 1), wherever the factors have values."""
        pool, nodes = self.region.pool, self.region.pool._nodes
        for k, generator in enumerate(self.region.generators):
            node = nodes[generator.node]
            n = self.exponents[k]
            if not n or generator.kind != "power" or node[0] != "pow" or exact_of(nodes[node[2]]) is not None:
                continue
            more = self._taken_out(node[1])
            if more:
                self.exponents[k] = 0
                exponent = canonical_node(pool, "mul", (self.space.number(n), node[2])).id
                exponent = canonical_node(pool, "add", (exponent, self.space.number(more))).id
                new = canonical_node(pool, "pow", (node[1], exponent)).id
                self.sums[new] = self.sums.get(new, 0) + 1

    def _taken_out(self, base: int) -> Exact:
        """Return the exponent of a base among the factors so far, and take it out."""
        from alkahest.symbolic.rational.regions import Generator

        position = self.region.position.get(Generator("power", base))
        if position is None:
            return self.sums.pop(base, 0)
        if self.region.scales[self.region.generators[position]] != 1:
            return 0
        n, self.exponents[position] = self.exponents[position], 0
        return n


def _plain(c: Fraction) -> Exact:
    return c.numerator if c.denominator == 1 else c
