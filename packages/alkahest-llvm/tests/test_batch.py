"""The batch entry: layouts, aliasing, sizes, threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alkahest.extend import ArityError, CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend

SUM = Tape(("x", "y"), (), (Instr("add", (0, 1)),), (2,))
BACKENDS = [LLVMBackend, LLVMFastBackend]


@pytest.fixture(params=BACKENDS)
def compiled(request):
    return lambda tape, **options: request.param().compile(tape, CompileOptions(**options))


def test_outputs_may_be_inputs_constants_and_repeated(compiled):
    tape = Tape(("x",), (2.5,), (Instr("neg", (0,)),), (0, 1, 2, 2, 0))
    x = np.arange(37.0)
    np.testing.assert_array_equal(run(compiled(tape), [x], 37), [x, np.full(37, 2.5), -x, -x, x])


def test_no_inputs(compiled):
    tape = Tape((), (2.0,), (Instr("sqrt", (0,)),), (1,))
    np.testing.assert_array_equal(run(compiled(tape), [], 19)[0], np.full(19, np.sqrt(2.0)))


def test_no_outputs_and_no_points(compiled):
    run(compiled(Tape(("x",), (), (), ())), [np.ones(3)], 3)
    compiled(SUM).call_columns(0, [(0, 8), (0, 8)], [(0, 8)])


@pytest.mark.parametrize("n", [1, 15, 16, 100, 2000])
def test_an_output_may_be_an_input(compiled, n):
    x, y = np.arange(float(n)), np.full(n, 0.5)
    run(compiled(SUM), [x, y], n, out=[x])
    np.testing.assert_array_equal(x, np.arange(n) + 0.5)


def test_columns_of_a_matrix(compiled):
    table = np.random.default_rng(1).normal(size=(1001, 3))
    out = np.zeros((1001, 2))
    run(compiled(SUM), [table[:, 0], table[:, 2]], 1001, out=[out[:, 1]])
    np.testing.assert_array_equal(out[:, 1], table[:, 0] + table[:, 2])
    assert not out[:, 0].any()


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_every_short_length_through_strides_of_either_sign(compiled, dtype):
    kernel = compiled(SUM, dtype=dtype)
    for n in [*range(1, 70), 511, 512, 513, 1030]:
        table = np.random.default_rng(n).integers(-99, 99, (n, 3)).astype({"f64": float, "f32": np.float32}[dtype])
        before = np.full((n + 2, 2), 7.5, table.dtype)
        out = before[1 : n + 1, 1][::-1]
        run(kernel, [table[::-1, 0], table[:, 2]], n, dtype, out=[out])
        np.testing.assert_array_equal(out, table[::-1, 0] + table[:, 2])
        assert (before[[0, -1]] == 7.5).all()
        assert (before[:, 0] == 7.5).all()


def test_records_of_odd_size(compiled):
    records = np.zeros(300, np.dtype([("tag", "i1"), ("x", "f8"), ("y", "f8")]))
    records["x"], records["y"] = np.arange(300), 0.25
    np.testing.assert_array_equal(run(compiled(SUM), [records["x"], records["y"]], 300)[0], np.arange(300) + 0.25)


def test_many_columns(compiled):
    names = tuple(f"x{k}" for k in range(300))
    instrs = [Instr("add", (0, 1))] + [Instr("add", (298 + k, k)) for k in range(2, 300)]
    tape = Tape(names, (), tuple(instrs), (598, 598))
    columns = list(np.random.default_rng(2).integers(-9, 9, (300, 77)).astype(float))
    for layout in (columns, [np.repeat(c, 2)[::2] for c in columns]):
        got = run(compiled(tape), layout, 77)
        np.testing.assert_array_equal(got, [np.sum(columns, axis=0)] * 2)


def test_every_scalar_repeated(compiled):
    one, two = np.broadcast_to(np.array(1.0), 50), np.broadcast_to(np.array(2.0), 50)
    np.testing.assert_array_equal(run(compiled(SUM), [one, two], 50)[0], np.full(50, 3.0))


def test_single_precision_overflows_as_numpy(compiled):
    tape = Tape(("x",), (1e30, 0.1), (Instr("mul", (0, 1)), Instr("mul", (3, 1)), Instr("div", (4, 1))), (5, 2))
    x = np.linspace(0.5, 2, 40, dtype=np.float32)
    got = run(compiled(tape, dtype="f32"), [x], 40, "f32")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got[0], x * np.float32(1e30) * np.float32(1e30) / np.float32(1e30))
    np.testing.assert_array_equal(got[1], np.full(40, 0.1, np.float32))


def test_threads_call_and_compile_at_once(compiled):
    x = np.random.default_rng(3).uniform(-3, 3, 5000)
    want = np.exp(x) + 3.0
    kernel = compiled(Tape(("x",), (3.0,), (Instr("exp", (0,)), Instr("add", (2, 1))), (3,)))

    def work(k):
        mine = compiled(Tape(("x",), (float(k),), (Instr("exp", (0,)), Instr("add", (2, 1))), (3,)))
        np.testing.assert_allclose(run(mine, [x], 5000)[0], np.exp(x) + k, rtol=1e-15)
        return run(kernel, [x], 5000)[0], mine.scalar([0.0])

    with ThreadPoolExecutor(8) as pool:
        for k, (got, at_zero) in enumerate(pool.map(work, range(24))):
            np.testing.assert_allclose(got, want, rtol=1e-15)
            assert at_zero == 1.0 + k


def test_a_wrong_number_of_columns_is_refused(compiled):
    with pytest.raises(ArityError, match="2 input and 1 output columns"):
        compiled(SUM).call_columns(1, [(0, 8)], [(0, 8)])
