"""Facts: they hold at every point, and say what they should."""

import math
import random
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as ak
from alkahest import ExprPool, abs, cosh, exp, floor, log, max, min, sign, sqrt, where
from alkahest.extend import arity_of, prim_names
from alkahest.symbolic.facts.analysis import Knowledge, facts_of
from alkahest.symbolic.facts.assumptions import assumed_facts
from alkahest.symbolic.facts.definedness import Definedness
from alkahest.symbolic.facts.fact import ANY, INF, NONZERO, Fact, both, either, exactly
from alkahest.symbolic.facts.functions import RULES, fact_of_call
from alkahest.symbolic.facts.harvest import harvested
from alkahest.symbolic.facts.implied import spread

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"


@pytest.fixture(scope="module")
def cases():
    """The random expressions, points and values by mpmath of the soundness benchmark."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not here")
    pytest.importorskip("mpmath")
    sys.path.append(str(BENCHMARKS))
    import soundness_cases

    return soundness_cases


def holds(fact, value):
    """Tell whether a value, exact or to many digits, is as a fact says."""
    exact = isinstance(value, Fraction)
    slack = 0 if exact else 1e-12
    v = value if exact else float(value)
    inside = fact.low - slack <= v <= fact.high + slack
    if not exact:
        return inside
    at_end = (v == fact.low and fact.low_open) or (v == fact.high and fact.high_open)
    return inside and not at_end and not (fact.integer and v.denominator != 1) and not (fact.nonzero and v == 0)


@pytest.mark.parametrize("seed", range(4))
def test_every_fact_holds_at_every_point(cases, seed):
    rng = random.Random(seed)
    judged = 0
    for _ in range(500):
        expr, conditions, points = cases.random_case(rng)
        pool = expr.pool
        facts = facts_of(pool, [expr.id], spread(pool, assumed_facts(conditions, pool)))
        known = harvested(pool, expr.id, assumed_facts(conditions, pool))
        total = Definedness(Knowledge(pool._nodes, assumed_facts(conditions, pool))).is_total(expr.id)
        for at in points:
            v = cases.value(expr, at)
            assert v is not cases.NONE or not total, (expr, conditions, at)
            if isinstance(v, str):
                continue
            judged += 1
            assert holds(facts[expr.id], v), (expr, conditions, at, v, facts[expr.id])
            for i, fact in known.items():
                part = cases.value(type(expr)(pool, i), at)
                assert part is not cases.NONE, (expr, i, at)
                assert isinstance(part, str) or holds(fact, part), (expr, i, at, part, fact)
    assert judged > 1000


ENDS = st.sampled_from([-3, -2, -1, Fraction(-1, 2), 0, Fraction(1, 3), 1, Fraction(3, 2), 2, 4])
ARITHMETIC = ["add", "sub", "mul", "div", "neg", "abs", "min", "max", "sign", "floor", "ceil", "trunc", "round"]
ARITHMETIC += ["round_away", "fmod", "sqrt", "cbrt", "where", "fma", "copysign", "hypot", "exp", "log", "tanh", "cosh"]


@st.composite
def facts_with_a_value(draw):
    """A fact, and a value of which it holds: often one of its ends."""
    low, high = sorted([draw(ENDS), draw(ENDS)])
    inner = Fraction(low + high) / 2
    value = Fraction(draw(st.sampled_from([low, high, inner])))
    fact = Fact(
        draw(st.sampled_from([low, -INF])),
        draw(st.sampled_from([high, INF])),
        value != low and draw(st.booleans()),
        value != high and draw(st.booleans()),
        value.denominator == 1 and draw(st.booleans()),
        value != 0 and draw(st.booleans()),
    )
    return both(fact, ANY), value


@given(st.sampled_from(ARITHMETIC), st.lists(facts_with_a_value(), min_size=3, max_size=3))
def test_each_rule_at_its_corners(op, operands):
    operands = operands[: 3 if op in ("where", "fma") else arity_of(op)]
    pool = ExprPool()
    try:
        value = ak.eval_expr(pool.apply(op, *[pool.number(v) for _, v in operands]), {})
    except ak.AlkahestError:
        return
    fact = fact_of_call(op, [f for f, _ in operands])
    near = Fraction(value) if value == int(value) else value  # an end is met exactly, or not at all
    assert holds(fact, near), (op, operands, value, fact)


@given(facts_with_a_value(), facts_with_a_value())
def test_both_and_either(one, other):
    (f, v), (g, w) = one, other
    assert holds(either(f, g), v)
    assert holds(either(f, g), w)
    if v == w:
        assert holds(both(f, g), v)


def test_every_rule_is_of_a_primitive():
    assert set(RULES) <= set(prim_names())


def fact(expr, **assumed):
    pool = expr.pool
    return facts_of(pool, [expr.id], {pool.find_symbol(n).id: f for n, f in assumed.items()})[expr.id]


def test_what_is_known():
    pool = ExprPool()
    x, p, n = pool.symbol("x"), pool.symbol("p", "positive"), pool.symbol("n", "integer")
    for e in (x**2 + 1, exp(x), cosh(x) - Fraction(1, 2), sqrt(p), p / (x**2 + 1), abs(x) + p, max(x, p), p**x):
        assert fact(e).positive, e
    assert fact(-p - exp(x)).negative
    assert fact(x * x).nonnegative
    assert fact(n**2 - 3 * n + 2).integer
    assert not fact(n / 2).integer
    assert fact(2 * n + Fraction(1, 2)) == ANY
    assert fact(floor(x)).integer
    assert fact(min(p, x)) == ANY
    assert fact(sign(p)) == exactly(1)
    assert fact(where(p, x**2, x)).nonnegative
    assert fact(log(p + 1)).positive
    assert fact(pool.pi - pool.e) == Fact(0, 2, nonzero=True)


def test_ends_are_met_or_not():
    x = ExprPool().symbol("x")
    unit = Fact(0, 1, False, True)
    assert fact(1 - x, x=unit) == Fact(0, 1, True, False, nonzero=True)
    assert fact(sqrt(x + 1), x=unit) == Fact(1, INF, False, True, nonzero=True)
    assert fact(1 / (x + 1), x=unit) == Fact(Fraction(1, 2), 1, True, False, nonzero=True)


def test_long_numbers_are_given_up():
    x = ExprPool().symbol("x")
    e = x
    for _ in range(200):
        e = 3 * e + 1
    found = fact(e, x=Fact(1, 2))
    assert found == ANY
    assert facts_of(x.pool, [(x + 2**1000).id])


def test_deep():
    x = ExprPool().symbol("x", "positive")
    e = x
    for _ in range(20_000):
        e = sqrt(e + 1)
    assert fact(e).positive
    assert Definedness(Knowledge(x.pool._nodes)).is_total(e.id)


def test_contradictions_do_no_harm():
    x = ExprPool().symbol("x")
    none = Fact(2, 1)
    for e in (x + 1, x * x, 1 / x, x**3, sqrt(x), exp(x), abs(x), max(x, 0), floor(x), x ** Fraction(1, 3)):
        fact(e, x=none)


def harvest(build):
    pool = ExprPool()
    x, y = pool.symbols("x y")
    found = harvested(pool, build(x, y).id)
    return found.get(x.id, ANY)


def test_harvest():
    assert harvest(lambda x, y: y * log(x)).positive
    assert harvest(lambda x, y: y + sqrt(x)).nonnegative
    assert harvest(lambda x, y: sqrt(x) / sqrt(x)).positive
    assert harvest(lambda x, y: y / (x * y)) == NONZERO
    assert harvest(lambda x, y: log(2 * x - 6)).low == 3
    assert harvest(lambda x, y: x ** Fraction(-1, 2)).positive
    assert harvest(lambda x, y: ak.acosh(x) + ak.asin(x)) == exactly(1)
    assert harvest(lambda x, y: max(log(x), y)).positive
    assert harvest(lambda x, y: where(y > 0, log(x), log(x))) == ANY
    assert harvest(lambda x, y: where(y.pool.integer(1) > 0, log(x), y)) == ANY
    assert harvest(lambda x, y: where(exp(y), log(x), y)).positive
    assert harvest(lambda x, y: where(log(x) > 0, 1, y)) == ANY
    assert harvest(lambda x, y: ak.fmin(log(x), y)) == ANY
    assert harvest(lambda x, y: log(x) ** y) == ANY  # C has nan**0 = 1
    assert harvest(lambda x, y: log(x) ** 2).positive
    assert harvest(lambda x, y: ak.gamma(x)) == NONZERO


def test_definedness():
    pool = ExprPool()
    x, p = pool.symbol("x"), pool.symbol("p", "positive")
    total = Definedness(Knowledge(pool._nodes)).is_total
    for e in (x**2, 1 / p, log(p), sqrt(x**2), p**x, x / (x**2 + 1), log(exp(x)), ak.acosh(cosh(x))):
        assert total(e.id), e
    assert total(ak.atanh(ak.tanh(x)).id)
    for e in (1 / x, log(x**2), sqrt(x), x ** Fraction(1, 3), x**p, x - log(x), ak.tan(x), ak.gamma(x)):
        assert not total(e.id), e
    assert not total(ak.atan2(x, x).id)
    assert math.isinf(ANY.high)
