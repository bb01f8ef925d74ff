"""Expressions as expanded sums: a coefficient for each product of powers of atoms, node by node.

An atom is what the canonical form takes as a whole: a symbol, a float, a function of expanded arguments, a sum below a
fraction bar. Small products are multiplied out here, large ones by FLINT.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from alkahest.errors import PolynomialError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.symbolic.canonical import leaf_form, texts_of
from alkahest.symbolic.exact import Exact, fits, normal
from alkahest.symbolic.forms import Form, Product, Sum, Undefined, Workspace, atom, is_exact
from alkahest.symbolic.functions import call
from alkahest.symbolic.products import multiply, power
from alkahest.symbolic.sums import simple
from alkahest.symbolic.writing import write

if TYPE_CHECKING:
    from alkahest.symbolic.rational.flint_ring import Budget

Terms = dict[int, Exact]  # by key, see `forms`; the number 1 is a key too

MAX_PRODUCTS = 500_000
_MAX_TERMS = 200_000
_MAX_BITS = 1 << 28  # of all coefficients of one result together
_SMALL_PRODUCT = 200  # of so many products and more, FLINT is faster
_MAX_GENERATORS = 64  # FLINT stores an exponent of each in every term
_SUMS = frozenset({"add", "sub"})


class Expansion:
    """The expanded sums of nodes of a canonical DAG; `atoms` are nodes that are not looked into."""

    def __init__(self, pool: ExprPool, atoms: Collection[int] = ()) -> None:
        self.pool = pool
        self.space = Workspace(pool, reuses=False)
        self.space.texts = texts_of(pool)
        self.one = self.space.key_of(Product(1, {}))
        self.atoms = frozenset(atoms)
        self.found: dict[int, Terms] = {i: {i: 1} for i in atoms}
        self.uses: dict[int, int] = {}
        self.left = MAX_PRODUCTS
        self._at = 0  # the node in work, for messages

    def run(self, roots: Iterable[int]) -> list[Terms]:
        """Return the terms of some nodes; raises `PolynomialError` where they are too many."""
        from alkahest.symbolic.rational.flint_ring import TooLarge

        roots = list(roots)
        try:
            for i in self._order(roots):
                self._at = i
                self.found[i] = self._expanded(self.pool._nodes[i], i)
        except TooLarge:
            raise self._too_large() from None
        return [self.found[i] for i in roots]

    def form(self, terms: Mapping[int, Exact]) -> Form:
        """Return terms as a form, of which the canonical form's parts make nodes."""
        const = terms.get(self.one, 0)
        if len(terms) == (const != 0):
            return const
        if len(terms) == 1:
            [(key, coef)] = terms.items()
            return simple(self.space, self.space.product_of(key, coef))
        return Sum(const, {key: c for key, c in terms.items() if key != self.one})

    # -- node by node

    def _order(self, roots: list[int]) -> list[int]:
        """Return what is to be expanded, children first, and count the uses of each."""
        nodes = self.pool._nodes
        uses = self.uses
        for i in roots:
            uses[i] = uses.get(i, 0) + 2  # kept for the caller
        stack = [i for i in uses if i not in self.found]
        order = set(stack)
        while stack:
            node = nodes[stack.pop()]
            for c in () if node[0] in LEAVES else node[1:]:
                uses[c] = uses.get(c, 0) + 1
                if c not in self.found and c not in order:
                    order.add(c)
                    stack.append(c)
        return sorted(order)

    def _expanded(self, node: tuple[Any, ...], ident: int) -> Terms:
        op = node[0]
        if op in LEAVES:
            out: Terms = {}
            self.accumulate(out, leaf_form(self.space, ident, node), 1)
            return out
        if any([self._is_undefined(c) for c in node[1:]]) and op != "where":
            return self._kept(node)
        try:
            if op in _SUMS:
                return self._sum(node[1], node[2], -1 if op == "sub" else 1)
            if op == "neg":
                return {key: -c for key, c in self.found[node[1]].items()}
            if op == "mul":
                return self.product(self.found[node[1]], self.found[node[2]])
            if op == "div":
                return self.product(self.found[node[1]], self._inverse(self.found[node[2]]))
            if op == "pow":
                return self._power(node)
            return self.terms(call(self.space, op, [self.form(self.found[c]) for c in node[1:]]))
        except Undefined:
            return self._kept(node)

    def _is_undefined(self, ident: int) -> bool:
        terms = self.found[ident]
        return len(terms) == 1 and next(iter(terms)) in self.space.undefined

    def _kept(self, node: tuple[Any, ...]) -> Terms:
        """Return what has no value, as it is written."""
        ident = self.space.intern((node[0], *[write(self.space, self.form(self.found[c])) for c in node[1:]]))
        self.space.undefined.add(ident)
        return {ident: 1}

    def _sum(self, a: int, b: int, sign: int) -> Terms:
        p, q = self.found[a], self.found[b]
        own, other = a, b
        if sign == 1 and len(p) < len(q):
            p, q, own, other = q, p, b, a
        if self.uses[own] > 1:
            self._spend(len(p))
            p = dict(p)
        else:
            del self.found[own]
        self._spend(len(q))
        for key, c in q.items():
            _put(p, key, sign * c)
        if own != other and self.uses[other] == 1:
            self.found.pop(other, None)
        return p

    def _power(self, node: tuple[Any, ...]) -> Terms:
        base, exponent = self.found[node[1]], self.form(self.found[node[2]])
        if isinstance(exponent, int):
            return self.power(base, exponent) if exponent >= 0 else self._inverse(self.power(base, -exponent))
        form = self.form(base)
        if isinstance(exponent, Fraction):
            return self.terms(power(self.space, form, exponent))
        if form == 1:
            return {self.one: 1}
        i = write(self.space, form)
        if self.space.nodes[i] == ("const", "e"):
            return self.terms(call(self.space, "exp", [exponent]))
        return {self.space.intern(("pow", i, write(self.space, exponent))): 1}

    def _inverse(self, p: Terms) -> Terms:
        return self.terms(power(self.space, self.form(p), -1))

    # -- arithmetic

    def terms(self, form: Form) -> Terms:
        """Return the terms of a form."""
        out: Terms = {}
        self.accumulate(out, form, 1)
        return out

    def product(self, p: Terms, q: Terms) -> Terms:
        """Return the product of two sums."""
        if len(p) < len(q):
            p, q = q, p
        if len(q) == 1 and self.one in q:
            c = q[self.one]
            return {key: normal(c * b) for key, b in p.items()}
        if len(q) > 1 and len(p) * len(q) > _SMALL_PRODUCT:
            found = self._by_flint([p, q], 1)
            if found is not None:
                return found
        self._spend(len(p) * len(q))
        out: Terms = {}
        space = self.space
        for k, b in p.items():
            for j, c in q.items():
                if k == self.one:
                    _put(out, j, b * c)
                elif j == self.one:
                    _put(out, k, b * c)
                else:
                    self.accumulate(out, multiply(space, space.product_of(k), space.product_of(j)), b * c)
        return out

    def power(self, p: Terms, n: int) -> Terms:
        """Return a whole power of a sum, by repeated squaring where it is small."""
        from alkahest.symbolic.rational.flint_ring import TooLarge, terms_of_power

        if n == 0:
            return {self.one: 1}
        if len(p) < 2:
            return self.terms(power(self.space, self.form(p), n))
        size = terms_of_power(len(p), n)
        if size > 30:
            found = self._by_flint([p], n)
            if found is not None:
                return found
            if size > _MAX_TERMS:
                raise TooLarge
        out: Terms | None = None
        while True:
            if n & 1:
                out = p if out is None else self.product(out, p)
            n >>= 1
            if not n:
                return dict(out or {})
            p = self.product(p, p)

    def accumulate(self, out: Terms, form: Form, c: Exact = 1) -> None:
        """Add `c` times a form."""
        if isinstance(form, Product):
            if any([self._opens(base, exponent) for base, exponent in form.settle().items.items()]):
                for key, b in self._opened(form).items():
                    _put(out, key, b * c)
            else:
                _put(out, self.space.key_of(form), form.coef * c)
        elif is_exact(form):
            _put(out, self.one, form * c)
        else:
            form.settle()
            _put(out, self.one, form.const * c)
            for key, b in form.terms.items():
                self.accumulate(out, self.space.product_of(key, b), c)

    def _opens(self, base: int, exponent: Exact) -> bool:
        """Tell whether a power is a whole one of a sum: what a root leaves when it is squared."""
        return exponent.__class__ is int and exponent > 0 and base in self.space.sums and base not in self.atoms

    def _opened(self, form: Product) -> Terms:
        rest: dict[int, Exact] = {}
        inner: list[Terms] = []
        for base, exponent in form.items.items():
            if self._opens(base, exponent):
                alone = self.space.sums[base]
                terms: Terms = {self.one: alone.const} if alone.const else {}
                inner.append(self.power(terms | alone.terms, int(exponent)))
            else:
                rest[base] = exponent
        out = self.terms(simple(self.space, Product(form.coef, rest)))
        for terms in inner:
            out = self.product(out, terms)
        return out

    # -- FLINT

    def _by_flint(self, factors: list[Terms], n: int) -> Terms | None:
        """Return the product of two sums, or the n-th power of one; None where there are too many atoms."""
        from alkahest.symbolic.rational.flint_ring import Ring, items_of

        bases = self._bases(factors)
        if bases is None:
            return None
        scales, lows = bases
        names = list(scales)
        budget = self._budget()
        ring = Ring(len(names), budget)
        polys = [
            ring.poly(
                {
                    tuple([int((items.get(b, 0) - low[b]) * scales[b]) for b in names]): c
                    for items, c in [(self.items(key), c) for key, c in p.items()]
                }
            )
            for p, low in zip(factors, lows, strict=True)
        ]
        result = ring.multiply(*polys) if len(polys) == 2 else ring.power(polys[0], n)
        self.left = budget.products
        shift = {b: n * sum([low[b] for low in lows]) for b in names}
        whole = all([s == 1 for s in scales.values()]) and not any([b in self.space.special for b in names])
        out: Terms = {}
        for exponents, c in items_of(result):
            items = {
                b: normal(Fraction(e, scales[b]) + shift[b]) if scales[b] != 1 else e + shift[b]
                for b, e in zip(names, exponents, strict=True)
                if e or shift[b]
            }
            items = {b: e for b, e in items.items() if e}
            if not items:
                _put(out, self.one, c)
            elif whole:
                _put(out, self.space.key_of(Product(1, items)), c)
            else:
                self.accumulate(out, self._monomial(items), c)
        return out

    def _bases(self, factors: list[Terms]) -> tuple[dict[int, int], list[dict[int, int]]] | None:
        """Return, by atom, what its exponents are multiplied by, and for each factor its lowest exponent."""
        scales: dict[int, int] = {}
        lows: list[dict[int, int]] = []
        for p in factors:
            low: dict[int, int] = {}
            for key in p:
                for b, e in self.items(key).items():
                    if abs(e) > 1 << 60 or e.denominator > 64:
                        return None
                    scales[b] = math.lcm(scales.get(b, 1), e.denominator)
                    low[b] = min(low.get(b, 0), e.__floor__())
            lows.append(low)
            if len(scales) > _MAX_GENERATORS:
                return None
        for low in lows:
            for b in scales:
                low.setdefault(b, 0)
        return scales, lows

    def items(self, key: int) -> dict[int, Exact]:
        """Return the powers that a key names."""
        return {key: 1} if key >= 0 else self.space.bases[-key - 1]

    def _monomial(self, items: dict[int, Exact]) -> Form:
        form: Form = 1
        for base, exponent in items.items():
            form = multiply(self.space, form, power(self.space, atom(base), exponent))
        return form

    def _budget(self) -> Budget:
        from alkahest.symbolic.rational.flint_ring import Budget

        return Budget(self.left, _MAX_TERMS, 1 << 60, _MAX_BITS)

    def _spend(self, products: int) -> None:
        self.left -= products
        if self.left < 0:
            raise self._too_large()

    def _too_large(self) -> PolynomialError:
        return PolynomialError(
            f"expanding {Expr(self.pool, self._at).to_string(60)} takes more than {MAX_PRODUCTS:,} products of "
            f"coefficients or gives more than {_MAX_TERMS:,} terms.",
            remedy="Keep the factored form, or substitute a symbol for a factor.",
        )


def _put(out: Terms, key: int, c: Exact) -> None:
    total = normal(out.get(key, 0) + c)
    if total:
        if not fits(total):
            from alkahest.symbolic.rational.flint_ring import TooLarge

            raise TooLarge
        out[key] = total
    else:
        out.pop(key, None)
