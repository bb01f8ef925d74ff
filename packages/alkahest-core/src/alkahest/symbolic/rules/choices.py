"""Identities of minima, maxima and choices."""

from __future__ import annotations

from alkahest.expr.pool import ExprPool
from alkahest.prims.arithmetic import abs, max, min
from alkahest.prims.comparison import where
from alkahest.symbolic.rules.identity import Identity

_pool = ExprPool()
a, b = _pool.symbols("a b")
n = _pool.symbol("n", "nonnegative")
G = "choices"

IDENTITIES = [
    Identity("maximum and minimum", max(a, b) + min(a, b), a + b, group=G),
    Identity("maximum times minimum", max(a, b) * min(a, b), a * b, group=G),
    Identity("maximum less minimum", max(a, b) - min(a, b), abs(a - b), group=G),
    Identity("maximum of both signs", max(a, -a), abs(a), group=G),
    Identity("minimum of both signs", min(a, -a), -abs(a), group=G),
    Identity("maximum by absolute value", (a + b + abs(a - b)) / 2, max(a, b), group=G),
    Identity("minimum by absolute value", (a + b - abs(a - b)) / 2, min(a, b), group=G),
    Identity("maximum, known", max(a, b), a, where=(a >= b,), widens=True, group=G),
    Identity("minimum, known", min(a, b), a, where=(a <= b,), widens=True, group=G),
    Identity("maximum within a minimum", min(a, max(a, b)), a, widens=True, group=G),
    Identity("minimum within a maximum", max(a, min(a, b)), a, widens=True, group=G),
    Identity("maximum twice", max(a, max(a, b)), max(a, b), group=G),
    Identity("minimum twice", min(a, min(a, b)), min(a, b), group=G),
    Identity("maximum of negatives", max(-a, -b), -min(a, b), both_ways=True, group=G),
    Identity("choice of the larger", where(a > b, a, b), max(a, b), group=G),
    Identity("choice of the larger, or equal", where(a >= b, a, b), max(a, b), group=G),
    Identity("choice of the smaller", where(a < b, a, b), min(a, b), group=G),
    Identity("choice of the smaller, or equal", where(a <= b, a, b), min(a, b), group=G),
    Identity("choice by sign", where(a > 0, a, -a), abs(a), group=G),
    Identity("choice by sign, or zero", where(a >= 0, a, -a), abs(a), group=G),
    Identity("choice by sign, the other way", where(a < 0, -a, a), abs(a), group=G),
    Identity("choice of the positive part", where(a > 0, a, 0), max(a, 0), group=G),
]
