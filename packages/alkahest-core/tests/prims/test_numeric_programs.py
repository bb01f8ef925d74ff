"""Scalar primitives in programs: types, Python's integers, IEEE 754, derivatives against mpmath, batches."""

import asyncio
import math
import operator
import zlib
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest import ExprPool, compile_expr, diff
from alkahest.base.avals import BOOL, FLOAT, INT, STR, AVal, BoolAVal, register_trace_type
from alkahest.base.prim import prim_by_name, prim_names
from alkahest.base.rules import (
    abstract_rules,
    batch_rules,
    impl_rules,
    pull_bwd_rules,
    pull_fwd_rules,
    push_rules,
)
from alkahest.base.zero import Zero
from alkahest.errors import ArityError, ArrayError, DifferentiationError, OperandTypeError
from alkahest.ir.boxes import register_eq
from alkahest.ir.bridge import ir_from_exprs
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims.operators import register_arithmetic
from alkahest.prims.scalar import apply, declarations, scalar_p

MP = mpmath.mp
CONDITIONS = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")
STEPS = ("sign", "floor", "ceil", "trunc", "round", "round_away")
REFERENCE = {
    "asin": MP.asin, "acos": MP.acos, "atan": MP.atan, "atan2": MP.atan2, "cbrt": MP.cbrt,
    "log2": lambda x: MP.log(x, 2), "log10": MP.log10, "log1p": MP.log1p, "hypot": MP.hypot,
    "lgamma": lambda x: MP.loggamma(x).real, "pow": MP.power, "abs": MP.fabs, "fma": lambda a, b, c: a * b + c,
    "min": min, "max": max, "fmin": min, "fmax": max,
    "copysign": lambda a, b: MP.fabs(a) * MP.sign(b), "fmod": lambda a, b: a - b * int(a / b),
    "remainder": lambda a, b: a - b * MP.nint(a / b), "neg": lambda a: -a, "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "where": lambda c, a, b: a if c else b,
    "trunc": lambda x: MP.floor(x) if x > 0 else MP.ceil(x),
    "round": MP.nint, "round_away": lambda x: MP.floor(abs(x) + 0.5) * MP.sign(x),
}  # fmt: skip
SMOOTH = [
    n
    for n in prim_names()
    if n not in (*CONDITIONS, "polygamma") and not n.startswith(("doc_", "test_", "rpn", "example"))
]
INTS = st.integers(-(10**30), 10**30)


def reference(name):
    return REFERENCE.get(name) or getattr(MP, name)


def derivative(name, point, orders):
    """Return a derivative by mpmath: 60 digits less what the differences lose."""
    with mpmath.workdps(60):
        return float(MP.diff(reference(name), tuple([MP.mpf(v) for v in point]), orders))


def points(name, count):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [[float(rng.uniform(lo, hi)) for lo, hi in declarations[name].domain] for _ in range(count)]


def one(f, *args):
    """Return the program of `f` and what it gives, for the same arguments."""
    ir = trace(f)(*args)
    return ir, ir.call(*args)


def out_aval(f, *args):
    return trace(f)(*args).out_ir_tree.aval


def same(a, b):
    return type(a) is type(b) and (a == b or (a != a and b != b)) and math.copysign(1, a) == math.copysign(1, b)


# ------------------------------------------------------------------------------------------- types and integers


@given(INTS, INTS)
def test_integers_are_those_of_python(a, b):
    for f, want in [
        (lambda x, y: x + y, a + b),
        (lambda x, y: x - y, a - b),
        (lambda x, y: x * y, a * b),
        (lambda x, y: -x, -a),
        (lambda x, y: abs(x), abs(a)),
        (af.min, min(a, b)),
        (af.max, max(a, b)),
        (lambda x, y: x**3, a**3),
        (lambda x, y: af.floor(x), a),
        (lambda x, y: af.round(x), round(a)),
        (lambda x, y: 2 * x - 1, 2 * a - 1),
    ]:
        ir, got = one(f, a, b)
        assert ir.out_ir_tree.aval == INT
        assert type(got) is int
        assert got == want


@given(INTS, INTS)
def test_comparisons_of_integers_are_exact_truth_values(a, b):
    for compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        ir, got = one(compare, a, b)
        assert ir.out_ir_tree.aval == BOOL
        assert got is compare(a, b)
    assert trace(lambda x, y: x < y)(1.0, 1).call(2.0**53, 2**53 + 1) is True


