"""Batches in pieces: bounded memory, progress, interrupts, threads, and results over any number of pieces."""

import _thread
import threading
import time
import tracemalloc

import numpy as np
import pytest

import alkahest
from alkahest import ExprPool, compile_expr, jit, numpy_eval, numpy_eval_par, trace_fn
from alkahest.compile import batches, driver
from alkahest.compile.threads import cores
from alkahest.errors import ConfigError
from alkahest.expr.tape import linearize
from alkahest.testing.backends import offered_backends

MEGABYTE = 1 << 20


class Recorder:
    """A kernel that squares, writes down how many points each call had, and may be told to do something else."""

    n_inputs = n_outputs = 1
    artifacts = {}  # noqa: RUF012
    releases_gil = True

    def __init__(self):
        self.calls = []
        self.before = lambda: None

    def call_columns(self, n, columns, out):
        self.before()
        self.calls.append(n)
        (address, stride), (target, step) = columns[0], out[0]
        view = alkahest.extend.column_view
        view(target, step, n)[...] = view(address, stride, n) ** 2


@pytest.fixture
def recorder(monkeypatch):
    """Return a compiled function and its kernel; pieces are at most 4096 points."""
    monkeypatch.setattr(batches, "LONGEST_PIECE", 4096)
    pool = ExprPool()
    x = pool.symbol("x")
    tape = linearize([x**2], [x])
    kernel = Recorder()
    config = alkahest.CompileConfig(adapt=False)
    compilation = driver.Compilation(kernel, "recorder", driver.Explanation("recorder", (), ()))
    return alkahest.CompiledFn(tape, config, compilation), kernel


# ------------------------------------------------------------------------------------------------------------ memory


@pytest.fixture(params=offered_backends())
def linear(request):
    """Return 2*x + 1 in each tier of the CPU."""
    x = ExprPool().symbol("x")
    f = compile_expr(2 * x + 1, [x], backend=request.param, fallback=False)
    numpy_eval(f, np.zeros(3, np.int16), out=np.empty(3))
    return f


