"""`CompileCache`."""

import pytest

import alkahest
from alkahest import CompileCache, CompileConfig, ExprPool
from alkahest.errors import ConfigError, FileFormatError, PoolMismatchError


@pytest.fixture
def pool():
    return ExprPool()


def test_hits_by_expression_and_by_tape(pool):
    x = pool.symbol("x")
    cache = CompileCache()
    f = cache.compile(x**2, [x], pool)
    assert cache.compile(x**2, [x]) is f
    other = ExprPool()
    u = other.symbol("x")
    assert cache.compile(u**2, [u]) is f
    assert cache.stats() == {"len": 1, "hits": 2, "compiles": 1, "hit_rate": 2 / 3}
    assert cache.compile(x**2, [x], config=CompileConfig(dtype="f32")) is not f
    cache.clear()
    assert cache.stats() == {"len": 0, "hits": 0, "compiles": 0, "hit_rate": 0.0}


def test_names_and_order_of_inputs_count(pool):
    x, y = pool.symbols("x y")
    cache = CompileCache()
    assert cache.compile(x - y, [x, y])([1.0, 3.0]) == -2.0
    assert cache.compile(x - y, [y, x])([1.0, 3.0]) == 2.0
    assert cache.compile([x, y], [x, y])([1.0, 3.0]) == [1.0, 3.0]


def test_the_least_recently_used_goes_first(pool):
    x = pool.symbol("x")
    cache = CompileCache(maxsize=2)
    one = cache.compile(x + 1, [x])
    cache.compile(x + 2, [x])
    cache.compile(x + 1, [x])
    cache.compile(x + 3, [x])
    assert len(cache) == 2
    assert cache.compile(x + 1, [x]) is one


def test_outlives_the_session(pool, tmp_path):
    x, y = pool.symbols("x y")
    cache = CompileCache()
    cache.compile(alkahest.sin(x) + y, [x, y])
    cache.compile([x, x * y], [x, y], config=CompileConfig(expected_evals=10))
    path = tmp_path / "work.alkc"
    cache.save(path)
    again = CompileCache.load(path)
    assert len(again) == 2
    assert again.compile([x, x * y], [x, y], config=CompileConfig(expected_evals=10))([2.0, 3.0]) == [2.0, 6.0]
    assert again.stats()["compiles"] == 0
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileFormatError):
        CompileCache.load(path)


def test_wrong_use(pool):
    x = pool.symbol("x")
    with pytest.raises(ConfigError):
        CompileCache(maxsize=0)
    with pytest.raises(PoolMismatchError):
        CompileCache().compile(x, [x], ExprPool())
