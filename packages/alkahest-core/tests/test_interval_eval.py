"""What `interval_eval` takes and gives; that enclosures hold their values is tested in test_intervals.py."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

import alkahest as ak
from alkahest import ExprPool
from alkahest.errors import (
    ArityError,
    ArrayError,
    DomainError,
    DtypeError,
    DuplicateInputError,
    MissingRuleError,
    NotASymbolError,
    OperandError,
    ShapeError,
    UnknownSymbolError,
)
from alkahest.extend import scalar_p
from alkahest.intervals.evaluation import interval_eval


def test_a_box_gives_floats_and_the_decoration():
    x, y = ExprPool().symbols("x y")
    found = interval_eval(x * y, {x: (1.0, 2.0), "y": (-3.0, 4.0)})
    assert found == (-6.0, 8.0)
    assert (found.lo, found.hi, found.defined) == (-6.0, 8.0, True)
    assert type(found.lo) is float
    assert pickle.loads(pickle.dumps(found)).defined is True
    lo, hi = interval_eval(1 / x, {x: (0.0, 2.0)})
    assert (lo, hi) == (0.5, math.inf)


def test_boxes_broadcast():
    x, y = ExprPool().symbols("x y")
    low = np.arange(6.0).reshape(2, 3)
    found = interval_eval(x + y, {x: (low, low + 1), y: ([0.0, 1.0, 2.0], 10)})
    assert found.lo.tolist() == (low + np.arange(3.0)).tolist()
    assert found.hi.tolist() == (low + 11).tolist()
    assert found.defined.shape == (2, 3)
    many = np.linspace(0, 1, 10_000)
    assert interval_eval(x - x, {x: (many, many + 1)}).hi == pytest.approx(np.ones(10_000))
    assert interval_eval(x, {x: (np.empty(0), np.empty(0))}).lo.shape == (0,)


def test_several_outputs_give_a_list():
    x = ExprPool().symbol("x")
    assert interval_eval([x + 1, -x, x.pool.integer(2)], {x: (0, 1)}) == [(1.0, 2.0), (-1.0, 0.0), (2.0, 2.0)]
    assert interval_eval([x], {x: (0, 1)}) == [(0.0, 1.0)]
    assert interval_eval(0.5, {x: (0, 1)}) == (0.5, 0.5)


def test_functions_by_name_and_in_order():
    @ak.trace(ExprPool())
    def f(a, b):
        return a - b

    for g in (f, ak.compile_expr(f.expr, f.symbols), ak.jit(f)):
        assert interval_eval(g, [(0, 1), (2, 3)]) == (-3.0, -1.0)
        assert interval_eval(g, {"b": (2, 3), "a": 1}) == (-2.0, -1.0)
    assert interval_eval(f, {f.symbols[1]: 0, f.symbols[0]: (1, 2)}) == (1.0, 2.0)


def test_where_a_function_is_not_defined():
    x = ExprPool().symbol("x")
    nowhere = interval_eval(ak.sqrt(x), {x: (-2.0, -1.0)})
    assert math.isnan(nowhere.lo)
    assert not nowhere.defined
    assert interval_eval(ak.log(x), {x: (0.0, 1.0)}) == (-math.inf, 0.0)
    assert not interval_eval(ak.log(x), {x: (0.0, 1.0)}).defined
    assert interval_eval(1 / x, {x: (-1.0, 1.0)}) == (-math.inf, math.inf)
    assert not interval_eval(x - x, {x: (0.0, math.inf)}).defined
    # A branch that is never taken need not be defined.
    guarded = interval_eval(ak.where(x > 0, ak.log(x), x), {x: (-2.0, -1.0)})
    assert guarded == (-2.0, -1.0)
    assert guarded.defined
    # The other argument of an extremum that ignores nan may be the value.
    assert interval_eval(ak.fmin(ak.sqrt(x), 5), {x: (-1.0, 4.0)}) == (0.0, 5.0)
    assert interval_eval(ak.fmin(ak.sqrt(x), 5), {x: (-2.0, -1.0)}) == (5.0, 5.0)


def test_conditions_have_three_values():
    x, y = ExprPool().symbols("x y")
    boxes = {x: (0.0, 1.0), y: (2.0, 3.0)}
    found = interval_eval([x < y, x > y, x < 0.5, ak.eq(x, y), ak.and_(x < y, x < 0.5), ak.not_(x > y)], boxes)
    assert found == [(1, 1), (0, 0), (0, 1), (0, 0), (0, 1), (1, 1)]
    assert interval_eval(ak.eq(x, 2), {x: 2}) == (1.0, 1.0)


def test_extreme_bounds():
    x, y = ExprPool().symbols("x y")
    everything = (-math.inf, math.inf)
    assert interval_eval([x + y, x * y, ak.exp(x), ak.sin(x), ak.atan(x) / 2], {x: everything, y: everything})[:4] == [
        everything,
        everything,
        (0.0, math.inf),
        (-1.0, 1.0),
    ]
    assert interval_eval(x * 2, {x: (1e308, 1.7e308)}) == (1.7976931348623157e308, math.inf)
    assert interval_eval(x * y, {x: (5e-324, 1e-300), y: 1e-300}) == (0.0, 5e-324)
    assert interval_eval(x * 0, {x: everything}) == (0.0, 0.0)


def test_a_third_party_gives_a_rule():
    rule = {"interval": lambda x: x._replace(hi=x.hi + 1.0)}
    scalar_p("test_blurred", impl=lambda x: x + 0.5, arity=1, lower=rule)
    x = ExprPool().symbol("x")
    assert interval_eval(x.pool.apply("test_blurred", x) * 2, {x: (0.0, 1.0)}) == (0.0, 4.0)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x, y: interval_eval(x, {x: (1.0, 0.0)}), DomainError),
        (lambda x, y: interval_eval(x, {x: (math.nan, 1.0)}), DomainError),
        (lambda x, y: interval_eval(x, {x: math.nan}), DomainError),
        (lambda x, y: interval_eval(x, {x: (1.0, 2.0, 3.0)}), ShapeError),
        (lambda x, y: interval_eval(x + y, {x: ([1, 2], 3), y: ([1, 2, 3], 4)}), ShapeError),
        (lambda x, y: interval_eval(x, {x: ("a", "b")}), ArrayError),
        (lambda x, y: interval_eval(x, {x: (1j, 2)}), DtypeError),
        (lambda x, y: interval_eval(x + y, {x: 1}), UnknownSymbolError),
        (lambda x, y: interval_eval(x, {"nobody": 1}), UnknownSymbolError),
        (lambda x, y: interval_eval(x, {x + 1: 1}), NotASymbolError),
        (lambda x, y: interval_eval(x, {x: 1, "x": 2}), DuplicateInputError),
        (lambda x, y: interval_eval(x, [(0, 1)]), OperandError),
        (lambda x, y: interval_eval("x", {x: 1}), OperandError),
        (lambda x, y: interval_eval(ak.compile_expr(x, [x]), {"y": 1}), UnknownSymbolError),
        (
            lambda x, y: interval_eval(ak.trace_fn(lambda a: a, x.pool), {"a": 1, x.pool.symbol("a"): 2}),
            DuplicateInputError,
        ),
        (lambda x, y: interval_eval(ak.compile_expr(x, [x]), []), ArityError),
        (lambda x, y: interval_eval(ak.compile_expr(x, [x]), 3), OperandError),
    ],
)
def test_what_cannot_be_enclosed(call, error):
    x, y = ExprPool().symbols("x y")
    with pytest.raises(error):
        call(x, y)


def test_a_primitive_without_a_rule():
    scalar_p("test_unruled", impl=lambda x: x, arity=1)
    x = ExprPool().symbol("x")
    with pytest.raises(MissingRuleError, match="test_unruled"):
        interval_eval(x.pool.apply("test_unruled", x), {x: 1})


@pytest.mark.parametrize("exact", [Fraction(1, 10), Fraction(1, 3), Fraction(2**53 + 1), Fraction(-1, 7)])
def test_exact_constants_are_enclosed(exact):
    pool = ExprPool()
    x = pool.symbol("x")
    literal = pool.rational(exact.numerator, exact.denominator)
    for f in (literal * x, ak.trace_fn(lambda x: x * literal, pool)):
        lo, hi = interval_eval(f, {"x": (1, 1)})
        assert Fraction(lo) <= exact <= Fraction(hi)
        assert Fraction(lo) != exact
    lo, hi = interval_eval(pool.pi * x, {x: (1, 1)})
    assert lo < math.pi < hi


def test_floats_among_the_constants_are_themselves():
    pool = ExprPool()
    x = pool.symbol("x")
    assert interval_eval(pool.float(0.1) * x, {x: (1, 1)}) == (0.1, 0.1)
    assert interval_eval([pool.integer(3) * x, 2], {x: (1, 1)}) == [(3.0, 3.0), (2.0, 2.0)]
