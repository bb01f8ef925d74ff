"""Pools and expressions: identity, operators, exact numbers, errors."""

import copy
import gc
import math
import operator
import pickle
import threading
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import alkahest
from alkahest import ExprPool
from alkahest.errors import (
    ArityError,
    ComparisonError,
    ControlFlowError,
    LiteralError,
    OperandError,
    PoolMismatchError,
    SymbolNameError,
    UnknownDomainError,
    UnknownFunctionError,
    UnknownSymbolError,
)


@pytest.fixture
def pool():
    return ExprPool()


def test_the_same_structure_is_the_same_node(pool):
    x, y = pool.symbols("x y")
    assert (x * y + 1).id == (x * y + 1).id
    assert x * y != y * x
    assert pool.symbol("x") == x
    assert pool.symbol("x", "positive") != x
    assert len({x, pool.symbol("x"), y}) == 2
    assert ExprPool().symbol("x") != x


def test_children_have_smaller_ids(pool):
    x, y = pool.symbols("x y")
    e = alkahest.sin(x * y) + x ** (y + 1)
    todo = [e]
    while todo:
        node = todo.pop()
        for child in node.args:
            assert child.id < node.id
            todo.append(child)


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv, operator.mod]


@pytest.mark.parametrize("op", BINARY, ids=lambda o: o.__name__)
@pytest.mark.parametrize(
    "other",
    [
        2,
        2.5,
        Fraction(5, 2),
        Decimal("2.5"),
        True,
        np.float64(2.5),
        np.int64(2),
        np.bool_(True),
        np.float32(2.5),
        np.longdouble(2.5),
        np.array(2.5),
        np.array(np.longdouble(2.5)),
        np.array(Fraction(5, 2), dtype=object),
    ],
    ids=lambda v: type(v).__name__,
)
def test_operators_take_numbers_on_either_side(pool, op, other):
    x = pool.symbol("x")
    for made, expected in ((op(x, other), op(3.25, float(other))), (op(other, x), op(float(other), 3.25))):
        assert isinstance(made, alkahest.Expr)
        assert alkahest.eval_expr(made, {x: 3.25}) == pytest.approx(expected, rel=1e-15)


def test_zero_dimensional_values_of_torch_are_numbers(pool):
    torch = pytest.importorskip("torch")
    x = pool.symbol("x")
    check_scalars_of_a_library(x, torch.tensor(2.5), torch.tensor(3), torch.tensor([1.0, 2.0]))
    assert x + torch.tensor(2.5, requires_grad=True) == x + 2.5
    for wrong in (torch.tensor([3]), torch.tensor(1j)):  # torch makes an index of one integer in any shape
        with pytest.raises(TypeError):
            x + wrong


def test_zero_dimensional_values_of_jax_are_numbers(pool):
    jnp = pytest.importorskip("jax.numpy")
    x = pool.symbol("x")
    check_scalars_of_a_library(x, jnp.float32(2.5), jnp.asarray(3), jnp.arange(2))
    assert x + jnp.bfloat16(2.5) == x + 2.5


def check_scalars_of_a_library(x, real, integer, vector):
    for op in BINARY:
        assert op(x, real) == op(x, 2.5)
        assert op(real, x) == op(2.5, x)
        assert op(integer, x) == op(3, x)
    assert (x < real) == (x < 2.5)
    assert x.pool.number(integer).value == 3
    with pytest.raises(TypeError):
        x + vector
    with pytest.raises(ComparisonError):
        x == real  # noqa: B015


def entries(array):
    return [alkahest.eval_expr(e, {"x": 3.25}) for e in array.flat]


@pytest.mark.parametrize("op", BINARY, ids=lambda o: o.__name__)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "g", "O"])
def test_arrays_beside_an_expression_give_arrays_of_expressions(pool, op, dtype):
    x = pool.symbol("x")
    array = np.array([[1, 2], [3, 4]]).astype(dtype)
    plain = array.astype("f8")
    for made, expected in ((op(x, array), op(3.25, plain)), (op(array, x), op(plain, 3.25))):
        assert made.shape == (2, 2)
        np.testing.assert_allclose(entries(made), expected.ravel(), rtol=1e-15)


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge], ids=lambda o: o.__name__)
def test_comparisons_with_arrays_and_numpy_scalars(pool, op):
    x = pool.symbol("x")
    array = np.array([1.0, 3.25, 5.0])
    assert entries(op(array, x)) == list(op(array, 3.25))
    assert entries(op(x, array)) == list(op(3.25, array))
    assert alkahest.eval_expr(op(np.float64(3.25), x), {x: 3.25}) == op(3.25, 3.25)


