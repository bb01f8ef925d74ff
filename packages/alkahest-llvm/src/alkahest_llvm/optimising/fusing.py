"""Which products of a tape become part of a fused multiply-add.

A product that one sum or difference alone reads is computed inside it, rounded once with it. The choice is made on the
tape, so that every tier, width and entry point makes the same one.
"""

from __future__ import annotations

from collections.abc import Sequence

from alkahest.extend import Instr, Tape

SUM, PRODUCT_LESS, LESS_PRODUCT = "fma", "fma.sub", "fma.neg"  # a * b + c, a * b - c, c - a * b


def fuse(tape: Tape) -> Tape:
    """Return the tape with multiply-adds.

    >>> from alkahest.extend import Instr, Tape
    >>> axpy = Tape(("x", "y"), (2.5,), (Instr("mul", (2, 0)), Instr("add", (3, 1))), (4,))
    >>> fuse(axpy).instrs
    (Instr(op='fma', args=(2, 0, 1), params=()),)
    """
    if "mul" not in tape.ops or tape.ops.isdisjoint(("add", "sub")):
        return tape
    base = len(tape.inputs) + len(tape.consts)
    uses = _uses(tape)
    products: dict[int, Instr] = {}
    fused: dict[int, Instr] = {}
    absorbed: set[int] = set()
    for at, instr in enumerate(tape.instrs, base):
        op = instr.op
        if op == "mul":
            if uses[at] == 1:
                products[at] = instr
        elif op in ("add", "sub"):
            first, second = instr.args
            if second in products:
                fused[at] = Instr(SUM if op == "add" else LESS_PRODUCT, (*products[second].args, first))
                absorbed.add(second)
            elif first in products:
                fused[at] = Instr(SUM if op == "add" else PRODUCT_LESS, (*products[first].args, second))
                absorbed.add(first)
    return _without(tape, fused, absorbed) if fused else tape


def _uses(tape: Tape) -> Sequence[int]:
    counts = [0] * tape.n_slots
    for instr in tape.instrs:
        for a in instr.args:
            counts[a] += 1
    for out in tape.outputs:
        counts[out] += 1
    return counts


def _without(tape: Tape, replaced: dict[int, Instr], absorbed: set[int]) -> Tape:
    """Return the tape with some instructions replaced and some left out."""
    base = len(tape.inputs) + len(tape.consts)
    moved = list(range(base))
    instrs: list[Instr] = []
    for at, original in enumerate(tape.instrs, base):
        moved.append(base + len(instrs))
        if at not in absorbed:
            op, args, params = replaced.get(at, original)
            instrs.append(Instr(op, tuple([moved[a] for a in args]), params))
    return Tape(tape.inputs, tape.consts, tuple(instrs), tuple([moved[o] for o in tape.outputs]))