@given(INTS, INTS.filter(bool))
def test_quotients_of_integers_round_once(a, b):
    ir, got = one(lambda x, y: x / y, a, b)
    assert ir.out_ir_tree.aval == FLOAT
    assert same(got, a / b)


@given(st.integers(-5, 5), st.integers(0, 5))
def test_powers_of_integers(a, b):
    assert trace(lambda x: x**b)(a).call(a) == a**b
    ir = trace(lambda x, y: x**y)(a, b)
    assert ir.out_ir_tree.aval == FLOAT
    assert same(ir.call(a, b), float(a**b))
    if a:
        assert ir.call(a, -b) == float(a) ** -b
    assert out_aval(lambda x: x**-1, 2) == FLOAT


def test_types_of_mixed_numbers():
    assert out_aval(lambda x, y: x + y, 1, 2.0) == FLOAT
    assert out_aval(lambda x: x + 1.0, 1) == FLOAT
    assert out_aval(lambda x: x + True, 1) == INT
    assert out_aval(lambda x, y: x + y, True, True) == INT
    assert out_aval(lambda x: -x, True) == INT
    assert out_aval(af.sign, -3) == INT
    assert out_aval(af.floor, 1.5) == FLOAT
    assert out_aval(af.exp, 1) == FLOAT
    assert out_aval(lambda x, y: af.and_(x > 0, y), 1.0, True) == BOOL
    assert out_aval(lambda x: x * Fraction(1, 4), 1) == FLOAT
    assert out_aval(lambda x: x * np.float64(0.5), 1.0) == FLOAT
    assert out_aval(lambda x: np.int64(3) + x, 1) == INT
    assert one(lambda x: x + np.float32(0.5), 1)[1] == 1.5
    assert type(one(lambda x, y: x + y, True, True)[1]) is int
    assert type(one(af.sign, -3)[1]) is int
    assert same(one(lambda x, y: x + y, 1, 2.0)[1], 3.0)


def test_a_condition_in_a_trace():
    ir, got = one(lambda n: n + 1 < 5, 3)
    assert got is True
    assert ir.call(4) is False
    assert [eqn.prim.name for eqn in ir.ir_eqns] == ["add", "lt"]
    assert one(lambda n: 2.0 >= n + 1, 3)[1] is False  # noqa: SIM300 - Python asks the traced side


def test_logic():
    for a in (True, False):
        for b in (True, False):
            assert one(lambda x, y: x & y, a, b)[1] is (a and b)
            assert one(lambda x, y: x | y, a, b)[1] is (a or b)
            assert one(lambda x, y: x == y, a, b)[1] is (a == b)
            assert one(lambda x, y: x != y, a, b)[1] is (a != b)
            assert one(lambda x, y: ~x, a, b)[1] is (not a)
            assert one(lambda x, y: True & x, a, b)[1] is a
    with pytest.raises(OperandTypeError, match="and_"):
        trace(lambda x, n: x & n)(True, 3)
    with pytest.raises(OperandTypeError):
        trace(lambda n: n & 1)(3)
    assert trace(lambda a, b: a != b)("x", "y").call("x", "x") is False
    assert trace(lambda a, b: b != a)("x", "y").call("y", "x") is True


def test_what_python_raises_follows_ieee_754():
    x, y = 1.0, 2.0
    assert trace(lambda a, b: a / b)(x, y).call(1.0, 0.0) == math.inf
    assert trace(lambda a, b: a / b)(x, y).call(-1.0, 0.0) == -math.inf
    assert trace(lambda a, b: a / b)(1, 2).call(-1, 0) == -math.inf
    assert math.isnan(trace(lambda a, b: a / b)(1, 2).call(0, 0))
    assert trace(lambda a, b: a / b)(1, 2).call(-(10**400), 1) == -math.inf
    assert trace(lambda a, b: a / b)(1, 2).call(10**400, 10**399) == 10.0
    assert math.isnan(trace(af.log)(x).call(-1.0))
    assert trace(af.exp)(x).call(1000.0) == math.inf
    assert trace(af.exp)(1).call(10**400) == math.inf
    assert trace(lambda a: a**-1)(1).call(0) == math.inf
    assert trace(lambda a: a + 0.5)(1).call(-(10**400)) == -math.inf
    assert trace(lambda a, b: a < b)(1.0, 1.0).call(math.nan, 1.0) is False


