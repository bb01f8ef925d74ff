"""The oracle of the simplifier: mpmath judges values, SymPy judges algebra. No package imports SymPy."""

import itertools
from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

import alkahest as ak
from alkahest import ExprPool, horner, parse, simplify
from alkahest.expr.building import building
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical_node
from alkahest.symbolic.exact import exact_call
from alkahest.symbolic.folding import folding_node
from alkahest.symbolic.polynomials.coefficients import poly_coefficients

DIGITS = 60
# Closer than this to a step, a pole or a tie, rounded values cannot tell on which side they are.
NEAR = mpmath.mpf(10) ** -40


class Undefined(Exception):
    """No real value, or one that rounding cannot decide."""


def need(condition):
    if not condition:
        raise Undefined


def away(x):
    """Pass an exact zero and what is clearly none."""
    need(x == 0 or abs(x) > NEAR)
    return x


def power(x, y):
    if y == mpmath.nint(y):
        need(abs(y) < 200 and not (y < 0 and away(x) == 0))
        return x ** int(y)
    need(away(x) > 0 or (x == 0 and y > 0))
    return mpmath.power(x, y) if x else mpmath.mpf(0)


def inside(function, condition):
    def run(x):
        need(condition(x))
        return function(x)

    return run


def step(function):
    def run(x):
        away(x - mpmath.nint(x))
        return mpmath.mpf(function(x))

    return run


def compared(test):
    return lambda x, y: mpmath.mpf(test(away(x - y)))


def divided(x, y):
    need(away(y) != 0)
    return x / y


def ordered(function):
    def run(x, y):
        away(x - y)
        return function(x, y)

    return run


VALUES = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": divided,
    "neg": lambda x: -x,
    "pow": power,
    "fma": lambda x, y, z: x * y + z,
    "abs": abs,
    "sign": lambda x: mpmath.sign(away(x)),
    "floor": step(mpmath.floor),
    "ceil": step(mpmath.ceil),
    "min": ordered(min),
    "max": ordered(max),
    "lt": compared(lambda d: d < 0),
    "le": compared(lambda d: d <= 0),
    "gt": compared(lambda d: d > 0),
    "ge": compared(lambda d: d >= 0),
    "eq": compared(lambda d: d == 0),
    "ne": compared(lambda d: d != 0),
    "and": lambda x, y: mpmath.mpf(away(x) != 0 and away(y) != 0),
    "or": lambda x, y: mpmath.mpf(away(x) != 0 or away(y) != 0),
    "not": lambda x: mpmath.mpf(away(x) == 0),
    "sqrt": inside(mpmath.sqrt, lambda x: away(x) >= 0),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "exp": inside(mpmath.exp, lambda x: abs(x) < 1000),
    "expm1": inside(mpmath.expm1, lambda x: abs(x) < 1000),
    "log": inside(mpmath.log, lambda x: away(x) > 0),
    "log1p": inside(mpmath.log1p, lambda x: away(x + 1) > 0),
    "log2": inside(lambda x: mpmath.log(x, 2), lambda x: away(x) > 0),
    "log10": inside(mpmath.log10, lambda x: away(x) > 0),
    "sin": inside(mpmath.sin, lambda x: abs(x) < 1e10),
    "cos": inside(mpmath.cos, lambda x: abs(x) < 1e10),
    "tan": inside(mpmath.tan, lambda x: abs(x) < 1e10 and abs(mpmath.cos(x)) > NEAR),
    "asin": inside(mpmath.asin, lambda x: abs(x) <= 1),
    "acos": inside(mpmath.acos, lambda x: abs(x) <= 1),
    "atan": mpmath.atan,
    "sinh": inside(mpmath.sinh, lambda x: abs(x) < 1000),
    "cosh": inside(mpmath.cosh, lambda x: abs(x) < 1000),
    "tanh": inside(mpmath.tanh, lambda x: abs(x) < 1000),
    "asinh": mpmath.asinh,
    "acosh": inside(mpmath.acosh, lambda x: x >= 1),
    "atanh": inside(mpmath.atanh, lambda x: abs(x) < 1),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "gamma": inside(mpmath.gamma, lambda x: abs(x) < 200 and (x > 0 or away(x - mpmath.nint(x)) != 0)),
    "hypot": mpmath.hypot,
    "atan2": lambda y, x: mpmath.atan2(y, x) if need(away(x) != 0 or away(y) != 0) is None else None,
}


