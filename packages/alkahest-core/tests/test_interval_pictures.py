"""Pictures by interval evaluation are those of every pixel computed; what is asked for wrongly is refused."""

import math

import numpy as np
import pytest
from hypothesis import given

import alkahest as ak
from alkahest import ExprPool, compile_expr, trace
from alkahest.compile import driver
from alkahest.errors import ConfigError, DomainError, OperandError, ShapeError, UnknownSymbolError
from alkahest.extend import CompileError, prim_names, scalar_p
from alkahest.intervals.rendering import Shape, inside
from alkahest.testing import strategies

SYMBOLS = ExprPool().symbols("x y z")
X, Y, Z = SYMBOLS
UNIT = {X: (-1.0, 1.0), Y: (-1.0, 1.0)}
OPS = [op for op in prim_names() if op != "polygamma" and not op.startswith(("doc_", "test_"))]


def by_numpy(f, axes, size, method):
    return inside(f, axes, size, method=method, backend="interpreter")


def assert_same(f, axes, size):
    found = by_numpy(f, axes, size, "prune")
    np.testing.assert_array_equal(found, by_numpy(f, axes, size, "brute"))
    return found


SHAPES = {
    "disc": ak.sqrt(X**2 + Y**2) - 0.7,
    "holes": ak.max(ak.fmin(ak.hypot(X, Y - 0.3) - 0.5, X - 0.8), -(ak.hypot(X + 0.2, Y) - 0.3), -Y - 0.6),
    "waves": ak.sin(9 * X) * ak.cos(7 * Y) - 0.3,
    "branches": ak.where(X < Y, ak.where(X > 0, ak.log(X) + Y, -X), ak.and_(X > 0.5, Y < 0.5) - 0.5),
    "nan": ak.fmin(ak.sqrt(X) - 0.5, 1 / Y),
    "constant": X * 0 - 1,
}


@pytest.mark.parametrize("size", [(1, 1), (200, 130), (7, 300)])
@pytest.mark.parametrize("name", SHAPES)
def test_pruning_gives_what_computing_gives(name, size):
    picture = assert_same(SHAPES[name], UNIT, size)
    assert picture.shape == size[::-1]
    assert picture.dtype == bool


@given(f=strategies.exprs(ops=OPS))
def test_random_formulas(f):
    assert_same(f, {"x": (-3.0, 2.0), "y": (-0.5, 4.0)}, (70, 90))


def test_the_area_of_a_disc():
    picture = inside(X**2 + Y**2 - 0.5, UNIT, (500, 500))
    assert 4 * picture.mean() == pytest.approx(math.pi * 0.5, rel=1e-3)


def test_pixels_are_centres_from_left_to_right_and_from_the_bottom_up():
    picture = inside(ak.max(X - 1.0, 2.0 - Y), {X: (0.0, 4.0), Y: (0.0, 3.0)}, (4, 3))
    assert picture.tolist() == [[True, False, False, False], [False] * 4, [False] * 4]
    turned = inside(ak.max(X - 1.0, 2.0 - Y), {Y: (0.0, 3.0), X: (0.0, 4.0)}, (3, 4))
    assert turned.tolist() == [[False] * 3, [False] * 3, [False] * 3, [False, False, True]]


def test_zero_and_nan_are_outside():
    assert not inside(X * 0, UNIT, (20, 20)).any()
    assert not inside(ak.sqrt(-1 - X**2), UNIT, (20, 20)).any()


def test_other_inputs_are_numbers():
    ball = X**2 + Y**2 + Z**2 - 1
    areas = [inside(ball, {**UNIT, Z: z}, (100, 100)).sum() for z in (0.0, 0.5, 1.0)]
    assert areas[0] > areas[1] > areas[2] == 0
    first = inside(ball, {Z: (-1, 1), "y": 0.25, X: (-1, 1)}, (40, 30))
    np.testing.assert_array_equal(first, inside(ball, {Y: (-1, 1), Z: 0.25, X: (-1, 1)}, (40, 30)))


