"""Equal instructions are computed once; a + b and b + a, a * b and b * a are equal."""

from __future__ import annotations

from typing import Any

from alkahest_llvm.optimising.draft import Draft

COMMUTATIVE = ("add", "mul")


def share(draft: Draft) -> None:
    """Let the readers of an instruction read the first one that is equal to it.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> twice = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("mul", (1, 0)), Instr("div", (2, 3))), (4,))
    >>> rewritten(twice, CompileOptions(), [share]).instrs
    (Instr(op='mul', args=(0, 1), params=()), Instr(op='div', args=(2, 2), params=()))
    """
    op, args = draft.op, draft.args
    seen: dict[Any, int] = {}  # the first slot by its arguments; by op too where several have the same
    same: dict[int, int] = {}
    for slot in draft.order():
        read = args[slot]
        if len(read) == 2:
            a, b = read
            if a in same or b in same:
                a, b = read = draft.redirect(slot, same)
            if a > b and op[slot] in COMMUTATIVE:
                read = b, a
        elif same and not same.keys().isdisjoint(read):
            read = draft.redirect(slot, same)
        first = seen.setdefault(read, slot)
        if first != slot and op[slot]:
            seen.setdefault((read, op[first], draft.params.get(first)), first)
            first = seen.setdefault((read, op[slot], draft.params.get(slot)), slot)
            if first != slot:
                same[slot] = first
    draft.redirect_outputs(same)
