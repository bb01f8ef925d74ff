"""Native interval evaluation over many boxes: the block machine with intervals in its slots."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alkahest.extend import ArityError, CompileError, CompileOptions, Tape
from alkahest_llvm.blocks.assembler import assemble
from alkahest_llvm.blocks.forms import Setting
from alkahest_llvm.blocks.kernels import kernel_set
from alkahest_llvm.blocks.running import block_code
from alkahest_llvm.intervals.rules import INTERVALS, with_squares
from alkahest_llvm.loading.batch_entry import driver
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.targets import host_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

Bounds = tuple[Any, Any]


class IntervalKernel:
    """A tape as native code over boxes, for enclosures of its outputs. It may be called from several threads at once.

    Raises `CompileError` for single precision.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> square = Tape(("x",), (), (Instr("mul", (0, 0)),), (1,))
    >>> [(lo, hi)] = IntervalKernel(square, CompileOptions()).enclosures([([-1.0, 0.0], [3.0, 0.0])])
    >>> lo.tolist(), hi.tolist()
    ([0.0, 0.0], [9.000000000000002, 5e-324])
    """

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        if options.dtype != "f64":
            raise CompileError("intervals are of double precision.", remedy="Leave dtype as it is.")
        setting = Setting(options, host_target().lanes, arithmetic=INTERVALS)
        self.inputs = tape.inputs
        self._program = assemble(with_squares(optimise(tape, options)), kernel_set(setting))
        self._code = block_code(self._program, setting)
        self._lanes, self._drive = setting.lanes, driver(setting.real).call

    def enclosures(self, boxes: Sequence[Bounds]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return bounds (lo, hi) for each output over `n` boxes, given as arrays (lo, hi) of length n for each input.

        They hold the exact value at every point of a box and what any LLVM tier computes there. Bounds of (-inf, inf)
        say nothing: the value may also be nan; any other bounds say that there is no nan. Raises `ArityError` for
        another number of inputs, or bounds of different lengths.
        """
        if len(boxes) != len(self.inputs):
            raise ArityError(
                f"the tape has {len(self.inputs)} input(s) and bounds are given for {len(boxes)}.",
                remedy="Give a pair (lo, hi) of arrays for each input.",
            )
        columns = [np.ascontiguousarray(end, np.float64) for pair in boxes for end in pair]
        lengths = {c.shape for c in columns} or {(1,)}
        if len(lengths) != 1 or len(next(iter(lengths))) != 1:
            raise ArityError("the bounds are not arrays of one length.", remedy="Pass one-dimensional arrays alike.")
        program, code = self._program, self._code
        ((n,),) = lengths
        results = np.empty((program.n_outputs, n))
        pairs = [(c.ctypes.data, c.itemsize) for c in (*columns, *results)]
        table = (ctypes.c_int64 * (2 * len(pairs)))(*[word for pair in pairs for word in pair])
        counts = program.n_inputs, program.n_outputs
        if self._drive(n, table, *counts, code.address, self._lanes, code.frame_bytes, code.context):
            raise MemoryError("no memory for the blocks of a batch")
        return [(results[k], results[k + 1]) for k in range(0, program.n_outputs, 2)]
