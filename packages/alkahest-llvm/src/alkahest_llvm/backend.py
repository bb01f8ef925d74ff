"""The optimised CPU tier."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.loading import engine
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.targets import host_target

if TYPE_CHECKING:
    from alkahest_llvm.intervals.rendering import PrunedShape

LARGEST_TAPE = 10_000


class LLVMBackend:
    """The optimised tier: kernels written into the loop where there are few, called where there are many."""

    # Writing out more kernels than this takes LLVM several times as long as calling them, for code little faster.
    inlined_kernels: ClassVar[int] = 12
    # Two registers a value hide latency in short tapes; longer ones have enough else to do, and too few registers. As
    # many floats as doubles fit into one.
    two_registers_up_to: ClassVar[int] = 150
    # Beyond this, code generation that optimises takes more than twice the time, for code a twentieth faster.
    optimised_up_to: ClassVar[int] = 2000

    def unavailable(self) -> str:
        """Return why LLVM cannot be used here, or nothing."""
        try:
            engine.prepare()
        except (ImportError, OSError, RuntimeError) as error:
            return f"llvmlite does not work here: {error}"
        return ""

    def refuses(self, tape: Tape) -> str:
        """Return why a tape cannot be compiled, or nothing."""
        if len(tape.instrs) > LARGEST_TAPE:
            return (
                f"{len(tape.instrs):,} instructions are more than {LARGEST_TAPE:,}, beyond which LLVM needs too much "
                "time and may run out of stack"
            )
        missing = missing_ops(tape)
        return f"no LLVM lowering for {', '.join(missing)}" if missing else ""

    def compile(self, tape: Tape, options: CompileOptions) -> LLVMKernel:
        """Return the machine code of a tape."""
        lanes = host_target().lanes
        halved = options.dtype == "f64" and len(tape.instrs) > self.two_registers_up_to
        width = max(lanes // 2, 1) if halved else lanes
        level = 2 if len(tape.instrs) <= self.optimised_up_to else 0
        return LLVMKernel(tape, options, level=level, style=self.inlined_kernels, width=width)

    def pruner(self, tape: Tape, options: CompileOptions) -> PrunedShape:
        """Return what draws the shape where a function of two inputs is below zero; see `alkahest.Shape`."""
        from alkahest_llvm.intervals.rendering import PrunedShape

        return PrunedShape(tape, options)
