"""LaTeX of expressions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest
from alkahest import ExprPool, parse
from alkahest.testing import strategies


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("b1*x^2/3", r"\frac{b_{1}\,x^{2}}{3}"),
        ("sqrt(alpha_1) + cbrt(x)", r"\sqrt{\alpha_{1}} + \sqrt[3]{x}"),
        ("sin(x)^2 + sin(x)^y", r"\sin^{2}\left(x\right) + \sin\left(x\right)^{y}"),
        ("(x/y)^2", r"\left(\frac{x}{y}\right)^{2}"),
        ("exp(x)^2", r"\left(\mathrm{e}^{x}\right)^{2}"),
        ("x - (y - 1)", r"x - \left(y - 1\right)"),
        ("x + -y*z", r"x + \left(-y\,z\right)"),
        ("2*3*x", r"2 \cdot 3\,x"),
        ("-(-x)", r"-\left(-x\right)"),
        ("-(-x*y)", r"-\left(-x\,y\right)"),
        ("-x*y", r"-x\,y"),
        ("-x/y", r"-\frac{x}{y}"),
        ("-(x/y)", r"-\frac{x}{y}"),
        ("-2/y", r"-\frac{2}{y}"),
        ("(-1/2)/y", r"-\frac{\frac{1}{2}}{y}"),
        ("-(-x/y)", r"-\left(-\frac{x}{y}\right)"),
        ("-(x + 1)/y", r"-\frac{x + 1}{y}"),
        ("z - (-x)/y", r"z - \left(-\frac{x}{y}\right)"),
        ("z*(-x/y)", r"z \cdot \left(-\frac{x}{y}\right)"),
        ("(-x/y)^2", r"\left(-\frac{x}{y}\right)^{2}"),
        ("x*(-1/2)", r"x \cdot \left(-\frac{1}{2}\right)"),
        ("2*(x/y)", r"2 \cdot \frac{x}{y}"),
        ("x_max + velocity + theta2", r"x_{\mathrm{max}} + \mathrm{velocity} + \theta_{2}"),
        ("`a%b` + under_score_name", r"\mathrm{a\%b} + \mathrm{under\_score\_name}"),
        (
            "asin(x) + asinh(x) + log10(x)",
            r"\arcsin\left(x\right) + \operatorname{arsinh}\left(x\right) + \log_{10}\left(x\right)",
        ),
        ("abs(x) + floor(x) + ceil(x)", r"\left|x\right| + \left\lfloor x \right\rfloor + \left\lceil x \right\rceil"),
        ("max(a, b, c)", r"\max\left(a, b, c\right)"),
        ("polygamma(1, x)", r"\psi^{\left(1\right)}\left(x\right)"),
        ("pi*E", r"\pi\,\mathrm{e}"),
        ("x <= y & Ne(x, 1)", r"x \leq y \wedge x \neq 1"),
        ("~(x < 0) | y > 1", r"\neg \left(x < 0\right) \vee y > 1"),
        (
            "Piecewise((-x, x < 0), (x, True))",
            r"\begin{cases} -x & \text{if } x < 0 \\ x & \text{otherwise} \end{cases}",
        ),
        ("round_away(x)", r"\operatorname{round\_away}\left(x\right)"),
    ],
)
def test_formulas(text, latex):
    assert parse(text, ExprPool()).latex() == latex


def test_floats_show_powers_of_ten():
    pool = ExprPool()
    x = pool.symbol("x")
    assert (1.5e-7 * x).latex() == r"1.5 \cdot 10^{-7}\,x"
    assert (x * -2.5).latex() == r"x \cdot \left(-2.5\right)"
    assert (1e-7 * x).latex() == r"10^{-7}\,x"
    assert (1e10 * x + -1e22).latex() == r"10^{10}\,x + \left(-10^{22}\right)"
    assert (pool.float(1e10) ** x).latex() == r"\left(10^{10}\right)^{x}"
    assert (x ** pool.float(-1.25e-9)).latex() == r"x^{-1.25 \cdot 10^{-9}}"
    assert (pool.float(-2.0) / x).latex() == r"-\frac{2.0}{x}"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_digits_of_a_float_are_its_own(value):
    text = ExprPool().float(value).latex()
    digits, exponent = re.fullmatch(r"(-?[\d.]*)(?: \\cdot )?(?:10\^\{(-?\d+)\})?", text).groups()
    number = digits if exponent is None else f"{digits + '1' if digits in ('', '-') else digits}e{exponent}"
    assert float(number) == value
    assert len(text) < 40


def test_notebooks_get_mathematics():
    x = ExprPool().symbol("x")
    assert (x**2)._repr_latex_() == r"$\displaystyle x^{2}$"


def is_balanced(latex):
    """Braces, \\left and \\right, \\begin and \\end: each closed in the right order."""
    waiting = []
    closes = {"}": "{", r"\right": r"\left", r"\end": r"\begin"}
    for token in re.findall(r"\\left(?![a-z])|\\right(?![a-z])|\\begin|\\end|\\[{}]|[{}]", latex):
        if token in closes:
            if not waiting or waiting.pop() != closes[token]:
                return False
        elif token in closes.values():
            waiting.append(token)
    return not waiting


@given(strategies.exprs(max_ops=15), st.integers(0, 120))
def test_what_is_cut_is_still_balanced(e, size):
    assert is_balanced(e.latex())
    cut = e.latex(max_chars=size)
    assert is_balanced(cut)
    assert cut == e.latex() or r"\cdots" in cut


@pytest.mark.parametrize("step", [lambda e: 1 / (e + 1), lambda e: e * e + e, alkahest.sin, lambda e: e**e])
def test_large_expressions_are_cut(step):
    e = ExprPool().symbol("x")
    for _ in range(20_000):
        e = step(e)
    assert is_balanced(e._repr_latex_())
    assert len(e._repr_latex_()) < 10_000


def test_deep_expressions_are_written_in_full_when_asked():
    e = ExprPool().symbol("x")
    for _ in range(50_000):
        e = 1 / (e + 1)
    assert e.latex().count(r"\frac{1}") == 50_000
