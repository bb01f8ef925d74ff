"""Which products become part of a fused multiply-add.

A product that one sum or difference alone reads is computed inside it, rounded once with it. The choice is made on the
tape, so that every tier, width and entry point makes the same one.
"""

from __future__ import annotations

from alkahest_llvm.optimising.draft import Draft

SUM, PRODUCT_LESS, LESS_PRODUCT = "fma", "fma.sub", "fma.neg"  # a * b + c, a * b - c, c - a * b


def fuse(draft: Draft) -> None:
    """Turn sums and differences of products into multiply-adds.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> axpy = Tape(("x", "y"), (2.5,), (Instr("mul", (2, 0)), Instr("add", (3, 1))), (4,))
    >>> rewritten(axpy, CompileOptions(), [fuse]).instrs
    (Instr(op='fma', args=(2, 0, 1), params=()),)
    """
    if "mul" not in draft.ops or draft.ops.isdisjoint(("add", "sub")):
        return
    op, args, uses = draft.op, draft.args, draft.uses
    for at, name in enumerate(op):
        if name == "add":
            by_product = by_rest = SUM
        elif name == "sub":
            by_product, by_rest = PRODUCT_LESS, LESS_PRODUCT
        else:
            continue
        first, second = args[at]
        if op[second] == "mul" and uses[second] == 1:
            op[at], product, rest = by_rest, second, first
        elif op[first] == "mul" and uses[first] == 1:
            op[at], product, rest = by_product, first, second
        else:
            continue
        args[at] = *args[product], rest
        draft.erase(product)
        draft.changed = True
