"""Traced functions and their derivatives, structures in and out, contexts."""

import asyncio
import collections
import dataclasses
import pickle
import threading
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

import alkahest
from alkahest import CompileConfig, ExprPool, grad, hessian, jacobian, jit, trace, trace_fn, value_and_grad
from alkahest.errors import (
    ArityError,
    ConfigError,
    ContextError,
    ControlFlowError,
    DifferentiationError,
    OperandError,
    PoolMismatchError,
    TraceError,
    TreeError,
    UnknownDomainError,
)


@dataclasses.dataclass
class Line:
    slope: object
    offset: object


class Pair(NamedTuple):
    first: object
    second: object


@pytest.fixture
def pool():
    return ExprPool()


@pytest.fixture
def f(pool):
    @trace(pool)
    def f(x, y):
        return x**2 + alkahest.sin(y)

    return f


def test_names_come_from_the_signature(f):
    assert str(f.symbols) == "[x, y]"
    assert str(f.expr) == "x^2 + sin(y)"
    assert repr(f) == "TracedFn(x, y) -> x^2 + sin(y)"


def test_floats_give_a_float_arrays_an_array_expressions_an_expression(f, pool):
    assert type(f(3.0, 0.0)) is float
    assert f(3, Fraction(0)) == 9.0
    assert f(x=3.0, y=0.0) == 9.0
    np.testing.assert_array_equal(f(np.arange(3.0), 0.0), [0.0, 1.0, 4.0])
    assert f(np.ones((2, 1)), np.zeros(3)).shape == (2, 3)
    assert isinstance(f(np.float64(3.0), 0.0), float)
    z = pool.symbol("z")
    assert f(z, 0) == z**2 + alkahest.sin(pool.integer(0))
    other = ExprPool().symbol("u")
    assert f(other, other).pool is other.pool


def test_substitution_is_simultaneous(f, pool):
    x, y = f.symbols
    assert f(y, x) == y**2 + alkahest.sin(x)


def test_gradients_are_folded(f):
    assert str(grad(f).exprs) == "[2*x, cos(y)]"
    assert grad(f)(3.0, 0.0) == [6.0, 1.0]
    assert str(grad(f, wrt=[f.symbols[1]]).exprs) == "[cos(y)]"
    assert str(grad(grad(f)).exprs) == "[[2, 0], [0, -sin(y)]]"
    assert grad(grad(f))(1.0, 0.0) == [[2.0, 0.0], [0.0, -0.0]]
    columns = grad(f)(np.arange(3.0), np.zeros(3))
    np.testing.assert_array_equal(columns[0], [0.0, 2.0, 4.0])
    rows = grad(grad(f))(np.arange(3.0), 0.0)
    assert [[c.shape for c in row] for row in rows] == [[(3,), (3,)], [(3,), (3,)]]


def test_third_derivatives_nest(pool):
    f = trace_fn(lambda x: x**5, pool)
    assert str(grad(grad(grad(f))).exprs) == "[[[60*x^2]]]"


def test_value_and_grad_jacobian_hessian(f, pool):
    value, gradient = value_and_grad(f)(3.0, 0.0)
    assert (value, gradient) == (9.0, [6.0, 1.0])
    g = trace_fn(lambda x, y: {"a": x * y, "b": (x, y**2)}, pool)
    assert str(jacobian(g).exprs) == "{'a': [y, x], 'b': ([1, 0], [0, 2*y])}"
    assert hessian(f).exprs == grad(grad(f)).exprs
    with pytest.raises(TraceError):
        grad(g)


def test_wide_jacobians_agree_with_tall_ones(pool):
    rows = trace_fn(lambda x, y: [x * y * k + alkahest.cos(x) for k in range(1, 6)], pool)
    x, y = rows.symbols
    expected = [[alkahest.diff(e, s) for s in (x, y)] for e in rows.expr]
    assert jacobian(rows).exprs == expected


def test_jit_of_everything(f):
    assert jit(f)(3.0, 0.0) == 9.0
    assert jit(grad(f))(3.0, 0.0) == [6.0, 1.0]
    assert jit(grad(grad(f)))(3.0, 0.0)[0] == [2.0, 0.0]
    assert grad(jit(f))(3.0, 0.0) == [6.0, 1.0]
    assert jit(f).explain().tier == jit(f).compiled.tier
    assert str(jit(f).expr) == "x^2 + sin(y)"
    x = np.linspace(0, 1, 5)
    np.testing.assert_allclose(jit(f)(x, x), x**2 + np.sin(x), rtol=1e-15)


