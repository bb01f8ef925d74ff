"""One point: a list of real numbers as floats, or an error that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from numbers import Complex, Real
from typing import Any

from alkahest.errors import ArityError, ArrayError, DtypeError, NumberOverflowError


def one_list(values: Sequence[Any], inputs: Sequence[str]) -> Any:
    """Return the only argument of a call, an empty list for a call without any of a function without inputs."""
    if len(values) == 1:
        return values[0]
    if values or inputs:
        raise ArityError(
            f"this function takes one list of {len(inputs)} value(s) and was called with {len(values)} argument(s).",
            remedy="Write f([x, y]) for a point, numpy_eval(f, x, y) for arrays.",
        )
    return []


def real_numbers(values: Any, inputs: Sequence[str]) -> list[float]:
    """Return the numbers of one list, tuple or array, one per input, as floats."""
    try:
        if isinstance(values, Mapping | Set | str | bytes):
            raise TypeError
        found: list[Any] = list(values)
    except TypeError:
        raise ArityError(
            f"this function takes one list of {len(inputs)} value(s) and was given a {type(values).__name__}.",
            remedy="Write f([x, y]).",
        ) from None
    if len(found) != len(inputs):
        raise wrong_count(inputs, "values", len(found))
    return [v if v.__class__ is float else number(v) for v in found]


def wrong_count(inputs: Sequence[str], what: str, count: int) -> ArityError:
    """Return the error of a call with another number of values, columns or arguments than there are inputs."""
    names = ", ".join(inputs)
    return ArityError(
        f"this compiled function takes {len(inputs)} input(s) ({names}) and was called with {count} {what}.",
        remedy=f"Pass {len(inputs)}, one per symbol, in the order given when it was compiled.",
    )


def number(value: Any) -> float:
    """Return one real number as a float; anything else raises `ArrayError`, `DtypeError` or `NumberOverflowError`."""
    if isinstance(value, Complex) and not isinstance(value, Real):
        raise DtypeError(f"the value {value!r} is complex.", remedy="Pass real and imaginary parts as two inputs.")
    if isinstance(value, str | bytes):
        raise ArrayError(f"the value {value!r} is no number.", remedy="Pass a real number.")
    try:
        return float(value)
    except OverflowError:
        raise NumberOverflowError(
            "a value does not fit a float.", remedy="Scale it so that it stays below 1.8e308."
        ) from None
    except (TypeError, ValueError):
        raise ArrayError(
            f"a value of type {type(value).__name__} is no number.",
            remedy="Pass one real number per symbol; numpy_eval and call_batch take arrays.",
        ) from None
