"""Checks identities numerically: what an author of identities lets run in a test."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mpmath as _mpmath

from alkahest.base.rules import impl_rules
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.egraph.encoding import conditions_of
from alkahest.symbolic.rules.identity import Identity

mpmath: Any = _mpmath  # it has no types

_DIGITS = 240
_AGREE = mpmath.mpf(10) ** -120
_AGREE_AS_FLOATS = mpmath.mpf(10) ** -8
# Points where functions begin, end or change, all exact in binary.
_CORNERS = (0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2.0**-60, -(2.0**-60), 40, -40, 0.75, -0.25)

Point = Mapping[int, Any]


class WrongIdentity(AssertionError):
    """An identity that does not hold, with a point that shows it."""


def check_identity(identity: Identity, *, points: int = 400, seed: int = 0) -> None:
    """Raise `WrongIdentity` unless an identity holds at points of its symbols' domains where its conditions hold.

    Half of the points are corners (0, 1, 2, tiny, equal values), half random, the same for the same `seed`. Wherever
    the left side has a value the right side must have the same, in 120 of 240 digits; unless the identity `widens`,
    the right side must have none where the left has none. Both ways, both sides must have a value at the same points.
    Functions that mpmath does not have are computed as floats, and then 8 digits must agree. An identity whose left
    side never has a value is wrong too.

    >>> from alkahest import ExprPool, sqrt
    >>> a = ExprPool().symbol("a")
    >>> check_identity(Identity("wrong", sqrt(a**2), a))
    Traceback (most recent call last):
    alkahest.testing.identities.WrongIdentity: wrong: at a = -1.0 the left side is 1.0 and the right side -1.0.
    """
    conditions = [(relation, difference) for relation, difference in conditions_of(identity)]
    exprs = [identity.left, identity.right, *[difference for _, difference in conditions]]
    tried = 0
    with mpmath.workdps(_DIGITS):
        for point in _points(identity, points, seed):
            values, exact = _values(exprs, point)
            if not all([_holds(relation, v) for (relation, _), v in zip(conditions, values[2:], strict=True)]):
                continue
            left, right = values[:2]
            tried += left is not None
            fault = _fault(identity, left, right, _AGREE if exact else _AGREE_AS_FLOATS)
            if fault:
                at = ", ".join([f"{s} = {float(point[s.id])}" for s in identity.symbols])
                raise WrongIdentity(f"{identity.name}: at {at} {fault}.")
    if not tried:
        raise WrongIdentity(f"{identity.name}: its left side has no value at any of {points} points.")


def _fault(identity: Identity, left: Any, right: Any, agree: Any) -> str:
    if left is None:
        return "" if right is None or identity.widens else "the right side has a value and the left has none"
    if right is None:
        return "the left side has a value and the right has none"
    if abs(left - right) <= agree * (abs(left) + abs(right)) + agree**1.25:
        return ""
    return f"the left side is {float(left)} and the right side {float(right)}"


def _holds(relation: str, value: Any) -> bool:
    if value is None:
        return False
    return value != 0 if relation == "nz" else value > 0 if relation == "pos" else value >= 0


# ---------------------------------------------------------------------------------------------------------- points


def _points(identity: Identity, count: int, seed: int) -> Iterator[dict[int, Any]]:
    rng = random.Random(seed)
    symbols = identity.symbols
    for k in range(count):
        if len(symbols) == 1 and k < len(_CORNERS):
            found = [_CORNERS[k]]
        else:
            found = [rng.choice(_CORNERS) if k % 2 else _random(rng) for _ in symbols]
        if all([_inside(s.domain, x) for s, x in zip(symbols, found, strict=True)]):
            yield {s.id: mpmath.mpf(x) for s, x in zip(symbols, found, strict=True)}
        else:
            made = [_into(s.domain, x) for s, x in zip(symbols, found, strict=True)]
            yield {s.id: mpmath.mpf(x) for s, x in zip(symbols, made, strict=True)}


def _random(rng: random.Random) -> float:
    """Return a number of 24 bits of any size from 1e-6 to 40: its square and product with another are exact."""
    size = 2.0 ** rng.randint(-20, 4)
    return rng.choice((-1, 1)) * size * (1 + rng.getrandbits(23) / 2**23)


def _inside(domain: str | None, x: float) -> bool:
    return {"positive": x > 0, "nonnegative": x >= 0, "nonzero": x != 0, "integer": x == int(x)}.get(domain or "", True)


def _into(domain: str | None, x: float) -> float:
    if domain == "integer":
        return float(round(x))
    return abs(x) or (0.0 if domain == "nonnegative" else 1.0)


# ---------------------------------------------------------------------------------------------------------- values


def _values(exprs: list[Expr], point: Point) -> tuple[list[Any], bool]:
    """Return the values of expressions, None where there is none, and whether all was computed by mpmath."""
    pool = exprs[0].pool
    values: dict[int, Any] = {}
    exact = True
    for i in reachable(pool, [e.id for e in exprs]):
        node = pool._nodes[i]
        if node[0] in LEAVES:
            values[i] = point[i] if node[0] == "symbol" else _literal(node)
            continue
        args = [values[c] for c in node[1:]]
        exact = exact and node[0] in _REAL
        values[i] = _call(node[0], args)
    return [values[e.id] for e in exprs], exact


def _literal(node: tuple[Any, ...]) -> Any:
    if node[0] == "const":
        return mpmath.pi + 0 if node[1] == "pi" else mpmath.e + 0
    return mpmath.mpf(node[1]) / node[2] if node[0] == "rational" else mpmath.mpf(node[1])


def _call(op: str, args: list[Any]) -> Any:
    if op == "where" and args[0] is not None:
        return args[1] if args[0] else args[2]
    if any([a is None for a in args]):
        return None
    try:
        rule = _REAL.get(op)
        value = rule(*args) if rule else mpmath.mpf(impl_rules.by_name(op).number(*[float(a) for a in args]))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if isinstance(value, mpmath.mpf) and mpmath.isfinite(value) else None


def _pow(a: Any, b: Any) -> Any:
    if a == 0:
        return mpmath.mpf(1) if b == 0 else None if b < 0 else mpmath.mpf(0)
    return a**b if a > 0 or mpmath.isint(b) else None


def _within(low: float, high: float, function: Callable[[Any], Any], *, ends: bool = True) -> Callable[[Any], Any]:
    def rule(x: Any) -> Any:
        inside = low <= x <= high if ends else low < x < high
        return function(x) if inside else None

    return rule


_INF = float("inf")
_REAL: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "pow": _pow,
    "fma": lambda a, b, c: a * b + c,
    "abs": abs,
    "sign": mpmath.sign,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "min": min,
    "max": max,
    "fmin": min,
    "fmax": max,
    "hypot": lambda a, b: mpmath.sqrt(a * a + b * b),
    "sqrt": _within(0, _INF, mpmath.sqrt),
    "cbrt": lambda a: mpmath.sign(a) * mpmath.cbrt(abs(a)),
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": _within(0, _INF, mpmath.log, ends=False),
    "log2": _within(0, _INF, lambda a: mpmath.log(a, 2), ends=False),
    "log10": _within(0, _INF, mpmath.log10, ends=False),
    "log1p": _within(-1, _INF, mpmath.log1p, ends=False),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": _within(-1, 1, mpmath.asin),
    "acos": _within(-1, 1, mpmath.acos),
    "atan": mpmath.atan,
    "atan2": lambda y, x: None if x == 0 and y == 0 else mpmath.atan2(y, x),
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": _within(1, _INF, mpmath.acosh),
    "atanh": _within(-1, 1, mpmath.atanh, ends=False),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "lt": lambda a, b: mpmath.mpf(a < b),
    "le": lambda a, b: mpmath.mpf(a <= b),
    "gt": lambda a, b: mpmath.mpf(a > b),
    "ge": lambda a, b: mpmath.mpf(a >= b),
    "eq": lambda a, b: mpmath.mpf(a == b),
    "ne": lambda a, b: mpmath.mpf(a != b),
    "and": lambda a, b: mpmath.mpf(bool(a) and bool(b)),
    "or": lambda a, b: mpmath.mpf(bool(a) or bool(b)),
    "not": lambda a: mpmath.mpf(not a),
}
