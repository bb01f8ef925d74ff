"""Looking for an identity's left side in flat sums and products: without the e-graph, by hashing.

Only left sides whose terms and factors are functions can be looked for this way (`sin(a)^2 + cos(a)^2`,
`exp(a)*exp(b)`, `log(exp(a))`); the others wait for the e-graph.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.egraph.encoding import Direction, conditions_of, widens
from alkahest.symbolic.egraph.views import PRODUCTS, SUMS, Factors, SumView, Views, times, without
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.fact import Fact

Binding = dict[int, int]  # symbol of the identity -> node of the expression
# Sums and products of more operands are looked through for one term at a time only.
_MANY = 64
# Comparisons are looked for in one direction.
FLIPPED: dict[str, str] = {"gt": "lt", "ge": "le"}
_COMMUTATIVE = frozenset({"min", "max", "hypot"})
_DOMAINS: Mapping[str, Callable[[Fact], bool]] = {
    "positive": lambda f: f.positive,
    "nonnegative": lambda f: f.nonnegative,
    "nonzero": lambda f: f.not_zero,
    "integer": lambda f: f.integer,
}
_CONDITIONS: Mapping[str, Callable[[Fact], bool]] = {
    "pos": lambda f: f.positive,
    "nonneg": lambda f: f.nonnegative,
    "nz": lambda f: f.not_zero,
}


class Match(NamedTuple):
    """What was found may be written as another node."""

    identity: str
    used: SumView  # of a sum: the terms that were found
    after: int


class Expression:
    """The expression that is looked through."""

    def __init__(self, views: Views, knowledge: Knowledge) -> None:
        self.views = views
        self.pool = views.pool
        self.nodes = views.nodes
        self.knowledge = knowledge

    def affine(self, ident: int, factor: Fraction, terms: SumView) -> int:
        """Return (node - terms) * factor."""
        left = dict(self.views.sum(ident))
        for factors, coef in terms.items():
            left[factors] = left.get(factors, Fraction(0)) - coef
        return self.views.built_sum({f: c * factor for f, c in left.items() if c}, [])


class Pattern:
    """One direction of an identity, ready to be looked for."""

    def __init__(self, way: Direction) -> None:
        self.identity = way.identity
        self.pool = way.left.pool
        self.nodes = self.pool._nodes
        self.left, self.right = way.left.id, way.right.id
        self.views = Views(self.pool)
        self.widens = widens(way.identity)
        self.symbols = {s.id: s.domain for s in way.identity.symbols}
        self.conditions = conditions_of(way.identity)
        self.head, self.kind = self._kind()
        ops = {_normal(self.nodes[i])[0] for i in reachable(self.pool, [self.left])}
        self.needs = frozenset(ops - LEAVES - SUMS - PRODUCTS)  # what an expression must have for it

    def _kind(self) -> tuple[str, str]:
        """Return an op that must be there, and "function", "product", "sum", or "" where it cannot be looked for."""
        op = self.nodes[self.left][0]
        if op in SUMS:
            terms = [factors for factors in self.views.sum(self.left)]
            heads = [self._head(factors) for factors in terms if factors]
            fits = len(terms) > 1 and all(heads) and all([self._is_plain(f) for f in terms])
            return (heads[0], "sum") if fits else ("", "")
        if op in PRODUCTS and op != "neg":
            factors = self.views.product(self.left)[1]
            head = self._head(factors)
            return (head, "product") if head and self._is_plain(factors) else ("", "")
        return (FLIPPED.get(op, op), "function") if self._is_function(self.left) else ("", "")

    def _head(self, factors: Factors) -> str:
        """Return the op of the first function among factors."""
        ops = [self.nodes[base][0] for base, _ in factors]
        return next((op for op in ops if op not in LEAVES), "")

    def _is_plain(self, factors: Factors) -> bool:
        """Tell whether all factors are functions, or symbols which these bind."""
        functions = [base for base, _ in factors if self.nodes[base][0] not in LEAVES]
        bound = {i for i in reachable(self.pool, functions) if i in self.symbols}
        return all([self._is_function(base) for base in functions]) and all(
            [base in bound for base, _ in factors if self.nodes[base][0] in LEAVES]
        )

    def _is_function(self, i: int) -> bool:
        node = self.nodes[i]
        if node[0] in LEAVES or node[0] in SUMS or node[0] in PRODUCTS:
            return False
        return all([self._is_argument(c) for c in node[1:]])

    def _is_argument(self, i: int) -> bool:
        node = self.nodes[i]
        if node[0] in LEAVES:
            return True
        if node[0] in SUMS or node[0] in PRODUCTS:
            return self._affine(i) is not None
        return self._is_function(i)

    def _affine(self, i: int) -> tuple[int, Fraction, SumView] | None:
        """Return symbol, factor and rest where a node is factor*symbol + rest and the rest has no symbol."""
        found: tuple[int, Fraction] | None = None
        rest: SumView = {}
        for factors, coef in self.views.sum(i).items():
            if len(factors) == 1 and factors[0][0] in self.symbols and factors[0][1] == 1 and found is None:
                found = (factors[0][0], coef)
            elif all([self.nodes[base][0] == "const" for base, _ in factors]):
                rest[factors] = coef
            else:
                return None
        return None if found is None else (*found, rest)

    # -- matching

    def match(self, e: Expression, i: int) -> Match | None:
        """Return how a function or product may be written by this identity."""
        if self.kind == "function":
            for binding in self._function(e, self.left, i, {}):
                if self._holds(e, binding):
                    return Match(self.identity.name, {}, self._instance(e, self.right, binding))
            return None
        coef, factors = e.views.product(i)
        wanted, parts = self.views.product(self.left)
        for binding, taken in self._taken(e, parts, factors, {}):
            left = without(factors, taken)
            if left is not None and self._holds(e, binding):
                return Match(self.identity.name, {}, self._times(e, coef / wanted, left, binding))
        return None

    def in_sum(self, e: Expression, terms: SumView) -> Iterator[Match]:
        """Yield how some terms of a sum may be written by this identity; who takes a match removes its terms.

        Each term is tried once as the first: what fails among more terms fails among fewer.
        """
        parts = sorted(self.views.sum(self.left).items(), key=lambda part: (not part[0], part[0]))
        for factors in list(terms):
            found = self._from_term(e, terms, factors, parts) if factors in terms else None
            if found is not None:
                yield found

    def _from_term(
        self, e: Expression, terms: SumView, factors: Factors, parts: list[tuple[Factors, Fraction]]
    ) -> Match | None:
        (first, wanted), *others = parts
        coef = terms[factors]
        for binding, taken in self._taken(e, first, factors, {}):
            beside = without(factors, taken)
            if beside is None:
                continue
            scale = coef / wanted
            for bound, used in self._others(e, terms, others, beside, scale, binding, {factors: coef}):
                if self._holds(e, bound):
                    return Match(self.identity.name, used, self._times(e, scale, beside, bound))
        return None

    def _times(self, e: Expression, coef: Fraction, factors: Factors, binding: Binding) -> int:
        """Return coef * factors * right side."""
        right = self._instance(e, self.right, binding)
        return e.views.make("mul", e.views.built_product(coef, factors), right) if factors or coef != 1 else right

    def _function(self, e: Expression, p: int, i: int, binding: Binding) -> Iterator[Binding]:
        (op, *left), (op_there, *there) = _normal(self.nodes[p]), _normal(e.nodes[i])
        if op != op_there or e.nodes[i][0] in LEAVES:
            return
        orders = [there, there[::-1]] if op in _COMMUTATIVE and there[0] != there[1] else [there]
        for order in orders:
            found = [dict(binding)]
            for part, ident in zip(left, order, strict=True):
                found = [new for old in found for new in self._argument(e, part, ident, old)]
            yield from found

    def _argument(self, e: Expression, p: int, i: int, binding: Binding) -> Iterator[Binding]:
        node = self.nodes[p]
        if p in self.symbols:
            if binding.setdefault(p, i) == i:
                yield binding
        elif node[0] in LEAVES:
            if node == e.nodes[i]:
                yield binding
        elif node[0] in SUMS or node[0] in PRODUCTS:
            yield from self._affine_argument(e, p, i, binding)
        else:
            yield from self._function(e, p, i, binding)

    def _affine_argument(self, e: Expression, p: int, i: int, binding: Binding) -> Iterator[Binding]:
        found = self._affine(p)
        if found is None:
            return
        symbol, factor, rest = found
        there = {self._constants(e, factors): coef for factors, coef in rest.items()}
        view = e.views.sum(i)
        if any([f is None or view.get(f) != coef for f, coef in there.items()]):
            return
        known = {f: c for f, c in there.items() if f is not None}
        bound = binding.get(symbol)
        if bound is None:
            if not known and factor == -1 and not _is_negative(view):
                return  # a and -a are told apart by whichever is bound first
            yield {**binding, symbol: e.affine(i, 1 / factor, known)}
        else:
            expected = {f: c * factor for f, c in e.views.sum(bound).items()}
            for f, c in known.items():
                expected[f] = expected.get(f, Fraction(0)) + c
            if expected == view:
                yield binding

    def _constants(self, e: Expression, factors: Factors) -> Factors | None:
        """Return factors that are constants of the identity's pool as those of the expression's."""
        found: list[tuple[int, Fraction]] = []
        for base, q in factors:
            there = e.pool._index.get(self.nodes[base])
            if there is None:
                return None
            found.append((there, q))
        return tuple(sorted(found))

    def _taken(
        self, e: Expression, parts: Factors, there: Factors, binding: Binding
    ) -> Iterator[tuple[Binding, Factors]]:
        """Yield what factors of the pattern may stand for, among some factors: functions first, then symbols."""
        order = sorted(parts, key=lambda part: self.nodes[part[0]][0] in LEAVES)
        found: list[tuple[Binding, Factors]] = [(binding, ())]
        for base, q in order:
            found = [new for b, taken in found for new in self._factor(e, base, q, there, b, taken)][:_MANY]
        yield from found

    def _factor(
        self, e: Expression, base: int, q: Fraction, there: Factors, binding: Binding, taken: Factors
    ) -> Iterator[tuple[Binding, Factors]]:
        if base in self.symbols:
            yield binding, times(taken, ((binding[base], q),))
            return
        op = _normal(self.nodes[base])[0]
        for ident, have in there if len(there) <= _MANY else ():
            if e.nodes[ident][0] != op or have * q < 0 or abs(have) < abs(q) or (ident, q) in taken:
                continue
            for new in self._function(e, base, ident, dict(binding)):
                yield new, times(taken, ((ident, q),))

    def _others(
        self,
        e: Expression,
        terms: SumView,
        parts: list[tuple[Factors, Fraction]],
        beside: Factors,
        scale: Fraction,
        binding: Binding,
        used: SumView,
    ) -> Iterator[tuple[Binding, SumView]]:
        """Yield how the other terms of a pattern are found, all with the same factor beside."""
        found = [(binding, used)]
        for factors, wanted in parts:
            found = [new for b, u in found for new in self._term(e, terms, factors, beside, wanted * scale, b, u)][
                :_MANY
            ]
        yield from found

    def _term(
        self,
        e: Expression,
        terms: SumView,
        parts: Factors,
        beside: Factors,
        coef: Fraction,
        binding: Binding,
        used: SumView,
    ) -> Iterator[tuple[Binding, SumView]]:
        known = self._known(e, parts, binding)
        if known is not None:
            key = times(beside, known)
            if terms.get(key) == coef and key not in used:
                yield binding, {**used, key: coef}
            return
        for factors, have in terms.items() if len(terms) <= _MANY else ():
            if have != coef or factors in used:
                continue
            for new, taken in self._taken(e, parts, factors, dict(binding)):
                if without(factors, taken) == beside:
                    yield new, {**used, factors: have}

    def _known(self, e: Expression, parts: Factors, binding: Binding) -> Factors | None:
        """Return factors whose symbols are bound to themselves, as those of the expression; None if they are not."""
        found: Factors = ()
        for base, q in parts:
            node = self.nodes[base]
            if base in binding:
                found = times(found, ((binding[base], q),))
                continue
            args = [binding.get(c) for c in node[1:]] if node[0] not in LEAVES else [None]
            there = None if None in args else e.pool._index.get((node[0], *args))
            if there is None:
                return None
            found = times(found, ((there, q),))
        return found

    # -- conditions and the right side

    def _holds(self, e: Expression, binding: Binding) -> bool:
        for symbol, domain in self.symbols.items():
            check = _DOMAINS.get(domain or "")
            if symbol not in binding or (check is not None and not check(e.knowledge.fact(binding[symbol]))):
                return False
        for relation, difference in self.conditions:
            there = self._instance(e, difference.id, binding)
            if not _CONDITIONS[relation](e.knowledge.fact(there)):
                return False
        return True

    def _instance(self, e: Expression, root: int, binding: Binding) -> int:
        """Return an expression of the identity with nodes of the other pool for its symbols."""
        made: dict[int, int] = {}
        for i in reachable(self.pool, [root]):
            node = self.nodes[i]
            if i in binding:
                made[i] = binding[i]
            elif node[0] in LEAVES:
                made[i] = e.pool._intern(node)
            else:
                made[i] = e.views.make(node[0], *[made[c] for c in node[1:]])
        return made[root]


def _normal(node: tuple[Any, ...]) -> tuple[Any, ...]:
    op = node[0]
    return (FLIPPED[op], node[2], node[1]) if op in FLIPPED else node


def _is_negative(view: SumView) -> bool:
    return all([coef < 0 for coef in view.values()])
