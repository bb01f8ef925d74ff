"""Constant powers as products, reciprocals and square roots, shared between powers of one base."""

from __future__ import annotations

from alkahest_llvm.optimising.draft import Draft
from alkahest_llvm.vecmath.integer_power import factors

# The largest exponents of x and of 1/x whose plain products stay within 2 and 4 ulp: where each rounding is as large as
# it can be, x^4 is off by 1.92 ulp, x^6 by 3.51, (1/x)^3 by 3.52. The rule of "pow" computes the others, error and all.
_MOST = {"1ulp": (4, 0), "4ulp": (6, 3)}
_ON_THE_WAY = {1: (), 2: (2,), 3: (2, 3), 4: (2, 4), 5: (2, 3, 5), 6: (2, 3, 6)}  # by `factors`
_ROOTS = frozenset((0.5, 1.5, -0.5))  # one operation with the root, which the rule of "pow" does as well


def expand_powers(draft: Draft) -> None:
    """Replace powers with small whole exponents by repeated squaring; let x^1/2, x^3/2 and x^-1/2 share the root.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> cube_and_square = Tape(("x",), (3.0, 2.0), (Instr("pow", (0, 1)), Instr("pow", (0, 2))), (3, 4))
    >>> print(rewritten(cube_and_square, CompileOptions(), [expand_powers]))
    tape(x)
      %1 = mul %0, %0
      %2 = mul %1, %0
      return %2, %1
    """
    if "pow" not in draft.ops:
        return
    most, most_negative = _MOST[draft.options.accuracy]
    made: dict[int, dict[int, int]] = {}
    inverse: dict[int, int] = {}
    roots: dict[int, list[tuple[int, float]]] = {}
    for slot in draft.having("pow"):
        x, exponent = draft.args[slot]
        n = draft.numbers.get(exponent, 0.0)
        if n in _ROOTS:
            roots.setdefault(x, []).append((slot, n))
        elif not -most_negative <= n <= most or n != int(n):
            continue
        elif n > 1.0:
            _product(draft, slot, int(n), made.setdefault(x, {1: x}))
        elif n < 0.0:
            if x not in inverse:
                inverse[x] = draft.add_before(slot, "div", draft.constant(1.0), x)
            _product(draft, slot, -int(n), made.setdefault(inverse[x], {1: inverse[x]}))
    for x, powers in roots.items():
        if len({n for _, n in powers}) > 1:
            _share_root(draft, x, powers)
    draft.settle()


def _product(draft: Draft, slot: int, n: int, made: dict[int, int]) -> None:
    """Let a slot be the power n of a base; `made` are the powers there are of it."""
    if n in made:
        draft.merge(slot, made[n])
        return
    made[n] = slot
    for k in _ON_THE_WAY[n]:
        one, other = factors(k)
        if k == n:
            draft.put(slot, "mul", made[one], made[other])
        elif k not in made:
            made[k] = draft.add_before(slot, "mul", made[one], made[other])


def _share_root(draft: Draft, x: int, powers: list[tuple[int, float]]) -> None:
    """Compute the powers n + 1/2 of x from one root, as the rule of each does."""
    first = powers[0][0]
    root = draft.add_before(first, "pow", x, draft.constant(0.5))
    for slot, n in powers:
        if n == 0.5:
            draft.merge(slot, root)
        elif n == 1.5:
            draft.put(slot, "mul", root, draft.add_before(slot, "abs", x))
        else:
            draft.put(slot, "div", draft.constant(1.0), root)
