"""The native code of pruning, loaded, and what it works with: the context, and memory to cut records down."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from alkahest_llvm.blocks.program import HALT, WORD
from alkahest_llvm.intervals import descending, specialising
from alkahest_llvm.intervals.records import PLACE, RECORD, RECORD_WORDS, X, Y
from alkahest_llvm.intervals.specialising import CHUNK, CONTEXT
from alkahest_llvm.loading import engine

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Code(NamedTuple):
    """The functions of `specialising` and `descending`, as ctypes calls them; `code` keeps them loaded."""

    link: Any
    specialise: Any
    descend: Any
    code: engine.Code


def code() -> Code:
    """Return the native code for this processor, loaded once."""
    return _loaded(engine.machine())


@cache
def _loaded(_: str) -> Code:
    names = ("alkahest_link", "alkahest_specialise", "alkahest_descend")
    loaded = engine.load(specialising.TEXT + descending.TEXT, names, {}, level=2)
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    link = ctypes.CFUNCTYPE(None, pointer, pointer, pointer)
    specialise = ctypes.CFUNCTYPE(pointer, pointer, pointer, pointer, pointer, word)
    descend = ctypes.CFUNCTYPE(None, pointer, word, word, word, pointer, pointer)
    return Code(link(loaded[names[0]]), specialise(loaded[names[1]]), descend(loaded[names[2]]), loaded)


class Context:
    """The words that native code is given, with the arrays behind them."""

    def __init__(self) -> None:
        self.words = np.zeros(len(CONTEXT), np.int64)
        self._kept: list[Any] = []

    @property
    def address(self) -> int:
        """Where the words are."""
        return self.words.ctypes.data

    def set(self, **values: NDArray[Any] | int) -> None:
        """Write numbers, or the addresses of arrays, which live as long as the context."""
        for name, value in values.items():
            self.words[CONTEXT.index(name)] = value if isinstance(value, int) else value.ctypes.data
            self.keep(value)

    def keep(self, value: Any) -> None:
        """Let a value live as long as the context."""
        self._kept.append(value)


class Cutter:
    """Cuts records down: `n_records` at most, with `n_places` at most alive at once, the inputs among them."""

    def __init__(self, facts: NDArray[np.int64], n_records: int, n_places: int, context: Context | None = None) -> None:
        self.context = context or Context()
        n = CHUNK + n_records
        places = np.zeros(n, np.int64)
        places[[X, Y]] = PLACE * X, PLACE * Y
        writers = np.zeros(n_places + 1, np.int32)
        writers[[X, Y]] = X, Y
        # The stack of free places: its top is its end, and the first ones are taken first.
        free = PLACE * np.arange(n_places - 1, Y, -1)
        live = np.zeros(n // CHUNK + 2, np.int64)
        self.context.set(facts=facts, live=live, places=places, free=free, free_count=len(free), writers=writers)

    def linked(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        """Note in new records, of which the last one halts, where operands come from; return them."""
        begin = records.ctypes.data
        code().link(self.context.address, begin, begin + records.nbytes - RECORD)
        return records

    def cut(self, records: NDArray[np.int64], lane: int) -> NDArray[np.int64]:
        """Return what matters of linked records in a lane, linked."""
        begin, room = records.ctypes.data, buffer(len(records) - RECORD_WORDS)
        to = end_of(room)
        cut = code().specialise(self.context.address, begin, begin + records.nbytes - RECORD, to, lane)
        return self.linked(room[(cut - room.ctypes.data) // WORD :].copy())


def buffer(n_words: int) -> NDArray[np.int64]:
    """Return room for records, with one after them that halts."""
    room = np.empty(n_words + RECORD_WORDS, np.int64)
    room[n_words] = HALT
    return room


def end_of(records: NDArray[np.int64]) -> int:
    """Return the address of the record that halts."""
    return records.ctypes.data + records.nbytes - RECORD
