"""What is done to a tape before code is made of it: the same for every tier, width and entry point."""

from __future__ import annotations

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.lowering import own_arithmetic
from alkahest_llvm.optimising.fusing import fuse
from alkahest_llvm.optimising.powers import expand_powers


def optimise(tape: Tape, options: CompileOptions) -> Tape:
    """Return a tape that computes the same in fewer and cheaper operations.

    It may hold ops that are no primitives: those of `alkahest_llvm.emitting.lowering.INTERNAL`. With `contract=False`
    every operation of the tape stays and rounds by itself.
    """
    if not options.contract or not own_arithmetic():
        return tape
    return fuse(expand_powers(tape))
