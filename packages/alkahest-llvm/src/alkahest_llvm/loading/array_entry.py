"""The array entry: C function objects that evaluate a tape over NumPy arrays as they are.

Seeing addresses and strides of a few arrays from Python costs several microseconds, which is thousands of points; here
it is done through the buffer protocol, as CPython's stable interface defines it, in a tenth of that. And threads that
share one batch take parts of it by an atomic counter, without a lock between the parts.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, NamedTuple

from alkahest_llvm.loading import engine
from alkahest_llvm.loading.batch_entry import driver
from alkahest_llvm.loading.entries import ARRAYS, LINGER, MOST_ARRAYS, MOST_COLUMNS, SHARE
from alkahest_llvm.loading.python_functions import PythonFunction
from alkahest_llvm.targets import reads_cycles

# Below about this many operations, letting other threads run costs more than they gain.
_OPERATIONS_WITH_LOCK = 20_000


class _Record(NamedTuple):
    code: int
    n_in: int
    n_out: int
    context: int
    lanes: int
    frame_bytes: int
    letter: int
    itemsize: int
    short: int
    type: int

    def pack(self) -> bytes:
        return struct.pack("=10q", *self)


class ArrayFunctions(NamedTuple):
    """`call(out, *inputs)` and, for several threads at once, `share(address, out, *inputs)` and `linger(address)`."""

    call: Any
    share: Any
    linger: Any


def array_functions(
    code: int, n_in: int, n_out: int, keep: object, *, real: str, lanes: int, operations: int,
    frame_bytes: int = 0, context: int = 0,
) -> ArrayFunctions | None:  # fmt: skip
    """Return functions around batch code as `alkahest_drive` calls it, or None where there are too many columns.

    `real` is "double" or "float", `lanes` the numbers of a block, `operations` how many there are for a point: a batch
    of many lets other threads run. `call` evaluates arrays of that type and returns `out`, or returns None with
    nothing written: where they are no plain NumPy arrays of one shape (an input may be one number), or need a copy.
    `out` must share no memory with the inputs. `share` does so for the parts that no other thread has taken; at the
    address are three 64-bit integers: the point to go on from, the points to take at a time, a multiple of `lanes`, and
    the points that are done. `linger`, which may be None, waits for a 64-bit integer at the address to become another
    than zero, for a millisecond or two, without holding up other threads of Python. `keep` is what must live as long as
    the functions.
    """
    import numpy as np

    if not 0 < n_in < MOST_ARRAYS or not 0 < n_out <= MOST_COLUMNS - n_in:
        return None
    kind = np.dtype("float64" if real == "double" else "float32")
    short = _OPERATIONS_WITH_LOCK // max(1, operations)
    record = _Record(
        code, n_in, n_out, context, lanes, frame_bytes, ord(kind.char), kind.itemsize, short, id(np.ndarray)
    )
    entry = _entry(driver(real).code)
    bound = (record.pack(), keep, np.ndarray, entry)
    linger = entry.linger.bind(bound) if entry.linger else None
    return ArrayFunctions(entry.call.bind(bound), entry.share.bind(bound), linger)


class _Entry(NamedTuple):
    """The functions, one set for each driver: they stand in one object with it."""

    call: PythonFunction
    share: PythonFunction
    linger: PythonFunction | None


@cache
def _entry(code: engine.Code) -> _Entry:
    doc = "Evaluate arrays into the first; return it, or None where they are not as the function takes them."
    call = PythonFunction(code, ARRAYS, "call_arrays", doc)
    doc = "Do so with other threads, by the counter at an address."
    share = PythonFunction(code, SHARE, "share_arrays", doc)
    doc = "Wait shortly for a word at an address to be other than zero."
    linger = PythonFunction(code, LINGER, "linger", doc) if reads_cycles() else None
    return _Entry(call, share, linger)
