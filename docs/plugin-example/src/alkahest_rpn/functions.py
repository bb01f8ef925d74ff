"""Softplus, a function that Alkahest does not have, declared in one place."""

import math

from alkahest import ExprPool, exp
from alkahest.extend import Identity, Scalar, apply, scalar_p


def softplus_array(x):
    """Return log(1 + exp(x)) of an array, without overflow."""
    import numpy as np

    return np.logaddexp(0.0, x)


softplus_p = scalar_p(
    "softplus",
    impl=lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
    array="alkahest_rpn.functions.softplus_array",
    partials=lambda x: (1 / (1 + exp(-x)),),
    domain=((-30.0, 30.0),),
    lower={"c": "(log1p(exp(-fabs({0}))) + fmax({0}, 0.0))", "rpn": ("softplus", softplus_array)},
)


def softplus(x: Scalar) -> Scalar:
    """Return log(1 + exp(x)), a smooth max(x, 0), of a number, an array or an expression.

    >>> softplus(0.0)
    0.6931471805599453
    """
    return apply(softplus_p, x)


_pool = ExprPool()
_a = _pool.symbol("a")
IDENTITIES = [
    Identity("softplus of both signs", softplus(_a) - softplus(-_a), _a, group="softplus"),
]
