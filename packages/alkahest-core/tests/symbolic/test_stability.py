"""`stabilize`, judged by mpmath at points of the tests' own."""

import math
import random

import mpmath
import numpy as np
import pytest

from alkahest import ExprPool, compile_expr, from_fpcore, numpy_eval, parse
from alkahest.errors import OperandError, PoolMismatchError, StabilityError
from alkahest.symbolic.stability.stabilize import StabilityCost, stabilize

FUNCTIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": abs,
    "pow": lambda a, b: a**b,
    "lt": lambda a, b: a < b,
    "where": lambda c, a, b: a if c else b,
}


def run(expr, point, numbers):
    """Return the value of an expression, node by node, in the arithmetic of `numbers`."""
    values = {}
    for i in range(expr.id + 1):
        node = expr.pool.node(i)
        if node[0] == "symbol":
            values[i] = numbers(point[node[1]]) if node[1] in point else None
        elif node[0] in ("integer", "float"):
            values[i] = numbers(node[1])
        elif node[0] == "rational":
            values[i] = numbers(node[1]) / numbers(node[2])
        elif node[0] != "const":
            args = [values.get(a) for a in node[1:]]
            try:
                values[i] = None if None in args else (FUNCTIONS.get(node[0]) or getattr(mpmath, node[0]))(*args)
            except (ZeroDivisionError, ValueError, OverflowError):
                values[i] = None
    return values[expr.id]


def compiled(expr, points):
    symbols = sorted(expr.free_symbols, key=str)
    function = compile_expr(expr, symbols, backend="interpreter")
    return np.asarray(numpy_eval(function, *[np.array([p[s.name] for p in points]) for s in symbols]))


def ulps(computed, true):
    return abs(computed - true) / math.ulp(true)


LOSSY = [
    ("sqrt(x + 1) - sqrt(x)", (1.0, 1e12)),
    ("exp(x) - 1", (1e-14, 1.0)),
    ("(1 - cos(x))/x^2", (1e-7, 1.0)),
    ("log(x + 1) - log(x)", (1.0, 1e12)),
    ("x - sin(x)", (1e-5, 1.0)),
    ("1/(x + 1) - 1/x", (1.0, 1e9)),
]


@pytest.mark.parametrize(("text", "ends"), LOSSY, ids=[t for t, _ in LOSSY])
def test_what_comes_back_is_right_to_a_few_ulps_where_the_input_is_not(text, ends):
    pool = ExprPool()
    expr = parse(text, pool)
    found = stabilize(expr, {"x": ends}, budget_s=1.5, seed=1)
    rng = random.Random(7)
    points = [{"x": math.exp(rng.uniform(math.log(ends[0]), math.log(ends[1])))} for _ in range(50)]
    with mpmath.workprec(400):
        true = [float(run(expr, p, mpmath.mpf)) for p in points]
    before = np.median([ulps(c, t) for c, t in zip(compiled(expr, points), true, strict=True)])
    after = max(ulps(c, t) for c, t in zip(compiled(found.expr, points), true, strict=True))
    assert before > 50
    assert after < 12
    assert found.bits_after < 1.5 < 5 < found.bits_before


def test_the_result_says_how_it_came_about():
    x = ExprPool().symbol("x")
    found = stabilize(parse("sqrt(x + 1) - sqrt(x)", x.pool), {x: (1, 1e300)}, budget_s=1.5)
    assert found.steps[0].before.id == parse("sqrt(x + 1) - sqrt(x)", x.pool).id
    assert found.steps[-1].after.id == found.expr.id
    assert "before" in str(found)
    assert str(found.expr) in str(found)
    assert not found.remaining
    for step in found.steps:
        for value in (1.5, 1e3, 1e9):
            with mpmath.workprec(200):
                sides = [run(e, {"x": value}, mpmath.mpf) for e in (step.before, step.after)]
            assert float(sides[0]) == pytest.approx(float(sides[1]), rel=1e-14)


def test_series_say_that_they_approximate():
    x = ExprPool().symbol("x")
    found = stabilize(parse("x - sin(x)", x.pool), {x: (-0.5, 0.5)}, budget_s=1.5)
    assert any("approximate" in step.name for step in found.steps)


def test_one_seed_gives_one_result():
    results = []
    for _ in range(2):
        x = ExprPool().symbol("x")
        results.append(stabilize(parse("exp(x) - 1", x.pool), {x: (-1, 1)}, budget_s=20, seed=3))
    assert str(results[0]) == str(results[1])
    assert str(results[0].expr) == "expm1(x)"


def test_what_is_good_stays_as_it_is():
    x, y = ExprPool().symbols("x y")
    expr = x * y + 1
    found = stabilize(expr, {x: (1, 2), y: (1, 2)}, budget_s=2)
    assert found.expr.id == expr.id
    assert found.steps == ()
    assert "nothing to improve" in str(found)


def test_what_cannot_be_improved_is_told():
    x, y = ExprPool().symbols("x y")
    # A function that has no other form, of a difference that is lossless: what is lost is lost in the argument.
    expr = parse("sin(x*y*1000003)", x.pool)
    found = stabilize(expr, {x: (1e3, 1e5), y: (1e3, 1e5)}, budget_s=1)
    assert found.bits_after <= found.bits_before
    assert found.bits_after > 3
    assert found.remaining
    assert "still lossy" in str(found)


def test_functions_without_true_values_leave_the_formula_unjudged():
    x = ExprPool().symbol("x")
    with pytest.raises(StabilityError):
        stabilize(parse("sqrt(-1 - x^2)", x.pool), {x: (1, 2)}, budget_s=1)


def test_a_core_brings_its_domain():
    core = from_fpcore("(FPCore (x) :pre (<= 1 x 1e300) (- (sqrt (+ x 1)) (sqrt x)))", ExprPool())[0]
    found = stabilize(core, budget_s=1.5)
    assert found.bits_before > 50
    assert found.bits_after < 1


def test_bad_input():
    x = ExprPool().symbol("x")
    with pytest.raises(OperandError):
        stabilize(3)  # type: ignore[arg-type]
    with pytest.raises(StabilityError, match="no time"):
        stabilize(x, budget_s=0)
    with pytest.raises(StabilityError, match="no number"):
        stabilize(x, {x: (2, 1)})
    with pytest.raises(StabilityError, match="pair"):
        stabilize(x, {x: 3})
    with pytest.raises(StabilityError, match="nan"):
        stabilize(x, {x: (math.nan, 1)})
    with pytest.raises(StabilityError, match="no symbol"):
        stabilize(x, {"q": (0, 1)})
    with pytest.raises(StabilityError, match="describes no domain"):
        stabilize(x, 3)
    with pytest.raises(StabilityError, match="no finite value"):
        stabilize(x, x < x)
    with pytest.raises(PoolMismatchError):
        stabilize(x, ExprPool().symbol("x") > 1)


def test_the_cost_object_gives_the_same():
    x = ExprPool().symbol("x")
    cost = StabilityCost({x: (-1, 1)}, budget_s=5)
    expr = parse("exp(x) - 1", x.pool)
    assert cost.best(expr).expr.id == parse("expm1(x)", x.pool).id
    assert cost.bits(expr) > 50
    assert cost.bits(cost.best(expr).expr) < 0.5
