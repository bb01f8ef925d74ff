"""lgamma of negative numbers against mpmath: beside its zeros, where the result is tiny, and everywhere else.

The zeros are found here by mpmath, and from -2 to -60: most of them lie closer to a pole than any double.
"""

import math
import platform
from functools import cache

import mpmath
import numpy as np
import pytest

from alkahest.extend import CompileOptions
from alkahest.testing.suites import run
from alkahest_llvm import backend, targets
from alkahest_llvm.blocks import kernels
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.targets import Target
from alkahest_llvm.vecmath.bounds import BOUNDS

BOUND = BOUNDS["lgamma, x < 0"].ulps
BITS = 300
LAST_POLE = 60


def log_gamma(x):
    return mpmath.re(mpmath.loggamma(x))


@cache
def zeros():
    """Return pairs of a pole and the distance from it to a zero, negative for one on its left."""
    found = []
    with mpmath.workprec(BITS):
        for pole in range(2, LAST_POLE + 1):
            # Beside -2 there is a zero on the left only. |gamma| is 1 there, and falls away from the pole.
            for side in (-1, 1)[: 1 if pole == 2 else 2]:
                # gamma(-n + d) is about ±1/(n! d): where |gamma| is 1, n! d is about 1, the worse the smaller n is.
                near, far = mpmath.mpf(0), side * min(mpmath.mpf(3) / mpmath.factorial(pole), mpmath.mpf("0.5"))
                for _ in range(100):
                    middle = (near + far) / 2
                    near, far = (middle, far) if log_gamma(middle - pole) > 0 else (near, middle)
                found.append((pole, near))
    return found


def nearest():
    """Return the double next to each zero."""
    with mpmath.workprec(BITS):
        return np.unique([float(distance - pole) for pole, distance in zeros()])


def neighbours(steps):
    """Return the doubles up to so many steps from each zero, on both sides."""
    x = (nearest().view(np.int64)[:, None] + np.arange(-steps, steps + 1)).ravel().view(np.float64)
    return x[x != np.rint(x)]


def at_distances(rng):
    """Return numbers at distances of every order from each zero, up to that from the pole and, rarely, beyond."""
    x = []
    for pole, distance in zeros():
        size = abs(float(distance)) * 2.0 ** rng.uniform(-50, 2, 60)
        x.append(float(distance - pole) + np.minimum(size, 0.4) * rng.choice([-1.0, 1.0], 60))
    return np.concatenate(x)


def beside_poles(rng):
    pole = rng.integers(0, LAST_POLE, 2000).astype(float)
    return -pole + 2.0 ** rng.uniform(-60, -1, 2000) * rng.choice([-1.0, 1.0], 2000)


def far_away(rng):
    return -(10.0 ** rng.uniform(1, 15, 1500))


POINTS = {
    "the nearest doubles and their neighbours": lambda rng: neighbours(6),
    "distances of every order": at_distances,
    "between the first two zeros": lambda rng: rng.uniform(-2.85, -2.3, 1500),
    "between poles": lambda rng: rng.uniform(-60, 0, 2000),
    "beside poles": beside_poles,
    "far away": far_away,
}


def points(name):
    x = POINTS[name](np.random.default_rng(51))
    return x[(x < 0) & (x != np.rint(x))]


@pytest.mark.parametrize("name", POINTS)
def test_error_in_ulps_of_the_result(name, one_op, evaluate):
    x = points(name)
    assert len(x) > 500
    worst = (0.0, 0.0)
    with mpmath.workprec(BITS):
        for at, value in zip(x.tolist(), evaluate(one_op("lgamma", "x"), x)[0].tolist(), strict=True):
            exact = log_gamma(mpmath.mpf(at))
            step = mpmath.mpf(2) ** (mpmath.frexp(abs(exact))[1] - 53)
            worst = max(worst, (float(abs(mpmath.mpf(value) - exact) / step), at))
    assert worst[0] <= BOUND, worst


def test_results_beside_zeros_are_tiny_and_change_their_sign(one_op, evaluate):
    x = nearest()
    x = x[(x > -16) & (x != np.rint(x))]
    steps = x.view(np.int64)
    before, at, after = (evaluate(one_op("lgamma", "x"), (steps + k).view(np.float64))[0] for k in (-1, 0, 1))
    assert len(x) == 28
    assert (np.sign(before) == -np.sign(after)).all()
    assert (np.abs(at) <= np.minimum(np.abs(before), np.abs(after))).all()


def columns():
    """Return points beside zeros, each among ordinary arguments and also among its like."""
    rng = np.random.default_rng(52)
    x = np.concatenate([neighbours(2), rng.choice(at_distances(rng), 400), rng.uniform(-2.9, -2.3, 100)])
    mixed = np.concatenate([x, rng.uniform(-30, 30, len(x)), [-0.0, -1.0, -3.0, -math.inf, math.nan, -1e300]])
    return np.concatenate([x, rng.permutation(mixed)])


def assert_same_bits(found, wanted):
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(found), ~numbers)
    np.testing.assert_array_equal(found[numbers].view(np.uint64), wanted[numbers].view(np.uint64))


def test_every_width_and_tier_gives_the_same_bits(one_op, evaluate):
    x, tape = columns(), one_op("lgamma", "x")
    wanted = evaluate(tape, x)[0]
    for width in (1, 2, 4, 8, 16):
        kernel = LLVMKernel(tape, CompileOptions(), width=width, level=2, style="call")
        assert_same_bits(run(kernel, [x], len(x))[0], wanted)
    assert_same_bits(evaluate(tape, x, backend=LLVMFastBackend())[0], wanted)
    one_by_one = [evaluate(tape, [at])[0][0] for at in x[:20]]
    assert_same_bits(np.array(one_by_one), wanted[:20])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instruction sets of x86-64")
@pytest.mark.parametrize(("cpu", "lanes"), [("x86-64", 4), ("x86-64", 1), ("haswell", 8)])
def test_lesser_processors_give_the_same_bits(cpu, lanes, one_op, evaluate, monkeypatch):
    if targets.host_target().lanes < lanes:
        pytest.skip("this processor lacks AVX2")
    x, tape = columns(), one_op("lgamma", "x")
    wanted = evaluate(tape, x)[0]
    monkeypatch.setattr(targets, "instead", Target("host", cpu=cpu, lanes=lanes))
    monkeypatch.setattr(engine, "_engines", [])
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(kernels, "_sets", {})
    for tier in (backend.LLVMBackend(), LLVMFastBackend()):
        assert_same_bits(evaluate(tape, x, backend=tier)[0], wanted)