@pytest.mark.parametrize(
    "example",
    [
        [0, 0],
        (0, 0),
        {"slope": 0, "offset": 0},
        collections.OrderedDict(slope=0, offset=0),
        Line(0, 0),
        Pair(0, 0),
        [0, None, {"deep": Line(0, None)}],
    ],
    ids=lambda e: type(e).__name__,
)
def test_structures_of_arguments(pool, example):
    leaves_of = alkahest.flatten_exprs

    def fn(p, x):
        a, b = leaves_of(p)[0]
        return a * x + b

    f = trace_fn(fn, pool, like={"p": example})
    _, treedef = leaves_of(example)
    given = alkahest.unflatten_exprs([2.0, 1.0], treedef)
    assert f(given, 3.0) == 7.0
    gradient = grad(f)(given, 3.0)
    assert type(gradient[0]) is type(example)
    assert leaves_of(gradient[0])[0] == [3.0, 1.0]
    assert gradient[1] == 2.0
    assert pickle.loads(pickle.dumps(f))(given, 3.0) == 7.0
    with pytest.raises(TreeError):
        f([1.0, 2.0, 3.0], 3.0)


def test_structures_of_results(pool):
    f = trace_fn(lambda x: Line(x, {"k": (x**2, None)}), pool)
    assert f(2.0) == Line(2.0, {"k": (4.0, None)})
    assert f.expr.slope is not None
    out = f(np.arange(2.0))
    np.testing.assert_array_equal(out.offset["k"][0], [0.0, 1.0])


def test_leaf_names_tell_the_path(pool):
    f = trace_fn(lambda p, x: p["a"].slope * x, pool, like=[{"a": Line(0, 0)}])
    assert str(f.symbols) == "[p_a_slope, p_a_offset, x]"


def test_defaults_and_keyword_only(pool):
    f = trace_fn(lambda x, k=2.0, *, shift=1.0: k * x + shift, pool)
    assert f(3.0) == 7.0
    assert f(3.0, shift=0.0) == 6.0
    assert trace_fn(lambda x, k=float("inf"): x + k, pool)(1.0) == float("inf")


def test_defaults_that_are_no_numbers_are_fixed(pool):
    def fn(x, scale=None, y=1.0, *, kind="sum", weights=(2, 3)):
        out = x + y if kind == "sum" else x * y
        return out * weights[0] if scale is None else out * scale

    f = trace_fn(fn, pool)
    assert str(f.symbols) == "[x, y]"
    for g in (f, jit(f), pickle.loads(pickle.dumps(f))):
        assert g(3.0) == 8.0
        assert g(3.0, y=2.0) == 10.0
        np.testing.assert_array_equal(g(np.arange(2.0), y=0.0), [0.0, 2.0])
        for args, kwargs in (((3.0, 2.0), {}), ((3.0,), {"scale": 1.0}), ((3.0,), {"kind": "sum"})):
            with pytest.raises(ArityError, match="fixed to its default"):
                g(*args, **kwargs)
    assert grad(f)(3.0) == [2.0, 2.0]
    last = trace_fn(lambda x, y, kind="sum": x + y, pool)
    assert last(1.0, 2.0) == 3.0
    with pytest.raises(ArityError, match="kind"):
        last(1.0, 2.0, "product")
    described = trace_fn(lambda x, p=(2.0, 3.0): x * p[0] + p[1], pool, like={"p": (0, 0)})
    assert str(described.symbols) == "[x, p_0, p_1]"
    assert described(1.0) == 5.0


def test_symbols_of_one_name_are_refused(pool):
    with pytest.raises(TraceError, match=r"p\[0\] and p_0"):
        trace_fn(lambda p, p_0: p[0] + p_0, pool, like={"p": [0, 0]})
    with pytest.raises(TraceError, match=r"p\['a'\]\['b'\] and p\['a_b'\]"):
        trace_fn(lambda p: p["a_b"], pool, like={"p": {"a_b": 0, "a": {"b": 0}}})


@pytest.mark.parametrize(
    "options",
    [
        {"domain": {"zz": "positive"}},
        {"domain": {"p": "positive"}, "like": {"p": [0, 0]}},
        {"domain": 3},
        {"like": [0, 0, 0]},
        {"like": {"zz": 0}},
        {"like": 3},
        {"like": "ab"},
    ],
    ids=str,
)
def test_wrong_descriptions_of_arguments(pool, options):
    with pytest.raises(TraceError):
        trace_fn(lambda p, x: x, pool, **options)


def test_domains_of_leaves(pool):
    f = trace_fn(lambda p, x: p[0] * x, pool, like={"p": [0, 0]}, domain={"p_0": "positive"})
    assert [s.domain for s in f.symbols] == ["positive", "real", "real"]
    assert trace_fn(lambda x: x, pool, domain="integer").symbols[0].domain == "integer"


def test_flatten_map_and_compare(pool):
    x, y = pool.symbols("x y")
    tree = {"a": [x + x, None], "b": Line(y * 0, 3)}
    leaves, treedef = alkahest.flatten_exprs(tree)
    assert alkahest.unflatten_exprs(leaves, treedef) == tree
    assert treedef == alkahest.flatten_exprs({"a": [1, None], "b": Line(1, 2)})[1]
    assert treedef != alkahest.flatten_exprs({"a": [1, 1], "b": Line(1, 2)})[1]
    assert str(alkahest.map_exprs(alkahest.simplify, tree)) == "{'a': [2*x, None], 'b': Line(slope=0, offset=3)}"
    with pytest.raises(TreeError):
        alkahest.unflatten_exprs(leaves[1:], treedef)


