"""Arithmetic: what operators build, rounding, signs, extrema."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from alkahest.prims.scalar import Scalar, Select, apply, fold, scalar_p

add_p = scalar_p(
    "add", impl=lambda a, b: a + b, array="numpy.add", partials=lambda a, b: (1, 1), lower={"c": "{0} + {1}"}
)
sub_p = scalar_p(
    "sub",
    impl=lambda a, b: a - b,
    array="numpy.subtract",
    partials=lambda a, b: (1, -1),
    lower={"c": "{0} - {1}"},
)
mul_p = scalar_p(
    "mul",
    impl=lambda a, b: a * b,
    array="numpy.multiply",
    partials=lambda a, b: (b, a),
    lower={"c": "{0} * {1}"},
)
div_p = scalar_p(
    "div",
    impl=lambda a, b: a / b,
    array="numpy.divide",
    partials=lambda a, b, out: (1 / b, -(out / b)),
    domain=((-2.0, 2.0), (0.5, 3.0)),
    lower={"c": "{0} / {1}"},
)
neg_p = scalar_p("neg", impl=lambda a: -a, array="numpy.negative", partials=lambda a: (-1,), lower={"c": "-{0}"})


def _pow_partials(x: Any, y: Any, out: Any) -> tuple[Any, Any]:
    # x**(y-1) rather than out/x: right at x = 0 too. Functions, since most powers need only the first.
    return lambda: y * x ** (y - 1), lambda: out * log(x)


pow_p = scalar_p(
    "pow",
    impl=math.pow,
    array="alkahest.prims.arithmetic.power_array",
    partials=_pow_partials,
    domain=((0.1, 3.0), (-2.0, 2.0)),
    lower={"c": "pow({0}, {1})"},
)


def power_array(x: Any, y: Any) -> Any:
    """Return `numpy.power` with C99's special values: NumPy takes the power 1/2 of an array for the square root."""
    import numpy as np

    if np.size(y) == 1 and float(np.reshape(y, ())) == 0.5:
        root = np.sqrt(np.add(x, 0.0))  # (-0)^(1/2) is +0
        return np.where(np.equal(x, -np.inf), np.inf, root)
    return np.power(x, y)


def exact_fma(a: float, b: float, c: float) -> float:
    """Return a*b + c rounded once, by exact rational arithmetic; non-finite arguments follow IEEE 754."""
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return c if math.isinf(c) and math.isfinite(a) and math.isfinite(b) else a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c  # the sign of an exact zero is that of the rounded sum
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


_c_fma = getattr(math, "fma", exact_fma)  # Python 3.13 has it, and raises where IEEE 754 has an infinity or nan


def _fma(a: float, b: float, c: float) -> float:
    try:
        return _c_fma(a, b, c)
    except (OverflowError, ValueError):
        return exact_fma(a, b, c)


fma_p = scalar_p(
    "fma",
    impl=_fma,
    array=(),
    partials=lambda a, b, c: (b, a, 1),
    lower={"c": "fma({0}, {1}, {2})"},
)
abs_p = scalar_p("abs", impl=math.fabs, array="numpy.abs", partials=lambda x: (sign(x),), lower={"c": "fabs({0})"})
sign_p = scalar_p(
    "sign",
    impl=lambda x: 1.0 if x > 0 else -1.0 if x < 0 else 0.0 if x == 0 else x,
    array="numpy.sign",
    partials=lambda x: (0,),
    lower={"c": "{0} > 0.0 ? 1.0 : {0} < 0.0 ? -1.0 : fabs({0})"},
)


def _integral(rounding: Any) -> Any:
    def number(x: float) -> float:
        return math.copysign(float(rounding(x)), x) if math.isfinite(x) else x

    return number


def _half_away(x: float) -> float:
    whole = math.trunc(x)
    return float(whole + (math.copysign(1, x) if abs(x - whole) >= 0.5 else 0))


floor_p = scalar_p(
    "floor",
    impl=_integral(math.floor),
    array="numpy.floor",
    partials=lambda x: (0,),
    lower={"c": "floor({0})"},
)
ceil_p = scalar_p(
    "ceil", impl=_integral(math.ceil), array="numpy.ceil", partials=lambda x: (0,), lower={"c": "ceil({0})"}
)
trunc_p = scalar_p(
    "trunc",
    impl=_integral(math.trunc),
    array="numpy.trunc",
    partials=lambda x: (0,),
    lower={"c": "trunc({0})"},
)
round_p = scalar_p(
    "round", impl=_integral(round), array="numpy.rint", partials=lambda x: (0,), lower={"c": "nearbyint({0})"}
)
round_away_p = scalar_p(
    "round_away", impl=_integral(_half_away), array=(), partials=lambda x: (0,), lower={"c": "round({0})"}
)


Choice = Callable[[float, float], float]


def _propagating(choose: Choice) -> Choice:
    return lambda a, b: choose(a, b) if a == a and b == b else math.nan


def _ignoring(choose: Choice) -> Choice:
    return lambda a, b: choose(a, b) if a == a and b == b else (b if a != a else a)


