"""One setting, one result: tiers, vector widths, entries, lengths and strides give the same bits."""

import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape, prim_names
from alkahest.testing.corpus import corpus, op_domain, op_tape, sample, special_points
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.vecmath.fast import FAST_KERNELS

OPS = [op for op in prim_names() if not missing_ops(op_tape(op))]
FORMULAS = {case.name: case for case in corpus()}
DTYPES = {"f64": "float64", "f32": "float32"}
OUT_OF_RANGE = [1e22, -3e300, 2.0**31, 709.9, -744.0, 1e-310, 5e-324, 710.3, 2.0**1001]


def variants(tape, options):
    """Return kernels of one tape made in every way there is."""
    yield LLVMBackend().compile(tape, options)
    yield LLVMFastBackend().compile(tape, options)
    for width, style, level in [(1, "call", 2), (2, "inline", 1), (4, "call", 0), (8, "inline", 2), (8, "call", 2)]:
        yield LLVMKernel(tape, options, width=width, level=level, style=style)


def bits(values):
    """Return the bits of numbers; the sign and payload of a nan mean nothing."""
    values = np.asarray(values)
    values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    return values.view({4: np.uint32, 8: np.uint64}[values.itemsize])


def op_columns(op, dtype):
    """Return arguments where the op is defined, and special ones in between, so that blocks are mixed."""
    points = sample(op_domain(op), 40) + special_points(len(op_domain(op)))[:120]
    points += [[x] * len(op_domain(op)) for x in OUT_OF_RANGE]
    columns = np.array(points).T[:, np.random.default_rng(4).permutation(len(points))]
    with np.errstate(over="ignore"):
        return list(columns.astype(DTYPES[dtype]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_variants_of_an_op(op, dtype):
    columns = op_columns(op, dtype)
    n = len(columns[0])
    results = [bits(run(kernel, columns, n, dtype)[0]) for kernel in variants(op_tape(op), CompileOptions(dtype=dtype))]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", FAST_KERNELS)
def test_variants_of_a_faster_op(op, dtype):
    columns = op_columns(op, dtype)
    n = len(columns[0])
    options = CompileOptions(dtype=dtype, accuracy="4ulp")
    results = [bits(run(kernel, columns, n, dtype)[0]) for kernel in variants(op_tape(op), options)]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    if dtype == "f64":
        full = run(LLVMBackend().compile(op_tape(op), CompileOptions()), columns, n)[0]
        assert np.any(bits(full) != results[0])  # it is another kernel


SINE_AND_COSINE = Tape(("x",), (), (Instr("sin", (0,)), Instr("cos", (0,))), (1, 2))


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_variants_of_sine_and_cosine_together(dtype, accuracy):
    columns = op_columns("sin", dtype)
    n = len(columns[0])
    kernels = list(variants(SINE_AND_COSINE, CompileOptions(dtype=dtype, accuracy=accuracy)))
    results = [bits(np.array(run(kernel, columns, n, dtype))) for kernel in kernels]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    if dtype == "f64":
        for kernel in kernels:
            alone = [kernel.scalar([x]) for x in columns[0].tolist()]
            np.testing.assert_array_equal(bits(np.array(alone).T), results[0])


def test_sine_and_cosine_have_their_own_bits_where_every_operation_is_to_be_rounded():
    x = np.random.default_rng(7).uniform(-9, 9, 2000)
    for backend in (LLVMBackend(), LLVMFastBackend()):
        both = run(backend.compile(SINE_AND_COSINE, CompileOptions(contract=False)), [x], len(x))
        for op, got in zip(("sin", "cos"), both, strict=True):
            np.testing.assert_array_equal(got, run(backend.compile(op_tape(op), CompileOptions()), [x], len(x))[0])


@pytest.mark.parametrize(
    "options", [CompileOptions(), CompileOptions(contract=False), CompileOptions(accuracy="4ulp")], ids=repr
)
@pytest.mark.parametrize("name", FORMULAS)
def test_variants_of_a_formula(name, options):
    case = FORMULAS[name]
    points = case.points(50)
    columns = [np.array(c) for c in zip(*points, strict=True)]
    kernels = list(variants(case.tape(), options))
    results = [bits(np.array(run(kernel, columns, len(points)))) for kernel in kernels]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("backend", [LLVMBackend, LLVMFastBackend])
@pytest.mark.parametrize("op", OPS)
def test_scalar_entry_as_batch(op, backend):
    kernel = backend().compile(op_tape(op), CompileOptions())
    columns = op_columns(op, "f64")
    batch = run(kernel, columns, len(columns[0]))[0]
    alone = [kernel.scalar(point) for point in zip(*[c.tolist() for c in columns], strict=True)]
    np.testing.assert_array_equal(bits(np.array(alone)), bits(batch))


EVERYTHING = Tape(
    ("x", "y"),
    (1.7, 7.0),
    (
        *(Instr("sin", (0,)), Instr("cos", (0,)), Instr("exp", (1,)), Instr("pow", (6, 2)), Instr("pow", (0, 3))),
        *(Instr("mul", (4, 5)), Instr("add", (9, 7)), Instr("log", (6,)), Instr("sub", (11, 8)), Instr("tanh", (1,))),
    ),
    (10, 12, 13),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", [LLVMBackend, LLVMFastBackend])
def test_length_stride_and_neighbours_do_not_matter(backend, dtype):
    kernel = backend().compile(EVERYTHING, CompileOptions(dtype=dtype))
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-3, 3, (2, 1200)).astype(DTYPES[dtype])
    x[777] = 1e10  # one lane of its block takes the exact path
    whole = bits(np.array(run(kernel, [x, y], 1200, dtype)))
    for start, n in [(0, 1), (3, 7), (777, 1), (776, 3), (11, 16), (500, 33), (40, 1111)]:
        part = [np.array(c[start : start + n]) for c in (x, y)]
        got = bits(np.array(run(kernel, part, n, dtype)))
        np.testing.assert_array_equal(got, whole[:, start : start + n])
    for step in (2, 3, -1, -5):
        part = [x[::step], y[::step]]
        n = len(part[0])
        wide = np.zeros((3, 2 * n), DTYPES[dtype])
        run(kernel, part, n, dtype, out=[row[::2] for row in wide])
        np.testing.assert_array_equal(bits(wide[:, ::2]), whole[:, ::step])


def test_repeated_values_are_as_columns():
    kernel = LLVMBackend().compile(EVERYTHING, CompileOptions())
    x = np.random.default_rng(6).uniform(-3, 3, 100)
    one = np.array([0.3])
    for n in (5, 16, 100):
        full = run(kernel, [x[:n].copy(), np.full(n, 0.3)], n)
        np.testing.assert_array_equal(run(kernel, [x[:n].copy(), np.broadcast_to(one, n)], n), full)
        np.testing.assert_array_equal(run(kernel, [x[::-1][:n], np.broadcast_to(one, n)], n)[2], full[2])
