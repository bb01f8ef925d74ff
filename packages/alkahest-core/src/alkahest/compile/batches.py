"""Batches: a kernel over whole arrays, in pieces that bound the memory which conversions and copies take."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from alkahest.compile.columns import as_array, common_shape, convert, flat_stride
from alkahest.compile.protocols import Column, Kernel
from alkahest.compile.results import empty_result
from alkahest.compile.threads import run_pieces
from alkahest.errors import ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_PIECE = 1 << 20  # points
_SHORTEST_PIECE = 1 << 10
_SMALL = 1 << 12
_COPIED_BYTES = 1 << 20  # of all columns, where a piece is copied: it should stay in a core's cache
_SHARED_BYTES = 1 << 23  # of all columns, where others wait for the last piece
# Operations, each on one point: what takes about a tenth of a second, after which an interrupt is seen; and what takes
# so long that handing a part of it to another thread pays.
_PIECE_OPERATIONS = 1 << 26
THREAD_OPERATIONS = 1 << 17

Place = tuple[int | slice, ...]


class Piece(NamedTuple):
    """`points` points from point `start` on, in C order; `place` is where they are in an array of the batch's axes."""

    start: int
    points: int
    place: Place


class Batch:
    """Array-like arguments of one evaluation, of any types that hold real numbers: `shape`, and `size`, the points."""

    def __init__(self, values: Sequence[Any], dtype: np.dtype[Any]) -> None:
        arrays = [as_array(v) for v in values]
        self.dtype = dtype
        self.shape = common_shape(arrays)
        self.size = math.prod(self.shape)
        self._arrays = [convert(a, dtype) if a.size == 1 else a for a in arrays]

    def run(
        self,
        kernel: Kernel,
        *,
        operations: int = 1,
        out: Any = None,
        threads: int = 1,
        report: Callable[[int, int], None] | None = None,
    ) -> NDArray[Any]:
        """Evaluate and return `out`, or a new array.

        `operations` is how many there are for each point. `report(done, total)` is called as points are done.
        """
        if self.size <= _SMALL and out is None and report is None:
            found = self._run_small(kernel)
            if found is not None:
                return found
        shape = self.shape if kernel.n_outputs == 1 else (kernel.n_outputs, *self.shape)
        result = empty_result(shape, self.dtype) if out is None else check_out(out, shape, self.dtype)
        if not self.size or not kernel.n_outputs:
            return result
        rows = [result] if kernel.n_outputs == 1 else [result[k, ...] for k in range(kernel.n_outputs)]
        arrays, aliased = (self._arrays, False) if out is None else _separated(self._arrays, rows)
        layout = _Layout(kernel, self, arrays, rows, aliased)
        points, threads = _division(kernel, self.size, operations, layout, threads)
        if self.size <= points and not layout.copies and report is None:
            kernel.call_columns(self.size, layout.inputs, layout.outputs)
            return result

        def tell(done: int) -> None:
            if report is not None:
                report(done, self.size)

        run_pieces(pieces(layout.axes, points), lambda: layout.worker(points), threads, tell)
        return result

    def _run_small(self, kernel: Kernel) -> NDArray[Any] | None:
        """Evaluate copies, where the kernel takes arrays: for few points that is done sooner than looking into them."""
        import numpy as np

        functions: Any = getattr(kernel, "arrays", None)
        if functions is None:
            return None
        shape = self.shape if kernel.n_outputs == 1 else (kernel.n_outputs, *self.shape)
        arrays = [
            a if a.size == 1 else np.ascontiguousarray(np.broadcast_to(convert(a, self.dtype), self.shape))
            for a in self._arrays
        ]
        return functions.call(np.empty(shape, self.dtype), *arrays)


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return `out` where it is a writable array of that shape and type, else raise `ShapeError`."""
    import numpy as np

    if not isinstance(out, np.ndarray):
        raise ShapeError(f"out is a {type(out).__name__}.", remedy="Pass a NumPy array to write to.")
    out = cast("NDArray[Any]", out)
    if out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        raise ShapeError(
            f"out has shape {out.shape} and dtype {out.dtype}{'' if out.flags.writeable else ', read-only'}; "
            f"a writable array of shape {shape} and dtype {dtype} is needed.",
            remedy=f"Pass numpy.empty({shape}, numpy.{dtype}).",
        )
    if any([step == 0 and length > 1 for step, length in zip(out.strides, shape, strict=True)]):
        raise ShapeError(
            "out has several entries in one place of memory.", remedy=f"Pass numpy.empty({shape}, numpy.{dtype})."
        )
    return out


def pieces(shape: tuple[int, ...], points: int) -> Generator[Piece]:
    """Yield pieces of at most `points` points that make up an array of `shape`, none of whose lengths is 0."""
    import numpy as np

    axis = len(shape)
    inner = 1
    while axis and inner * shape[axis - 1] <= points:
        axis -= 1
        inner *= shape[axis]
    if not axis:
        yield Piece(0, inner, ())
        return
    rows = max(1, points // inner)
    length = shape[axis - 1]
    start = 0
    for outer in np.ndindex(shape[: axis - 1]):
        for first in range(0, length, rows):
            count = min(rows, length - first) * inner
            yield Piece(start, count, (*outer, slice(first, first + rows)))
            start += count


def _separated(arrays: Sequence[NDArray[Any]], rows: Sequence[NDArray[Any]]) -> tuple[list[NDArray[Any]], bool]:
    """Return inputs that no result overwrites before they are read, and whether one has the very places of a result.

    What lies in the same places piece by piece need not be copied as a whole.
    """
    import numpy as np

    safe: list[NDArray[Any]] = []
    aliased = False
    for a in arrays:
        shared = [row for row in rows if np.may_share_memory(a, row)]
        same = len(shared) == 1 and a.__array_interface__ == shared[0].__array_interface__
        aliased |= same
        safe.append(a.copy() if shared and not same else a)
    return safe, aliased


def points_of_a_piece(operations: int) -> int:
    """Return how many points a piece may have at most, where there are so many operations for each."""
    return min(LONGEST_PIECE, max(_SHORTEST_PIECE, _PIECE_OPERATIONS // max(1, operations)))


def _division(kernel: Kernel, size: int, operations: int, layout: _Layout, threads: int) -> tuple[int, int]:
    """Return how many points a piece has, and how many threads take them."""
    if not getattr(kernel, "releases_gil", False):
        return LONGEST_PIECE, 1  # it has a way of its own with memory, or a device that likes much at once
    points = points_of_a_piece(operations)
    if size * max(1, operations) < THREAD_OPERATIONS:
        threads = 1
    if layout.copies:
        points = min(points, _COPIED_BYTES // layout.bytes_per_point)
    if threads > 1:
        points = min(points, _SHARED_BYTES // layout.bytes_per_point, size // (8 * threads))
    points = max(points, _SHORTEST_PIECE)
    points -= points % 64
    return points, min(threads, -(-size // points))


class _Layout:
    """Where the columns of a batch are: read and written in place where the kernel can, else copied piece by piece.

    `inputs` and `outputs` are the columns; one that is copied has address 0. `copies` are how many these are, `axes`
    the lengths that `pieces` cuts.
    """

    def __init__(
        self,
        kernel: Kernel,
        batch: Batch,
        arrays: Sequence[NDArray[Any]],
        rows: Sequence[NDArray[Any]],
        aliased: bool,
    ) -> None:
        import numpy as np

        self._kernel = kernel
        self._dtype = batch.dtype
        self._contiguous = bool(getattr(kernel, "contiguous", False))
        full = [a if a.shape == batch.shape else np.broadcast_to(a, batch.shape) for a in arrays]
        self._alive = (full, rows)  # columns are but addresses
        self.inputs = [self._column(a) for a in full]
        self.outputs = [(0, 0) if aliased else self._column(row, written=True) for row in rows]
        self._read = [(k, full[k]) for k, (address, _) in enumerate(self.inputs) if not address]
        self._written = [(k, rows[k]) for k, (address, _) in enumerate(self.outputs) if not address]
        self.copies = len(self._read) + len(self._written)
        self.bytes_per_point = (len(full) + len(rows)) * batch.dtype.itemsize
        self.axes = batch.shape
        if all(flat_stride(a) is not None for _, a in (*self._read, *self._written)):
            self.axes = (batch.size,)
            self._read = [(k, a.reshape(-1)) for k, a in self._read]
            self._written = [(k, a.reshape(-1)) for k, a in self._written]

    def _column(self, array: NDArray[Any], *, written: bool = False) -> Column:
        """Return address and stride of an array that the kernel can use in place, else (0, 0)."""
        if array.dtype != self._dtype:
            return 0, 0
        stride = flat_stride(array)
        if stride is None or (stride == 0 and written and array.size > 1):
            return 0, 0
        if self._contiguous and stride != array.itemsize and array.size > 1:
            return 0, 0
        return array.ctypes.data, stride

    def worker(self, points: int) -> Callable[[Piece], int]:
        """Return what evaluates pieces of at most `points` points, with memory of its own for copies."""
        import numpy as np

        memory = np.empty((self.copies, min(points, math.prod(self.axes))), self._dtype)
        taken, given = memory[: len(self._read)], memory[len(self._read) :]
        inputs, outputs = self._moving(self.inputs, self._read, taken), self._moving(self.outputs, self._written, given)

        def run(piece: Piece) -> int:
            start, points, place = piece
            for buffer, (_, array) in zip(taken, self._read, strict=True):
                _fill(buffer[:points], array[place])
            self._kernel.call_columns(
                points,
                [(address + step * start, stride) for address, stride, step in inputs],
                [(address + step * start, stride) for address, stride, step in outputs],
            )
            for buffer, (_, array) in zip(given, self._written, strict=True):
                target = array[place]
                target[...] = buffer[:points].reshape(target.shape)
            return points

        return run

    def _moving(
        self, columns: list[Column], copied: list[tuple[int, NDArray[Any]]], memory: NDArray[Any]
    ) -> list[tuple[int, int, int]]:
        """Return address and stride of each column, and how far the address moves with each point of a batch."""
        found = [(address, stride, stride) for address, stride in columns]
        for (k, _), buffer in zip(copied, memory, strict=True):
            found[k] = (buffer.ctypes.data, self._dtype.itemsize, 0)
        return found


def _fill(buffer: NDArray[Any], array: NDArray[Any]) -> None:
    """Write the numbers of an array of any type into a buffer, in C order."""
    import numpy as np

    if array.dtype.kind == "O":
        array = convert(array, buffer.dtype)
    with np.errstate(all="ignore"):  # a double beyond single precision is infinite there
        buffer.reshape(array.shape)[...] = array