def test_values_outside_programs_are_as_before():
    assert same(af.lt(1.0, 2.0), 1.0)
    assert same(af.abs(-2), 2.0)
    assert af.where(True, "a", "b") == "a"
    with pytest.raises(ArrayError):
        af.sin("x")


def test_literals_are_computed_at_once():
    ir, got = one(lambda x: x + af.exp(0.0) * 2.0, 1.0)
    assert len(ir.ir_eqns) == 1
    assert got == 3.0


# ------------------------------------------------------------------------------------------------------ choices


def test_where_chooses_values_of_any_type():
    text = trace(lambda a: af.where(a == "x", "yes", a))("x")
    assert text.out_ir_tree.aval == STR
    assert (text.call("x"), text.call("q")) == ("yes", "q")
    assert out_aval(lambda c: af.where(c, 1, 2), True) == INT
    assert out_aval(lambda c: af.where(c, 1, 2.0), True) == FLOAT
    assert out_aval(lambda c: af.where(c, True, False), True) == BOOL
    mixed = trace(af.where)(True, 1, 2.0)
    assert same(mixed.call(True, 1, 2.0), 1.0)
    assert same(mixed.call(False, 1, 2.0), 2.0)
    assert trace(lambda c, n: af.where(c, n, True))(True, 1).call(False, 7) == 1
    assert trace(lambda c: af.where(c, 1.0, 2.0))(1.0).call(math.nan) == 1.0


@pytest.mark.parametrize("other", [1, 2.0, True])
def test_where_of_a_text_and_a_number(other):
    with pytest.raises(OperandTypeError, match="where would give"):
        trace(lambda c, a: af.where(c, a, other))(True, "x")
    with pytest.raises(OperandTypeError):
        trace(lambda t: af.where(t, other, other))("x")


# ------------------------------------------------------------------------------------------------------- errors


def test_texts_are_no_operands():
    for f in (lambda x, t: x + t, lambda x, t: x < t, lambda x, t: x == t, af.atan2):
        with pytest.raises(OperandTypeError, match="text"):
            trace(f)(1.0, "a")
    with pytest.raises(OperandTypeError, match="list"):
        trace(lambda x: af.atan2(x, [1.0]))(1.0)
    with pytest.raises(OperandTypeError, match="text"):
        prim_by_name("sin").bind(("a",))
    with pytest.raises(ArityError):
        trace(lambda x: prim_by_name("sin").bind((x, x)))(1.0)


def test_an_expression_beside_a_traced_value():
    e = ExprPool().symbol("x")
    for f in (lambda x: af.atan2(x, e), lambda x: af.atan2(e, x), lambda x: x * e):
        with pytest.raises(OperandTypeError, match="expression beside a traced value"):
            trace(f)(1.0)


# ---------------------------------------------------------------------------------------------- types of others


@dataclass(frozen=True)
class ArrayAVal(AVal):
    shape: tuple[int, ...]
    dtype: str


class Celsius:
    pass


class CelsiusAVal(AVal):
    def __eq__(self, other):
        return isinstance(other, CelsiusAVal)

    def __hash__(self):
        return 7


@pytest.fixture(autouse=True, scope="module")
def arrays_are_traced_as_arrays():
    """Register them when this module's tests begin: other modules register them otherwise."""
    register_trace_type(np.ndarray, lambda a: ArrayAVal(a.shape, a.dtype.str))


register_arithmetic(ArrayAVal)
register_trace_type(Celsius, lambda _: CelsiusAVal())


def test_arrays_of_a_third_party():
    x = np.array([1.0, 2.0])
    ir = trace(lambda a, b: af.where(a < b, af.sin(a) * 2 + b, b / 0.0))(x, x)
    assert ir.out_ir_tree.aval == ArrayAVal((2,), "<f8")
    a, b = np.array([0.5, 3.0]), np.array([1.0, 2.0])
    np.testing.assert_array_equal(ir.call(a, b), [np.sin(0.5) * 2 + 1.0, np.inf])
    with pytest.raises(OperandTypeError, match="abstract rule"):
        trace(lambda a, b: a + b)(x, np.ones(3))


