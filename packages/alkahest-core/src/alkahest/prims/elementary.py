"""Elementary functions of one and two arguments."""

from __future__ import annotations

import math

from alkahest.prims.scalar import Scalar, apply, literal, scalar_p

exp_p = scalar_p("exp", impl="exp", partials=lambda x, out: (out,), domain=((-5.0, 5.0),), lower={"c": "exp({0})"})
expm1_p = scalar_p(
    "expm1", impl="expm1", partials=lambda x: (exp(x),), domain=((-2.0, 2.0),), lower={"c": "expm1({0})"}
)
log_p = scalar_p("log", impl="log", partials=lambda x: (1 / x,), domain=((0.1, 5.0),), lower={"c": "log({0})"})
log1p_p = scalar_p(
    "log1p", impl="log1p", partials=lambda x: (1 / (1 + x),), domain=((-0.9, 5.0),), lower={"c": "log1p({0})"}
)
log2_p = scalar_p(
    "log2",
    impl="log2",
    partials=lambda x: (1 / (x * log(literal(x, 2))),),
    domain=((0.1, 5.0),),
    lower={"c": "log2({0})"},
)
log10_p = scalar_p(
    "log10",
    impl="log10",
    partials=lambda x: (1 / (x * log(literal(x, 10))),),
    domain=((0.1, 5.0),),
    lower={"c": "log10({0})"},
)
sqrt_p = scalar_p(
    "sqrt",
    impl="sqrt",
    partials=lambda x, out: (1 / (2 * out),),
    domain=((0.1, 5.0),),
    lower={"c": "sqrt({0})"},
)


def _cbrt(x: float) -> float:
    """The C library's cube root, which may be 2 ulps off, and one step of Newton's method."""
    y = math.cbrt(x)
    cube = y * y * y
    return y - (cube - x) / (3.0 * y * y) if math.isfinite(cube) and cube != 0.0 else y


cbrt_p = scalar_p(
    "cbrt",
    impl=_cbrt,
    array="numpy.cbrt",
    partials=lambda x, out: (1 / (3 * out**2),),
    domain=((0.1, 5.0),),
    lower={"c": "cbrt({0})"},
)
sin_p = scalar_p("sin", impl="sin", partials=lambda x: (cos(x),), lower={"c": "sin({0})"})
cos_p = scalar_p("cos", impl="cos", partials=lambda x: (-sin(x),), lower={"c": "cos({0})"})
tan_p = scalar_p(
    "tan", impl="tan", partials=lambda x, out: (1 + out**2,), domain=((-1.4, 1.4),), lower={"c": "tan({0})"}
)
asin_p = scalar_p(
    "asin",
    impl="asin",
    array="numpy.arcsin",
    partials=lambda x: (1 / sqrt(1 - x**2),),
    domain=((-0.95, 0.95),),
    lower={"c": "asin({0})"},
)
acos_p = scalar_p(
    "acos",
    impl="acos",
    array="numpy.arccos",
    partials=lambda x: (-1 / sqrt(1 - x**2),),
    domain=((-0.95, 0.95),),
    lower={"c": "acos({0})"},
)
atan_p = scalar_p(
    "atan",
    impl="atan",
    array="numpy.arctan",
    partials=lambda x: (1 / (1 + x**2),),
    domain=((-5.0, 5.0),),
    lower={"c": "atan({0})"},
)
sinh_p = scalar_p("sinh", impl="sinh", partials=lambda x: (cosh(x),), lower={"c": "sinh({0})"})
cosh_p = scalar_p("cosh", impl="cosh", partials=lambda x: (sinh(x),), lower={"c": "cosh({0})"})
tanh_p = scalar_p("tanh", impl="tanh", partials=lambda x, out: (1 - out**2,), lower={"c": "tanh({0})"})
asinh_p = scalar_p(
    "asinh",
    impl="asinh",
    array="numpy.arcsinh",
    partials=lambda x: (1 / sqrt(x**2 + 1),),
    domain=((-5.0, 5.0),),
    lower={"c": "asinh({0})"},
)
acosh_p = scalar_p(
    "acosh",
    impl="acosh",
    array="numpy.arccosh",
    partials=lambda x: (1 / (sqrt(x - 1) * sqrt(x + 1)),),
    domain=((1.1, 5.0),),
    lower={"c": "acosh({0})"},
)
atanh_p = scalar_p(
    "atanh",
    impl="atanh",
    array="numpy.arctanh",
    partials=lambda x: (1 / (1 - x**2),),
    domain=((-0.95, 0.95),),
    lower={"c": "atanh({0})"},
)
atan2_p = scalar_p(
    "atan2",
    impl="atan2",
    array="numpy.arctan2",
    partials=lambda y, x: (x / (x**2 + y**2), -y / (x**2 + y**2)),
    domain=((0.2, 3.0), (-3.0, 3.0)),
    lower={"c": "atan2({0}, {1})"},
)
hypot_p = scalar_p(
    "hypot",
    impl="hypot",
    partials=lambda x, y, out: (x / out, y / out),
    domain=((0.2, 3.0), (-3.0, 3.0)),
    lower={"c": "hypot({0}, {1})"},
)


