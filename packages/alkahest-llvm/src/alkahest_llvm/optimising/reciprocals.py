"""Several divisions by one number become products with its reciprocal, where that is safe.

1/b may overflow or lose digits where a/b does not, for an extremely small or large b. So a divisor must be a constant,
or its range must keep it away from zero. Where it may be extremely large, 4/b is shared, which is a normal number for
the largest b too, and multiplied with a/4. A quotient is then off by up to 1.5 ulp, and by an ulp of the smallest
numbers more where a/4 is subnormal.
"""

from __future__ import annotations

from alkahest_llvm.optimising.draft import Draft
from alkahest_llvm.optimising.ranges import Interval, Ranges

SHARED_FROM = 2  # divisions
_NORMAL = {"f64": 2.0**1000, "f32": 2.0**120}  # to this, and its reciprocal, from 1 all is normal


def share_reciprocals(draft: Draft) -> None:
    """Divide once by what is divided by several times.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> tape = Tape(("x", "y"), (), (
    ...     Instr("cosh", (0,)), Instr("sqrt", (2,)), Instr("div", (0, 3)), Instr("div", (1, 3)),
    ... ), (4, 5))
    >>> print(rewritten(tape, CompileOptions(), [share_reciprocals]))
    tape(x, y)
      %2 = 4.0
      %3 = cosh %0
      %4 = sqrt %3
      %5 = div %2, %4
      %6 = mul %0, %5
      %7 = mul %1, %5
      return %6, %7
    """
    if "div" not in draft.ops:
        return
    divisions: dict[int, list[int]] = {}
    code = draft.code
    for slot in draft.order():
        op, args, _ = code[slot]
        if op == "div" or (op == "pow" and draft.numbers.get(args[1]) == -1.0):
            divisions.setdefault(args[1] if op == "div" else args[0], []).append(slot)
    shared = {b: slots for b, slots in divisions.items() if len(slots) >= SHARED_FROM}
    if not shared:
        return
    ranges = Ranges(draft)
    for b, slots in shared.items():
        low, high = ranges.of(b)
        if code[b][0] == "sqrt" and low > 0.0:
            high = low  # no root of a finite number is extremely large
        scale = _scale((low, high), _NORMAL[draft.options.dtype])
        if b in draft.numbers:
            _multiply(draft, slots, draft.constant(1.0 / draft.numbers[b]), 1.0) if scale == 1.0 else None
        elif scale:
            _multiply(draft, slots, draft.add_before(slots[0], "div", draft.constant(scale), b), scale)
    draft.settle()


def _scale(b: Interval, normal: float) -> float:
    """Return what to divide by b, 0 where nothing is safe."""
    if b[0] <= 0.0 <= b[1]:
        return 0.0
    low, high = sorted(map(abs, b))
    if low < 1.0 / normal:
        return 0.0
    return 1.0 if high <= normal else 4.0


def _multiply(draft: Draft, slots: list[int], inverse: int, scale: float) -> None:
    """Replace divisions by products with `inverse`, which is `scale` over the divisor."""
    for slot in slots:
        op, args, _ = draft.code[slot]
        number = 1.0 if op == "pow" else draft.numbers.get(args[0])
        if number == scale:
            draft.merge(slot, inverse)
        elif number is not None:
            draft.put(slot, "mul", draft.constant(number / scale), inverse)
        elif scale == 1.0:
            draft.put(slot, "mul", args[0], inverse)
        else:
            draft.put(slot, "mul", draft.add_before(slot, "mul", args[0], draft.constant(1.0 / scale)), inverse)
