"""`expand`, against SymPy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkahest import ExprPool, parse, where
from alkahest.errors import OperandError, PolynomialError
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.rational.expand import expand

sympy = pytest.importorskip("sympy", reason="SymPy, the oracle, is not installed")

TEXTS = [
    "(x + 1)^2*(x - y)",
    "(x + y + z)^5",
    "(x + 1)^40 - (x - 1)^40",
    "x*(x + y*(x + z*(x + 1)^2))",
    "(x - y)*(x + y) - x^2 + y^2",
    "(1 + 1/x)^3*x^3",
    "x*(x + 1)/(y*(y + 1))",
    "x/(x + 1)^2*(x + 2)",
    "sin((x + y)*z)^2*(cos(x*(y + 1)) - 1)^2",
    "sqrt((x + 1)*(x + 2) + 1)*(x + 1)",
    "(sqrt(x) + 1)^6",
    "(x/2 - y/3)^4",
    "(pi*x + e)^3",
    "((x + 1)^2 + 1)^3",
    "(x + 1)*(y + 1)*(z + 1)*(x - 1)*(y - 1)*(z - 1)",
]


def as_sympy(expr):
    text = expr if isinstance(expr, str) else expr.to_string()
    return sympy.sympify(text.replace("^", "**"), locals={"e": sympy.E})


@pytest.mark.parametrize("text", TEXTS)
def test_terms_are_those_of_sympy(text):
    found = expand(parse(text, ExprPool()))
    wanted = sympy.expand(as_sympy(text), power_exp=False)
    assert as_sympy(found) - wanted == 0
    assert canonical([found]) == [found]
    assert expand(found) == found


monomials = st.tuples(st.fractions(-5, 5, max_denominator=6), *[st.integers(0, 2)] * 3)
sums = st.lists(monomials, min_size=1, max_size=3)


@settings(max_examples=30, deadline=None)
@given(sums, sums, st.integers(0, 2), st.integers(-2, 2))
def test_random_products_and_powers(first, second, n, m):
    names = "x y z"
    pool = ExprPool()

    def build(symbols, rational):
        def total(terms):
            return sum(rational(c) * symbols[0] ** i * symbols[1] ** j * symbols[2] ** k for c, i, j, k in terms)

        a, b = total(first) + symbols[0], total(second)
        return (a**n * b + symbols[1]) ** 2 * symbols[2] ** m - b * (a - b)

    ours = build(pool.symbols(names), pool.number)
    theirs = build(sympy.symbols(names), lambda c: sympy.Rational(c.numerator, c.denominator))
    found = expand(ours)
    assert sympy.expand(as_sympy(found) - theirs) == 0
    if m >= 0:
        assert len(sympy.Add.make_args(as_sympy(found))) == len(sympy.Add.make_args(sympy.expand(theirs)))


def test_inside_arguments_and_choices():
    pool = ExprPool()
    assert str(expand(parse("exp((x + 1)*y) + log(1 + (x + 1)^2)", pool))) == "exp(x*y + y) + log(x^2 + 2*x + 2)"
    x, y = pool.symbols("x y")
    found = expand(where(x > 0, (x + 1) * (x + 2), x * (y + 3)))
    assert found == where(x > 0, x**2 + 3 * x + 2, x * y + 3 * x)


def test_roots_that_are_squared_are_opened():
    pool = ExprPool()
    assert str(expand(parse("(sqrt(x + 1) + 2)^2 - 4*sqrt(x + 1)", pool))) == "x + 5"
    assert str(expand(parse("(sqrt(2) + x)^2", pool))) == "x^2 + 2*sqrt(2)*x + 2"
    assert str(expand(parse("(abs(x) + 1)^2 - 2*abs(x)", pool))) == "x^2 + 1"


def test_floats_keep_their_value_and_absorb_nothing():
    x = ExprPool().symbol("x")
    assert str(expand((x + 0.5) ** 2)) == "x^2 + 2*0.5*x + 0.5^2"
    assert str(expand((0.5 * x - 0.25) * (x + 1) - 0.5 * x * x)) == "0.5*x - 0.25*x - 0.25"


def test_undefined_parts_stay():
    pool = ExprPool()
    x = pool.symbol("x")
    kept = expand((x + 1) * (x - 1) + 1 / (pool.integer(0) * x))
    assert "1/(0)" in str(kept)


def test_sharing_is_used_and_work_is_bounded():
    pool = ExprPool()
    x, y, z = pool.symbols("x y z")
    e = x
    for _ in range(60):
        e = e * (e + 1)
    for bad in (e, (x + y + z) ** 100_000, (x + 1) ** 10**9, (2 * x + 1) ** 20_000):
        with pytest.raises(PolynomialError) as error:
            expand(bad)
        assert error.value.remedy
    t = x
    for _ in range(60):
        t = t + t
    assert expand(t) == 2**60 * x


def test_wide_and_deep():
    pool = ExprPool()
    y = pool.symbol("y")
    wide = pool.integer(0)
    for k in range(2_000):
        wide = wide + pool.symbol(f"a{k}")
    assert expand(wide * y).to_string().count("+") == 1_999
    deep = y
    for _ in range(3_000):
        deep = (deep + 1).pool.apply("sin", deep * 2)
    assert expand(deep) == canonical([deep])[0]


def test_refused():
    with pytest.raises(OperandError):
        expand(3)
