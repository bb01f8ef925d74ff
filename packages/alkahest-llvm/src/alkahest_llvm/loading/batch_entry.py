"""The batch driver: any columns, strides and lengths, over kernels that know only whole blocks of contiguous numbers.

It is the same for every compiled function, so it is compiled once per process and element type.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

from alkahest.extend import ArityError
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.entries import DRIVE, entries
from alkahest_llvm.loading.units import Unit

# From so many bytes of all its columns on, outputs of a batch are written past the caches: `tuning.py --stores`.
STREAMED_BYTES = 15 << 20


class Driver(NamedTuple):
    """`call` is the driver as a ctypes function, which releases the interpreter lock; `code` keeps it loaded.

    The functions of the array entry are in that code as well.
    """

    call: Any
    code: engine.Code


drivers: dict[tuple[str, int], Driver] = {}  # in this process, by what their code depends on


def driver(real: str) -> Driver:
    """Return the driver for columns of "double" or "float"."""
    return drivers.get((real, STREAMED_BYTES)) or load_with_driver([], real)[1]


def load_with_driver(units: Sequence[Unit], real: str) -> tuple[engine.Code, Driver]:
    """Load units that the driver is going to call, and the driver where it is not loaded yet: at one go.

    The units that bring the driver along stay in memory as long as it does.
    """
    key = (real, STREAMED_BYTES)
    with engine.lock:
        found = drivers.get(key)
        if found is not None:
            return library.load(units), found
        code = library.load([*units, entries(*key)])
        i64, pointer = ctypes.c_int64, ctypes.c_void_p
        signature = ctypes.CFUNCTYPE(ctypes.c_int32, i64, pointer, i64, i64, pointer, i64, i64, pointer)
        found = drivers[key] = Driver(signature(code[DRIVE]), code)
        return code, found


def flat_columns(
    n_inputs: int, n_outputs: int, columns: Sequence[tuple[int, int]], out: Sequence[tuple[int, int]]
) -> list[int]:
    """Return (address, stride) pairs, inputs first, as one list; raise `ArityError` where they are not as many."""
    if len(columns) != n_inputs or len(out) != n_outputs:
        raise ArityError(
            f"the kernel wants {n_inputs} input and {n_outputs} output columns and was given {len(columns)} and "
            f"{len(out)}.",
            remedy="Pass one (address, stride) pair per input and per output of the tape.",
        )
    return [number for pair in (*columns, *out) for number in pair]
