"""`collect_terms`, against SymPy."""

import pytest

from alkahest import ExprPool, parse
from alkahest.errors import OperandError, PoolMismatchError
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.rational.collecting import collect_terms

sympy = pytest.importorskip("sympy", reason="SymPy, the oracle, is not installed")

FORMS = [
    ("(a + x)*(b + x) + x", "x", "a*b + x^2 + x*(a + b + 1)"),
    ("a*sin(x) + b*sin(x) + x", "sin(x)", "x + (a + b)*sin(x)"),
    ("a*(x + y)^2 + b*(x + y)^2 + 1", "x + y", "(a + b)*(x + y)^2 + 1"),
    ("a*x^4 + b*x^4 + x^3 + y*x^2", "x^2", "x^4*(a + b) + x^2*(x + y)"),
    ("a/x + b/x + x", "x", "x + (a + b)/x"),
    ("x*sqrt(x)*a + b*x^(3/2)", "x", "x^(3/2)*(a + b)"),
    ("a*exp(x)*x + b*exp(x)*x", "x", "x*(a*exp(x) + b*exp(x))"),
    ("a*x + b*y + c*x + c*y", "x y", "x*(a + c) + y*(b + c)"),
    ("x + y - y", "y", "x"),
    ("a*0.5*x + 0.25*x", "x", "x*(a/2 + 1/4)"),
    ("a*sin((a + 1)*b) + b*sin((1 + a)*b)", "sin(b*(a + 1))", "(a + b)*sin(b*(a + 1))"),
]


@pytest.mark.parametrize(("text", "names", "wanted"), FORMS, ids=[f"{text} by {names}" for text, names, _ in FORMS])
def test_form(text, names, wanted):
    pool = ExprPool()
    e = parse(text, pool)
    x = [parse(n, pool) for n in names.split()] if names == "x y" else parse(names, pool)
    found = collect_terms(e, x)
    assert str(found) == wanted
    assert canonical([found]) == [found]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("(a*x + b)^3*(x - c)", "x"),
        ("(x + y + a)^4", "y"),
        ("(x + 1)^2*(y + a)^2 - x*y*a", "a"),
        ("x^2*(a + b)^3", "b"),
    ],
)
def test_coefficients_are_those_of_sympy(text, name):
    pool = ExprPool()
    found = sympy.sympify(collect_terms(parse(text, pool), pool.symbol(name)).to_string().replace("^", "**"))
    source, x = sympy.sympify(text.replace("^", "**")), sympy.Symbol(name)
    wanted = sympy.collect(sympy.expand(source), x, evaluate=False)
    terms = {}
    for term in sympy.Add.make_args(found):
        power, rest = sympy.Mul(*[f for f in term.as_ordered_factors() if f.has(x)]), 1
        rest = term / power
        terms[power] = terms.get(power, 0) + rest
    assert {k: sympy.expand(v) for k, v in terms.items()} == {k: sympy.expand(v) for k, v in wanted.items()}


def test_floats_stay_floats():
    x, a = ExprPool().symbols("x a")
    assert str(collect_terms(0.5 * a * x + 0.25 * x + x, x)) == "x*(0.5*a + 0.25 + 1)"


def test_refused():
    pool = ExprPool()
    x = pool.symbol("x")
    for name in (3, "x", pool.integer(2), [x, 2]):
        with pytest.raises(OperandError):
            collect_terms(x + 1, name)
    with pytest.raises(OperandError):
        collect_terms(3, x)
    with pytest.raises(PoolMismatchError):
        collect_terms(x + 1, ExprPool().symbol("x"))
