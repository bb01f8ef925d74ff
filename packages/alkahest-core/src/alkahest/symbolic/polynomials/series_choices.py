"""The series of choices and steps: around a point where no condition changes, a choice is one of its branches."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from alkahest.symbolic.polynomials import power_series as ps
from alkahest.symbolic.polynomials.expanding import Expander, Rule, Series, Singular, number, plus
from alkahest.symbolic.polynomials.series_functions import split
from alkahest.symbolic.rational.flint_ring import fmpq


def _sign_of(env: Expander, series: Series) -> int:
    """Return the sign at the point and around it; raises `Singular` where it changes there or is not known."""
    if series.low < 0 or not series.coefs or series.low > 0:
        raise Singular
    sign = env.sign(series.coefs[0])
    if not sign:
        raise Singular
    return sign


def _abs(env: Expander, ident: int, a: int) -> Series:
    u = env.of(a)
    return Series(u.low, ps.scaled(u.coefs, fmpq(_sign_of(env, u))))


def _sign(env: Expander, ident: int, a: int) -> Series:
    return env.constant(fmpq(_sign_of(env, env.of(a))))


def _rounded(rounds: Callable[[Fraction], int], half: bool) -> Rule:
    def rule(env: Expander, ident: int, a: int) -> Series:
        value = number(split(env, a)[0])
        if value is None or (value * 2 if half else value).denominator == 1:
            raise Singular  # a step, or nobody knows
        return env.constant(fmpq(rounds(value)))

    return rule


def _trunc(env: Expander, ident: int, a: int) -> Series:
    value = number(split(env, a)[0])
    if value is None or (value.denominator == 1 and value != 0):
        raise Singular
    return env.constant(fmpq(math.trunc(value)))


def _extremum(sign: int) -> Rule:
    def rule(env: Expander, ident: int, a: int, b: int) -> Series:
        return env.of(a) if _sign_of(env, plus(env.of(a), env.of(b), -1)) == sign else env.of(b)

    return rule


def _comparison(for_less: int, for_greater: int) -> Rule:
    def rule(env: Expander, ident: int, a: int, b: int) -> Series:
        sign = _sign_of(env, plus(env.of(a), env.of(b), -1))
        return env.constant(fmpq(for_less if sign < 0 else for_greater))

    return rule


def _truth(env: Expander, ident: int) -> bool:
    """Return whether a condition holds around the point."""
    first = env.at_point(ident)[0]
    value = number(first)
    if value is None:
        raise Singular
    return value != 0


def _connective(joins: Callable[[list[bool]], bool]) -> Rule:
    def rule(env: Expander, ident: int, a: int, b: int) -> Series:
        return env.constant(fmpq(int(joins([_truth(env, a), _truth(env, b)]))))

    return rule


def _not(env: Expander, ident: int, a: int) -> Series:
    return env.constant(fmpq(int(not _truth(env, a))))


def _where(env: Expander, ident: int, condition: int, a: int, b: int) -> Series:
    return env.of(a if _truth(env, condition) else b)


def _round_away(x: Fraction) -> int:
    return math.floor(abs(x) + Fraction(1, 2)) * (1 if x >= 0 else -1)


CHOICES: dict[str, Rule] = {
    "abs": _abs,
    "sign": _sign,
    "floor": _rounded(math.floor, False),
    "ceil": _rounded(math.ceil, False),
    "trunc": _trunc,
    "round": _rounded(round, True),
    "round_away": _rounded(_round_away, True),
    "min": _extremum(-1),
    "max": _extremum(1),
    "fmin": _extremum(-1),
    "fmax": _extremum(1),
    "lt": _comparison(1, 0),
    "le": _comparison(1, 0),
    "gt": _comparison(0, 1),
    "ge": _comparison(0, 1),
    "eq": _comparison(0, 0),
    "ne": _comparison(1, 1),
    "and": _connective(all),
    "or": _connective(any),
    "not": _not,
    "where": _where,
}
