"""A compiled tape: what dispatch gets from either tier."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from alkahest.extend import ArityError, CompileOptions, Tape
from alkahest_llvm.emitting.body import REAL
from alkahest_llvm.emitting.codegen import BULK, SCALAR, bulk_module, scalar_module
from alkahest_llvm.emitting.module_text import KernelStyle
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.batch_entry import driver
from alkahest_llvm.optimising.optimiser import optimise


class Artifacts(Mapping[str, str]):
    """The generated code as text: "llvm-ir", and "asm", which is made when it is asked for."""

    def __init__(self, text: str, level: int) -> None:
        self._text = text
        self._level = level

    def __getitem__(self, key: str) -> str:
        if key == "llvm-ir":
            return self._text
        if key == "asm":
            return self._assembly
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("llvm-ir", "asm"))

    def __len__(self) -> int:
        return 2

    @cached_property
    def _assembly(self) -> str:
        return engine.assembly(self._text, self._level)


class LLVMKernel:
    """Machine code for one tape. It may be called from several threads at once.

    `level` is LLVM's code generation level, `style` says what becomes of math kernels in the batch loop, and `width`
    how many points it takes at a time.
    """

    releases_gil = True

    def __init__(self, tape: Tape, options: CompileOptions, *, level: int, style: KernelStyle, width: int) -> None:
        tape = optimise(tape, options)
        emitted = bulk_module(tape, options, width=width, style=style)
        text = str(emitted.module)
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self.artifacts: Mapping[str, str] = Artifacts(text, level)
        self._tape = tape
        self._options = options
        self._level = level
        self._code = engine.load(text, [BULK], library.addresses(emitted.module.imports), level)
        self._constants = (self.n_inputs, self.n_outputs, self._code[BULK], width, emitted.frame_bytes, None)
        self._driver = driver(REAL[options.dtype])
        self._table = ctypes.c_int64 * (2 * (self.n_inputs + self.n_outputs))

    def call_columns(self, n: int, columns: Sequence[tuple[int, int]], out: Sequence[tuple[int, int]]) -> None:
        """Evaluate `n` points: (address, byte stride) per input column and per output column; stride 0 repeats."""
        if len(columns) != self.n_inputs or len(out) != self.n_outputs:
            raise ArityError(
                f"the kernel wants {self.n_inputs} input and {self.n_outputs} output columns and was given "
                f"{len(columns)} and {len(out)}.",
                remedy="Pass one (address, stride) pair per input and per output of the tape.",
            )
        table = self._table(*[number for pair in (*columns, *out) for number in pair])
        if self._driver.call(n, table, *self._constants):
            raise MemoryError("no memory for the scratch columns of a batch")

    @cached_property
    def scalar(self) -> Any:
        """A C function that takes a list or tuple of numbers, or the numbers; compiled the first time it is read."""
        from alkahest_llvm.loading.scalar_entry import scalar_function

        module = scalar_module(self._tape, self._options)
        code = engine.load(str(module), [SCALAR], library.addresses(module.imports), self._level)
        return scalar_function(code[SCALAR], self._tape.inputs, self.n_outputs, code)
