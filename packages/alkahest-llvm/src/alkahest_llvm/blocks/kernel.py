"""A tape on the machine: what dispatch gets from the fast tier."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from alkahest.extend import CompileOptions, Tape, once
from alkahest_llvm.blocks.assembler import assemble
from alkahest_llvm.blocks.forms import Setting
from alkahest_llvm.blocks.kernels import KernelSet, kernel_set
from alkahest_llvm.blocks.machine import LARGEST_CELLS
from alkahest_llvm.blocks.program import Program
from alkahest_llvm.blocks.running import block_code, cell_code
from alkahest_llvm.loading.batch_entry import driver, flat_columns
from alkahest_llvm.optimising.optimiser import optimise


class BlockArtifacts(Mapping[str, str]):
    """The program as text, "bytecode", and its kernels, "llvm-ir", each made when it is asked for."""

    def __init__(self, program: Program, kernels: KernelSet) -> None:
        self._program, self._kernels = program, kernels

    def __getitem__(self, key: str) -> str:
        if key == "bytecode":
            return str(self._program)
        if key == "llvm-ir":
            return self._kernels.text(self._program.forms)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("bytecode", "llvm-ir"))

    def __len__(self) -> int:
        return 2


class BlockKernel:
    """A tape on the machine. It may be called from several threads at once."""

    releases_gil = True

    def __init__(self, tape: Tape, options: CompileOptions, lanes: int) -> None:
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self._inputs = tape.inputs
        self._setting = setting = Setting(options, lanes)
        kernels = kernel_set(setting)
        self._program = assemble(optimise(tape, options), kernels)
        self.artifacts: Mapping[str, str] = BlockArtifacts(self._program, kernels)
        self._code = code = block_code(self._program, setting)
        self._constants = (self.n_inputs, self.n_outputs, code.address, lanes, code.frame_bytes, code.context)
        self._drive = driver(setting.real).call
        self._table = ctypes.c_int64 * (2 * (self.n_inputs + self.n_outputs))

    def call_columns(self, n: int, columns: Sequence[tuple[int, int]], out: Sequence[tuple[int, int]]) -> None:
        """Evaluate `n` points: (address, byte stride) per input column and per output column; stride 0 repeats."""
        table = self._table(*flat_columns(self.n_inputs, self.n_outputs, columns, out))
        if self._drive(n, table, *self._constants):
            raise MemoryError("no memory for the blocks of a batch")

    @once
    def arrays(self) -> Any:
        """C functions of a result and inputs that are NumPy arrays; see `array_functions`."""
        from alkahest_llvm.loading.array_entry import array_functions

        code, setting = self._code, self._setting
        return array_functions(
            code.address,
            self.n_inputs,
            self.n_outputs,
            code.keep,
            real=setting.real,
            lanes=setting.lanes,
            operations=len(self._program.words) // 4,  # a record is about so many
            frame_bytes=code.frame_bytes,
            context=code.context,
        )

    @once
    def scalar(self) -> Any:
        """A C function that takes a list or tuple of numbers, or the numbers; made the first time it is read.

        Raises `AttributeError` for a program whose places would take too much of a thread's stack.
        """
        if self._program.n_places > LARGEST_CELLS:
            raise AttributeError("a program of so many places has no scalar entry")
        from alkahest_llvm.loading.scalar_entry import scalar_function

        code = cell_code(self._program, replace(self._setting, lanes=1, blocks=False))
        return scalar_function(code.address, self._inputs, self.n_outputs, code.keep, context=code.context)
