"""Taylor series, against SymPy, mpmath and known sequences."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest

from alkahest import ExprPool, eval_expr, exp, log, parse, sin, sqrt, where
from alkahest.errors import DomainError, NotASymbolError, OperandError, PolynomialError, PoolMismatchError
from alkahest.symbolic.polynomials.series import laurent_coefficients, series, taylor_coefficients

sympy = pytest.importorskip("sympy", reason="SymPy, the oracle, is not installed")

FORMS = [
    ("sin(x)", "0", 6, "x^5/120 - x^3/6 + x"),
    ("exp(x)", "2", 3, "exp(2) + exp(2)*(x - 2) + exp(2)*(x - 2)^2/2"),
    ("(exp(x) - 1)/x", "0", 4, "x^3/24 + x^2/6 + x/2 + 1"),
    ("log(x)", "1", 4, "x - 1 - (x - 1)^2/2 + (x - 1)^3/3"),
    ("sqrt(x)", "4", 3, "2 + (x - 4)/4 - (x - 4)^2/64"),
    ("sin(x)", "a", 3, "sin(a) + (x - a)*cos(a) - (x - a)^2*sin(a)/2"),
    ("sin(x)", "pi/2", 4, "1 - (x - pi/2)^2/2"),
    ("log(x + y) - log(y)", "0", 3, "x/y - x^2/(2*y^2)"),
    ("x^a", "1", 2, "1 + a*(x - 1)"),
    ("1/x - 1/tan(x)", "0", 5, "x^3/45 + x/3"),
    ("x^100", "0", 5, "0"),
    ("sin(x)^2 + cos(x)^2 - 1", "0", 5, "0"),
    ("y + 1", "0", 1, "y + 1"),
    ("sin(x)", "0", 0, "0"),
]


@pytest.mark.parametrize(("text", "point", "order", "wanted"), FORMS)
def test_form(text, point, order, wanted):
    pool = ExprPool()
    assert str(series(parse(text, pool), pool.symbol("x"), parse(point, pool), order)) == wanted


AT_ZERO = [
    "tan(x)",
    "tanh(x + x^2)",
    "exp(sin(x))",
    "log(cos(x))",
    "asin(x)*acos(x/2)",
    "atan(x)/(1 + x)",
    "asinh(x)*cosh(x)",
    "atanh(x/3)*sinh(x)",
    "erf(x)",
    "(1 + x)^(1/3)/(1 - x)^(5/2)",
    "sqrt(1 + x) - sqrt(1 - x)",
    "(1 - cos(x))/x^2",
    "x/(exp(x) - 1)",
    "(x - sin(x))/(x - tan(x))",
    "exp(x*cos(a*x))",
    "sin(a + x)*exp(b*x)",
    "(1 + x)^x",
    "1/(a + b*x + x^2)",
    "sqrt(a + x)",
]


@pytest.mark.parametrize("text", AT_ZERO)
def test_coefficients_are_those_of_sympy(text):
    order = 7
    pool = ExprPool()
    found = series(parse(text, pool), pool.symbol("x"), 0, order)
    x = sympy.Symbol("x")
    wanted = sympy.series(sympy.sympify(text.replace("^", "**")), x, 0, order).removeO()
    difference = sympy.sympify(found.to_string().replace("^", "**")) - wanted
    for k in range(order):
        assert sympy.simplify(sympy.expand(difference).coeff(x, k)) == 0


AT_POINTS = [
    ("gamma(x)", 2.5, mpmath.gamma),
    ("lgamma(x)", 3, mpmath.loggamma),
    ("tan(x)", 1, mpmath.tan),
    ("acosh(x)", 2, mpmath.acosh),
    ("atan2(x, 2 - x)", 1, lambda x: mpmath.atan2(x, 2 - x)),
    ("hypot(x, 3)", 4, lambda x: mpmath.hypot(x, 3)),
    ("cbrt(x)", -8, lambda x: -mpmath.cbrt(-x)),
    ("x^x", 2, lambda x: x**x),
    ("log2(x)*log10(x + 1)", 3, lambda x: mpmath.log(x, 2) * mpmath.log10(x + 1)),
    ("erfc(x)*exp(x^2)", 1, lambda x: mpmath.erfc(x) * mpmath.exp(x * x)),
    ("expm1(x)/log1p(x)", 1, lambda x: mpmath.expm1(x) / mpmath.log1p(x)),
    ("asin(x) + acos(x/3)", 0.5, lambda x: mpmath.asin(x) + mpmath.acos(x / 3)),
    ("digamma(x)", 1.5, mpmath.digamma),
    ("abs(x - 3)*max(x, 1)*floor(x + 1/2)", 0.25, lambda x: (3 - x) * mpmath.mpf(0) + 0),
    ("sqrt(x)*tanh(x)", 2, lambda x: mpmath.sqrt(x) * mpmath.tanh(x)),
]


@pytest.mark.parametrize(("text", "point", "function"), AT_POINTS, ids=[text for text, _, _ in AT_POINTS])
def test_coefficients_are_those_of_mpmath(text, point, function):
    pool = ExprPool()
    coefs = taylor_coefficients(parse(text, pool), pool.symbol("x"), Fraction(point), 8)
    with mpmath.workdps(60):
        wanted = mpmath.taylor(function, mpmath.mpf(point), 7)
    for found, c in zip(coefs, wanted, strict=True):
        value = float(found) if isinstance(found, int | Fraction) else eval_expr(found, {})
        assert value == pytest.approx(float(c.real), rel=1e-11, abs=1e-13)


def test_choices_are_taken_where_they_are_clear():
    pool = ExprPool()
    x = pool.symbol("x")
    e = where(x > 1, log(x), x**2)
    assert str(series(e, x, 0, 4)) == "x^2"
    assert taylor_coefficients(e, x, 2, 2)[1] == Fraction(1, 2)
    assert str(series(where(x < 0, log(x), x + 1), x, 1, 2)) == "2 + (x - 1)"
    assert taylor_coefficients(abs(x - pool.pi) + 3 * abs(x + 1 - exp(pool.integer(1))), x, 3, 2)[1] == 2
    with pytest.raises(DomainError):
        series(e, x, 1, 2)


def test_poles_have_laurent_coefficients():
    pool = ExprPool()
    x = pool.symbol("x")
    assert laurent_coefficients(1 / sin(x) ** 2, x, 0, 3) == (-2, [1, 0, Fraction(1, 3), 0, Fraction(1, 15)])
    assert laurent_coefficients(x**3, x, 0, 5) == (3, [1, 0])
    assert laurent_coefficients(x - x, x, 0, 5) == (5, [])


SINGULAR = (
    "log(x)|1/x|sqrt(x)|abs(x)|exp(1/x)|x^(1/2)|cbrt(x)|floor(x)|sign(x)|acosh(x + 1)|asin(1 + x)|gamma(x)|"
    "1/(sin(x) - x + x^3/6 - x)|log(x - 1)|sqrt(x - 1)|min(x, -x)|x^a|atan2(x, x)|digamma(x - 1)"
).split("|")


@pytest.mark.parametrize("text", SINGULAR)
def test_no_series(text):
    pool = ExprPool()
    if text.startswith("1/(sin"):
        assert laurent_coefficients(parse(text, pool), pool.symbol("x"), 0, 1)[0] == -1
    with pytest.raises(DomainError) as error:
        series(parse(text, pool), pool.symbol("x"))
    assert error.value.remedy
    assert "x = 0" in error.value.message


def test_long_series():
    """Bernoulli numbers, Fibonacci numbers, factorials: polynomial time at thousands of terms."""
    pool = ExprPool()
    x = pool.symbol("x")
    fibonacci = taylor_coefficients(1 / (1 - x - x**2), x, 0, 2_000)
    assert fibonacci[2:] == [a + b for a, b in pairwise(fibonacci)][:-1]
    coefs = taylor_coefficients(exp(x), x, 0, 1_500)
    assert all(c * math.factorial(k) == 1 for k, c in enumerate(coefs))
    bernoulli = taylor_coefficients(x / (exp(x) - 1), x, 0, 200)
    for k in (0, 1, 2, 40, 120, 198):
        exact = sympy.bernoulli(k) if k != 1 else -sympy.bernoulli(1)
        assert bernoulli[k] * math.factorial(k) == Fraction(int(exact.p), int(exact.q))
    bell = taylor_coefficients(exp(exp(x) - 1), x, 0, 120)
    assert bell[119] * math.factorial(119) == int(sympy.bell(119))
    tangents = taylor_coefficients(parse("tan(x) + 1/cos(x)", pool), x, 0, 101)
    assert tangents[100] * math.factorial(100) == abs(int(sympy.euler(100)))


def test_long_and_short_ways_agree():
    """Up to 47 terms by recurrences, beyond by Newton's method."""
    pool = ExprPool()
    x = pool.symbol("x")
    for text in (
        "exp(sin(x) + x^2)",
        "sin(exp(x) - 1)",
        "cosh(atan(x))",
        "1/(2 + sin(x))",
        "(1 + tan(x))^(1/3)",
        "tanh(exp(x) - 1)",
    ):
        e = parse(text, pool)
        assert taylor_coefficients(e, x, 0, 60)[:40] == taylor_coefficients(e, x, 0, 40)


