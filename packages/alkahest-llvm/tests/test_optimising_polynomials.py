"""Nested polynomials: as accurate as the sums they replace, and defined wherever those are."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from alkahest import ExprPool
from alkahest.extend import CompileOptions, Instr, linearize
from alkahest.testing.corpus import SPECIALS
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.optimising.draft import rewritten
from alkahest_llvm.optimising.nesting import TWO_CHAINS_FROM
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.optimising.polynomials import nest_polynomials

UNIT = {"f64": Fraction(1, 2**53), "f32": Fraction(1, 2**24)}
REAL = {"f64": np.float64, "f32": np.float32}


def monomial(draw, symbols):
    """Return a random constant times a power, written in one of many ways."""
    x = symbols[0] if draw.random() < 0.75 else draw.choice(symbols)
    k, c = draw.randrange(7), draw.choice([1, -1, 2, 0.5, 3, draw.uniform(-3, 3)])
    if k == 0:
        return x.pool.number(c)
    ways = [
        lambda: c * x**k,
        lambda: math.prod([x] * k, start=x.pool.number(c)),
        lambda: math.prod([x] * (k - 1), start=x) * c,
        lambda: x**k / draw.choice([3, 7, 2, 0.3]),
        lambda: x**k * draw.choice(symbols),
        lambda: -(x**k),
    ]
    return draw.choice(ways)()


def formula(draw, symbols, terms):
    """Return a random sum of monomials, in any order and nesting."""
    total = monomial(draw, symbols)
    for _ in range(terms):
        m = monomial(draw, symbols)
        ways = [total + m, total + m, total - m, m - total, -total + m, total * symbols[0] + m]
        total = draw.choice(ways)
    return total


def random_tape(seed, names):
    draw = random.Random(seed)
    symbols = ExprPool().symbols(names)
    outputs = [symbols[0].pool.expr(formula(draw, symbols, draw.randrange(1, 8))) for _ in range(draw.randrange(1, 4))]
    return linearize(outputs, symbols), draw


def exact_with_bound(tape, point, unit):
    """Return exact values, and a running bound on the error of the tape as written.

    Each rounding counts one unit of its result, and a power three (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 3.3).
    """
    slots = [(Fraction(float(v)), Fraction(0)) for v in [*point, *tape.consts]]
    for op, args, _ in tape.instrs:
        (a, e), (b, f) = slots[args[0]], slots[args[-1]]
        if op in ("add", "sub"):
            value = a + b if op == "add" else a - b
            error = e + f + unit * abs(value)
        elif op == "mul":
            value = a * b
            error = e * abs(b) + f * abs(a) + unit * abs(value)
        elif op == "div":
            value = a / b
            error = e / abs(b) + unit * abs(value)
        elif op == "pow":
            value = a ** int(b)
            error = e * int(b) * abs(a) ** (int(b) - 1) + 3 * unit * abs(value)
        else:
            assert op == "neg"
            value, error = -a, e
        slots.append((value, error))
    return [slots[out] for out in tape.outputs]


def values(tape, columns, **options):
    kernel = LLVMBackend().compile(tape, CompileOptions(**options))
    dtype = options.get("dtype", "f64")
    return run(kernel, [np.asarray(c, REAL[dtype]) for c in columns], len(columns[0]), dtype)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_errors_stay_near_the_bound_of_the_sum_as_written(dtype):
    nested = 0
    for seed in range(60):
        tape, draw = random_tape(seed, "x y z")
        if dtype == "f32":  # the constants as the code will hold them
            tape = type(tape)(tape.inputs, tuple(float(np.float32(c)) for c in tape.consts), tape.instrs, tape.outputs)
        nested += optimise(tape, CompileOptions(dtype=dtype)).ops.isdisjoint(("pow", "div"))
        scale = [10.0**k for k in range(-3, 3)]
        points = [[draw.uniform(-2, 2) * draw.choice(scale) for _ in range(3)] for _ in range(10)]
        points = np.array(points, REAL[dtype])
        got = values(tape, points.T, dtype=dtype)
        for k, point in enumerate(points.tolist()):
            for row, (value, bound) in zip(got, exact_with_bound(tape, point, UNIT[dtype]), strict=True):
                assert abs(Fraction(float(row[k])) - value) <= 2 * bound + Fraction(1, 2**140), (seed, point)
    assert nested > 10


def expanded(roots, x):
    """Return the product of all x - root as a sum of powers, with exact integer coefficients."""
    coefficients = [1]
    for root in roots:
        coefficients = [a - root * b for a, b in zip([0, *coefficients], [*coefficients, 0], strict=True)]
    return sum((c * x**k for k, c in enumerate(coefficients[1:], 1)), start=x.pool.number(coefficients[0]))


@pytest.mark.parametrize("roots", [[1] * 7, [1, 2, 3, 4, 5, 6, 7, 8], [-2, -1, 0, 1, 2, 3], [3, -3, 1, -1]])
def test_errors_near_roots_are_no_larger_than_those_of_the_sum(roots):
    """A polynomial is hardest where its terms cancel: the largest errors of both are compared there."""
    pool = ExprPool()
    x = pool.symbol("x")
    tape = linearize([expanded(roots, x)], [x])
    near = np.random.default_rng(0).choice(roots, 1000) + np.random.default_rng(1).normal(0, 1e-3, 1000)
    exact = [math.prod(Fraction(v) - root for root in roots) for v in near.tolist()]
    errors = {}
    for contract in (True, False):
        (got,) = values(tape, [near], contract=contract)
        errors[contract] = [abs(Fraction(g) - e) for g, e in zip(got.tolist(), exact, strict=True)]
    assert max(errors[True]) <= max(errors[False])
    assert sum(errors[True]) <= sum(errors[False])


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("degree", [20, TWO_CHAINS_FROM - 1, TWO_CHAINS_FROM, 31, 50])
def test_long_polynomials_against_fractions(degree, step, accuracy):
    draw = random.Random(degree)
    coefficients = [draw.uniform(-1, 1) for k in range(degree + 1) if step * k <= 64]
    x = ExprPool().symbol("x")
    terms = [c * x ** (step * k) for k, c in enumerate(coefficients)]
    tape = linearize([sum(terms[1:], start=terms[0])], [x])
    nested = optimise(tape, CompileOptions(accuracy=accuracy))
    assert nested.ops <= {"fma", "mul"}
    # A chain beside another one reads x^2; so does every step of an even polynomial, unless that loses too much.
    square = [slot for slot, instr in enumerate(nested.instrs, 1 + len(nested.consts)) if instr == Instr("mul", (0, 0))]
    assert bool(square) == (accuracy == "4ulp" and (step == 2 or degree >= TWO_CHAINS_FROM))
    points = np.random.default_rng(2).uniform(-1.2, 1.2, 300)
    (got,) = values(tape, [points], accuracy=accuracy)
    worst = {"1ulp": 10, "4ulp": 40}[accuracy] * UNIT["f64"]
    for g, v in zip(got.tolist(), points.tolist(), strict=True):
        exact = [Fraction(c) * Fraction(v) ** (step * k) for k, c in enumerate(coefficients)]
        assert abs(Fraction(g) - sum(exact)) <= worst * sum(map(abs, exact))


EXTREME = [*SPECIALS, 1e155, -1e155, 1e103, -1e103, 1e52, -1e52, 1e-52, -1e-103, 1e-155, 1.3e154, 1e20]


def test_what_is_defined_stays_defined():
    """A finite value stays finite and an infinity the same infinity; nan may become a number."""
    for seed in range(150):
        tape, _ = random_tape(seed, "x")
        for got, want in zip(values(tape, [EXTREME]), values(tape, [EXTREME], contract=False), strict=True):
            finite, infinite = np.isfinite(want), np.isinf(want)
            assert np.isfinite(got[finite]).all(), (seed, np.array(EXTREME)[finite][~np.isfinite(got[finite])])
            np.testing.assert_array_equal(got[infinite], want[infinite], str(seed))


def tape_of(build):
    pool = ExprPool()
    symbols = pool.symbols("x y z")
    return linearize([build(*symbols)], symbols)


LEFT_ALONE = {
    "powers that are never computed by themselves": lambda x, y, z: (1e-150 * x * x * x * x + 1e-150 * x * x) + 1,
    "enormous constants": lambda x, y, z: 1e200 * x**2 + 1e200 * x + 1,
    "tiny constants": lambda x, y, z: 1e-200 * x**2 + 1e-200 * x + 1,
    "products of two others": lambda x, y, z: x**2 * y * z + x * y + 1,
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_no_power_or_product_is_computed_that_the_sum_does_without(name):
    """At these points the parts are out of range, while the sum is not."""
    tape = tape_of(LEFT_ALONE[name])
    points = [[1e90, 1e100, 1e160, 1e-100], [1e200, 1e-200, 1e200, 1e200], [1e-200, 1e200, 1e200, 1e200]]
    (got,), (want,) = values(tape, points), values(tape, points, contract=False)
    finite = np.isfinite(want)
    np.testing.assert_allclose(got[finite], want[finite], rtol=1e-14)
    nested = rewritten(tape, CompileOptions(), [nest_polynomials])
    assert name.startswith("powers") or nested is tape


def test_twofold_arithmetic_is_left_alone():
    """The rounding error of x^2 from the halves of x (T. J. Dekker, 1971): nested, nothing would be left of it."""

    def error_of_square(high, low, square):
        return ((high * high - square) + 2 * (high * low)) + low * low

    tape = tape_of(error_of_square)
    x = np.random.default_rng(3).uniform(1, 2, 200)
    high = x * 134217729.0 - (x * 134217729.0 - x)
    (got,) = values(tape, [high, x - high, x * x])
    assert got.tolist() == [float(Fraction(v) ** 2 - Fraction(v * v)) for v in x.tolist()]


def test_a_sum_that_something_else_reads_is_not_taken_apart():
    def build(x, y, z):
        inner = 3 * x**2 + y
        return (inner + 2 * x) * inner

    tape = tape_of(build)
    assert [i.op for i in optimise(tape, CompileOptions()).instrs] == ["mul", "fma", "fma", "mul"]


def test_the_rest_of_a_sum_keeps_its_order():
    def build(x, y, z):
        return ((y - z) + x**2) + (2 * x + (z - 3)) + 5 * x**3

    got = optimise(tape_of(build), CompileOptions())
    assert got.instrs[0] == Instr("sub", (1, 2))
    cancelling = [[1e-30], [1e20 + 16384], [1e20]]
    assert values(tape_of(build), cancelling)[0][0] == 16384.0 + 1e20 - 3
