"""The parts of `stabilize`: true values, errors, sampling, series, thresholds; mpmath and SymPy as oracles."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import ExprPool, parse
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.error import bits_of_error, from_ordinals, ordinals
from alkahest.symbolic.stability.program import doubted, program_of
from alkahest.symbolic.stability.regimes import shortest_between, signed_form
from alkahest.symbolic.stability.sampling import domain_of
from alkahest.symbolic.stability.series_rules import Place, expand_at, partial_sum
from alkahest.symbolic.stability.tidying import tidied
from alkahest.symbolic.stability.truth import known_ops, truth

sympy = pytest.importorskip("sympy", reason="SymPy, the oracle, is not installed")

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_ordinals_are_undone(x):
    assert float(from_ordinals(ordinals(np.array([x])))[0]) == x


@given(finite)
def test_neighbours_have_neighbouring_ordinals(x):
    up = math.nextafter(x, math.inf)
    if math.isfinite(up):
        assert int(ordinals(np.array([up]))[0]) - int(ordinals(np.array([x]))[0]) == 1 or x == up == 0


def test_bits_of_error():
    true = np.array([1.0, 1.0, 1.0, 1.0, math.nan, -1.0])
    computed = np.array([1.0, 1 + 2**-52, math.nan, math.inf, 1.0, 1.0])
    assert bits_of_error(computed, true)[:5] == pytest.approx([0, 1, 64, 64, 0])
    assert bits_of_error(computed, true)[5] > 62


TRUE = [
    ("1 - cos(x)", lambda x: 1 - mpmath.cos(x), [1e-200, 1e-8, 3.0, 1e22]),
    ("exp(x) - 1 - x", lambda x: mpmath.exp(x) - 1 - x, [1e-100, -1e-5, 40.0]),
    ("sqrt(x^2 + 1) - x", lambda x: mpmath.sqrt(x * x + 1) - x, [1e9, 1e150, 0.5]),
    ("log(1 + x)", lambda x: mpmath.log(1 + x), [1e-300, 1e-17, 1e300]),
    ("atan(x + 1) - atan(x)", lambda x: mpmath.atan(x + 1) - mpmath.atan(x), [1e10, 1e100]),
    ("gamma(x) + lgamma(x)", lambda x: mpmath.gamma(x) + mpmath.log(abs(mpmath.gamma(x))), [2.5, -1.5, 20.25]),
    ("erf(x) - erfc(x)", lambda x: mpmath.erf(x) - mpmath.erfc(x), [0.25, 6.0]),
    ("cbrt(x) + asinh(x)", lambda x: mpmath.cbrt(x) + mpmath.asinh(x), [0.3, 1e40]),
]


@pytest.mark.parametrize(("text", "oracle", "points"), TRUE, ids=[t for t, _, _ in TRUE])
def test_true_values_are_correctly_rounded(text, oracle, points):
    pool = ExprPool()
    expr = parse(text, pool)
    x = pool.find_symbol("x")
    program, where = program_of([expr], {x.id: 0})
    at = where[expr.id]
    found = truth(program, [np.array(points)], [at], Deadline(5))
    with mpmath.workprec(3000):
        assert found.values[at].tolist() == [float(oracle(mpmath.mpf(p))) for p in points]
    assert found.unsettled[at] == 0


@pytest.mark.parametrize("text", ["log(x)", "sqrt(x)", "1/(x + 1)", "acosh(x)", "asin(2*x)", "x^(1/2)", "gamma(x)"])
def test_what_is_undefined_has_no_true_value(text):
    pool = ExprPool()
    x = pool.symbol("x")
    program, where = program_of([parse(text, pool)], {x.id: 0})
    at = where[parse(text, pool).id]
    found = truth(program, [np.array([-1.0])], [at], Deadline(5))
    assert math.isnan(found.values[at][0])


def test_only_the_taken_branch_needs_a_value():
    pool = ExprPool()
    x = pool.symbol("x")
    expr = parse("Piecewise((log(x), x > 0), (x, True))", pool)
    program, where = program_of([expr], {x.id: 0})
    found = truth(program, [np.array([-2.0, math.e])], [where[expr.id]], Deadline(5))
    assert found.values[where[expr.id]].tolist() == [-2.0, 1.0]


def test_a_spent_budget_leaves_points_out():
    pool = ExprPool()
    x = pool.symbol("x")
    program, where = program_of([parse("sin(x)", pool)], {x.id: 0})
    found = truth(program, [np.array([1.0])], [where[parse("sin(x)", pool).id]], Deadline(0))
    assert np.isnan(next(iter(found.values.values()))).all()


def test_arithmetic_and_functions_have_true_values():
    assert {"add", "fma", "where", "hypot", "atan2", "expm1", "log1p", "erf", "floor", "fmin"} <= known_ops()


def test_sampling_is_by_bit_pattern_within_ranges_and_condition():
    x, y = ExprPool().symbols("x y")
    domain = domain_of(x + y, [{x: (1e-300, 1e300)}, (y > x) & (y < 10)])
    columns = domain.sample(2000, np.random.default_rng(0))
    assert all(len(c) == 2000 for c in columns)
    assert (columns[1] > columns[0]).all()
    assert (columns[1] < 10).all()
    assert (columns[0] >= 1e-300).all()
    small = np.log10(columns[0]) < -150
    assert 0.3 < small.mean() < 0.9


def test_integers_are_sampled_as_integers():
    n = ExprPool().symbol("n", "integer")
    column = domain_of(n * 2, {n: (-10, 1000)}).sample(100, np.random.default_rng(0))[0]
    assert (column == np.rint(column)).all()
    assert column.min() >= -10


def test_ranges_tell_signs():
    x, y = ExprPool().symbols("x y")
    facts = domain_of(x + y, {x: (1e-300, 1e300), y: (-5, 0)}).facts()
    assert facts[x.id].positive
    assert facts[y.id].nonpositive
    assert not facts[y.id].negative


SERIES = ["sin(x)", "exp(x)*cos(x)", "log(1 + x)/x", "sqrt(1 + x) - 1", "tan(x) - x", "atan(x)", "asin(x)", "1/(1-x)^2"]


@pytest.mark.parametrize("text", SERIES)
def test_series_at_zero_agree_with_sympy(text):
    pool = ExprPool()
    x = pool.symbol("x")
    series = expand_at(parse(text, pool), x, Place("zero"), 6, Deadline(5))
    symbol = sympy.Symbol("x")
    theirs = sympy.series(sympy.sympify(text), symbol, 0, 8).removeO()
    terms = {int(e): c for e, c in series.terms.items()}
    assert series.end >= 4
    for exponent in range(min(8, int(series.end))):
        assert sympy.Rational(theirs.coeff(symbol, exponent)) == sympy.Rational(str(terms.get(exponent, 0)))


def test_series_at_infinity_with_half_powers():
    pool = ExprPool()
    x = pool.symbol("x")
    place = Place("infinity")
    series = expand_at(parse("sqrt(x + 1) - sqrt(x)", pool), x, place, 6, Deadline(5))
    partial = partial_sum(series, x, place, 3)
    program, where = program_of([partial], {x.id: 0})
    value = program.floats([np.array([1e8])])[where[partial.id]][0]
    with mpmath.workprec(200):
        large = mpmath.mpf(10) ** 8
        assert value == pytest.approx(float(mpmath.sqrt(large + 1) - mpmath.sqrt(large)), rel=1e-14)


def test_an_essential_singularity_has_no_series():
    x = ExprPool().symbol("x")
    assert expand_at(parse("exp(1/x)", x.pool), x, Place("zero"), 6, Deadline(5)) is None


@given(finite, finite)
def test_thresholds_separate(a, b):
    low, high = min(a, b), max(a, b)
    if low < high:
        cut = shortest_between(low, high)
        assert low < cut <= high


def test_signs_of_products_survive_underflow():
    a, b, c = ExprPool().symbols("a b c")
    form = signed_form(4 * a * b / c)
    program, where = program_of([form], {a.id: 0, b.id: 1, c.id: 2})
    value = program.floats([np.array([1e-300]), np.array([-1e-300]), np.array([1e300])])[where[form.id]][0]
    assert value == -1e300


@pytest.mark.parametrize(
    ("text", "tidy"),
    [("x + (1 - 1)", "x"), ("1*x + (x - x)", "x"), ("x - -y", "x + y"), ("0*x + y/1", "y"), ("x*(2*3)", "x*6")],
)
def test_tidying_removes_what_computes_nothing(text, tidy):
    pool = ExprPool()
    assert tidied(parse(text, pool)).id == parse(tidy, pool).id


def test_doubt_moves_functions_by_one_place_and_never_exact_values():
    values = np.array([0.0, 1.0, -1.0, 0.3, 0.7, math.inf])
    assert (doubted("add", values) == values).all()
    moved = doubted("exp", np.linspace(0.1, 0.9, 100))
    off = np.abs(ordinals(moved) - ordinals(np.linspace(0.1, 0.9, 100)))
    assert set(off.tolist()) == {0, 1}
    assert (doubted("exp", values)[[0, 1, 2, 5]] == values[[0, 1, 2, 5]]).all()
