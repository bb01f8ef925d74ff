"""The oracle: SymPy and mpmath as ground truth for values, derivatives and folding. No package imports SymPy."""

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import alkahest as ak
from alkahest import ExprPool, compile_expr, diff, grad, jit, trace_fn

SYMPY = {
    "asin": sympy.asin, "acos": sympy.acos, "atan": sympy.atan, "asinh": sympy.asinh, "acosh": sympy.acosh,
    "atanh": sympy.atanh, "expm1": lambda x: sympy.exp(x) - 1, "log1p": lambda x: sympy.log(1 + x),
    "log2": lambda x: sympy.log(x, 2), "log10": lambda x: sympy.log(x, 10), "cbrt": lambda x: x ** sympy.Rational(1, 3),
    "abs": sympy.Abs, "lgamma": sympy.loggamma, "erf": sympy.erf, "erfc": sympy.erfc,
}  # fmt: skip
UNARY = (
    "sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp expm1 log log1p log2 log10 sqrt cbrt abs "
    "erf erfc gamma lgamma digamma"
).split()
INSIDE = {"acosh": (1.2, 4.0), "asin": (0.05, 0.9), "acos": (0.05, 0.9), "atanh": (0.05, 0.9)}


def sympy_of(name):
    return SYMPY.get(name) or getattr(sympy, name)


@pytest.mark.parametrize("name", UNARY)
def test_value_and_three_derivatives(name):
    x = ExprPool().symbol("x")
    s = sympy.Symbol("x", positive=True)
    expr, truth = getattr(ak, name)(x), sympy_of(name)(s)
    low, high = INSIDE.get(name, (0.3, 3.0))
    for order in range(4):
        f = compile_expr(expr, [x])
        exact = sympy.lambdify(s, truth, "mpmath")
        for at in np.linspace(low, high, 7):
            with mpmath.workprec(120):
                want = exact(mpmath.mpf(float(at)))
            assert f([at]) == pytest.approx(float(mpmath.re(want)), rel=1e-11, abs=1e-12), (name, order, at)
        expr, truth = diff(expr, x), sympy.diff(truth, s)


