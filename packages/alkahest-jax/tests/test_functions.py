"""The rules, one by one, as XLA computes them: errors in ulps against mpmath, exact ones against exact arithmetic."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_jax.backend import XlaBackend

POINTS = 300
NORMAL = {"f64": (2.3e-308, 1.79e308), "f32": (1.2e-38, 3.4e38)}

# How far each function may be off, in ulps of float64 and of float32, and the intervals this holds on. Near a zero of
# lgamma and digamma the error counts against 1.
LIMITS = {
    "exp": (2, 2, [(-700, 700), (-1, 1)]),
    "expm1": (4, 5, [(-30, 30), (-0.5, 0.5)]),
    "log": (1, 2, [(0, 5), (0.9, 1.1), (1e300, 1e308)]),
    "log1p": (3, 1, [(-1, 5), (-0.5, -0.3), (-0.1, 0.1)]),
    "log2": (2, 3, [(0, 5), (0.9, 1.1)]),
    "log10": (2, 3, [(0, 5), (0.9, 1.1)]),
    "sqrt": (0.51, 0.51, [(0, 5)]),
    "cbrt": (1, 0.51, [(-5, 5), (-1e300, 1e300)]),
    "sin": (1, 1, [(-4, 4), (-1e5, 1e5), (-1e15, 1e15)]),
    "cos": (1, 1, [(-4, 4), (-1e5, 1e5), (-1e15, 1e15)]),
    "tan": (1, 1, [(-1.5, 1.5), (-1e5, 1e5)]),
    "asin": (2, 2, [(-1, 1), (-0.001, 0.001)]),
    "acos": (2, 2, [(-1, 1), (0.99, 1)]),
    "atan": (1, 1, [(-5, 5), (-1e10, 1e10)]),
    "sinh": (4, 1, [(-5, 5), (-0.1, 0.1), (695, 710)]),
    "cosh": (4, 1, [(-5, 5), (695, 710)]),
    "tanh": (4, 4, [(-5, 5), (-0.1, 0.1)]),
    "asinh": (3, 3, [(-5, 5), (-0.1, 0.1), (-1e200, 1e200)]),
    "acosh": (3, 3, [(1, 5), (1, 1.001)]),
    "atanh": (3, 1, [(-1, 1), (-0.1, 0.1)]),
    "erf": (2, 5, [(-4, 4), (-0.1, 0.1)]),
    "erfc": (12, 1, [(-3, 3), (1, 5), (5, 26)]),
    "gamma": (10, 1, [(0.1, 5), (5, 171), (-5, 0), (-50, -5), (-170, -100)]),
    "lgamma": (24, 1, [(0.1, 5), (5, 1000), (-5, 0)]),
    "digamma": (24, 1, [(0.1, 5), (5, 1000), (-5, 0)]),
}
EXACT = {
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
}


def applied(op, *columns, constants=(), dtype="f64"):
    """Return one primitive at columns, its leading arguments being constants of the tape."""
    n_in, n_const = len(columns), len(constants)
    args = (*range(n_in, n_in + n_const), *range(n_in))
    tape = Tape(tuple("xyz"[:n_in]), tuple(constants), (Instr(op, args),), (n_in + n_const,))
    backend = XlaBackend()
    assert backend.refuses(tape) == ""
    kernel = backend.compile(tape, CompileOptions(dtype=dtype))
    kind = {"f64": "float64", "f32": "float32"}[dtype]
    return run(kernel, [np.asarray(c, kind) for c in columns], len(columns[0]), dtype)[0]


def worst_error(xs, got, exact, dtype="f64", floor=0.0):
    """Return the largest error in ulps where the exact value is a normal number, errors counting against `floor`."""
    smallest, largest = NORMAL[dtype]
    kind = {"f64": np.float64, "f32": np.float32}[dtype]
    errors = []
    with mpmath.workprec(200):
        for x, value in zip(xs, got, strict=True):
            want = exact(mpmath.mpf(float(x)))
            if smallest < abs(want) < largest:
                ulp = float(np.spacing(max(kind(abs(float(want))), kind(floor))))
                errors.append(float(abs(mpmath.mpf(float(value)) - want) / ulp))
    assert len(errors) > 30
    return max(errors)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("op", LIMITS)
def test_error_against_mpmath(op, dtype):
    in_double, in_single, intervals = LIMITS[op]
    draw = np.random.default_rng(11)
    for low, high in intervals:
        if dtype == "f32":
            low, high = max(low, -80.0), min(high, 80.0)
        if low >= high:
            continue
        xs = draw.uniform(low, high, POINTS).astype({"f64": "float64", "f32": "float32"}[dtype])
        exact = EXACT.get(op) or getattr(mpmath, op)
        floor = 1.0 if op in ("lgamma", "digamma") else 0.0
        error = worst_error(xs, applied(op, xs, dtype=dtype), exact, dtype, floor)
        assert error <= (in_double if dtype == "f64" else in_single), (low, high)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 8])
def test_polygamma_of_a_constant_order(order):
    draw = np.random.default_rng(5)
    for low, high in ((0.1, 5.0), (5.0, 1000.0), (-5.0, -1e-3), (-50.0, -5.0)):
        xs = draw.uniform(low, high, POINTS)
        got = applied("polygamma", xs, constants=(float(order),))
        # on the left even orders have zeros, near which the reflection cancels
        floor = 0.0 if order % 2 or (low > 0 and order) else 10.0 ** (order + 1)
        assert worst_error(xs, got, lambda x: mpmath.psi(order, x), floor=floor) <= 24


def test_polygamma_where_it_has_no_value():
    xs = [0.0, -2.0, math.inf, -math.inf, math.nan]
    np.testing.assert_array_equal(
        applied("polygamma", xs, constants=(1.0,)), [math.inf, math.inf, 0.0, *[math.nan] * 2]
    )
    np.testing.assert_array_equal(
        applied("polygamma", xs, constants=(2.0,)), [math.nan, math.nan, 0.0, *[math.nan] * 2]
    )
    assert np.isnan(applied("polygamma", [1.0, 2.0], constants=(1.5,))).all()


def test_logarithms_are_exact_at_powers_of_their_base():
    twos, tens = np.arange(-1022, 1024), np.arange(0, 23)
    np.testing.assert_array_equal(applied("log2", np.ldexp(1.0, twos)), twos)
    np.testing.assert_array_equal(applied("log10", 10.0**tens), tens)


def test_gamma_of_integers():
    n = np.arange(1, 171)
    want = [float(math.factorial(k - 1)) for k in n]
    np.testing.assert_allclose(applied("gamma", n), want, rtol=2e-15)
    np.testing.assert_array_equal(applied("gamma", n[:16]), want[:16])


def numbers_with_all_exponents(draw, n, low, high):
    return draw.choice([-1.0, 1.0], n) * np.ldexp(draw.uniform(1.0, 2.0, n), draw.integers(low, high, n))


def rounded_once(a, b, c):
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def test_fma_is_rounded_once():
    draw = np.random.default_rng(3)
    n = 3000
    a, b = (numbers_with_all_exponents(draw, n, -440, 440) for _ in "ab")
    c = a * b * np.ldexp(draw.uniform(-2.0, 2.0, n), draw.integers(-130, 130, n))
    c[:600] = -(a * b)[:600]  # what remains is the rounding error of the product
    a[600:900], b[600:900] = 1 + draw.integers(1, 50, (2, 300)) * 2.0**-52  # halfway cases
    c[600:900] = draw.choice([-1.0, 1.0], 300) * np.ldexp(1.0, draw.integers(-110, 4, 300))
    c[900] = 0.0
    assert_rounded_once(a, b, c)


def test_fma_up_to_the_ends_of_the_range():
    draw = np.random.default_rng(8)
    assert_rounded_once(*[numbers_with_all_exponents(draw, 2000, -1022, 1024) for _ in "abc"])
    a, b = (numbers_with_all_exponents(draw, 1000, 500, 530) for _ in "ab")
    assert_rounded_once(a, b, -numbers_with_all_exponents(draw, 1000, 990, 1024))


def assert_rounded_once(a, b, c):
    want = np.array([rounded_once(*abc) for abc in zip(a, b, c, strict=True)])
    normal = (np.abs(want) >= 2.3e-308) | (want == 0)
    assert normal.sum() > 0.7 * len(a)
    np.testing.assert_array_equal(applied("fma", a, b, c)[normal], want[normal])


def test_fma_in_single_precision_is_rounded_once():
    draw = np.random.default_rng(4)
    n = 3000
    a, b = (numbers_with_all_exponents(draw, n, -30, 30).astype("f4") for _ in "ab")
    c = (a.astype("f8") * b * np.ldexp(draw.uniform(-2.0, 2.0, n), draw.integers(-60, 30, n))).astype("f4")
    c[:600] = -(a * b)[:600]
    want = [
        rounded_to_single(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))
        for x, y, z in zip(a, b, c, strict=True)
    ]
    np.testing.assert_array_equal(applied("fma", a, b, c, dtype="f32"), np.array(want, "f4"))


def rounded_to_single(exact):
    """Return an exact number of moderate size rounded to 24 bits, halves to even."""
    if exact == 0:
        return 0.0
    e = math.frexp(float(exact))[1] - 24
    return math.ldexp(round(exact / Fraction(2) ** e), e)


def test_remainder_is_that_of_the_c_library():
    draw = np.random.default_rng(6)
    a, b = (numbers_with_all_exponents(draw, 3000, -300, 300) for _ in "ab")
    a[:1000] = b[:1000] * draw.integers(-40, 40, 1000) * 0.5  # multiples and halfway cases
    a[1000:1500] = b[1000:1500] * draw.uniform(-1e6, 1e6, 500)
    b[-1], a[-1] = 1.7e308, 1.2e308
    want = [math.remainder(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_array_equal(applied("remainder", a, b), want)
