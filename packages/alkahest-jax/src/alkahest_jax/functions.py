"""Functions that XLA lacks, or computes with errors of hundreds of units in the last place."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
from jax import lax

Array = Any
MAX_POLYGAMMA_ORDER = 100


def in_double(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return `function` computing in double precision whatever it is given, its result rounded."""

    @functools.wraps(function)
    def run(*xs: Array) -> Array:
        kind = jnp.result_type(*xs)
        return function(*[jnp.asarray(x, jnp.float64) for x in xs]).astype(kind)

    return run


def add(x: Array, y: Array) -> Array:
    """Return the sum."""
    # XLA's front end drops `x + 0.0`, which is wrong at -0.0: hide the zero from it.
    return jnp.add(*[lax.optimization_barrier(v) if _is_constant(v, 0) else v for v in (x, y)])


def power(x: Array, y: Array) -> Array:
    """Return `x` to the power `y`; a constant 2 becomes a product."""
    return jnp.multiply(x, x) if _is_constant(y, 2) else jnp.power(x, y)


def _is_constant(value: Array, number: float) -> bool:
    return isinstance(value, np.generic) and bool(value == number)


def sign(x: Array) -> Array:
    """Return 1, -1, or 0 (never -0); nan at nan."""
    return jnp.where(x == 0, 0.0, jnp.sign(x))


@in_double
def cbrt(x: Array) -> Array:
    """Return the real cube root: XLA's, after one Newton step."""
    y = jnp.cbrt(x)
    step = (y * y - x / y) / (3 * y)
    return jnp.where((x == 0) | ~jnp.isfinite(x), y, y - step)


def log2(x: Array) -> Array:
    """Return the binary logarithm, exact at powers of two."""
    return _exact_at_powers(jnp.log2(x), x, 2)


def log10(x: Array) -> Array:
    """Return the decimal logarithm, exact at powers of ten."""
    return _exact_at_powers(jnp.log10(x), x, 10)


def _exact_at_powers(y: Array, x: Array, base: int) -> Array:
    whole = jnp.rint(y)
    return jnp.where(jnp.power(jnp.asarray(base, y.dtype), whole) == x, whole, y)


@in_double
def log1p(x: Array) -> Array:
    """Return log(1 + x) without cancellation; method: HP-15C Advanced Functions Handbook (W. Kahan, 1982)."""
    u = 1 + x
    return jnp.where((u == 1) | (x == jnp.inf), x, jnp.log(u) * (x / (u - 1)))


@in_double
def atanh(x: Array) -> Array:
    """Return the inverse hyperbolic tangent, through `log1p`."""
    a = jnp.abs(x)
    return jnp.copysign(0.5 * log1p(2 * a / (1 - a)), x)


def asin(x: Array) -> Array:
    """Return the arc sine; XLA's halves its argument first, which loses the smallest numbers."""
    return jnp.where(jnp.abs(x) < 1e-9, x, jnp.arcsin(x))


@in_double
def sinh(x: Array) -> Array:
    """Return the hyperbolic sine, finite as long as it can be."""
    a = jnp.abs(x)
    e, root = jnp.expm1(a), jnp.exp(0.5 * a)
    return jnp.copysign(jnp.where(a < 700, 0.5 * (e + e / (e + 1)), 0.5 * root * root), x)


@in_double
def cosh(x: Array) -> Array:
    """Return the hyperbolic cosine, finite as long as it can be."""
    a = jnp.abs(x)
    e, root = jnp.exp(a), jnp.exp(0.5 * a)
    return jnp.where(a < 700, 0.5 * e + 0.5 / e, 0.5 * root * root)


@in_double
def erfc(x: Array) -> Array:
    """Return the complementary error function.

    XLA's is exp(-x²) times a rational function; for large x its x² was rounded, which this makes good.
    """
    square = x * x
    upper = lax.bitcast_convert_type(lax.bitcast_convert_type(x, jnp.int64) & -(1 << 27), jnp.float64)
    lost = (upper * upper - square) + (upper + x) * (x - upper)
    return jsp.erfc(x) * jnp.where((x > 1) & (x < 27), 1 - lost, 1)