@pytest.mark.parametrize(
    "text",
    [
        "x**y", "x**x", "x**2.5", "2**x", "atan2(x, y)", "sqrt(x**2 + y**2)", "exp(-x**2/2)*sin(3*x*y)",
        "log(1 + x**2*y**2)/sqrt(1 + x*y)", "tanh(x*y) + atan(x)*log(1 + exp(y))", "(x + y)**5/(1 + x)**3",
        "sin(x**2)*exp(cos(y))/(1 + x**2)", "Abs(x - y)*x", "Max(x, y)**2", "Min(x*y, x + y)",
        "Piecewise((x**2, x < y), (y**3, True))", "gamma(x)*erf(y)",
    ],
)  # fmt: skip
def test_gradient_and_hessian_against_sympy(text):
    pool = ExprPool()
    sx, sy = sympy.symbols("x y", positive=True)
    truth = sympy.sympify(text, {"x": sx, "y": sy})
    f = trace_fn(lambda x, y: ak.parse(text, pool, symbols=[x, y]), pool)
    points = [(0.7, 1.9), (1.3, 0.4), (2.6, 2.1)]
    first = [sympy.diff(truth, s) for s in (sx, sy)]
    second = [[sympy.diff(d, s) for s in (sx, sy)] for d in first]
    for at in points:
        where = {sx: at[0], sy: at[1]}
        number = lambda e: float(e.subs(where).doit().evalf(30))  # noqa: E731, B023
        assert f(*at) == pytest.approx(number(truth), rel=1e-12)
        assert grad(f)(*at) == pytest.approx([number(d) for d in first], rel=1e-11, abs=1e-12)
        got, want = grad(grad(f))(*at), [[number(d) for d in row] for row in second]
        for a, b in zip(got, want, strict=True):
            assert a == pytest.approx(b, rel=1e-10, abs=1e-11)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("hypot", (1.5, -2.0)), ("fma", (1.5, -2.0, 0.25)), ("pow", (1.5, -2.0)), ("atan2", (1.5, -2.0)),
        ("fmin", (1.5, -2.0)), ("fmax", (1.5, -2.0)), ("min", (1.5, -2.0)), ("max", (1.5, -2.0)),
        ("copysign", (1.5, -2.0)),
        ("floor", (1.4,)), ("ceil", (1.4,)), ("round", (1.4,)), ("sign", (1.4,)), ("trunc", (1.4,)),
        ("fmod", (7.3, 2.0)), ("remainder", (7.3, 2.0)), ("where", (1.0, 2.0, 3.0)),
    ],
)  # fmt: skip
def test_derivatives_of_several_arguments_by_differences(name, args):
    """mpmath's numerical differentiation, of our own value at high accuracy, is the judge."""
    pool = ExprPool()
    symbols = pool.symbols("a b c")[: len(args)]
    expr = getattr(ak, name)(*symbols)
    f = compile_expr(expr, symbols)
    for k, s in enumerate(symbols):
        h = 1e-6
        up, down = list(args), list(args)
        up[k] += h
        down[k] -= h
        slope = (f(up) - f(down)) / (2 * h)
        assert compile_expr(diff(expr, s), symbols)(args) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    ("text", "at", "want"),
    [
        ("where(x > 0, sqrt(x), 0)", -1.0, 0.0),
        ("where(eq(x, 0), 1, sin(x)/x)", 0.0, 0.0),
        ("where(x > 0, x*log(x), 0)", 0.0, 0.0),
        ("sqrt(max(x, 0))", -1.0, 0.0),
        ("fmax(0, sqrt(x))", -1.0, 0.0),
        ("where(x > 0, where(x > 1, log(x - 1), x**2), 1/x)", 0.5, 1.0),
        ("where(x > 0, where(x > 1, log(x - 1), x**2), 1/x)", -2.0, -0.25),
        ("min(x, log(x))*max(1/x, 2)", 0.25, (1 / 0.25) * 4 - np.log(0.25) * 16),
    ],
)
def test_a_branch_that_is_not_taken_may_be_undefined(text, at, want):
    pool = ExprPool()
    functions = {n: getattr(ak, n) for n in ("where", "sqrt", "eq", "sin", "log", "max", "min", "fmax")}
    f = trace_fn(lambda x: eval(text, functions, {"x": x}), pool)  # reverse: one output
    assert grad(f)(at) == pytest.approx([want], rel=1e-14)
    wide = trace_fn(lambda x: [eval(text, functions, {"x": x}), x, 2 * x], pool)  # forward: one symbol
    assert ak.jacobian(wide)(at)[0] == pytest.approx([want], rel=1e-14)


leaf = st.sampled_from(["x", "y", "2", "3", "1/2"])


def grow(children):
    binary = st.tuples(children, st.sampled_from("+-*"), children).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    unary = st.tuples(st.sampled_from(["sin", "cos", "atan", "tanh"]), children).map(lambda t: f"{t[0]}({t[1]})")
    power = st.tuples(children, st.sampled_from(["2", "3"])).map(lambda t: f"({t[0]})^{t[1]}")
    return binary | unary | power


formulas = st.recursive(leaf, grow, max_leaves=12)


@given(formulas)
def test_random_formulas_parse_differentiate_and_fold_as_in_sympy(text):
    pool = ExprPool()
    x, y = pool.symbols("x y")
    expr = ak.parse(text, pool)
    truth = sympy.sympify(text)
    at = {x: 0.625, y: -1.25}
    where = {sympy.Symbol("x"): sympy.Rational(5, 8), sympy.Symbol("y"): sympy.Rational(-5, 4)}

    def agree(ours, theirs):
        value = ak.eval_expr(ours, at, allow_nonfinite=True)
        want = float(theirs.subs(where).evalf(30))
        scale = max(1.0, abs(want))
        assert abs(value - want) <= 1e-9 * scale or not np.isfinite(value)

    agree(expr, truth)
    agree(diff(expr, x), sympy.diff(truth, sympy.Symbol("x")))
    agree(ak.simplify(expr), truth)


def test_jit_agrees_with_sympy_over_arrays():
    pool = ExprPool()
    f = trace_fn(lambda x, y: ak.exp(-x * y) * ak.sin(x) + ak.log(1 + y * y), pool)
    sx, sy = sympy.symbols("x y")
    truth = sympy.lambdify((sx, sy), sympy.exp(-sx * sy) * sympy.sin(sx) + sympy.log(1 + sy * sy), "numpy")
    xs = np.linspace(-2, 2, 1001)
    np.testing.assert_allclose(jit(f)(xs, xs[::-1]), truth(xs, xs[::-1]), rtol=1e-13, atol=1e-14)
