"""Equal instructions are computed once; a + b and b + a, a * b and b * a are equal."""

from __future__ import annotations

from alkahest.extend import Instr
from alkahest_llvm.optimising.draft import NOTHING, Draft, instruction

COMMUTATIVE = ("add", "mul")


def share(draft: Draft) -> None:
    """Let the readers of an instruction read the first one that is equal to it.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> twice = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("mul", (1, 0)), Instr("div", (2, 3))), (4,))
    >>> rewritten(twice, CompileOptions(), [share]).instrs
    (Instr(op='mul', args=(0, 1), params=()), Instr(op='div', args=(2, 2), params=()))
    """
    if _has_equals(draft.code):
        _merge_equals(draft)


def _has_equals(code: list[Instr]) -> bool:
    present = [instr for instr in code if instr is not NOTHING]
    known = set(present)
    if len(known) < len(present):
        return True
    for op, args, _ in present:
        if op in COMMUTATIVE and args[0] > args[1] and instruction(op, (args[1], args[0])) in known:
            return True
    return False


def _merge_equals(draft: Draft) -> None:
    code = draft.code
    seen: dict[Instr, int] = {}
    same: dict[int, int] = {}
    merged = same.keys()
    for slot in draft.order():
        instr = code[slot]
        if not merged.isdisjoint(instr[1]):
            draft.redirect(slot, same)
            instr = code[slot]
        op, args, _ = instr
        if op in COMMUTATIVE and args[0] > args[1]:
            instr = instruction(op, (args[1], args[0]))
        first = seen.setdefault(instr, slot)
        if first != slot and op:
            same[slot] = first
    draft.redirect_outputs(same)
