"""Formulas as text: what they mean, and what is said of those that mean nothing."""

import re
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest
from alkahest import ExprPool, eval_expr, parse
from alkahest.errors import (
    AlkahestError,
    ArityError,
    NotASymbolError,
    OperandError,
    ParseError,
    PoolMismatchError,
    UnknownFunctionError,
    UnknownSymbolError,
)


@pytest.fixture
def pool():
    return ExprPool()


# -- meaning


def formulas(operand):
    pair = st.tuples(operand, st.sampled_from(["+", "-", "*", "/", "**"]), operand)
    return st.one_of(
        pair.map(" ".join),
        pair.map("".join),
        st.tuples(st.sampled_from("-+"), operand).map("".join),
        operand.map("({})".format),
    )


@given(st.recursive(st.sampled_from("xyz"), formulas, max_leaves=20))
def test_precedence_is_pythons(text):
    pool = ExprPool()
    symbols = {name: pool.symbol(name) for name in "xyz"}
    assert parse(text, pool) == eval(text, symbols)
    assert parse(text.replace("**", "^").replace("(", "[").replace(")", "]"), pool) == eval(text, symbols)


@given(st.from_regex(r"(?:[0-9]{1,25}(?:\.[0-9]{0,25})?|\.[0-9]{1,25})(?:[eE][+-]?[0-9]{1,3})?", fullmatch=True))
def test_numbers_are_exact_or_floats_as_asked(text):
    assert parse(text, ExprPool()).value == Fraction(text.rstrip("."))
    as_float = float(text)
    if text.isdigit() or as_float != float("inf"):
        expected = int(text) if text.isdigit() else as_float
        found = parse(text, ExprPool(), decimals="float").value
        assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("-2", lambda p: p.integer(-2)),
        ("-2^2", lambda p: -(p.integer(2) ** 2)),
        ("(-2)^2", lambda p: p.integer(-2) ** 2),
        ("2^-1", lambda p: p.integer(2) ** -1),
        ("1/2", lambda p: p.rational(1, 2)),
        ("-3/6", lambda p: p.rational(-1, 2)),
        ("4/2", lambda p: p.integer(2)),
        ("1/(2)", lambda p: p.integer(1) / 2),
        ("1/0", lambda p: p.integer(1) / 0),
        ("1/2/3", lambda p: p.rational(1, 2) / 3),
        ("2^1/2", lambda p: p.integer(2) ** 1 / 2),
        ("1.5/2", lambda p: p.rational(3, 2) / 2),
        ("x*1/2", lambda p: p.symbol("x") * 1 / 2),
        ("pi + E", lambda p: p.pi + p.e),
        ("pi() + E()", lambda p: p.pi + p.e),
        ("True + False", lambda p: p.integer(1) + 0),
    ],
)
def test_literals(pool, text, same):
    assert parse(text, pool) == same(pool)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x < y", lambda x, y: x < y),
        ("x == y", alkahest.eq),
        ("x != y", alkahest.ne),
        ("Eq(x, y)", alkahest.eq),
        ("Ge(x, y)", lambda x, y: x >= y),
        ("0 < x <= y", lambda x, y: alkahest.lt(0, x) & (x <= y)),
        ("(x < y) < 1", lambda x, y: (x < y) < 1),
        ("x < y and y < 1 or x > 2", lambda x, y: (x < y) & (y < 1) | (x > 2)),
        ("x < y & y < 1 | x > 2", lambda x, y: (x < y) & (y < 1) | (x > 2)),
        ("not x < y", lambda x, y: ~(x < y)),
        ("~(x < y) & not not y", lambda x, y: ~(x < y) & ~~y),
        ("And(x, y, x)", lambda x, y: x & y & x),
        ("Not(Or(x, y))", lambda x, y: ~(x | y)),
        ("where(x < 0, -x, x)", lambda x, y: alkahest.where(x < 0, -x, x)),
        ("Piecewise((-x, x < 0), (x, True))", lambda x, y: alkahest.where(x < 0, -x, x)),
        ("Piecewise((x, True))", lambda x, y: x),
        ("Max(x, y, 1)", lambda x, y: alkahest.max(x, y, 1)),
        ("min[x, y]", alkahest.min),
        ("arctan2(x, y)", alkahest.atan2),
        ("ln(x) + Abs(y)", lambda x, y: alkahest.log(x) + abs(y)),
        ("log(x, 2)", lambda x, y: alkahest.log(x) / alkahest.log(x.pool.integer(2))),
        ("ceiling(x) + ceil(y)", lambda x, y: alkahest.ceil(x) + alkahest.ceil(y)),
        ("rint(x) + round(y)", lambda x, y: alkahest.round(x) + alkahest.round(y)),
        ("tgamma(x)*loggamma(y)", lambda x, y: alkahest.gamma(x) * alkahest.lgamma(y)),
        ("pow(x, y)", lambda x, y: x**y),
        ("exp[-x*y]", lambda x, y: alkahest.exp(-x * y)),
        ("+x", lambda x, y: x),
        ("`x` + y", lambda x, y: x + y),
    ],
)
def test_other_names_and_conditions(pool, text, same):
    x, y = pool.symbols("x y")
    assert parse(text, pool) == same(x, y)


