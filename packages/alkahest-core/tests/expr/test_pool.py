"""Pools and expressions: identity, operators, exact numbers, errors."""

import copy
import gc
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
    [2, 2.5, Fraction(5, 2), Decimal("2.5"), True, np.float64(2.5), np.int64(2), np.float32(2.5), np.array(2.5)],
)
def test_operators_take_numbers_on_either_side(pool, op, other):
    x = pool.symbol("x")
    for made, expected in ((op(x, other), op(3.25, float(other))), (op(other, x), op(float(other), 3.25))):
        assert isinstance(made, alkahest.Expr)
        assert alkahest.eval_expr(made, {x: 3.25}) == pytest.approx(expected, rel=1e-15)


def test_arrays_beside_an_expression_give_arrays_of_expressions(pool):
    x = pool.symbol("x")
    for made in (x + np.arange(3), np.arange(3) + x):
        assert made.shape == (3,)
        assert [alkahest.eval_expr(e, {x: 1.0}) for e in made] == [1.0, 2.0, 3.0]


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


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -np.inf, Decimal("NaN"), np.float64("inf")])
def test_literals_that_are_no_numbers(pool, wrong):
    x = pool.symbol("x")
    for use in (lambda: pool.number(wrong), lambda: x + wrong, lambda: pool.float(float(wrong))):
        with pytest.raises(LiteralError):
            use()


@pytest.mark.parametrize("wrong", [None, "x", 1j, [1], object()])
def test_operands_that_are_no_numbers(pool, wrong):
    x = pool.symbol("x")
    with pytest.raises(TypeError):
        x + wrong
    with pytest.raises(OperandError):
        pool.number(wrong)


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
    ):
        with pytest.raises(TypeError) as caught:
            use()
        if isinstance(caught.value, ControlFlowError):
            assert "where" in str(caught.value) or "list" in str(caught.value)
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
