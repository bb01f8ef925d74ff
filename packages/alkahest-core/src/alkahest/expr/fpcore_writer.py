"""Writes expressions as FPCore 2.0; shared parts become bindings, so that the text is as small as the expression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Any

from alkahest.errors import DuplicateInputError, EmitError, IdentifierError, UnknownSymbolError
from alkahest.expr.expression import Expr
from alkahest.expr.fpcore_vocabulary import BINARY, COMPARISONS, TERNARY, UNARY
from alkahest.expr.pool import LEAVES
from alkahest.expr.printing import spell
from alkahest.expr.sexpr import Word, is_symbol, number_text, quoted
from alkahest.expr.tape import check_inputs
from alkahest.expr.traversal import reachable

if TYPE_CHECKING:
    from alkahest.expr.pool import ExprPool, Node

_NAMES = {op: name for table in (COMPARISONS, TERNARY, BINARY, UNARY) for name, op in table.items()} | {
    "and": "and",
    "or": "or",
}
_LOGIC = frozenset({"and", "or", "not"})
_CONDITIONS = _LOGIC | frozenset(COMPARISONS.values())
# FPCore lacks these; {0} and {1} are arguments, which get names of their own where they are no leaves.
_COMPOSED = {
    "min": "(if (or (isnan {0}) (< {0} {1})) {0} {1})",
    "max": "(if (or (isnan {0}) (> {0} {1})) {0} {1})",
    "sign": "(if (> {0} 0) 1 (if (< {0} 0) -1 (if (== {0} 0) 0 {0})))",
}
_CONSTANTS = {"pi": ("PI", "(acos -1)"), "e": ("E", "(exp 1)")}  # the second where an argument has taken the name
_OWN = frozenset({"name", "pre", "precision"})
_NUMBER, _CONDITION, _EITHER = range(3)  # what the place of a node asks for


def to_fpcore(
    expr: Expr,
    symbols: Sequence[Expr],
    *,
    name: str | None = None,
    pre: Expr | None = None,
    properties: Mapping[str, Any] | None = None,
    precision: str = "binary64",
) -> str:
    """Return `expr` as the text of one FPCore whose arguments are `symbols`, in order.

    `properties` are written after the name, precision and precondition: `Word` bare, `str` quoted, numbers, tuples
    of these, and expressions. `from_fpcore` reads the text back to the same expression, but for floats (as decimals
    they become exact numbers) and for `min`, `max` and `sign`, which FPCore lacks and which are written with `if`.

    Raises `EmitError` where FPCore cannot say an operation, `IdentifierError` for a name it does not allow,
    `UnknownSymbolError` for a symbol that is not listed.

    >>> from alkahest.expr.pool import ExprPool
    >>> x = ExprPool().symbol("x")
    >>> print(to_fpcore(x**2 / 3, [x], name="third", pre=0 < x))
    (FPCore (x)
     :name "third"
     :precision binary64
     :pre (> x 0)
     (/ (pow x 2) 3))
    """
    arguments = _arguments(expr.pool, symbols)
    lines = [f"(FPCore ({' '.join(arguments.values())})"]
    if name is not None:
        lines.append(f":name {quoted(name)}")
    lines.append(f":precision {_checked(precision)}")
    if pre is not None:
        lines.append(f":pre {_expression(pre, arguments)}")
    for key, value in (properties or {}).items():
        if key not in _OWN:
            lines.append(f":{_checked(key)} {_property(value, arguments)}")
    return "\n ".join([*lines, _expression(expr, arguments)]) + ")"


def _arguments(pool: ExprPool, symbols: Sequence[Expr]) -> dict[int, str]:
    """Return the names of the arguments by their ids."""
    arguments: dict[int, str] = {}
    for symbol in check_inputs(pool, symbols):
        name = _checked(str(symbol.name))
        if name in arguments.values():
            raise DuplicateInputError(
                f"two of the symbols are called {name}.", remedy="Substitute one of them by another name."
            )
        arguments[symbol.id] = name
    return arguments


def _checked(name: str) -> str:
    if not is_symbol(name) or name.startswith(":"):
        raise IdentifierError(
            f"FPCore has no symbol {name!r}.",
            remedy="Use ASCII letters, digits and ~!@$%^&*_-+=<>.?/, and no number.",
        )
    return name


def _property(value: Any, arguments: dict[int, str]) -> str:
    return spell((value,), lambda item: _property_parts(item, arguments))


def _property_parts(item: tuple[Any, ...], arguments: dict[int, str]) -> list[Any]:
    (value,) = item
    if isinstance(value, list | tuple):
        out: list[Any] = ["("]
        for k, entry in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            out += [" ", (entry,)] if k else [(entry,)]
        return [*out, ")"]
    if isinstance(value, str):
        return [str(value) if isinstance(value, Word) else quoted(value)]
    if isinstance(value, Expr):
        return [_expression(value, arguments)]
    if isinstance(value, int | Fraction) and not isinstance(value, bool):
        return [number_text(value)]
    if isinstance(value, float) and value - value == 0:
        return [repr(value)]
    raise EmitError(
        f"a property cannot hold {value!r}.", remedy="Use str, Word, finite numbers, expressions, and tuples of them."
    )


def _expression(expr: Expr, arguments: dict[int, str]) -> str:
    writer = _Writer(expr, arguments)
    if not writer.bound:
        return writer.text(expr.id)
    bindings = "\n  ".join([f"[{name} {writer.text(ident)}]" for ident, name in writer.bound.items()])
    return f"(let* ({bindings})\n  {writer.text(expr.id)})"


class _Writer:
    """Writes one expression: a node that is used more than once gets a name."""

    def __init__(self, expr: Expr, arguments: dict[int, str]) -> None:
        self._nodes = expr.pool._nodes
        self._arguments = arguments
        order = reachable(expr.pool, [expr.id])
        uses: Counter[int] = Counter()
        self._conditions: set[int] = set()
        for ident in order:
            node = self._nodes[ident]
            if node[0] in LEAVES:
                continue
            self._check(node)
            uses.update(node[1:] * 2 if node[0] in _COMPOSED else node[1:])
            chosen = node[2:] if node[0] == "where" else ()
            if node[0] in _CONDITIONS or (chosen and self._conditions.issuperset(chosen)):
                self._conditions.add(ident)
        shared = [i for i in order if uses[i] > 1 and self._nodes[i][0] not in LEAVES]
        taken = frozenset(arguments.values())
        names = (f"t{k}" for k in count(1) if f"t{k}" not in taken)
        self.bound: dict[int, str] = dict(zip(shared, names, strict=False))

    def _check(self, node: Node) -> None:
        if node[0] not in _NAMES and node[0] not in _COMPOSED:
            raise EmitError(
                f"FPCore has no operation {node[0]}.", remedy="Rewrite the expression with functions of math.h."
            )

    def text(self, ident: int) -> str:
        """Return the text of a node, its own name left aside."""
        return spell((ident, _EITHER, True), self._parts)

    def _parts(self, item: tuple[int, int, bool]) -> Sequence[Any]:
        ident, asked, defining = item
        node = self._nodes[ident]
        if ident in self.bound and not defining:
            parts: Sequence[Any] = [self.bound[ident]]
        else:
            parts = [self._leaf(ident, node)] if node[0] in LEAVES else self._operation(node, ident)
        condition = ident in self._conditions
        if asked == _CONDITION and not condition:
            truth = {0: "FALSE", 1: "TRUE"}.get(node[1]) if node[0] == "integer" else None
            return ["(!= ", *parts, " 0)"] if truth is None else [truth]
        return ["(if ", *parts, " 1 0)"] if asked == _NUMBER and condition else parts

    def _leaf(self, ident: int, node: Node) -> str:
        if node[0] == "integer":
            return number_text(node[1])
        if node[0] == "rational":
            return number_text(Fraction(node[1], node[2]))
        if node[0] == "float":
            return repr(node[1])
        if node[0] == "const":
            name, spelled = _CONSTANTS[node[1]]
            return spelled if name in self._arguments.values() else name
        if ident not in self._arguments:
            raise UnknownSymbolError(
                f"the expression uses the symbol {node[1]}, which is not among the arguments.",
                remedy="Add it to the symbols.",
            )
        return self._arguments[ident]

    def _operation(self, node: Node, ident: int) -> list[Any]:
        op = node[0]
        if op in _COMPOSED:
            return self._composed(node)
        out: list[Any] = [f"({_NAMES[op]}"]
        for k, arg in enumerate(node[1:]):
            asked = _CONDITION if op in _LOGIC or (op == "where" and k == 0) else _NUMBER
            asked = _EITHER if op == "where" and k and ident in self._conditions else asked
            out += [" ", (arg, asked, False)]
        return [*out, ")"]

    def _composed(self, node: Node) -> list[Any]:
        pieces = _COMPOSED[node[0]].replace("}", "{").split("{")  # text and argument in turn
        return [(node[1 + int(p)], _NUMBER, False) if k % 2 else p for k, p in enumerate(pieces)]
