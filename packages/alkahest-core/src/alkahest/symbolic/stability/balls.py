"""What primitives do to Arb's balls. None means: no real value. A ball that says nothing asks for more digits."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb

_HUGE = 2.0**40  # beyond it an exponential leaves the exponents of any arithmetic
_ONE, _ZERO = arb(1), arb(0)
_NOTHING = arb("nan")


def _finite(result: Any, *args: Any) -> Any:
    """Return a result that should be finite; None where it is not because an argument is huge."""
    if not result.is_finite() and any(a.is_finite() and abs(a) > _HUGE for a in args):
        return None
    return result


def _div(a: Any, b: Any) -> Any:
    return None if b.is_zero() else a / b


def _within(name: str, low: float | None, high: float | None, *, open_ends: bool = False) -> Callable[[Any], Any]:
    """Return a method of balls that has values between two bounds only."""
    method = getattr(arb, name)

    def rule(a: Any) -> Any:
        if low is not None and (a < low or (open_ends and a == low)):
            return None
        if high is not None and (a > high or (open_ends and a == high)):
            return None
        return method(a)

    return rule


def _huge(name: str) -> Callable[[Any], Any]:
    method = getattr(arb, name)
    return lambda a: _finite(method(a), a)


def _power(a: Any, b: Any) -> Any:
    if b.is_integer():
        if a.is_zero() and b < 0:
            return None
        return _finite(a**b, a, b)
    if a < 0:
        return None if b.is_exact() else _NOTHING
    if a.is_zero():
        return _ZERO if b > 0 else None
    return _finite(a**b, a, b)


def _cbrt(a: Any) -> Any:
    if a >= 0:
        return a.root(3)
    return -((-a).root(3)) if a <= 0 else _NOTHING


def _atan2(y: Any, x: Any) -> Any:
    return _ZERO if y.is_zero() and x.is_zero() else arb.atan2(y, x)


def _gamma(a: Any) -> Any:
    return None if a <= 0 and a.is_integer() else _finite(a.gamma(), a)


def _lgamma(a: Any) -> Any:
    if a > 0:
        return a.lgamma()
    return None if a.is_integer() else _finite(abs(a.gamma()).log(), a)


def _sign(a: Any) -> Any:
    return _ONE if a > 0 else -_ONE if a < 0 else _ZERO if a.is_zero() else _NOTHING


def _truth(true: bool, false: bool) -> Any:
    return _ONE if true else _ZERO if false else _NOTHING


def _equal(a: Any, b: Any) -> Any:
    return _truth(a.is_exact() and b.is_exact() and a == b, not a.overlaps(b))


def _choice(condition: Any, a: Any, b: Any) -> Any:
    if condition is None:
        return None
    return a if condition == 1 else b if condition == 0 else _NOTHING


def _step(name: str) -> Callable[[Any], Any]:
    """Return a step function: exact once a ball lies on one step."""
    method = getattr(arb, name)

    def rule(a: Any) -> Any:
        low, high = method(a.lower()), method(a.upper())
        return low if low == high else _NOTHING

    return rule


def _trunc(a: Any) -> Any:
    return _step("floor")(a) if a >= 0 else _step("ceil")(a) if a <= 0 else _NOTHING


def _copysign(a: Any, b: Any) -> Any:
    # The sign of an exact zero is that of 0.0: what a real number has.
    return abs(a) if b >= 0 else -abs(a) if b < 0 else _NOTHING


def _fmod(a: Any, b: Any) -> Any:
    return None if b.is_zero() else a - b * _trunc(a / b)


RULES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _div,
    "neg": lambda a: -a,
    "pow": _power,
    "fma": lambda a, b, c: a * b + c,
    "abs": abs,
    "sign": _sign,
    "floor": _step("floor"),
    "ceil": _step("ceil"),
    "trunc": _trunc,
    "fmod": _fmod,
    "copysign": _copysign,
    "min": lambda a, b: a.min(b),
    "max": lambda a, b: a.max(b),
    "fmin": lambda a, b: a.min(b),
    "fmax": lambda a, b: a.max(b),
    "sqrt": _within("sqrt", 0, None),
    "cbrt": _cbrt,
    "exp": _huge("exp"),
    "expm1": _huge("expm1"),
    "log": _within("log", 0, None, open_ends=True),
    "log1p": _within("log1p", -1, None, open_ends=True),
    "log2": lambda a: None if a <= 0 else a.log() / arb.const_log2(),
    "log10": lambda a: None if a <= 0 else a.log() / arb.const_log10(),
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": _within("asin", -1, 1),
    "acos": _within("acos", -1, 1),
    "atan": arb.atan,
    "sinh": _huge("sinh"),
    "cosh": _huge("cosh"),
    "tanh": arb.tanh,
    "asinh": arb.asinh,
    "acosh": _within("acosh", 1, None),
    "atanh": _within("atanh", -1, 1, open_ends=True),
    "atan2": _atan2,
    "hypot": lambda a, b: (a * a + b * b).sqrt(),
    "erf": arb.erf,
    "erfc": arb.erfc,
    "gamma": _gamma,
    "lgamma": _lgamma,
    "digamma": lambda a: None if a <= 0 and a.is_integer() else a.digamma(),
    "lt": lambda a, b: _truth(a < b, a >= b),
    "le": lambda a, b: _truth(a <= b, a > b),
    "gt": lambda a, b: _truth(a > b, a <= b),
    "ge": lambda a, b: _truth(a >= b, a < b),
    "eq": _equal,
    "ne": lambda a, b: _truth(not a.overlaps(b), a.is_exact() and b.is_exact() and a == b),
    "and": lambda a, b: _truth(a != 0 and b != 0, a == 0 or b == 0),
    "or": lambda a, b: _truth(a != 0 or b != 0, a == 0 and b == 0),
    "not": lambda a: _truth(a == 0, a != 0),
    "where": _choice,
}
