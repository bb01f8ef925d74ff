"""What mathematics says of the functions: symmetry, ranges, monotony; and arguments of any size for sine and cosine."""

from functools import cache

import mpmath
import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.vecmath.bounds import BOUNDS

TIERS = {"llvm": LLVMBackend, "llvm-fast": LLVMFastBackend}
MODES = ["1ulp", "4ulp"]
ODD = ["sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "cbrt", "erf", "x^3", "x^-1", "x^-3", "x^7"]
EVEN = ["cos", "cosh", "x^2", "x^4", "x^-2", "x^20"]
# name: least and greatest value
RANGES = {
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "erfc": (0.0, 2.0),
    "exp": (0.0, np.inf),
    "expm1": (-1.0, np.inf),
    "cosh": (1.0, np.inf),
    "acosh": (0.0, np.inf),
    "acos": (0.0, np.pi),
    "asin": (-np.pi / 2, np.pi / 2),
    "atan": (-np.pi / 2, np.pi / 2),
    "sqrt": (0.0, np.inf),
}
RISING = {
    "exp": (-745, 709),
    "expm1": (-40, 709),
    "log": (0, 1e300),
    "log2": (0, 4),
    "log10": (0, 4),
    "log1p": (-1, 10),
    "asin": (-1, 1),
    "atan": (-100, 100),
    "sinh": (-710, 710),
    "tanh": (-20, 20),
    "asinh": (-100, 100),
    "acosh": (1, 100),
    "atanh": (-1, 1),
    "cbrt": (-100, 100),
    "erf": (-6, 6),
    "sqrt": (0, 100),
    "gamma": (2, 171),
    "lgamma": (2, 1000),
    "digamma": (1e-3, 100),
}


@cache
def function(name, tier="llvm", accuracy="1ulp", dtype="f64"):
    """Return a function of arrays; `x^n` has a constant exponent."""
    op, _, exponent = name.partition("^")
    two = op in ("atan2", "hypot")
    inputs = ("x", "y") if two else ("x",)
    instr = Instr("pow", (0, 1)) if exponent else Instr(op, (0, 1) if two else (0,))
    consts = (float(exponent),) if exponent else ()
    tape = Tape(inputs, consts, (instr,), (len(inputs) + len(consts),))
    code = TIERS[tier]().compile(tape, CompileOptions(accuracy=accuracy, dtype=dtype))
    return lambda *columns: run(code, [np.ascontiguousarray(c) for c in columns], len(columns[0]), dtype)[0]


def numbers(n=4000):
    """Return numbers of every size, and of ordinary size."""
    rng = np.random.default_rng(11)
    bits = rng.integers(0, 1 << 64, n, dtype=np.uint64).view(np.float64)
    return np.concatenate([bits[np.isfinite(bits)], rng.uniform(-1, 1, n), rng.uniform(-30, 30, n), [0.0, np.inf]])


def assert_same(a, b):
    np.testing.assert_array_equal(a, b)
    known = ~np.isnan(a)
    np.testing.assert_array_equal(np.signbit(a[known]), np.signbit(b[known]))


@pytest.mark.parametrize("accuracy", MODES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ODD)
def test_odd_functions_are_exactly_odd(name, tier, accuracy):
    f, x = function(name, tier, accuracy), numbers()
    assert_same(f(-x), -f(x))


@pytest.mark.parametrize("accuracy", MODES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", EVEN)
def test_even_functions_are_exactly_even(name, tier, accuracy):
    f, x = function(name, tier, accuracy), numbers()
    assert_same(f(-x), f(x))


@pytest.mark.parametrize("tier", TIERS)
def test_symmetries_of_functions_of_two_arguments(tier):
    x = numbers()
    y = np.random.default_rng(12).permutation(x)
    hypot, atan2 = function("hypot", tier), function("atan2", tier)
    assert_same(hypot(x, y), hypot(y, x))
    assert_same(hypot(x, y), hypot(-x, y))
    assert_same(atan2(-x, y), -atan2(x, y))


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("accuracy", MODES)
@pytest.mark.parametrize("name", RANGES)
def test_results_stay_in_the_range(name, accuracy, dtype):
    real = {"f64": np.float64, "f32": np.float32}[dtype]
    with np.errstate(over="ignore"):
        x = numbers().astype(real)
    y = function(name, "llvm", accuracy, dtype)(x)
    y = y[~np.isnan(y)]
    low, high = (real(limit) for limit in RANGES[name])
    assert y.min() >= low
    assert y.max() <= high


@pytest.mark.parametrize("name", RISING)
def test_rising_functions_rise(name):
    x = np.sort(np.random.default_rng(13).uniform(*RISING[name], 20_000))
    y = function(name)(x)
    assert np.all(np.diff(y) >= -2 * BOUNDS[name].ulps * np.spacing(np.abs(y[1:])))
    assert y[-1] > y[0]


@pytest.mark.parametrize("accuracy", MODES)
def test_squares_of_sine_and_cosine_add_up_to_one(accuracy):
    x = numbers()[:-1]
    s, c = function("sin", accuracy=accuracy)(x), function("cos", accuracy=accuracy)(x)
    assert np.max(np.abs(s * s + c * c - 1)) <= 8 * 2.0**-53


# The last two come closest to a multiple of pi/2 among doubles (J.-M. Muller, "Elementary Functions", 2016, 11.3.2).
HUGE = (
    *(
        1.7976931348623157e308,
        -1.7976931348623157e308,
        1e300,
        -3e155,
        2.0**1023,
        1e22,
        2.0**53 + 2,
        1e16,
        2.0**31,
        1e10,
    ),
    *(1.0737418240000001e9, 6381956970095103 * 2.0**797, float.fromhex("0x1.6c6cbc45dc8dep+5")),
)


def exact(name, x):
    with mpmath.workprec(1300):
        return getattr(mpmath, name)(mpmath.mpf(x))


def ulps(got, want):
    with mpmath.workprec(200):
        return abs(mpmath.mpf(got) - want) / mpmath.mpf(2) ** (mpmath.frexp(want)[1] - 53)


@pytest.mark.parametrize("accuracy", MODES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_arguments(name, tier, accuracy):
    bound = BOUNDS[name].fast if accuracy == "4ulp" and BOUNDS[name].fast else BOUNDS[name].ulps
    got = function(name, tier, accuracy)(np.array(HUGE))
    for x, y in zip(HUGE, got.tolist(), strict=True):
        assert ulps(y, exact(name, x)) <= bound, x


@pytest.mark.parametrize("accuracy", MODES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_one_huge_argument_among_small_ones(name, tier, accuracy):
    f = function(name, tier, accuracy)
    usual = np.random.default_rng(14).uniform(-10, 10, 64)
    alone, huge = f(usual), f(np.array([HUGE[0]]))[0]
    for lane in range(32):
        x = usual.copy()
        x[lane] = HUGE[0]
        got = f(x)
        assert got[lane] == huge
        np.testing.assert_array_equal(np.delete(got, lane), np.delete(alone, lane))
