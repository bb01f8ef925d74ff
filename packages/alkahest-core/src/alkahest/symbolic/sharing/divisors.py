"""Common divisors of products, so that the number of multiplications, divisions and powers becomes small.

Greedy: of all greatest common divisors of two products, the one that saves most becomes a factor of its own, until none
saves anything (Breuer 1969; Hosangadi, Fallah and Kastner 2006). A product is a count of *literals*: 2*key for a
factor, 2*key + 1 for one that is divided by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

from alkahest.symbolic.sharing.network import Factors, Work

Literals = dict[int, int]
_GROUP = 48  # of so many products the common divisors are looked for
_MAX_CANDIDATES = 400


class Numbers(NamedTuple):
    """The keys of numbers, and that of -1, which costs nothing beside another number."""

    minus: int = -1
    others: frozenset[int] = frozenset()

    def operations(self, m: Literals) -> int:
        """Return how many operations a product takes, its powers left out."""
        below = sum([lit & 1 for lit in m])
        count = below + max(len(m) - below - 1, 0)
        if 2 * self.minus in m and any([lit >> 1 in self.others for lit in m]):
            count -= 1
        return count


def share_divisors(
    products: dict[int, Factors], new_key: Callable[[], int], numbers: Numbers, work: Work
) -> dict[int, Factors]:
    """Return products by key, with common divisors as products of their own, which have new keys.

    >>> from itertools import count
    >>> products = {1: {7: 2, 8: 1, 9: -1}, 2: {7: 2, 8: 1, 9: -2}}
    >>> found = share_divisors(products, count(100).__next__, Numbers(), Work(100))
    >>> found[1], found[2], found[100]
    ({100: 1}, {9: -1, 100: 1}, {7: 2, 8: 1, 9: -1})
    """
    keys = sorted(products, key=lambda k: (sorted(products[k].items()), k))
    out: dict[int, Factors] = {}
    for start in range(0, len(keys), _GROUP):
        some = {k: _literals(products[k]) for k in keys[start : start + _GROUP]}
        group = _Group(some, new_key, numbers.operations, work)
        out |= {k: _factors(m) for k, m in group.run().items()}
    return out


def _literals(factors: Factors) -> Literals:
    return {2 * k + (e < 0): abs(e) for k, e in factors.items()}


def _factors(literals: Literals) -> Factors:
    return {lit >> 1: -e if lit & 1 else e for lit, e in literals.items()}


def _powers(m: Literals) -> list[tuple[int, int]]:
    return [(lit >> 1, e) for lit, e in m.items() if e > 1]


class _Group:
    def __init__(
        self,
        products: dict[int, Literals],
        new_key: Callable[[], int],
        operations: Callable[[Literals], int],
        work: Work,
    ) -> None:
        self.work = work
        self.products = products
        self.operations = operations
        self.new_key = new_key
        self.powers = Counter([p for m in products.values() for p in _powers(m)])

    def run(self) -> dict[int, Literals]:
        while True:
            best, saved = None, 0
            candidates = self._candidates()
            if not self.work.spend(len(self.products) * (len(self.products) + len(candidates))):
                return self.products
            for g in candidates:
                s = self._saved(g)
                if s > saved or (s == saved and best is not None and _preferred(g, best)):
                    best, saved = g, s
            if best is None:
                return self.products
            self._take(best)

    def _candidates(self) -> list[Literals]:
        """Return the common divisors of two products that are more than one factor."""
        found: dict[frozenset[tuple[int, int]], Literals] = {}
        for a, b in combinations(self.products.values(), 2):
            g = {lit: min(e, b[lit]) for lit, e in a.items() if lit in b}
            if len(g) > 1 or any([e > 1 for e in g.values()]):
                found.setdefault(frozenset(g.items()), g)
                if len(found) >= _MAX_CANDIDATES:
                    break
        return list(found.values())

    def _saved(self, g: Literals) -> int:
        """Return how many operations fewer there are with a divisor as a factor of its own."""
        saved = -self.operations(g)
        change: Counter[tuple[int, int]] = Counter(_powers(g))
        for m in self.products.values():
            new = _divided(m, g, -2)
            if new is not None:
                saved += self.operations(m) - self.operations(new)
                change.update(_powers(new))
                change.subtract(_powers(m))
        for p, n in change.items():
            before = self.powers[p]
            saved += (before > 0) - (before + n > 0)
        return saved

    def _take(self, g: Literals) -> None:
        key = self.new_key()
        lit = 2 * key
        for k, m in self.products.items():
            new = _divided(m, g, lit)
            if new is not None:
                self.products[k] = new
        self.products[key] = g
        self.powers = Counter([p for m in self.products.values() for p in _powers(m)])


def _preferred(g: Literals, other: Literals) -> bool:
    """Tell which of two divisors that save the same is taken: the larger one, and the same one every time."""
    return (sum(g.values()), sorted(g.items())) > (sum(other.values()), sorted(other.items()))


def _divided(m: Literals, g: Literals, lit: int) -> Literals | None:
    """Return a product with a divisor replaced by a literal, as often as it divides it; None where it does not.

    What is divided by a*b is divided by the literal. A quotient is not turned round: its value may be zero.
    """
    times = _times(m, g)
    if times:
        new = {k: rest for k, e in m.items() if (rest := e - times * g.get(k, 0))}
        new[lit] = times
        return new
    if any([k & 1 for k in g]):
        return None
    turned = {k + 1: e for k, e in g.items()}
    times = _times(m, turned)
    if not times:
        return None
    new = {k: rest for k, e in m.items() if (rest := e - times * turned.get(k, 0))}
    new[lit + 1] = times
    return new


def _times(m: Literals, g: Literals) -> int:
    """Return how often a product can be divided."""
    times = 1 << 30
    for lit, e in g.items():
        have = m.get(lit, 0)
        if have < e:
            return 0
        times = min(times, have // e)
    return times