@pytest.mark.parametrize(
    ("text", "oracle"),
    [
        ("sec(x)", mpmath.sec),
        ("csc(x)", mpmath.csc),
        ("cot(x)", mpmath.cot),
        ("sech(x)", mpmath.sech),
        ("csch(x)", mpmath.csch),
        ("coth(x)", mpmath.coth),
        ("asec(1/x)", lambda x: mpmath.asec(1 / x)),
        ("acsc(1/x)", lambda x: mpmath.acsc(1 / x)),
        ("acot(x)", mpmath.acot),
        ("asech(x)", mpmath.asech),
        ("acsch(x)", mpmath.acsch),
        ("acoth(1/x)", lambda x: mpmath.acoth(1 / x)),
        ("exp2(x)", lambda x: mpmath.power(2, x)),
        ("factorial(x)", mpmath.factorial),
        ("trigamma(x)", lambda x: mpmath.psi(1, x)),
        ("frac(x - 5)", lambda x: mpmath.frac(x - 5)),
        ("Mod(x - 1, 2)", lambda x: mpmath.fmod(x - 1, 2)),
        ("log(x, 2)", lambda x: mpmath.log(x, 2)),
    ],
)
def test_functions_that_are_put_together(pool, text, oracle):
    at = 0.7
    assert eval_expr(parse(text, pool), {pool.symbol("x"): at}) == pytest.approx(float(oracle(at)), rel=1e-13)


# -- names


def test_symbols_of_the_pool_are_found_with_their_domain(pool):
    r = pool.symbol("r", domain="positive")
    assert parse("2*r", pool) == 2 * r


def test_a_symbol_takes_the_name_from_a_constant(pool):
    e = pool.symbol("E")
    assert parse("E + pi", pool) == e + pool.pi
    assert parse("pi/x", pool, symbols={"pi": pool.rational(22, 7), "x": e}) == pool.rational(22, 7) / e


def test_given_symbols_are_all_there_are(pool):
    x, _ = pool.symbols("x y")
    assert parse("x*pi", pool, symbols=[x]) == x * pool.pi
    with pytest.raises(UnknownSymbolError) as caught:
        parse("x + y", pool, symbols=[x])
    assert caught.value.position == 4
    assert "y" in str(caught.value)


def test_given_symbols_are_checked(pool):
    with pytest.raises(NotASymbolError):
        parse("x", pool, symbols=[pool.symbol("x") + 1])
    with pytest.raises(PoolMismatchError):
        parse("x", pool, symbols=[ExprPool().symbol("x")])


def test_a_name_of_two_symbols_needs_a_choice(pool):
    x, positive = pool.symbol("x"), pool.symbol("x", domain="positive")
    with pytest.raises(UnknownSymbolError, match="several symbols") as caught:
        parse("1 + x", pool)
    assert caught.value.position == 4
    assert parse("1 + x", pool, symbols=[positive]) == 1 + positive
    assert positive != x


def test_plugins_are_asked_before_a_function_is_unknown(pool, monkeypatch):
    from alkahest.base import prim as registry
    from alkahest.plugins import manager

    class Late:
        def load_primitives(self):
            registry.register_prim(registry.Prim("late_arrival"), 2)

    monkeypatch.setattr(manager, "plugins", Late)
    monkeypatch.setattr(registry, "_prims", dict(registry._prims))
    monkeypatch.setattr(registry, "_arity", dict(registry._arity))
    assert parse("late_arrival(x, 1)", pool).op == "late_arrival"


def test_the_active_builder_is_used(pool):
    with alkahest.context(pool=pool, simplify=True):
        assert parse("x + 0*x", pool) == pool.symbol("x")


# -- what is refused


