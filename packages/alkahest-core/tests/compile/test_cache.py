"""`CompileCache`."""

import math

import pytest

import alkahest
from alkahest import CompileCache, CompileConfig, ExprPool
from alkahest.errors import AlkahestError, ConfigError, FileFormatError, OperandError, PoolMismatchError
from alkahest.expr.tape import linearize


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


def test_signed_zeros_are_two_functions(pool):
    x = pool.symbol("x")
    cache = CompileCache()
    made = [cache.compile([zero, x], [x]) for zero in (0.0, -0.0, 0)]
    assert [math.copysign(1.0, f([1.0])[0]) for f in made] == [1.0, -1.0, 1.0]
    assert math.copysign(1.0, cache.compile(-0.0, [x])([1.0])) == -1.0


def test_settings_one_by_one(pool):
    x = pool.symbol("x")
    cache = CompileCache()
    f = cache.compile(x + 1, [x], expected_evals=10.0)
    assert f.config == CompileConfig(expected_evals=10.0)
    assert cache.compile(x + 1, [x], config=CompileConfig(expected_evals=10.0)) is f
    for wrong in (
        {"expected_evals": "a"},
        {"speed": 1},
        {"config": "llvm"},
        {"config": CompileConfig(), "dtype": "f32"},
    ):
        with pytest.raises(ConfigError):
            cache.compile(x + 1, [x], **wrong)


def test_the_tape_is_built_once_per_miss(pool, monkeypatch):
    built = []

    def counting(outputs, inputs):
        built.append(outputs)
        return linearize(outputs, inputs)

    monkeypatch.setattr("alkahest.compile.preparing.linearize", counting)
    x = pool.symbol("x")
    cache = CompileCache()
    cache.compile(x + 1, [x])
    cache.compile(x + 1, [x])
    assert len(built) == 1


def test_wrong_use(pool):
    x = pool.symbol("x")
    for wrong in (0, -1, "a", 2.5, None):
        with pytest.raises(ConfigError):
            CompileCache(maxsize=wrong)
    cache = CompileCache()
    for expr in (x, [x], [1.0, x]):
        with pytest.raises(PoolMismatchError):
            cache.compile(expr, [x], ExprPool())
    with pytest.raises(PoolMismatchError):
        cache.compile([x, ExprPool().symbol("x")], [x])
    for wrong in (CompileConfig(), "a"):
        with pytest.raises(ConfigError, match="pool"):
            cache.compile(x, [x], wrong)
    for expr in (None, "x", {"a": x}, {x}, [[x]], [None]):
        with pytest.raises(OperandError):
            cache.compile(expr, [x])
    for inputs in ([[x]], [3], [{}], "x y", None, x, [x + 1]):
        with pytest.raises(TypeError) as caught:
            cache.compile(x, inputs)
        assert isinstance(caught.value, AlkahestError)
    assert len(cache) == 0
