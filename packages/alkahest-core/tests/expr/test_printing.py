"""Text of expressions: as people write, and back to the same node."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest
from alkahest import ExprPool, extend, parse
from alkahest.base import prim as registry
from alkahest.expr.printing import DEFAULT_MAX_CHARS

NAMES = ["x", "y1", "alpha", "pi", "E", "e", "t*", "sr-sl", "True", "not", "λ", "2x", "sin", "x²", "nan", "a.b"]


@st.composite
def written(draw, floats=False):
    """Any expression, with the names, numbers and signs that are hardest to keep apart."""
    pool = ExprPool()
    numbers = [st.integers(-3, 3), st.integers(), st.fractions()]
    numbers += [st.floats(allow_nan=False, allow_infinity=False)] if floats else []
    leaves = st.one_of(
        st.sampled_from(NAMES).map(pool.symbol),
        st.sampled_from(["pi", "e"]).map(pool.constant),
        st.one_of(*numbers).map(pool.number),
    )
    nodes = draw(st.lists(leaves, min_size=1, max_size=5))
    for op in draw(st.lists(st.sampled_from(extend.prim_names()), max_size=12)):
        args = [nodes[-draw(st.integers(1, len(nodes)))] for _ in range(registry.arity_of(op))]
        nodes.append(pool.apply(op, *args))
    return nodes[-1]


@given(written())
def test_parse_reads_back_the_same_node(e):
    assert parse(e.to_string(), e.pool) == e


@given(written(floats=True))
def test_floats_are_read_back_when_decimals_are_floats(e):
    assert parse(e.to_string(), e.pool, decimals="float") == e


ARITHMETIC = ["add", "sub", "mul", "div", "neg", "pow"]


@given(st.data())
def test_python_reads_the_text_as_we_do(data):
    """Python's own grammar, with ** for ^, is the oracle of precedence and brackets."""
    pool = ExprPool()
    symbols = {name: pool.symbol(name) for name in "xyz"}
    nodes = list(symbols.values())
    for op in data.draw(st.lists(st.sampled_from(ARITHMETIC), max_size=15)):
        args = [nodes[-data.draw(st.integers(1, len(nodes)))] for _ in range(registry.arity_of(op))]
        nodes.append(pool.apply(op, *args))
    assert eval(str(nodes[-1]).replace("^", "**"), symbols) == nodes[-1]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda x, y, z: x - (y - z), "x - (y - z)"),
        (lambda x, y, z: x - y - z, "x - y - z"),
        (lambda x, y, z: x + (y + z), "x + (y + z)"),
        (lambda x, y, z: x / (y * z), "x/(y*z)"),
        (lambda x, y, z: x / y * z, "x/y*z"),
        (lambda x, y, z: x * (y / z), "x*(y/z)"),
        (lambda x, y, z: -(x**2), "-x^2"),
        (lambda x, y, z: (-x) ** 2, "(-x)^2"),
        (lambda x, y, z: -(x + y), "-(x + y)"),
        (lambda x, y, z: -x * y, "-x*y"),
        (lambda x, y, z: -(x * y), "-(x*y)"),
        (lambda x, y, z: x + -y, "x + (-y)"),
        (lambda x, y, z: x + -y * z, "x + (-y*z)"),
        (lambda x, y, z: -x.__neg__(), "-(-x)"),
        (lambda x, y, z: 2 ** (3**x), "2^(3^x)"),
        (lambda x, y, z: (2**x) ** 3, "(2^x)^3"),
        (lambda x, y, z: x ** Fraction(1, 2), "x^(1/2)"),
        (lambda x, y, z: x ** (-1), "x^(-1)"),
        (lambda x, y, z: (2 * x) ** 3, "(2*x)^3"),
        (lambda x, y, z: x / 3, "x/3"),
        (lambda x, y, z: Fraction(1, 2) * x, "1/2*x"),
        (lambda x, y, z: x * Fraction(1, 2), "x*(1/2)"),
        (lambda x, y, z: x - Fraction(-1, 2), "x - (-1/2)"),
        (lambda x, y, z: x.pool.integer(1) / 2, "1/(2)"),
        (lambda x, y, z: -x.pool.integer(2), "-(2)"),
        (lambda x, y, z: x.pool.integer(-2) ** 2, "(-2)^2"),
        (lambda x, y, z: 0.5 * x + 1e-7, "0.5*x + 1e-07"),
        (lambda x, y, z: x**2 + alkahest.sin(y), "x^2 + sin(y)"),
        (lambda x, y, z: (x < y) & (y <= z), "(x < y) & (y <= z)"),
        (lambda x, y, z: (x < y) & (y > -1) | ~(x >= 0), "((x < y) & (y > -1)) | ~(x >= 0)"),
        (lambda x, y, z: alkahest.eq(x, y) & alkahest.ne(y, z), "Eq(x, y) & Ne(y, z)"),
        (alkahest.max, "max(x, y, z)"),
        (lambda x, y, z: alkahest.max(x, alkahest.max(y, z)), "max(x, max(y, z))"),
        (
            lambda x, y, z: alkahest.piecewise((-x, x < 0), (x, x < 1), default=1),
            "Piecewise((-x, x < 0), (x, x < 1), (1, True))",
        ),
        (
            lambda x, y, z: alkahest.ceil(x) + alkahest.round(y) + alkahest.trunc(z),
            "ceiling(x) + rint(y) + truncate(z)",
        ),
        (lambda x, y, z: abs(x) + x.pool.e**x + x.pool.pi, "abs(x) + E^x + pi"),
    ],
)
def test_people_write_it_so(build, text):
    assert str(build(*ExprPool().symbols("x y z"))) == text


