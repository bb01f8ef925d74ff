"""NumPy's ufuncs on expressions: its operators do what ours do, its functions name the ones to use instead."""

from __future__ import annotations

from typing import Any

from alkahest.base.prim import arity_of
from alkahest.errors import OperandError
from alkahest.expr.expression import Expr

# The ufuncs behind NumPy's operators: our method for an expression on the left, and for one on the right.
_OPERATORS = {
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"),
    "floor_divide": ("__floordiv__", "__rfloordiv__"),
    "remainder": ("__mod__", "__rmod__"),
    "power": ("__pow__", "__rpow__"),
    "less": ("__lt__", "__gt__"),
    "less_equal": ("__le__", "__ge__"),
    "greater": ("__gt__", "__lt__"),
    "greater_equal": ("__ge__", "__le__"),
    "bitwise_and": ("__and__", "__rand__"),
    "bitwise_or": ("__or__", "__ror__"),
}
_OWN_NAMES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "fabs": "abs",
    "logical_and": "and_",
    "logical_not": "not_",
    "logical_or": "or_",
    "maximum": "max",
    "minimum": "min",
    "rint": "round",
}


def run_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a ufunc gives for inputs with an `Expr` among them, or raise `OperandError`."""
    name: str = ufunc.__name__
    if method == "__call__" and name in ("equal", "not_equal"):
        return _compare(*inputs, equal=name == "equal")
    if method != "__call__" or name not in _OPERATORS or set(kwargs) - {"out"}:
        call = name if method == "__call__" else f"{name}.{method}"
        raise OperandError(f"numpy.{call} cannot take an expression.", remedy=_remedy(name))
    left, right = inputs
    forward, reflected = _OPERATORS[name]
    result = getattr(left, forward)(right) if isinstance(left, Expr) else getattr(right, reflected)(left)
    return _into(kwargs["out"][0], result) if "out" in kwargs else result


def _compare(left: Any, right: Any, *, equal: bool) -> Any:
    """Compare structure, entry by entry where one side is an array; a number there raises `ComparisonError`."""
    own, other = (left, right) if isinstance(left, Expr) else (right, left)
    if isinstance(other, Expr):
        return (own == other) is equal
    import numpy as np

    found = np.frompyfunc(lambda entry: (own.__eq__(entry) is True) is equal, 1, 1)(other)
    return found.astype(bool) if isinstance(found, np.ndarray) else found


def _remedy(name: str) -> str:
    own = _OWN_NAMES.get(name, name)
    if name in _OPERATORS or (own not in _OWN_NAMES.values() and arity_of(own) is None):
        return "Use Python's operators and the functions of alkahest."
    return f"Use alkahest.{own}, which takes expressions, numbers and arrays."


def _into(out: Any, result: Any) -> Any:
    if out.dtype.kind != "O":
        raise OperandError(
            f"an array of {out.dtype} cannot hold expressions.", remedy="Write a = a + x instead of a += x."
        )
    out[...] = result
    return out
