"""A polynomial written into a draft: Horner's scheme, and with `accuracy="4ulp"` two chains where it is long."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from alkahest_llvm.optimising.draft import Draft

Signed: TypeAlias = tuple[int, bool]  # a slot, and whether its negative is meant

# From this degree on even and odd terms may be nested apart, side by side (D. E. Knuth, The Art of Computer
# Programming, volume 2, section 4.6.4). With AVX2 and AVX-512 that is faster by a fifth to two fifths at degree 48, by
# little at 24, and no different below; Estrin's scheme is slower in cache (`benchmarks/tuning.py`). But the rounding
# error of x^2 then enters each step, which makes results two to three times less accurate where |x| > 1. All machines
# have the same number, so that bits agree.
TWO_CHAINS_FROM = 24


class Nesting:
    """Writes polynomials in the slot `x` before the slot `before`.

    With `parted`, x^k is never computed by itself: there is one product for each x.
    """

    def __init__(self, draft: Draft, before: int, x: int, *, parted: bool = False) -> None:
        self.draft = draft
        self.before = before
        self.x = x
        self.parted = parted
        self._powers = {1: x}

    def write(self, terms: Iterable[tuple[int, Signed]], rest: Signed | None) -> Signed:
        """Return the sum of `rest` and of all c x^k, given as (k, c)."""
        falling = sorted(terms, reverse=True)
        if rest is not None:
            falling.append((0, rest))
        steps = {k - j for (k, _), (j, _) in pairwise(falling)}
        may_be_apart = self.draft.options.accuracy == "4ulp" and not self.parted
        if may_be_apart and len(falling) > TWO_CHAINS_FROM and len(steps) == 1:
            total = self._two_chains(falling)
        else:
            total = self._chain(falling)
        return self._times_power(total, falling[-1][0])

    def _chain(self, falling: list[tuple[int, Signed]]) -> Signed:
        """Return the sum of c x^(k - j), where j is the smallest exponent."""
        at, total = falling[0]
        for k, c in falling[1:]:
            total = self._multiply_add(total, at - k, c)
            at = k
        return total

    def _two_chains(self, falling: list[tuple[int, Signed]]) -> Signed:
        """Return the same, where all steps are equal; the chains take turns, as a processor will run them."""
        step = falling[0][0] - falling[1][0]
        one, other = falling[0][1], falling[1][1]
        for _, c in falling[2:]:
            one, other = other, self._multiply_add(one, 2 * step, c)
        return self._multiply_add(one, step, other)

    def _multiply_add(self, p: Signed, k: int, c: Signed) -> Signed:
        """Return p x^k + c."""
        if self.parted:
            p, k = self._times_power(p, k - 1), 1
        (a, minus), (b, less), f = p, c, self._power(k)
        number = self.draft.numbers.get(a, 0.0)
        if abs(number) == 1.0:
            minus = minus != (number < 0.0)
            if minus == less:
                return self._add("add", f, b), minus
            return self._add("sub", *((b, f) if minus else (f, b))), False
        if minus == less:
            return self._add("fma", a, f, b), minus
        return self._add("fma.neg" if minus else "fma.sub", a, f, b), False

    def _times_power(self, p: Signed, k: int) -> Signed:
        slot, minus = p
        if self.parted:
            for _ in range(k):
                slot = self._add("mul", slot, self.x)
        elif k:
            slot = self._add("mul", slot, self._power(k))
        return slot, minus

    def _power(self, k: int) -> int:
        if k not in self._powers:
            self._powers[k] = self._add("pow", self.x, self.draft.constant(float(k)))
        return self._powers[k]

    def _add(self, op: str, *args: int) -> int:
        return self.draft.add_before(self.before, op, *args)
