"""Texts that a regular expression matches."""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Iterator
from typing import Any

TRIES = 200
REPEATS = 4  # how often beyond its minimum an unbounded repetition is tried
PRINTABLE = "".join(map(chr, range(32, 127)))
CLASSES = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
    "CATEGORY_SPACE": " ",
}


def samples(pattern: str, seed: int) -> Iterator[str]:
    """Yield texts that the pattern matches as a whole, the same for the same seed; none where it finds none.

    Look-around and back references are met by chance only: what a pattern does not match is not yielded. A
    repetition is tried with more and more copies, so that a wanted length is met sooner or later.

    >>> next(samples("[A-Z]{3}-[0-9]{2}", 1)) == next(samples("[A-Z]{3}-[0-9]{2}", 1))
    True
    """
    compiled = re.compile(pattern)
    # Since Python 3.11 the parser of `re` has no public name.
    tree: Any = importlib.import_module("re._parser").parse(pattern)
    for k in range(TRIES):
        text = _Writer(random.Random(seed + k), k // 10).text(tree)
        if compiled.fullmatch(text):
            yield text


class _Writer:
    """Writes one text that fits a parsed pattern."""

    def __init__(self, draw: random.Random, extra: int) -> None:
        self._draw = draw
        self._extra = extra

    def text(self, tree: Any) -> str:
        """Return a text for a sequence of parsed items."""
        return "".join(self._item(str(op), argument) for op, argument in tree)

    def _item(self, op: str, argument: Any) -> str:
        if op == "LITERAL":
            return chr(argument)
        if op in ("IN", "NOT_LITERAL", "ANY", "CATEGORY"):
            return self._draw.choice(_characters(op, argument) or "?")
        if op == "BRANCH":
            return self.text(self._draw.choice(argument[1]))
        if op in ("SUBPATTERN", "ATOMIC_GROUP"):
            return self.text(argument[-1] if op == "SUBPATTERN" else argument)
        if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = argument
            copies = self._draw.randint(least, min(int(most), least + REPEATS + self._extra**2))
            return "".join(self.text(inner) for _ in range(copies))
        return ""  # anchors and look-around take no characters


def _characters(op: str, argument: Any) -> str:
    """Return the printable characters that a class of characters allows."""
    if op == "ANY":
        return PRINTABLE
    if op == "NOT_LITERAL":
        return PRINTABLE.replace(chr(argument), "")
    if op == "CATEGORY":
        return _category(str(argument))
    found = "".join(_member(str(o), a) for o, a in argument if str(o) != "NEGATE")
    if any(str(o) == "NEGATE" for o, _ in argument):
        return "".join(c for c in PRINTABLE if c not in found)
    return found


def _member(op: str, argument: Any) -> str:
    if op == "LITERAL":
        return chr(argument)
    if op == "RANGE":
        first, last = argument
        return "".join(map(chr, range(first, min(last, first + 255) + 1)))
    return _category(str(argument))


def _category(name: str) -> str:
    plain = name.replace("_NOT_", "_")
    inside = CLASSES.get(plain, "")
    return inside if plain == name else "".join(c for c in PRINTABLE if c not in inside)
