"""Pieces of C expressions, and the rules of the lowering table "c" that join them with the fewest parentheses.

A rule is a format string such as "{0} * {1}" or "sin({0})". Its outermost operator is read from the text, so a rule
needs no annotation: what the operator binds, C's grammar says (C99 6.5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from string import Formatter
from typing import NamedTuple

from alkahest.emitting.c_helpers import HELPERS
from alkahest.emitting.c_names import CLASSIFICATIONS, MATH_FUNCTIONS

# How tightly an expression holds together; larger is tighter. CHOICE is what may stand alone or as an argument.
CHOICE, CONDITION, OR, AND, EQUALITY, RELATION, SUM, PRODUCT, UNARY, PRIMARY = range(10)
_BINARY = {
    "||": OR,
    "&&": AND,
    "==": EQUALITY,
    "!=": EQUALITY,
    "<": RELATION,
    "<=": RELATION,
    ">": RELATION,
    ">=": RELATION,
    "+": SUM,
    "-": SUM,
    "*": PRODUCT,
    "/": PRODUCT,
}
_LOGICAL = ("||", "&&")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")

_BINARY_SHAPE = re.compile(r"\{(\d+)\} (\|\||&&|[=!<>]=|[-+*/<>]) \{(\d+)\}")
_UNARY_SHAPE = re.compile(r"([-!])\{(\d+)\}")
_CHOICE_SHAPE = re.compile(r"\{(\d+)\} \? \{(\d+)\} : \{(\d+)\}")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_DOUBLE = re.compile(r"(?<![\w.])(\d+\.\d*(?:[eE][-+]?\d+)?)(?![\w.])")
_TYPES = frozenset(("double", "float", "int"))


class Fragment(NamedTuple):
    """A C expression: its text, how tightly it holds together, how deep it nests, and whether it is a truth value."""

    text: str
    precedence: int = PRIMARY
    depth: int = 0
    condition: bool = False

    def within(self, need: int) -> str:
        """Return the text for a place that asks for `need`, in parentheses where it holds less tightly.

        Compilers warn of `a && b || c`, which C would read as meant: it gets parentheses too.
        """
        if self.precedence >= need and not (need == OR and self.precedence == AND):
            return self.text
        return f"({self.text})"


class Template(NamedTuple):
    """A rule, read: texts and places `(argument, need)` in order, and what holds of the whole."""

    pieces: tuple[str | tuple[int, int], ...]
    precedence: int
    condition: bool = False  # the value is a truth value
    asks: frozenset[int] = frozenset()  # arguments that are read as truth values
    repeated: frozenset[int] = frozenset()  # arguments that stand more than once
    names: frozenset[str] = frozenset()  # functions and macros used

    def fill(self, args: Sequence[Fragment]) -> Fragment:
        """Return the expression with `args` in their places."""
        texts = [p if isinstance(p, str) else args[p[0]].within(p[1]) for p in self.pieces]
        depth = 1 + max([a.depth for a in args], default=0)
        return Fragment("".join(texts), self.precedence, depth, self.condition)


class MalformedRule(ValueError):
    """A format string with a field that is no argument of the primitive."""


@lru_cache(maxsize=1024)
def read_rule(rule: str, arity: int, single: bool) -> Template:
    """Return a rule's format string as a template; `single` asks for the functions and literals of `float`."""
    pieces = _pieces(rule, arity)
    fields = [p for p in pieces if isinstance(p, int)]
    shape = _operator_shape(rule) or _any_shape(rule, pieces)
    needs = iter(shape.needs)
    words = frozenset(w for p in pieces if isinstance(p, str) for w in _WORD.findall(p)) - _TYPES
    return Template(
        pieces=tuple([_translated(p, single) if isinstance(p, str) else (p, next(needs)) for p in pieces]),
        precedence=shape.precedence,
        condition=shape.condition,
        asks=shape.asks,
        repeated=frozenset([k for k in fields if fields.count(k) > 1]),
        names=words,
    )


def read_text(text: str, single: bool) -> Template:
    """Return what a rule that is a callable has written as a template without places."""
    words = frozenset(_WORD.findall(text)) - _TYPES
    shape = _any_shape(text, [])
    return Template((_translated(text, single),), shape.precedence, shape.condition, names=words)


class _Shape(NamedTuple):
    precedence: int
    needs: tuple[int, ...]
    condition: bool = False
    asks: frozenset[int] = frozenset()


def _pieces(rule: str, arity: int) -> list[str | int]:
    """Split a format string into texts and numbers of arguments."""
    pieces: list[str | int] = []
    for text, field, spec, conversion in Formatter().parse(rule):
        if text:
            pieces.append(text)
        if field is None:
            continue
        if spec or conversion or not field.isdecimal() or int(field) >= arity:
            raise MalformedRule(f"the field {{{field}}} is none of its {arity} argument(s)")
        pieces.append(int(field))
    return pieces


def _operator_shape(rule: str) -> _Shape | None:
    """Read a rule that is one operator between its arguments; None for all others."""
    if found := _BINARY_SHAPE.fullmatch(rule):
        level = _BINARY[found[2]]
        if found[2] in _LOGICAL:  # of equal value grouped either way
            return _Shape(level, (level, level), True, frozenset((int(found[1]), int(found[3]))))
        return _Shape(level, (level, level + 1), found[2] in _COMPARISONS)
    if found := _UNARY_SHAPE.fullmatch(rule):
        negation = found[1] == "!"
        return _Shape(UNARY, (PRIMARY,), negation, frozenset((int(found[2]),)) if negation else frozenset())
    if found := _CHOICE_SHAPE.fullmatch(rule):
        return _Shape(CHOICE, (CONDITION, CONDITION, CHOICE), asks=frozenset((int(found[1]),)))
    return None


def _any_shape(rule: str, pieces: Sequence[str | int]) -> _Shape:
    """Read any rule: a call or a parenthesis holds together, all else is taken to be loose."""
    needs: list[int] = []
    for k, piece in enumerate(pieces):
        if isinstance(piece, int):
            before = str(pieces[k - 1]).rstrip() if k else ""
            after = str(pieces[k + 1]).lstrip() if k + 1 < len(pieces) else ""
            alone = before.endswith(("(", ",")) and after.startswith((")", ","))
            needs.append(CHOICE if alone else PRIMARY)
    called = _WORD.match(rule)
    head = called[0] if called else ""
    whole = _holds_together(rule[len(head) :]) if head else _holds_together(rule)
    return _Shape(PRIMARY if whole else CHOICE, tuple(needs), condition=whole and head in CLASSIFICATIONS)


def _holds_together(text: str) -> bool:
    """Tell whether `text` is nothing, or one pair of parentheses and what it encloses."""
    depth = 0
    for k, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return k == len(text) - 1
    return not text


def _translated(text: str, single: bool) -> str:
    """Return text of a rule with the functions and literals of `float` where `single` asks for them."""
    if not single:
        return text
    text = _WORD.sub(lambda m: m[0] + "f" if m[0] in MATH_FUNCTIONS or m[0] in HELPERS else m[0], text)
    return _DOUBLE.sub(r"\1f", text)
