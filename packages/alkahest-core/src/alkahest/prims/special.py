"""Special functions: the error functions and the gamma family."""

from __future__ import annotations

import math
from typing import Any

from alkahest.prims.elementary import exp, sqrt
from alkahest.prims.scalar import Scalar, apply, literal, scalar_p

# Bernoulli numbers B2, B4, … B20 over (2k)!-free form, for asymptotic series (DLMF 5.11.2, 5.15.9).
_BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
)
_ASYMPTOTIC_FROM = 16.0


def _gamma(x: float) -> float:
    try:
        return math.gamma(x)
    except OverflowError:
        return math.inf if x > 0 or math.floor(x) % 2 == 0 else -math.inf
    except ValueError:
        return math.copysign(math.inf, x) if x == 0 else math.nan


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        return math.inf


def _cot_pi(x: float) -> float:
    """Return cot(pi x) with the argument reduced exactly first."""
    r = math.remainder(x, 1.0)
    return math.inf if r == 0 else 1.0 / math.tan(math.pi * r)


def _digamma(x: float) -> float:
    """Digamma by reflection (DLMF 5.5.4), recurrence (5.5.2) and the asymptotic series (5.11.2)."""
    if x == 0:
        return -math.copysign(math.inf, x)
    if not math.isfinite(x):
        return x if x > 0 else math.nan
    if x < 0:
        if x == math.floor(x):
            return math.nan
        return _digamma(1.0 - x) - math.pi * _cot_pi(x)
    shift = 0.0
    while x < _ASYMPTOTIC_FROM:
        shift += 1.0 / x
        x += 1.0
    inverse_square = 1.0 / (x * x)
    series = 0.0
    for k in range(len(_BERNOULLI), 0, -1):
        series = (series + _BERNOULLI[k - 1] / (2 * k)) * inverse_square
    return math.log(x) - 0.5 / x - series - shift


def _polygamma(n: float, x: float) -> float:
    """The n-th derivative of digamma by recurrence and the asymptotic series (DLMF 5.15.5 and 5.15.9)."""
    if n != math.floor(n) or n < 0 or math.isnan(x):
        return math.nan
    if n == 0:
        return _digamma(x)
    if x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.inf if n % 2 == 1 and x != -math.inf else math.nan
    if x < 0 and n == 1:  # reflection: trigamma(x) + trigamma(1 - x) = pi^2 / sin(pi x)^2
        return (math.pi / math.sin(math.pi * math.remainder(x, 1.0))) ** 2 - _polygamma(1.0, 1.0 - x)
    if x < -10_000.0:
        return math.nan
    try:
        return _polygamma_by_series(int(n), x)
    except OverflowError:  # near the pole at 0, or of so high an order that factorials overflow
        return math.nan if n > 150 else (math.inf if n % 2 == 1 or x < 0 else -math.inf)


def _polygamma_by_series(order: int, x: float) -> float:
    sign = -1.0 if order % 2 == 0 else 1.0
    shift = 0.0
    factorial = math.gamma(order + 1.0)
    while x < _ASYMPTOTIC_FROM + order:
        shift += factorial * x ** -(order + 1)
        x += 1.0
    if x == math.inf:
        return 0.0
    total = factorial / order * x**-order + 0.5 * factorial * x ** -(order + 1)
    for k, b in enumerate(_BERNOULLI, start=1):
        total += b * math.gamma(2 * k + order) / math.gamma(2 * k + 1) * x ** -(2 * k + order)
    return sign * (total + shift)


def _two_over_sqrt_pi(x: Any) -> Any:
    return 2 / sqrt(literal(x, "pi"))


erf_p = scalar_p(
    "erf",
    impl="erf",
    array="scipy.special.erf",
    partials=lambda x: (_two_over_sqrt_pi(x) * exp(-(x**2)),),
    lower={"c": "erf({0})"},
)
erfc_p = scalar_p(
    "erfc",
    impl="erfc",
    array="scipy.special.erfc",
    partials=lambda x: (-(_two_over_sqrt_pi(x) * exp(-(x**2))),),
    lower={"c": "erfc({0})"},
)
gamma_p = scalar_p(
    "gamma",
    impl=_gamma,
    array="scipy.special.gamma",
    partials=lambda x, out: (out * digamma(x),),
    domain=((0.3, 5.0),),
    lower={"c": "tgamma({0})"},
)
lgamma_p = scalar_p(
    "lgamma",
    impl=_lgamma,
    array="alkahest.prims.scipy_forms.lgamma",
    partials=lambda x: (digamma(x),),
    domain=((0.3, 5.0),),
    lower={"c": "lgamma({0})"},
)
digamma_p = scalar_p(
    "digamma",
    impl=_digamma,
    array="scipy.special.digamma",
    partials=lambda x: (polygamma(1, x),),
    domain=((0.3, 5.0),),
    lower={"c": "alkahest_digamma({0})"},
)
polygamma_p = scalar_p(
    "polygamma",
    impl=_polygamma,
    array=(),
    partials=lambda n, x: (None, polygamma(n + 1, x)),
    domain=((1.0, 1.0), (0.3, 5.0)),
    lower={"c": "alkahest_polygamma({0}, {1})"},
)


def erf(x: Scalar) -> Scalar:
    """Return the error function.

    >>> erf(0.0)
    0.0
    """
    return apply(erf_p, x)


def erfc(x: Scalar) -> Scalar:
    """Return `1 - erf(x)` without cancellation at large `x`.

    >>> erfc(0.0)
    1.0
    """
    return apply(erfc_p, x)


def gamma(x: Scalar) -> Scalar:
    """Return the gamma function; nan at negative integers.

    >>> gamma(5.0)
    24.0
    """
    return apply(gamma_p, x)


def lgamma(x: Scalar) -> Scalar:
    """Return the logarithm of the absolute value of the gamma function.

    >>> lgamma(1.0)
    0.0
    """
    return apply(lgamma_p, x)


def digamma(x: Scalar) -> Scalar:
    """Return the logarithmic derivative of the gamma function.

    >>> digamma(1.0)
    -0.5772156649015332
    """
    return apply(digamma_p, x)


def polygamma(n: Scalar, x: Scalar) -> Scalar:
    """Return the `n`-th derivative of digamma, `n` a whole number; it has no derivative by `n`.

    Below -10,000 only orders 0 and 1 are computed; higher ones give nan there.

    >>> polygamma(1, 1.0)
    1.6449340668482264
    """
    return apply(polygamma_p, n, x)