min_p = scalar_p(
    "min",
    impl=_propagating(min),
    array="numpy.minimum",
    partials=lambda a, b: (Select(a <= b, True), Select(a <= b, False)),
    lower={"c": "{0} != {0} || {0} < {1} ? {0} : {1}"},
)
max_p = scalar_p(
    "max",
    impl=_propagating(max),
    array="numpy.maximum",
    partials=lambda a, b: (Select(a >= b, True), Select(a >= b, False)),
    lower={"c": "{0} != {0} || {0} > {1} ? {0} : {1}"},
)
fmin_p = scalar_p(
    "fmin",
    impl=_ignoring(min),
    array="numpy.fmin",
    partials=lambda a, b, out: (Select(eq(out, a), True), Select(eq(out, a), False)),
    lower={"c": "fmin({0}, {1})"},
)
fmax_p = scalar_p(
    "fmax",
    impl=_ignoring(max),
    array="numpy.fmax",
    partials=lambda a, b, out: (Select(eq(out, a), True), Select(eq(out, a), False)),
    lower={"c": "fmax({0}, {1})"},
)
copysign_p = scalar_p(
    "copysign",
    impl="copysign",
    partials=lambda a, b: (sign(a) * copysign(1, b), 0),
    lower={"c": "copysign({0}, {1})"},
)
fmod_p = scalar_p(
    "fmod",
    impl="fmod",
    partials=lambda a, b: (1, -trunc(a / b)),
    domain=((-2.0, 2.0), (0.5, 3.0)),
    lower={"c": "fmod({0}, {1})"},
)
remainder_p = scalar_p(
    "remainder",
    impl="remainder",
    array=(),
    partials=lambda a, b: (1, -round(a / b)),
    domain=((-2.0, 2.0), (0.5, 3.0)),
    lower={"c": "remainder({0}, {1})"},
)


def pow(x: Scalar, y: Scalar) -> Scalar:
    """Return `x` to the power `y`, as C99 `pow`; the same as `x**y`.

    >>> pow(2.0, 10)
    1024.0
    """
    return apply(pow_p, x, y)


def fma(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    """Return `a*b + c` rounded once.

    >>> fma(0.1, 10.0, -1.0)
    5.551115123125783e-17
    """
    return apply(fma_p, a, b, c)


def abs(x: Scalar) -> Scalar:
    """Return the absolute value; its derivative is `sign(x)`.

    >>> abs(-2.5)
    2.5
    """
    return apply(abs_p, x)


def sign(x: Scalar) -> Scalar:
    """Return 1, -1, or 0 at zero; nan at nan. Its derivative is 0.

    >>> sign(-3.0)
    -1.0
    """
    return apply(sign_p, x)


def floor(x: Scalar) -> Scalar:
    """Return the largest integer not above `x`, as a float; derivative 0.

    >>> floor(-1.5)
    -2.0
    """
    return apply(floor_p, x)


def ceil(x: Scalar) -> Scalar:
    """Return the smallest integer not below `x`, as a float; derivative 0.

    >>> ceil(1.2)
    2.0
    """
    return apply(ceil_p, x)


def trunc(x: Scalar) -> Scalar:
    """Return `x` with its fraction dropped; derivative 0.

    >>> trunc(-1.7)
    -1.0
    """
    return apply(trunc_p, x)


def round(x: Scalar) -> Scalar:
    """Return the nearest integer, halves to the even one as NumPy does; derivative 0.

    >>> round(2.5), round(3.5)
    (2.0, 4.0)
    """
    return apply(round_p, x)


def round_away(x: Scalar) -> Scalar:
    """Return the nearest integer, halves away from zero as C's `round` does; derivative 0.

    >>> round_away(2.5)
    3.0
    """
    return apply(round_away_p, x)


def min(a: Scalar, b: Scalar, *more: Scalar) -> Scalar:
    """Return the smallest argument; nan where any is nan. At a tie the derivative goes to the first.

    >>> min(3.0, 1.0, 2.0)
    1.0
    """
    return fold(min_p, a, b, more)


def max(a: Scalar, b: Scalar, *more: Scalar) -> Scalar:
    """Return the largest argument; nan where any is nan. At a tie the derivative goes to the first.

    >>> max(3.0, 1.0, 2.0)
    3.0
    """
    return fold(max_p, a, b, more)


def fmin(a: Scalar, b: Scalar, *more: Scalar) -> Scalar:
    """Return the smallest argument that is not nan, as C99 `fmin`.

    >>> fmin(float("nan"), 1.0)
    1.0
    """
    return fold(fmin_p, a, b, more)


def fmax(a: Scalar, b: Scalar, *more: Scalar) -> Scalar:
    """Return the largest argument that is not nan, as C99 `fmax`.

    >>> fmax(float("nan"), 1.0)
    1.0
    """
    return fold(fmax_p, a, b, more)


def copysign(a: Scalar, b: Scalar) -> Scalar:
    """Return `a` with the sign of `b`; minus zero counts as negative.

    >>> copysign(3.0, -0.0)
    -3.0
    """
    return apply(copysign_p, a, b)


def fmod(a: Scalar, b: Scalar) -> Scalar:
    """Return the remainder of `a/b` with the sign of `a`, as C99 `fmod`.

    >>> fmod(-7.0, 3.0)
    -1.0
    """
    return apply(fmod_p, a, b)


def remainder(a: Scalar, b: Scalar) -> Scalar:
    """Return `a` less the nearest multiple of `b`, as C99 `remainder`.

    >>> remainder(5.0, 3.0)
    -1.0
    """
    return apply(remainder_p, a, b)


from alkahest.prims.comparison import eq  # noqa: E402 - partials are written with functions declared later
from alkahest.prims.elementary import log  # noqa: E402
