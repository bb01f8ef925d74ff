"""The kernels of the error functions, the gamma family and the remainders, against mpmath and the definitions."""

import math
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape, lowering_rules
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.vecmath import LARGEST_POLYGAMMA_ORDER
from alkahest_llvm.vecmath.registry import KERNELS, find

INF, NAN = math.inf, math.nan
TINY = 5e-324


def log_gamma(x):
    return mpmath.re(mpmath.loggamma(x))


FUNCTIONS = {
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "gamma": mpmath.gamma,
    "lgamma": log_gamma,
    "digamma": mpmath.digamma,
}


def uniform(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def of_every_size(low, high, sign=1.0):
    """Return numbers whose decimal logarithm is uniform."""
    return lambda rng, n: sign * 10.0 ** rng.uniform(low, high, n)


def close_to(*centres):
    """Return numbers at distances of every order from these."""

    def draw(rng, n):
        return rng.choice(centres, n) + 10.0 ** rng.uniform(-16, -1, n) * rng.choice([-1.0, 1.0], n)

    return draw


def beside(*borders):
    """Return the numbers next to these, on both sides."""
    return lambda rng, n: np.array([b + k * math.ulp(b) for b in borders for k in range(-4, 5)])


def ulps(got, exact):
    """Return the distance between a double and an exact value in ulps of the double nearest to that."""
    nearest = float(exact)
    if not (math.isfinite(nearest) and math.isfinite(got)):
        return 0.0 if got == nearest or (math.isnan(got) and math.isnan(nearest)) else math.inf
    return float(abs(mpmath.mpf(got) - exact) / math.ulp(nearest))


# op, where, and the bound in ulps
CASES = [
    ("erf", uniform(-0.84375, 0.84375), 0.9),
    ("erf", uniform(0.8, 1.2), 0.9),
    ("erf", uniform(-7, 7), 0.85),
    ("erf", of_every_size(-323, 0), 0.8),
    ("erf", beside(0.84375, 1.0, 5.9, 6.0, 2.0**-1022), 0.9),
    ("erfc", uniform(-1, 1), 0.8),
    ("erfc", uniform(1, 10), 0.8),
    ("erfc", uniform(10, 26.5), 0.8),
    ("erfc", uniform(26.5, 27.3), 1.0),
    ("erfc", uniform(-7, 0), 0.7),
    ("erfc", of_every_size(-323, 0), 0.8),
    ("erfc", of_every_size(-323, 0, -1.0), 0.7),
    ("erfc", beside(4.0, 26.0, 26.54, 27.226), 1.0),
    ("gamma", uniform(0, 2), 0.7),
    ("gamma", uniform(2, 8), 0.7),
    ("gamma", uniform(8, 171.6), 0.7),
    ("gamma", uniform(-0.5, 0), 0.7),
    ("gamma", uniform(-20, -0.5), 0.7),
    ("gamma", uniform(-170, -20), 0.7),
    ("gamma", uniform(-184, -170), 1.0),
    ("gamma", of_every_size(-308, 0), 0.7),
    ("gamma", of_every_size(-308, 0, -1.0), 0.7),
    ("gamma", close_to(*range(-30, 25)), 0.7),
    ("gamma", close_to(*range(-170, -30)), 0.7),
    ("gamma", beside(0.5, 1.0, 1.5, 2.0, 2.5, 3.5, 7.5, 8.0, -0.5, -1.5, 171.62, 2.0**-60), 0.7),
    ("lgamma", uniform(0, 0.5), 0.7),
    ("lgamma", uniform(0.5, 2.5), 0.7),
    ("lgamma", close_to(1.0, 2.0), 0.7),
    ("lgamma", uniform(2.5, 8), 0.7),
    ("lgamma", uniform(8, 1000), 0.6),
    ("lgamma", of_every_size(3, 305.4), 0.6),
    ("lgamma", uniform(-2, 0), 0.7),
    ("lgamma", of_every_size(-323, 0), 0.7),
    ("lgamma", of_every_size(-323, 0, -1.0), 0.7),
    ("lgamma", uniform(-200, -6), 0.6),
    ("lgamma", close_to(*range(-200, -10)), 0.6),
    ("lgamma", beside(0.5, 1.0, 1.5, 2.0, 2.5, 4.5, 7.5, 8.0, 2.0**52, 2.0**53, 2.0**1000, 2.0**-60), 0.7),
    ("digamma", uniform(0, 3), 4.0),
    ("digamma", uniform(3, 20), 4.0),
    ("digamma", close_to(1.4616321449683622), 4.0),
    ("digamma", of_every_size(-300, 300), 4.0),
    ("digamma", beside(1.0, 2.0, 3.0, 7.0, 8.0, 2.0**-60), 4.0),
]


@pytest.mark.parametrize(("op", "draw", "bound"), CASES)
def test_error_in_ulps(op, draw, bound, one_op, evaluate):
    x = draw(np.random.default_rng(31), 400)
    x = x[(x > 0) | (x != np.rint(x)) | (op in ("erf", "erfc"))]  # poles have tests of their own
    got = evaluate(one_op(op, "x"), x)[0]
    with mpmath.workprec(200):
        errors = [(ulps(g, FUNCTIONS[op](mpmath.mpf(a))), a) for g, a in zip(got.tolist(), x.tolist(), strict=True)]
    assert max(errors)[0] <= bound, max(errors)


# (argument, value) pairs, as C99 Annex F and C23 have them where they speak of a function
SPECIAL = {
    "erf": [
        (0.0, 0.0),
        (-0.0, -0.0),
        (INF, 1.0),
        (-INF, -1.0),
        (NAN, NAN),
        (30.0, 1.0),
        (-1e300, -1.0),
        (-TINY, -TINY),
    ],
    "erfc": [(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN), (1e300, 0.0), (28.0, 0.0), (-30.0, 2.0)],
    "gamma": [
        *((0.0, INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (NAN, NAN), (-1.0, NAN), (-2.0, NAN), (-1e300, NAN)),
        *((171.7, INF), (1e300, INF), (TINY, INF), (-TINY, -INF), (-184.5, -0.0), (-185.5, 0.0), (-1e5 - 0.5, -0.0)),
    ],
    "lgamma": [
        *((0.0, INF), (-0.0, INF), (INF, INF), (-INF, INF), (NAN, NAN), (-1.0, INF), (-2.0, INF), (-1e300, INF)),
        *((1.0, 0.0), (2.0, 0.0), (2.6e305, INF), (1.7976931348623157e308, INF), (-(2.0**53), INF)),
    ],
    "digamma": [
        *((0.0, -INF), (-0.0, INF), (INF, INF), (-INF, NAN), (NAN, NAN), (-1.0, NAN), (-1e300, NAN)),
        *((TINY, -INF), (-TINY, INF)),
    ],
}


@pytest.mark.parametrize("op", SPECIAL)
def test_special_values(op, one_op, evaluate):
    got = evaluate(one_op(op, "x"), [x for x, _ in SPECIAL[op]])[0]
    for value, (x, want) in zip(got.tolist(), SPECIAL[op], strict=True):
        assert repr(value) == repr(want), x


def test_factorials(one_op, evaluate):
    """Those up to 22! are doubles and come out exactly, the others as the nearest double, or one beside it."""
    n = np.arange(1.0, 172.0)
    factorials = [math.factorial(int(k) - 1) for k in n]
    got = evaluate(one_op("gamma", "x"), n)[0].tolist()
    assert got[:23] == factorials[:23]
    assert all(ulps(g, mpmath.mpf(f)) <= 0.7 for g, f in zip(got, factorials, strict=True))


@pytest.mark.parametrize("op", ["erf", "erfc"])
def test_symmetry_of_the_error_functions(op, one_op, evaluate):
    x = np.random.default_rng(34).uniform(0, 28, 500)
    right, left = evaluate(one_op(op, "x"), x)[0], evaluate(one_op(op, "x"), -x)[0]
    if op == "erf":
        np.testing.assert_array_equal(left, -right)
    else:
        np.testing.assert_allclose(left, 2.0 - right, rtol=2.0**-52)


def test_no_kernel_is_left_to_the_c_library():
    assert find("erf").body is not None
    assert [name for name, kernel in KERNELS.items() if kernel.body is None] == []


# fmod and remainder

NUMBERS = [
    *(0.0, 0.5, 1.0, 1.5, 2.5, 3.0, TINY, 2 * TINY, 3 * TINY, 2.0**-1022, 2.0**-1022 - TINY, 1e-300, 0.1, 7e7),
    *(2.0**51, 2.0**51 + 0.5, 2.0**52 + 1, 2.0**53, 1e300, 1.7976931348623157e308, INF, NAN),
]


def exact_remainder(op, x, y):
    """Return what the definition gives, in rational numbers; C99 F.9.7 where there is no number."""
    if math.isnan(x) or math.isnan(y) or math.isinf(x) or y == 0:
        return NAN
    if math.isinf(y):
        return x
    a, b = Fraction(x), Fraction(y)
    n = math.trunc(a / b) if op == "fmod" else round(a / b)
    return math.copysign(float(a - n * b), x if a == n * b else float(a - n * b))


def pairs_of_any_bits(rng, n):
    x, y = rng.integers(0, 1 << 64, (2, n), dtype=np.uint64).view(np.float64)
    return x[np.isfinite(x) & np.isfinite(y)], y[np.isfinite(x) & np.isfinite(y)]


def halfway(rng, n):
    """Return odd multiples of half of numbers of 40 bits, which are exact."""
    y = rng.integers(1, 1 << 40, n) * 2.0 ** rng.integers(-1000, 900, n)
    return (rng.integers(-1000, 1000, n) + 0.5) * y, y


def subnormal(rng, n):
    return rng.integers(0, 1 << 56, n).view(np.float64), rng.integers(1, 1 << 12, n).view(np.float64)


def whole(rng, n):
    return rng.integers(-60, 60, n).astype(float), rng.integers(1, 9, n) * rng.choice([-1.0, 1.0], n)


def quotients_of(low, high):
    """Return pairs whose quotient has between 2^low and 2^high."""

    def draw(rng, n):
        y = rng.uniform(1, 2, n) * 2.0 ** rng.integers(-500, 100, n)
        return y * 2.0 ** rng.uniform(low, high, n) * rng.choice([-1.0, 1.0], n), y

    return draw


def every_pair(rng, n):
    signed = [s * x for x in NUMBERS for s in (1.0, -1.0)]
    return tuple(np.array(list(product(signed, signed))).T)


REMAINDERS = [pairs_of_any_bits, halfway, subnormal, whole, quotients_of(-3, 51), quotients_of(50, 54), every_pair]


@pytest.mark.parametrize("draw", REMAINDERS)
@pytest.mark.parametrize("op", ["fmod", "remainder"])
def test_remainders_are_exact(op, draw, one_op, evaluate):
    x, y = draw(np.random.default_rng(35), 600)
    got = evaluate(one_op(op, "x", "y"), x, y)[0]
    for value, *at in zip(got.tolist(), x.tolist(), y.tolist(), strict=True):
        assert repr(value) == repr(exact_remainder(op, *at)), at


# polygamma


def kernel_of(name, monkeypatch, **layout):
    """Return the compiled kernel of this name, as a tape of one op whose rule calls it."""
    LLVMBackend().refuses(Tape((), (), (), ()))
    table = lowering_rules("llvm")
    monkeypatch.setattr(table, "_by_name", {**table._by_name, "tested": lambda b, x: b.kernel(name, x)})
    tape = Tape(("x",), (), (Instr("tested", (0,)),), (1,))
    if layout:
        return LLVMKernel(tape, CompileOptions(), **layout)
    return LLVMBackend().compile(tape, CompileOptions())


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7, 12, LARGEST_POLYGAMMA_ORDER])
def test_polygamma(order, monkeypatch):
    kernel = kernel_of(f"polygamma{order}", monkeypatch)
    rng = np.random.default_rng(order)
    x = np.concatenate([rng.uniform(*span, 60) for span in ((1e-3, 1), (0.3, 5), (5, 30), (30, 1e4), (-20, -0.01))])
    with mpmath.workprec(200):
        for at, value in zip(x.tolist(), run(kernel, [x], len(x))[0].tolist(), strict=True):
            exact = mpmath.psi(order, mpmath.mpf(at))
            scale, bound = abs(exact), 4
            if at < 0:  # the two parts of the reflection formula may cancel
                scale, bound = abs(exact) + abs(mpmath.psi(order, 1 - mpmath.mpf(at))), 2 * order + 4
            assert abs(value - exact) <= bound * scale * 2.0**-52, at


@pytest.mark.parametrize("order", [1, 2, 9, 10])
def test_polygamma_at_its_poles_and_beyond(order, monkeypatch):
    kernel = kernel_of(f"polygamma{order}", monkeypatch)
    pole = INF if order % 2 else NAN
    x = np.array([0.0, -0.0, -1.0, -7.0, -(2.0**60), INF, -INF, NAN, 1e-300])
    got = run(kernel, [x], len(x))[0].tolist()
    want = [*[pole] * 5, 0.0, NAN, NAN, INF if order % 2 else -INF]
    assert repr(got) == repr(want)


@pytest.mark.parametrize("name", ["polygamma4", "polygamma17", "gamma", "lgamma", "digamma", "erf", "erfc"])
def test_every_width_gives_the_same_bits(name, monkeypatch):
    x = np.random.default_rng(36).uniform(-30, 30, 64)
    found = [run(kernel_of(name, monkeypatch, width=w, level=2, style="call"), [x], 64)[0] for w in (1, 2, 4, 8, 16)]
    for other in found[1:]:
        np.testing.assert_array_equal(other.view(np.uint64), found[0].view(np.uint64))
