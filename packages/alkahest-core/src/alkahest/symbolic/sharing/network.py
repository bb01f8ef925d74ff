"""Expressions as a network of flat products and sums, which `share` rearranges before it writes them again.

A *key* names a product without coefficient, a sum, or a node that is neither; a *value* is a number times a key. Equal
products and sums have the same key, and a sum and minus it are one.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.exact import Exact, exact_node, exact_of, normal

ONE = 0
WHOLE = "="  # what stands for a value, itself
_MAX_OPERANDS = 64  # of one sum or product: what is larger is put together from parts
_MAX_EXPONENT = 1 << 20
_MAX_BITS = 512

Factors = dict[int, int]  # exponents by key
Terms = dict[int, Exact]  # coefficients by key; the constant's key is ONE


class Work:
    """How many comparisons of sums and products are left."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, comparisons: int) -> bool:
        """Take from what is left; False where that does not suffice."""
        self.left -= comparisons
        return self.left >= 0


class Value(NamedTuple):
    """A number times what a key names."""

    coef: Exact
    key: int


class Call(NamedTuple):
    """A function; a leaf of the pool where `op` is empty; its argument where `op` is `WHOLE`."""

    op: str
    args: tuple[Value, ...]
    leaf: int = -1


class Network:
    """The products and sums below some nodes; `merges` tells which nodes are flattened into what they occur in."""

    def __init__(self, pool: ExprPool) -> None:
        self.pool = pool
        self.products: dict[int, Factors] = {ONE: {}}
        self.sums: dict[int, Terms] = {}
        self.calls: dict[int, Call] = {}
        self.aliases: dict[int, Value] = {}  # sums that turned out to be products
        self._names: dict[Any, int] = {(): ONE}
        self._next = 1

    # -- keys

    def _named(self, name: Any) -> tuple[int, bool]:
        key = self._names.get(name)
        if key is not None:
            return key, False
        key = self._names[name] = self._next
        self._next += 1
        return key, True

    def new_key(self) -> int:
        """Return a key that names nothing yet."""
        self._next += 1
        return self._next - 1

    def product(self, factors: Mapping[int, int]) -> int:
        """Return the key of a product."""
        items = tuple(sorted([(k, e) for k, e in factors.items() if e]))
        if len(items) == 1 and items[0][1] == 1:
            return items[0][0]
        key, new = self._named(items)
        if new:
            self.products[key] = dict(items)
        return key

    def sum(self, terms: Terms) -> Value:
        """Return a sum, with at least two terms, as a value."""
        first = min(terms)
        sign = 1 if terms[first] > 0 else -1
        items = {k: sign * c for k, c in terms.items()}
        key, new = self._named(("sum", frozenset(items.items())))
        if new:
            self.sums[key] = items
        return Value(sign, key)

    def call(self, op: str, args: tuple[Value, ...] = (), leaf: int = -1) -> int:
        """Return the key of a function of values, or of a leaf."""
        key, new = self._named((op, args, leaf))
        if new:
            self.calls[key] = Call(op, args, leaf)
        return key

    def whole(self, key: int) -> int:
        """Return a key for a product that stays together in others."""
        return self.call(WHOLE, (Value(1, key),)) if key in self.products and key != ONE else key

    def number(self, value: Exact) -> int:
        """Return the key of a number as a factor."""
        return self.call("", (), self.pool._intern(exact_node(value)))

    def factors(self, key: int) -> Factors:
        """Return what a key is the product of: itself, unless it names a product."""
        found = self.products.get(key)
        return {key: 1} if found is None else found

    def resolved(self, value: Value) -> tuple[Exact, Factors]:
        """Return a value as a number and factors none of which is known to be a product."""
        coef, factors = value.coef, dict(self.factors(value.key))
        while any([k in self.aliases for k in factors]):
            for key in [k for k in factors if k in self.aliases]:
                e = factors.pop(key)
                inner = self.aliases[key]
                coef = normal(coef * Fraction(inner.coef) ** e)
                for k, n in self.factors(inner.key).items():
                    factors[k] = factors.get(k, 0) + n * e
        return coef, factors

    def order(self, roots: Iterable[Value]) -> list[int]:
        """Return all keys that values lead to, operands first."""
        done: dict[int, None] = {}
        stack = [k for v in roots for k in self.resolved(v)[1]]
        open_keys: set[int] = set()
        while stack:
            key = stack[-1]
            if key in done:
                stack.pop()
            elif key in open_keys:
                done[key] = None
                stack.pop()
            else:
                open_keys.add(key)
                stack += [k for k in self._operands(key) if k not in done]
        return list(done)

    def _operands(self, key: int) -> Iterable[int]:
        values = [Value(1, k) for k in self.sums[key]] if key in self.sums else self.calls[key].args
        return [k for v in values for k in self.resolved(v)[1]]