def test_arrays_of_expressions_beside_an_expression(pool):
    x, y = pool.symbols("x y")
    both = np.array([x, y])
    assert list(both + x) == [x + x, y + x]
    assert list(x + both) == [x + x, x + y]
    assert x + np.array(y, dtype=object) == x + y
    assert list(both == x) == list(x == both) == [True, False]
    assert list(both != x) == [False, True]
    both *= x
    assert list(both) == [x * x, y * x]
    assert np.add(x, y) == x + y
    assert np.equal(x, x) is True
    assert list(np.power(2, both)) == [2 ** (x * x), 2 ** (y * x)]
    with pytest.raises(ComparisonError):
        np.array([1.0]) == x  # noqa: B015
    with pytest.raises(ComparisonError):
        np.float64(1.0) == x  # noqa: B015
    assert (np.str_("x") == x) is False
    with pytest.raises(PoolMismatchError):
        np.array([ExprPool().symbol("x")]) + x


def test_floats_in_place_cannot_become_expressions(pool):
    array = np.zeros(2)
    with pytest.raises(OperandError, match=r"a = a \+ x"):
        array += pool.symbol("x")


@pytest.mark.parametrize(
    ("name", "own"),
    [("sin", "sin"), ("arctan2", "atan2"), ("absolute", "abs"), ("rint", "round"), ("maximum", "max"), ("exp", "exp")],
)
def test_functions_of_numpy_name_the_ones_to_use(pool, name, own):
    ufunc = getattr(np, name)
    with pytest.raises(OperandError, match=rf"alkahest\.{own},"):
        ufunc(*[pool.symbol("x")] * ufunc.nin)
    assert callable(getattr(alkahest, own))


def test_other_functions_of_numpy_are_refused(pool):
    x = pool.symbol("x")
    for use in (
        lambda: np.isfinite(x),
        lambda: np.add.outer(x, np.arange(2)),
        lambda: np.arange(2) @ x,
        lambda: np.divmod(x, 2),
        lambda: np.add(x, 1, dtype=float),
    ):
        with pytest.raises(OperandError, match="operators"):
            use()