@pytest.mark.parametrize(
    ("text", "error", "position", "hint"),
    [
        ("", ParseError, 0, "empty"),
        ("  ", ParseError, 2, "empty"),
        ("x +", ParseError, 3, "ends"),
        ("x + * y", ParseError, 4, "'*' stands"),
        ("(x", ParseError, 0, "never closed"),
        ("x)", ParseError, 1, "never opened"),
        ("(x]", ParseError, 2, "closed by"),
        ("()", ParseError, 1, "expected"),
        ("2x", ParseError, 1, "implicit multiplication"),
        ("x y", ParseError, 2, "implicit multiplication"),
        ("2(x)", ParseError, 1, "implicit multiplication"),
        ("(x)(y)", ParseError, 3, "implicit multiplication"),
        ("x(y)", ParseError, 0, "implicit multiplication"),
        ("pi(y)", ParseError, 0, "implicit multiplication"),
        ("x = y", ParseError, 2, "Eq(a, b)"),
        ("n!", ParseError, 1, "gamma"),
        ("7 % 2", ParseError, 2, "Mod"),
        ("x²", ParseError, 1, "'²'"),
        ("x, y", ParseError, 1, "comma"),
        ("(x, y)", ParseError, 0, "Piecewise"),
        ("1 + (x, y)", ParseError, 4, "Piecewise"),
        ("sin((x, y))", ParseError, 4, "Piecewise"),
        ("sin(x,)", ParseError, 6, "expected"),
        ("1 + nan", ParseError, 4, "finite"),
        ("oo", ParseError, 0, "finite"),
        ("1e999999999", ParseError, 0, "out of range"),
        ("x + not y", ParseError, 4, "not"),
        ("x not y", ParseError, 2, "'and'"),
        ("and x", ParseError, 0, "expected"),
        ("Piecewise((x, x < 1))", ParseError, 0, "True"),
        ("Piecewise(x)", ParseError, 0, "True"),
        ("Piecewise()", ParseError, 0, "True"),
        ("1 + sinn(x)", UnknownFunctionError, 4, "Did you mean sin"),
        ("zqxv(x)", UnknownFunctionError, 0, "plugin"),
        ("sin(x, y)", ArityError, 0, "takes 1 argument(s) and is given 2"),
        ("sin()", ArityError, 0, "takes 1"),
        ("log(x, y, z)", ArityError, 0, "takes 1 or 2"),
        ("max(x)", ArityError, 0, "2 or more"),
        ("sec(x, y)", ArityError, 0, "takes 1"),
        ("where(x, y)", ArityError, 0, "takes 3"),
        ("__import__('os')", ParseError, 11, '"\'"'),
        ("x.__class__", ParseError, 1, "'.'"),
        ("lambda: 0", ParseError, 6, "':'"),
    ],
)
def test_faults_name_the_place(text, error, position, hint):
    pool = ExprPool()
    pool.symbols("x y")
    with pytest.raises(error) as caught:
        parse(text, pool)
    assert caught.value.position == position
    assert hint in str(caught.value)
    assert caught.value.code in str(caught.value)


def test_the_message_shows_the_line_and_a_caret(pool):
    with pytest.raises(UnknownFunctionError) as caught:
        parse("x +\n  y*foo(2)\n", pool)
    lines = str(caught.value).splitlines()
    assert "line 2, column 5" in lines[0]
    assert lines[1] == "      y*foo(2)"
    assert lines[2][: lines[1].index("foo") + 3].strip() == "^^^"
    assert caught.value.line == 2


def test_long_lines_are_shown_in_part(pool):
    with pytest.raises(ParseError) as caught:
        parse("+".join(["x"] * 500) + "+*" + "+x" * 500, pool)
    shown = str(caught.value).splitlines()[1]
    assert len(shown) < 100
    assert str(caught.value).splitlines()[2].index("^") == shown.index("+*") + 1


def test_other_types_and_settings_are_refused(pool):
    with pytest.raises(OperandError):
        parse(5, pool)
    with pytest.raises(OperandError):
        parse("x", pool, decimals="double")
    with pytest.raises(ParseError, match="out of range"):
        parse("1e999", pool, decimals="float")


@given(st.text(alphabet="xy01.e+-*/^()[],<>=&|~ \n`notad", max_size=40))
def test_any_text_is_read_or_refused_with_its_place(text):
    pool = ExprPool()
    try:
        e = parse(text, pool)
    except AlkahestError as error:
        place = error.position
    else:
        place = None
        assert parse(e.to_string(), pool) == e
    assert place is None or 0 <= place <= len(text)


# -- size


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000 + "x" + ")" * 100_000,
        "-" * 100_000 + "x",
        "x^" * 100_000 + "x",
        "x+" * 100_000 + "x",
        "sin(" * 100_000 + "x" + ")" * 100_000,
        "not " * 100_000 + "x",
        "x" + "<x" * 100_000,
        "max(" + "x," * 100_000 + "x)",
        "Piecewise(" + "(x, x < 1), " * 100_000 + "(x, True))",
        "9" * 100_000,
    ],
    ids=lambda text: re.sub(r"(.{12}).*", r"\1", text),
)
def test_no_depth_is_too_deep(pool, text):
    assert parse(text, pool).pool is pool


def test_what_is_never_closed_in_the_deep_is_an_error_too(pool):
    with pytest.raises(ParseError):
        parse("(" * 100_000, pool)
