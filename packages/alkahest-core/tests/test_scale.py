"""Size: a million nodes and chains 200,000 deep, without a recursion error anywhere."""

import pickle

import pytest

import alkahest
from alkahest import ExprPool, compile_expr, diff, eval_expr

DEEP = 200_000


@pytest.fixture(scope="module")
def deep():
    x = ExprPool().symbol("x")
    e = x
    for _ in range(DEEP):
        e = alkahest.sin(e)
    return x, e


@pytest.fixture(scope="module")
def wide():
    """A sum of products, 1,000,000 nodes."""
    pool = ExprPool()
    x, y = pool.symbols("x y")
    e = x
    for _ in range(500_000):
        e = e * x + y
    return x, y, e


def test_deep_chain(deep, tmp_path):
    x, e = deep
    assert e.node_count() == DEEP + 1
    assert len(str(e)) < 10_000
    assert len(e.to_string()) > 5 * DEEP
    assert len(e.latex(max_chars=1000)) < 5000
    assert eval_expr(e, {x: 0.0}) == 0.0
    assert eval_expr(diff(e, x), {x: 0.0}) == 1.0
    assert pickle.loads(pickle.dumps(e)) == e
    assert alkahest.simplify(e).node_count() == DEEP + 1
    assert e.subs({x: x + 1}).node_count() == DEEP + 3
    e.pool.save(tmp_path / "deep")
    assert len(ExprPool.load(tmp_path / "deep")) == len(e.pool)


def test_million_nodes(wide, tmp_path):
    x, y, e = wide
    assert e.node_count() == 1_000_002
    assert len(str(e)) < 10_000
    assert eval_expr(e, {x: 0.5, y: 0.25}) == pytest.approx(0.5)  # the fixed point of e/2 + 1/4
    packed = pickle.dumps(e)
    assert pickle.loads(packed) == e
    e.pool.save(tmp_path / "wide")
    assert len(ExprPool.load(tmp_path / "wide")) == len(e.pool)
    # d/dy of the same recurrence: d = d/2 + 1, whose fixed point is 2
    assert eval_expr(diff(e, y), {x: 0.5, y: 0.25}) == pytest.approx(2.0)


def test_deep_parse_round_trip():
    pool = ExprPool()
    x = pool.symbol("x")
    e = x
    for k in range(20_000):
        e = alkahest.cos(e + k)
    assert alkahest.parse(e.to_string(), pool) == e
    text = "(" * 100_000 + "x" + ")" * 100_000
    assert alkahest.parse(text, pool) == x


def test_growing_sum_adds_two_nodes_a_step():
    pool = ExprPool()
    x = pool.symbol("x")
    terms = [x * k for k in range(2, 10_002)]
    before = len(pool)
    e = x
    for t in terms:
        e = e + t
    assert len(pool) - before == 10_000
    assert compile_expr(e, [x])([1.0]) == 1 + sum(range(2, 10_002))
