"""Pictures by interval evaluation over tiles in NumPy, for where no native code is to be had."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alkahest.compile.interpreter import InterpreterBackend
from alkahest.compile.protocols import CompileOptions
from alkahest.expr.tape import Tape
from alkahest.intervals.evaluation import evaluate
from alkahest.intervals.interval import Reals, Truths
from alkahest.intervals.table import interval_rules

SIZES = (64, 16, 4)  # pixels in a row of the tiles that are looked at, large ones first


class TiledShape:
    """A function of two inputs that is evaluated over tiles, over the undecided ones' parts, and at what is left."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._kernel = InterpreterBackend().compile(tape, CompileOptions())
        table = interval_rules()
        self._has_rules = all(op in table for op in tape.ops)

    def below_zero(self, xs: Reals, ys: Reals, report: Callable[[int, int], None] | None = None) -> Truths:
        """Return where the function is below zero at the points (xs[j], ys[i]), with a row for each of `ys`."""
        picture = np.zeros((len(ys), len(xs)), np.bool_)
        open_ = np.ones((1, 1), np.bool_)
        size = max(len(xs), len(ys))
        for smaller in SIZES if self._has_rules else ():
            open_ = _split(open_, size, smaller, picture.shape)
            size = smaller
            self._decide(picture, open_, size, xs, ys)
            if report is not None:
                report(max(picture.size - int(open_.sum()) * size * size, 0), picture.size)
        rows, columns = np.nonzero(_split(open_, size, 1, picture.shape))
        if len(rows):
            picture[rows, columns] = self._values(xs[columns], ys[rows]) < 0.0
        if report is not None:
            report(picture.size, picture.size)
        return picture

    def _decide(self, picture: Truths, open_: Truths, size: int, xs: Reals, ys: Reals) -> None:
        """Fill the open tiles that lie inside, and close all that are decided."""
        rows, columns = np.nonzero(open_)
        if not len(rows):
            return
        (x_lo, x_hi), (y_lo, y_hi) = _bounds(xs, size), _bounds(ys, size)
        boxes = [(x_lo[columns], x_hi[columns]), (y_lo[rows], y_hi[rows])]
        [found] = evaluate(self._tape, boxes)
        whole = found.defined & (found.hi < 0.0)
        decided = whole | (found.defined & (found.lo >= 0.0))
        for row, column in zip(rows[whole], columns[whole], strict=True):
            picture[row * size : (row + 1) * size, column * size : (column + 1) * size] = True
        open_[rows[decided], columns[decided]] = False

    def _values(self, xs: Reals, ys: Reals) -> Reals:
        values = np.empty(len(xs))
        inputs = [(a.ctypes.data, a.itemsize) for a in (np.ascontiguousarray(xs), np.ascontiguousarray(ys))]
        self._kernel.call_columns(len(xs), inputs, [(values.ctypes.data, values.itemsize)])
        return values


def _split(open_: Truths, size: int, smaller: int, shape: tuple[int, int]) -> Truths:
    """Return which tiles of a smaller size lie in open ones."""
    rows, columns = (np.arange(-(-n // smaller)) * smaller // size for n in shape)
    return open_[np.ix_(rows, columns)]


def _bounds(values: Reals, size: int) -> tuple[Reals, Reals]:
    """Return the least and the greatest of each run of `size` values."""
    padded = np.pad(values, (0, -len(values) % size), mode="edge").reshape(-1, size)
    return padded.min(axis=1), padded.max(axis=1)
