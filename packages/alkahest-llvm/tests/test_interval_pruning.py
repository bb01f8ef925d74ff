"""Pictures by pruning are those of every pixel computed, bit by bit of the sign."""

import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as ak
from alkahest.extend import CompileError, CompileOptions, Instr, Tape, linearize, prim_names, scalar_p
from alkahest.testing import strategies
from alkahest.testing.corpus import op_tape
from alkahest.testing.suites import run
from alkahest_llvm import targets
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks import kernels
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.intervals.rendering import PrunedShape
from alkahest_llvm.intervals.rules import RULES
from alkahest_llvm.loading import engine, library

OPS = [op for op in prim_names() if not missing_ops(op_tape(op)) and not op.startswith(("doc_", "test_"))]


def tape_of(build):
    x, y = ak.ExprPool().symbols("x y")
    return linearize([x.pool.expr(build(x, y))], [x, y])


def computed(tape, xs, ys, options, tier=LLVMFastBackend):
    """Return where a tape is below zero, from its value at every point."""
    at_x, at_y = (np.ascontiguousarray(grid).reshape(-1) for grid in np.meshgrid(xs, ys))
    return (run(tier().compile(tape, options), [at_x, at_y], at_x.size)[0] < 0.0).reshape(len(ys), len(xs))


def assert_same(tape, xs, ys, options=None, tier=LLVMFastBackend):
    options = options or CompileOptions()
    found = PrunedShape(tape, options).below_zero(xs, ys)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, computed(tape, xs, ys, options, tier))


def circle(x, y, cx, cy, r):
    return ak.sqrt((x - cx) ** 2 + (y - cy) ** 2) - r


def gear(x, y):
    angle, radius = ak.atan2(y, x), ak.hypot(x, y)
    return ak.max(radius - (0.7 + 0.1 * ak.sin(12 * angle)), 0.3 - radius)


def balls(x, y):
    shape = circle(x, y, -0.5, 0.5, 0.3)
    for k in range(40):
        other = circle(x, y, np.cos(k) * 0.8, np.sin(1.7 * k) * 0.8, 0.02 + 0.003 * k)
        shape = [ak.fmin, ak.min, lambda a, b: ak.max(a, -b), ak.fmax][k % 7 % 4](shape, other if k % 7 < 3 else -other)
    return shape


SHAPES = {
    "disc": lambda x, y: circle(x, y, 0.1, -0.2, 0.6),
    "balls": balls,
    "gear": gear,
    "gyroid": lambda x, y: ak.abs(ak.sin(9 * x) * ak.cos(8 * y) + ak.sin(8 * y) * 0.7 + 0.3 * ak.cos(9 * x)) - 0.2,
    "bump": lambda x, y: 0.3 - ak.exp(-4 * (x**2 + y**2)) + x**3 * y / (x**2 + 0.1),
    "branches": lambda x, y: ak.where(x < y, ak.where(x > 0, x * y - 0.2, -x), ak.and_(x > 0.5, y < 0.5) - 0.5),
    "constants to choose": lambda x, y: ak.where(
        x * x + y * y < 0.5, ak.where(x > y * y, -1.0, y), ak.where(x * y < 0.1, x.pool.float(3.0), ak.fmin(-0.5, x))
    ),
    "nan outside a disc": lambda x, y: ak.fmin(ak.sqrt(0.25 - x * x - y * y) - 0.3, circle(x, y, 0.8, 0.8, 0.1)),
    "nan in a minimum": lambda x, y: ak.min(ak.sqrt(x) - 0.5, y),
    "poles": lambda x, y: ak.min(1 / x + 1 / y, ak.tan(5 * x) - y, ak.log(y + 0.5)),
    "steps": lambda x, y: ak.floor(4 * x) * 0.3 + ak.round(3 * y) - ak.sign(x - y),
    "unknown to intervals": lambda x, y: ak.fmod(x * 5, 0.7) + ak.lgamma(y + 2.5) * 0.3,
    "an input": lambda x, y: y,
    "a constant": lambda x, y: x.pool.float(-1.0),
    "zero on a line": lambda x, y: ak.max(x - x, ak.min(x, y)),
    "one operand twice": lambda x, y: ak.min(x * x, ak.max(y * y, y * y)) - 0.1 + ak.fma(x, x, y),
}


@pytest.mark.parametrize("options", [CompileOptions(), CompileOptions(contract=False), CompileOptions(accuracy="4ulp")])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name, options):
    grid = np.linspace(-1.0, 1.0, 200)
    assert_same(tape_of(SHAPES[name]), grid, -grid[:150], options)


def test_the_optimised_tier_agrees():
    grid = np.linspace(-1.1, 1.1, 300)
    assert_same(tape_of(balls), grid, grid, tier=LLVMBackend)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 9), (8, 8), (33, 1), (1, 130), (515, 40), (2100, 5)])
def test_sizes(width, height):
    assert_same(tape_of(balls), np.linspace(-1, 1, width), np.linspace(1, -1, height))


