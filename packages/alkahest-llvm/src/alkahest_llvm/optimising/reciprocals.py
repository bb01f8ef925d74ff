"""Several divisions by one number become products with its reciprocal, where that is safe.

1/b may overflow or lose digits where a/b does not, for an extremely small or large b. So a divisor must be a constant,
or its range must keep it away from zero. Where it may be extremely large, but not small, 4/b is shared, which is a
normal number for the largest b too, and multiplied with a/4. A quotient is then off by up to 1.5 ulp, and where a/4 is
subnormal by up to four of the smallest numbers more. With `accuracy="4ulp"` one division by a constant is enough.
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
    >>> tape = Tape(("x", "y"), (), (Instr("cosh", (0,)), Instr("div", (0, 2)), Instr("div", (1, 2))), (3, 4))
    >>> print(rewritten(tape, CompileOptions(), [share_reciprocals]))
    tape(x, y)
      %2 = 4.0
      %3 = 0.25
      %4 = cosh %0
      %5 = div %2, %4
      %6 = mul %0, %3
      %7 = mul %6, %5
      %8 = mul %1, %3
      %9 = mul %8, %5
      return %7, %9
    """
    if "div" not in draft.ops:
        return
    ranges = Ranges(draft)
    for b, slots in _divisions(draft).items():
        scale = _scale(draft, b, ranges.of(b))
        if b in draft.numbers:
            if scale == 1.0:
                _multiply(draft, slots, draft.constant(1.0 / draft.numbers[b]), scale)
        elif scale:
            _multiply(draft, slots, draft.add_before(slots[0], "div", draft.constant(scale), b), scale)
    draft.settle()


def _divisions(draft: Draft) -> dict[int, list[int]]:
    """Return the divisions by each slot that is divided by often enough."""
    divisions: dict[int, list[int]] = {}
    ops = draft.op
    for slot in [slot for slot in draft.order() if ops[slot] in ("div", "pow")]:
        a, b = draft.args[slot]
        if ops[slot] == "div":
            divisions.setdefault(b, []).append(slot)
        elif draft.numbers.get(b) == -1.0:
            divisions.setdefault(a, []).append(slot)
    for_one = draft.numbers if draft.options.accuracy == "4ulp" else ()
    return {b: slots for b, slots in divisions.items() if len(slots) >= SHARED_FROM or b in for_one}


def _scale(draft: Draft, b: int, bounds: Interval) -> float:
    """Return what to divide by b, 0 where nothing is safe."""
    normal = _NORMAL[draft.options.dtype]
    if bounds[0] <= 0.0 <= bounds[1]:
        return 0.0
    low, high = sorted(map(abs, bounds))
    if low < 1.0 / normal:
        return 0.0
    never_large = draft.op[b] == "sqrt"  # of any finite number
    if never_large or high <= normal:
        return 1.0
    return 4.0 if low >= 0.5 else 0.0  # what a/4 loses must not be divided by a small number


def _multiply(draft: Draft, slots: list[int], inverse: int, scale: float) -> None:
    """Replace divisions by products with `inverse`, which is `scale` over the divisor."""
    for slot in slots:
        args = draft.args[slot]
        number = 1.0 if draft.op[slot] == "pow" else draft.numbers.get(args[0])
        if number == scale:
            draft.merge(slot, inverse)
        elif number is not None:
            draft.put(slot, "mul", draft.constant(number / scale), inverse)
        else:
            draft.put(slot, "mul", args[0] if scale == 1.0 else _scaled(draft, slot, args[0], 1.0 / scale), inverse)


def _scaled(draft: Draft, before: int, slot: int, power_of_two: float) -> int:
    """Return a slot times a power of two, by changing a constant factor where the slot has one and is read once."""
    s = slot
    while draft.op[s] == "mul" and draft.uses[s] == 1:
        a, b = draft.args[s]
        if a in draft.numbers or b in draft.numbers:
            constant, other = (a, b) if a in draft.numbers else (b, a)
            draft.put(s, "mul", draft.constant(draft.numbers[constant] * power_of_two), other)
            return slot
        s = a if draft.op[a] == "mul" else b
    return draft.add_before(before, "mul", slot, draft.constant(power_of_two))