def value(expr, at, digits=DIGITS):
    """The value of `expr` to that many digits, None where there is none."""
    with mpmath.workdps(digits):
        found = {}
        for i in reachable(expr.pool, [expr.id]):
            op, *rest = expr.pool.node(i)
            if op == "symbol":
                found[i] = mpmath.mpf(at[rest[0]].numerator) / at[rest[0]].denominator
            elif op in ("integer", "rational"):
                found[i] = mpmath.mpf(rest[0]) / (rest[1] if len(rest) > 1 else 1)
            elif op == "float":
                found[i] = mpmath.mpf(rest[0])
            elif op == "const":
                found[i] = +getattr(mpmath, rest[0])
            else:
                found[i] = applied(op, [found[a] for a in rest])
        return found[expr.id]


def applied(op, args):
    if op == "where":
        if args[0] is None or 0 < abs(args[0]) < NEAR:
            return None
        return args[1] if args[0] != 0 else args[2]
    if any(a is None for a in args):
        return None
    try:
        return VALUES[op](*args)
    except Undefined:
        return None


def agree(a, b):
    return abs(a - b) <= mpmath.mpf(10) ** -25 * (1 + abs(a))


ARITHMETIC = ["add", "sub", "mul", "mul", "div", "neg", "pow", "pow"]
OPS = 4 * ARITHMETIC + sorted(VALUES.keys() - set(ARITHMETIC)) + ["where"]
LEAVES = ["x", "y", "p", 0, 1, -1, 2, 4, Fraction(1, 2), Fraction(-2, 3), 0.5, "pi", "e"]
EXPONENTS = [2, 3, -1, -2, 0, 4, Fraction(1, 2), Fraction(1, 3), Fraction(-1, 2), Fraction(3, 2), Fraction(2, 3)]


def arity(op):
    return 3 if op in ("where", "fma") else ak.extend.arity_of(op)


@st.composite
def programs(draw):
    out = []
    for op in draw(st.lists(st.sampled_from(OPS), min_size=1, max_size=12)):
        back = [draw(st.integers(1, len(out) + len(LEAVES))) for _ in range(arity(op))]
        out.append((op, back, draw(st.sampled_from(EXPONENTS)) if op == "pow" and draw(st.booleans()) else None))
    return out


def build(program, pool, leaves=LEAVES):
    values = [leaf(pool, v) for v in leaves]
    for op, back, exponent in program:
        args = [values[-k] for k in back]
        values.append(pool.apply(op, *args) if exponent is None else pool.apply(op, args[0], exponent))
    return values[-1]


def leaf(pool, v):
    if v in ("pi", "e"):
        return pool.constant(v)
    if isinstance(v, str):
        return pool.symbol(v, "positive" if v == "p" else "real")
    return pool.number(v)


points = st.fixed_dictionaries(
    {
        "x": st.fractions(-4, 4, max_denominator=4),
        "y": st.fractions(-4, 4, max_denominator=4),
        "p": st.fractions(Fraction(1, 4), 4, max_denominator=4),
    }
)


@given(programs(), points)
def test_value_is_kept_wherever_there_is_one(program, at):
    e = build(program, ExprPool())
    wanted, finer = value(e, at), value(e, at, DIGITS + 30)
    assume(wanted is not None and finer is not None and agree(wanted, finer))
    forms = [simplify(e)]
    with building(canonical_node):
        forms.append(build(program, e.pool))
    with building(folding_node):  # which rounds floats as the running program would: exact ones instead
        forms.append(build(program, e.pool, [Fraction(v) if isinstance(v, float) else v for v in LEAVES]))
    for form in forms:
        found = value(form, at)
        assert found is not None, form
        assert agree(wanted, found), form