def test_floats_are_constants():
    pool = ExprPool()
    x = pool.symbol("x")
    found = series(sin(0.5 * x) + 0.25, x, 0, 4)
    assert str(found) == "-0.5^3*x^3/6 + 0.5*x + 0.25"


def test_work_is_bounded():
    pool = ExprPool()
    x = pool.symbol("x")
    for order in (10**6, 10**12):
        with pytest.raises(PolynomialError) as error:
            series(exp(x), x, 0, order)
        assert error.value.remedy
    with pytest.raises(PolynomialError):
        series((x + 2) ** 10**8, x)
    with pytest.raises(PolynomialError):
        series(parse("lgamma(x)", pool), x, 1, 5_000)


def test_deep():
    pool = ExprPool()
    x = pool.symbol("x")
    e = x
    for _ in range(2_000):
        e = e + e * e
    assert taylor_coefficients(e, x, 0, 3) == [0, 1, 2_000]


def test_refused():
    pool = ExprPool()
    x = pool.symbol("x")
    with pytest.raises(NotASymbolError):
        series(x, x + 1)
    for order in (-1, 2.5):
        with pytest.raises(OperandError):
            series(x, x, 0, order)
    with pytest.raises(OperandError):
        series(3, x)
    with pytest.raises(OperandError):
        series(sqrt(x), x, x + 1)
    with pytest.raises(PoolMismatchError):
        series(x, ExprPool().symbol("x"))
