"""Fingerprints: the value of every node at one random point of a finite field, in one linear pass.

Nodes that are equal as rational functions of their atoms have equal fingerprints; different ones have equal
fingerprints with a probability of about degree/2^61 (Schwartz 1980, Zippel 1979). So a fingerprint finds what may be
equal, and `proven_equal` tells exactly.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.exact import exact_of
from alkahest.symbolic.forms import Undefined

if TYPE_CHECKING:
    from alkahest.symbolic.rational.flint_ring import Budget

PRIME = (1 << 61) - 1
# An atom's value is the 12th power of a random number, so that its square and cube roots have values that fit.
_ROOTS = 12


def fingerprints(pool: ExprPool, roots: Iterable[int]) -> dict[int, int]:
    """Return the fingerprints of all nodes below some nodes, themselves included; the same in every pool.

    >>> pool = ExprPool()
    >>> x, y = pool.symbols("x y")
    >>> a, b, c = (x + y) ** 2, x**2 + 2 * x * y + y**2, x + y**2
    >>> found = fingerprints(pool, [a.id, b.id, c.id])
    >>> found[a.id] == found[b.id], found[a.id] == found[c.id]
    (True, False)
    """
    return _Fingerprints(pool).run(roots)


def proven_equal(pool: ExprPool, a: int, b: int, budget: Budget) -> bool:
    """Tell whether two nodes are the same quotient of polynomials, functions being variables; False if in doubt."""
    from alkahest.symbolic.rational.flint_ring import TooLarge
    from alkahest.symbolic.rational.regions import Region

    try:
        region = Region(pool, [a, b], budget)
        return not len(region.field.add(region.values[a], region.values[b], -1).num)
    except (TooLarge, Undefined):
        return False


class _Fingerprints:
    def __init__(self, pool: ExprPool) -> None:
        self.pool = pool
        self.nodes = pool._nodes
        self.values: dict[int, int] = {}
        self.roots: dict[int, int] = {}  # the 12th root of an atom's value

    def run(self, roots: Iterable[int]) -> dict[int, int]:
        values = self.values
        for i in reachable(self.pool, roots):
            values[i] = self._value(i, self.nodes[i])
        return values

    def _value(self, ident: int, node: tuple[Any, ...]) -> int:
        values = self.values
        op = node[0]
        if op == "mul":
            return values[node[1]] * values[node[2]] % PRIME
        if op == "add":
            return (values[node[1]] + values[node[2]]) % PRIME
        if op == "sub":
            return (values[node[1]] - values[node[2]]) % PRIME
        if op == "neg":
            return -values[node[1]] % PRIME
        if op in LEAVES:
            return self._leaf(ident, node)
        if op == "div":
            below = values[node[2]]
            return values[node[1]] * pow(below, -1, PRIME) % PRIME if below else self._atom(ident, op, node)
        if op in ("pow", "sqrt", "cbrt"):
            return self._power(ident, node)
        return self._atom(ident, op, node)

    def _leaf(self, ident: int, node: tuple[Any, ...]) -> int:
        op = node[0]
        if op == "integer":
            return node[1] % PRIME
        if op == "rational" and node[2] % PRIME:
            return node[1] * pow(node[2], -1, PRIME) % PRIME
        if op == "float" and node[1] < 0:
            return -pow(_random(repr(("float", -node[1], 1.0))), _ROOTS, PRIME) % PRIME
        root = self.roots[ident] = _random(repr(node))
        return pow(root, _ROOTS, PRIME)

    def _atom(self, ident: int, op: str, node: tuple[Any, ...]) -> int:
        """Return the value of a function: a random number for each set of values of its arguments."""
        root = self.roots[ident] = _random(f"{op} {[self.values[c] for c in node[1:]]}")
        return pow(root, _ROOTS, PRIME)

    def _power(self, ident: int, node: tuple[Any, ...]) -> int:
        op, base = node[0], node[1]
        exponent = exact_of(self.nodes[node[2]]) if op == "pow" else None
        above, below = (1, 2 if op == "sqrt" else 3) if op != "pow" else (0, 0)
        if exponent is not None:
            above, below = exponent.numerator, exponent.denominator
        value = self.values[base]
        if below == 1 and (value or above > 0):
            return pow(value, above, PRIME)
        if below and _ROOTS % below == 0 and base in self.roots:
            return pow(self.roots[base], above * (_ROOTS // below), PRIME)
        return self._atom(ident, f"{op} {above}/{below}", node)


@lru_cache(maxsize=65536)
def _random(name: str) -> int:
    """Return a number that a name has in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=16).digest()) % (PRIME - 2) + 2