def test_derivatives_over_arrays_of_a_third_party():
    x = np.array([0.5, -1.5])
    sin = prim_by_name("sin")
    backward = trace(lambda a, c: pull_bwd_rules.get(sin)((pull_fwd_rules.get(sin)((a,))[1], c)))(x, x)
    np.testing.assert_allclose(backward.call(x, np.ones(2))[0], np.cos(x), rtol=1e-15)
    mul = prim_by_name("mul")
    with pytest.raises(OperandTypeError, match="rules of your own"):
        trace(lambda a, s, c: pull_bwd_rules.get(mul)((pull_fwd_rules.get(mul)((a, s))[1], c)))(x, 2.0, x)


def test_choices_between_arrays_send_cotangents_one_way():
    from alkahest.transforms.reverse import pullback

    x = np.array([4.0, 1.0])
    ir = trace(lambda a: af.where(a > 2.0, a * 3.0, -a))(x)
    np.testing.assert_array_equal(pullback(ir).call((x,), np.ones(2))[1][0], [3.0, -1.0])


def test_operators_of_a_type_that_nobody_registered():
    with pytest.raises(OperandTypeError, match="no '\\+'"):
        trace(lambda t: t + t)(Celsius())
    register_eq(CelsiusAVal, lambda a, b: True)
    assert trace(lambda t: t == t)(Celsius()).call(Celsius()) is True


def test_a_primitive_of_a_third_party_has_all_rules():
    square_p = scalar_p("test_square_np", impl=lambda x: x * x, partials=lambda x: (2 * x,))
    for table in (impl_rules, abstract_rules, push_rules, pull_fwd_rules, pull_bwd_rules, batch_rules):
        assert table.get(square_p)
        assert table is abstract_rules or table.aget(square_p)
    ir = trace(lambda x: apply(square_p, x) + 1)(2.0)
    assert ir.call(3.0) == 10.0
    assert asyncio.run(ir.acall(3.0)) == 10.0
    assert pulled("test_square_np", [3.0]) == [6.0]


# -------------------------------------------------------------------------------------------------- derivatives


def pushed(name, point, tangents):
    prim = prim_by_name(name)
    ir = trace(lambda *xs: push_rules.get(prim)((xs[: len(point)], xs[len(point) :])))(*point, *tangents)
    return ir.call(*point, *tangents)


def pulled(name, point, cotangent=1.0):
    prim = prim_by_name(name)

    def backward(c, *xs):
        _, residuals = pull_fwd_rules.get(prim)(xs)
        return pull_bwd_rules.get(prim)((residuals, c))

    return list(trace(backward)(cotangent, *point).call(cotangent, *point))


def number(value):
    return 0.0 if value.__class__ is Zero else value