UNARY = [op for op in VALUES if ak.extend.arity_of(op) == 1]
GRID = [Fraction(n, d) for n in range(-9, 10) for d in (1, 2, 3, 4)]
GRID += [Fraction(n) for n in (27, 64, 100, 1000, 1024)] + [Fraction(1, 8), Fraction(1, 100)]


@pytest.mark.parametrize("op", UNARY)
def test_exact_values_of_functions(op):
    for point in GRID:
        v = point.numerator if point.denominator == 1 else point
        found = exact_call(op, [v])
        with mpmath.workdps(DIGITS):
            wanted = applied(op, [mpmath.mpf(v.numerator) / v.denominator])
            if found is not None:
                assert wanted is not None, v
                assert agree(wanted, mpmath.mpf(found.numerator) / found.denominator), v


@pytest.mark.parametrize("op", ["sin", "cos", "tan"])
def test_exact_values_at_parts_of_pi(op):
    pool = ExprPool()
    for n, d in itertools.product(range(-13, 14), (1, 2, 3, 4, 5, 6, 8, 12)):
        found = simplify(pool.apply(op, pool.rational(n, d) * pool.pi))
        truth = getattr(sympy, op)(sympy.Rational(n, d) * sympy.pi)
        assert sympy.N(sympy.sympify(str(found)) - truth, 30, chop=True) == 0 or truth is sympy.zoo
        if truth.is_Rational:
            assert found.value == Fraction(int(truth.p), int(truth.q))


@pytest.mark.parametrize(
    "text",
    [
        "(x + y)**3*(x - y) - x*(x + y)**3 + y*(x + y)**3", "x*y/z - y/(z/x)", "x - (y - (z - (x - y)))",
        "(x/2 + y/3)*6 - 3*x", "((x**2)**3*y**-2)**2/(x*y)", "2*(x + 1) - 2*(x - 1)", "(x*y)**5*x**-5*y**-4",
        "x*(1 + 2*(3 + 4*(5 + x)))", "-(-(-x - y) - z)", "sqrt(p)*p**(3/2)/p", "sin(x)**2*sin(x)/sin(x)**3",
        "exp(2)*exp(-1)*x/E", "Abs(x)**4*x**-3", "(2*x)**10/(4*x**2)**5", "1/(1/(1/x))", "x**y*x**y/x**y",
    ],
)  # fmt: skip
def test_algebra_against_sympy(text):
    pool = ExprPool()
    symbols = {n: sympy.Symbol(n, real=True, positive=n == "p" or None) for n in "xyzp"}
    pool.symbol("p", "positive")
    mine = sympy.sympify(str(simplify(parse(text, pool))), symbols)
    assert sympy.simplify(mine - sympy.sympify(text, symbols)) == 0


def op_count(text):
    return sympy.count_ops(sympy.sympify(text, evaluate=False))


@pytest.mark.parametrize("text", ["(x + y + z)/4 + w", "x - y - z - w", "a*x**2*y/(2*z)", "1 - x**2", "b*exp(-a*x)"])
def test_nothing_gets_longer(text):
    e = parse(text, ExprPool())
    assert op_count(str(simplify(e))) <= op_count(str(e))


@given(st.data())
def test_polynomials_against_sympy(data):
    coefficient = st.one_of(st.integers(-9, 9), st.fractions(-5, 5, max_denominator=6))
    pool = ExprPool()
    x, a = pool.symbols("x a")
    factors = [
        sum((data.draw(coefficient) * a ** data.draw(st.integers(0, 1)) * x**k for k in range(4)), pool.integer(1))
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    e = factors[0]
    for f in factors[1:]:
        e = e * f + x
    sx = sympy.Symbol("x")
    truth = sympy.Poly(sympy.sympify(str(e)), sx)
    found = {k: sympy.sympify(str(c)) for k, c in poly_coefficients(e, x).items()}
    wanted = {k: c for (k,), c in truth.terms() if c != 0}
    assert found.keys() == wanted.keys()
    assert all(sympy.expand(found[k] - wanted[k]) == 0 for k in wanted)
    assert sympy.expand(sympy.sympify(str(horner(e, x))) - truth.as_expr()) == 0
