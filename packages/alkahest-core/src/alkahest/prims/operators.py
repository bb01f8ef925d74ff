"""Operators on traced numbers: `n + 1 < 5` in a traced function becomes equations of scalar primitives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alkahest.base.avals import AVal, BoolAVal, FloatAVal, IntAVal, StrAVal, find_aval
from alkahest.errors import OperandTypeError
from alkahest.ir import boxes
from alkahest.prims import arithmetic, comparison
from alkahest.prims.scalar import apply
from alkahest.prims.text import match

_BINARY = {
    boxes.register_add: arithmetic.add_p,
    boxes.register_sub: arithmetic.sub_p,
    boxes.register_mul: arithmetic.mul_p,
    boxes.register_div: arithmetic.div_p,
    boxes.register_pow: arithmetic.pow_p,
    boxes.register_eq: comparison.eq_p,
    boxes.register_ne: comparison.ne_p,
    boxes.register_lt: comparison.lt_p,
    boxes.register_le: comparison.le_p,
    boxes.register_gt: comparison.gt_p,
    boxes.register_ge: comparison.ge_p,
}


def register_arithmetic(aval: type[AVal]) -> None:
    """Let arithmetic and comparisons of traced values with abstract values of class `aval` be scalar primitives.

    Call it for a type of your own that NumPy can compute with: `x * y + 1` and `x < y` then become equations `mul`,
    `add` and `lt`, entry by entry.

    >>> from dataclasses import dataclass
    >>> from alkahest.extend import AVal
    >>> @dataclass(frozen=True)
    ... class GridAVal(AVal):
    ...     shape: tuple[int, ...]
    >>> register_arithmetic(GridAVal)
    """
    for register, prim in _BINARY.items():
        register(aval, _operator(prim))
    boxes.register_unary("-", aval, lambda x: apply(arithmetic.neg_p, x))
    boxes.register_unary("abs", aval, arithmetic.abs)


def _operator(prim: Any) -> Callable[[Any, Any], Any]:
    return lambda a, b: apply(prim, a, b)


def _logical(symbol: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(a: Any, b: Any) -> Any:
        if isinstance(find_aval(a), BoolAVal) and isinstance(find_aval(b), BoolAVal):
            return function(a, b)
        raise OperandTypeError(
            f"{symbol} between truth values and something else is not defined in programs.",
            remedy="Compare first, (x > 0) & (y > 0), or use alkahest.and_ and alkahest.or_.",
        )

    return operator


for _aval in (IntAVal, FloatAVal, BoolAVal):
    register_arithmetic(_aval)
boxes.register_and(BoolAVal, _logical("&", comparison.and_))
boxes.register_or(BoolAVal, _logical("|", comparison.or_))
boxes.register_unary("~", BoolAVal, comparison.not_)
boxes.register_ne(StrAVal, lambda a, b: comparison.not_(match(a, b)))
