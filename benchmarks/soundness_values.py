"""The value of an expression at a point, by mpmath: the oracle of the simplifier's soundness.

Rational values stay exact, so that corners are decided exactly. Anything else is a number of many digits, of which
nothing is concluded near a step, a pole or the end of a domain: the value is then `UNKNOWN`. `NONE` is no real value.
In real arithmetic an operation has no value where an operand has none, `where` excepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath

from alkahest import Expr
from alkahest.expr.traversal import reachable

DIGITS = 60
NONE, UNKNOWN = "no value", "unknown"
_LARGEST = mpmath.mpf(10) ** 40  # beyond it a value's last digits say too little
_NEAR = mpmath.mpf(10) ** -15
_LONGEST = 4000  # bits of an exact value


class Undefined(Exception):
    """There is no real value."""


class Unknown(Exception):
    """Rounded values cannot tell."""


def need(condition: bool) -> None:
    """Raise `Undefined` unless a condition holds."""
    if not condition:
        raise Undefined


def sign(x: Any) -> int:
    """Return the sign of a value, exact or clearly not 0."""
    if not isinstance(x, Fraction) and abs(x) < _NEAR:
        raise Unknown
    return (x > 0) - (x < 0)


def whole(x: Any) -> bool:
    """Tell whether a value is an integer."""
    if isinstance(x, Fraction):
        return x.denominator == 1
    sign(x - mpmath.nint(x))
    return False


def real(x: Any) -> Any:
    """Return a value as a number of mpmath."""
    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else x


def mixed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of exact values, or of numbers of mpmath if one of them is none."""

    def run(*args: Any) -> Any:
        if all([isinstance(a, Fraction) for a in args]):
            return function(*args)
        return function(*[real(a) for a in args])

    return run


def smooth(function: Callable[..., Any], exact: Mapping[int, int] | None = None) -> Callable[..., Any]:
    """Return a function of one argument with a value everywhere; `exact` are some of its exact values."""
    known = exact or {}

    def run(x: Any) -> Any:
        if isinstance(x, Fraction) and x in known:
            return Fraction(known[int(x)])
        return function(real(x))

    return run


def between(low: int | None, high: int | None, run: Callable[[Any], Any], *, closed: bool) -> Callable[[Any], Any]:
    """Return a function that has values between two ends only."""

    def inside(x: Any) -> Any:
        for end, direction in ((low, 1), (high, -1)):
            if end is not None:
                side = sign(x - end) * direction
                need(side > 0 or (closed and side == 0))
        return run(x)

    return inside


def guarded(function: Callable[[Any], Any], exact: Mapping[int, int] | None = None, limit: float = 80.0) -> Any:
    """Return a function that grows or oscillates too fast beyond a limit."""
    inner = smooth(function, exact)

    def run(x: Any) -> Any:
        if abs(x) > limit:
            raise Unknown
        return inner(x)

    return run


def quotient(x: Any, y: Any) -> Any:
    """Return x / y."""
    need(sign(y) != 0)
    return mixed(lambda a, b: a / b)(x, y)


def power(x: Any, y: Any) -> Any:
    """Return x ** y, with 0 ** 0 = 1 and no value for other powers of negative numbers than integers."""
    if whole(y):
        n = int(y)
        need(n >= 0 or sign(x) != 0)
        if isinstance(x, Fraction):
            if abs(n) * max(x.numerator.bit_length(), x.denominator.bit_length()) > _LONGEST:
                raise Unknown
            return x**n
        if abs(n) > 200:
            raise Unknown
        return x**n
    side = sign(x)
    need(side > 0 or (side == 0 and sign(y) > 0))
    if side == 0:
        return Fraction(0)
    return exact_root(x, y) or mpmath.power(real(x), real(y))


def exact_root(x: Any, y: Any) -> Fraction | None:
    """Return a power of an exact number that is exact: roots of perfect squares and cubes."""
    if not (isinstance(x, Fraction) and isinstance(y, Fraction) and y.denominator in (2, 3)):
        return None
    roots = [integer_root(n, y.denominator) for n in (x.numerator, x.denominator)]
    if None in roots or abs(y.numerator) > 40:
        return None
    return Fraction(*roots) ** y.numerator


def integer_root(n: int, k: int) -> int | None:
    """Return the root of a perfect power."""
    root = math.isqrt(n) if k == 2 else round(n ** (1 / 3)) if n < 10**15 else 0
    return root if root**k == n else None


def cbrt(x: Any) -> Any:
    """Return the real cube root."""
    if x == 0:
        return x
    size = exact_root(abs(x), Fraction(1, 3)) or mpmath.cbrt(abs(real(x)))
    return size if x > 0 else -size


