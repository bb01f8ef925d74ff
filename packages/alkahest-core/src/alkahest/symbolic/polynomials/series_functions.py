"""The series of functions: exponentials, logarithms, circular and hyperbolic functions, powers, error functions.

A rule takes the expander, the node and its arguments' nodes. What has no rule is composed from its derivatives.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from alkahest.errors import DifferentiationError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.traversal import rebuild
from alkahest.symbolic.derivative import diff
from alkahest.symbolic.polynomials import power_series as ps
from alkahest.symbolic.polynomials.expanding import (
    POLES,
    Expander,
    Rule,
    Series,
    Singular,
    is_pole,
    number,
    plus,
    times,
    whole_power,
)
from alkahest.symbolic.polynomials.power_series import ONE, ZERO, Coefficients, is_zero
from alkahest.symbolic.rational.flint_ring import TooLarge, fmpq

_MAX_DERIVATIVES = 60  # of a function that has no rule
_MAX_DERIVATIVE_NODES = 20_000


def split(env: Expander, ident: int) -> tuple[Any, Coefficients, int]:
    """Return the constant term of a series, the series without it, and the number of known terms."""
    u = env.at_point(ident)
    if not u:
        raise Singular
    return u[0], [ZERO, *u[1:]], len(u)


def _require(env: Expander, c: Any, sign: int = 1) -> None:
    """Raise `Singular` where a constant is known not to have this sign."""
    if env.sign(c) not in (sign, None):
        raise Singular


# -- powers


def _power(env: Expander, ident: int, a: int, b: int) -> Series:
    if b not in env.active:
        exponent = env.of(b).coefs[0]
        value = number(exponent)
        if value is not None and value.denominator == 1:
            return whole_power(env.of(a), value.numerator, env.terms)
        u, h, n = split(env, a)
        _require(env, u)
        return _raised(env, env.value("pow", u, exponent), u, h, exponent, n)
    if a in env.active:
        u, h, n = split(env, a)
        _require(env, u)
        logs = Series(0, [env.value("log", u), *ps.logarithm(ps.scaled(h, ONE / u), n)[1:]])
    else:
        u = env.of(a).coefs[0]
        _require(env, u)
        logs = env.constant(env.value("log", u))
    w = times(env.of(b), logs)
    if w.low < 0 and not all([is_zero(c) for c in w.coefs[: -w.low]]):
        raise Singular
    coefs = w.coefs[max(0, -w.low) :]
    first = env.value("pow", u, env.at_point(b)[0])
    return Series(0, ps.scaled(ps.exponential([ZERO, *coefs[1:]], len(coefs)), first))


def _raised(env: Expander, first: Any, u: Any, h: Coefficients, exponent: Any, n: int) -> Series:
    """Return (u + h)**exponent, whose constant term is `first`."""
    return Series(0, ps.scaled(ps.power(ps.scaled(h, ONE / u), exponent, n), first))


def _sqrt(env: Expander, ident: int, a: int) -> Series:
    u, h, n = split(env, a)
    _require(env, u)
    return _raised(env, env.value("sqrt", u), u, h, fmpq(1, 2), n)


def _cbrt(env: Expander, ident: int, a: int) -> Series:
    u, h, n = split(env, a)
    if is_zero(u):
        raise Singular
    return _raised(env, env.value("cbrt", u), u, h, fmpq(1, 3), n)


def _hypot(env: Expander, ident: int, a: int, b: int) -> Series:
    total = plus(times(env.of(a), env.of(a)), times(env.of(b), env.of(b)))
    if total.low < 0:
        raise Singular
    coefs = [ZERO] * total.low + total.coefs
    _require(env, coefs[0])
    first = env.value("hypot", env.at_point(a)[0], env.at_point(b)[0])
    return _raised(env, first, coefs[0], [ZERO, *coefs[1:]], fmpq(1, 2), len(coefs))


# -- exponentials and logarithms


def _exp(env: Expander, ident: int, a: int) -> Series:
    u, h, n = split(env, a)
    return Series(0, ps.scaled(ps.exponential(h, n), env.value("exp", u)))


def _expm1(env: Expander, ident: int, a: int) -> Series:
    return plus(_exp(env, ident, a), env.constant(ONE), -1)


def _logarithm(name: str, base: int, shift: int = 0) -> Rule:
    """Return the rule of a logarithm to a base, 0 for the natural one, of its argument plus `shift`."""

    def rule(env: Expander, ident: int, a: int) -> Series:
        u, h, n = split(env, a)
        v = u + shift
        _require(env, v)
        if is_zero(v):
            raise Singular
        rest = ps.logarithm(ps.scaled(h, ONE / v), n)
        if base:
            rest = ps.scaled(rest, ONE / env.value("log", fmpq(base)))
        return Series(0, [env.value(name, u), *rest[1:]])

    return rule


# -- trigonometric and hyperbolic functions


def _circular(sign: int, sine: bool) -> Rule:
    """Return the rule of sin, cos (sign -1), sinh or cosh (sign 1)."""
    names = ("sin", "cos") if sign < 0 else ("sinh", "cosh")

    def rule(env: Expander, ident: int, a: int) -> Series:
        u, h, n = split(env, a)
        s, c = ps.sine_cosine(h, n, sign)
        if is_zero(u):
            return Series(0, s if sine else c)
        at_sine, at_cosine = env.value(names[0], u), env.value(names[1], u)
        if sine:
            return plus(Series(0, ps.scaled(c, at_sine)), Series(0, ps.scaled(s, at_cosine)))
        return plus(Series(0, ps.scaled(c, at_cosine)), Series(0, ps.scaled(s, at_sine)), sign)

    return rule


def _tangent(name: str, sign: int) -> Rule:
    def rule(env: Expander, ident: int, a: int) -> Series:
        u, h, n = split(env, a)
        return Series(0, ps.tangent(h, env.value(name, u), n, sign))

    return rule


def _integrated(name: str, slope: Callable[[Expander, Coefficients, int], Coefficients], factor: int = 1) -> Rule:
    """Return the rule of a function whose derivative is `slope`."""

    def rule(env: Expander, ident: int, a: int) -> Series:
        u = env.at_point(a)
        n = len(u)
        if not n:
            raise Singular
        first = env.value(name, u[0])
        if n == 1:
            return Series(0, [first])
        inner = ps.multiply(ps.derivative(u), slope(env, u, n - 1), n - 1)
        return Series(0, ps.integral(ps.scaled(inner, fmpq(factor)), first))

    return rule


def _square(u: Coefficients, n: int, first: int, sign: int) -> Coefficients:
    """Return first + sign*u^2."""
    out = ps.scaled(ps.multiply(u, u, n), fmpq(sign))
    out[0] = out[0] + first
    return out


def _inverse_square(first: int, sign: int) -> Callable[[Expander, Coefficients, int], Coefficients]:
    def slope(env: Expander, u: Coefficients, n: int) -> Coefficients:
        below = _square(u, n, first, sign)
        if sign < 0:
            _require(env, below[0])
        if is_zero(below[0]):
            raise Singular
        return ps.inverse(below, n)

    return slope


def _inverse_root(first: int, sign: int) -> Callable[[Expander, Coefficients, int], Coefficients]:
    """Return 1/sqrt(first + sign*u^2)."""

    def slope(env: Expander, u: Coefficients, n: int) -> Coefficients:
        below = _square(u, n, first, sign)
        if is_zero(below[0]):
            raise Singular
        _require(env, below[0])
        if first < 0:
            _require(env, u[0])
        front = ONE / env.value("sqrt", below[0])
        return ps.scaled(ps.power(ps.scaled([ZERO, *below[1:]], ONE / below[0]), fmpq(-1, 2), n), front)

    return slope


def _gaussian(env: Expander, u: Coefficients, n: int) -> Coefficients:
    """Return the derivative of erf: 2/sqrt(pi) * exp(-u^2)."""
    square = _square(u, n, 0, -1)
    front = env.value("exp", square[0]) * 2 / env.value("sqrt", env.constants.of(env.pool.pi))
    return ps.scaled(ps.exponential([ZERO, *square[1:]], n), front)


def _atan2(env: Expander, ident: int, y: int, x: int) -> Series:
    a, b = env.at_point(y), env.at_point(x)
    n = min(len(a), len(b))
    below = [p + q for p, q in zip(ps.multiply(a, a, n), ps.multiply(b, b, n), strict=True)]
    if is_zero(below[0]) or (is_zero(a[0]) and env.sign(b[0]) != 1):
        raise Singular
    first = env.value("atan2", a[0], b[0])
    if n == 1:
        return Series(0, [first])
    left, right = ps.multiply(ps.derivative(a), b, n - 1), ps.multiply(ps.derivative(b), a, n - 1)
    above = [p - q for p, q in zip(left, right, strict=True)]
    return Series(0, ps.integral(ps.multiply(above, ps.inverse(below, n - 1), n - 1), first))


def _gamma(env: Expander, ident: int, a: int) -> Series:
    """By its logarithm: gamma(u + h) = gamma(u) * exp(lgamma(u + h) - lgamma(u))."""
    u, _, n = split(env, a)
    logs = composed(env, env.pool.apply("lgamma", Expr(env.pool, a)).id, a)
    return Series(0, ps.scaled(ps.exponential([ZERO, *logs.coefs[1:]], n), env.value("gamma", u)))


# -- what has no rule


def composed(env: Expander, ident: int, *args: int) -> Series:
    """Return the series of a function of one argument from its derivatives at the point.

    With several arguments that vary, or without derivatives, it has none: `Singular`.
    """
    inner = [k for k, a in enumerate(args) if a in env.active]
    if len(inner) != 1:
        raise Singular
    u, h, n = split(env, args[inner[0]])
    if is_pole(u) and env.pool._nodes[ident][0] in POLES:
        raise Singular
    if n > _MAX_DERIVATIVES:
        raise TooLarge
    values = _derivatives(env, ident, args, inner[0], u, n)
    out: Coefficients = [ZERO] * n
    for c in reversed(values):  # Horner's scheme
        out = ps.multiply(out, h, n)
        out[0] = out[0] + c
    return Series(0, out)


def _derivatives(env: Expander, ident: int, args: tuple[int, ...], inner: int, u: Any, n: int) -> list[Any]:
    """Return the derivatives of a function at a constant, divided by factorials."""
    pool = env.pool
    scratch = ExprPool()
    names = [scratch.symbol(f"a{k}") for k in range(len(args))]
    f = scratch.apply(pool._nodes[ident][0], *names)
    given = {names[k].id: Expr(pool, a) for k, a in enumerate(args)}
    given[names[inner].id] = env.constants.expr(u)
    out: list[Any] = []
    for k in range(n):
        at = rebuild([f], given.get, pool)[0]
        out.append(env.constants.of(at) / math.factorial(k))
        if k + 1 < n:
            try:
                f = diff(f, names[inner])
            except DifferentiationError:
                raise Singular from None
            if f.node_count() > _MAX_DERIVATIVE_NODES:
                raise TooLarge
    return out


FUNCTIONS: dict[str, Rule] = {
    "pow": _power,
    "sqrt": _sqrt,
    "cbrt": _cbrt,
    "hypot": _hypot,
    "exp": _exp,
    "expm1": _expm1,
    "log": _logarithm("log", 0),
    "log2": _logarithm("log2", 2),
    "log10": _logarithm("log10", 10),
    "log1p": _logarithm("log1p", 0, 1),
    "sin": _circular(-1, True),
    "cos": _circular(-1, False),
    "sinh": _circular(1, True),
    "cosh": _circular(1, False),
    "tan": _tangent("tan", 1),
    "tanh": _tangent("tanh", -1),
    "asin": _integrated("asin", _inverse_root(1, -1)),
    "acos": _integrated("acos", _inverse_root(1, -1), -1),
    "atan": _integrated("atan", _inverse_square(1, 1)),
    "asinh": _integrated("asinh", _inverse_root(1, 1)),
    "acosh": _integrated("acosh", _inverse_root(-1, 1)),
    "atanh": _integrated("atanh", _inverse_square(1, -1)),
    "erf": _integrated("erf", _gaussian),
    "erfc": _integrated("erfc", _gaussian, -1),
    "atan2": _atan2,
    "gamma": _gamma,
}
