"""From a tape to the IR of its batch and scalar code: what a process goes through for code that is on no disk."""

from __future__ import annotations

from typing import NamedTuple

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.codegen import BULK, SCALAR, bulk_module, scalar_module
from alkahest_llvm.emitting.module_text import KernelStyle, ModuleText
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.vecmath.registry import is_inlined


class Generated(NamedTuple):
    """IR that defines the function `entry`, calls the kernels `imports`, and wants `frame_bytes` of memory."""

    text: str
    entry: str
    imports: tuple[tuple[str, int], ...]
    frame_bytes: int


def batch_code(tape: Tape, options: CompileOptions, style: KernelStyle | int, width: int) -> Generated:
    """Return the batch code of a tape; a number as `style` is how many kernels are written inline at most."""
    if isinstance(style, int):
        style = "inline" if sum(is_inlined(instr.op) for instr in tape.instrs) <= style else "call"
    emitted = bulk_module(optimise(tape, options), options, width=width, style=style)
    return _generated(emitted.module, BULK, emitted.frame_bytes)


def scalar_code(tape: Tape, options: CompileOptions) -> Generated:
    """Return the scalar code of a tape."""
    return _generated(scalar_module(optimise(tape, options), options), SCALAR, 0)


def _generated(module: ModuleText, entry: str, frame_bytes: int) -> Generated:
    return Generated(str(module), entry, tuple(sorted(module.imports)), frame_bytes)
