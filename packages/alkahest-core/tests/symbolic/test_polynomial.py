"""Horner's form and polynomial coefficients."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import ExprPool, compile_expr, horner, parse, simplify, sin
from alkahest.errors import NotASymbolError, OperandError, PolynomialError, PoolMismatchError
from alkahest.symbolic.polynomials.coefficients import poly_coefficients

FORMS = [
    ("x^3 + 2*x^2 + 3*x + 4", "x*(x*(x + 2) + 3) + 4"),
    ("x^10 + 1", "x^10 + 1"),
    ("x^7 + x^5", "x^5*(x^2 + 1)"),
    ("(x + 1)^3", "x*(x*(x + 3) + 3) + 1"),
    ("((x + 1)*(x - 1))^4", "x^2*(x^2*(x^2*(x^2 - 4) + 6) - 4) + 1"),
    ("1 - x^2", "1 - x^2"),
    ("x - x^3", "x*(1 - x^2)"),
    ("-2*x^2 - 3", "-2*x^2 - 3"),
    ("x/3 + x^2/2", "x*(x/2 + 1/3)"),
    ("a*x^2 + b*x + c", "x*(a*x + b) + c"),
    ("(a + b)*x^2 - c", "x^2*(a + b) - c"),
    ("(a*x + 1)^2*x^5", "x^5*(x*(a^2*x + 2*a) + 1)"),
    ("x*y*(x + y)", "x*(x*y + y^2)"),
    ("sin(a)*x + (x + a)/b", "x*(sin(a) + 1/b) + a/b"),
    ("(x^2 + x)^2/x", "x*(x*(x + 2) + 1)"),
    ("(1 + 1/x)*x", "x + 1"),
    ("x^1000000000 + x", "x*(x^999999999 + 1)"),
    ("x", "x"),
    ("-x", "-x"),
    ("7", "7"),
    ("x - x", "0"),
    ("0.25*x^2 + 1.5", "x^2/4 + 3/2"),
]


@pytest.mark.parametrize(("text", "wanted"), FORMS, ids=[text for text, _ in FORMS])
def test_form(text, wanted):
    pool = ExprPool()
    assert str(horner(parse(text, pool), pool.symbol("x"))) == wanted


def test_floats_stay_floats():
    x = ExprPool().symbol("x")
    assert str(horner(0.5 * x**2 + 1.5 * x - 0.25, x)) == "x*(0.5*x + 1.5) - 0.25"
    assert str(horner((x + 0.5) ** 2, x)) == "x*(x + 2*0.5) + 0.5^2"


def test_in_each_symbol():
    x, y = ExprPool().symbols("x y")
    p = (x * y + 1) ** 2 - x
    assert str(horner(p, y)) == "y*(x^2*y + 2*x) - x + 1"
    assert str(horner(p, x)) == "x*(x*y^2 + 2*y - 1) + 1"


@pytest.mark.parametrize(
    ("text", "names", "wanted"),
    [
        ("(x + y + 1)^2", "x y", "x*(x + 2*y + 2) + y*(y + 2) + 1"),
        ("(x + y + 1)^2", "y x", "y*(y + 2*x + 2) + x*(x + 2) + 1"),
        ("x^2*y^2 + x^2*y + x*y^3 + 3", "x y", "x*(x*y*(y + 1) + y^3) + 3"),
        ("a*x^5*y + b*x^5*y^4 - x", "x y", "x*(x^4*y*(b*y^3 + a) - 1)"),
        ("x - x", "x y", "0"),
        ("a + 1", "x y", "a + 1"),
        ("x*y*z + x*y + x + 1", "x y z", "x*(y*(z + 1) + 1) + 1"),
    ],
)
def test_in_several_symbols(text, names, wanted):
    pool = ExprPool()
    found = horner(parse(text, pool), pool.symbols(names))
    assert str(found) == wanted


def test_several_symbols_refused():
    x, y = ExprPool().symbols("x y")
    for names in ([], 3, [x, 3], [x, x + y]):
        with pytest.raises(NotASymbolError):
            horner(x + y, names)
    with pytest.raises(PolynomialError):
        horner(x + sin(y), [x, y])


@given(st.dictionaries(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.fractions(-9, 9, max_denominator=9)))
def test_several_symbols_keep_the_value(coefs):
    x, y = ExprPool().symbols("x y")
    e = sum((c * x**i * y**j for (i, j), c in coefs.items()), x.pool.integer(0))
    at = {x: Fraction(2, 3), y: Fraction(-3, 5)}
    wanted = sum(c * at[x] ** i * at[y] ** j for (i, j), c in coefs.items())
    assert simplify(horner(e, [x, y]).subs(at)).value == wanted


def test_the_condition_number_of_the_docstring():
    """For (x - 1)^3 at 11/10: the polynomial of the coefficients' sizes over the value, no roots needed."""
    x = ExprPool().symbol("x")
    at = Fraction(11, 10)
    coefs = poly_coefficients((x - 1) ** 3, x)
    above = sum(abs(c.value) * at**k for k, c in coefs.items())
    assert above / abs(sum(c.value * at**k for k, c in coefs.items())) == 9261


