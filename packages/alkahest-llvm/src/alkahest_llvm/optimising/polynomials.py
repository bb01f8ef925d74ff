"""Sums of monomials in one variable as nested multiply-adds.

c0 + c1 x + c2 x^2 + … takes one multiply-add a term when it is nested (Horner's scheme), and no powers; where exponents
have gaps, x^2, x^3, … is the factor. What is nested already stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from alkahest_llvm.optimising.draft import Draft
from alkahest_llvm.optimising.nesting import Nesting, Signed
from alkahest_llvm.optimising.terms import Leaf, Monomials, Term

# Terms with larger constants, or smaller than one over them, are left alone: with others a partial sum overflows only
# where the terms themselves come close to it.
_LARGEST_CONSTANT = {"f64": 2.0**512, "f32": 2.0**64}
_LARGEST_FACTOR = 64.0  # of a coefficient that is no constant, for the same reason
_LARGEST_REPEATED_ERROR = 4  # units that the roundings of x^2 and the like may come to with `accuracy="1ulp"`
_OTHER_POWER = 14  # instructions of a power that is no plain product
_LEAST_OF_TWO = 3  # to be saved by nesting two terms, which takes two multiply-adds


def nest_polynomials(draft: Draft) -> None:
    """Nest each sum that has several powers of one variable, where that takes fewer instructions.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> terms = Instr("pow", (0, 1)), Instr("mul", (2, 4)), Instr("mul", (3, 0))
    >>> tape = Tape(("x",), (2.0, 3.0, 5.0), (*terms, Instr("add", (5, 6)), Instr("add", (7, 1))), (8,))
    >>> print(rewritten(tape, CompileOptions(), [nest_polynomials]))
    tape(x)
      %1 = 2.0
      %2 = 3.0
      %3 = 5.0
      %4 = fma %2, %0, %3
      %5 = fma %4, %0, %1
      return %5
    """
    if draft.ops.isdisjoint(("add", "sub")) or draft.ops.isdisjoint(("mul", "pow")):
        return
    monomials = Monomials(draft)
    for total in monomials.sums:
        if monomials.has_two_powers(total):
            _nest(draft, monomials, total)


@dataclass
class _Polynomial:
    """Terms of one variable, by exponent."""

    x: int
    terms: dict[int, Term]

    def steps(self, *, with_rest: bool) -> list[int]:
        """Return the exponents of the powers that nesting multiplies with, one after the other."""
        exponents = sorted(self.terms) if not with_rest else [0, *sorted(self.terms)]
        return [k - j for j, k in pairwise(exponents)] + exponents[:1]

    def is_parted(self, steps: list[int], accuracy: str) -> bool:
        """Return whether to multiply with x several times rather than with a power of x.

        That is where the sum does not compute the power either, and where the power's own rounding error, the same in
        each step, would add up.
        """
        if accuracy == "1ulp" and sum(map(_power_error, steps)) > _LARGEST_REPEATED_ERROR:
            return True
        return any(self.x in t.parted for t in self.terms.values())

    def cost_of_powers(self, steps: list[int], accuracy: str) -> int:
        """Return how many instructions powers and coefficients take beside the one for each step."""
        if self.is_parted(steps, accuracy):
            cost = sum([k - 1 for k in steps if k])
        else:
            cost = sum(map(_power_cost, set(steps)))
        for k, t in self.terms.items():
            if len(t.powers) > 1:
                cost += _power_cost(sum(t.powers.values()) - k) + (abs(t.number) != 1.0)
        return cost


def _nest(draft: Draft, monomials: Monomials, total: int) -> None:
    inner, leaves = monomials.take_apart(total)
    if len(leaves) == 2 and monomials.most_saved(leaves) < _LEAST_OF_TWO:
        return
    found = _choose(draft, monomials, leaves)
    if not found:
        return
    rest, left = _without(draft, total, inner, {(t.reader, t.index) for p in found for t in p.terms.values()})
    for p in reversed(found):
        parted = p.is_parted(p.steps(with_rest=rest is not None), draft.options.accuracy)
        nesting = Nesting(draft, total, p.x, parted=parted)
        rest = nesting.write([(k, _coefficient(draft, total, p.x, t)) for k, t in p.terms.items()], rest)
    for slot, op, args in left:
        draft.put(slot, op, *args)
    if rest is not None and rest[1]:
        draft.put(total, "neg", rest[0])
    elif rest is not None:
        draft.move(rest[0], total)


def _choose(draft: Draft, monomials: Monomials, leaves: list[Leaf]) -> list[_Polynomial]:
    """Return the polynomials among the terms of a sum that are worth nesting."""
    products = monomials.products(leaves)
    candidates = _candidates(draft, leaves, products)
    if not candidates:
        return []
    tally = _Tally(draft, monomials, len(leaves), products.values())
    found: list[_Polynomial] = []
    for p in sorted(candidates, key=lambda p: -len(p.terms)):
        if tally.admit(p) and tally.pays(p):
            tally.take(p)
            found.append(p)
    return found


def _candidates(draft: Draft, leaves: list[Leaf], products: dict[int, Term]) -> list[_Polynomial]:
    """Return the terms of each slot that occurs with several exponents; `products` are those of some leaves."""
    limit = _LARGEST_CONSTANT[draft.options.dtype]
    moderate: dict[int, Term] = {}
    raised: set[int] = set()
    for at, t in products.items():
        if 1.0 / limit <= abs(t.number) <= limit:
            moderate[at] = t
            raised.update([x for x, k in t.powers.items() if k > 1])
    if not raised:
        return []
    for at, leaf in enumerate(leaves):
        if leaf[0] in raised and at not in products and leaf[0] not in draft.numbers:
            moderate[at] = Term.whole(leaf)
    members: dict[int, dict[int, Term]] = {}
    for _, t in sorted(moderate.items()):
        for x, k in t.powers.items():
            if x in raised:
                members.setdefault(x, {}).setdefault(k, t)
    return [_Polynomial(x, by) for x, by in members.items() if len(by) > 1]


class _Tally:
    """The terms of a sum that belong to no polynomial yet, and what it costs to add them up."""

    def __init__(self, draft: Draft, monomials: Monomials, terms: int, products: Iterable[Term]) -> None:
        self.draft = draft
        self.monomials = monomials
        self.left = terms
        self.taken: set[Term] = set()
        self.products = sum(map(self._is_product, products))

    def admit(self, p: _Polynomial) -> bool:
        """Leave those terms of a polynomial that may be nested together and tell whether there are enough.

        A coefficient that is no constant is admitted only where at most one term is left over: what else would be
        added to it may be there to cancel exactly, as in the products of twofold arithmetic.
        """
        p.terms = {k: t for k, t in p.terms.items() if t not in self.taken and _may_be_divided(t, p.x)}
        if self.left - len(p.terms) > 1:
            p.terms = {k: t for k, t in p.terms.items() if len(t.powers) == 1}
        return len(p.terms) > 1 and max(p.terms) > 1

    def pays(self, p: _Polynomial) -> bool:
        """Return whether nesting takes fewer instructions; of two long sums that share their powers, both do."""
        terms = list(p.terms.values())
        left = self.left - len(terms)
        saved = _additions(self.left, self.products)
        saved -= _additions(left, self.products - sum(map(self._is_product, terms)))
        saved += sum(len(t.own) for t in terms) + self._powers_saved(terms)
        steps = p.steps(with_rest=left > 0)
        saved -= len(steps) - (steps[-1] == 0)
        least = 0 if len(terms) > 2 else 1
        return saved >= least and saved - p.cost_of_powers(steps, self.draft.options.accuracy) >= least

    def take(self, p: _Polynomial) -> None:
        """Take the terms of a polynomial away."""
        self.taken.update(p.terms.values())
        self.left -= len(p.terms)
        self.products -= sum(map(self._is_product, p.terms.values()))

    def _is_product(self, t: Term) -> bool:
        """Return whether a term is a product that can be fused with its addition."""
        power = self.monomials.power.get(t.slot, (0, 5 * (not t.own)))[1]
        return self.draft.uses[t.slot] == 1 and power < 5

    def _powers_saved(self, terms: list[Term]) -> int:
        """Return what the powers cost that nothing else reads."""
        draft, power = self.draft, self.monomials.power
        reads: dict[int, int] = {}
        read = [s for t in terms for s in t.read]
        saved = 0
        while read or reads:
            for s in read:
                reads[s] = reads.get(s, 0) + 1
            read = ()
            slot = max(reads)
            if reads.pop(slot) == draft.uses[slot]:
                saved += 1 if draft.op[slot] == "mul" else _power_cost(power[slot][1])
                read = [a for a in draft.args[slot] if a in power]
        return saved


def _may_be_divided(t: Term, x: int) -> bool:
    """Return whether a term has a coefficient of x that can be computed without it.

    That is a constant, or one other slot, or a power of one that the term computes by itself, times a moderate number.
    The product of two others might overflow where the whole term does not.
    """
    others = t.powers.keys() - {x}
    if not others:
        return True
    return (
        len(others) == 1 and others.isdisjoint(t.parted) and 1.0 / _LARGEST_FACTOR <= abs(t.number) <= _LARGEST_FACTOR
    )


def _additions(terms: int, products: int) -> int:
    """Return how many additions a sum takes that cannot be fused with one of its products."""
    return max(terms - 1 - products, 0)


def _power_cost(k: int) -> int:
    return (0, 0, 1, 2, 2)[k] if k < 5 else _OTHER_POWER


def _power_error(k: int) -> int:
    """Return about how many units the rounding of x^k is off."""
    return (0, 0, 1, 2, 2)[k] if k < 5 else 1


def _coefficient(draft: Draft, before: int, x: int, t: Term) -> Signed:
    """Return what a term multiplies the power of x with."""
    number = -t.number if t.minus else t.number
    others = [(slot, k) for slot, k in t.powers.items() if slot != x]
    if not others:
        return draft.constant(number), False
    ((slot, k),) = others
    if k > 1:
        slot = draft.add_before(before, "pow", slot, draft.constant(float(k)))
    if abs(number) == 1.0:
        return slot, number < 0.0
    return draft.add_before(before, "mul", slot, draft.constant(number)), False


def _without(
    draft: Draft, total: int, inner: list[int], taken: set[tuple[int, int]]
) -> tuple[Signed | None, list[tuple[int, str, tuple[int, int]]]]:
    """Return what remains of a sum without some of its terms; those left are added up in the order they were.

    Then the inner sums that only have to read something else, and what: to be changed when nothing more is taken from
    them.
    """
    changed: dict[int, Signed | None] = {}
    left: list[tuple[int, str, tuple[int, int]]] = []
    readers = {reader for reader, _ in taken}
    old = len(draft.op)
    for slot in sorted(inner):
        op, args = draft.op[slot], draft.args[slot]
        a, b = args[0], args[-1]  # one and the same of a negation
        is_cut = slot in readers
        if not is_cut and a not in changed and b not in changed:
            continue
        last, first = changed.pop(b, (b, False)), changed.pop(a, (a, False))  # nothing else reads them
        if op == "neg" or (is_cut and (slot, 0) in taken):
            first = None
        if is_cut and (slot, len(args) - 1) in taken:
            last = None
        if op != "add" and last is not None:
            last = last[0], not last[1]
        if first is None or last is None:
            changed[slot] = first or last
            continue
        op, args, minus = _sum(first, last)
        if slot == total or minus or max(args) >= old:
            changed[slot] = draft.add_before(total, op, *args), minus
        else:
            left.append((slot, op, args))
    if total in changed:
        return changed[total], left
    return (draft.add_before(total, draft.op[total], *draft.args[total]), False), left


def _sum(first: Signed, last: Signed) -> tuple[str, tuple[int, int], bool]:
    """Return how to add two numbers: by what op, of what, and whether that is the sum's opposite."""
    (a, minus), (b, less) = first, last
    if minus == less:
        return "add", (a, b), minus
    return "sub", (b, a) if minus else (a, b), False
