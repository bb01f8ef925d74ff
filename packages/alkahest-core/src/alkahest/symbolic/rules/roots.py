"""Identities of roots and absolute values."""

from __future__ import annotations

from alkahest.expr.pool import ExprPool
from alkahest.prims.arithmetic import abs, sign
from alkahest.prims.elementary import cbrt, hypot, sqrt
from alkahest.symbolic.rules.identity import Identity

_pool = ExprPool()
a, b = _pool.symbols("a b")
m, n = _pool.symbols("m n", "nonnegative")
p = _pool.symbol("p", "positive")
one = _pool.integer(1)
G = "roots"

IDENTITIES = [
    Identity("root of a square", sqrt(a**2), abs(a), group=G),
    Identity("root of the square of a sum", sqrt(a**2 + 2 * a * b + b**2), abs(a + b), group=G),
    Identity("product of roots", sqrt(a) * sqrt(b), sqrt(a * b), widens=True, group=G),
    Identity("quotient of roots", sqrt(a) / sqrt(b), sqrt(a / b), widens=True, group=G),
    Identity("root of a product", sqrt(m * n), sqrt(m) * sqrt(n), both_ways=True, group=G),
    Identity("root of a quotient", sqrt(n / p), sqrt(n) / sqrt(p), both_ways=True, group=G),
    Identity("cube root of a cube", cbrt(a**3), a, group=G),
    Identity("product of cube roots", cbrt(a) * cbrt(b), cbrt(a * b), both_ways=True, group=G),
    Identity("absolute value of what is not negative", abs(n), n, group=G),
    Identity("absolute value of what is not positive", abs(a), -a, where=(a <= 0,), group=G),
    Identity("absolute value of a product", abs(a * b), abs(a) * abs(b), both_ways=True, group=G),
    Identity("absolute value of a quotient", abs(a / b), abs(a) / abs(b), both_ways=True, group=G),
    Identity("absolute value of an absolute value", abs(abs(a)), abs(a), group=G),
    Identity("sign times absolute value", sign(a) * abs(a), a, group=G),
    Identity("sign times value", sign(a) * a, abs(a), group=G),
    Identity("value over absolute value", a / abs(a), sign(a), widens=True, group=G),
    Identity("absolute value over value", abs(a) / a, sign(a), widens=True, group=G),
    Identity("sign of what is positive", sign(p), one, group=G),
    Identity("hypotenuse with nothing", hypot(a, 0), abs(a), group=G),
]
