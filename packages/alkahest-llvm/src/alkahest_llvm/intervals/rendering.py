"""Pictures of shapes by interval pruning: which pixels lie where a function is below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alkahest.extend import CompileError, CompileOptions, Tape
from alkahest_llvm.blocks.machine import HALT
from alkahest_llvm.blocks.program import WORD
from alkahest_llvm.intervals.choosing import LANES
from alkahest_llvm.intervals.cutting import Context, Cutter, buffer, code, end_of
from alkahest_llvm.intervals.descending import LEAF, LEVEL, PIXELS, SIDE
from alkahest_llvm.intervals.records import PLACE, RECORD_WORDS, interval_kernels, number_kernels, records_of
from alkahest_llvm.optimising.optimiser import optimise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_ALIGNMENT = 64
_MOST_LEVELS = 4  # a tile of the highest level is 2048 pixels wide: progress is told that often


class PrunedShape:
    """A function of two inputs, made ready to tell where it is below zero. Several threads may ask at once.

    The tape has one output; it is optimised here. What is computed of a pixel has the same bits as what the LLVM tiers
    compute at the same point under the same options. Raises `CompileError` for single precision, and where an op has
    more operands than a record.
    """

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        if options.dtype != "f64":
            raise CompileError("pruning works in double precision.", remedy="Leave dtype as it is.")
        records = records_of(optimise(tape, options), options)
        operations = records.operations
        of_numbers, of_intervals = number_kernels(options), interval_kernels(options)
        numbers = of_numbers.addresses([o.numbers for o in operations])
        intervals = of_intervals.addresses([o.intervals for o in operations])
        # By number of the kernel, of which 0 is the one that halts.
        self._number_kernels = np.array([of_numbers.machine(HALT), *numbers], np.int64)
        self._interval_kernels = np.array([of_intervals.machine(HALT), *intervals], np.int64)
        self._facts = np.array([0, *[o.facts for o in operations]], np.int64)
        self._keep = of_numbers, of_intervals
        room = buffer(len(records.words))
        room[:-RECORD_WORDS] = records.words
        cutter = Cutter(self._facts, records.n_places, records.n_places)
        self._records = cutter.cut(cutter.linked(room), lane=0)  # in any lane, as nothing is noted yet
        self._n_places = int(self._records[1:-RECORD_WORDS:RECORD_WORDS].max()) // PLACE + 1

    def below_zero(
        self, xs: NDArray[np.float64], ys: NDArray[np.float64], report: Callable[[int, int], None] | None = None
    ) -> NDArray[np.bool_]:
        """Return where the function is below zero at the points (xs[j], ys[i]), with a row for each of `ys`.

        `xs` and `ys` increase or decrease. `report` is told how many pixels are done, and how many there are.
        """
        records = self._records.copy()  # notes are written into it
        picture = _Picture(xs, ys)
        context = self._context(picture)
        top = len(picture.levels)
        tiles = [(tx, ty) for ty in range(picture.rows[top]) for tx in range(picture.columns[top])]
        for done, (tx, ty) in enumerate(tiles, 1):
            code().descend(context.address, top, tx, ty, records.ctypes.data, end_of(records))
            if report is not None:
                report(done * len(xs) * len(ys) // len(tiles), len(xs) * len(ys))
        return picture.image[: len(ys), : len(xs)].view(np.bool_)

    def _context(self, picture: _Picture) -> Context:
        """Return the context of one picture, with memory of its own."""
        n, n_words = self._n_places, len(self._records) - RECORD_WORDS
        context = Cutter(self._facts, n_words // RECORD_WORDS, n).context
        boxes, pixels = _aligned(n * 2 * LANES), _aligned(n * PIXELS)
        context.keep((boxes, pixels))
        context.set(
            interval_kernels=self._interval_kernels,
            number_kernels=self._number_kernels,
            interval_places=boxes.ctypes.data + WORD * LANES * np.arange(2 * n),
            number_places=pixels.ctypes.data + WORD * PIXELS * (np.arange(2 * n) // 2),
            image=picture.image,
            row_bytes=picture.image.shape[1],
            rows=picture.image.shape[0],
            xs=picture.xs,
            ys=picture.ys,
            levels=picture.levels,
        )
        for level in picture.levels:
            room = buffer(n_words)
            level[LEVEL.index("end")] = end_of(room)
            context.keep(room)
        return context


class _Picture:
    """An image and its tiles: how many there are at each level, and the bounds of their coordinates."""

    def __init__(self, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> None:
        self.xs, self.ys = _padded(xs, LEAF), _padded(ys, LEAF)
        self.image = np.zeros((len(self.ys), len(self.xs)), np.uint8)
        self.columns, self.rows = [len(self.xs) // LEAF], [len(self.ys) // LEAF]
        while len(self.columns) < 2 or (len(self.columns) <= _MOST_LEVELS and self.columns[-1] + self.rows[-1] > 2):
            self.columns.append(-(-self.columns[-1] // SIDE))
            self.rows.append(-(-self.rows[-1] // SIDE))
        self.levels = np.zeros((len(self.columns) - 1, len(LEVEL)), np.int64)
        self._bounds: list[Any] = []
        x, y = (self.xs, self.xs), (self.ys, self.ys)
        for n, level in enumerate(self.levels):
            x, y = (_grouped(ends, SIDE if n else LEAF) for ends in (x, y))
            self._bounds += [_padded(ends, SIDE) for ends in (*x, *y)]
            level[:4] = [ends.ctypes.data for ends in self._bounds[-4:]]
            words = {"columns": self.columns[n], "rows": self.rows[n], "size": LEAF * SIDE**n}
            for name, value in words.items():
                level[LEVEL.index(name)] = value


def _aligned(count: int) -> NDArray[np.float64]:
    """Return room for doubles at an address that vectors like."""
    room = np.empty(count + _ALIGNMENT // WORD)
    skipped = -room.ctypes.data % _ALIGNMENT // WORD
    return room[skipped : skipped + count]


def _padded(values: NDArray[np.float64], multiple: int) -> NDArray[np.float64]:
    """Return a copy whose length is a multiple, its last number repeated."""
    return np.pad(values, (0, -len(values) % multiple), mode="edge")


def _grouped(ends: tuple[Any, Any], size: int) -> tuple[Any, Any]:
    """Return least and greatest of each group of `size` bounds."""
    lo, hi = (_padded(e, size).reshape(-1, size) for e in ends)
    return lo.min(axis=1), hi.max(axis=1)
