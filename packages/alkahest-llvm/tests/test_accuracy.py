"""Errors of the functions in ulps, against mpmath, at a few thousand points each.

`benchmarks/accuracy.py` measures at ten million and more, against MPFR; both hold the functions to the bounds that
`vecmath/bounds.py` documents. `ALKAHEST_ULP_POINTS=200000` measures with more points here, and prints what it finds.
"""

import math
import os
import sys

import mpmath
import numpy as np
import pytest

from alkahest.extend import Instr, Tape
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.emitting.builder import round_to_single
from alkahest_llvm.vecmath import LARGEST_POLYGAMMA_ORDER
from alkahest_llvm.vecmath.bounds import BOUNDS

FORMATS = {"f64": (53, -1074, 1024), "f32": (24, -149, 128)}  # digits, exponents of the least number and of 2^k beyond
POINTS = int(os.environ.get("ALKAHEST_ULP_POINTS", "6000"))


def uniform(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def powers(low, high, *, signs=True):
    """Return numbers whose decimal logarithm is uniform."""

    def draw(rng, n):
        x = 10.0 ** rng.uniform(low, high, n)
        return x * rng.choice([-1.0, 1.0], n) if signs else x

    return draw


def near_multiples(step, limit):
    """Return the doubles nearest to multiples of `step`, where reduced arguments are smallest."""

    def draw(rng, n):
        with mpmath.workprec(200):
            unit = mpmath.mpf(step())
            return np.array([float(unit * int(k)) for k in rng.integers(1, limit, n // 10)])

    return draw


def near_one(side):
    """Return numbers next to one, above or below it, at distances of every order."""
    return lambda rng, n: 1.0 + side * 10.0 ** rng.uniform(-16, 0, n)


def any_bits(rng, n):
    """Return finite doubles with random bits."""
    x = rng.integers(0, 1 << 64, n, dtype=np.uint64).view(np.float64)
    return x[np.isfinite(x)]


def between_whole_numbers(low, high):
    """Return numbers of a range that are no whole ones."""

    def draw(rng, n):
        x = rng.uniform(low, high, n)
        return x[np.floor(x) != x]

    return draw


def half_pi():
    return mpmath.pi / 2


def log_of_gamma(x):
    return mpmath.re(mpmath.loggamma(x)) if x > 0 else mpmath.log(abs(mpmath.gamma(x)))


ANGLES = [uniform(-10, 10), powers(-300, 9), any_bits, near_multiples(half_pi, 2**30), near_multiples(half_pi, 2**62)]
POSITIVE = [uniform(0, 4), uniform(0.98, 1.02), powers(-323, 308, signs=False)]
SMALL = [uniform(-3, 3), powers(-300, 2.8)]

# Name in BOUNDS: mpmath's function, where to sample.
FUNCTIONS = {
    "exp": (mpmath.exp, [uniform(-1, 1), uniform(-708, 709.7), uniform(-745, -708), powers(-300, 2.8)]),
    "expm1": (mpmath.expm1, [uniform(-1, 1), uniform(-45, 709.7), powers(-300, 2.8)]),
    "log": (mpmath.log, POSITIVE),
    "log2": (lambda x: mpmath.log(x) / mpmath.ln2, POSITIVE),
    "log10": (mpmath.log10, POSITIVE),
    "log1p": (mpmath.log1p, [uniform(-0.999, 3), powers(-300, 308, signs=False), powers(-300, -0.1)]),
    "sqrt": (mpmath.sqrt, POSITIVE),
    "sin": (mpmath.sin, ANGLES),
    "cos": (mpmath.cos, ANGLES),
    "tan": (mpmath.tan, ANGLES),
    "asin": (mpmath.asin, [uniform(-1, 1), powers(-300, 0)]),
    "acos": (mpmath.acos, [uniform(-1, 1), powers(-300, 0), near_one(-1.0)]),
    "atan": (mpmath.atan, [uniform(-3, 3), powers(-300, 300)]),
    "sinh": (mpmath.sinh, [*SMALL, uniform(-710.4, 710.4)]),
    "cosh": (mpmath.cosh, [*SMALL, uniform(-710.4, 710.4)]),
    "tanh": (mpmath.tanh, [*SMALL, uniform(-25, 25)]),
    "asinh": (mpmath.asinh, [uniform(-3, 3), powers(-300, 300)]),
    "acosh": (mpmath.acosh, [uniform(1, 3), powers(0, 300, signs=False), near_one(1.0)]),
    "atanh": (mpmath.atanh, [uniform(-1, 1), powers(-300, 0), near_one(-1.0)]),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), [uniform(-5, 5), powers(-323, 308)]),
    "erf": (mpmath.erf, [*SMALL, uniform(-6.5, 6.5)]),
    "erfc": (mpmath.erfc, [*SMALL, uniform(-6.5, 27.2), uniform(25, 27.2)]),
    "gamma": (mpmath.gamma, [uniform(0, 20), uniform(0, 171.6), between_whole_numbers(-180, 0), powers(-307, -1)]),
    "lgamma": (log_of_gamma, [uniform(0, 3), uniform(0, 30), near_one(1.0), powers(-300, 300, signs=False)]),
    "lgamma, x < 0": (log_of_gamma, [between_whole_numbers(-3, -2), between_whole_numbers(-40, 0)]),
    "digamma": (mpmath.digamma, [uniform(0, 3), uniform(1.4, 1.5), uniform(0, 30), powers(-300, 300, signs=False)]),
    "digamma, x < 0": (mpmath.digamma, [between_whole_numbers(-3, 0), between_whole_numbers(-40, 0)]),
}
POWERS = {
    "anything": (uniform(0.1, 10), uniform(-10, 10)),
    "near one": (uniform(0.999, 1.001), uniform(-7e5, 7e5)),
    "large and small": (powers(-300, 300, signs=False), uniform(-1.02, 1.02)),
    "subnormal": (powers(-10, 10, signs=False), uniform(-32, 32)),
    "of subnormal": (powers(-323, -308, signs=False), uniform(-1, 1)),
    "of negative": (uniform(-10, 0), lambda rng, n: rng.integers(-20, 20, n).astype(float)),
}
PLANES = {
    "anywhere": (uniform(-2, 2), uniform(-2, 2)),
    "of any size": (powers(-307, 307), powers(-307, 307)),
    "of one size": (any_bits, None),
    "near the diagonal": (uniform(0.99, 1.01), uniform(0.99, 1.01)),
    "large": (powers(300, 308.2), powers(280, 308.2)),
    "subnormal": (powers(-323, -305), powers(-323, -300)),
}
EXPONENTS = [name for name in BOUNDS if name.startswith("x^")]


def ulps(got, exact, dtype="f64", unit=0.0):
    """Return the distance of a number from an exact value in ulps of that; 2^1024, or 2^128, stands for infinity."""
    digits, least, beyond = FORMATS[dtype]
    limit = mpmath.mpf(2) ** beyond
    exact = mpmath.sign(exact) * min(abs(exact), limit)
    if math.isinf(got):
        got = math.copysign(1.0, got) * limit
    elif abs(exact) == limit:
        return math.inf
    size = max(abs(exact), unit)
    exponent = max(mpmath.frexp(size)[1] - digits, least) if size else least
    return float(abs(got - exact) / mpmath.mpf(2) ** exponent)


def check(name, columns, got, exact, capsys, accuracy="1ulp", dtype="f64"):
    """Compare results with the bounds of a function, for normal and for subnormal results."""
    digits, least, _ = FORMATS[dtype]
    worst = {True: (0.0, None), False: (0.0, None)}
    with mpmath.workprec(140):
        for value, *at in zip(got.tolist(), *[c.tolist() for c in columns], strict=True):
            want = exact(*map(mpmath.mpf, at))
            normal = abs(want) >= mpmath.mpf(2) ** (least + digits - 1)
            error = ulps(value, want, dtype, BOUNDS[name].unit)
            worst[normal] = max(worst[normal], (error, at), key=lambda pair: pair[0])
    if "ALKAHEST_ULP_POINTS" in os.environ:
        with capsys.disabled():
            sys.stdout.write(f"\n{name} {accuracy} {dtype}: {worst}")
    for normal, (error, at) in worst.items():
        assert error <= BOUNDS[name].largest(normal=normal, accuracy=accuracy, dtype=dtype), at


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_against_mpmath(name, accuracy, one_op, evaluate, capsys):
    exact, ranges = FUNCTIONS[name]
    rng = np.random.default_rng(17)
    points = POINTS if accuracy == "1ulp" else POINTS // 4
    x = np.concatenate([draw(rng, points // len(ranges)) for draw in ranges])
    check(name, [x], evaluate(one_op(name.partition(",")[0], "x"), x, accuracy=accuracy)[0], exact, capsys, accuracy)


@pytest.mark.parametrize("op", ["hypot", "atan2"])
@pytest.mark.parametrize("case", PLANES)
def test_functions_of_the_plane_against_mpmath(op, case, one_op, evaluate, capsys):
    rng = np.random.default_rng(23)
    first, second = PLANES[case]
    x = first(rng, POINTS // 6)
    with np.errstate(over="ignore"):
        y = x * rng.uniform(-3, 3, len(x)) if second is None else second(rng, POINTS // 6)
        fits = np.isfinite(y) & np.isfinite(2 * np.maximum(abs(x), abs(y)))
    x, y = x[fits], y[fits]
    check(op, [x, y], evaluate(one_op(op, "x", "y"), x, y)[0], getattr(mpmath, op), capsys)


@pytest.mark.parametrize("case", POWERS)
def test_pow_against_mpmath(case, one_op, evaluate, capsys):
    rng = np.random.default_rng(18)
    x, y = (draw(rng, POINTS // 3) for draw in POWERS[case])
    check("pow", [x, y], evaluate(one_op("pow", "x", "y"), x, y)[0], mpmath.power, capsys)


@pytest.mark.parametrize("name", EXPONENTS)
def test_power_with_a_constant_exponent_against_mpmath(name, one_op, evaluate, capsys):
    exponent = float(name[2:])
    rng = np.random.default_rng(19)
    most = 307 / max(abs(exponent), 1)
    small = np.clip(rng.uniform(-1080, -1010, POINTS // 6) / exponent, -1022, 1023)  # logarithms of small results
    x = np.concatenate(
        [rng.uniform(0.01, 3, POINTS // 6), 10.0 ** rng.uniform(-most, most, POINTS // 6), 2.0**small],
    )
    x = x if exponent % 1 else x * rng.choice([-1.0, 1.0], len(x))
    check(name, [x], evaluate(one_op("pow", "x", exponent), x)[0], lambda v: v ** mpmath.mpf(exponent), capsys)


@pytest.mark.parametrize("op", ["fmod", "remainder"])
@pytest.mark.parametrize("case", ["anywhere", "of any size", "of one size", "subnormal"])
def test_rests_of_divisions_are_exact(op, case, one_op, evaluate):
    rng = np.random.default_rng(24)
    first, second = PLANES[case]
    x = first(rng, 600)
    with np.errstate(over="ignore", under="ignore"):
        y = x * rng.uniform(-1e-3, 1e-3, len(x)) if second is None else second(rng, 600)
    x, y = x[y != 0], y[y != 0]
    want = [getattr(math, op)(*at) for at in zip(x.tolist(), y.tolist(), strict=True)]
    np.testing.assert_array_equal(evaluate(one_op(op, "x", "y"), x, y)[0], want)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_in_single_precision_against_mpmath(name, one_op, evaluate, capsys):
    exact, ranges = FUNCTIONS[name]
    rng = np.random.default_rng(21)
    with np.errstate(over="ignore", under="ignore"):
        x = np.concatenate([draw(rng, POINTS // 4 // len(ranges)) for draw in ranges]).astype(np.float32)
    tape = one_op(name.partition(",")[0], "x")
    x = x[np.isfinite(evaluate(tape, x)[0])]  # rounding leads to poles, and out of domains
    check(name, [x], evaluate(tape, x, dtype="f32")[0], exact, capsys, dtype="f32")


@pytest.mark.parametrize("case", ["anything", "near one", "of negative"])
def test_pow_in_single_precision_against_mpmath(case, one_op, evaluate, capsys):
    rng = np.random.default_rng(25)
    x, y = (draw(rng, POINTS // 6).astype(np.float32) for draw in POWERS[case])
    check("pow", [x, y], evaluate(one_op("pow", "x", "y"), x, y, dtype="f32")[0], mpmath.power, capsys, dtype="f32")


def test_round_to_single_is_what_numpy_does():
    for x in (0.1, 1e300, -1e300, 1e-46, 3.4028235677973366e38):
        with np.errstate(over="ignore"):
            assert round_to_single(x) == float(np.float32(x))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 12, 23, LARGEST_POLYGAMMA_ORDER])
def test_polygamma_of_constant_orders_against_mpmath(order, evaluate, capsys):
    tape = Tape(("x",), (float(order),), (Instr("polygamma", (1, 0)),), (2,))
    rng = np.random.default_rng(order)
    x = np.concatenate([rng.uniform(*span, 100) for span in ((1e-3, 1), (0.3, 5), (5, 30), (30, 1e4))])
    x = np.concatenate([x, 10.0 ** rng.uniform(-308 / (order + 1), min(330 / order, 308), 200)])
    name = f"polygamma {order}" if order <= 3 else "polygamma 30"  # one bound for all higher orders
    check(name, [x], evaluate(tape, x)[0], lambda v: mpmath.psi(order, v), capsys)
    x = -rng.uniform(0.01, 20, 200)
    with mpmath.workprec(200):
        for at, value in zip(x.tolist(), evaluate(tape, x)[0].tolist(), strict=True):
            exact = mpmath.psi(order, mpmath.mpf(at))
            size = abs(exact) + abs(mpmath.psi(order, 1 - mpmath.mpf(at)))  # of the parts, which may cancel
            assert abs(mpmath.mpf(value) - exact) <= (2 * order + 4) * size * 2.0**-52, at


@pytest.mark.parametrize("order", [0.5, -1.0, LARGEST_POLYGAMMA_ORDER + 1.0, None])
def test_polygamma_of_other_orders_is_refused_by_name(order):
    consts = () if order is None else (order,)
    tape = Tape(("x", "n"), consts, (Instr("polygamma", (1 if order is None else 2, 0)),), (2 + len(consts),))
    assert "polygamma of an order" in LLVMBackend().refuses(tape)
