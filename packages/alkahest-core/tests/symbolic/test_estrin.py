"""Estrin's form."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import ExprPool, compile_expr, parse, simplify, sin
from alkahest.errors import NotASymbolError, PolynomialError
from alkahest.expr.traversal import reachable
from alkahest.symbolic.polynomials.estrin import estrin
from alkahest.symbolic.polynomials.horner import horner

FORMS = [
    ("1 + 2*x + 3*x^2 + 4*x^3", "x^2*(4*x + 3) + (2*x + 1)"),
    ("1 + 2*x + 3*x^2 + 4*x^3 + 5*x^4", "5*(x^2)^2 + (x^2*(4*x + 3) + (2*x + 1))"),
    ("(a*x + 1)^3", "x^2*(a^3*x + 3*a^2) + (3*a*x + 1)"),
    ("x^1000 + 1", "x^1000 + 1"),
    ("x^7 - x", "x^7 - x"),
    ("-x^2", "-x^2"),
    ("x", "x"),
    ("a", "a"),
    ("x - x", "0"),
]


@pytest.mark.parametrize(("text", "wanted"), FORMS, ids=[text for text, _ in FORMS])
def test_form(text, wanted):
    pool = ExprPool()
    assert str(estrin(parse(text, pool), pool.symbol("x"))) == wanted


@given(st.dictionaries(st.integers(0, 70), st.fractions(-9, 9, max_denominator=9), max_size=40))
def test_value(coefs):
    x = ExprPool().symbol("x")
    e = sum((c * x**k for k, c in coefs.items()), x.pool.integer(0))
    at = Fraction(-2, 3)
    assert simplify(estrin(e, x).subs({x: at})).value == sum(c * at**k for k, c in coefs.items())


def test_depth_is_logarithmic_and_powers_are_shared():
    x = ExprPool().symbol("x")
    e = estrin(sum((k + 2) * x**k for k in range(256)), x)
    pool, depth, squares, products = x.pool, {}, 0, 0
    for i in reachable(pool, [e.id]):
        op, *args = pool.node(i)
        inner = [depth[a] for a in args] if op in ("add", "sub", "mul", "pow") else []
        depth[i] = 1 + max(inner) if inner else 0
        squares += op == "pow"
        products += op == "mul"
    assert depth[e.id] <= 2 * 8
    assert squares == 7  # x^2, x^4, … x^128
    assert products == 255


def test_value_in_floats():
    x = ExprPool().symbol("x")
    p = sum((0.5 + k) * x**k for k in range(12))
    f, g = compile_expr(estrin(p, x), [x]), compile_expr(horner(p, x), [x])
    for at in (-1.5, 0.25, 2.0):
        exact = float(sum((Fraction(1, 2) + k) * Fraction(at) ** k for k in range(12)))
        assert f([at]) == pytest.approx(exact, rel=1e-14)
        assert g([at]) == pytest.approx(exact, rel=1e-14)


def test_refused():
    x = ExprPool().symbol("x")
    with pytest.raises(PolynomialError):
        estrin(sin(x), x)
    with pytest.raises(NotASymbolError):
        estrin(x, x + 1)
