"""Identities of exponentials, logarithms and powers with any exponent."""

from __future__ import annotations

from alkahest.expr.pool import ExprPool
from alkahest.prims.arithmetic import abs
from alkahest.prims.elementary import exp, expm1, log, log1p, sqrt
from alkahest.symbolic.rules.identity import Identity

_pool = ExprPool()
a, b, c = _pool.symbols("a b c")
p, q = _pool.symbols("p q", "positive")
G = "exponential"

IDENTITIES = [
    Identity("exponential of a logarithm", exp(log(a)), a, widens=True, group=G),
    Identity("logarithm of an exponential", log(exp(a)), a, group=G),
    Identity("product of exponentials", exp(a) * exp(b), exp(a + b), both_ways=True, group=G),
    Identity("quotient of exponentials", exp(a) / exp(b), exp(a - b), both_ways=True, group=G),
    Identity("reciprocal of an exponential", 1 / exp(a), exp(-a), both_ways=True, group=G),
    Identity("power of an exponential", exp(a) ** b, exp(a * b), group=G),
    Identity("square of an exponential", exp(a) ** 2, exp(2 * a), both_ways=True, group=G),
    Identity("root of an exponential", sqrt(exp(a)), exp(a / 2), group=G),
    Identity("exponential of a multiple of a logarithm", exp(b * log(a)), a**b, widens=True, group=G),
    Identity("sum of logarithms", log(a) + log(b), log(a * b), widens=True, group=G),
    Identity("difference of logarithms", log(a) - log(b), log(a / b), widens=True, group=G),
    Identity("logarithm of a product", log(p * q), log(p) + log(q), both_ways=True, group=G),
    Identity("logarithm with an exponential inside", log(exp(a) * p), a + log(p), group=G),
    Identity("logarithm of a quotient", log(p / q), log(p) - log(q), both_ways=True, group=G),
    Identity("logarithm of a reciprocal", log(1 / a), -log(a), both_ways=True, group=G),
    Identity("logarithm of a power", log(p**b), b * log(p), both_ways=True, group=G),
    Identity("logarithm of a square", log(a**2), 2 * log(abs(a)), group=G),
    Identity("logarithm of a root", log(sqrt(a)), log(a) / 2, group=G),
    Identity("logarithm of a shifted exponential", log1p(expm1(a)), a, group=G),
    Identity("shifted exponential of a logarithm", expm1(log1p(a)), a, widens=True, group=G),
    Identity("shifted exponential and one", expm1(a) + 1, exp(a), group=G),
    Identity("exponential of a shifted logarithm", exp(log1p(a)), 1 + a, widens=True, group=G),
    Identity("exponential below one and itself", exp(a) / (1 + exp(a)), 1 / (1 + exp(-a)), group=G),
    Identity("powers of one base", a**b * a**c, a ** (b + c), widens=True, group=G),
    Identity("power of a power", (p**b) ** c, p ** (b * c), group=G),
    Identity("powers of one exponent", a**c * b**c, (a * b) ** c, widens=True, group=G),
]
