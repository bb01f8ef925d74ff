"""Enclosures hold what they enclose: mpmath's values at many digits, and what tiers compute."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import ExprPool
from alkahest.base.rules import impl_rules
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.interpreter import InterpreterBackend
from alkahest.extend import prim_names
from alkahest.intervals.evaluation import evaluate, interval_eval
from alkahest.intervals.table import interval_rules
from alkahest.prims.scalar import declarations
from alkahest.testing import strategies
from alkahest.testing.corpus import corpus

# Rules of built-in primitives that do not exist, each with its reason.
ABSENT = {}
DIGITS = 60


class UndefinedError(Exception):
    """The exact function has no real value there."""


def real(value):
    if isinstance(value, mpmath.mpc):
        raise UndefinedError
    return value


def domain(inside):
    if not inside:
        raise UndefinedError


def mp_pow(x, y):
    if y == int(y):
        domain(x != 0 or y >= 0)
        return mpmath.power(x, int(y)) if (x, y) != (0, 0) else mpmath.mpf(1)
    domain(x > 0 or (x == 0 and y > 0))
    return mpmath.power(x, y) if x else mpmath.mpf(0)


def mp_log(base):
    def log(x):
        domain(x > 0)
        return mpmath.log(x) if base is None else mpmath.log(x, base)

    return log


def mp_inside(f, low, high):
    def call(x):
        domain(low <= x <= high)
        return f(x)

    return call


def divided(rounding):
    def call(a, b):
        domain(b != 0)
        a, b = Fraction(float(a)), Fraction(float(b))
        rest = a - b * rounding(a / b)
        return mpmath.mpf(rest.numerator) / rest.denominator

    return call


def no_pole(f):
    def call(*args):
        x = args[-1]
        domain(x > 0 or x != mpmath.floor(x))
        return f(*args)

    return call


def trunc(x):
    return mpmath.floor(x) if x >= 0 else mpmath.ceil(x)


def half_away(x):
    return mpmath.sign(x) * mpmath.floor(abs(x) + mpmath.mpf("0.5"))


def mp_div(a, b):
    domain(b != 0)
    return a / b


def mp_atan2(y, x):
    domain((x, y) != (0, 0))
    return mpmath.atan2(y, x)


def mp_poles_at_one(f):
    def call(x):
        domain(-1 < x < 1)
        return f(x)

    return call


def mp_log1p(x):
    domain(x > -1)
    return mpmath.log1p(x)


def mp_lgamma(x):
    return mpmath.log(abs(mpmath.gamma(x)))


def mp_erfc(a):
    """Return the complementary error function; mpmath fails where the result has no exponent that it can write."""
    return mpmath.mpf(0) if a > 1e6 else mpmath.erfc(a)


EXACT = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": mp_div,
    "neg": lambda a: -a,
    "pow": mp_pow,
    "fma": lambda a, b, c: a * b + c,
    "abs": abs,
    "sign": mpmath.sign,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "trunc": trunc,
    "round": mpmath.nint,
    "round_away": half_away,
    "min": min,
    "max": max,
    "fmin": min,
    "fmax": max,
    "copysign": lambda a, b: abs(a) * (1 if b >= 0 else -1),
    "fmod": divided(math.trunc),
    "remainder": divided(round),
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mp_log(None),
    "log2": mp_log(2),
    "log10": mp_log(10),
    "log1p": mp_log1p,
    "sqrt": mp_inside(mpmath.sqrt, 0, mpmath.inf),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mp_inside(mpmath.asin, -1, 1),
    "acos": mp_inside(mpmath.acos, -1, 1),
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": mp_inside(mpmath.acosh, 1, mpmath.inf),
    "atanh": mp_poles_at_one(mpmath.atanh),
    "atan2": mp_atan2,
    "hypot": mpmath.hypot,
    "lt": lambda a, b: mpmath.mpf(a < b),
    "le": lambda a, b: mpmath.mpf(a <= b),
    "gt": lambda a, b: mpmath.mpf(a > b),
    "ge": lambda a, b: mpmath.mpf(a >= b),
    "eq": lambda a, b: mpmath.mpf(a == b),
    "ne": lambda a, b: mpmath.mpf(a != b),
    "and": lambda a, b: mpmath.mpf(a != 0 and b != 0),
    "or": lambda a, b: mpmath.mpf(a != 0 or b != 0),
    "not": lambda a: mpmath.mpf(a == 0),
    "where": lambda c, a, b: a if c != 0 else b,
    "erf": mpmath.erf,
    "erfc": mp_erfc,
    "gamma": no_pole(mpmath.gamma),
    "lgamma": no_pole(mp_lgamma),
    "digamma": no_pole(mpmath.digamma),
    "polygamma": no_pole(lambda n, x: mpmath.polygamma(int(n), x)),
}
OPS = list(EXACT)
# Correctly rounded or exact, so that their enclosures grow with the box to the bit.
ROUNDED = frozenset(
    "add sub mul div neg fma abs sign floor ceil trunc round round_away min max fmin fmax copysign sqrt where "
    "lt le gt ge eq ne and or not".split()
)
CROSSING = frozenset("lgamma digamma polygamma fma".split())  # with zeros near which relative errors are large
# Ulps between the bounds of a thin box: twice the allowances of the rules.
THICKNESS = {"gamma": 600, "lgamma": 1100, "digamma": 1100, "polygamma": 1100, "erf": 150, "erfc": 150}
UNEVEN = frozenset({"fmod", "remainder"})  # a whole quotient may be two numbers however thin the box
SCALES = (1e-300, 1e-8, 0.1, 1.0, 4.0, 30.0, 1e3, 1e8, 1e17, 1e300)


def applied(op):
    """Return symbols and the expression of one primitive."""
    pool = ExprPool()
    symbols = [pool.symbol(f"x{k}") for k in range(declarations[op].arity)]
    return symbols, pool.apply(op, *symbols)


def random_boxes(op, rng, n):
    """Return boxes of all sizes and places: (n, arity, 2), among them thin ones, whole ones and zero bounds."""
    arity = declarations[op].arity
    boxes = np.empty((n, arity, 2))
    for k in range(arity):
        scale = rng.choice([*SCALES, None, None, None], n)
        low, high = declarations[op].domain[k]
        size = np.array([1.0 if s is None else s for s in scale])
        ends = rng.standard_normal((n, 2)) * size[:, None]
        near = rng.uniform(low, high, (n, 1)) + rng.standard_normal((n, 2)) * 10.0 ** rng.uniform(-15, 0.5, (n, 1))
        ends = np.where(np.array([s is None for s in scale])[:, None], near, ends)
        kind = rng.integers(0, 12, n)
        ends[kind == 0, 1] = ends[kind == 0, 0]
        ends[kind == 1] = np.round(np.clip(ends[kind == 1], -1e6, 1e6))
        ends[kind == 2, 0] = 0.0
        boxes[:, k] = np.sort(ends, axis=1)
    if op == "polygamma":
        boxes[:, 0] = rng.integers(0, 4, (n, 1))
        boxes[:, 1] = np.clip(boxes[:, 1], -50.0, 1e6)
    return boxes


def points_inside(box, rng, n):
    """Return points of a box: its corners, zeros, whole numbers, and random ones."""
    points = [box[:, 0], box[:, 1], box.mean(axis=1) if np.isfinite(box).all() else box[:, 0]]
    points += [np.clip(0.0, box[:, 0], box[:, 1]), np.clip(np.round(box[:, 0] + 0.5), box[:, 0], box[:, 1])]
    for _ in range(n):
        t = rng.random(len(box))
        at = np.where(rng.random(len(box)) < 0.2, np.where(t < 0.5, box[:, 0], box[:, 1]), 0.0)
        inside = box[:, 0] * (1 - t) + box[:, 1] * t
        points.append(np.clip(np.where(at != 0.0, at, inside), box[:, 0], box[:, 1]))
    return np.array(points)


def as_mp(x):
    return mpmath.mpf(float(x))


def check_point(op, exact, number, point, lo, hi, defined):
    """Assert that the exact and the computed value at a point lie between the bounds."""
    try:
        value = real(exact(*[as_mp(v) for v in point]))
    except UndefinedError:
        assert not defined, (op, point)
        return
    assert lo <= value <= hi, (op, point, lo, hi, mpmath.nstr(value, 25))
    computed = number(*[float(v) for v in point])
    if defined:
        assert lo <= computed <= hi, (op, point, lo, hi, computed)


def test_every_primitive_has_a_rule_or_a_reason():
    table = interval_rules()
    built_in = [name for name in prim_names() if name in EXACT]
    assert sorted(name for name in built_in if name not in table) == sorted(ABSENT)
    assert {name for name in prim_names() if not name.startswith(("doc_", "test_"))} >= set(EXACT)


@pytest.mark.parametrize("op", OPS)
def test_values_lie_in_their_enclosure(op):
    rng = np.random.default_rng(sum(map(ord, op)))
    slow = op in ("polygamma", "digamma", "gamma", "lgamma")
    boxes = random_boxes(op, rng, 60 if slow else 400)
    symbols, expr = applied(op)
    enclosure = interval_eval(expr, {s: (boxes[:, k, 0], boxes[:, k, 1]) for k, s in enumerate(symbols)})
    number = impl_rules.by_name(op).number
    with mpmath.workdps(DIGITS):
        for box, lo, hi, defined in zip(boxes, enclosure.lo, enclosure.hi, enclosure.defined, strict=True):
            for point in points_inside(box, rng, 6):
                check_point(op, EXACT[op], number, point, lo, hi, defined)


@pytest.mark.parametrize("op", ["sin", "cos", "tan"])
def test_quadrants(op):
    """Boxes that end just before or behind a multiple of pi/2, where these functions have extrema, zeros and poles."""
    rng = np.random.default_rng(8)
    n = 400
    turn = np.round(10.0 ** rng.uniform(0, 8, n)) * rng.choice([-1.0, 1.0], n) * (np.pi / 2)
    near = 10.0 ** rng.uniform(-17, -2, n) * rng.choice([-1.0, 1.0], n)
    ends = np.sort([turn + near, turn + near + rng.choice([-1.0, 1.0], n) * rng.uniform(0, 2, n)], axis=0)
    symbols, expr = applied(op)
    enclosure = interval_eval(expr, {symbols[0]: tuple(ends)})
    number = impl_rules.by_name(op).number
    with mpmath.workdps(DIGITS):
        for lo, hi, defined, low, high, at in zip(*enclosure, enclosure.defined, *ends, turn, strict=True):
            for point in (low, high, np.clip(at, low, high)):
                check_point(op, EXACT[op], number, [point], lo, hi, defined)


@pytest.mark.parametrize("op", OPS)
def test_a_part_of_a_box_has_a_part_of_the_enclosure(op):
    rng = np.random.default_rng(7 + sum(map(ord, op)))
    outer = random_boxes(op, rng, 100 if op == "polygamma" else 400)
    t = np.sort(rng.random(outer.shape), axis=2)
    inner = outer[..., :1] * (1 - t) + outer[..., 1:] * t
    inner = np.sort(np.clip(inner, outer[..., :1], outer[..., 1:]), axis=2)
    inner = np.where(rng.random(outer.shape) < 0.3, outer, inner)  # a common bound, often
    symbols, expr = applied(op)
    of = lambda boxes: interval_eval(expr, {s: (boxes[:, k, 0], boxes[:, k, 1]) for k, s in enumerate(symbols)})  # noqa: E731
    whole, part = of(outer), of(inner)
    # Functions that are not rounded correctly may be off by their error in both places.
    slack = 0.0 if op in ROUNDED else 1e-13 * np.maximum(1.0 if op in CROSSING else 0.0, np.abs(part.lo))
    assert np.all(np.isnan(part.lo) | (whole.lo - slack <= part.lo)), op
    slack = 0.0 if op in ROUNDED else 1e-13 * np.maximum(1.0 if op in CROSSING else 0.0, np.abs(part.hi))
    assert np.all(np.isnan(part.hi) | (whole.hi + slack >= part.hi)), op
    assert np.all(part.defined | ~whole.defined)


@pytest.mark.parametrize("op", [op for op in OPS if op not in UNEVEN])
def test_thin_boxes_have_thin_enclosures(op):
    rng = np.random.default_rng(11)
    points = np.array([rng.uniform(low, high, 200) for low, high in declarations[op].domain])
    symbols, expr = applied(op)
    enclosure = interval_eval(expr, dict(zip(symbols, points, strict=True)))
    number = impl_rules.by_name(op).number
    values = np.array([number(*p) for p in points.T])
    unit = np.spacing(np.maximum(np.abs(values), 1.0 if op in CROSSING else 0.0))
    assert np.max((enclosure.hi - enclosure.lo) / unit) <= THICKNESS.get(op, 20), op
    assert np.all(enclosure.defined)
    assert np.all((enclosure.lo <= values) & (values <= enclosure.hi))


# ------------------------------------------------------------------------------------------------ whole formulas

LARGEST_ARGUMENT = 1e5  # of functions that grow exponentially: beyond, exact values would fill the memory
GROWING = frozenset("exp expm1 sinh cosh pow gamma lgamma".split())


class TooLargeError(Exception):
    """An exact value is not worth computing."""


def exact_outputs(tape, point):
    """Return the exact outputs of a tape; None for those that are not defined."""
    slots = [as_mp(v) for v in (*point, *tape.consts)]
    for op, args, _ in tape.instrs:
        values = [slots[a] for a in args]
        if op == "where" and values[0] is not None:
            slots.append(values[1] if values[0] != 0 else values[2])
            continue
        if None in values:
            slots.append(None)
            continue
        if op in GROWING and any(abs(v) > LARGEST_ARGUMENT for v in values):
            raise TooLargeError
        try:
            slots.append(real(EXACT[op](*values)))
        except UndefinedError:
            slots.append(None)
    return [slots[o] for o in tape.outputs]


def check_tape(tape, box, points):
    """Assert that exact and computed outputs at points of a box lie in the enclosures of the outputs."""
    outputs = evaluate(tape, [(box[:, 0][k : k + 1], box[:, 1][k : k + 1]) for k in range(len(tape.inputs))])
    kernel = InterpreterBackend().compile(tape, CompileConfig().options())
    for point in points:
        computed = kernel.point([float(v) for v in point])
        try:
            exact = exact_outputs(tape, point)
        except TooLargeError:
            continue
        for value, number, (lo, hi, defined) in zip(exact, computed, outputs, strict=True):
            if value is None:
                assert not defined[0]
                continue
            assert lo[0] <= value <= hi[0], (str(tape), point)
            if defined[0]:
                assert lo[0] <= number <= hi[0], (str(tape), point)


@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_formulas_of_the_corpus(case):
    rng = np.random.default_rng(3)
    tape = case.tape()
    low, high = np.array(case.domain).reshape(-1, 2).T
    with mpmath.workdps(DIGITS):
        for width in (0.0, 1e-12, 1e-3, 0.3, 1.0):
            for _ in range(4 if len(tape.instrs) < 50 else 1):
                a = low + (high - low) * rng.random(len(low))
                box = np.stack([a, np.minimum(a + width * (high - low), high)], axis=1).reshape(-1, 2)
                check_tape(tape, box, points_inside(box, rng, 3))


@given(tape=strategies.tapes(ops=[op for op in OPS if op not in ("polygamma", "gamma")], max_ops=8), data=st.data())
def test_random_formulas(tape, data):
    first, second = np.array(data.draw(strategies.points())), np.array(data.draw(strategies.points()))
    box = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    with mpmath.workdps(DIGITS):
        check_tape(tape, box, points_inside(box, np.random.default_rng(1), 2))
