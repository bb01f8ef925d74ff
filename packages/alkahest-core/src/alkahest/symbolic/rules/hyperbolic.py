"""Identities of hyperbolic functions, their inverses and their forms by exponentials."""

from __future__ import annotations

from alkahest.expr.pool import ExprPool
from alkahest.prims.arithmetic import abs
from alkahest.prims.elementary import acosh, asinh, atanh, cosh, exp, log, sinh, sqrt, tanh
from alkahest.symbolic.rules.identity import Identity

_pool = ExprPool()
a, b = _pool.symbols("a b")
one = _pool.integer(1)
G = "hyperbolic"

IDENTITIES = [
    Identity("hyperbolic Pythagoras", cosh(a) ** 2 - sinh(a) ** 2, one, group=G),
    Identity("one and sinh squared", 1 + sinh(a) ** 2, cosh(a) ** 2, group=G),
    Identity("cosh squared less one", cosh(a) ** 2 - 1, sinh(a) ** 2, group=G),
    Identity("hyperbolic tangent", sinh(a) / cosh(a), tanh(a), both_ways=True, group=G),
    Identity("tanh times cosh", tanh(a) * cosh(a), sinh(a), group=G),
    Identity("sinh over tanh", sinh(a) / tanh(a), cosh(a), widens=True, group=G),
    Identity("one less tanh squared", 1 - tanh(a) ** 2, 1 / cosh(a) ** 2, group=G),
    Identity("double argument of sinh", sinh(a) * cosh(a), sinh(2 * a) / 2, both_ways=True, group=G),
    Identity("double argument of cosh", cosh(a) ** 2 + sinh(a) ** 2, cosh(2 * a), group=G),
    Identity("sinh of a sum", sinh(a) * cosh(b) + cosh(a) * sinh(b), sinh(a + b), group=G),
    Identity("sinh of a difference", sinh(a) * cosh(b) - cosh(a) * sinh(b), sinh(a - b), group=G),
    Identity("cosh of a sum", cosh(a) * cosh(b) + sinh(a) * sinh(b), cosh(a + b), group=G),
    Identity("cosh of a difference", cosh(a) * cosh(b) - sinh(a) * sinh(b), cosh(a - b), group=G),
    Identity("sum of exponentials", exp(a) + exp(-a), 2 * cosh(a), both_ways=True, group=G),
    Identity("difference of exponentials", exp(a) - exp(-a), 2 * sinh(a), both_ways=True, group=G),
    Identity("sum of exponentials, one below", exp(a) + 1 / exp(a), 2 * cosh(a), group=G),
    Identity("difference of exponentials, one below", exp(a) - 1 / exp(a), 2 * sinh(a), group=G),
    Identity("tanh by exponentials", (exp(2 * a) - 1) / (exp(2 * a) + 1), tanh(a), group=G),
    Identity("exponential of both", cosh(a) + sinh(a), exp(a), group=G),
    Identity("exponential of their difference", cosh(a) - sinh(a), exp(-a), group=G),
    Identity("sinh of its inverse", sinh(asinh(a)), a, group=G),
    Identity("inverse of sinh", asinh(sinh(a)), a, group=G),
    Identity("cosh of its inverse", cosh(acosh(a)), a, widens=True, group=G),
    Identity("inverse of cosh", acosh(cosh(a)), abs(a), group=G),
    Identity("tanh of its inverse", tanh(atanh(a)), a, widens=True, group=G),
    Identity("inverse of tanh", atanh(tanh(a)), a, group=G),
    Identity("cosh of inverse sinh", cosh(asinh(a)), sqrt(1 + a**2), group=G),
    Identity("sinh of inverse cosh", sinh(acosh(a)), sqrt(a**2 - 1), widens=True, group=G),
    Identity("inverse sinh by logarithm", log(a + sqrt(a**2 + 1)), asinh(a), group=G),
    Identity("inverse tanh by logarithm", log((1 + a) / (1 - a)), 2 * atanh(a), group=G),
]
