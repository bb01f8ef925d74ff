"""Errors of the math kernels in ulps, against mpmath.

`ALKAHEST_ULP_POINTS=200000 pytest packages/alkahest-llvm/tests/test_accuracy.py` measures with more points and prints
the largest error of each; the table in `vecmath/README.md` is made with it.
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

POINTS = int(os.environ.get("ALKAHEST_ULP_POINTS", "6000"))
SMALLEST = 5e-324


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


def half_pi():
    return mpmath.pi / 2


ANGLES = [uniform(-10, 10), powers(-300, 9), any_bits, near_multiples(half_pi, 2**30), near_multiples(half_pi, 2**62)]
POSITIVE = [uniform(0, 4), uniform(0.98, 1.02), powers(-323, 308, signs=False)]

# op: mpmath's function, where to sample, documented bound in ulps
FUNCTIONS = {
    "exp": (mpmath.exp, [uniform(-1, 1), uniform(-708, 709.7), uniform(-745, -708), powers(-300, 2.8)], 0.95),
    "expm1": (mpmath.expm1, [uniform(-1, 1), uniform(-45, 709.7), powers(-300, 2.8)], 0.75),
    "log": (mpmath.log, POSITIVE, 0.85),
    "log2": (lambda x: mpmath.log(x) / mpmath.ln2, POSITIVE, 0.8),
    "log10": (mpmath.log10, POSITIVE, 0.75),
    "log1p": (mpmath.log1p, [uniform(-0.999, 3), powers(-300, 308, signs=False), powers(-300, -0.1)], 0.9),
    "sin": (mpmath.sin, ANGLES, 0.8),
    "cos": (mpmath.cos, ANGLES, 0.8),
    "tan": (mpmath.tan, ANGLES, 0.9),
    "asin": (mpmath.asin, [uniform(-1, 1), powers(-300, 0)], 0.65),
    "acos": (mpmath.acos, [uniform(-1, 1), powers(-300, 0), near_one(-1.0)], 0.65),
    "atan": (mpmath.atan, [uniform(-3, 3), powers(-300, 300)], 0.75),
    "sinh": (mpmath.sinh, [uniform(-3, 3), uniform(-710.4, 710.4), powers(-300, 2.8)], 0.8),
    "cosh": (mpmath.cosh, [uniform(-3, 3), uniform(-710.4, 710.4), powers(-300, 2.8)], 0.8),
    "tanh": (mpmath.tanh, [uniform(-1, 1), uniform(-25, 25), powers(-300, 2)], 0.6),
    "asinh": (mpmath.asinh, [uniform(-3, 3), powers(-300, 300)], 1.1),
    "acosh": (mpmath.acosh, [uniform(1, 3), powers(0, 300, signs=False), near_one(1.0)], 1.1),
    "atanh": (mpmath.atanh, [uniform(-1, 1), powers(-300, 0), near_one(-1.0)], 1.1),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), [uniform(-5, 5), powers(-323, 308)], 0.51),
    "digamma": (
        mpmath.digamma,
        [uniform(0, 3), uniform(1.4, 1.5), uniform(0, 30), powers(-300, 300, signs=False)],
        4.0,
    ),
}
POWERS = {
    "anything": (uniform(0.1, 10), uniform(-10, 10)),
    "near one": (uniform(0.999, 1.001), uniform(-7e5, 7e5)),
    "large and small": (powers(-300, 300, signs=False), uniform(-1.02, 1.02)),
    "subnormal": (powers(-10, 10, signs=False), uniform(-32, 32)),
    "of subnormal": (powers(-323, -308, signs=False), uniform(-1, 1)),
    "of negative": (uniform(-10, 0), lambda rng, n: rng.integers(-20, 20, n).astype(float)),
}


def ulps(got, exact):
    """Return the distance between a double and an exact value in ulps of the double nearest to that."""
    nearest = float(exact)
    if math.isinf(nearest) or math.isnan(nearest):
        return 0.0 if got == nearest or (math.isnan(got) and math.isnan(nearest)) else math.inf
    if got == nearest:
        return min(0.5, float(abs(mpmath.mpf(got) - exact) / math.ulp(nearest)))
    return float(abs(mpmath.mpf(got) - exact) / math.ulp(nearest))


def largest_error(values, exact, arguments):
    """Return the largest error in ulps and the arguments where it is."""
    worst, where = 0.0, None
    with mpmath.workprec(120):
        for got, *at in zip(values.tolist(), *[a.tolist() for a in arguments], strict=True):
            error = ulps(got, exact(*map(mpmath.mpf, at)))
            if error > worst:
                worst, where = error, at
    return worst, where


def check(name, bound, errors, capsys):
    worst = max(errors)
    if "ALKAHEST_ULP_POINTS" in os.environ:
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {worst[0]:.3f} at {worst[1]}")
    assert worst[0] <= bound, worst


@pytest.mark.parametrize("op", FUNCTIONS)
def test_function_against_mpmath(op, one_op, evaluate, capsys):
    exact, ranges, bound = FUNCTIONS[op]
    rng = np.random.default_rng(17)
    errors = []
    for draw in ranges:
        x = draw(rng, POINTS // len(ranges))
        errors.append(largest_error(evaluate(one_op(op, "x"), x)[0], exact, [x]))
    check(op, bound, errors, capsys)


PLANES = {
    "anywhere": (uniform(-2, 2), uniform(-2, 2)),
    "of any size": (powers(-307, 307), powers(-307, 307)),
    "of one size": (any_bits, None),
    "near the diagonal": (uniform(0.99, 1.01), uniform(0.99, 1.01)),
    "large": (powers(300, 308.2), powers(280, 308.2)),
    "subnormal": (powers(-323, -305), powers(-323, -300)),
}


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
    error = largest_error(evaluate(one_op(op, "x", "y"), x, y)[0], getattr(mpmath, op), [x, y])
    bound = {"hypot": 0.51, "atan2": 0.8}[op]
    check(f"{op} {case}", 1.0 if case == "subnormal" else bound, [error], capsys)


@pytest.mark.parametrize("case", POWERS)
def test_pow_against_mpmath(case, one_op, evaluate, capsys):
    rng = np.random.default_rng(18)
    x, y = (draw(rng, POINTS // 3) for draw in POWERS[case])
    error = largest_error(evaluate(one_op("pow", "x", "y"), x, y)[0], mpmath.power, [x, y])
    # Subnormal results are rounded twice.
    check(f"pow {case}", 1.0 if case in ("subnormal", "large and small") else 0.8, [error], capsys)


@pytest.mark.parametrize(
    ("exponent", "bound"),
    [
        *((2.0, 0.51), (3.0, 1.5), (4.0, 2.0), (-1.0, 0.51), (0.5, 0.51), (1.5, 1.5), (2.5, 2.0), (-0.5, 1.5)),
        *((float(n), 0.6) for n in (5, 6, 7, 20, 63, 64, -2, -3, -7, -64)),
    ],
)
def test_power_with_a_constant_exponent_against_mpmath(exponent, bound, one_op, evaluate, capsys):
    rng = np.random.default_rng(19)
    x = np.concatenate([rng.uniform(0.01, 3, POINTS // 6), 10.0 ** rng.uniform(-4, 4, POINTS // 6)])
    x = x if exponent % 1 else x * rng.choice([-1.0, 1.0], len(x))
    error = largest_error(evaluate(one_op("pow", "x", exponent), x)[0], lambda v: v ** mpmath.mpf(exponent), [x])
    check(f"x^{exponent}", bound, [error], capsys)


@pytest.mark.parametrize("op", ["sin", "cos"])
def test_fast_functions_against_mpmath(op, one_op, evaluate, capsys):
    exact, ranges, _ = FUNCTIONS[op]
    rng = np.random.default_rng(20)
    errors = []
    for draw in ranges:
        x = draw(rng, POINTS // len(ranges))
        errors.append(largest_error(evaluate(one_op(op, "x"), x, accuracy="4ulp")[0], exact, [x]))
    check(f"{op} at 4ulp", 2.2, errors, capsys)


@pytest.mark.parametrize("op", [*FUNCTIONS, "pow"])
def test_single_precision_is_rounded_from_double(op, one_op, evaluate):
    rng = np.random.default_rng(21)
    names = ("x", "y") if op == "pow" else ("x",)
    columns = [(rng.uniform(0.05, 0.95, 500) + (op == "acosh")).astype(np.float32) for _ in names]
    exact = mpmath.power if op == "pow" else FUNCTIONS[op][0]
    got = evaluate(one_op(op, *names), *columns, dtype="f32")[0]
    with mpmath.workprec(120):
        want = [exact(*map(mpmath.mpf, at)) for at in zip(*[c.tolist() for c in columns], strict=True)]
        off = [abs(mpmath.mpf(float(g)) - w) / np.spacing(np.float32(abs(w))) for g, w in zip(got, want, strict=True)]
    assert max(off) < 0.5001


def test_digamma_of_negative_arguments_against_mpmath(one_op, evaluate):
    x = -np.random.default_rng(22).uniform(0, 40, POINTS // 6)
    got = evaluate(one_op("digamma", "x"), x)[0]
    for value, at in zip(got.tolist(), x.tolist(), strict=True):
        exact = mpmath.digamma(mpmath.mpf(at))
        assert abs(value - exact) <= 4e-15 * (1 + abs(exact)), at


def test_round_to_single_is_what_numpy_does():
    for x in (0.1, 1e300, -1e300, 1e-46, 3.4028235677973366e38):
        with np.errstate(over="ignore"):
            assert round_to_single(x) == float(np.float32(x))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_polygamma_of_constant_orders_against_mpmath(order, evaluate):
    tape = Tape(("x",), (float(order),), (Instr("polygamma", (1, 0)),), (2,))
    rng = np.random.default_rng(order)
    x = np.concatenate([rng.uniform(*span, 400) for span in ((1e-3, 1), (0.3, 5), (5, 30), (30, 1e4), (-20, -0.01))])
    got = evaluate(tape, x)[0]
    with mpmath.workprec(160):
        for at, value in zip(x, got, strict=True):
            exact = mpmath.psi(order, mpmath.mpf(float(at)))
            # Beside a root, at negative arguments, the error is that of the two parts which cancel there.
            allowed = 4 * abs(exact) if at > 0 else 64 * (1 + abs(exact))
            assert abs(mpmath.mpf(float(value)) - exact) <= allowed * 2.0**-52, at


@pytest.mark.parametrize("order", [0.5, 4.0, None])
def test_polygamma_of_other_orders_is_refused_by_name(order):
    consts = () if order is None else (order,)
    tape = Tape(("x", "n"), consts, (Instr("polygamma", (1 if order is None else 2, 0)),), (2 + len(consts),))
    assert "polygamma of an order" in LLVMBackend().refuses(tape)