class Reader:
    """Reads nodes into a network, children first."""

    def __init__(self, pool: ExprPool, roots: Sequence[int], merges_shared: bool) -> None:
        self.nodes = pool._nodes
        self.net = Network(pool)
        order = reachable(pool, roots)
        uses = Counter(roots)
        for i in order:
            if self.nodes[i][0] not in LEAVES:
                uses.update(self.nodes[i][1:])
        self.whole: set[int] = set() if merges_shared else {i for i in order if uses[i] > 1}
        self.values: dict[int, Value] = {}
        for i in order:
            self.values[i] = self._value(i, self.nodes[i])
        self.roots = [self.values[i] for i in roots]

    def _value(self, ident: int, node: tuple[Any, ...]) -> Value:
        number = exact_of(node)
        if number is not None and _is_short(number):
            return Value(number, ONE)
        if node[0] in LEAVES:
            return Value(1, self.net.call("", (), ident))
        rule = _RULES.get(node[0])
        found = None if rule is None else rule(self, *node[1:])
        if found is None:
            found = Value(1, self.net.call(node[0], tuple([self.values[c] for c in node[1:]])))
        return found

    def _negated(self, a: int) -> Value:
        value = self.values[a]
        return Value(-value.coef, value.key)

    def _product(self, a: int, b: int, sign: int = 1) -> Value | None:
        f, g = self.values[a], self.values[b]
        if g.coef == 0 and sign < 0:
            return None
        coef = f.coef
        if g.coef != 1:
            coef = normal(f.coef * Fraction(g.coef) ** sign)
            if not _is_short(coef):
                return None
        out = dict(self._inside(a, f.key))
        more = self._inside(b, g.key)
        if sign < 0 and any([e < 0 for e in more.values()]):
            more = {self.net.whole(g.key): 1}
        if len(out) + len(more) > _MAX_OPERANDS or any([out.get(k, 0) * e * sign < 0 for k, e in more.items()]):
            out, more = {self.net.whole(f.key): 1}, {self.net.whole(g.key): 1}
            if any([k in out for k in more]) and sign < 0:
                return None
        for k, e in more.items():
            out[k] = out.get(k, 0) + e * sign
        if max([abs(e) for e in out.values()], default=0) > _MAX_EXPONENT:
            return None
        return Value(coef, self.net.product(out))

    def _quotient(self, a: int, b: int) -> Value | None:
        return self._product(a, b, -1)

    def _power(self, a: int, b: int) -> Value | None:
        n = exact_of(self.nodes[b])
        if not isinstance(n, int) or not 0 < abs(n) <= _MAX_EXPONENT:
            return None
        base = self.values[a]
        inner = self._inside(a, base.key)
        if n < 0 and (base.coef == 0 or any([e < 0 for e in inner.values()])):
            return None
        if max([abs(e * n) for e in inner.values()], default=0) > _MAX_EXPONENT:
            return None
        size = base.coef.numerator.bit_length() + base.coef.denominator.bit_length()
        if base.coef not in (0, 1, -1) and size * abs(n) > _MAX_BITS:
            return None
        coef = normal(Fraction(base.coef) ** n)
        return Value(coef, self.net.product({k: e * n for k, e in inner.items()}))

    def _inside(self, ident: int, key: int) -> Factors:
        """Return the factors of a node that are multiplied into the product it occurs in."""
        return {self.net.whole(key): 1} if ident in self.whole and key != ONE else self.net.factors(key)

    def _sum(self, a: int, b: int, sign: int = 1) -> Value | None:
        out: Terms = {}
        f, g = self._terms(a), self._terms(b)
        if len(f) + len(g) > _MAX_OPERANDS:
            f, g = {self.values[a].key: self.values[a].coef}, {self.values[b].key: self.values[b].coef}
        for terms, s in ((f, 1), (g, sign)):
            for k, c in terms.items():
                out[k] = normal(out[k] + s * c) if k in out else s * c
        if 0 in out.values() or len(out) < 2 or not all([_is_short(c) for c in out.values()]):
            return None
        return self.net.sum(out)

    def _difference(self, a: int, b: int) -> Value | None:
        return self._sum(a, b, -1)

    def _terms(self, ident: int) -> Terms:
        value = self.values[ident]
        terms = self.net.sums.get(value.key)
        if terms is None or ident in self.whole or value.coef not in (1, -1):
            return {value.key: value.coef}
        return {k: c * value.coef for k, c in terms.items()}


_RULES: dict[str, Callable[..., Value | None]] = {
    "neg": Reader._negated,
    "mul": Reader._product,
    "div": Reader._quotient,
    "pow": Reader._power,
    "add": Reader._sum,
    "sub": Reader._difference,
}


def _is_short(c: Exact) -> bool:
    return c.numerator.bit_length() + c.denominator.bit_length() <= _MAX_BITS
