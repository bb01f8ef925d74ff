"""The direct path: small batches of plain NumPy arrays, in a microsecond instead of twenty."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from alkahest.compile.batches import THREAD_OPERATIONS, points_of_a_piece
from alkahest.compile.protocols import Kernel
from alkahest.compile.results import SMALLEST, empty_result
from alkahest.compile.threads import run_together

if TYPE_CHECKING:
    import numpy as np

_PARTS = 16  # for each thread: while the last is at work the others wait
_SHORTEST_PART = 1 << 10  # points

_Counter = ctypes.c_int64 * 3  # see `share` in `protocols.Kernel`


class DirectPath:
    """Batches that need no care, for kernels that take NumPy arrays as they are; see `protocols.Kernel`."""

    def __init__(self, kernel: Kernel, dtype: np.dtype[Any], operations: int) -> None:
        import numpy as np

        self._functions: Any = getattr(kernel, "arrays", None)
        self._n_outputs = kernel.n_outputs
        self._dtype = dtype
        self._ndarray, self._empty = np.ndarray, np.empty
        self._reused_from = SMALLEST // (dtype.itemsize * max(1, kernel.n_outputs))
        self._longest = points_of_a_piece(operations)
        self._longest_alone = THREAD_OPERATIONS // max(1, operations)

    def evaluate(self, arrays: Sequence[Any], out: Any, threads: int) -> Any:
        """Return the values, `out` where it is given; None for a batch that needs care."""
        if self._functions is None:
            return None
        first = arrays[0]
        if out is None and first.__class__ is self._ndarray:
            found = self._run(first.shape, first.size, arrays, None, threads)
            if found is not None:
                return found
        plain = _plain_arrays(arrays, self._dtype)
        if plain is None:
            return None
        if out is not None and (out.__class__ is not self._ndarray or _overlaps(out, plain)):
            return None
        largest = max(plain, key=_size)
        return self._run(largest.shape, largest.size, plain, out, threads)

    def _run(self, shape: tuple[int, ...], size: int, arrays: Sequence[Any], out: Any, threads: int) -> Any:
        if size > self._longest * threads:
            return None
        if out is None:
            empty = self._empty if size < self._reused_from else empty_result
            out = empty(shape if self._n_outputs == 1 else (self._n_outputs, *shape), self._dtype)
        if threads == 1 or size <= self._longest_alone:
            return self._functions.call(out, *arrays)
        return self._run_together(size, arrays, out, threads)

    def _run_together(self, size: int, arrays: Sequence[Any], out: Any, threads: int) -> Any:
        points = max(_SHORTEST_PART, size // (_PARTS * threads))
        counter = _Counter(0, points - points % 64, 0)

        def share() -> Any:
            return self._functions.share(ctypes.addressof(counter), out, *arrays)

        parts = -(-size // counter[1])
        linger = getattr(self._functions, "linger", None)
        return run_together(share, min(threads, parts), lambda: counter[2] >= size, linger)


def _plain_arrays(values: Sequence[Any], dtype: np.dtype[Any]) -> Sequence[Any] | None:
    """Return arrays and numbers as arrays, None where there is anything else."""
    import numpy as np

    if all([v.__class__ is np.ndarray for v in values]):
        return values
    with nullcontext() if dtype.itemsize == 8 else np.errstate(all="ignore"):  # beyond single precision: infinite
        values = [np.asarray(v, dtype) if _is_plain_number(v) else v for v in values]
    return values if all([v.__class__ is np.ndarray for v in values]) else None


def _overlaps(out: Any, arrays: Sequence[Any]) -> bool:
    import numpy as np

    return any([np.may_share_memory(out, a) for a in arrays])


def _size(array: Any) -> int:
    return array.size


def _is_plain_number(value: Any) -> bool:
    return isinstance(value, float) or (value.__class__ is int and -(2**53) < value < 2**53)