def stepped(exact: Callable[[Fraction], int], rounded: Callable[[Any], Any], shift: Any = 0) -> Callable[[Any], Any]:
    """Return a function with steps at the integers, or at the integers and `shift`."""

    def run(x: Any) -> Any:
        if isinstance(x, Fraction):
            return Fraction(exact(x))
        sign(x - shift - mpmath.nint(x - shift))
        return Fraction(int(rounded(x)))

    return run


def half_away(x: Fraction) -> int:
    """Return the nearest integer, halves away from zero."""
    size = math.floor(abs(x) + Fraction(1, 2))
    return size if x > 0 else -size


def compared(test: Callable[[int], bool]) -> Callable[[Any, Any], Fraction]:
    """Return a comparison, by the sign of the difference."""
    return lambda x, y: Fraction(test(sign(mixed(lambda a, b: a - b)(x, y))))


def chosen(test: Callable[[int], bool]) -> Callable[[Any, Any], Any]:
    """Return the choice of one of two values by the sign of their difference."""

    def run(x: Any, y: Any) -> Any:
        return x if x is y or test(sign(mixed(lambda a, b: a - b)(x, y))) else y

    return run


def poles(function: Callable[[Any], Any], exact: Mapping[int, int] | None = None) -> Callable[[Any], Any]:
    """Return a function with poles at 0 and the negative integers."""
    inner = smooth(function, exact)

    def run(x: Any) -> Any:
        need(x > 0 or not whole(x))
        if abs(x) > 60:
            raise Unknown
        return inner(x)

    return run


def polygamma(n: Any, x: Any) -> Any:
    """Return the derivative of order n of digamma."""
    need(whole(n) and n >= 0)
    if n > 6:
        raise Unknown
    return poles(lambda t: mpmath.polygamma(int(n), t))(x)


def remaindered(rounding: Callable[[Fraction], int]) -> Callable[[Any, Any], Any]:
    """Return x minus y times the rounded quotient."""

    def run(x: Any, y: Any) -> Any:
        need(sign(y) != 0)
        if not (isinstance(x, Fraction) and isinstance(y, Fraction)):
            raise Unknown
        return x - y * rounding(x / y)

    return run


def copysign(x: Any, y: Any) -> Any:
    """Return the size of x with the sign of y; of a zero the sign is no part of its value."""
    side = sign(y)
    if side == 0 and x != 0:
        raise Unknown
    return abs(x) if side > 0 else -abs(x)


def atan2(y: Any, x: Any) -> Any:
    """Return the angle of a point; on the negative axis the sign of a zero would decide."""
    up, right = sign(y), sign(x)
    need(up != 0 or right != 0)
    if up == 0:
        if right < 0:
            raise Unknown
        return Fraction(0)
    return mpmath.atan2(real(y), real(x))


def hypot(x: Any, y: Any) -> Any:
    """Return the length of a vector."""
    square = mixed(lambda a, b: a * a + b * b)(x, y)
    return power(square, Fraction(1, 2))


def tan(x: Any) -> Any:
    """Return the tangent, away from its poles."""
    if isinstance(x, Fraction) and x == 0:
        return x
    if abs(mpmath.cos(real(x))) < _NEAR:
        raise Unknown
    return mpmath.tan(real(x))


