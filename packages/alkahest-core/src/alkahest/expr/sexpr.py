"""S-expressions with line numbers, read without recursion: what FPCore is written in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from alkahest.errors import FPCoreError
from alkahest.expr.numerals import MAX_EXPONENT, exact_decimal, int_text, int_value

_TOKEN = re.compile(r'\s+|;[^\n]*|(?P<string>"(?:[^"\\]|\\.)*")|(?P<bracket>[()\[\]])|(?P<atom>[^\s()\[\]";]+)', re.S)
_RATIONAL = re.compile(r"[+-]?[0-9]+/[0-9]*[1-9][0-9]*")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(r"([+-]?)0x(?:([0-9a-f]+)(?:\.([0-9a-f]+))?|\.([0-9a-f]+))(?:p([+-]?[0-9]+))?", re.IGNORECASE)
_NUMBERS = (_RATIONAL, _DECIMAL, _HEXADECIMAL)
_SYMBOL = re.compile(r"[a-zA-Z~!@$%^&*_\-+=<>.?/:][a-zA-Z0-9~!@$%^&*_\-+=<>.?/:]*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Word(str):
    """A bare symbol among the properties of an FPCore, as in `:cite (hamming-1987)`; plain `str` is quoted text."""

    __slots__ = ()


class Atom(NamedTuple):
    """A symbol, number or quoted text; `text` is unquoted."""

    text: str
    line: int
    quoted: bool = False


class Form(list["Atom | Form"]):
    """A bracketed list."""

    def __init__(self, items: Iterable[Node] = (), line: int = 0, bracket: str = "(") -> None:
        super().__init__(items)
        self.line = line
        self.bracket = bracket


Node: TypeAlias = Atom | Form


def read_forms(text: str) -> list[Node]:
    """Return the forms of `text`. Brackets that do not match and unended strings raise `FPCoreError` with the line."""
    top = Form()
    open_forms = [top]
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:  # only an unended string matches nothing
            raise fault("a quoted text has no end", 'Close it with ".', line)
        token, kind = match.group(), match.lastgroup
        if kind == "bracket":
            _bracket(open_forms, token, line)
        elif kind == "string":
            open_forms[-1].append(Atom(_unquoted(token), line, quoted=True))
        elif kind == "atom":
            open_forms[-1].append(Atom(token, line))
        line += token.count("\n")
        position = match.end()
    if len(open_forms) > 1:
        raise fault("a bracket is never closed", "Close it.", open_forms[-1].line)
    return list(top)


def _bracket(open_forms: list[Form], bracket: str, line: int) -> None:
    if bracket in "([":
        form = Form(line=line, bracket=bracket)
        open_forms[-1].append(form)
        open_forms.append(form)
        return
    if len(open_forms) == 1:
        raise fault(f"{bracket!r} closes nothing", "Remove it, or open it.", line)
    form = open_forms.pop()
    if (form.bracket == "(") != (bracket == ")"):
        raise fault(f"{form.bracket!r} of line {form.line} is closed by {bracket!r}", "Match the brackets.", line)


def fault(what: str, remedy: str, line: int) -> FPCoreError:
    """Return the error that says `what` is wrong at `line`."""
    return FPCoreError(f"line {line}: {what}.", remedy=remedy, line=line, reason=what)


def unsupported(what: str, remedy: str, line: int) -> FPCoreError:
    """Return the error that says what at `line` is FPCore, and no part of the subset that is read here."""
    return FPCoreError(f"line {line}: {what}.", remedy=remedy, line=line, reason=what, unsupported=True)


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), token[1:-1], flags=re.DOTALL)


def quoted(text: str) -> str:
    r"""Return `text` in double quotes, with `"` and `\` escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=4096)  # a file has few words, many times
def is_symbol(text: str) -> bool:
    """Tell whether `text` is a symbol by FPCore's grammar, and no number."""
    return _SYMBOL.fullmatch(text) is not None and not any(n.fullmatch(text) for n in _NUMBERS)


@lru_cache(maxsize=4096)
def exact_number(text: str) -> Fraction | None:
    """Return the value of a rational, decimal or hexadecimal literal, None where `text` is none.

    A literal with an exponent out of all bounds raises `OverflowError`.
    """
    if _RATIONAL.fullmatch(text):
        above, _, below = text.partition("/")
        return Fraction(int_value(above), int_value(below))
    if _DECIMAL.fullmatch(text):
        value = exact_decimal(text)
        if value is None:
            raise OverflowError(text)
        return value
    match = _HEXADECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, after, fraction, exponent = match.groups()
    digits = after or fraction or ""
    return scaled(int(sign + (whole or "") + digits, 16), 2, int_value(exponent or "0") - 4 * len(digits))


def is_minus_zero(text: str) -> bool:
    """Tell whether a number is a zero with a sign: `-0.0` or `-0e1`; `-0` is the integer."""
    return text[0] == "-" and any(c in text for c in ".eEpP") and exact_number(text) == 0


def scaled(significand: int, base: int, exponent: int) -> Fraction:
    """Return `significand * base**exponent`, exactly."""
    if abs(exponent) * base.bit_length() > 4 * MAX_EXPONENT:
        raise OverflowError(f"{base}^{exponent}")
    return Fraction(significand) * Fraction(base) ** exponent


def data(node: Node) -> Any:
    """Return a form as tuples, `int`, `Fraction`, `Word` and `str`."""
    lists: list[list[Any]] = [[]]
    waiting = [iter([node])]
    while True:
        item = next(waiting[-1], None)
        if item is None:
            waiting.pop()
            done = lists.pop()
            if not waiting:
                return done[0]
            lists[-1].append(tuple(done))
        elif isinstance(item, Form):
            waiting.append(iter(item))
            lists.append([])
        else:
            lists[-1].append(_datum(item))


def _datum(atom: Atom) -> Any:
    if atom.quoted:
        return atom.text
    try:
        value = exact_number(atom.text)
    except OverflowError:
        return Word(atom.text)
    if value is None:
        return Word(atom.text)
    return value.numerator if value.denominator == 1 else value


def number_text(value: int | Fraction) -> str:
    """Return an exact number as FPCore writes it: `-2`, `1/3`."""
    if value.denominator == 1:
        return int_text(value.numerator)
    return f"{int_text(value.numerator)}/{int_text(value.denominator)}"