def test_functions_are_taken_as_formulas_are():
    @trace(ExprPool())
    def disc(x, y, r=0.5):
        return x**2 + y**2 - r

    expected = inside(X**2 + Y**2 - 0.5, UNIT, (50, 40))
    axes = {"x": (-1, 1), "y": (-1, 1)}
    np.testing.assert_array_equal(inside(disc, {**axes, "r": 0.5}, (50, 40)), expected)
    compiled = compile_expr(X**2 + Y**2 - 0.5, [X, Y])
    np.testing.assert_array_equal(inside(compiled, axes, (50, 40)), expected)


def test_one_shape_serves_pictures_of_any_size():
    shape = Shape(X**2 + Y**2 - 0.5, UNIT, backend="interpreter")
    assert shape.tier == "interpreter"
    small, large = shape.picture((30, 30)), shape.picture((90, 90))
    np.testing.assert_array_equal(large[1::3, 1::3], small)


@pytest.mark.parametrize("method", ["prune", "brute"])
def test_progress_goes_up_to_all_pixels(method):
    told = []
    shape = Shape(X**2 + Y**2 - 0.5, UNIT, method=method, backend="interpreter")
    shape.picture((1500, 1000), progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert {total for _, total in told} == {1_500_000}
    assert told[-1] == (1_500_000, 1_500_000)


def test_a_primitive_without_an_interval_rule_is_computed_everywhere():
    scalar_p("test_no_rule", impl=lambda x: x * x, arity=1)
    f = X.pool.apply("test_no_rule", X) + Y - 0.5
    np.testing.assert_array_equal(by_numpy(f, UNIT, (40, 40), "prune"), by_numpy(f, UNIT, (40, 40), "brute"))


class Everywhere:
    """A tier that says of every pixel that it is inside."""

    def __init__(self, error=None):
        self.error = error

    def unavailable(self):
        return ""

    def refuses(self, tape):
        return ""

    def pruner(self, tape, options):
        if self.error:
            raise self.error
        return self

    def below_zero(self, xs, ys, report=None):
        return np.ones((len(ys), len(xs)), bool)


@pytest.mark.parametrize(("error", "mean"), [(None, 1.0), (CompileError("no"), 0.25)])
def test_a_tier_may_prune_or_decline(error, mean, monkeypatch):
    real = driver.backend_of
    fake = Everywhere(error)
    monkeypatch.setattr(driver, "backend_of", lambda info: fake if info.name == "c" else real(info))
    assert inside(ak.max(X, Y), UNIT, (10, 10), backend="c").mean() == mean


@pytest.mark.parametrize(
    ("axes", "error"),
    [
        ({X: (0, 1)}, UnknownSymbolError),
        ({X: (0, 1), Y: 1.0}, OperandError),
        ({X: (0, 1), Y: (0, 1), Z: (0, 1)}, OperandError),
        ({X: (0, 1), Y: (1, 1)}, DomainError),
        ({X: (0, 1), Y: (2, 1)}, DomainError),
        ({X: (0, 1), Y: (0, math.inf)}, DomainError),
        ({X: (0, 1), Y: (math.nan, 1)}, DomainError),
        ({X: (0, 1), Y: (0, 1, 2)}, DomainError),
        ({X: (0, 1), Y: ("a", "b")}, OperandError),
        ({X: (0, 1), "nobody": (0, 1)}, UnknownSymbolError),
        ([(0, 1), (0, 1)], OperandError),
    ],
)
def test_axes_that_make_no_picture(axes, error):
    with pytest.raises(error):
        inside(X + Y, axes, (4, 4))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4,), 4, (2.5, 2), "ab", None])
def test_sizes_that_make_no_picture(size):
    with pytest.raises(ShapeError):
        inside(X + Y, UNIT, size)


def test_settings_that_make_no_picture():
    with pytest.raises(ConfigError):
        Shape(X + Y, UNIT, method="guess")
    with pytest.raises(ConfigError):
        Shape(X + Y, UNIT, dtype="f32")
    with pytest.raises(OperandError):
        Shape([X, Y], UNIT)