@pytest.mark.parametrize(
    "wrong",
    [
        np.timedelta64(5, "s"),
        np.timedelta64(5, "ns"),
        np.datetime64("2020-01-01"),
        np.datetime64(5, "ns"),
        np.complex128(1j),
        np.clongdouble(1j),
        np.array([1, 2], dtype="m8[ns]"),
        np.array([1j]),
        np.array(["a"]),
        np.array([None]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_numpy_values_that_are_no_numbers(pool, wrong):
    x = pool.symbol("x")
    for use in (lambda: x + wrong, lambda: wrong + x, lambda: x // wrong, lambda: wrong % x):
        with pytest.raises(OperandError):
            use()
    with pytest.raises(OperandError):
        pool.number(wrong)


def test_unary_operators_and_rounding(pool):
    x = pool.symbol("x")
    values = {
        str(e): alkahest.eval_expr(e, {x: -2.5})
        for e in (-x, +x, abs(x), round(x), x.__floor__(), x.__ceil__(), x.__trunc__())
    }
    assert list(values.values()) == [2.5, -2.5, 2.5, -2.0, -3.0, -2.0, -2.0]
    with pytest.raises(OperandError):
        round(x, 2)


def test_numbers_stay_exact(pool):
    big = 3**500
    assert pool.integer(big).value == big
    assert pool.rational(6, -4).value == Fraction(-3, 2)
    assert pool.rational(6, 3) == pool.integer(2)
    assert pool.number(Decimal("0.1")).value == Fraction(1, 10)
    assert pool.number(0.1).value == 0.1
    assert pool.float(1.0) != pool.integer(1)
    assert pool.float(0.0) != pool.float(-0.0)
    assert pool.integer(True) == pool.integer(1)
    assert float(pool.pi) == np.pi
    assert float(pool.e) == np.e
    with pytest.raises(ZeroDivisionError):
        pool.rational(1, 0)


def test_node_counts_and_free_symbols(pool):
    x, y = pool.symbols("x y")
    e = x
    for _ in range(200):
        e = e * e
    assert e.node_count() == 201
    assert e.tree_size() == 2**201 - 1
    assert (x * y + 1).free_symbols == {x, y}
    assert pool.integer(1).free_symbols == frozenset()


def test_substitution_is_simultaneous_and_takes_subexpressions(pool):
    x, y = pool.symbols("x y")
    assert (x + 2 * y).subs({x: y, y: x}) == y + 2 * x
    assert (alkahest.sin(x) ** 2).subs({alkahest.sin(x): y}) == y**2
    assert str((x**2).subs({x: 3})) == "3^2"
    assert x.subs({y: 1}) == x
    with pytest.raises(OperandError):
        x.subs({"x": 1})
    with pytest.raises(PoolMismatchError):
        x.subs({x: ExprPool().symbol("u")})


def test_pools_pickle_and_are_true_even_when_empty(pool):
    assert pool
    x = pool.symbol("x")
    assert pickle.loads(pickle.dumps(pool)) is pool
    packed = pickle.dumps((pool, x + 1))
    del pool, x
    gc.collect()
    again, e = pickle.loads(packed)
    assert e.pool is again
    assert str(e) == "x + 1"


def test_copies_are_the_same(pool):
    x = pool.symbol("x")
    assert copy.copy(x) is x
    assert copy.deepcopy([x])[0] is x
    assert copy.copy(pool) is pool
    again, e = copy.deepcopy((pool, x))
    assert again is pool
    assert e + 1 == x + 1


def test_expressions_and_numbers_share_a_dict(pool):
    exprs = [pool.symbol(f"x{k}") for k in range(100)]
    numbers = [*range(-100, 100), 0.5, -0.25, 1e300, 2**62, 2**62 + 1, 2**61 - 1, Fraction(1, 3), np.int64(7)]
    mixed = dict.fromkeys([*exprs, *numbers])
    assert len(mixed) == len({*numbers}) + 100
    assert not {hash(e) for e in exprs} & {hash(n) for n in numbers}
    assert hash(pickle.loads(pickle.dumps(exprs[7]))) == hash(exprs[7])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -np.inf, Decimal("NaN"), np.float64("inf")])
def test_literals_that_are_no_numbers(pool, wrong):
    x = pool.symbol("x")
    for use in (lambda: pool.number(wrong), lambda: x + wrong, lambda: pool.float(float(wrong))):
        with pytest.raises(LiteralError):
            use()


@pytest.mark.parametrize("wrong", [None, "x", 1j, [1], object(), {}, b"x", float])
def test_operands_that_are_no_numbers(pool, wrong):
    x = pool.symbol("x")
    for op in (*BINARY, operator.lt, operator.ge, operator.and_, operator.or_):
        with pytest.raises(OperandError) as caught:
            op(x, wrong)
        assert caught.value.code
        assert caught.value.remedy
    for op in (operator.add, operator.mul, operator.truediv, operator.floordiv, operator.pow, operator.lt):
        with pytest.raises(OperandError):
            op(wrong, x)
    with pytest.raises(OperandError):
        pool.number(wrong)


def test_foreign_types_answer_for_themselves(pool):
    class Unit:
        def __radd__(self, other):
            return "added"

        def __rfloordiv__(self, other):
            return "divided"

        def __gt__(self, other):
            return "compared"

    x = pool.symbol("x")
    assert x + Unit() == "added"
    assert x // Unit() == "divided"
    assert (x < Unit()) == "compared"
    for use in (lambda: x - Unit(), lambda: x % Unit(), lambda: x > Unit(), lambda: Unit() + x):
        with pytest.raises(OperandError):
            use()


def test_expressions_are_no_literals(pool):
    for e in (pool.symbol("x"), pool.integer(3)):
        with pytest.raises(OperandError):
            pool.number(e)


def test_expressions_of_two_pools_do_not_mix(pool):
    x, u = pool.symbol("x"), ExprPool().symbol("u")
    for use in (lambda: x + u, lambda: alkahest.atan2(x, u), lambda: pool.expr(u)):
        with pytest.raises(PoolMismatchError):
            use()


def test_wrong_symbols_and_functions(pool):
    for name in ("", "a b", "f(x)", 3):
        with pytest.raises(SymbolNameError):
            pool.symbol(name)
    with pytest.raises(UnknownDomainError):
        pool.symbol("x", "complex")
    with pytest.raises(UnknownFunctionError):
        pool.apply("frobnicate", 1)
    with pytest.raises(ArityError):
        pool.apply("sin", 1, 2)
    with pytest.raises(UnknownSymbolError):
        pool.constant("tau")
    pool.symbol("x")
    pool.symbol("x", "positive")
    with pytest.raises(UnknownSymbolError):
        pool.find_symbol("x")


def test_python_control_flow_names_where(pool):
    x = pool.symbol("x")
    for use in (
        lambda: bool(x > 0),
        lambda: 1 if x else 2,
        lambda: list(x),
        lambda: float(x),
        lambda: int(x),
        lambda: range(x),
        lambda: [1, 2][x],
        lambda: len(x),
        lambda: x[0],
        lambda: math.sin(x),
        lambda: f"{x:.3f}",
    ):
        with pytest.raises(ControlFlowError) as caught:
            use()
        assert any(word in caught.value.remedy for word in ("where", "list", "eval_expr"))
    assert f"{x}" == format(x) == "x"
    assert list(range(pool.integer(3))) == [0, 1, 2]
    for use in (lambda: divmod(x, 2), lambda: divmod(2, x)):
        with pytest.raises(OperandError, match="//"):
            use()
    for number in (0, 0.0, Fraction(1, 2), np.float64(1), float("nan")):
        with pytest.raises(ComparisonError, match="eq"):
            x == number  # noqa: B015
    assert (x == "x") is False
    assert x in [pool.symbol("y"), x]


def test_many_threads_intern_one_node(pool):
    x = pool.symbol("x")
    barrier = threading.Barrier(8)
    found = []

    def work():
        barrier.wait()
        found.append([(x + k).id for k in range(2000)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(f == found[0] for f in found)
    assert len(pool) == 1 + 2000 + 2000
