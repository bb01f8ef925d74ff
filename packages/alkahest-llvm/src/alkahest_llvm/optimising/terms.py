"""Sums taken apart: which terms a run of sums and differences adds up, and what each term is a product of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from alkahest_llvm.optimising.draft import Draft

LARGEST_EXPONENT = 64  # of the powers that the rule of "pow" computes by products
SUMS = ("add", "sub", "neg")
_ARITHMETIC = frozenset((*SUMS, "mul", "div"))


@dataclass(eq=False)
class Term:
    """One term of a sum: `number` times the slots of `powers`, each to its exponent; subtracted where `minus`.

    It is argument `index` of the instruction of slot `reader`. `own` are the products, quotients and negations that
    nothing else reads, `read` the powers it reads, which others may read too. `parted` holds the slots whose power is
    not computed by itself: x in (3 x) x.
    """

    slot: int
    reader: int
    index: int
    minus: bool
    number: float = 1.0
    powers: dict[int, int] = field(default_factory=dict[int, int])
    own: list[int] = field(default_factory=list[int])
    read: list[int] = field(default_factory=list[int])
    parted: set[int] = field(default_factory=set[int])


class Monomials:
    """Which slots of a draft are powers of others, and the sums that have a power, or a product with one, in a term.

    `power[slot]` is (x, k) where the slot holds x^k and k is at least 2. `sums` are whole runs: no sum of the tape has
    one as its term.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.power: dict[int, tuple[int, int]] = {}
        self.sums: dict[int, None] = {}
        self._powered: set[int] = set()  # powers, and products and sums with one inside that nothing else reads
        code, numbers, powered = draft.code, draft.numbers, self._powered
        for slot in draft.order():
            op, args, _ = code[slot]
            if op == "mul":
                if args[0] == args[1] or not powered.isdisjoint(args) or self._repeats(*args):
                    self._multiply(slot, *args)
            elif op in SUMS:
                if not powered.isdisjoint(args):
                    self._add(slot, args)
            elif op == "pow":
                self._raise(slot, args[0], numbers.get(args[1], 0.0))
            elif op == "div" and args[0] in powered and args[1] in numbers and draft.uses[slot] == 1:
                powered.add(slot)

    def _add(self, slot: int, args: tuple[int, ...]) -> None:
        self.sums[slot] = None
        if self.draft.uses[slot] == 1:
            self._powered.add(slot)
        for a in args:
            if a in self._powered:
                self.sums.pop(a, None)

    def _raise(self, slot: int, x: int, n: float) -> None:
        base, k = self.power.get(x, (x, 1))
        if 2.0 <= n <= LARGEST_EXPONENT // k and n == int(n):
            self.power[slot] = base, k * int(n)
            self._powered.add(slot)

    def _multiply(self, slot: int, a: int, b: int) -> None:
        (x, j), (y, k) = self.power.get(a, (a, 1)), self.power.get(b, (b, 1))
        if x == y and j + k <= LARGEST_EXPONENT:
            self.power[slot] = x, j + k
            self._powered.add(slot)
        elif self.draft.uses[slot] == 1:
            self._powered.add(slot)

    def has_two_powers(self, total: int) -> bool:
        """Return whether a slot may occur in a sum with two exponents, at little cost."""
        code, uses, power = self.draft.code, self.draft.uses, self.power
        exponents: dict[int, int] = {}
        work = [total]
        while work:
            slot = work.pop()
            op, args, _ = code[slot]
            if slot in power:
                x, k = power[slot]
                if exponents.setdefault(x, k) != k:
                    return True
            elif op in _ARITHMETIC and (uses[slot] == 1 or slot == total):
                if op == "mul" and self._repeats(*args):
                    return True
                work += args
            elif exponents.setdefault(slot, 1) != 1:
                return True
        return False

    def _repeats(self, a: int, b: int) -> bool:
        code = self.draft.code
        return (code[a][0] == "mul" and b in code[a][1]) or (code[b][0] == "mul" and a in code[b][1])

    def take_apart(self, total: int) -> tuple[list[int], list[Term]]:
        """Return the sums that make up a run, and its terms from left to right."""
        code, uses = self.draft.code, self.draft.uses
        inner: list[int] = []
        terms: list[Term] = []
        work = [(total, total, 0, False)]
        while work:
            slot, reader, index, minus = work.pop()
            op, args, _ = code[slot]
            if op in SUMS and (uses[slot] == 1 or slot == total):
                inner.append(slot)
                work.append((args[-1], slot, len(args) - 1, minus != (op != "add")))
                if op != "neg":
                    work.append((args[0], slot, 0, minus))
            else:
                terms.append(self._term(Term(slot, reader, index, minus)))
        return inner, terms

    def _term(self, term: Term) -> Term:
        """Return a leaf of a sum as a product, as far as it is one."""
        numbers, uses = self.draft.numbers, self.draft.uses
        slot = term.slot
        if slot in numbers:
            return term
        minus = term.minus
        factors: list[tuple[float, int]] = []
        work = [slot]
        while work:
            s = work.pop()
            op, args, _ = self.draft.code[s]
            if s in numbers:
                factors.append((numbers[s], 1))
            elif s in self.power:
                term.read.append(s)
                _collect(term, *self.power[s])
            elif uses[s] == 1 and op in ("mul", "neg"):
                term.own.append(s)
                term.minus = term.minus != (op == "neg")
                work += reversed(args)
            elif uses[s] == 1 and op == "div" and args[1] in numbers:
                term.own.append(s)
                factors.append((numbers[args[1]], -1))
                work.append(args[0])
            else:
                _collect(term, s, 1)
        number = _product(factors)
        if number is None:
            return Term(slot, term.reader, term.index, minus, powers={slot: 1})
        term.number = number
        if abs(number) == 1.0 and len(term.powers) == 1:
            term.parted.clear()
        return term


def _collect(term: Term, x: int, k: int) -> None:
    if x in term.powers:
        term.parted.add(x)
    term.powers[x] = term.powers.get(x, 0) + k


def _product(factors: list[tuple[float, int]]) -> float | None:
    """Return the product of constants to the power 1 or -1, rounded once; None where it is zero or no finite number."""
    if not factors:
        return 1.0
    if not all(c and math.isfinite(c) for c, _ in factors):
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