def test_coefficients():
    x, a = ExprPool().symbols("x a")
    found = poly_coefficients((x + a) ** 3 - x * a, x)
    assert [(k, str(c)) for k, c in found.items()] == [(0, "a^3"), (1, "3*a^2 - a"), (2, "3*a"), (3, "1")]
    assert poly_coefficients(x - x, x) == {}
    assert poly_coefficients(a, x) == {0: a}


@pytest.mark.parametrize(
    "text",
    ["sin(x)", "1/x", "x^-2", "sqrt(x)", "x^(1/2)", "x^y", "2^x", "(x + 1)/(x + 2)", "abs(x)", "x + exp(x*y)"],
)
def test_no_polynomial(text):
    pool = ExprPool()
    with pytest.raises(PolynomialError) as error:
        horner(parse(text, pool), pool.symbol("x"))
    assert "no polynomial in x" in str(error.value)


def test_the_part_at_fault_is_named():
    x, y = ExprPool().symbols("x y")
    with pytest.raises(PolynomialError) as error:
        horner(x**2 + 3 * sin(x * y) + 1, x)
    assert "sin(x*y)" in error.value.message
    assert horner(x**2 + 3 * sin(x * y), y.pool.symbol("z")) == simplify(x**2 + 3 * sin(x * y))


def test_float_exponents_are_no_degrees():
    x = ExprPool().symbol("x")
    with pytest.raises(PolynomialError):
        horner(x**2.0 + 1, x)


def test_expansion_has_a_budget():
    x, y = ExprPool().symbols("x y")
    with pytest.raises(PolynomialError) as error:
        horner((x + y + 1) ** 10**7, x)
    assert "products" in error.value.message
    assert len(poly_coefficients((x**2 + 1) ** 400, x)) == 401


def test_refused():
    x, y = ExprPool().symbol("x"), ExprPool().symbol("y")
    for symbol in (x + 1, 3, "x", x.pool.integer(2)):
        with pytest.raises(NotASymbolError):
            horner(x, symbol)
    with pytest.raises(OperandError):
        horner(3, x)
    with pytest.raises(PoolMismatchError):
        horner(x, y)


@given(st.dictionaries(st.integers(0, 40), st.fractions(-9, 9, max_denominator=9), max_size=12), st.data())
def test_coefficients_come_back_from_any_shape(coefs, data):
    """A polynomial built term by term, times and over another, shifted: its coefficients, and its value."""
    x = ExprPool().symbol("x")
    e = sum((c * x**k for k, c in coefs.items()), x.pool.integer(0))
    wanted = {k: c for k, c in sorted(coefs.items()) if c}
    found = poly_coefficients(horner(e * (x - 1), x) + e, x)
    assert {k: c.value for k, c in found.items()} == {k + 1: c for k, c in wanted.items()}
    at = data.draw(st.fractions(-3, 3, max_denominator=4))
    value = simplify(horner(e, x).subs({x: at})).value
    assert value == sum(c * at**k for k, c in coefs.items())


def test_one_multiplication_per_degree():
    x = ExprPool().symbol("x")
    dense = horner(sum((k + 2) * x**k for k in range(30)), x)
    ops = [n[0] for n in map(x.pool.node, sorted(_inner(dense)))]
    assert ops.count("mul") == 29
    assert ops.count("add") == 29
    assert len(ops) == 58


def _inner(expr):
    from alkahest.expr.traversal import reachable

    leaves = {"symbol", "integer", "rational", "float"}
    return [i for i in reachable(expr.pool, [expr.id]) if expr.pool.node(i)[0] not in leaves]


def test_long_and_deep():
    pool = ExprPool()
    x = pool.symbol("x")
    e = pool.integer(0)
    for k in range(10_001):
        e = e + (k % 7 + 1) * x**k
    h = horner(e, x)
    assert horner(h, x) == h  # 10,000 brackets deep
    assert [c.value for c in poly_coefficients(h, x).values()] == [k % 7 + 1 for k in range(10_001)]
    many = pool.integer(0)
    for k in range(20_000):
        many = many + pool.symbol(f"c{k}") * x ** (k % 5)
    assert list(poly_coefficients(many, x)) == [0, 1, 2, 3, 4]


def test_value_in_floats():
    x = ExprPool().symbol("x")
    p = (x - 1) * (x - 2) * (x + 3) / 7
    f = compile_expr(horner(p, x), [x])
    for at in (-2.5, 0.0, 1.0, 4.0):
        assert f([at]) == pytest.approx(float((Fraction(at) - 1) * (Fraction(at) - 2) * (Fraction(at) + 3) / 7))
