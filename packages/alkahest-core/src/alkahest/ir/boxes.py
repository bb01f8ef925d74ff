"""Boxes: what a traced function sees in place of values. Operators on them become equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from alkahest.base import trees
from alkahest.base.avals import AVal, DeepAVal, find_aval
from alkahest.base.interpreter import box_types
from alkahest.errors import LeakedValueError, OperandTypeError, TracedAttributeError, TracedValueError

if TYPE_CHECKING:
    from alkahest.ir.ir import IRVar
    from alkahest.ir.tracing import TracingInterpreter

Operator = Callable[[Any, Any], Any]
_operators: dict[str, dict[type[AVal], Operator]] = {}


def _registrar(symbol: str) -> Callable[[type[AVal], Operator], Operator]:
    table = _operators.setdefault(symbol, {})

    def register(aval: type[AVal], operator: Operator) -> Operator:
        table[aval] = operator
        return operator

    register.__doc__ = (
        f"Let `a {symbol} b` stand for `operator(a, b)` where a traced value has an abstract value of class `aval`."
    )
    return register


register_add = _registrar("+")
register_sub = _registrar("-")
register_mul = _registrar("*")
register_div = _registrar("/")
register_pow = _registrar("**")
register_matmul = _registrar("@")
register_eq = _registrar("==")
register_ne = _registrar("!=")
register_lt = _registrar("<")
register_le = _registrar("<=")
register_gt = _registrar(">")
register_ge = _registrar(">=")
register_and = _registrar("&")
register_or = _registrar("|")
_unary: dict[str, dict[type[AVal], Callable[[Any], Any]]] = {"-": {}, "~": {}, "abs": {}}


def register_unary(symbol: str, aval: type[AVal], operator: Callable[[Any], Any]) -> None:
    """Let `-x` ("-"), `~x` ("~") or `abs(x)` ("abs") stand for `operator(x)`."""
    _unary[symbol][aval] = operator


def _find(table: dict[type[AVal], Any], aval: AVal | None) -> Any:
    for cls in type(aval).__mro__:
        if cls in table:
            return table[cls]
    return None


def _operate(symbol: str, left: Any, right: Any) -> Any:
    table = _operators[symbol]
    operator = _find(table, find_aval(left)) or _find(table, find_aval(right))
    if operator is None:
        raise OperandTypeError(
            f"there is no {symbol!r} between {_what(left)} and {_what(right)} in a program.",
            remedy="Use a primitive, or make one of your own with alkahest.extend.rules.",
        )
    return operator(left, right)


def _what(value: Any) -> str:
    return value.description if isinstance(value, Traced) else f"a {type(value).__name__}"


def _forward(symbol: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: _operate(symbol, self, other)


def _backward(symbol: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: _operate(symbol, other, self)


def _one(symbol: str) -> Callable[[Any], Any]:
    def apply(self: Any) -> Any:
        operator = _find(_unary[symbol], self.aval)
        if operator is None:
            raise OperandTypeError(
                f"there is no {symbol!r} of {self.description} in a program.",
                remedy="Use a primitive, or make one of your own with alkahest.extend.rules.",
            )
        return operator(self)

    return apply


_CHOOSE = "Use alkahest.switch to choose, alkahest.while_loop to repeat, alkahest.match or == to compare."
_TEXT = 'Use alkahest.format("… {}", x), or + between texts: Python would bake a placeholder into the text.'
_REMAINDER = "Use alkahest.format for texts; for numbers alkahest.fmod, alkahest.floor, or a primitive of your own."
_LOOK = "Make a primitive of your own that looks into the value, or pass a structure of values."
_NUMBER = "Use the value as it is, or make a primitive of your own that converts it."


def _refuse(what: str, remedy: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *_: Any) -> NoReturn:
        raise TracedValueError(f"Python asked {self.description} for {what} while tracing.", remedy=remedy)

    return refuse


MARK = "⟨traced "
"""How the representation of a traced value begins: a text that holds it has a placeholder baked in."""


def refuse_placeholder(text: str) -> None:
    """Raise `TracedValueError` where a text holds the representation of a traced value."""
    if MARK in text:
        raise TracedValueError(
            f"the text {text if len(text) <= 60 else text[:57] + '…'!r} holds a placeholder of a traced value.",
            remedy=_TEXT,
        )


class Traced(trees.Leaf):
    """A value of a program that is being traced: it has a type and no value yet.

    `x + "!"`, `x == "a"` and arithmetic become equations, by the type. What Python would have to decide now, such as
    `if x`, `len(x)` or an f-string, raises `TracedValueError`, which names the primitive to use.
    """

    __slots__ = ("aval", "tracer", "var")

    def __init__(self, var: IRVar, tracer: TracingInterpreter) -> None:
        self.var = var
        self.aval = DeepAVal(var.aval, var.depth) if var.depth else var.aval
        self.tracer = tracer

    @property
    def description(self) -> str:
        """What it is, in words."""
        return f"a traced {self.aval.label}"

    def leaked(self) -> LeakedValueError:
        """Return the error for a use outside of its trace."""
        return LeakedValueError(
            f"{self.description} is used outside the trace that made it ({self.tracer.name}).",
            remedy="Return it from the traced function, or pass it as an argument of the inner one.",
        )

    def __repr__(self) -> str:
        return f"{MARK}{self.aval.label} {self.var.id}⟩"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise TracedAttributeError(
            f"{self.description} has no attribute {name!r} while tracing.",
            remedy=f"Make a primitive of your own for {name}, or do it before tracing.",
        )

    __add__, __radd__ = _forward("+"), _backward("+")
    __sub__, __rsub__ = _forward("-"), _backward("-")
    __mul__, __rmul__ = _forward("*"), _backward("*")
    __truediv__, __rtruediv__ = _forward("/"), _backward("/")
    __pow__, __rpow__ = _forward("**"), _backward("**")
    __matmul__, __rmatmul__ = _forward("@"), _backward("@")
    __and__, __rand__ = _forward("&"), _backward("&")
    __or__, __ror__ = _forward("|"), _backward("|")
    __lt__, __le__, __gt__, __ge__ = _forward("<"), _forward("<="), _forward(">"), _forward(">=")
    __eq__, __ne__ = _forward("=="), _forward("!=")
    __hash__ = _refuse("its place in a set or dict", _CHOOSE)  # pyright: ignore[reportAssignmentType]
    __neg__, __invert__, __abs__ = _one("-"), _one("~"), _one("abs")

    __bool__ = _refuse("its truth", _CHOOSE)
    __str__ = _refuse("its text", _TEXT)
    __format__ = _refuse("its text", _TEXT)
    __bytes__ = _refuse("its bytes", _TEXT)
    __mod__ = __rmod__ = _refuse("a remainder, or a text by %", _REMAINDER)
    __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = _refuse("a quotient", _REMAINDER)
    __len__ = _refuse("its length", _LOOK)
    __iter__ = _refuse("its entries", _LOOK)
    __getitem__ = _refuse("an entry", _LOOK)
    __contains__ = _refuse("its entries", _LOOK)
    __int__ = _refuse("an int", _NUMBER)
    __float__ = _refuse("a float", _NUMBER)
    __index__ = _refuse("an int", _NUMBER)
    __call__ = _refuse("a call", _LOOK)
    __reduce__ = _refuse("a copy", "Save the program, not a value inside its trace.")
    __array_ufunc__ = None


box_types.add(Traced)
