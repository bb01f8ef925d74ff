"""Pictures of shapes by interval pruning: which pixels lie where a function is below zero."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.blocks.machine import machine
from alkahest_llvm.blocks.program import HALT, WORD
from alkahest_llvm.intervals import descending, specialising
from alkahest_llvm.intervals.choosing import LANES
from alkahest_llvm.intervals.descending import LEAF, LEVEL, PIXELS, SIDE
from alkahest_llvm.intervals.records import (
    PLACE,
    RECORD,
    RECORD_WORDS,
    Operation,
    X,
    Y,
    interval_kernels,
    number_kernels,
    records_of,
)
from alkahest_llvm.intervals.specialising import CHUNK, CONTEXT
from alkahest_llvm.loading import engine
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.targets import host_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_ALIGNMENT = 64
_MOST_LEVELS = 4  # a tile of the highest level is 2048 pixels wide: progress is told that often


class _Code(NamedTuple):
    link: Any
    specialise: Any
    descend: Any
    code: engine.Code


def _code() -> _Code:
    return _compiled(engine.machine())


@cache
def _compiled(_: str) -> _Code:
    names = ("alkahest_link", "alkahest_specialise", "alkahest_descend")
    code = engine.load(specialising.TEXT + descending.TEXT, names, {}, level=2)
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    link = ctypes.CFUNCTYPE(None, pointer, pointer, pointer)
    specialise = ctypes.CFUNCTYPE(pointer, pointer, pointer, pointer, pointer, word)
    descend = ctypes.CFUNCTYPE(None, pointer, word, word, word, pointer, pointer)
    return _Code(link(code[names[0]]), specialise(code[names[1]]), descend(code[names[2]]), code)


def aligned(count: int) -> NDArray[np.float64]:
    """Return room for doubles at an address that vectors like."""
    room = np.empty(count + _ALIGNMENT // WORD)
    skipped = -room.ctypes.data % _ALIGNMENT // WORD
    return room[skipped : skipped + count]


class PrunedShape:
    """A function of two inputs, made ready to tell where it is below zero.

    The tape has one output; it is optimised here. What is computed of a pixel has the same bits as what the LLVM tiers
    compute at the same point under the same options.
    """

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        records = records_of(optimise(tape, options), options)
        self._tables = _Tables(records.operations, options)
        self._n_places = self._n_numbers = records.n_places
        context = np.zeros(len(CONTEXT), np.int64)
        kept = self._notebook(context)
        words = np.array(records.words, np.int64)
        room = self._buffer(len(words))
        begin, end, to = words.ctypes.data, words.ctypes.data + words.nbytes, room.ctypes.data + words.nbytes
        code = _code()
        code.link(context.ctypes.data, begin, end)
        cut = code.specialise(context.ctypes.data, begin, end, to, LANES)
        self._records: NDArray[np.int64] = room[(cut - room.ctypes.data) // WORD :].copy()
        start = self._records.ctypes.data
        code.link(context.ctypes.data, start, start + self._records.nbytes - RECORD)
        self._n_places = int(self._records[1:-RECORD_WORDS:RECORD_WORDS].max()) // PLACE + 1
        del kept

    def _notebook(self, context: NDArray[np.int64]) -> list[Any]:
        """Give a context what `link` and `specialise` write to, and return that; it must outlive the context."""
        n = CHUNK + self._n_numbers
        live, places = np.zeros(n // CHUNK + 2, np.int64), np.zeros(n, np.int64)
        places[[X, Y]] = PLACE * X, PLACE * Y
        # The stack of free places: its top is its end, and the first ones are taken first.
        free = PLACE * np.arange(self._n_places - 1, Y, -1)
        writers = np.zeros(n, np.int32)
        writers[[X, Y]] = X, Y
        _fill_in(context, facts=self._tables.facts, live=live, places=places, free=free, writers=writers)
        context[CONTEXT.index("free_count")] = len(free)
        return [live, places, free, writers]

    def _buffer(self, n_words: int) -> NDArray[np.int64]:
        """Return room for records, with one after them that halts."""
        room = np.empty(n_words + RECORD_WORDS, np.int64)
        room[n_words] = HALT
        return room

    def below_zero(
        self, xs: NDArray[np.float64], ys: NDArray[np.float64], report: Callable[[int, int], None] | None = None
    ) -> NDArray[np.bool_]:
        """Return where the function is below zero at the points (xs[j], ys[i]), with a row for each of `ys`.

        `xs` and `ys` increase or decrease. `report` is told how many pixels are done, and how many there are.
        """
        context = np.zeros(len(CONTEXT), np.int64)
        picture = _Picture(context, xs, ys)
        kept = [picture, *self._memory(context, picture)]
        begin = self._records.ctypes.data
        end = begin + self._records.nbytes - RECORD  # the last record halts
        top = len(picture.levels)
        tiles = [(tx, ty) for ty in range(picture.rows[top]) for tx in range(picture.columns[top])]
        for done, (tx, ty) in enumerate(tiles, 1):
            _code().descend(context.ctypes.data, top, tx, ty, begin, end)
            if report is not None:
                report(done * len(xs) * len(ys) // len(tiles), len(xs) * len(ys))
        del kept
        return picture.image[: len(ys), : len(xs)].view(np.bool_)

    def _memory(self, context: NDArray[np.int64], picture: _Picture) -> list[Any]:
        """Give the context of one run memory of its own, and return what must outlive it."""
        n = self._n_places
        boxes, pixels = aligned(n * 2 * LANES), aligned(n * PIXELS)
        room = boxes.ctypes.data + WORD * LANES * np.arange(2 * n), pixels.ctypes.data + WORD * PIXELS * np.arange(n)
        interval_places, number_places = room[0].astype(np.int64), np.repeat(room[1].astype(np.int64), 2)
        _fill_in(
            context,
            interval_kernels=self._tables.intervals,
            number_kernels=self._tables.numbers,
            interval_places=interval_places,
            number_places=number_places,
        )
        kept: list[Any] = [*self._notebook(context), boxes, pixels, interval_places, number_places]
        for level in picture.levels:
            buffer = self._buffer(len(self._records) - RECORD_WORDS)
            level[LEVEL.index("end")] = buffer.ctypes.data + WORD * (len(self._records) - RECORD_WORDS)
            kept.append(buffer)
        return kept


def _fill_in(context: NDArray[np.int64], **arrays: NDArray[Any]) -> None:
    """Write the addresses of arrays into words of a context."""
    for name, array in arrays.items():
        context[CONTEXT.index(name)] = array.ctypes.data


class _Tables:
    """The kernels of both machines by number, 0 being the one that halts, and the facts for `specialise`."""

    def __init__(self, operations: list[Operation], options: CompileOptions) -> None:
        machine_ = machine("double", host_target().lanes)
        numbers = number_kernels(options).addresses([o.numbers for o in operations])
        intervals = interval_kernels(options).addresses([o.intervals for o in operations])
        self.numbers = np.array([machine_.halt, *numbers], np.int64)
        self.intervals = np.array([machine_.halt, *intervals], np.int64)
        self.facts = np.array([0, *[o.facts for o in operations]], np.int64)
        self._kept = machine_


class _Picture:
    """An image and its tiles: how many there are at each level, and the bounds of their coordinates."""

    def __init__(self, context: NDArray[np.int64], xs: NDArray[np.float64], ys: NDArray[np.float64]) -> None:
        self.xs, self.ys = _padded(xs, LEAF), _padded(ys, LEAF)
        self.image = np.zeros((len(self.ys), len(self.xs)), np.uint8)
        self.columns, self.rows = [len(self.xs) // LEAF], [len(self.ys) // LEAF]
        while len(self.columns) < 2 or (len(self.columns) <= _MOST_LEVELS and self.columns[-1] + self.rows[-1] > 2):
            self.columns.append(-(-self.columns[-1] // SIDE))
            self.rows.append(-(-self.rows[-1] // SIDE))
        self.levels = np.zeros((len(self.columns) - 1, len(LEVEL)), np.int64)
        self._bounds: list[Any] = []
        x, y = (self.xs, self.xs), (self.ys, self.ys)
        factor = LEAF
        for n, level in enumerate(self.levels):
            x, y = _grouped(x, factor), _grouped(y, factor)
            bounds = [_padded(ends, SIDE) for ends in (*x, *y)]
            self._bounds += bounds
            level[:4] = [ends.ctypes.data for ends in bounds]
            level[LEVEL.index("columns")], level[LEVEL.index("rows")] = self.columns[n], self.rows[n]
            level[LEVEL.index("size")] = LEAF * SIDE**n
            factor = SIDE
        _fill_in(context, image=self.image, xs=self.xs, ys=self.ys, levels=self.levels)
        context[CONTEXT.index("row_bytes")] = self.image.shape[1]
        context[CONTEXT.index("rows")] = self.image.shape[0]


def _padded(values: NDArray[np.float64], multiple: int) -> NDArray[np.float64]:
    """Return a copy whose length is a multiple, its last number repeated."""
    return np.pad(values, (0, -len(values) % multiple), mode="edge")


def _grouped(ends: tuple[Any, Any], size: int) -> tuple[Any, Any]:
    """Return least and greatest of each group of `size` bounds."""
    lo, hi = (_padded(e, size).reshape(-1, size) for e in ends)
    return lo.min(axis=1), hi.max(axis=1)
