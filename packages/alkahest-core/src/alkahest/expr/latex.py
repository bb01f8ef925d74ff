"""Expressions as LaTeX: what notebooks show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from alkahest.expr.numerals import int_text
from alkahest.expr.printing import SPINE, cases, flat
from alkahest.expr.vocabulary import AND, ATOM, COMPARISON, LEVELS, OR, POWER, PRODUCT, SIGN, SUM

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import ExprPool, Node

_DEEPEST = 50  # groups within groups of a shortened formula; TeX itself gives up at 255
_DOTS = r"\cdots"

_GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
_SUBSCRIPTED = re.compile(r"([A-Za-z]+?)_?([0-9]+)|([A-Za-z]+)_([A-Za-z0-9]+)")
_ESCAPES = {
    "\\": r"\backslash{}",
    "~": r"\sim{}",
    "^": r"\wedge{}",
    **{c: "\\" + c for c in "#$%&_{}"},
}
_INFIX = {
    "or": (r" \vee ", OR),
    "and": (r" \wedge ", AND),
    "lt": (" < ", COMPARISON),
    "le": (r" \leq ", COMPARISON),
    "gt": (" > ", COMPARISON),
    "ge": (r" \geq ", COMPARISON),
    "eq": (" = ", COMPARISON),
    "ne": (r" \neq ", COMPARISON),
    "add": (" + ", SUM),
    "sub": (" - ", SUM),
}
_LEVELS = {**LEVELS, "eq": COMPARISON, "ne": COMPARISON, "div": POWER, "exp": POWER, "rational": POWER, "where": OR}
_POWERED = frozenset({"sin", "cos", "tan", "sinh", "cosh", "tanh", "log"})  # sin²(x) is written \sin^{2}
_FUNCTIONS = {
    "asin": r"\arcsin",
    "acos": r"\arccos",
    "atan": r"\arctan",
    "asinh": r"\operatorname{arsinh}",
    "acosh": r"\operatorname{arcosh}",
    "atanh": r"\operatorname{artanh}",
    "gamma": r"\Gamma",
    "digamma": r"\psi",
    "log2": r"\log_{2}",
    "log10": r"\log_{10}",
    **{f: "\\" + f for f in (*_POWERED, "max", "min")},
}
_AROUND = {
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\left\lfloor ", r" \right\rfloor"),
    "ceil": (r"\left\lceil ", r" \right\rceil"),
    "sqrt": (r"\sqrt{", "}"),
    "cbrt": (r"\sqrt[3]{", "}"),
    "exp": (r"\mathrm{e}^{", "}"),
}


class _Open(NamedTuple):
    """A string that opens a group."""

    text: str


class _Close(NamedTuple):
    """A string that closes a group; `}{` closes one and opens the next."""

    text: str


_Part = str | int | _Open | _Close


def to_latex(expr: Expr, max_chars: int | None = None) -> str:
    r"""Return `expr` as LaTeX for mathematics mode, without dollar signs.

    Past about `max_chars` characters the rest is `\cdots` and every group that is open is closed; groups nested
    deeper than fifty are dots as well. None writes all of it.

    >>> from alkahest.expr.pool import ExprPool
    >>> b1, x = ExprPool().symbols("b1 x")
    >>> print(to_latex(b1 * x**2 / 3))
    \frac{b_{1}\,x^{2}}{3}
    """
    parts = _Latex(expr.pool).parts
    out: list[str] = []
    depth, room = 0, -1 if max_chars is None else max_chars
    stack: list[_Part] = [expr.id]
    while stack:
        item = stack.pop()
        if isinstance(item, int):
            if max_chars is not None and depth > _DEEPEST:
                item = _DOTS
            else:
                stack.extend(reversed(parts(item)))
                continue
        text = item if isinstance(item, str) else item.text
        depth += isinstance(item, _Open) - (isinstance(item, _Close) and item.text != "}{")
        out.append(text)
        room -= len(text)
        if max_chars is not None and room < 0:
            return "".join([*out, *_ending(stack)])
    return "".join(out)


def _ending(stack: list[_Part]) -> Iterable[str]:
    """Yield what closes the groups that are open, with dots for what they leave out."""
    left_out, inside = False, 0
    for item in reversed(stack):
        if isinstance(item, _Close) and not inside:
            yield (_DOTS if left_out else "") + item.text
            left_out = False
            continue
        left_out = True
        inside += isinstance(item, _Open) - (isinstance(item, _Close) and item.text != "}{")
    if left_out:
        yield _DOTS


class _Latex:
    def __init__(self, pool: ExprPool) -> None:
        self._nodes: list[Node] = pool._nodes

    def parts(self, ident: int) -> Sequence[_Part]:
        """Return one node as strings, groups, and the ids of its arguments."""
        node = self._node(ident)
        op = node[0]
        if op in _INFIX:
            return self._infix(node)
        if op in _AROUND:
            opening, closing = _AROUND[op]
            return [_Open(opening), node[1], _Close(closing)]
        form = _FORMS.get(op)
        return self._call(op, node[1:]) if form is None else form(self, node)

    # -- leaves

    def _symbol(self, node: Node) -> list[_Part]:
        return [_name(node[1])]

    def _integer(self, node: Node) -> list[_Part]:
        return [int_text(node[1])]

    def _rational(self, node: Node) -> list[_Part]:
        sign = "-" if node[1] < 0 else ""
        return [f"{sign}\\frac{{{int_text(abs(node[1]))}}}{{{int_text(node[2])}}}"]

    def _float(self, node: Node) -> list[_Part]:
        mantissa, exponent = _scientific(node[1])
        if not exponent:
            return [mantissa]
        power = f"10^{{{exponent}}}"
        return [mantissa.removesuffix("1") + power if mantissa in ("1", "-1") else f"{mantissa} \\cdot {power}"]

    def _const(self, node: Node) -> list[_Part]:
        return [r"\pi" if node[1] == "pi" else r"\mathrm{e}"]

    # -- operations

    def _negation(self, node: Node) -> list[_Part]:
        signed = self._node(node[1])[0] in ("integer", "rational", "float") or self._begins_with_minus(node[1])
        return ["-", *self._enclosed(node[1], ATOM + 1 if signed else PRODUCT)]

    def _not(self, node: Node) -> list[_Part]:
        return [r"\neg ", *self._enclosed(node[1], ATOM)]

    def _infix(self, node: Node) -> list[_Part]:
        op, left, right = node
        sign, level = _INFIX[op]
        if level in (OR, AND):
            first = 0 if self._node(left)[0] == op else COMPARISON
            return [*self._enclosed(left, first), sign, *self._enclosed(right, COMPARISON)]
        if level == COMPARISON:
            return [*self._enclosed(left, SUM), sign, *self._enclosed(right, SUM)]
        least = ATOM if self._begins_with_minus(right) else PRODUCT
        return [*self._enclosed(left, SUM), sign, *self._enclosed(right, least)]

    def _product(self, node: Node) -> list[_Part]:
        _, left, right = node
        sign = r" \cdot " if self._begins_with_digit(right) else r"\,"
        return [*self._enclosed(left, PRODUCT), sign, *self._enclosed(right, POWER)]

    def _quotient(self, node: Node) -> list[_Part]:
        above = self._node(node[1])
        if above[0] == "neg":
            return ["-", _Open(r"\frac{"), above[1], _Close("}{"), node[2], _Close("}")]
        if _negative(above):
            return [
                "-",
                _Open(r"\frac{"),
                *_FORMS[above[0]](self, _opposite(above)),
                _Close("}{"),
                node[2],
                _Close("}"),
            ]
        return [_Open(r"\frac{"), node[1], _Close("}{"), node[2], _Close("}")]

    def _power(self, node: Node) -> list[_Part]:
        _, base, exponent = node
        below, above = self._node(base), self._node(exponent)
        raised = [_Open("^{"), exponent, _Close("}")]
        if below[0] in _POWERED and above[0] == "integer" and above[1] > 1:
            return [_FUNCTIONS[below[0]], *raised, _Open(r"\left("), below[1], _Close(r"\right)")]
        return [*self._enclosed(base, ATOM), *raised]

    def _polygamma(self, node: Node) -> list[_Part]:
        order = [_Open(r"^{\left("), node[1], _Close(r"\right)}")]
        return [r"\psi", *order, _Open(r"\left("), node[2], _Close(r"\right)")]

    def _extremum(self, node: Node) -> list[_Part]:
        return self._call(node[0], flat(self._nodes, node))

    def _choice(self, node: Node) -> list[_Part]:
        found, rest = cases(self._nodes, node)
        out: list[_Part] = [_Open(r"\begin{cases} ")]
        for value, condition in found:
            out += [value, r" & \text{if } ", condition, r" \\ "]
        return [*out, rest, r" & \text{otherwise}", _Close(r" \end{cases}")]

    def _call(self, op: str, args: Sequence[int]) -> list[_Part]:
        name = _FUNCTIONS.get(op) or rf"\operatorname{{{_escaped(op)}}}"
        out: list[_Part] = [name, _Open(r"\left(")]
        for k, arg in enumerate(args):
            out += [", ", arg] if k else [arg]
        return [*out, _Close(r"\right)")]

    # -- brackets

    def _node(self, ident: int) -> Node:
        return self._nodes[ident]

    def _enclosed(self, ident: int, least: int) -> tuple[_Part, ...]:
        if self._level(ident) >= least:
            return (ident,)
        return (_Open(r"\left("), ident, _Close(r"\right)"))

    def _level(self, ident: int) -> int:
        node = self._node(ident)
        op = node[0]
        if _negative(node) or (op == "div" and self._above_is_negative(node)):
            return SIGN
        if op == "float":
            mantissa, exponent = _scientific(node[1])
            return ATOM if not exponent else POWER if mantissa == "1" else PRODUCT
        return _LEVELS.get(op, ATOM)

    def _begins_with_minus(self, ident: int) -> bool:
        node = self._node(ident)
        for _ in range(SPINE):
            if node[0] != "mul":
                break
            node = self._node(node[1])
        return node[0] == "neg" or _negative(node) or (node[0] == "div" and self._above_is_negative(node))

    def _above_is_negative(self, quotient: Node) -> bool:
        above = self._node(quotient[1])
        return above[0] == "neg" or _negative(above)

    def _begins_with_digit(self, ident: int) -> bool:
        node = self._node(ident)
        if node[0] == "pow":
            node = self._node(node[1])
        return node[0] in ("integer", "rational", "float", "div")


_FORMS: dict[str, Callable[[_Latex, Any], list[_Part]]] = {
    "symbol": _Latex._symbol,
    "integer": _Latex._integer,
    "rational": _Latex._rational,
    "float": _Latex._float,
    "const": _Latex._const,
    "neg": _Latex._negation,
    "not": _Latex._not,
    "mul": _Latex._product,
    "div": _Latex._quotient,
    "pow": _Latex._power,
    "polygamma": _Latex._polygamma,
    "max": _Latex._extremum,
    "min": _Latex._extremum,
    "where": _Latex._choice,
}


def _negative(node: Node) -> bool:
    return (node[0] in ("integer", "float") and node[-1] < 0) or (node[0] == "rational" and node[1] < 0)


def _opposite(node: Node) -> Node:
    return (node[0], -node[1], *node[2:])


def _scientific(value: float) -> tuple[str, int]:
    """Return the digits of a float and its power of ten, 0 where it is written without."""
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = int(exponent) + len(digits) - 1
    if not value or -5 < power < 6:
        return repr(value), 0
    first, *more = map(str, digits)
    return f"{'-' if value < 0 else ''}{first}{'.' if more else ''}{''.join(more)}", power


def _name(name: str) -> str:
    match = _SUBSCRIPTED.fullmatch(name)
    if match is None:
        return _word(name)
    base, subscript = match[1] or match[3], match[2] or match[4]
    return f"{_word(base)}_{{{subscript if subscript.isdigit() else _word(subscript)}}}"


def _word(name: str) -> str:
    if name in _GREEK:
        return "\\" + name
    if len(name) == 1 and name not in _ESCAPES:
        return name
    return rf"\mathrm{{{_escaped(name)}}}"


def _escaped(name: str) -> str:
    return "".join([_ESCAPES.get(c, c) for c in name])
