"""Where CPython keeps what floats, lists and tuples hold, found out and checked in the process that uses it."""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from functools import cache
from typing import NamedTuple


class ObjectLayout(NamedTuple):
    """Offsets in bytes from an object's address."""

    type: int
    size: int
    list_items: int
    tuple_items: int
    float_value: int
    bytes_start: int


@cache
def object_layout() -> ObjectLayout | None:
    """Return the offsets, or None where they cannot be relied on: another Python, or one without a global lock."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None
    head, word = object.__basicsize__, ctypes.sizeof(ctypes.c_void_p)
    layout = ObjectLayout(
        type=head - word,
        size=head,
        list_items=head + word,
        tuple_items=tuple.__basicsize__,
        float_value=head,
        bytes_start=bytes.__basicsize__ - 1,
    )
    return layout if holds(layout) else None


def holds(layout: ObjectLayout) -> bool:
    """Return whether objects of this process are laid out so."""
    number, text = 1.2345e-67, b"sixteen bytes..."
    pair, row = (number, text), [number, text]
    want = [id(number), id(text)]
    return (
        all(_word(o, layout.type) == id(type(o)) for o in (number, text, pair, row, 7))
        and _word(pair, layout.size) == _word(row, layout.size) == 2
        and _words(id(pair) + layout.tuple_items) == want
        and _words(_word(row, layout.list_items)) == want
        and ctypes.c_double.from_address(id(number) + layout.float_value).value == number
        and ctypes.string_at(id(text) + layout.bytes_start, len(text)) == text
    )


def _word(thing: object, offset: int) -> int:
    return ctypes.c_size_t.from_address(id(thing) + offset).value


def _words(address: int) -> list[int]:
    return list((ctypes.c_size_t * 2).from_address(address))
