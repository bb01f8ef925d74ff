"""Long functions in parts: optimising compilers take more than linear time for one, or break.

GCC 12 at -O2 overflows its own stack on one function of 100,000 chained operations. Parts of about a thousand
operations compile in time that grows with their number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from alkahest.emitting.c_names import free_prefix

PART_CHARACTERS = 10_000
LINE = 110

_NAME = re.compile(r"[A-Za-z_]\w*")


class Statement(NamedTuple):
    """The definition of one temporary."""

    kind: str  # double, float or int
    name: str
    text: str

    def __str__(self) -> str:
        return f"const {self.kind} {self.name} = {self.text};"


class Names(NamedTuple):
    """What a function and its parameters are called."""

    function: str
    real: str
    inputs: Sequence[str]


def assemble(names: Names, signature: str, first: list[str], statements: list[Statement], last: list[str]) -> str:
    """Return the text of a function: `first`, the temporaries, `last`; static functions come before a long one."""
    if sum([len(s.text) for s in statements]) <= 2 * PART_CHARACTERS:
        return _function(signature, [*first, *map(str, statements), *last])
    parts = _parts(statements)
    texts, calls = _Stored(names, parts, last).write()
    return "\n".join([*texts, _function(signature, [*first, *calls, *last])])


def _function(signature: str, lines: Sequence[str]) -> str:
    return "\n".join([*_wrapped(signature), *[f"    {line}" for line in lines], "}"]) + "\n"


def _wrapped(line: str) -> list[str]:
    """Break a long line after commas."""
    lines = [""]
    for piece in line.split(", "):
        joined = f"{lines[-1]}, {piece}" if lines[-1] else piece
        if len(joined) <= LINE or not lines[-1]:
            lines[-1] = joined
        else:
            lines[-1] += ","
            lines.append(f"        {piece}")
    return lines


def _parts(statements: list[Statement]) -> list[list[Statement]]:
    parts: list[list[Statement]] = [[]]
    size = 0
    for s in statements:
        if size > PART_CHARACTERS:
            parts.append([])
            size = 0
        parts[-1].append(s)
        size += len(s.text)
    return parts


class _Stored:
    """Parts as static functions, which pass temporaries on to later ones through an array."""

    def __init__(self, names: Names, parts: list[list[Statement]], last: list[str]) -> None:
        self.names = names
        self.parts = parts
        taken = [*names.inputs, names.function]
        self.prefix = free_prefix(f"{names.function}_part", taken)
        self.array = next(a for k in range(len(taken) + 1) if (a := "stored" + "_" * k) not in taken)
        self.kinds = {s.name: s.kind for part in parts for s in part}
        words = [[w for s in part for w in _NAME.findall(s.text)] for part in parts]
        words.append([w for line in last for w in _NAME.findall(line)])
        self.words = [dict.fromkeys(w) for w in words]  # of each part and of the end, in order, once
        home = {s.name: p for p, part in enumerate(parts) for s in part}
        # The last part that reads a temporary, for those which a later part than their own reads.
        self.until = {w: p for p, found in enumerate(self.words) for w in found if home.get(w, p) < p}
        self.places: dict[str, int] = {}
        self.size = 0

    def write(self) -> tuple[list[str], list[str]]:
        """Return the texts of the parts, and the lines that call them."""
        texts: list[str] = []
        calls: list[str] = []
        for p, part in enumerate(self.parts):
            inputs = [n for n in self.names.inputs if n in self.words[p]]
            parameters = ", ".join([f"{self.names.real} {n}" for n in inputs] + [f"{self.names.real} *{self.array}"])
            lines = [*self._loads(p), *map(str, part), *self._stores(p, part)]
            texts.append(_function(f"static void {self.prefix}{p}({parameters}) {{", lines))
            calls += _wrapped(f"{self.prefix}{p}({', '.join([*inputs, self.array])});")
        loads = self._loads(len(self.parts))
        return texts, [f"{self.names.real} {self.array}[{max(1, self.size)}];", *calls, *loads]

    def _loads(self, p: int) -> list[str]:
        lines: list[str] = []
        for name in self.words[p]:
            if name in self.places:
                compare = " != 0" if self.kinds[name] == "int" else ""
                place = f"{self.array}[{self.places[name]}]{compare}"
                lines.append(str(Statement(self.kinds[name], name, place)))
        return lines

    def _stores(self, p: int, part: list[Statement]) -> list[str]:
        """Give places to what later parts read; places whose values nobody reads any more serve again."""
        free = sorted([place for name, place in self.places.items() if self.until[name] == p], reverse=True)
        self.places = {name: place for name, place in self.places.items() if self.until[name] > p}
        lines: list[str] = []
        for s in part:
            if s.name in self.until:
                if not free:
                    free.append(self.size)
                    self.size += 1
                self.places[s.name] = free.pop()
                lines.append(f"{self.array}[{self.places[s.name]}] = {s.name};")
        return lines
