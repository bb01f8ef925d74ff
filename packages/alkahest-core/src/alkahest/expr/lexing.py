"""Formulas cut into tokens, and errors that show where in the text something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from alkahest.errors import AlkahestError, ParseError

_TOKEN = re.compile(
    r"""
    (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[^\W0-9]\w*|`[^`\s]+`)
  | (?P<operator>\*\*|<=|>=|==|!=|[-+*/^<>&|~])
  | (?P<open>[(\[])
  | (?P<close>[)\]])
  | (?P<comma>,)
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_AROUND = 36  # characters of a long line that an error shows on either side


class Token(NamedTuple):
    """A piece of a formula; `called` marks a name that a bracket follows."""

    kind: str  # number, name, operator, open, close, comma, end
    text: str
    position: int
    called: bool = False


class Source:
    """A text that is being read."""

    def __init__(self, text: str) -> None:
        self.text = text

    def tokens(self) -> Iterator[Token]:
        """Yield the tokens, last one of kind "end"; a character that belongs to none raises `ParseError`."""
        text = self.text
        position = self._skip(0)
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._stray(position)
            kind, found, at = str(match.lastgroup), match.group(), position
            position = self._skip(match.end())
            called = kind == "name" and text[position : position + 1] in ("(", "[")
            if kind == "name" and not (found[0] == "`" or found.isidentifier()):
                raise self._stray(at + next(k for k in range(len(found)) if not found[: k + 1].isidentifier()))
            yield Token(kind, found, at, called)
        yield Token("end", "", len(text))

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _stray(self, position: int) -> AlkahestError:
        character = self.text[position]
        remedy = {
            "=": "An equation is Eq(a, b) or a == b.",
            "!": "Write gamma(n + 1) for a factorial, ~(a) for a negation.",
            "%": "Write Mod(a, b), or a - b*floor(a/b).",
            "{": "Group with ( ) or [ ].",
            "}": "Group with ( ) or [ ].",
        }.get(character, "Remove it, or write it with + - * / ^, brackets and function calls.")
        return self.fault(f"the character {character!r} has no meaning in a formula", remedy, position)

    def fault(
        self,
        what: str,
        remedy: str,
        position: int,
        kind: type[AlkahestError] = ParseError,
        width: int = 1,
    ) -> AlkahestError:
        """Return an error of class `kind` that says `what` is wrong and shows the place."""
        start = self.text.rfind("\n", 0, position) + 1
        end = self.text.find("\n", position)
        line = self.text[start : len(self.text) if end < 0 else end]
        number, column = self.text.count("\n", 0, position) + 1, position - start
        place = f"line {number}, column {column + 1}" if "\n" in self.text else f"column {column + 1}"
        cut = max(column - _AROUND, 0)
        shown = _visible(line[cut : column + _AROUND])
        lead, tail = ("…" if cut else ""), ("…" if column + _AROUND < len(line) else "")
        marks = "^" * min(width, _AROUND)
        pad = " " * (len(lead) + column - cut)
        message = f"{what} ({place}):\n    {lead}{shown}{tail}\n    {pad}{marks}"
        return kind(message, remedy=remedy, position=position, line=number)


def _visible(text: str) -> str:
    return "".join([c if c.isprintable() else " " for c in text])
