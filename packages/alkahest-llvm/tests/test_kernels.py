"""Math kernels beside those of the primitives: sine and cosine together, and the faster ones."""

import mpmath
import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm.emitting import lowering
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.vecmath.fast import FAST_KERNELS

WIDTHS = (1, 8, 16)
OUT_OF_RANGE = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 2.0**26, 1e22, 5e-324, -1e-310, 709.5, -745.0]


@pytest.fixture
def evaluate(monkeypatch):
    """A function that evaluates one result of a kernel at the numbers of an array."""

    def evaluate_kernel(name, x, width=8, result=0):
        monkeypatch.setitem(lowering.INTERNAL, "kernel", lambda b, v: b.kernels(name, v)[result])
        tape = Tape(("x",), (), (Instr("kernel", (0,)),), (1,))
        kernel = LLVMKernel(tape, CompileOptions(), width=width, level=1, style="inline")
        return run(kernel, [x], len(x))[0]

    return evaluate_kernel


def bits(values):
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def largest_ulps(values, function, x):
    """Return the largest distance from the exact values, in ulps of the doubles nearest to them."""
    with mpmath.workprec(160):
        exact = [function(mpmath.mpf(at)) for at in x.tolist()]
        distances = [abs(mpmath.mpf(v) - e) for v, e in zip(values.tolist(), exact, strict=True)]
        return max(float(d / mpmath.mpf(np.spacing(abs(float(e))))) for d, e in zip(distances, exact, strict=True))


def test_sine_and_cosine_together(evaluate):
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(-10, 10, 1500), rng.uniform(-6e7, 6e7, 300), 10.0 ** rng.uniform(8, 300, 200)])
    x = np.concatenate([x, np.pi / 2 * rng.integers(1, 2**25, 300)])
    assert largest_ulps(evaluate("sincos_pair", x), mpmath.sin, x) < 0.85
    assert largest_ulps(evaluate("sincos_pair", x, result=1), mpmath.cos, x) < 0.85
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(evaluate("sincos_pair", special), [0.0, 0.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(np.signbit(evaluate("sincos_pair", special)[:2]), [False, True])
    np.testing.assert_array_equal(evaluate("sincos_pair", special, result=1), [1.0, 1.0, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("name", ["sincos_pair", *FAST_KERNELS.values()])
def test_neighbours_and_widths_do_not_matter(name, evaluate):
    rng = np.random.default_rng(3)
    usual = rng.uniform(0.1, 3, 400)
    mixed = usual.copy()
    mixed[::7] = np.resize(OUT_OF_RANGE, len(mixed[::7]))
    kept = np.arange(len(usual)) % 7 != 0
    alone = evaluate(name, usual)
    for width in WIDTHS:
        together = evaluate(name, mixed, width)
        np.testing.assert_array_equal(together[kept], alone[kept])
        np.testing.assert_array_equal(bits(together), bits(evaluate(name, mixed, 4)))


@pytest.mark.parametrize("name", FAST_KERNELS)
def test_faster_kernels_take_special_arguments_as_the_others(name, evaluate):
    x = np.array(OUT_OF_RANGE[:7])
    fast, full = evaluate(FAST_KERNELS[name], x), evaluate(name, x)
    certain = ~np.isfinite(x) | (x == 0) | ~np.isfinite(full)
    np.testing.assert_array_equal(fast[certain], full[certain])
    np.testing.assert_array_equal(np.signbit(fast[full == 0]), np.signbit(full[full == 0]))


@pytest.mark.parametrize("name", FAST_KERNELS)
def test_faster_kernels_are_within_four_ulps(name, evaluate):
    rng = np.random.default_rng(4)
    positive = name.startswith("log")
    x = np.concatenate([rng.uniform(0.01 if positive else -12, 12, 1500), 10.0 ** rng.uniform(-300, 2, 500)])
    function = {"log2": lambda v: mpmath.log(v) / mpmath.ln2}.get(name, getattr(mpmath, name, None))
    assert largest_ulps(evaluate(FAST_KERNELS[name], x), function, x) < 4
