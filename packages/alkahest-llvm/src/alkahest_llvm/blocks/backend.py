"""The fast-compile tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.blocks.kernel import BlockKernel
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.loading import engine
from alkahest_llvm.targets import host_target

if TYPE_CHECKING:
    from alkahest_llvm.intervals.rendering import PrunedShape


class LLVMFastBackend:
    """The fast-compile tier: a program of precompiled kernels over blocks that stay in the cache."""

    def unavailable(self) -> str:
        """Return why LLVM cannot be used here, or nothing."""
        try:
            engine.prepare()
        except (ImportError, OSError, RuntimeError) as error:
            return f"llvmlite does not work here: {error}"
        return ""

    def refuses(self, tape: Tape) -> str:
        """Return why a tape cannot be compiled, or nothing."""
        missing = missing_ops(tape)
        return f"no LLVM lowering for {', '.join(missing)}" if missing else ""

    def compile(self, tape: Tape, options: CompileOptions) -> BlockKernel:
        """Return the program of a tape."""
        return BlockKernel(tape, options, host_target().lanes)

    def pruner(self, tape: Tape, options: CompileOptions) -> PrunedShape:
        """Return what draws the shape where a function of two inputs is below zero; see `alkahest.Shape`."""
        from alkahest_llvm.intervals.rendering import PrunedShape

        return PrunedShape(tape, options)
