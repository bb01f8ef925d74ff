"""Tapes that are too long for one function: their parts, over one point, a few, and several frames of them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm import targets
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting import body
from alkahest_llvm.loading import engine, library
from alkahest_llvm.targets import Target, host_target

EXACT = {  # rounded once, so that NumPy gives the same bits
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "fmin": lambda x, y: np.where((x < y) | np.isnan(y), x, y),  # which of two zeros np.fmin takes is open
    "fmax": lambda x, y: np.where((x > y) | np.isnan(y), x, y),
    "sqrt": np.sqrt,
    "abs": np.abs,
}
BINARY = ("add", "sub", "mul", "fmin", "fmax")
DTYPES = {"f64": "float64", "f32": "float32"}
FUNCTIONS = ("sin", "cos", "exp", "tanh", "log", "atan")
WIDTH = host_target().lanes  # of floats, which is twice that of doubles
FRAMES = body.MOST_FRAMES * WIDTH  # points that go through all parts together
AROUND = (1, WIDTH // 2, WIDTH, FRAMES // 2, FRAMES, 3 * FRAMES + WIDTH)
LENGTHS = sorted({n for k in AROUND for n in (k - 1, k, k + 1) if n > 0})


def random_tape(ops, seed, length=2 * body.LONGEST_WHOLE):
    """Return a tape of three inputs whose instructions read recent values, some old ones, and constants."""
    rng = np.random.default_rng(seed)
    consts = (0.75, -1.25, 0.5)
    first = 3 + len(consts)
    instrs = []
    for at in range(first, first + length):
        slots = [int(rng.integers(0, at) if rng.random() < 0.3 else at - 1 - rng.integers(min(6, at))) for _ in "ab"]
        op = ops[rng.integers(len(ops))]
        if op == "mul":
            slots[1] = int(rng.integers(3, first))  # so that values neither vanish nor overflow
        if op in ("sqrt", "log") and (slots[0] < first or instrs[slots[0] - first].op != "abs"):
            op = "abs"
        instrs.append(Instr(op, tuple(slots if op in BINARY else slots[:1])))
    # Values from everywhere, one of them twice, an input and a constant as they are.
    outputs = (first + 5, 1, 4, first + 5, *range(first + length - 1, first, -7))
    return Tape(("x", "y", "z"), consts, tuple(instrs), outputs)


def with_numpy(tape, columns):
    """Return the outputs, one array operation for each instruction."""
    dtype = columns[0].dtype
    values = [*columns, *[np.full_like(columns[0], c) for c in tape.consts]]
    with np.errstate(all="ignore"):
        for op, args, _ in tape.instrs:
            values.append(EXACT[op](*[values[a] for a in args]).astype(dtype))
    return [values[k] for k in tape.outputs]


def columns_of(n, dtype="float64"):
    return list(np.random.default_rng(3).uniform(-2, 2, (3, n)).astype(dtype))


def bits(arrays):
    """Return the bits of numbers; the sign and payload of a nan mean nothing."""
    arrays = np.array(arrays)
    arrays[np.isnan(arrays)] = np.nan
    return arrays.view({4: np.uint32, 8: np.uint64}[arrays.itemsize])


def is_in_parts(kernel):
    return "call void @alkahest_part1(" in kernel.artifacts["llvm-ir"]


EXACT_TAPE = random_tape(list(EXACT), 1)
MIXED_TAPE = random_tape([*EXACT, *FUNCTIONS], 2)
AS_WRITTEN = CompileOptions(contract=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length_has_numpys_bits(dtype):
    kernel = LLVMBackend().compile(EXACT_TAPE, CompileOptions(dtype=dtype, contract=False))
    assert is_in_parts(kernel)
    columns = columns_of(LENGTHS[-1], DTYPES[dtype])
    want = bits(with_numpy(EXACT_TAPE, columns))
    for n in LENGTHS:
        got = run(kernel, [c[:n].copy() for c in columns], n, dtype)
        np.testing.assert_array_equal(bits(got), want[:, :n], str(n))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("largest", [1, 10**5, body.LARGEST_FRAMES])
def test_functions_have_the_bits_of_the_block_machine(dtype, largest, monkeypatch):
    monkeypatch.setattr(body, "LARGEST_FRAMES", largest)
    tape, options = MIXED_TAPE, CompileOptions(dtype=dtype)
    kernel = LLVMBackend().compile(tape, options)
    assert is_in_parts(kernel)
    columns = columns_of(LENGTHS[-1], DTYPES[dtype])
    want = bits(run(LLVMFastBackend().compile(tape, options), columns, LENGTHS[-1], dtype))
    for n in LENGTHS:
        got = run(kernel, [c[:n].copy() for c in columns], n, dtype)
        np.testing.assert_array_equal(bits(got), want[:, :n], str(n))


def test_alone_as_in_a_batch():
    kernel = LLVMBackend().compile(MIXED_TAPE, CompileOptions())
    columns = columns_of(FRAMES + 5)
    batch = np.array(run(kernel, columns, FRAMES + 5))
    alone = [kernel.scalar(point) for point in zip(*[c.tolist() for c in columns], strict=True)]
    np.testing.assert_array_equal(bits(np.array(alone).T), bits(batch))


def test_strides_and_repeated_values():
    kernel = LLVMBackend().compile(EXACT_TAPE, AS_WRITTEN)
    n = 2 * FRAMES + 3
    x, y, z = columns_of(3 * n)
    one = np.broadcast_to(y[:1], n)
    for columns in ([x[:n], one, z[:n]], [one, one, one], [x[::3], y[::3], one], [x[::-1][:n], one, z[:n]]):
        want = with_numpy(EXACT_TAPE, [np.array(c) for c in columns])
        np.testing.assert_array_equal(bits(run(kernel, columns, n)), bits(want))
    wide = np.zeros((kernel.n_outputs, 2 * n))
    run(kernel, [x[:n], y[:n], z[:n]], n, out=[row[::2] for row in wide])
    np.testing.assert_array_equal(bits(wide[:, ::2]), bits(with_numpy(EXACT_TAPE, [x[:n], y[:n], z[:n]])))
    assert not wide[:, 1::2].any()


def test_outputs_may_be_inputs():
    kernel = LLVMBackend().compile(EXACT_TAPE, AS_WRITTEN)
    for n in LENGTHS:
        columns = columns_of(n)
        want = with_numpy(EXACT_TAPE, [c.copy() for c in columns])
        out = [np.empty(n) for _ in want]
        out[1], out[5] = columns[0], columns[1]
        run(kernel, columns, n, out=out)
        np.testing.assert_array_equal(bits(out), bits(want), str(n))


def test_several_threads_have_frames_of_their_own():
    kernel = LLVMBackend().compile(EXACT_TAPE, AS_WRITTEN)
    columns = columns_of(20 * FRAMES)
    want = bits(with_numpy(EXACT_TAPE, columns))
    pieces = [slice(k * FRAMES, (k + 2) * FRAMES + 1) for k in range(18)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda piece: run(kernel, [c[piece] for c in columns], 2 * FRAMES + 1), pieces))
    for piece, got in zip(pieces, found, strict=True):
        np.testing.assert_array_equal(bits(got), want[:, piece])


def test_no_inputs():
    instrs = [Instr("sqrt", (0,)), *[Instr("add", (k, k - 1)) for k in range(1, body.LONGEST_WHOLE + 50)]]
    tape = Tape((), (2.0,), tuple(instrs), (3,))
    root = np.sqrt(2.0)
    got = run(LLVMBackend().compile(tape, AS_WRITTEN), [], FRAMES + 1)
    np.testing.assert_array_equal(got[0], np.full(FRAMES + 1, (root + 2.0) + root))


@pytest.mark.skipif(host_target().lanes < 8, reason="this processor lacks AVX2")
@pytest.mark.parametrize("target", [Target("host", "x86-64", lanes=4), Target("host", "haswell", lanes=8)], ids=str)
def test_lesser_processors_give_the_same_bits(target, monkeypatch):
    n = 3 * FRAMES + 1
    columns = columns_of(n)
    want = bits(run(LLVMBackend().compile(MIXED_TAPE, CompileOptions()), columns, n))
    monkeypatch.setattr(targets, "instead", target)
    monkeypatch.setattr(engine, "_engines", [])
    monkeypatch.setattr(library, "_loaded", {})
    got = run(LLVMBackend().compile(MIXED_TAPE, CompileOptions()), columns, n)
    np.testing.assert_array_equal(bits(got), want)