def test_names_that_are_no_identifiers_stand_in_backquotes():
    pool = ExprPool()
    e = pool.symbol("t*") - pool.symbol("not")
    assert str(e) == "`t*` - `not`"
    assert parse(str(e), pool) == e


def test_the_constant_is_kept_apart_from_a_symbol_of_its_name():
    pool = ExprPool()
    assert str(pool.pi * 2) == "pi*2"
    e = pool.symbol("pi") + pool.pi
    assert str(e) == "pi + pi()"
    assert parse(str(e), pool) == e


def test_primitives_of_others_read_back_even_under_names_that_mean_something_else(monkeypatch):
    monkeypatch.setattr(registry, "_prims", dict(registry._prims))
    monkeypatch.setattr(registry, "_arity", dict(registry._arity))
    for name, arity in [("soft_plus", 1), ("ln", 1), ("sec", 1), ("Piecewise", 2), ("pi", 0), ("2-norm", 2)]:
        registry.register_prim(registry.Prim(name), arity)
        pool = ExprPool()
        e = pool.apply(name, *pool.symbols("x y")[:arity]) + 1
        assert parse(str(e), pool) == e
        assert ("`" in str(e)) == (name != "soft_plus")


def test_a_shared_graph_is_cut_promptly():
    e = ExprPool().symbol("x")
    for _ in range(5000):  # written out: 2^5000 leaves
        e = e * e + e
    assert len(str(e)) == DEFAULT_MAX_CHARS + 1
    assert str(e).endswith("…")


def test_text_of_exactly_the_size_allowed_is_whole():
    x, y = ExprPool().symbols("x y")
    assert (x + y).to_string(5) == "x + y"
    assert (x + y).to_string(4) == "x + …"


@pytest.mark.parametrize(
    "step",
    [
        lambda e, y: 1 / (e + 1),
        lambda e, y: -e,
        lambda e, y: alkahest.sin(e),
        lambda e, y: e**y,
        lambda e, y: y**e,
        alkahest.max,
        lambda e, y: alkahest.where(y, 1, e),
        lambda e, y: alkahest.where(e, 1, y),
    ],
)
def test_deep_chains_print_in_full(step):
    pool = ExprPool()
    e, y = pool.symbols("x y")
    for _ in range(50_000):
        e = step(e, y)
    assert parse(e.to_string(), pool) == e


def test_integers_of_any_size():
    pool = ExprPool()
    e = pool.integer(-(10**6000)) * pool.rational(10**5000 + 1, 7**6000)
    assert parse(e.to_string(), pool) == e
    assert e.to_string(10) == "-100000000…"


def test_minus_zero_is_a_number_of_its_own():
    pool = ExprPool()
    back = parse(str(pool.float(-0.0)), pool, decimals="float")
    assert math.copysign(1.0, back.value) == -1.0


@pytest.mark.parametrize("decimals", ["exact", "float"])
def test_the_sign_of_zero_is_read(decimals):
    pool = ExprPool()
    x = pool.symbol("x")
    for zero in (pool.float(-0.0), pool.float(0.0)):
        e = alkahest.copysign(x, zero)
        back = parse(str(e), pool, decimals=decimals)
        assert alkahest.eval_expr(back, {x: 2.0}) == alkahest.eval_expr(e, {x: 2.0})
    assert parse("-0", pool) == pool.integer(0)
    assert parse("1 - 0.0", pool) == pool.integer(1) - 0
    assert parse("1/-.0e5", pool) == 1 / pool.float(-0.0)


def test_conditions_and_numbers_in_each_others_places():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    less, where, ne = x < y, alkahest.where, alkahest.ne
    assert str(less * 2) == "Piecewise([1, x < y], [0, True])*2"
    assert str(where(less, 1, 0) * 2) == "Piecewise((1, x < y), (0, True))*2"
    assert str(where(x, y, 1)) == "Piecewise((y, Ne(x, -0)), (1, True))"
    assert str(where(ne(x, 0), y, 1)) == "Piecewise((y, Ne(x, 0)), (1, True))"
    assert str(x & ~(y | 1)) == "Ne(x, -0) & ~(Ne(y, -0) | Ne(1, -0))"
    for e in (-less, less + 1, less**2, alkahest.sin(less), less < (x & y), alkahest.max(less, x), where(x, less, ~y)):
        assert parse(str(e), pool) == e


def test_the_marks_of_conditions_are_safe_where_nothing_printed_them():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    assert parse("2*Ne(x, -0)", pool) == 2 * alkahest.ne(x, 0)
    assert parse("(Ne(x, -0)) < y < 1", pool) == (alkahest.ne(x, 0) < y) & (y < 1)
    assert parse("Piecewise([1, x], [0, True])", pool) == alkahest.where(x, 1, 0)
    assert parse("Piecewise([1, x < y], [2, True])", pool) == alkahest.where(x < y, 1, 2)
    assert parse("Piecewise([1, x < y], (0, True))", pool) == alkahest.where(x < y, 1, 0)
    assert parse("Ne(x, -1) & y < 1", pool) == alkahest.ne(x, -1) & (y < 1)