# Lanczos approximation with g = 6.0246…, N = 13: J. Maddock's coefficients, as in Boost and in CPython's math module.
_G = 6.024680040776729583740234375
_NUMERATOR = (
    23531376880.410759688572007674451636754734846804940,
    42919803642.649098768957899047001988850926355848959,
    35711959237.355668049440185451547166705960488635843,
    17921034426.037209699919755754458931112671403265390,
    6039542586.3520280050642916443072979210699388420708,
    1439720407.3117216736632230727949123939715485786372,
    248874557.86205415651146038641322942321632125127801,
    31426415.585400194380614231628318205362874684987640,
    2876370.6289353724412254090516208496135991145378768,
    186056.26539522349504029498971604569928220784236328,
    8071.6720023658162106380029022722506138218516325024,
    210.82427775157934587250973392071336271166969580291,
    2.5066282746310002701649081771338373386264310793408,
)
_DENOMINATOR = (0, 39916800, 120543840, 150917976, 105258076, 45995730, 13339535, 2637558, 357423, 32670, 1925, 66, 1)


def _lanczos(x: Array) -> Array:
    """Return the sum for x > 0; above 5 in powers of 1/x, which cannot overflow."""
    small, t = x < 5, jnp.where(x < 5, x, 1 / x)
    numerator, denominator = [
        _horner(t, [jnp.where(small, a, b) for a, b in zip(c, reversed(c), strict=True)])
        for c in (_NUMERATOR, _DENOMINATOR)
    ]
    return numerator / denominator


def _horner(x: Array, coefficients: list[Any]) -> Array:
    """Return the polynomial with these coefficients, the constant one first."""
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _sin_pi(x: Array) -> Array:
    """Return sin(pi x), the argument reduced exactly first."""
    r = x - 2 * jnp.rint(0.5 * x)
    r = jnp.where(jnp.abs(r) > 0.5, jnp.copysign(1 - jnp.abs(r), r), r)
    return jnp.sin(math.pi * r)


@in_double
def gamma(x: Array) -> Array:
    """Return the gamma function; nan at negative integers.

    Method: Lanczos (1964) and reflection, arranged as in CPython's `math.gamma` so that nothing overflows too early.
    """
    a = jnp.abs(x)
    y = a + (_G - 0.5)
    lost = jnp.where(a > _G - 0.5, (y - a) - (_G - 0.5), (y - (_G - 0.5)) - a) * _G / y
    root = jnp.power(y, 0.5 * a - 0.25)
    value = _lanczos(a) / jnp.exp(y)
    value = (value + value * lost) * root * root
    value = jnp.where((x == jnp.rint(x)) & (value < 1e15), jnp.rint(value), value)
    reflected = -math.pi / _sin_pi(a) / a / value
    value = jnp.where(x > 0, jnp.where(x > 172, jnp.inf, value), reflected)
    value = jnp.where(x < -185, jnp.where(_sin_pi(a) > 0, -0.0, 0.0), value)
    value = jnp.where((x < 0) & (x == jnp.rint(x)), jnp.nan, value)
    return jnp.where(a < 1e-17, 1 / x, jnp.where(jnp.isnan(x), x, value))


@in_double
def lgamma(x: Array) -> Array:
    """Return the logarithm of |gamma|: XLA's."""
    return lax.lgamma(x)


@in_double
def digamma(x: Array) -> Array:
    """Return the logarithmic derivative of the gamma function: XLA's, and an infinity at zero."""
    return jnp.where(x == 0, -jnp.copysign(jnp.inf, x), lax.digamma(x))


def polygamma(n: Array, x: Array) -> Array:
    """Return the `n`-th derivative of digamma, `n` being a constant of the tape.

    Right of zero by Hurwitz's zeta function (DLMF 25.11.12), left of it by reflection (DLMF 5.15.6).
    """
    order = int(n) if n == np.floor(n) and n >= 0 else None
    if order is None:
        return jnp.full_like(x, jnp.nan)
    return digamma(x) if order == 0 else in_double(functools.partial(_polygamma, order))(x)


def _polygamma(order: int, x: Array) -> Array:
    right = jnp.where(x > 0, x, 1 - x)
    value = (-1.0) ** (order + 1) * math.factorial(order) * jsp.zeta(order + 1.0, right)
    value = jnp.where(right == jnp.inf, 0.0, value)
    cotangent = 1 / jnp.tan(math.pi * (x - jnp.rint(x)))
    derivative = math.pi ** (order + 1) * _horner(cotangent, [float(c) for c in _cot_derivative(order)])
    left = (-1.0) ** order * value - derivative
    pole = jnp.inf if order % 2 else jnp.nan
    left = jnp.where(x == -jnp.inf, jnp.nan, jnp.where(x == jnp.rint(x), pole, left))
    return jnp.where(jnp.isnan(x), x, jnp.where(x > 0, value, left))


@functools.cache
def _cot_derivative(order: int) -> tuple[int, ...]:
    """Return the coefficients of p with (d/dx)^order cot x = p(cot x): p' times -(1 + c²), again and again."""
    p = [0, 1]
    for _ in range(order):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return tuple(p)
