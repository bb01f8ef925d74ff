"""Large results are written past the caches: the same numbers in the same places, however they lie in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from alkahest import ExprPool, compile_expr, exp, numpy_eval, numpy_eval_par, sin
from alkahest_llvm.loading import batch_entry
from alkahest_llvm.targets import host_target, writes_past_caches

CANARY = -12345.0
LENGTHS = (1, 5, 8, 15, 16, 17, 31, 64, 100, 1_000, 4_096, 5_003)


def _forget() -> None:
    batch_entry.drivers.clear()


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write every batch past the caches whose outputs lie so that this can be done."""
    monkeypatch.setattr(batch_entry, "STREAMED_BYTES", 0)
    _forget()
    yield
    _forget()


def _compiled(outputs: int, dtype: str):
    x, y = ExprPool().symbols("x y")
    expressions = [x * 2.5 + y, sin(x) * y, exp(x - y)][:outputs]
    return compile_expr(expressions if outputs > 1 else expressions[0], [x, y], backend="llvm", dtype=dtype)


def _points(n: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.uniform(-2, 2, n).astype(dtype), rng.uniform(-2, 2, n).astype(dtype)


def _one_by_one(f, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the values from batches of one point, which are never streamed."""
    return np.stack([numpy_eval(f, x[k : k + 1], y[k : k + 1])[..., 0] for k in range(len(x))], axis=-1)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("offset", [0, 1, 3, 8, 15])
def test_values_and_neighbours_at_every_alignment(always: None, dtype: str, outputs: int, offset: int) -> None:
    f = _compiled(outputs, dtype)
    for n in LENGTHS:
        x, y = _points(n, f.dtype.str)
        memory = np.full(outputs * n + 64, CANARY, f.dtype)
        start = offset + (-memory.ctypes.data % 64) // memory.itemsize
        out = memory[start : start + outputs * n].reshape((outputs, n) if outputs > 1 else (n,))
        assert numpy_eval(f, x, y, out=out) is out
        some = slice(0, min(n, 40))
        np.testing.assert_array_equal(out[..., some], _one_by_one(f, x[some], y[some]))
        np.testing.assert_array_equal(out[..., -3:], _one_by_one(f, x[-3:], y[-3:]))
        np.testing.assert_allclose(out[0] if outputs > 1 else out, x * 2.5 + y, rtol=1e-6, atol=1e-6)
        assert (memory[:start] == CANARY).all()
        assert (memory[start + outputs * n :] == CANARY).all()


def test_threads_and_repeated_numbers(always: None) -> None:
    f = _compiled(3, "f64")
    x, y = _points(300_007, "f8")
    np.testing.assert_array_equal(numpy_eval_par(f, x, y), numpy_eval(f, x, y))
    together = numpy_eval(f, x, 0.5)
    np.testing.assert_array_equal(together[:, -5:], _one_by_one(f, x[-5:], np.full(5, 0.5)))


def test_an_output_in_the_memory_of_an_input(always: None) -> None:
    f = _compiled(1, "f64")
    x, y = _points(4_096, "f8")
    expected = numpy_eval(f, x, y)
    columns = [(a.ctypes.data, a.itemsize) for a in (x, y)]
    f._kernel.call_columns(len(x), columns, columns[:1])
    np.testing.assert_array_equal(x, expected)


@pytest.mark.skipif(not writes_past_caches(), reason="stores past the caches are used on x86 only")
@pytest.mark.skipif(host_target().lanes < 8, reason="a block is less than a cache line on this processor")
def test_the_code_has_such_stores() -> None:
    assert "movnt" in _compiled(1, "f64").artifacts["asm"]