def test_coordinates_far_away_and_of_no_width():
    tape = tape_of(balls)
    for scale in (0.0, 1e-300, 1e-17, 1e3, 1e200):
        grid = np.linspace(-1.0, 1.0, 70) * scale
        assert_same(tape, grid, grid)
        assert_same(tape, grid + 0.3, grid - 0.1)


NOWHERE = [lambda x, y: ak.sqrt(-1 - x * x), lambda x, y: 0 * x, lambda x, y: -ak.abs(x) * 0.0 * y]


def test_nan_and_zero_are_outside():
    grid = np.linspace(-1.0, 1.0, 65)
    for build in NOWHERE:
        assert not PrunedShape(tape_of(build), CompileOptions()).below_zero(grid, grid).any()
    minus_infinity = PrunedShape(tape_of(lambda x, y: x / 0), CompileOptions()).below_zero(grid, grid)
    assert minus_infinity[0].tolist() == [v < 0 for v in grid.tolist()]


@given(tape=strategies.tapes(ops=OPS, max_ops=25, max_outputs=1), data=st.data())
def test_random_formulas(tape, data):
    x0, y0 = data.draw(strategies.points())
    size = data.draw(st.sampled_from([1e-6, 0.1, 3.0, 100.0]))
    xs, ys = x0 + size * np.linspace(-1, 1, 70), y0 - size * np.linspace(-1, 1, 45)
    if missing_ops(tape):
        return
    assert_same(tape, xs, ys)


@given(
    tape=strategies.tapes(
        ops=["min", "max", "fmin", "fmax", "where", "lt", "sqrt", "neg", "sub"], max_ops=60, max_outputs=1
    )
)
def test_random_choices(tape):
    grid = np.linspace(-3.0, 3.0, 90)
    assert_same(tape, grid, grid)


def test_a_shape_serves_many_pictures():
    shape = PrunedShape(tape_of(balls), CompileOptions())
    small, large = np.linspace(-1, 1, 64), np.linspace(-1, 1, 256)
    first = shape.below_zero(large, large)
    shape.below_zero(small, small)
    np.testing.assert_array_equal(shape.below_zero(large, large), first)


def test_pictures_at_the_same_time():
    shape = PrunedShape(tape_of(balls), CompileOptions())
    grids = [np.linspace(-1, 1, 500), np.linspace(-0.5, 1, 500)]
    expected = [shape.below_zero(g, g) for g in grids]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda g: shape.below_zero(g, g), grids * 10))
    for k, picture in enumerate(found):
        np.testing.assert_array_equal(picture, expected[k % 2])


def test_progress_is_told():
    told = []
    xs, ys = np.linspace(-1, 1, 4096), np.linspace(-1, 1, 4000)
    PrunedShape(tape_of(balls), CompileOptions()).below_zero(xs, ys, lambda done, total: told.append(done / total))
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_too_many_operands():
    scalar_p("test_four", impl=lambda a, b, c, d: a, arity=4, lower={"llvm": lambda b, *xs: xs[0]})
    tape = Tape(("x", "y"), (1.0, 2.0), (Instr("test_four", (0, 1, 2, 3)),), (4,))
    with pytest.raises(CompileError, match="4 operands"):
        PrunedShape(tape, CompileOptions())


def test_single_precision_is_refused():
    with pytest.raises(CompileError, match="double"):
        PrunedShape(tape_of(balls), CompileOptions(dtype="f32"))


def test_a_third_partys_op_with_and_without_an_interval_rule():
    lower = {"llvm": lambda b, x: x * x}
    scalar_p("test_plain_square", impl=lambda x: x * x, arity=1, lower=lower)
    scalar_p(
        "test_square",
        impl=lambda x: x * x,
        arity=1,
        lower={**lower, "llvm-interval": lambda b, x: RULES["mul"](b, x, x)},
    )
    grid = np.linspace(-1, 1, 100)
    for op in ("test_plain_square", "test_square"):
        tape = Tape(
            ("x", "y"), (0.3,), (Instr(op, (0,)), Instr(op, (1,)), Instr("add", (3, 4)), Instr("sub", (5, 2))), (6,)
        )
        assert_same(tape, grid, grid)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instruction sets of x86-64")
@pytest.mark.parametrize(("cpu", "lanes"), [("haswell", 8), ("x86-64", 4)])
def test_lesser_processors(cpu, lanes, monkeypatch):
    if cpu == "haswell" and targets.host_target().lanes < lanes:
        pytest.skip("this processor lacks AVX2")
    grid = np.linspace(-1.0, 1.0, 200)
    expected = {name: computed(tape_of(build), grid, grid, CompileOptions()) for name, build in SHAPES.items()}
    monkeypatch.setattr(targets, "instead", targets.Target("host", cpu=cpu, lanes=lanes))
    monkeypatch.setattr(engine, "_engines", [])
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(kernels, "_sets", {})
    for name, build in SHAPES.items():
        found = PrunedShape(tape_of(build), CompileOptions()).below_zero(grid, grid)
        np.testing.assert_array_equal(found, expected[name], name)
