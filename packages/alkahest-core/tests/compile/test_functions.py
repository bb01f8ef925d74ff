"""Compiling, evaluating and explaining: what is taken, and what is refused with a sentence."""

import math

import numpy as np
import pytest

import alkahest
from alkahest import CompileConfig, ExprPool, compile_expr, eval_expr, explain, numpy_eval, trace_fn
from alkahest.errors import (
    AlkahestError,
    ConfigError,
    DomainError,
    DuplicateInputError,
    LiteralError,
    NotASymbolError,
    OperandError,
    ShapeError,
    TreeError,
    UnknownSymbolError,
)


@pytest.fixture
def pool():
    return ExprPool()


@pytest.mark.parametrize("call", [compile_expr, explain], ids=lambda c: c.__name__)
@pytest.mark.parametrize("wrong", ["llvm", 1e6, {"backend": "interpreter"}, CompileConfig])
def test_what_is_no_config(pool, call, wrong):
    x = pool.symbol("x")
    with pytest.raises(ConfigError, match="CompileConfig"):
        call(x, [x], wrong)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"expected_evals": "a"}, "expected_evals is 'a'"),
        ({"expected_evals": 1j}, "expected_evals is 1j"),
        ({"expected_evals": 0}, "expected_evals is 0"),
        ({"expected_evals": math.nan}, "expected_evals is nan"),
        ({"speed": 3}, "unknown setting speed"),
        ({"backend": ["interpreter"]}, "backend is"),
        ({"target": 3}, "target is 3"),
        ({"backend": "interpreter", "target": "cuda"}, "does not serve target 'cuda'"),
        ({"backend": "interpreter", "config": CompileConfig()}, "both"),
    ],
    ids=str,
)
def test_wrong_settings_are_named(pool, settings, said):
    x = pool.symbol("x")
    for call in (compile_expr, explain):
        with pytest.raises(ConfigError) as caught:
            call(x, [x], **settings)
        assert said in caught.value.message


def test_a_backend_and_a_target_it_serves(pool):
    x = pool.symbol("x")
    f = compile_expr(x + 1, [x], backend="interpreter", target="cpu", expected_evals=np.float64(3.0))
    assert f.tier == "interpreter"
    assert f([1.0]) == 2.0


def test_numbers_compile_as_constants(pool):
    x, y = pool.symbols("x y")
    assert compile_expr(3.0, [x])([7.0]) == 3.0
    assert compile_expr([3.0, x, 2], iter([x, y]))([7.0, 0.0]) == [3.0, 7.0, 2.0]
    np.testing.assert_array_equal(numpy_eval(compile_expr(-2, [x]), np.zeros(3)), [-2.0, -2.0, -2.0])
    assert compile_expr((e for e in (x, y)), (x, y))([1.0, 2.0]) == [1.0, 2.0]


@pytest.mark.parametrize("wrong", [None, "x", b"x", {"a": 1}, {1}, [None], [], [[1.0]], object()], ids=repr)
def test_what_cannot_be_compiled(pool, wrong):
    inputs = [] if wrong == [] else [pool.symbol("x")]
    for call in (compile_expr, explain):
        with pytest.raises(OperandError):
            call(wrong, inputs)


@pytest.mark.parametrize("wrong", [None, 3, "x", [3], ["x"], [[]]], ids=repr)
def test_inputs_that_are_no_symbols(pool, wrong):
    x = pool.symbol("x")
    for given in (wrong, x, [x + 1]):
        with pytest.raises(TypeError) as caught:
            compile_expr(x, given)
        assert isinstance(caught.value, AlkahestError)


def test_numbers_evaluate_to_themselves(pool):
    x = pool.symbol("x")
    for number in (3, 3.0, np.float32(3.0)):
        value = eval_expr(number, {})
        assert type(value) is float
        assert value == 3.0
    assert eval_expr([3.0, x, -0.0], {x: 2}) == [3.0, 2.0, 0.0]
    assert math.copysign(1.0, eval_expr([x, -0.0], {"x": 2})[1]) == -1.0
    assert eval_expr(2.5, {x: 1.0}) == 2.5
    assert eval_expr([], {}) == []
    with pytest.raises(LiteralError):
        eval_expr(math.nan, {})
    with pytest.raises(DomainError):
        eval_expr(1 / x, {x: 0})
    assert eval_expr(1 / x, {x: 0}, allow_nonfinite=True) == math.inf


@pytest.mark.parametrize("wrong", [None, 3.0, [3.0], "x", [("x", 1.0)]], ids=repr)
def test_bindings_must_be_a_mapping(pool, wrong):
    with pytest.raises(OperandError, match="mapping"):
        eval_expr(pool.symbol("x"), wrong)


def test_wrong_bindings(pool):
    x = pool.symbol("x")
    with pytest.raises(DuplicateInputError):
        eval_expr(x, {x: 1.0, "x": 2.0})
    with pytest.raises(UnknownSymbolError):
        eval_expr(x, {x: 1.0, "y": 2.0})
    with pytest.raises(UnknownSymbolError):
        eval_expr(x, {})
    for key in (x + 1, 3, None):
        with pytest.raises(NotASymbolError):
            eval_expr(x, {x: 1.0, key: 2.0})
    for expr in (None, "x", {"a": x}):
        with pytest.raises(OperandError):
            eval_expr(expr, {x: 1.0})


@pytest.mark.parametrize("wrong", [[0.0, 0.0], (0.0, 0.0), 0.0, "ab", np.zeros(3), np.zeros(2, "f4")], ids=repr)
def test_out_must_be_an_array_that_fits(pool, wrong):
    x = pool.symbol("x")
    for f in (compile_expr(x + 1, [x]), trace_fn(lambda x: x + 1, pool)):
        with pytest.raises(ShapeError):
            numpy_eval(f, [1.0, 2.0], out=wrong)
        fits = np.empty(2)
        assert numpy_eval(f, [1.0, 2.0], out=fits) is fits
        np.testing.assert_array_equal(fits, [2.0, 3.0])


def test_leaves_come_before_the_tree_definition(pool):
    leaves, treedef = alkahest.flatten_exprs({"a": pool.symbol("x"), "b": [1, 2]})
    for wrong in ((treedef, leaves), (leaves, None), (3, treedef), (leaves, {"a": 0})):
        with pytest.raises(TreeError):
            alkahest.unflatten_exprs(*wrong)
    with pytest.raises(TreeError):
        alkahest.unflatten_exprs(leaves[:2], treedef)
