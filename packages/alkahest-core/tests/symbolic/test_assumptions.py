"""Assumptions: what may be assumed, for how long, and what the canonical form makes of it."""

import asyncio
import threading
from fractions import Fraction

import pytest

import alkahest as ak
from alkahest import ExprPool, abs, ceil, copysign, cos, eq, exp, floor, log, max, min, ne, sign, sin, sqrt, where
from alkahest.errors import AssumptionError
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.facts.assumptions import assumed_facts, assuming, conditions_now


def test_they_hold_in_the_block():
    x, y = ExprPool().symbols("x y")
    with assuming(x > 0):
        with assuming(y > x, ne(y, 1)):
            assert conditions_now() == (x > 0, y > x, ne(y, 1))
        assert conditions_now() == (x > 0,)
    assert conditions_now() == ()


def test_each_thread_and_task_has_its_own():
    x = ExprPool().symbol("x")
    seen = []

    async def task(condition):
        with assuming(condition):
            await asyncio.sleep(0)
            seen.append(conditions_now())

    async def both_tasks():
        await asyncio.gather(task(x > 0), task(x < 0))

    asyncio.run(both_tasks())
    with assuming(x > 0):
        thread = threading.Thread(target=lambda: seen.append(conditions_now()))
        thread.start()
        thread.join()
    assert seen == [(x > 0,), (x < 0,), ()]


def refused(*conditions):
    with pytest.raises(AssumptionError) as info, assuming(*conditions):
        pass
    assert info.value.code == "E-SIMP-002"
    assert info.value.remedy
    assert conditions_now() == ()


def test_refused():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    for bad in (True, "x > 0", None, 1.0, x, x + 1, ak.or_(x > 0, y > 0), sin(x)):
        refused(bad)


def test_contradictions():
    pool = ExprPool()
    x, y, p, n = pool.symbol("x"), pool.symbol("y"), pool.symbol("p", "positive"), pool.symbol("n", "integer")
    refused(x > 0, x < 0)
    refused(x > 1, x < 1)
    refused(x >= 1, x < 1)
    refused(eq(x, 1), eq(x, 2))
    refused(p < 0)
    refused(p <= 0)
    refused(eq(x, 0), ne(x, 0))
    refused(x > y, y > x)
    refused(n > 0, n < 1)
    refused(2 * x + 1 > 3, x < 1)
    refused(x**2 < 0)
    refused(x > x)
    with assuming(x >= 1):
        with pytest.raises(AssumptionError), assuming(x < 1):
            pass
        with assuming(x <= 1):
            pass


def test_several_pools():
    x, y = ExprPool().symbol("x"), ExprPool().symbol("y")
    with assuming(x > 0, y < 0):
        assert assumed_facts(conditions_now(), x.pool)[x.id].positive
        assert assumed_facts(conditions_now(), y.pool)[y.id].negative
    assert assumed_facts([x > 0], y.pool) == {}


def canon(expr, *conditions, strict=False):
    return str(canonical([expr], assumed=assumed_facts(conditions, expr.pool), strict=strict)[0])


def test_roots_and_absolute_values():
    x, y = ExprPool().symbols("x y")
    root = sqrt(x**2)
    assert canon(root) == "abs(x)"
    assert canon(root, x > 0) == "x"
    assert canon(root, x >= 0) == "x"
    assert canon(root, x <= 0) == "-x"
    assert canon(root, x < -3) == "-x"
    assert canon(root, x > -3) == "abs(x)"
    assert canon(sqrt((x - 1) ** 2), x > 2) == "x - 1"
    assert canon(abs(x - y), x >= y) == "x - y"
    assert canon(abs(x - y), x < y) == "y - x"
    assert canon(abs(x * y), x > 0) == "x*abs(y)"
    assert canon(abs(x * y * exp(y)), x < 0) == "-x*abs(y)*exp(y)"
    assert canon(abs(x**2 + 1)) == "x^2 + 1"
    assert canon(abs(-exp(x) - 1)) == "exp(x) + 1"
    assert canon(sqrt(x * y)) == "sqrt(x*y)"
    assert canon(sqrt(x**2 * y), x > 0) == "x*sqrt(y)"
    assert canon(sqrt(x**2 * y)) == "sqrt(x^2*y)"  # at x = 0 it is 0, whatever y is
    assert canon(sqrt(x * y) / sqrt(x), x > 0) == "sqrt(y)"
    assert canon((x ** Fraction(2)) ** Fraction(3, 2), x < 0) == "-x^3"


def test_powers():
    x, y, z = ExprPool().symbols("x y z")
    assert canon((x**y) ** z) == "(x^y)^z"
    assert canon((x**y) ** z, x > 0) == "x^(y*z)"
    assert canon((x**y) ** z, x >= 0) == "x^(y*z)"
    assert canon((x**y) ** z, x >= 0, strict=True) == "(x^y)^z"
    assert canon(exp(x) ** y) == "exp(x*y)"


def test_choices():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    assert canon(max(x, y), x >= y) == "x"
    assert canon(min(x, y), x > y) == "y"
    assert canon(max(x + 1, x)) == "x + 1"
    assert canon(max(exp(x), -1)) == "exp(x)"
    assert canon(max(2 * x, 2 * y - 3), x >= y) == "2*x"
    assert canon(max(x, y), x > 0, y < 0) == "x"
    assert canon(x > y, x > y) == "1"
    assert canon(x <= y, x > y) == "0"
    assert canon(eq(x, y), x > y) == "0"
    assert canon(ne(x, 3), x < 3) == "1"
    assert canon(x**2 + 1 > 0) == "1"
    assert canon(where(x > 0, x, -x), x > 1) == "x"
    assert canon(sign(x * y), x < 0) == "-sign(y)"
    assert canon(sign(x - y), x > y) == "1"
    assert canon(copysign(y, x), x < 0) == "-abs(y)"
    assert canon(copysign(x, y), y > 0, x < 0) == "-x"


def test_integers():
    pool = ExprPool()
    n, x = pool.symbol("n", "integer"), pool.symbol("x")
    assert canon(floor(n**2 + 3 * n)) == "n^2 + 3*n"
    assert canon(ceil(n / 2)) == "ceiling(n/2)"
    assert canon(floor(x), x >= 0, x < 1) == "0"
    assert canon(sin(n * pool.pi)) == "0"
    assert canon(cos(2 * n * pool.pi)) == "1"
    assert canon(cos(n * pool.pi)) == "cos(pi*n)"
    assert canon(cos(x * pool.pi)) == "cos(pi*x)"


def test_floats_are_compared_by_their_value():
    x = ExprPool().symbol("x")
    assert canon(max(x, 0.1), x > Fraction(1, 10)) == "max(x, 0.1)"  # the float is a little more than a tenth
    assert canon(max(x, 0.5), x > Fraction(1, 2)) == "x"


def test_in_strict_mode_they_keep_the_domain_known():
    x = ExprPool().symbol("x")
    assert canon(x / x, strict=True) == "x/x"
    assert canon(x / x, ne(x, 0), strict=True) == "1"
    assert canon((x - 1) / (x - 1), ne(x, 1), strict=True) == "1"
    assert canon(log(x) - log(x), x > 0, strict=True) == "0"
    assert canon(sqrt(x) ** 2, x >= 0, strict=True) == "x"
    assert canon(max(x**2 + 1, -sqrt(x)), strict=True) == "max(x^2 + 1, -sqrt(x))"
    assert canon(max(x**2 + 1, -sqrt(x))) == "x^2 + 1"
    assert canon(max(sqrt(x), -1), strict=True) == "sqrt(x)"
