"""The kernels of floats, against NumPy and the C library in doubles: floats of all bits, evenly spread."""

import math

import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.module_text import ModuleText
from alkahest_llvm.loading.kernel import LLVMKernel

# op: what computes it in doubles, and the bound in ulps of a float
FUNCTIONS = {
    "exp": (np.exp, 0.85),
    "log": (np.log, 0.9),
    "sin": (np.sin, 0.8),
    "cos": (np.cos, 0.8),
    "tan": (np.tan, 0.95),
    "atan": (np.arctan, 0.95),
    "tanh": (np.tanh, 1.0),
    "erf": (np.vectorize(math.erf), 0.9),
}
WIDTHS = (1, 4, 16, 32)


def ulps(got, want):
    """Return the distances of floats from doubles, in ulps of the nearest floats."""
    with np.errstate(over="ignore"):
        nearest = want.astype(np.float32)
    plain = np.isfinite(nearest)
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    with np.errstate(invalid="ignore"):
        distance = np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(nearest))
    return np.where(plain, distance, np.where(same, 0.0, np.inf))


def floats(n):
    """Return `n` floats, the same number from every binade."""
    return (np.arange(n, dtype=np.uint64) * 0x1_0000_0000 // n).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("op", FUNCTIONS)
def test_floats_of_all_bits(op, one_op, evaluate):
    exact, bound = FUNCTIONS[op]
    x = np.concatenate([floats(2**19 + 1), np.random.default_rng(41).uniform(-20, 20, 2**17).astype(np.float32)])
    got = evaluate(one_op(op, "x"), x, dtype="f32")[0]
    with np.errstate(all="ignore"):
        want = exact(x.astype(np.float64))
    errors = ulps(got, want)
    worst = int(np.argmax(errors))
    assert errors[worst] <= bound, x[worst]
    zeros = want == 0
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))


@pytest.mark.parametrize("span", [((0.1, 10), (-40, 40)), ((0.999, 1.001), (-9e4, 9e4)), ((1e-38, 1e-30), (-4, 4))])
def test_powers(span, one_op, evaluate):
    rng = np.random.default_rng(42)
    x, y = (rng.uniform(*s, 200_000).astype(np.float32) for s in span)
    got = evaluate(one_op("pow", "x", "y"), x, y, dtype="f32")[0]
    with np.errstate(all="ignore"):
        errors = ulps(got, x.astype(np.float64) ** y.astype(np.float64))
    assert errors.max() <= 0.55


def test_powers_of_any_bits(one_op, evaluate):
    rng = np.random.default_rng(43)
    x, y = rng.integers(0, 1 << 32, (2, 100_000), dtype=np.uint64).astype(np.uint32).view(np.float32)
    y = np.where(rng.uniform(0, 1, len(y)) < 0.5, y, np.round(rng.uniform(-5, 5, len(y))).astype(np.float32))
    got = evaluate(one_op("pow", "x", "y"), x, y, dtype="f32")[0]
    with np.errstate(all="ignore"):
        errors = ulps(got, x.astype(np.float64) ** y.astype(np.float64))
    assert errors.max() <= 0.55


@pytest.mark.parametrize("op", ["sin", "cos", "tan"])
def test_large_angles(op, one_op, evaluate):
    """Beyond 2^17 the doubles' kernels take over; the border lies between numbers of one block."""
    border = np.float32(2.0**17)
    x = np.array([border, np.nextafter(border, np.float32(0)), np.nextafter(border, np.float32(np.inf))] * 5)
    x = np.concatenate([x, -x, np.random.default_rng(44).uniform(-3e5, 3e5, 50_000)]).astype(np.float32)
    got = evaluate(one_op(op, "x"), x, dtype="f32")[0]
    assert ulps(got, FUNCTIONS[op][0](x.astype(np.float64))).max() <= FUNCTIONS[op][1]


SHARED = Tape(
    ("x",), (), (Instr("sin", (0,)), Instr("cos", (0,)), Instr("tanh", (1,)), Instr("pow", (3, 2))), (1, 2, 4)
)


def test_every_width_gives_the_same_bits(one_op):
    x = np.concatenate([floats(2001), np.random.default_rng(45).uniform(-9, 9, 999).astype(np.float32)])
    for tape in [SHARED, *[one_op(op, "x") for op in FUNCTIONS]]:
        results = [
            np.array(run(LLVMKernel(tape, CompileOptions(dtype="f32"), width=w, level=2, style=s), [x], len(x), "f32"))
            for w in WIDTHS
            for s in ("inline", "call")
        ]
        for other in results[1:]:
            same = (other.view(np.uint32) == results[0].view(np.uint32)) | (np.isnan(other) & np.isnan(results[0]))
            assert same.all()


def test_sine_and_cosine_together_have_the_bits_of_each(one_op, evaluate):
    x = np.random.default_rng(46).uniform(-2e5, 2e5, 5000).astype(np.float32)
    together = evaluate(SHARED, x, dtype="f32")
    np.testing.assert_array_equal(together[0], evaluate(one_op("sin", "x"), x, dtype="f32")[0])
    np.testing.assert_array_equal(together[1], evaluate(one_op("cos", "x"), x, dtype="f32")[0])


def test_usual_arguments_are_computed_in_floats():
    """Nothing is converted to doubles on the way, except in pow and for rare arguments."""
    for op in FUNCTIONS:
        builder = Builder(ModuleText("inline"), 8, real="float")
        builder.kernel(op, Value(builder, "float", "%x"))
        assert not [line for line in builder.lines if "double" in line], op


def test_integers_of_32_bits_are_written_as_llvm_reads_them():
    builder = Builder(ModuleText("inline"), 1)
    assert [builder.constant(n, "i32").ref for n in (5, -5, 0xFF800000)] == ["5", "-5", str(0xFF800000 - (1 << 32))]
