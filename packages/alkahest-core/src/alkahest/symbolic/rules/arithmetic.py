"""Identities of sums, products and quotients. Like terms and like bases are the canonical form's business."""

from __future__ import annotations

from alkahest.expr.pool import ExprPool
from alkahest.symbolic.rules.identity import Identity

_pool = ExprPool()
a, b = _pool.symbols("a b")

IDENTITIES = [
    Identity("difference of squares", a**2 - b**2, (a - b) * (a + b), both_ways=True),
    Identity("difference of a square and one", a**2 - 1, (a - 1) * (a + 1), both_ways=True),
    Identity("square of a sum", a**2 + 2 * a * b + b**2, (a + b) ** 2),
    Identity("square of a difference", a**2 - 2 * a * b + b**2, (a - b) ** 2),
    Identity("square of a sum with one", a**2 + 2 * a + 1, (a + 1) ** 2),
    Identity("square of a difference with one", a**2 - 2 * a + 1, (a - 1) ** 2),
    Identity("sum of reciprocals", 1 / a + 1 / b, (a + b) / (a * b)),
    Identity("difference of reciprocals", 1 / a - 1 / b, (b - a) / (a * b)),
]
