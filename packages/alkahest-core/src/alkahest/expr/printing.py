"""Expressions as a person would write them. `parse` reads the text back to the same node, and SymPy reads it too.

Floats print as Python writes them, and `parse` takes decimals as exact numbers unless told otherwise. Names that are
no identifiers stand in backquotes. Where two nodes would print alike, brackets keep them apart: `1/2` is the rational
number and `1/(2)` the quotient, `-2` the integer and `-(2)` a negation.

A condition is a number here and a number a condition, which they are not in SymPy. So a condition in arithmetic
prints as `Piecewise([1, x < y], [0, True])`, whose square brackets keep it apart from a choice between 1 and 0, and a
number that stands as a condition prints as `Ne(x, -0)`, whose sign keeps it apart from a comparison with 0.

What SymPy reads is the same function of real numbers, with one exception: `cbrt` is the real root here, and there the
principal one, which is complex for negative numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from alkahest.expr.numerals import int_text
from alkahest.expr.vocabulary import (
    AND,
    ATOM,
    COMPARISON,
    CONSTANT_NAMES,
    INFIX,
    KEYWORDS,
    LEVELS,
    OR,
    POWER,
    PRINTED,
    PRODUCT,
    SIGN,
    SUM,
    TRUTHS,
    meaning,
)

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import ExprPool, Node

DEFAULT_MAX_CHARS = 2000
_SPELLED_CONSTANTS = {const: name for name, const in CONSTANT_NAMES.items()}
SPINE = 64  # how far to look for a leading minus: beyond, the brackets that it would ask for are left out


def to_text(expr: Expr, max_chars: int | None = None) -> str:
    """Return `expr` as text, cut after `max_chars` characters with an ellipsis; None means all of it.

    Shared parts are written out wherever they occur, so that the whole text may be far larger than the expression.

    >>> from alkahest.expr.pool import ExprPool
    >>> x, y = ExprPool().symbols("x y")
    >>> to_text((x + y) ** 2 / 3 - (x - 1))
    '(x + y)^2/3 - (x - 1)'
    >>> to_text(x + y + 1, max_chars=5)
    'x + y…'
    """
    return spell(expr.id, _Text(expr.pool).parts, max_chars)


def spell(root: Any, parts: Callable[[Any], Sequence[Any]], max_chars: int | None = None) -> str:
    """Return the text of `root`, where `parts` splits an item into strings and further items."""
    out: list[str] = []
    room = -1 if max_chars is None else max_chars
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if item.__class__ is not str:
            stack.extend(reversed(parts(item)))
            continue
        out.append(item)
        if max_chars is not None:
            room -= len(item)
            if room < 0:
                return "".join(out)[:max_chars] + "…"
    return "".join(out)


def name_text(name: str) -> str:
    """Return a symbol's or a primitive's name as it stands in text: in backquotes where it is no free identifier."""
    return name if name.isidentifier() and name not in KEYWORDS else f"`{name}`"


def flat(nodes: list[Node], node: Node) -> list[int]:
    """Return the arguments of a binary operation nested to the left, in order."""
    op: str = node[0]
    left: int = node[1]
    out: list[int] = [node[2]]
    while nodes[left][0] == op:
        out.append(nodes[left][2])
        left = nodes[left][1]
    return [left, *reversed(out)]


def cases(nodes: list[Node], node: Node) -> tuple[list[tuple[int, int]], int]:
    """Return the cases (value, condition) of a choice nested in its last branch, and the last value."""
    out: list[tuple[int, int]] = []
    while True:
        out.append((node[2], node[1]))
        rest: int = node[3]
        node = nodes[rest]
        if node[0] != "where":
            return out, rest


class _Text:
    def __init__(self, pool: ExprPool) -> None:
        self._nodes: list[Node] = pool._nodes
        self._symbols = pool._symbols

    def parts(self, ident: int) -> Sequence[str | int]:
        """Return one node as strings and the ids of its arguments."""
        node = self._nodes[ident]
        op = node[0]
        special = _FORMS.get(op)
        if special is not None:
            return special(self, node)
        return self._infix(node) if op in INFIX else self._call(op, node[1:])

    # -- leaves

    def _symbol(self, node: Node) -> list[str | int]:
        return [name_text(node[1])]

    def _integer(self, node: Node) -> list[str | int]:
        return [int_text(node[1])]

    def _rational(self, node: Node) -> list[str | int]:
        return [f"{int_text(node[1])}/{int_text(node[2])}"]

    def _float(self, node: Node) -> list[str | int]:
        return [repr(node[1])]

    def _const(self, node: Node) -> list[str | int]:
        name = _SPELLED_CONSTANTS[node[1]]
        # A symbol of that name takes the plain form; called without arguments, the name is the constant.
        return [f"{name}()" if name in self._symbols else name]

    # -- operations

    def _sign(self, node: Node) -> list[str | int]:
        literal = self._op(node[1]) in ("integer", "rational", "float")
        return ["-", *self._enclosed(node[1], ATOM + 1 if literal else POWER)]

    def _not(self, node: Node) -> list[str | int]:
        return ["~", *self._condition(node[1], ATOM)]

    def _infix(self, node: Node) -> list[str | int]:
        op, left, right = node
        sign, level = INFIX[op]
        if op == "pow":
            return [*self._enclosed(left, ATOM), sign, *self._enclosed(right, ATOM)]
        if level == PRODUCT:
            return self._product(op, left, right)
        if level in (OR, AND):
            first = 0 if self._op(left) == op else SIGN
            return [*self._condition(left, first), f" {sign} ", *self._condition(right, SIGN)]
        if level == COMPARISON:
            return [*self._enclosed(left, SUM), f" {sign} ", *self._enclosed(right, SUM)]
        least = ATOM if self._begins_with_minus(right) else PRODUCT
        return [*self._enclosed(left, SUM), f" {sign} ", *self._enclosed(right, least)]

    def _product(self, op: str, left: int, right: int) -> list[str | int]:
        if op == "mul":
            return [*self._enclosed(left, PRODUCT), "*", *self._enclosed(right, POWER)]
        above, below = self._op(left), self._op(right)
        left_least = SIGN if above == "rational" else PRODUCT
        right_least = ATOM + 1 if above == below == "integer" else POWER
        return [*self._enclosed(left, left_least), "/", *self._enclosed(right, right_least)]

    def _extremum(self, node: Node) -> list[str | int]:
        return self._call(node[0], flat(self._nodes, node))

    def _choice(self, node: Node) -> list[str | int]:
        found, rest = cases(self._nodes, node)
        out: list[str | int] = [PRINTED["where"], "("]
        for value, condition in found:
            out += ["(", *self._number(value), ", ", *self._condition(condition, 0), "), "]
        return [*out, "(", *self._number(rest), ", True))"]

    def _call(self, op: str, args: Sequence[int]) -> list[str | int]:
        out: list[str | int] = [_function_name(op, len(args)), "("]
        for k, arg in enumerate(args):
            out += [", ", *self._number(arg)] if k else self._number(arg)
        return [*out, ")"]

    # -- brackets

    def _op(self, ident: int) -> str:
        return self._nodes[ident][0]

    def _number(self, ident: int) -> tuple[str | int, ...]:
        truth = self._op(ident) in TRUTHS
        return (PRINTED["where"], "([1, ", ident, "], [0, True])") if truth else (ident,)

    def _condition(self, ident: int, least: int) -> tuple[str | int, ...]:
        if self._op(ident) not in TRUTHS:
            return (PRINTED["ne"], "(", ident, ", -0)")
        return (ident,) if self._level(ident) >= least else ("(", ident, ")")

    def _enclosed(self, ident: int, least: int) -> tuple[str | int, ...]:
        if self._op(ident) in TRUTHS:
            return self._number(ident)
        return (ident,) if self._level(ident) >= least else ("(", ident, ")")

    def _level(self, ident: int) -> int:
        node = self._nodes[ident]
        op = node[0]
        if op == "rational":
            return PRODUCT
        if op in ("integer", "float"):
            return SIGN if node[-1] < 0 else ATOM
        return LEVELS.get(op, ATOM)

    def _begins_with_minus(self, ident: int) -> bool:
        for _ in range(SPINE):
            node = self._nodes[ident]
            op = node[0]
            if op in ("mul", "div"):
                ident = node[1]
                if self._level(ident) < PRODUCT:
                    return False
                continue
            negative = op in ("integer", "float") and node[-1] < 0
            return op == "neg" or negative or (op == "rational" and node[1] < 0)
        return False


def _function_name(op: str, count: int) -> str:
    name = PRINTED.get(op, op)
    # A plugin's primitive may carry a name that the text form gives another meaning.
    return name_text(name) if meaning(name, count) == op else f"`{op}`"


_FORMS: dict[str, Callable[[_Text, Any], list[str | int]]] = {
    "symbol": _Text._symbol,
    "integer": _Text._integer,
    "rational": _Text._rational,
    "float": _Text._float,
    "const": _Text._const,
    "neg": _Text._sign,
    "not": _Text._not,
    "max": _Text._extremum,
    "min": _Text._extremum,
    "where": _Text._choice,
}
