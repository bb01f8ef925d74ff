"""`compact`: rational functions in factors, against exact evaluation."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkahest import ExprPool, exp, parse
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.egraph.costs import OpCost, SizeCost, cost_of
from alkahest.symbolic.rational.factored import compact
from alkahest.symbolic.rational.variables import aligned_powers, interior, whole_exponents, whole_sums

FORMS = [
    ("x/(b*x + 1) - b*x^2/(b*x + 1)^2", "x/(b*x + 1)^2"),
    ("(x - a)^2/b^4 - 3/b^2", "((x - a)^2 - 3*b^2)/b^4"),
    ("x/(x - a)^2 + (a - x)/(x - a)^2", "a/(a - x)^2"),
    ("exp(a - x)/(exp(a - x) + 1) - exp(2*a - 2*x)/(exp(a - x) + 1)^2", "exp(a - x)/(exp(a - x) + 1)^2"),
    ("(x + 1)^(b - 1)*b/x - (x + 1)^b*b/(x*(x + 1))", "0"),
    ("sin(x/(b*x + 1) - b*x^2/(b*x + 1)^2)", "sin(x/(b*x + 1)^2)"),
    ("x*y + x*z", "x*y + x*z"),
    ("3*x^20*y^9 + 6*x^20*y^8 + 9*x^19*y^9", "3*x^20*y^9 + 6*x^20*y^8 + 9*x^19*y^9"),
    ("1/x + 1/y", "(x + y)/(x*y)"),
]


def form(text):
    return canonical([parse(text, ExprPool())])[0]


@pytest.mark.parametrize(("text", "wanted"), FORMS, ids=[text for text, _ in FORMS])
def test_form(text, wanted):
    found = compact(form(text))
    assert found == parse(wanted, found.pool) or str(found) == wanted
    assert compact(found) == found


def value(expr, at):
    """The exact value of an expression of arithmetic; None where it has none."""
    pool, values = expr.pool, {}
    for i in range(expr.id + 1):
        op, *args = pool.node(i)
        values[i] = _operation(op, args, values, at)
    return values[expr.id]


def _operation(op, args, values, at):
    if op == "symbol":
        return at[args[0]]
    if op in ("integer", "rational"):
        return Fraction(*args)
    a, b = ([values[c] for c in args] + [Fraction(0)])[:2]
    if a is None or b is None or (op == "div" and b == 0) or (op == "pow" and b < 0 and a == 0):
        return None
    return (
        {"add": a + b, "sub": a - b, "mul": a * b, "neg": -a}.get(op)
        if op not in ("div", "pow")
        else (a / b if op == "div" else a ** int(b))
    )


NAMES = ["x", "y", "a"]
leaves = st.sampled_from([*NAMES, "1", "2", "3"])
texts = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})")
        | st.tuples(inner, st.sampled_from([2, 3, -1, -2])).map(lambda t: f"({t[0]}^({t[1]}))")
    ),
    max_leaves=14,
)
numbers = st.fractions(-2, 2, max_denominator=3)


@settings(max_examples=150, deadline=None)
@given(texts, st.lists(st.tuples(numbers, numbers, numbers), min_size=4, max_size=4))
def test_it_refines_and_never_costs_more(text, points):
    expr = form(text)
    found = compact(expr)
    assert cost_of([found], SizeCost()) <= cost_of([expr], SizeCost())
    for point in points:
        at = dict(zip(NAMES, point, strict=True))
        wanted = value(expr, at)
        assert wanted is None or value(found, at) == wanted


def test_the_cost_decides():
    expr = form("x/y + z/y")
    assert str(compact(expr, OpCost())) == "(x + z)/y"


def test_a_float_keeps_its_value():
    pool = ExprPool()
    x, b = pool.symbols("x b")
    c = pool.float(0.1)
    expr = canonical([c * x / (b * x + 1) - c * b * x**2 / (b * x + 1) ** 2 + 0.2 * x])[0]
    assert str(compact(expr)) == "0.2*x + 0.1*x/(b*x + 1)^2"


def test_large_expressions_are_left_in_bounded_work():
    pool = ExprPool()
    x = pool.symbols(" ".join(f"x{k}" for k in range(60)))
    expr = canonical([sum(1 / (a + k * b + 1) for k, (a, b) in enumerate(pairwise(x)))])[0]
    assert compact(expr) == expr


def test_a_sum_with_a_variable_of_its_own_is_a_variable():
    pool = ExprPool()
    x, a, b = pool.symbols("x a b")
    inside = interior(pool._nodes, ((x - a) ** 2 / b + x * (b + 1)).id)
    assert list(whole_sums(pool, inside)) == [(x - a).id]
    assert whole_sums(pool, interior(pool._nodes, ((x - a) ** 2 / b + a * x * (b + 1)).id)) == {}


def test_exponentials_that_hang_together_are_products():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    assert whole_exponents(pool, interior(pool._nodes, (exp(x + y) / exp(x)).id)) == {}


def test_powers_with_unrelated_exponents_stay():
    pool = ExprPool()
    x, a, b = pool.symbols("x a b")
    assert aligned_powers(pool, interior(pool._nodes, (x**a + x**b + x ** (a + pool.rational(1, 2))).id)) == {}
