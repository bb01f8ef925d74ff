"""The optimised CPU tier."""

from __future__ import annotations

from typing import ClassVar

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.codegen import missing_ops
from alkahest_llvm.emitting.module_text import KernelStyle
from alkahest_llvm.loading import engine
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.targets import host_target
from alkahest_llvm.vecmath.registry import is_inlined

LARGEST_TAPE = 10_000


class LLVMBackend:
    """The optimised tier: kernels written into the loop where there are few, full code generation."""

    level: ClassVar[int] = 2
    # Writing out more kernels than this takes LLVM several times as long as calling them, for code little faster.
    inlined_kernels: ClassVar[int] = 12

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
        return LLVMKernel(tape, options, level=self.level, style=self._style(tape), width=host_target().lanes)

    def _style(self, tape: Tape) -> KernelStyle:
        kernels = sum(is_inlined(instr.op) for instr in tape.instrs)
        return "inline" if kernels <= self.inlined_kernels else "call"
