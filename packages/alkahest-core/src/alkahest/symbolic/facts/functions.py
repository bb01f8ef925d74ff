"""Facts of functions from the facts of their arguments; one rule per primitive."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from alkahest.symbolic.exact import round_away
from alkahest.symbolic.facts.arithmetic import (
    absolute,
    add,
    bounded,
    div,
    greatest,
    least,
    mul,
    neg,
    power,
    rising,
)
from alkahest.symbolic.facts.fact import ANY, INF, NONNEGATIVE, POSITIVE, Fact, both, either, made

Rule = Callable[..., Fact]
_TRUTH = Fact(0, 1, False, False, True)


def _sqrt(a: Fact) -> Fact:
    return rising(both(a, NONNEGATIVE), one=True)


def _exp(a: Fact) -> Fact:
    low, low_open = (1, a.low_open or a.low > 0) if a.low >= 0 else (0, True)
    high, high_open = (1, a.high_open or a.high < 0) if a.high <= 0 else (INF, True)
    return made(low, high, low_open, high_open, nonzero=True)


def _expm1(a: Fact) -> Fact:
    return both(rising(a), Fact(low=-1))


def _log(a: Fact) -> Fact:
    low, low_open = (0, a.low_open or a.low > 1) if a.low >= 1 else (-INF, True)
    high, high_open = (0, a.high_open or a.high < 1) if a.high <= 1 else (INF, True)
    return made(low, high, low_open, high_open)


def _cosh(a: Fact) -> Fact:
    return Fact(1, INF, a.not_zero, True, False, True)


def _acosh(a: Fact) -> Fact:
    return POSITIVE if a.low > 1 or (a.low == 1 and a.low_open) else NONNEGATIVE


def _acos(a: Fact) -> Fact:
    return Fact(0, 4, a.high < 1 or (a.high == 1 and a.high_open), True)


def _gamma(a: Fact) -> Fact:
    return POSITIVE if a.positive else Fact(nonzero=True)  # nowhere 0


def _atan2(y: Fact, x: Fact) -> Fact:
    if y.positive:
        return Fact(0, 4)
    if y.negative:
        return Fact(-4, 0)
    return Fact(0, 4, False) if y.nonnegative else Fact(-4, 4)


def _hypot(a: Fact, b: Fact) -> Fact:
    return POSITIVE if a.not_zero or b.not_zero else NONNEGATIVE


def _rounded(function: Callable[[Fraction | int], int]) -> Rule:
    """Return the rule of a function that rounds: none of them falls where its argument rises."""

    def rule(a: Fact) -> Fact:
        if a.integer:
            return a
        low = -INF if isinstance(a.low, float) else function(a.low)
        high = INF if isinstance(a.high, float) else function(a.high)
        return made(low, high, False, False, integer=True)

    return rule


def _floor(a: Fact) -> Fact:
    found = _rounded(math.floor)(a)
    if a.high_open and a.high == found.high and not isinstance(found.high, float):
        return both(found, Fact(high=found.high - 1, high_open=False))
    return found


def _ceil(a: Fact) -> Fact:
    return neg(_floor(neg(a)))


def _where(c: Fact, a: Fact, b: Fact) -> Fact:
    if c.not_zero:
        return a
    return b if c.exact else either(a, b)


def _sign(a: Fact) -> Fact:
    low = 1 if a.positive else 0 if a.nonnegative else -1
    high = -1 if a.negative else 0 if a.nonpositive else 1
    return made(low, high, False, False, integer=True, nonzero=a.not_zero)


def _copysign(a: Fact, b: Fact) -> Fact:
    size = absolute(a)
    if b.positive:
        return size
    return neg(size) if b.negative else either(size, neg(size))


def _fmod(a: Fact, b: Fact) -> Fact:
    low, low_open = (0, False) if a.nonnegative else (a.low, a.low_open)
    high, high_open = (0, False) if a.nonpositive else (a.high, a.high_open)
    return made(low, high, low_open, high_open, a.integer and b.integer)


def _remainder(a: Fact, b: Fact) -> Fact:
    return Fact(integer=a.integer and b.integer)


def _unit(_: Fact) -> Fact:
    return Fact(-1, 1, False, False)


def _truth(*_: Fact) -> Fact:
    return _TRUTH


RULES: dict[str, Rule] = {
    "add": add,
    "sub": lambda a, b: add(a, neg(b)),
    "neg": neg,
    "mul": mul,
    "div": div,
    "pow": power,
    "fma": lambda a, b, c: add(mul(a, b), c),
    "abs": absolute,
    "sqrt": _sqrt,
    "cbrt": lambda a: rising(a, one=True),
    "exp": _exp,
    "expm1": _expm1,
    **dict.fromkeys(("log", "log2", "log10"), _log),
    **dict.fromkeys(("log1p", "sinh", "asinh", "atanh"), rising),
    "sin": _unit,
    "cos": _unit,
    "asin": bounded(2),
    "acos": _acos,
    "atan": bounded(2),
    "atan2": _atan2,
    "cosh": _cosh,
    "tanh": bounded(1),
    "acosh": _acosh,
    "erf": bounded(1),
    "erfc": lambda a: Fact(0, 2, True, True, False, True),
    "gamma": _gamma,
    "hypot": _hypot,
    "min": least,
    "max": greatest,
    "fmin": either,  # of two values, or the one that there is
    "fmax": either,
    "where": _where,
    "sign": _sign,
    "copysign": _copysign,
    "fmod": _fmod,
    "remainder": _remainder,
    "floor": _floor,
    "ceil": _ceil,
    "trunc": _rounded(math.trunc),
    "round": _rounded(round),
    "round_away": _rounded(round_away),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"), _truth),
}


def fact_of_call(op: str, args: list[Fact]) -> Fact:
    """Return the fact of the primitive `op` of arguments with these facts; nothing for one without a rule.

    >>> fact_of_call("exp", [ANY]).positive
    True
    """
    rule = RULES.get(op)
    return ANY if rule is None else rule(*args)