def exp(x: Scalar) -> Scalar:
    """Return e to the power `x`.

    >>> exp(0.0)
    1.0
    """
    return apply(exp_p, x)


def expm1(x: Scalar) -> Scalar:
    """Return `exp(x) - 1` without cancellation near 0.

    >>> expm1(1e-20)
    1e-20
    """
    return apply(expm1_p, x)


def log(x: Scalar) -> Scalar:
    """Return the natural logarithm; nan below 0, -inf at 0.

    >>> log(1.0)
    0.0
    """
    return apply(log_p, x)


def log1p(x: Scalar) -> Scalar:
    """Return `log(1 + x)` without cancellation near 0.

    >>> log1p(1e-20)
    1e-20
    """
    return apply(log1p_p, x)


def log2(x: Scalar) -> Scalar:
    """Return the logarithm to base 2.

    >>> log2(8.0)
    3.0
    """
    return apply(log2_p, x)


def log10(x: Scalar) -> Scalar:
    """Return the logarithm to base 10.

    >>> log10(1000.0)
    3.0
    """
    return apply(log10_p, x)


def sqrt(x: Scalar) -> Scalar:
    """Return the square root; nan below 0.

    >>> sqrt(2.25)
    1.5
    """
    return apply(sqrt_p, x)


def cbrt(x: Scalar) -> Scalar:
    """Return the real cube root, of negative numbers too.

    >>> cbrt(-27.0)
    -3.0
    """
    return apply(cbrt_p, x)


def sin(x: Scalar) -> Scalar:
    """Return the sine of `x` radians.

    >>> sin(0.0)
    0.0
    """
    return apply(sin_p, x)


def cos(x: Scalar) -> Scalar:
    """Return the cosine of `x` radians.

    >>> cos(0.0)
    1.0
    """
    return apply(cos_p, x)


def tan(x: Scalar) -> Scalar:
    """Return the tangent of `x` radians.

    >>> tan(0.0)
    0.0
    """
    return apply(tan_p, x)


def asin(x: Scalar) -> Scalar:
    """Return the arc sine, in radians; nan outside [-1, 1].

    >>> asin(1.0)
    1.5707963267948966
    """
    return apply(asin_p, x)


def acos(x: Scalar) -> Scalar:
    """Return the arc cosine, in radians; nan outside [-1, 1].

    >>> acos(1.0)
    0.0
    """
    return apply(acos_p, x)


def atan(x: Scalar) -> Scalar:
    """Return the arc tangent, in radians.

    >>> atan(1.0)
    0.7853981633974483
    """
    return apply(atan_p, x)


def sinh(x: Scalar) -> Scalar:
    """Return the hyperbolic sine.

    >>> sinh(0.0)
    0.0
    """
    return apply(sinh_p, x)


def cosh(x: Scalar) -> Scalar:
    """Return the hyperbolic cosine.

    >>> cosh(0.0)
    1.0
    """
    return apply(cosh_p, x)


def tanh(x: Scalar) -> Scalar:
    """Return the hyperbolic tangent.

    >>> tanh(0.0)
    0.0
    """
    return apply(tanh_p, x)


def asinh(x: Scalar) -> Scalar:
    """Return the inverse hyperbolic sine.

    >>> asinh(0.0)
    0.0
    """
    return apply(asinh_p, x)


def acosh(x: Scalar) -> Scalar:
    """Return the inverse hyperbolic cosine; nan below 1.

    >>> acosh(1.0)
    0.0
    """
    return apply(acosh_p, x)


def atanh(x: Scalar) -> Scalar:
    """Return the inverse hyperbolic tangent; nan outside [-1, 1].

    >>> atanh(0.0)
    0.0
    """
    return apply(atanh_p, x)


def atan2(y: Scalar, x: Scalar) -> Scalar:
    """Return the angle of the point (x, y) in radians, in (-pi, pi]; mind the order, `y` first.

    >>> atan2(1.0, 0.0)
    1.5707963267948966
    """
    return apply(atan2_p, y, x)


def hypot(x: Scalar, y: Scalar) -> Scalar:
    """Return `sqrt(x**2 + y**2)` without overflow on the way.

    >>> hypot(3.0, 4.0)
    5.0
    """
    return apply(hypot_p, x, y)
