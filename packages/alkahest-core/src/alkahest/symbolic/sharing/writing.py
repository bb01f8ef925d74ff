"""From a network back to nodes: signs placed where they cost least, common parts found, everything written once."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Iterable, Sequence

from alkahest.symbolic.exact import Exact, exact_node, exact_of
from alkahest.symbolic.sharing.divisors import Numbers, share_divisors
from alkahest.symbolic.sharing.network import ONE, WHOLE, Factors, Network, Terms, Value, Work
from alkahest.symbolic.sharing.subsums import share_parts

_SignedKey = tuple[bool, int]  # whether it is subtracted, and the key


class Writer:
    """Writes the values of a network as nodes of its pool."""

    def __init__(self, net: Network, roots: Sequence[Value], work: Work) -> None:
        self.work = work
        self.net = net
        self.roots = roots
        self.minus: set[int] = set()  # sums that are written as minus themselves
        self.products: dict[int, Factors] = {}
        self.sums: dict[int, list[_SignedKey]] = {}
        self.args: dict[int, list[int]] = {}
        self.written: dict[int, int] = {}

    def run(self) -> list[int]:
        """Return the nodes of the roots."""
        net = self.net
        used = [k for k in net.order(self.roots) if k in net.sums]
        net.sums |= share_parts({k: net.sums[k] for k in used}, net.new_key, self.work)
        for key in [k for k, terms in net.sums.items() if len(terms) == 1]:
            [(part, c)] = net.sums.pop(key).items()
            net.aliases[key] = Value(c, part)
        order = net.order(self.roots)
        self._choose_signs(order)
        placed = [self._placed(v) for v in self.roots]
        self._place_all(placed)
        numbers = [k for k, call in net.calls.items() if not call.op and self._number(k) is not None]
        minus = net.number(-1)
        self.products = share_divisors(
            self.products, net.new_key, Numbers(minus, frozenset(numbers) - {minus}), self.work
        )
        return [self._write(k) for k in placed]

    # -- signs

    def _choose_signs(self, order: list[int]) -> None:
        """Turn round the sums that more products hold with a minus sign than without: (a - b)*x for -(b - a)*x."""
        net = self.net
        values = [*self.roots, *[v for k in order if k in net.calls for v in net.calls[k].args]]
        uses: dict[int, list[tuple[Exact, Factors]]] = {}
        for coef, factors in [net.resolved(v) for v in values]:
            if coef in (1, -1) and any([e > 0 for e in factors.values()]):
                for k, e in factors.items():
                    if e % 2 and k in net.sums:
                        uses.setdefault(k, []).append((coef, factors))
        for key in order:
            if key not in net.sums:
                continue
            negative = [self._signed(Value(c, k))[0] < 0 for k, c in net.sums[key].items()]
            gain = -sum([c * self._sign(factors) for c, factors in uses.get(key, ())])
            if all(negative) or (any(negative) and gain > 0):
                self.minus.add(key)

    def _sign(self, factors: Factors) -> int:
        return -1 if sum([e for k, e in factors.items() if k in self.minus]) % 2 else 1

    def _signed(self, value: Value) -> tuple[Exact, Factors]:
        """Return a value as a number and factors, as the sums are written."""
        coef, factors = self.net.resolved(value)
        return coef * self._sign(factors), factors

    # -- numbers become factors

    def _placed(self, value: Value) -> int:
        """Return the key of a value with its number as a factor, or as a divisor where that is exact."""
        coef, factors = self._signed(value)
        if not factors:
            return self.net.number(coef)
        if coef != 1:
            q = coef.denominator
            divides = abs(coef.numerator) == 1 and q & (q - 1) and any([e > 0 for e in factors.values()])
            if coef < 0:
                factors[self.net.number(-1)] = 1
            if coef != -1:
                factors[self.net.number(q if divides else abs(coef))] = -1 if divides else 1
        return self.net.product(factors)

    def _place_all(self, keys: Iterable[int]) -> None:
        """Fill the tables of products, sums and functions below some keys."""
        net = self.net
        stack = list(keys)
        seen: set[int] = set()
        while stack:
            key = stack.pop()
            if key in seen:
                continue
            seen.add(key)
            if key in net.products:
                self.products[key] = net.products[key]
                stack += net.products[key]
            elif key in net.sums:
                self.sums[key] = self._placed_terms(key, net.sums[key])
                stack += [k for _, k in self.sums[key]]
            else:
                self.args[key] = [self._placed(v) for v in net.calls[key].args]
                stack += self.args[key]

    def _placed_terms(self, key: int, terms: Terms) -> list[_SignedKey]:
        found: list[_SignedKey] = []
        for k in sorted(terms, key=lambda k: (k == ONE, k)):
            value = Value(terms[k], k)
            negative = (self._signed(value)[0] < 0) != (key in self.minus)
            size = -1 if self._signed(value)[0] < 0 else 1
            found.append((negative, self._placed(Value(size * terms[k], k))))
        return found

    # -- nodes

    def _write(self, root: int) -> int:
        written = self.written
        stack = [root]
        while stack:
            key = stack[-1]
            missing = [] if key in written else [k for k in self._parts(key) if k not in written]
            if missing:
                stack += missing
                continue
            if key not in written:
                written[key] = self._node(key)
            stack.pop()
        return written[root]

    def _parts(self, key: int) -> Iterable[int]:
        if key in self.products:
            return self.products[key]
        if key in self.sums:
            return [k for _, k in self.sums[key]]
        return self.args[key]

    def _node(self, key: int) -> int:
        if key in self.products:
            return self._product(self.products[key])
        if key in self.sums:
            return self._sum(self.sums[key])
        call = self.net.calls[key]
        if not call.op:
            return call.leaf
        if call.op == WHOLE:
            return self.written[self.args[key][0]]
        return self.net.pool._intern((call.op, *[self.written[k] for k in self.args[key]]))

    def _sum(self, terms: list[_SignedKey]) -> int:
        intern = self.net.pool._intern
        first = next((n for n, (negative, _) in enumerate(terms) if not negative), 0)
        negative, key = terms[first]
        total = intern(("neg", self.written[key])) if negative else self.written[key]
        for n, (negative, key) in enumerate(terms):
            if n != first:
                total = intern(("sub" if negative else "add", total, self.written[key]))
        return total

    def _number(self, key: int) -> Exact | None:
        """Return the number that a key is, if it is one."""
        call = self.net.calls.get(key)
        return None if call is None or call.op else exact_of(self.net.pool._nodes[call.leaf])

    def _product(self, factors: Factors) -> int:
        intern = self.net.pool._intern
        numbers = {k: n for k in factors if (n := self._number(k)) is not None}
        minus = self.net.number(-1)
        turned = next((k for k in numbers if k != minus), None) if minus in factors else None
        above: list[int] = []
        below: list[int] = []
        for key, e in sorted(factors.items(), key=lambda f: (f[0] not in numbers, f[0])):
            if key == turned:
                (above if e > 0 else below).append(intern(exact_node(-numbers[key])))
            elif key != minus or turned is None:
                (above if e > 0 else below).append(self._power(key, abs(e)))
        if len(above) > 1 and turned is None and minus in factors:
            above = [intern(("neg", above[1])), *above[2:]]
        top = self._chain(above) if above else intern(("integer", 1))
        return intern(("div", top, self._chain(below))) if below else top

    def _chain(self, idents: list[int]) -> int:
        total = idents[0]
        for i in idents[1:]:
            total = self.net.pool._intern(("mul", total, i))
        return total

    def _power(self, key: int, e: int) -> int:
        intern = self.net.pool._intern
        return self.written[key] if e == 1 else intern(("pow", self.written[key], intern(("integer", e))))
