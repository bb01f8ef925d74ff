"""The direct path: small batches of plain NumPy arrays, in a microsecond instead of twenty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from alkahest.compile.batches import THREAD_OPERATIONS, points_of_a_piece
from alkahest.compile.protocols import Kernel

if TYPE_CHECKING:
    import numpy as np

Direct = Callable[[Sequence[Any], Any, int], Any]


def direct_path(kernel: Kernel, dtype: np.dtype[Any], operations: int) -> Direct:
    """Return a function of arrays, `out` and threads for batches that need no care, which returns None for any other.

    It is for kernels that take NumPy arrays as they are; see `protocols.Kernel`.
    """
    import numpy as np

    call: Callable[..., Any] | None = getattr(kernel, "call_arrays", None)
    if call is None:
        return lambda arrays, out, threads: None
    ndarray, empty = np.ndarray, np.empty
    n_outputs = kernel.n_outputs
    longest, longest_alone = points_of_a_piece(operations), THREAD_OPERATIONS // max(1, operations)

    def run(arrays: Sequence[Any], out: Any, threads: int) -> Any:
        first = arrays[0]
        if out is None and first.__class__ is ndarray and first.size <= (longest if threads == 1 else longest_alone):
            shape = first.shape
            found = call(empty(shape if n_outputs == 1 else (n_outputs, *shape), dtype), *arrays)
            if found is not None:
                return found
        plain = _plain_arrays(arrays, dtype)
        if plain is None:
            return None
        largest = max(plain, key=_size)
        if largest.size > (longest if threads == 1 else longest_alone):
            return None
        if out is None:
            shape = largest.shape
            out = empty(shape if n_outputs == 1 else (n_outputs, *shape), dtype)
        elif out.__class__ is not ndarray or any([np.may_share_memory(out, a) for a in plain]):
            return None
        return call(out, *plain)

    return run


def _plain_arrays(values: Sequence[Any], dtype: np.dtype[Any]) -> Sequence[Any] | None:
    """Return arrays and numbers as arrays, None where there is anything else."""
    import numpy as np

    if all([v.__class__ is np.ndarray for v in values]):
        return values
    with nullcontext() if dtype.itemsize == 8 else np.errstate(all="ignore"):  # beyond single precision: infinite
        values = [np.asarray(v, dtype) if _is_plain_number(v) else v for v in values]
    return values if all([v.__class__ is np.ndarray for v in values]) else None


def _size(array: Any) -> int:
    return array.size


def _is_plain_number(value: Any) -> bool:
    return isinstance(value, float) or (value.__class__ is int and -(2**53) < value < 2**53)
