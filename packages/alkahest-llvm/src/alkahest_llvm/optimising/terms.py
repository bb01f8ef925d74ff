"""Sums taken apart: which terms a run of sums and differences adds up, and what each term is a product of."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from alkahest_llvm.optimising.draft import Draft

LARGEST_EXPONENT = 64  # of the powers that the rule of "pow" computes by products
SUMS = ("add", "sub", "neg")
_PRODUCTS = ("mul", "div")
_ARITHMETIC = frozenset((*SUMS, *_PRODUCTS))

Leaf: TypeAlias = tuple[int, int, int, bool]  # what is known of a term before it is taken apart: its first four fields


class Term:
    """One term of a sum: `number` times the slots of `powers`, each to its exponent; subtracted where `minus`.

    It is argument `index` of the instruction of slot `reader`. `own` are the products, quotients and negations that
    nothing else reads, `read` the powers it reads, which others may read too. `parted` holds the slots whose power is
    not computed by itself: x in (3 x) x.
    """

    __slots__ = ("index", "minus", "number", "own", "parted", "powers", "read", "reader", "slot")

    def __init__(self, slot: int, reader: int, index: int, minus: bool) -> None:
        self.slot, self.reader, self.index, self.minus = slot, reader, index, minus
        self.number = 1.0
        self.powers: dict[int, int] = {}
        self.own: list[int] = []
        self.read: list[int] = []
        self.parted: frozenset[int] = frozenset()

    @classmethod
    def whole(cls, leaf: Leaf) -> Term:
        """Return a term that is not taken apart."""
        term = cls(*leaf)
        term.powers[term.slot] = 1
        return term

    def multiply(self, x: int, k: int) -> None:
        """Multiply by x^k, written beside the other factors."""
        if x in self.powers:
            self.parted |= {x}
        self.powers[x] = self.powers.get(x, 0) + k


class Monomials:
    """Which slots of a draft are powers of others, and the sums that have a power, or a product with one, in a term.

    `power[slot]` is (x, k) where the slot holds x^k and k is at least 2. `sums` are whole runs: no sum of the tape has
    one as its term.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.power: dict[int, tuple[int, int]] = {}
        op, args = draft.op, draft.args
        self._sums: list[int] = []  # whole runs and parts of them
        self._powered = powered = [False] * len(op)  # powers, and products and sums with one inside, read once
        self._added = [False] * len(op)  # terms of a sum
        for slot in draft.order():
            name = op[slot]
            if name == "mul":
                a, b = args[slot]
                if a == b or powered[a] or powered[b] or self._repeats(a, b):
                    self._multiply(slot, a, b)
            elif name in ("add", "sub"):
                a, b = args[slot]
                if powered[a] or powered[b]:
                    self._add(slot, a, b)
            elif name in _OTHERS:
                _OTHERS[name](self, slot, *args[slot])
        self.sums = [slot for slot in self._sums if not (powered[slot] and self._added[slot])]

    def _add(self, slot: int, a: int, b: int) -> None:
        self._sums.append(slot)
        self._powered[slot] = self.draft.uses[slot] == 1
        self._added[a] = self._added[b] = True

    def _negate(self, slot: int, a: int) -> None:
        if self._powered[a]:
            self._add(slot, a, a)

    def _raise(self, slot: int, x: int, exponent: int) -> None:
        n = self.draft.numbers.get(exponent, 0.0)
        base, k = self.power.get(x, (x, 1))
        if 2.0 <= n <= LARGEST_EXPONENT // k and n == int(n):
            self.power[slot] = base, k * int(n)
            self._powered[slot] = True

    def _multiply(self, slot: int, a: int, b: int) -> None:
        (x, j), (y, k) = self.power.get(a, (a, 1)), self.power.get(b, (b, 1))
        if x == y and j + k <= LARGEST_EXPONENT:
            self.power[slot] = x, j + k
            self._powered[slot] = True
        else:
            self._powered[slot] = self.draft.uses[slot] == 1

    def _divide(self, slot: int, a: int, b: int) -> None:
        self._powered[slot] = self._powered[a] and b in self.draft.numbers and self.draft.uses[slot] == 1

    def has_two_powers(self, total: int) -> bool:
        """Return whether a slot may occur in a sum with two exponents, at little cost."""
        op, args, uses, power = self.draft.op, self.draft.args, self.draft.uses, self.power
        exponents: dict[int, int] = {}
        work = [total]
        while work:
            slot = work.pop()
            if slot in power:
                x, k = power[slot]
                if exponents.setdefault(x, k) != k:
                    return True
            elif op[slot] in _ARITHMETIC and (uses[slot] == 1 or slot == total):
                if op[slot] == "mul" and self._repeats(*args[slot]):
                    return True
                work += args[slot]
            elif exponents.setdefault(slot, 1) != 1:
                return True
        return False

    def _repeats(self, a: int, b: int) -> bool:
        op, args = self.draft.op, self.draft.args
        return (op[a] == "mul" and b in args[a]) or (op[b] == "mul" and a in args[b])

    def take_apart(self, total: int) -> tuple[list[int], list[Leaf]]:
        """Return the sums that make up a run, and its terms from left to right."""
        op, args, uses = self.draft.op, self.draft.args, self.draft.uses
        inner: list[int] = []
        leaves: list[Leaf] = []
        work: list[Leaf] = [(total, total, 0, False)]
        while work:
            slot, reader, index, minus = work.pop()
            while op[slot] in SUMS and (uses[slot] == 1 or slot == total):
                inner.append(slot)
                reader, index = slot, 0
                if op[slot] == "neg":
                    minus = not minus
                else:
                    second = args[slot][1]
                    work.append((second, slot, 1, minus if op[slot] == "add" else not minus))
                slot = args[slot][0]
            leaves.append((slot, reader, index, minus))
        return inner, leaves

    def most_saved(self, leaves: list[Leaf]) -> int:
        """Return how many instructions nesting leaves saves at most: what they consist of that nothing else reads."""
        draft, power = self.draft, self.power
        found = 0
        work = [leaf[0] for leaf in leaves if draft.uses[leaf[0]] == 1]
        while work:
            s = work.pop()
            if s in power:
                k = power[s][1]
                found += k - 1 if k < 5 else LARGEST_EXPONENT  # those take many more
            elif draft.op[s] in ("mul", "div", "neg") and draft.uses[s] == 1:
                found += 1
                work += draft.args[s]
        return found

    def products(self, leaves: list[Leaf]) -> dict[int, Term]:
        """Return the terms, by position, that may be more than their own slot: powers, and products read once."""
        op, uses, power = self.draft.op, self.draft.uses, self.power
        return {
            at: self.term(leaf)
            for at, leaf in enumerate(leaves)
            if leaf[0] in power or (uses[leaf[0]] == 1 and op[leaf[0]] in _PRODUCTS)
        }

    def term(self, leaf: Leaf) -> Term:
        """Return a leaf of a sum as a product, as far as it is one."""
        draft, power = self.draft, self.power
        ops, numbers, uses = draft.op, draft.numbers, draft.uses
        term = Term(*leaf)
        factors: list[tuple[float, int]] = []
        work = [term.slot]
        while work:
            s = work.pop()
            if s in numbers:
                factors.append((numbers[s], 1))
            elif s in power:
                term.read.append(s)
                term.multiply(*power[s])
            elif ops[s] in ("mul", "neg") and uses[s] == 1:
                term.own.append(s)
                term.minus = term.minus != (ops[s] == "neg")
                work += draft.args[s][::-1]
            elif ops[s] == "div" and draft.args[s][1] in numbers and uses[s] == 1:
                a, b = draft.args[s]
                term.own.append(s)
                factors.append((numbers[b], -1))
                work.append(a)
            else:
                term.multiply(s, 1)
        number = _product(factors)
        if number is None:
            return Term.whole(leaf)
        term.number = number
        if abs(number) == 1.0 and len(term.powers) == 1:
            term.parted = frozenset()
        return term


_OTHERS: dict[str, Callable[..., None]] = {
    "neg": Monomials._negate,
    "pow": Monomials._raise,
    "div": Monomials._divide,
}


def _product(factors: list[tuple[float, int]]) -> float | None:
    """Return the product of constants to the power 1 or -1, rounded once; None where it is zero or no finite number."""
    if not factors:
        return 1.0
    for c, _ in factors:
        if not c or not math.isfinite(c):
            return None
    if len(factors) == 1 and factors[0][1] == 1:
        return factors[0][0]
    exact = Fraction(1)
    for c, exponent in factors:
        exact *= Fraction(c) ** exponent
    try:
        return float(exact) or None
    except OverflowError:
        return None