_ZERO, _ONE = {0: 0}, {0: 1}
VALUES: dict[str, Callable[..., Any]] = {
    "add": mixed(lambda x, y: x + y),
    "sub": mixed(lambda x, y: x - y),
    "mul": mixed(lambda x, y: x * y),
    "div": quotient,
    "neg": lambda x: -x,
    "pow": power,
    "fma": mixed(lambda x, y, z: x * y + z),
    "abs": abs,
    "sign": lambda x: Fraction(sign(x)),
    "floor": stepped(math.floor, mpmath.floor),
    "ceil": stepped(math.ceil, mpmath.ceil),
    "trunc": stepped(math.trunc, lambda x: mpmath.floor(x) if x > 0 else mpmath.ceil(x)),
    "round": stepped(round, mpmath.nint, mpmath.mpf(1) / 2),
    "round_away": stepped(half_away, mpmath.nint, mpmath.mpf(1) / 2),
    "min": chosen(lambda s: s < 0),
    "max": chosen(lambda s: s > 0),
    "fmin": chosen(lambda s: s < 0),
    "fmax": chosen(lambda s: s > 0),
    "copysign": copysign,
    "fmod": remaindered(math.trunc),
    "remainder": remaindered(round),
    "lt": compared(lambda s: s < 0),
    "le": compared(lambda s: s <= 0),
    "gt": compared(lambda s: s > 0),
    "ge": compared(lambda s: s >= 0),
    "eq": compared(lambda s: s == 0),
    "ne": compared(lambda s: s != 0),
    "and": lambda x, y: Fraction(sign(x) != 0 and sign(y) != 0),
    "or": lambda x, y: Fraction(sign(x) != 0 or sign(y) != 0),
    "not": lambda x: Fraction(sign(x) == 0),
    "sqrt": lambda x: power(x, Fraction(1, 2)),
    "cbrt": cbrt,
    "exp": guarded(mpmath.exp, _ONE),
    "expm1": guarded(mpmath.expm1, _ZERO),
    "log": between(0, None, smooth(mpmath.log, {1: 0}), closed=False),
    "log1p": between(-1, None, smooth(mpmath.log1p, _ZERO), closed=False),
    "log2": between(0, None, smooth(lambda x: mpmath.log(x, 2), {1: 0}), closed=False),
    "log10": between(0, None, smooth(mpmath.log10, {1: 0}), closed=False),
    "sin": guarded(mpmath.sin, _ZERO, 1e8),
    "cos": guarded(mpmath.cos, _ONE, 1e8),
    "tan": tan,
    "asin": between(-1, 1, smooth(mpmath.asin, _ZERO), closed=True),
    "acos": between(-1, 1, smooth(mpmath.acos, {1: 0}), closed=True),
    "atan": smooth(mpmath.atan, _ZERO),
    "atan2": atan2,
    "sinh": guarded(mpmath.sinh, _ZERO),
    "cosh": guarded(mpmath.cosh, _ONE),
    "tanh": guarded(mpmath.tanh, _ZERO, 30.0),
    "asinh": smooth(mpmath.asinh, _ZERO),
    "acosh": between(1, None, smooth(mpmath.acosh, {1: 0}), closed=True),
    "atanh": between(-1, 1, smooth(mpmath.atanh, _ZERO), closed=False),
    "erf": guarded(mpmath.erf, _ZERO, 6.0),
    "erfc": guarded(mpmath.erfc, _ONE, 6.0),
    "gamma": poles(mpmath.gamma, {1: 1, 2: 1, 3: 2}),
    "lgamma": poles(lambda x: mpmath.log(abs(mpmath.gamma(x))), {1: 0, 2: 0}),
    "digamma": poles(mpmath.digamma),
    "polygamma": polygamma,
    "hypot": hypot,
}


def value(expr: Expr, at: Mapping[str, Fraction], digits: int = DIGITS) -> Any:
    """Return the value of an expression, a `Fraction` or a number of mpmath; `NONE` or `UNKNOWN` where it has none."""
    found: dict[int, Any] = {}
    with mpmath.workdps(digits):
        for i in reachable(expr.pool, [expr.id]):
            op, *rest = expr.pool.node(i)
            found[i] = leaf(op, rest, at) if op in _LEAVES else applied(op, [found[a] for a in rest])
    return found[expr.id]


_LEAVES = frozenset({"symbol", "integer", "rational", "float", "const"})


def leaf(op: str, rest: list[Any], at: Mapping[str, Fraction]) -> Any:
    """Return the value of a symbol or literal."""
    if op == "symbol":
        return at[rest[0]]
    if op == "const":
        return +getattr(mpmath, rest[0])
    return Fraction(*rest) if op != "float" else Fraction(rest[0])


def applied(op: str, args: list[Any]) -> Any:
    """Return the value of an operation."""
    try:
        if op == "where":
            return chosen_branch(*args)
        if NONE in [a for a in args if isinstance(a, str)]:
            return NONE
        if UNKNOWN in [a for a in args if isinstance(a, str)]:
            return UNKNOWN
        out = VALUES[op](*args)
    except Undefined:
        return NONE
    except Unknown:
        return UNKNOWN
    return UNKNOWN if too_large(out) else out


def too_large(x: Any) -> bool:
    """Tell whether a value is too large or too long to go on with."""
    if isinstance(x, Fraction):
        return max(x.numerator.bit_length(), x.denominator.bit_length()) > _LONGEST
    return not mpmath.isfinite(x) or abs(x) > _LARGEST


def chosen_branch(condition: Any, a: Any, b: Any) -> Any:
    """Return the branch that a condition takes; the other one may have no value."""
    if isinstance(condition, str):
        return condition
    return a if sign(condition) != 0 else b


def agree(a: Any, b: Any) -> bool:
    """Tell whether two values are the same, up to rounding."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    a, b = real(a), real(b)
    return abs(a - b) <= mpmath.mpf(10) ** -15 * (1 + abs(a))
