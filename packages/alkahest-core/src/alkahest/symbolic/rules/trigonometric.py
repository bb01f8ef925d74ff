"""Identities of sine, cosine, tangent and their inverses. Their parity is the canonical form's business."""

from __future__ import annotations

from alkahest.expr.pool import ExprPool
from alkahest.prims.elementary import acos, asin, atan, cos, sin, sqrt, tan
from alkahest.symbolic.rules.identity import Identity

_pool = ExprPool()
a, b = _pool.symbols("a b")
p = _pool.symbol("p", "positive")
one, pi = _pool.integer(1), _pool.pi
G = "trigonometric"

IDENTITIES = [
    Identity("Pythagoras", sin(a) ** 2 + cos(a) ** 2, one, group=G),
    Identity("one less sine squared", 1 - sin(a) ** 2, cos(a) ** 2, group=G),
    Identity("one less cosine squared", 1 - cos(a) ** 2, sin(a) ** 2, group=G),
    Identity("tangent", sin(a) / cos(a), tan(a), both_ways=True, group=G),
    Identity("tangent times cosine", tan(a) * cos(a), sin(a), widens=True, group=G),
    Identity("sine over tangent", sin(a) / tan(a), cos(a), widens=True, group=G),
    Identity("one and tangent squared", 1 + tan(a) ** 2, 1 / cos(a) ** 2, group=G),
    Identity("secant and tangent", 1 / cos(a) ** 2 - tan(a) ** 2, one, widens=True, group=G),
    Identity("double angle of sine", sin(a) * cos(a), sin(2 * a) / 2, both_ways=True, group=G),
    Identity("double angle of cosine", cos(a) ** 2 - sin(a) ** 2, cos(2 * a), group=G),
    Identity("double angle of cosine, by cosine", 2 * cos(a) ** 2 - 1, cos(2 * a), both_ways=True, group=G),
    Identity("double angle of cosine, by sine", 1 - 2 * sin(a) ** 2, cos(2 * a), group=G),
    Identity("double angle of tangent", 2 * tan(a) / (1 - tan(a) ** 2), tan(2 * a), widens=True, group=G),
    Identity("half angle, cosine above", (1 - cos(a)) / sin(a), tan(a / 2), widens=True, group=G),
    Identity("half angle, sine above", sin(a) / (1 + cos(a)), tan(a / 2), group=G),
    Identity("sine of a sum", sin(a) * cos(b) + cos(a) * sin(b), sin(a + b), both_ways=True, group=G),
    Identity("sine of a difference", sin(a) * cos(b) - cos(a) * sin(b), sin(a - b), group=G),
    Identity("cosine of a sum", cos(a) * cos(b) - sin(a) * sin(b), cos(a + b), both_ways=True, group=G),
    Identity("cosine of a difference", cos(a) * cos(b) + sin(a) * sin(b), cos(a - b), group=G),
    Identity("sum of sines", sin(a) + sin(b), 2 * sin((a + b) / 2) * cos((a - b) / 2), group=G),
    Identity("sum of cosines", cos(a) + cos(b), 2 * cos((a + b) / 2) * cos((a - b) / 2), group=G),
    Identity("sine of a supplement", sin(pi - a), sin(a), group=G),
    Identity("sine half a turn on", sin(a + pi), -sin(a), group=G),
    Identity("cosine of a supplement", cos(pi - a), -cos(a), group=G),
    Identity("cosine half a turn on", cos(a + pi), -cos(a), group=G),
    Identity("tangent half a turn on", tan(a + pi), tan(a), group=G),
    Identity("sine of a complement", sin(pi / 2 - a), cos(a), group=G),
    Identity("sine a quarter on", sin(a + pi / 2), cos(a), group=G),
    Identity("cosine of a complement", cos(pi / 2 - a), sin(a), group=G),
    Identity("cosine a quarter on", cos(a + pi / 2), -sin(a), group=G),
    Identity("sine of arcsine", sin(asin(a)), a, widens=True, group=G),
    Identity("cosine of arccosine", cos(acos(a)), a, widens=True, group=G),
    Identity("tangent of arctangent", tan(atan(a)), a, group=G),
    Identity("cosine of arcsine", cos(asin(a)), sqrt(1 - a**2), group=G),
    Identity("sine of arccosine", sin(acos(a)), sqrt(1 - a**2), group=G),
    Identity("sine of arctangent", sin(atan(a)), a / sqrt(1 + a**2), group=G),
    Identity("cosine of arctangent", cos(atan(a)), 1 / sqrt(1 + a**2), group=G),
    Identity("arcsine and arccosine", asin(a) + acos(a), pi / 2, widens=True, group=G),
    Identity("arctangents of reciprocals", atan(p) + atan(1 / p), pi / 2, group=G),
]