@pytest.mark.parametrize("name", SMOOTH)
def test_first_derivatives_agree_with_mpmath(name):
    for point in points(name, 4):
        n = len(point)
        want = [derivative(name, point, tuple([int(j == k) for j in range(n)])) for k in range(n)]
        assert [number(v) for v in pulled(name, point)] == pytest.approx(want, rel=1e-12, abs=1e-13)
        for k in range(n):
            out, tangent = pushed(name, point, [float(j == k) for j in range(n)])
            assert out == impl_rules.by_name(name).number(*point)
            assert number(tangent) == pytest.approx(want[k], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("name", SMOOTH)
def test_rules_on_values_agree_with_rules_on_traced_ones(name):
    prim = prim_by_name(name)
    (point,) = points(name, 1)
    tangents = tuple([0.5 + k for k in range(len(point))])
    assert push_rules.get(prim)((tuple(point), tangents)) == pushed(name, point, tangents)
    _, residuals = pull_fwd_rules.get(prim)(tuple(point))
    found = pull_bwd_rules.get(prim)((residuals, 2.5))
    assert [number(v) for v in found] == [number(v) for v in pulled(name, point, 2.5)]


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_have_no_derivative(name):
    (point,) = points(name, 1)
    assert all(v.__class__ is Zero for v in pulled(name, point))
    assert pushed(name, point, [1.0] * len(point))[1] == Zero(BOOL)


def test_orders_are_no_variables():
    assert pulled("polygamma", [1, 2.5])[0] == Zero(INT)
    assert pulled("polygamma", [1, 2.5])[1] == pytest.approx(float(mpmath.psi(2, 2.5)), rel=1e-12)
    with pytest.raises(DifferentiationError, match="polygamma"):
        pulled("polygamma", [1.0, 2.5])
    bare_p = scalar_p("test_bare_np", impl=lambda x: x, arity=1)
    with pytest.raises(DifferentiationError, match="test_bare_np"):
        pulled(bare_p.name, [1.0])
    prim = prim_by_name("polygamma")
    ir = trace(lambda x: push_rules.get(prim)(((x, 2.5), (Zero(FLOAT), 1.0))))(1.0)
    assert ir.call(1.0)[1] == pytest.approx(float(mpmath.psi(2, 2.5)), rel=1e-12)


def test_integers_take_part_and_truth_values_do_not():
    assert pulled("mul", [3, 4]) == [4.0, 3.0]
    assert pulled("pow", [3, 2])[0] == 6.0
    assert pulled("where", [True, 2, 3.0]) == [Zero(BoolAVal()), 1.0, Zero(FLOAT)]
    assert pulled("mul", [True, 4.0]) == [Zero(BOOL), 1.0]
    assert pushed("mul", [3, 4], [0.5, 2.0]) == (12, 8.0)
    ir = trace(lambda x: x**2)(3.0)
    assert [eqn.prim.name for eqn in ir.ir_eqns] == ["pow"]


def test_literals_in_a_program_have_no_cotangent():
    prim = prim_by_name("div")
    ir = trace(lambda x, c: pull_bwd_rules.get(prim)((pull_fwd_rules.get(prim)((x, 0.0))[1], c)))(1.0, 1.0)
    assert ir.call(1.0, 1.0) == (math.inf, Zero(FLOAT))
    power = prim_by_name("pow")
    ir = trace(lambda x, c: pull_bwd_rules.get(power)((pull_fwd_rules.get(power)((x, 1))[1], c)))(1.0, 1.0)
    assert [eqn.prim.name for eqn in ir.ir_eqns] == ["pow"]  # nothing but the cotangent itself
    assert ir.call(5.0, 2.0) == (2.0, Zero(INT))


def test_nothing_flows_from_zeros_and_texts():
    for name in ("mul", "sin", "where", "min"):
        prim = prim_by_name(name)
        (point,) = points(name, 1)
        xs = tuple(point)
        nothing = tuple([Zero(FLOAT) for _ in xs])
        assert pull_bwd_rules.get(prim)(((xs, 1.0), Zero(FLOAT))) == nothing
        assert pull_bwd_rules.get(prim)(((xs, 1.0), "too small")) == nothing
        assert push_rules.get(prim)((xs, nothing))[1] == Zero(FLOAT)
        traced = trace(lambda c, *xs, prim=prim: pull_bwd_rules.get(prim)(((xs, xs[0]), c)))("feedback", *xs)
        assert traced.call("feedback", *xs) == nothing
        assert traced.ir_eqns == ()


def test_feedback_goes_to_the_text_that_was_chosen():
    prim = prim_by_name("where")
    backward = trace(lambda c, k, a, b: pull_bwd_rules.get(prim)((((k, a, b), a), c)))("f", True, "a", "b")
    assert backward.call("shorter", True, "a", "b")[1:] == ("shorter", Zero(STR))
    assert backward.call("shorter", False, "a", "b")[1:] == (Zero(STR), "shorter")


@pytest.mark.parametrize("name", ["mul", "add", "sub", "neg", "where", "sin", "div"])
def test_zeros_that_show_up_at_run_time(name):
    prim = prim_by_name(name)
    n = declarations[name].arity
    ir = trace(lambda *xs: apply(prim, *xs))(*[1.0] * n)
    zeros = ir.call(*[Zero(FLOAT)] * n)
    assert number(zeros) == 0.0 or (name == "div" and math.isnan(zeros))
    if n == 2 and name != "div":
        want = {"mul": 0.0, "add": 2.0, "sub": -2.0}[name]
        assert number(ir.call(Zero(FLOAT), 2.0)) == want
    if name == "mul":
        assert ir.call(Zero(FLOAT), math.inf) == Zero(FLOAT)


GUARDED = {
    "the root of what is positive": lambda x: af.where(x > 0, af.sqrt(x), 0.0 * x),
    "a quotient behind two choices": lambda x: af.where(x > 0, af.where(x > 1, 1 / x, x**2), x * 3),
    "the logarithm of a choice": lambda x: af.log(af.where(x > 0, x, 1.0)) * x,
    "a minimum with an infinite slope": lambda x: af.min(af.sqrt(af.max(x, 0.0)), 2.0 * x + 1.0),
    "the absolute value": lambda x: af.abs(x) * af.exp(x),
    "a power": lambda x: x**3 + 2.0**x + x**0.5,
}


@pytest.mark.parametrize("case", GUARDED)
@pytest.mark.parametrize("x", [-2.0, -0.0, 0.0, 0.25, 1.0, 3.0])
def test_derivatives_of_choices_are_those_of_formulas(case, x):
    """Branches that are not taken may be nan or infinite: symbolic derivatives do without them, and so do these."""
    from alkahest.transforms.forward import pushforward
    from alkahest.transforms.reverse import pullback

    s = ExprPool().symbol("x")
    e = GUARDED[case](s)
    want = compile_expr(diff(e, s), [s])([x])
    for ir in (trace(GUARDED[case])(x), ir_from_exprs(e, [s])):
        backward = number(pullback(ir).call((x,), 1.0)[1][0])
        forward = number(pushforward(ir).call((x,), (1.0,))[1])
        assert backward == pytest.approx(want, rel=1e-14, nan_ok=True)
        assert forward == pytest.approx(want, rel=1e-14, nan_ok=True)


@pytest.mark.parametrize("name", [n for n in SMOOTH if n not in STEPS and n not in ("lgamma", "digamma")])
def test_second_derivatives_agree_with_mpmath(name):
    from alkahest.transforms.reverse import pullback

    prim = prim_by_name(name)
    for point in points(name, 2):
        n = len(point)
        gradient = pullback(trace(lambda *xs: apply(prim, *xs))(*point))
        twice = pullback(gradient)
        for k in range(n):
            seeds = tuple([float(j == k) for j in range(n)])
            _, (primals, _) = twice.call((tuple(point), 1.0), (Zero(FLOAT), seeds))
            want = [derivative(name, point, tuple([int(j == k) + int(j == i) for j in range(n)])) for i in range(n)]
            assert [number(v) for v in primals] == pytest.approx(want, rel=1e-11, abs=1e-12), (point, k)


# ------------------------------------------------------------------------------------------------------ batches

NUMBERS = st.one_of(
    st.floats(), st.floats(-5, 5), st.integers(-9, 9), st.booleans(), st.sampled_from([0.0, -0.0, math.inf, math.nan])
)


@pytest.mark.parametrize("name", [n for n in declarations if not n.startswith(("doc_", "test_", "rpn", "example"))])
@given(data=st.data())
def test_an_item_of_a_batch_is_what_it_is_alone(name, data):
    prim = prim_by_name(name)
    n, size = declarations[name].arity, data.draw(st.integers(1, 4))
    kind = data.draw(st.sampled_from([st.floats(), NUMBERS]))
    if name == "polygamma":
        kind = st.integers(0, 3).map(float)
    flags = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    columns = [data.draw(st.lists(kind, min_size=size, max_size=size)) if flag else data.draw(kind) for flag in flags]
    if name == "pow":  # an exact power of integers may be of any size: one that Python can hold
        columns = [[float(v) for v in c] if flag else float(c) for c, flag in zip(columns, flags, strict=True)]
    out, batched = batch_rules.get(prim)((size, tuple(flags), tuple(columns)))
    assert batched is any(flags)
    rule = impl_rules.get(prim)
    rows = [tuple([c[i] if flag else c for c, flag in zip(columns, flags, strict=True)]) for i in range(size)]
    for got, row in zip(out if batched else [out], rows, strict=False):
        assert same(got, rule(row))


def test_batches_keep_their_container():
    prim = prim_by_name("add")
    assert batch_rules.get(prim)((2, (True, False), ((1.0, 2.0), 1))) == ((2.0, 3.0), True)
    assert asyncio.run(batch_rules.aget(prim)((2, (True, False), ([1, 2], 1)))) == ([2, 3], True)
    where = prim_by_name("where")
    assert batch_rules.get(where)((2, (True, False, True), ([True, False], "a", ["b", "c"]))) == (["a", "c"], True)
