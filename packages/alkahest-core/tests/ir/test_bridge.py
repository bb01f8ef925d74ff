"""Formulas as programs and programs as formulas: values agree, and shapes of any depth pass."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest import ExprPool, compile_expr, trace_fn
from alkahest.base.avals import BOOL, FLOAT
from alkahest.compile.interpreter import InterpreterBackend
from alkahest.compile.protocols import CompileOptions
from alkahest.errors import (
    NotASymbolError,
    NumberOverflowError,
    OperandTypeError,
    PoolMismatchError,
    ProgramError,
    UnknownSymbolError,
)
from alkahest.expr.tape import linearize
from alkahest.ir.bridge import exprs_from_ir, ir_from_exprs
from alkahest.ir.tracing import trace_program as trace
from alkahest.testing import strategies

DEEP = 200_000


def interpreted(exprs, symbols, point):
    kernel = InterpreterBackend().compile(linearize(exprs, symbols), CompileOptions())
    return kernel.point(point)


def same(a, b):
    return a == b or (a != a and b != b)


@given(strategies.expr_lists(), strategies.points())
def test_a_formula_and_its_program_agree(exprs, point):
    symbols = exprs[0].pool.symbols("x y")
    got = ir_from_exprs(exprs, symbols).call(*point)
    for value, want in zip(got, interpreted(exprs, symbols, point), strict=True):
        assert same(value, want)


@given(strategies.expr_lists(), strategies.points())
def test_there_and_back(exprs, point):
    symbols = exprs[0].pool.symbols("x y")
    want = interpreted(exprs, symbols, point)
    back, names = exprs_from_ir(ir_from_exprs(exprs, symbols), ExprPool())
    assert [s.name for s in names] == ["x0", "x1"]
    for value, expected in zip(interpreted(back, names, point), want, strict=True):
        assert same(value, expected)


@given(st.integers(-20, 20), st.floats(-5, 5))
def test_a_program_and_its_formula_agree(n, x):
    def f(args):
        return {"a": af.where(args["n"] > 0, args["x"] * 2, af.exp(args["x"])), "b": (args["n"] ** 2 + 1) / 3}

    ir = trace(f)({"n": 1, "x": 1.0})
    outputs, symbols = exprs_from_ir(ir, ExprPool())
    assert [str(s) for s in symbols] == ["x0_n", "x0_x"]
    assert symbols[0].domain == "integer"
    got = compile_expr([outputs["a"], outputs["b"]], symbols)([n, x])
    want = ir.call({"n": n, "x": x})
    assert got == pytest.approx([want["a"], want["b"]], rel=1e-15)


def test_one_equation_per_node():
    x, y = ExprPool().symbols("x y")
    shared = af.sin(x)
    ir = ir_from_exprs({"p": shared * y, "q": [shared + 2, 3.5]}, [x, y])
    assert [eqn.prim.name for eqn in ir.ir_eqns] == ["sin", "mul", "add"]
    assert ir.ir_eqns[2].in_ir_tree[1] == 2
    assert all(var.aval == FLOAT for var in ir.in_ir_tree)
    assert ir.call(0.0, 5.0) == {"p": 0.0, "q": [2.0, 3.5]}
    outputs, (a, b) = exprs_from_ir(ir, x.pool)
    assert outputs["p"] == af.sin(a) * b
    assert outputs["q"] == [af.sin(a) + 2, x.pool.float(3.5)]


def test_deep_chains():
    pool = ExprPool()
    x = pool.symbol("x")
    e = x
    for _ in range(DEEP):
        e = e + x
    ir = ir_from_exprs(e, [x])
    assert len(ir.ir_eqns) == DEEP
    assert ir.call(0.5) == 0.5 * (DEEP + 1)
    back, (s,) = exprs_from_ir(ir, pool)
    assert back.node_count() == DEEP + 1
    assert compile_expr(back, [s])([0.5]) == 0.5 * (DEEP + 1)


def test_numbers_as_formulas_have_them():
    pool = ExprPool()
    x = pool.symbol("x")
    big = pool.integer(2**53 + 1)
    assert ir_from_exprs(x + pool.rational(1, 3) + pool.pi, [x]).call(0.0) == 0.0 + 1 / 3 + math.pi
    assert ir_from_exprs(big - 2**53 + 0 * x, [x]).call(1.0) == 0.0  # as floats, not as integers
    assert ir_from_exprs(pool.apply("pow", 9, 10**9), [x]).call(1.0) == math.inf  # and at once
    with pytest.raises(NumberOverflowError):
        ir_from_exprs(x + 10**400, [x])


def test_conditions():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    ir = ir_from_exprs((x < y, (x < y) + (y < x), -(x < y), af.where(x < y, 1, 2)), [x, y])
    got = ir.call(1.0, 2.0)
    assert got == (True, 1.0, -1.0, 1.0)
    assert [type(v) for v in got] == [bool, float, float, float]
    assert ir.out_ir_tree[0].aval == BOOL


def test_what_is_no_formula():
    pool = ExprPool()
    with pytest.raises(ProgramError, match="concat"):
        exprs_from_ir(trace(lambda a, x: (x + 1, a + "!"))("a", 1.0), pool)
    with pytest.raises(ProgramError, match="where"):
        exprs_from_ir(trace(lambda x: af.where(x > 0, "a", "b"))(1.0), pool)
    with pytest.raises(ProgramError, match="inf"):
        exprs_from_ir(trace(lambda x: x + math.inf)(1.0), pool)
    with pytest.raises(ProgramError, match="output"):
        exprs_from_ir(trace(lambda a: a)("a"), pool)
    with pytest.raises(OperandTypeError):
        exprs_from_ir(pool.symbol("x"), pool)
    assert exprs_from_ir(trace(lambda a, x: x + True)("a", 1.0), pool)[0] == pool.symbol("x1") + 1


def test_what_is_no_program():
    x, y = ExprPool().symbols("x y")
    other = ExprPool().symbol("x")
    with pytest.raises(UnknownSymbolError, match="y"):
        ir_from_exprs(x + y, [x])
    with pytest.raises(PoolMismatchError):
        ir_from_exprs([x, other], [x])
    with pytest.raises(NotASymbolError):
        ir_from_exprs(x, [x + y])
    assert ir_from_exprs((1.0, 2), []).call() == (1.0, 2)


# ------------------------------------------------------------------------------------ traced functions in programs


def test_a_traced_function_inside_a_program():
    f = trace_fn(lambda x, p: {"s": af.sin(x) * p["a"], "t": x / 2}, ExprPool(), like={"p": {"a": 0}})
    ir = trace(lambda x, n: f(x, {"a": n}))(1.0, 2)
    for x, n in [(0.5, 3), (-1.25, 0)]:
        assert ir.call(x, n) == f(x, {"a": n})
    assert {eqn.prim.name for eqn in ir.ir_eqns} == {"sin", "mul", "div", "add"}
    assert trace(lambda x: af.jit(f)(x, {"a": 2}))(1.0).call(0.5) == f(0.5, {"a": 2})


def test_a_traced_function_gives_floats():
    square = trace_fn(lambda x: x**2, ExprPool())
    got = trace(square)(3).call(3)
    assert (got, type(got)) == (9.0, float)
    assert trace(square)(True).call(True) == 1.0
    identity = trace_fn(lambda x: x, ExprPool())
    assert type(trace(identity)(3).call(3)) is float


def test_derivatives_through_a_traced_function():
    from alkahest.transforms.forward import pushforward
    from alkahest.transforms.reverse import pullback

    f = trace_fn(lambda x, y: af.exp(x) * y**2, ExprPool())
    ir = trace(lambda x, y: f(x, y) + x)(1.0, 2.0)
    want = [math.exp(0.5) * 9 + 1, math.exp(0.5) * 6]
    assert pullback(ir).call((0.5, 3.0), 1.0)[1] == pytest.approx(want, rel=1e-14)
    assert pushforward(ir).call((0.5, 3.0), (1.0, 2.0))[1] == pytest.approx(want[0] + 2 * want[1], rel=1e-14)
    gradient = af.grad(f)
    assert trace(lambda x: gradient(x, x))(1.0).call(2.0) == pytest.approx(gradient(2.0, 2.0), rel=1e-15)


def test_a_traced_value_and_an_expression():
    pool = ExprPool()
    f = trace_fn(lambda x, y: x + y, pool)
    with pytest.raises(af.AlkahestError):
        trace(lambda x: f(x, pool.symbol("z")))(1.0)
