"""`simplify`: the front door of the simplifier."""

from __future__ import annotations

from alkahest.errors import OperandError
from alkahest.expr.expression import Expr
from alkahest.symbolic.canonical import canonical


def simplify(expr: Expr) -> Expr:
    """Return `expr` in canonical form: exact constants folded, like terms and like bases collected.

    The result equals `expr` wherever `expr` is defined, and may be defined in more places (`x/x` becomes 1). Floats
    keep their value and are not merged with other numbers. The time is linear in the size of the DAG. Anything but an
    `Expr` raises `OperandError`.

    >>> from alkahest import ExprPool, sin
    >>> x, y = ExprPool().symbols("x y")
    >>> simplify(x * y * x / x + 3 * y - y / 3 - sin(-y))
    x*y + 8*y/3 + sin(y)
    """
    if not isinstance(expr, Expr):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(
            f"a value of type {type(expr).__name__} is no expression.",
            remedy="Pass an Expr; pool.expr(value) makes one of a number.",
        )
    return canonical([expr])[0]
