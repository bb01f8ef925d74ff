"""What each operation does to series: one rule by name."""

from __future__ import annotations

from alkahest.symbolic.polynomials.expanding import Expander, Rule, Series, plus, reciprocal, times
from alkahest.symbolic.polynomials.series_choices import CHOICES
from alkahest.symbolic.polynomials.series_functions import FUNCTIONS


def _add(env: Expander, ident: int, a: int, b: int) -> Series:
    return plus(env.of(a), env.of(b))


def _sub(env: Expander, ident: int, a: int, b: int) -> Series:
    return plus(env.of(a), env.of(b), -1)


def _neg(env: Expander, ident: int, a: int) -> Series:
    low, coefs = env.of(a)
    return Series(low, [-c for c in coefs])


def _mul(env: Expander, ident: int, a: int, b: int) -> Series:
    return times(env.of(a), env.of(b))


def _div(env: Expander, ident: int, a: int, b: int) -> Series:
    return times(env.of(a), reciprocal(env.of(b)))


def _fma(env: Expander, ident: int, a: int, b: int, c: int) -> Series:
    return plus(times(env.of(a), env.of(b)), env.of(c))


RULES: dict[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "fma": _fma,
    **FUNCTIONS,
    **CHOICES,
}