CONVERTED = {
    "int16": lambda n: np.arange(n).astype(np.int16),
    "big-endian": lambda n: np.arange(n).astype(">f4"),
    "objects": lambda n: np.array([0, 1, 2, 3] * (n // 64), object)[:, None] + np.zeros(16, object),
    "two orders": lambda n: np.arange(n).astype(np.float32).reshape(-1, 1000).T,
    "broadcast": lambda n: np.broadcast_to(np.arange(1000).astype(np.int8), (n // 1000, 1000)),
}


@pytest.mark.parametrize("run", [numpy_eval, numpy_eval_par])
@pytest.mark.parametrize("kind", CONVERTED)
def test_conversion_takes_bounded_memory(linear, run, kind, monkeypatch):
    """As much for ten times as many rows."""
    monkeypatch.setattr(batches, "LONGEST_PIECE", 1 << 15)
    n = 2_000_000 if kind != "objects" else 256_000
    x = CONVERTED[kind](n)
    out = np.empty(x.shape)
    tracemalloc.start()
    try:
        run(linear, x, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.25 * MEGABYTE * (cores() if run is numpy_eval_par else 1)
    np.testing.assert_array_equal(out, 2 * x.astype(float) + 1)


def test_results_in_a_memory_map_take_no_other_memory(linear, tmp_path):
    n = 2_000_000
    x = np.arange(n, dtype=np.int32)
    out = np.memmap(tmp_path / "out.bin", np.float64, "w+", shape=n)
    numpy_eval(linear, x, out=out)
    np.testing.assert_array_equal(out[::1000], 2.0 * x[::1000] + 1)


# ------------------------------------------------------------------------------------------------------------ pieces


@pytest.mark.parametrize("n", [4096, 4097, 50_000])
def test_long_batches_are_cut(recorder, n):
    f, kernel = recorder
    x = np.arange(float(n))
    np.testing.assert_array_equal(numpy_eval(f, x), x**2)
    assert sum(kernel.calls) == n
    assert max(kernel.calls) <= 4096


def test_an_expensive_function_has_short_pieces():
    assert batches.points_of_a_piece(10) == batches.LONGEST_PIECE
    assert batches.points_of_a_piece(10_000) < batches.LONGEST_PIECE // 50


def test_all_cores_take_pieces_of_what_fits_their_caches(monkeypatch):
    f_threads = {}
    monkeypatch.setattr("alkahest.compile.functions.cores", lambda: 3)
    x = ExprPool().symbol("x")
    kernel = Recorder()
    kernel.before = lambda: f_threads.setdefault(threading.current_thread(), None)
    compilation = driver.Compilation(kernel, "recorder", driver.Explanation("recorder", (), ()))
    f = alkahest.CompiledFn(linearize([x**2], [x]), alkahest.CompileConfig(adapt=False), compilation)
    values = np.arange(1_000_001.0)
    np.testing.assert_array_equal(numpy_eval_par(f, values), values**2)
    assert len(kernel.calls) > 3 * len(f_threads), "pieces are handed out as they are wanted"
    assert max(kernel.calls) * 2 * 8 <= batches._SHARED_BYTES


@pytest.mark.parametrize("tier", offered_backends())
def test_all_cores_give_the_same_bits(tier):
    x, y = ExprPool().symbols("x y")
    f = compile_expr([alkahest.exp(alkahest.sin(x) * y), x**y, alkahest.log(x)], [x, y], backend=tier)
    rng = np.random.default_rng(5)
    for n in (100_003, 299_999):
        a, b = rng.uniform(0, 9, n), rng.uniform(-3, 3, n)
        np.testing.assert_array_equal(numpy_eval_par(f, a, b), numpy_eval(f, a, b))
        a, b = a.astype(np.float32), b[::-1]
        np.testing.assert_array_equal(numpy_eval_par(f, a, b), numpy_eval(f, a, b))


# ---------------------------------------------------------------------------------------------------------- progress


@pytest.mark.parametrize("evaluate", [numpy_eval, numpy_eval_par, lambda f, x, **k: f.call_batch([x], **k)])
def test_progress_counts_points_to_the_end(recorder, evaluate):
    f, _ = recorder
    x, seen = np.arange(50_000.0), []
    np.testing.assert_array_equal(evaluate(f, x, progress=lambda done, total: seen.append((done, total))), x**2)
    assert {total for _, total in seen} == {50_000}
    counts = [done for done, _ in seen]
    assert counts == sorted(set(counts))
    assert counts[-1] == 50_000
    assert len(counts) > 2


def test_progress_of_few_points_and_of_none(recorder):
    f, _ = recorder
    seen = []
    numpy_eval(f, np.ones(3), progress=lambda *at: seen.append(at))
    assert seen == [(3, 3)]
    assert numpy_eval(f, np.ones(0), progress=lambda *at: seen.append(at)).shape == (0,)
    assert seen == [(3, 3)]


def test_progress_of_a_traced_function():
    f = jit(trace_fn(lambda x: x * 2, ExprPool()))
    seen = []
    numpy_eval(f, np.ones(5), progress=lambda *at: seen.append(at))
    assert seen == [(5, 5)]


def test_progress_draws_a_bar(recorder, capsys):
    pytest.importorskip("rich", reason="needs the extra `cli`")
    f, _ = recorder
    numpy_eval(f, np.ones(10_000), progress=True)
    shown = capsys.readouterr().out
    assert "points" in shown
    assert "10000/10000" in shown


@pytest.mark.parametrize("wrong", [1, "points", [print]])
def test_what_is_no_progress_is_refused(recorder, wrong):
    f, kernel = recorder
    with pytest.raises(ConfigError, match="progress"):
        numpy_eval(f, np.ones(3), progress=wrong)
    assert not kernel.calls


# ------------------------------------------------------------------------------------------- interrupts and failures


@pytest.mark.parametrize("evaluate", [numpy_eval, numpy_eval_par])
@pytest.mark.parametrize("convert", [False, True])
def test_an_interrupt_is_heeded_between_pieces(recorder, evaluate, convert):
    f, kernel = recorder
    caller = threading.current_thread()

    def interrupt():
        if len(kernel.calls) > 2 and threading.current_thread() is caller:
            _thread.interrupt_main()

    kernel.before = lambda: (time.sleep(0.001), interrupt())
    x = np.arange(4096 * 200, dtype=np.int32 if convert else float)
    with pytest.raises(KeyboardInterrupt):
        evaluate(f, x)
    assert len(kernel.calls) < 100


@pytest.mark.parametrize("evaluate", [numpy_eval, numpy_eval_par])
def test_a_failing_report_ends_the_batch(recorder, evaluate):
    f, kernel = recorder

    def report(done, total):
        raise ZeroDivisionError

    kernel.before = lambda: time.sleep(0.001)
    with pytest.raises(ZeroDivisionError):
        evaluate(f, np.ones(4096 * 200), progress=report)
    assert len(kernel.calls) < 100
    kernel.calls.clear()
    np.testing.assert_array_equal(evaluate(f, np.ones(10_000)), np.ones(10_000))


@pytest.mark.parametrize("evaluate", [numpy_eval, numpy_eval_par])
def test_a_failing_kernel_says_so(recorder, evaluate):
    f, kernel = recorder

    def fail():
        raise MemoryError("no memory for the scratch columns of a batch")

    kernel.before = fail
    with pytest.raises(MemoryError, match="scratch"):
        evaluate(f, np.ones(4096 * 50))