@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (lambda x: x if x > 0 else -x, ControlFlowError),
        (lambda x: [v for v in x], ControlFlowError),
        (float, ControlFlowError),
        (lambda x: "text", TraceError),
        (lambda *x: x[0], TraceError),
        (lambda x: x + "a", OperandError),
        (lambda x: x + 1j, OperandError),
        (lambda x: sum(x[k] for k in range(2)), ControlFlowError),
        (lambda x: sum(x for _ in range(x)), ControlFlowError),
        (lambda x: 1 + np.sin(x), OperandError),
    ],
)
def test_what_cannot_be_traced(pool, fn, error):
    with pytest.raises(error):
        trace_fn(fn, pool)


def test_control_flow_errors_name_where(pool):
    with pytest.raises(ControlFlowError, match="where"):
        trace_fn(lambda x: max(x, 0), pool)


def test_async_functions_and_wrong_decorators(pool):
    async def coroutine(x):
        return x

    with pytest.raises(TraceError):
        trace_fn(coroutine, pool)
    with pytest.raises(TraceError):
        trace(coroutine)
    with pytest.raises(TraceError, match="like"):
        trace(lambda x: x, like=())
    for wrong in (None, 3, "pool"):
        with pytest.raises(TraceError, match="ExprPool"):
            trace_fn(lambda x: x, wrong)
        with pytest.raises(TraceError, match="ExprPool"):
            trace(wrong)
    with pytest.raises(TraceError):
        jit(lambda x: x)
    with pytest.raises(TraceError):
        grad(lambda x: x)


def test_wrong_calls(f, pool):
    for args, kwargs in (((1.0,), {}), ((1.0, 2.0, 3.0), {}), ((1.0,), {"z": 1.0}), ((1.0, 2.0), {"x": 1.0})):
        with pytest.raises(ArityError):
            f(*args, **kwargs)
    with pytest.raises(OperandError):
        f(pool.symbol("x"), np.ones(2))


def test_differentiation_by_what_is_no_symbol(pool):
    x, y = pool.symbols("x y")
    for wrong in (x + y, 3, "x", None):
        with pytest.raises(DifferentiationError):
            alkahest.diff(x * y, wrong)
    with pytest.raises(PoolMismatchError):
        alkahest.diff(x * y, ExprPool().symbol("x"))
    with pytest.raises(DifferentiationError):
        alkahest.diff(alkahest.polygamma(x, y), x)
    with pytest.raises(DifferentiationError):
        alkahest.diff(x, x, -1)
    assert str(alkahest.diff(x**4, x, 2)) == "12*x^2"
    assert alkahest.diff(x, x, 0) == x


def test_pickled_functions_keep_their_names(f):
    for made in (f, jit(f), grad(f)):
        again = pickle.loads(pickle.dumps(made))
        assert type(again) is type(made)
        assert again(3.0, 0.0) == made(3.0, 0.0)
        assert str(again.symbols) == "[x, y]"


def test_settings_of_traced_functions_are_checked(f):
    for use in (jit, type(f).with_config):
        for wrong in ("llvm", 1e6, {}, CompileConfig(backend="interpreter", target="cuda")):
            with pytest.raises(ConfigError):
                use(f, wrong)
    assert jit(f, CompileConfig(backend="interpreter", target="cpu")).compiled.tier == "interpreter"


def test_wrong_contexts_are_refused_at_once():
    for wrong in (3, "pool", ExprPool):
        with pytest.raises(OperandError):
            alkahest.context(pool=wrong)
    for wrong in ("zzz", 3, ""):
        with pytest.raises(UnknownDomainError):
            alkahest.context(domain=wrong)


def test_context_builds_canonical_form_and_nests(pool):
    with alkahest.context(pool=pool, simplify=True):
        z = alkahest.symbol("z")
        assert z**2 + 0 * z == z**2
        assert str(z + z) == "2*z"
        with alkahest.context(simplify=False):
            assert str(alkahest.symbol("z") + 0) == "z + 0"
        with alkahest.context(domain="positive"):
            assert alkahest.symbol("r").domain == "positive"
            assert alkahest.symbol("r") * 1 == alkahest.symbol("r")
        assert z - z == pool.integer(0)
    assert str(z + 0) == "z + 0"
    with pytest.raises(ContextError):
        alkahest.symbol("z")


def test_contexts_belong_to_their_thread_and_task(pool):
    seen = []

    def other():
        with pytest.raises(ContextError):
            alkahest.active_pool()
        x = pool.symbol("x")
        seen.append(str(x + 0))

    with alkahest.context(pool=pool, simplify=True):
        worker = threading.Thread(target=other)
        worker.start()
        worker.join()
    assert seen == ["x + 0"]

    async def task(name):
        with alkahest.context(pool=ExprPool(), domain=name):
            await asyncio.sleep(0)
            return alkahest.symbol("x").domain

    async def both():
        return await asyncio.gather(task("positive"), task("integer"))

    assert asyncio.run(both()) == ["positive", "integer"]
