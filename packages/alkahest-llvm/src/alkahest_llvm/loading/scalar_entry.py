"""The scalar entry: C function objects that read Python numbers, evaluate a tape and return Python numbers.

One function written in IR serves all tapes: it unpacks the arguments into an array of doubles, calls the tape's code,
and packs what comes back. It uses functions of CPython's stable interface. In front of it stands a shorter way for
calls with floats, which reads them where they lie; it is used where `object_layout` vouches for that.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from alkahest.extend import ArityError, real_numbers
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.object_layout import object_layout
from alkahest_llvm.loading.python_functions import PythonFunction, python_names
from alkahest_llvm.loading.scalar_short_text import SHORT
from alkahest_llvm.loading.scalar_text import (
    FALLS_BACK,
    GENERAL,
    GET_ITEM,
    GET_ITEM_HERE,
    GIVES_LIST,
    NUMBERS_ON_STACK,
    TAKES_LIST,
    TAKES_NUMBERS,
)

_RECORD = struct.Struct("=6q")


class Bound(NamedTuple):
    """The `__self__` of a scalar function: it owns all that the function needs. The code reads the first three."""

    record: bytes
    wrong_number: Callable[[int], None]
    fallback: Callable[..., Any]
    keep: Any
    function: PythonFunction

    def call_entry(
        self, fallback: Callable[..., Any], left: ctypes.c_int64, *, numbers: bool = False, gives_list: bool = False
    ) -> Any | None:
        """Return a C function for exactly one list or tuple, or for the numbers themselves, None where there is none.

        It takes floats and ints that fit, counts each call down in `left`, and hands all other calls, and those that
        find 0 in `left`, to `fallback`. `gives_list=True` gives a list even of one output.
        """
        if object_layout() is None:
            return None
        code, n_in, n_out, context, _, _ = _RECORD.unpack(self.record)
        does = (TAKES_NUMBERS if numbers else TAKES_LIST) | FALLS_BACK | (GIVES_LIST if gives_list else 0)
        record = _RECORD.pack(code, n_in, n_out, context, does, ctypes.addressof(left))
        function = _functions().with_fallback
        return function.bind(Bound(record, self.wrong_number, fallback, (self.keep, left), function))


def scalar_function(code: int, inputs: Sequence[str], n_outputs: int, keep: object, *, context: int = 0) -> Any:
    """Return the C function object around `void code(ptr in, ptr out, ptr context)`, over arrays of doubles.

    It takes a list or tuple of one number per input, or the numbers themselves, and returns a float, or a list of
    floats where there are several outputs. A wrong number of arguments raises `ArityError`, which is a `TypeError`;
    what is no real number raises `ArrayError`, `DtypeError` or `NumberOverflowError`. `keep` is what must live as long
    as the function. Its `__self__` is `Bound`, which makes functions with a fallback of the same code.
    """
    record = _RECORD.pack(code, len(inputs), n_outputs, context, TAKES_LIST | TAKES_NUMBERS, 0)
    function = _functions().alone
    wrong_number = _arity_error(inputs)

    def careful(*xs: Any) -> Any:
        """Say what is wrong with what the code cannot read, or else evaluate."""
        numbers = real_numbers(xs[0] if len(xs) == 1 and isinstance(xs[0], list | tuple) else xs, inputs)
        return function.bind(Bound(record, wrong_number, _nothing_left, keep, function))(numbers)

    return function.bind(Bound(record, wrong_number, careful, keep, function))


def _nothing_left(*xs: Any) -> Any:
    raise TypeError(f"floats could not be read: {xs}")


class _Functions(NamedTuple):
    alone: PythonFunction
    with_fallback: PythonFunction


@cache
def _functions() -> _Functions:
    # The long way runs rarely, and is compiled several times faster unoptimised.
    alone = with_fallback = "alkahest_any"
    get_item = GET_ITEM if hasattr(ctypes.pythonapi, "PyList_GetItemRef") else GET_ITEM_HERE
    texts: list[tuple[str, int, tuple[str, ...]]] = [(get_item + GENERAL, 0, (alone,))]
    layout = object_layout()
    if layout is not None:
        alone, with_fallback = "alkahest_call", "alkahest_call_or_hand_over"
        short = _short_text({name.upper(): offset for name, offset in layout._asdict().items()})
        texts.append((short, 2, (alone, with_fallback)))
    units = [
        engine.compile_text(text, level)._replace(exports=exports, python=python_names(text))
        for text, level, exports in texts
    ]
    code = library.load(units)
    doc = "Evaluate at a list or tuple of numbers, or at the numbers."
    return _Functions(
        PythonFunction(code, alone, "compiled", doc),
        PythonFunction(code, with_fallback, "compiled", doc, keywords=layout is not None),
    )


def _short_text(offsets: dict[str, int]) -> str:
    words = {"ON_STACK": NUMBERS_ON_STACK, "TAKES_LIST": TAKES_LIST, "TAKES_NUMBERS": TAKES_NUMBERS}
    words |= {"GIVES_LIST": GIVES_LIST, "FALLBACK_AT": offsets["TUPLE_ITEMS"] + 2 * ctypes.sizeof(ctypes.c_void_p)}
    words |= offsets
    text = SHORT
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, str(words[word]))
    return text


def _arity_error(names: Sequence[str]) -> Any:
    wanted = f"{len(names)} input{'' if len(names) == 1 else 's'} ({', '.join(names)})"

    def wrong_number(given: int) -> None:
        raise ArityError(
            f"this compiled function takes {wanted} and was called with {given}.",
            remedy="Pass one number per symbol, in the order given to compile_expr, or a list of them.",
        )

    return wrong_number
