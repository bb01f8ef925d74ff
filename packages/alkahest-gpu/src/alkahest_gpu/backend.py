"""The tier `cuda`: the PTX of a tape, compiled by the driver and run on its first device."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from alkahest.extend import CompileOptions, Tape, column_view
from alkahest_gpu.driver import CudaError, Driver, open_driver
from alkahest_gpu.nvptx import ARCHITECTURES, DEFAULT_NAME, assemble, kernel_ir, refusal

CHUNK = 1 << 22  # points: bounds the device memory of a call, whatever its length
ALIGNMENT = 256


class CudaBackend:
    """Runs tapes on the first visible CUDA device; columns on the host are copied there and back."""

    def unavailable(self) -> str:
        """Return "" where a driver has a device that this package makes code for, else the reason."""
        try:
            return _fault(open_driver())
        except CudaError as error:
            return error.message

    def refuses(self, tape: Tape) -> str:
        """Return "", or why the tape cannot become a kernel."""
        return refusal(tape)

    def compile(self, tape: Tape, options: CompileOptions) -> CudaKernel:
        """Return the kernel of a tape, loaded on the device."""
        return CudaKernel(tape, options, open_driver())


class CudaKernel:
    """One tape as a kernel on the device: for columns on the host, and for addresses on the device."""

    def __init__(self, tape: Tape, options: CompileOptions, driver: Driver) -> None:
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self._dtype, self._itemsize = ("float64", 8) if options.dtype == "f64" else ("float32", 4)
        self._driver = driver
        ir = kernel_ir(tape, options)
        self.artifacts: Mapping[str, str] = {"ptx": assemble(ir, best_architecture(driver.capability)), "llvm-ir": ir}
        with driver.current():
            module, self._function = driver.load(self.artifacts["ptx"], DEFAULT_NAME)
        weakref.finalize(self, _unload, driver, module).atexit = False

    def call_columns(self, n: int, columns: Sequence[tuple[int, int]], out: Sequence[tuple[int, int]]) -> None:
        """Evaluate `n` points of host columns of any stride: copied in, computed and copied out in chunks."""
        if n == 0 or not out:
            return
        pitch = -(-min(n, CHUNK) * self._itemsize // ALIGNMENT) * ALIGNMENT
        with self._driver.current(), self._driver.memory(pitch * (len(columns) + len(out))) as base:
            places = range(base, base + pitch * (len(columns) + len(out)), pitch)
            for start in range(0, n, CHUNK):
                m = min(CHUNK, n - start)
                for (address, stride), place in zip(columns, places, strict=False):
                    self._copy_in(place, address + start * stride, stride, m)
                self._driver.launch(self._function, m, places)
                for (address, stride), place in zip(out, places[len(columns) :], strict=True):
                    self._copy_out(address + start * stride, stride, place, m)

    def call_device_ptrs(self, n: int, columns: Sequence[int], out: Sequence[int], stream: int = 0) -> None:
        """Enqueue `n` points on `stream` and return at once; columns are contiguous and do not overlap.

        The addresses belong to the first visible device; `stream` is a `CUstream` of its primary context, 0 the
        default one.
        """
        if n:
            with self._driver.current():
                self._driver.launch(self._function, n, [*columns, *out], stream)

    def _copy_in(self, place: int, address: int, stride: int, m: int) -> None:
        import numpy as np

        column = np.ascontiguousarray(column_view(address, stride, m, self._dtype))
        self._driver.copy_in(place, column.ctypes.data, column.nbytes)

    def _copy_out(self, address: int, stride: int, place: int, m: int) -> None:
        import numpy as np

        if stride == self._itemsize:
            self._driver.copy_out(address, place, m * self._itemsize)
            return
        column = np.empty(m, self._dtype)
        self._driver.copy_out(column.ctypes.data, place, column.nbytes)
        column_view(address, stride, m, self._dtype)[...] = column


def best_architecture(capability: tuple[int, int]) -> str:
    """Return the latest of `ARCHITECTURES` that a device of this compute capability runs, or "".

    >>> best_architecture((8, 7)), best_architecture((12, 1)), best_architecture((6, 1))
    ('sm_86', 'sm_120', '')
    """
    level = 10 * capability[0] + capability[1]
    return next((a for a in reversed(ARCHITECTURES) if int(a.removeprefix("sm_")) <= level), "")


def _fault(driver: Driver) -> str:
    if best_architecture(driver.capability):
        return ""
    major, minor = driver.capability
    return f"{driver.device_name} has compute capability {major}.{minor}; 7.5 or later is needed"


def _unload(driver: Driver, module: Any) -> None:
    with suppress(CudaError), driver.current():  # a context that is gone took the module along
        driver.unload(module)
