"""Comparisons, logic and choice. A condition is 1.0 where it holds and 0.0 elsewhere."""

from __future__ import annotations

from typing import Any

from alkahest.prims.scalar import Scalar, Select, apply, fold, scalar_p


def _zero2(a: Any, b: Any) -> tuple[int, int]:
    return 0, 0  # conditions are constant almost everywhere


lt_p = scalar_p("lt", impl=lambda a, b: float(a < b), array="numpy.less", partials=_zero2, lower={"c": "{0} < {1}"})
le_p = scalar_p(
    "le",
    impl=lambda a, b: float(a <= b),
    array="numpy.less_equal",
    partials=_zero2,
    lower={"c": "{0} <= {1}"},
)
gt_p = scalar_p("gt", impl=lambda a, b: float(a > b), array="numpy.greater", partials=_zero2, lower={"c": "{0} > {1}"})
ge_p = scalar_p(
    "ge",
    impl=lambda a, b: float(a >= b),
    array="numpy.greater_equal",
    partials=_zero2,
    lower={"c": "{0} >= {1}"},
)
eq_p = scalar_p("eq", impl=lambda a, b: float(a == b), array="numpy.equal", partials=_zero2, lower={"c": "{0} == {1}"})
ne_p = scalar_p(
    "ne", impl=lambda a, b: float(a != b), array="numpy.not_equal", partials=_zero2, lower={"c": "{0} != {1}"}
)
and_p = scalar_p(
    "and",
    impl=lambda a, b: float(a != 0 and b != 0),
    array="numpy.logical_and",
    partials=_zero2,
    lower={"c": "{0} && {1}"},
)
or_p = scalar_p(
    "or",
    impl=lambda a, b: float(a != 0 or b != 0),
    array="numpy.logical_or",
    partials=_zero2,
    lower={"c": "{0} || {1}"},
)
not_p = scalar_p(
    "not",
    impl=lambda a: float(a == 0),
    array="numpy.logical_not",
    partials=lambda a: (0,),
    lower={"c": "!{0}"},
)
where_p = scalar_p(
    "where",
    impl=lambda c, a, b: a if c != 0 else b,
    array="alkahest.prims.comparison.where_array",
    partials=lambda c, a, b: (0, Select(c, True), Select(c, False)),
    lower={"c": "{0} ? {1} : {2}"},
)


def where_array(condition: Any, a: Any, b: Any) -> Any:
    """Return `a` where `condition` is not zero, `b` elsewhere: `numpy.where` for conditions that are numbers."""
    import numpy as np

    return np.where(np.asarray(condition) != 0, a, b)  # pyright: ignore[reportUnknownVariableType]


def lt(a: Scalar, b: Scalar) -> Scalar:
    """Return the condition `a < b`; false at nan.

    >>> lt(1.0, 2.0)
    1.0
    """
    return apply(lt_p, a, b)


def le(a: Scalar, b: Scalar) -> Scalar:
    """Return the condition `a <= b`; false at nan.

    >>> le(2.0, 2.0)
    1.0
    """
    return apply(le_p, a, b)


def gt(a: Scalar, b: Scalar) -> Scalar:
    """Return the condition `a > b`; false at nan.

    >>> gt(1.0, 2.0)
    0.0
    """
    return apply(gt_p, a, b)


def ge(a: Scalar, b: Scalar) -> Scalar:
    """Return the condition `a >= b`; false at nan.

    >>> ge(2.0, 2.0)
    1.0
    """
    return apply(ge_p, a, b)


def eq(a: Scalar, b: Scalar) -> Scalar:
    """Return the condition that two values are equal, where `==` would compare structure; false at nan.

    >>> eq(2.0, 2)
    1.0
    """
    return apply(eq_p, a, b)


def ne(a: Scalar, b: Scalar) -> Scalar:
    """Return the condition that two values differ; true at nan.

    >>> ne(2.0, 2)
    0.0
    """
    return apply(ne_p, a, b)


def and_(a: Scalar, b: Scalar, *more: Scalar) -> Scalar:
    """Return the condition that all arguments hold; a number holds where it is not zero.

    >>> and_(1.0, 0.0)
    0.0
    """
    return fold(and_p, a, b, more)


def or_(a: Scalar, b: Scalar, *more: Scalar) -> Scalar:
    """Return the condition that any argument holds.

    >>> or_(1.0, 0.0)
    1.0
    """
    return fold(or_p, a, b, more)


def not_(a: Scalar) -> Scalar:
    """Return the condition that `a` does not hold.

    >>> not_(0.0)
    1.0
    """
    return apply(not_p, a)


def where(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    """Return `a` where `condition` holds and `b` elsewhere; both are computed, only one is taken.

    The derivative is that of the branch taken.

    >>> where(gt(1.0, 0.0), 10.0, 20.0)
    10.0
    """
    return apply(where_p, condition, a, b)


def piecewise(*cases: tuple[Scalar, Scalar], default: Scalar) -> Scalar:
    """Return the value of the first case whose condition holds, else `default`; a case is (value, condition).

    >>> from alkahest.expr.pool import ExprPool
    >>> x = ExprPool().symbol("x")
    >>> piecewise((-x, x < 0), (x**2, x < 1), default=1)
    Piecewise((-x, x < 0), (x^2, x < 1), (1, True))
    """
    out = default
    for value, condition in reversed(cases):
        out = where(condition, value, out)
    return out
