"""Every primitive: values against mpmath, specials by IEEE rules, the same on floats, arrays and compiled tapes."""

import math
import zlib

import mpmath
import numpy as np
import pytest

import alkahest
from alkahest import ExprPool, compile_expr
from alkahest.base.prim import arity_of, prim_names
from alkahest.base.rules import impl_rules
from alkahest.errors import ArrayError, DtypeError, NumberOverflowError
from alkahest.prims import arithmetic, special
from alkahest.prims.scalar import declarations

REFERENCE = {
    "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan, "atan2": mpmath.atan2, "cbrt": mpmath.cbrt,
    "log2": lambda x: mpmath.log(x, 2), "log10": mpmath.log10, "log1p": mpmath.log1p, "hypot": mpmath.hypot,
    "lgamma": lambda x: mpmath.loggamma(x).real, "polygamma": mpmath.psi, "pow": mpmath.power,
    "abs": mpmath.fabs, "fma": lambda a, b, c: a * b + c,
    "min": min, "max": max, "fmin": min, "fmax": max, "trunc": lambda x: mpmath.mpf(int(x)),
    "round": mpmath.nint, "round_away": lambda x: mpmath.floor(abs(x) + 0.5) * mpmath.sign(x),
    "copysign": lambda a, b: mpmath.mpf(math.copysign(a, b)), "fmod": lambda a, b: a - b * int(a / b),
    "remainder": lambda a, b: a - b * mpmath.nint(a / b), "neg": lambda a: -a, "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b), "not": lambda a: not a, "where": lambda c, a, b: a if c else b,
}  # fmt: skip
# Relative error allowed, in units of 2^-52: 1.5, but more for C libraries' cube root and error functions.
LOOSE = {"gamma": 8, "lgamma": 16, "digamma": 16, "polygamma": 64, "erf": 2, "erfc": 8, "pow": 2, "tan": 2, "cbrt": 3}
ABSOLUTE_NEAR_ZERO = {"lgamma", "digamma"}  # their roots are no floats: the error is relative to 1 there
OURS = [n for n in prim_names() if n in REFERENCE or hasattr(mpmath, n)]


def points(name, count=64):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [[float(rng.uniform(lo, hi)) for lo, hi in declarations[name].domain] for _ in range(count)]


def reference(name, point):
    with mpmath.workprec(200):
        return (REFERENCE.get(name) or getattr(mpmath, name))(*[mpmath.mpf(v) for v in point])


def close(name, got, want):
    want = mpmath.mpf(want)
    smallest = 1 if name in ABSOLUTE_NEAR_ZERO else mpmath.mpf(2) ** -1022
    return abs(mpmath.mpf(got) - want) <= LOOSE.get(name, 1.5) * 2.0**-52 * max(abs(want), smallest)


def test_every_primitive_has_a_reference():
    assert set(OURS) >= {n for n in declarations if not n.startswith(("doc_", "test_", "rpn", "example"))}


@pytest.mark.parametrize("name", OURS)
def test_numbers_and_arrays_agree_with_mpmath(name):
    rule = impl_rules.by_name(name)
    sample = points(name)
    for point in sample:
        want = reference(name, point)
        assert close(name, rule.number(*point), want), point
    columns = [np.array(c) for c in zip(*sample, strict=True)]
    values = np.asarray(rule.array(*columns), dtype=float)
    for point, got in zip(sample, values, strict=True):
        assert close(name, got, reference(name, point)), point


@pytest.mark.parametrize("name", OURS)
def test_specials_agree_between_numbers_and_arrays(name):
    rule = impl_rules.by_name(name)
    specials = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 3.5, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan]
    n = arity_of(name)
    grid = np.array(np.meshgrid(*[specials] * n)).reshape(n, -1)
    if name == "polygamma":
        grid = grid[:, (grid[0] == 1.0) & (np.abs(grid[1]) < 100)]
    values = np.broadcast_to(np.asarray(rule.array(*grid), dtype=float), grid.shape[1:])
    for k in range(grid.shape[1]):
        point = [float(v) for v in grid[:, k]]
        got = rule.number(*point)
        if name in ("gamma", "lgamma") and point[0] < 1e-300:
            continue  # SciPy and C differ at poles, at -0 and at denormals
        assert got == pytest.approx(values[k], rel=1e-13, nan_ok=True, abs=0), (name, point)


def public(name):
    if name in ("add", "sub", "mul", "div", "neg"):
        return None
    return getattr(alkahest, {"and": "and_", "or": "or_", "not": "not_"}.get(name, name))


@pytest.mark.parametrize("name", [n for n in OURS if public(n)])
def test_public_functions_take_numbers_arrays_and_expressions(name):
    f, point = public(name), points(name, 1)[0]
    value = f(*point)
    assert type(value) is float
    np.testing.assert_allclose(f(*[np.full(3, v) for v in point]), value, rtol=1e-14, atol=1e-14)
    pool = ExprPool()
    symbols = pool.symbols(" ".join("abc"[: len(point)]))
    e = f(*symbols)
    assert compile_expr(e, symbols)(point) == value
    batch = compile_expr(e, symbols).call_batch([[v, v] for v in point])
    np.testing.assert_allclose(batch, value, rtol=1e-14, atol=1e-14)


def test_half_powers_follow_c99_over_arrays():
    x = np.array([-math.inf, -0.0, 4.0, math.nan])
    rule = impl_rules.by_name("pow")
    for half in (0.5, np.array(0.5), np.full(4, 0.5)):
        got = rule.array(x, half)
        np.testing.assert_array_equal(got, [math.inf, 0.0, 2.0, math.nan])
        assert not np.signbit(got[1])


def test_exact_fma():
    assert arithmetic.exact_fma(0.1, 10.0, -1.0) == 2.0**-54
    assert arithmetic.exact_fma(1e308, 10.0, -math.inf) == -math.inf
    assert arithmetic.exact_fma(1e308, 10.0, 0.0) == math.inf
    assert math.isnan(arithmetic.exact_fma(math.inf, 0.0, 1.0))
    assert math.copysign(1, arithmetic.exact_fma(-1.0, 0.0, 0.0)) == 1
    assert arithmetic.exact_fma(5e-324, 0.5, 0.0) == 0.0


@pytest.mark.parametrize("exception", [OverflowError, ValueError])
def test_fma_where_the_library_raises(monkeypatch, exception):
    def raises(*_):
        raise exception("as math.fma of Python 3.13 does")

    assert alkahest.fma(1e308, 10.0, 0.0) == math.inf
    assert math.isnan(alkahest.fma(math.inf, 0.0, 1.0))
    monkeypatch.setattr(arithmetic, "_c_fma", raises)
    assert alkahest.fma(-1e308, 10.0, 0.0) == -math.inf
    assert math.isnan(alkahest.fma(math.inf, 0.0, 1.0))
    assert alkahest.fma(0.1, 10.0, -1.0) == 2.0**-54


@pytest.mark.parametrize("order", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 7.25, 40.0, 1e6, -0.5, -3.75, -100.25])
def test_polygamma_wide(order, x):
    want = mpmath.psi(order, x)
    assert special.polygamma(order, x) == pytest.approx(float(want), rel=1e-11)


def test_wrong_arguments():
    with pytest.raises(DtypeError):
        alkahest.sin(np.array([1j]))
    with pytest.raises(ArrayError):
        alkahest.sin([[1.0], [1.0, 2.0]])
    with pytest.raises(ArrayError):
        alkahest.sin("x")
    with pytest.raises(NumberOverflowError):
        alkahest.sin(10**400)
    with pytest.raises(ArrayError):
        alkahest.atan2(np.ones(2), np.ones(3))


def test_several_arguments_of_extrema_and_conditions():
    pool = ExprPool()
    x, y, z = pool.symbols("x y z")
    assert alkahest.min(3.0, 1.0, 2.0) == 1.0
    f = compile_expr(alkahest.max(x, y, z), [x, y, z])
    assert f([1.0, 3.0, 2.0]) == 3.0
    g = compile_expr(alkahest.and_(x > 0, y > 0, z > 0), [x, y, z])
    assert g([1.0, 3.0, 2.0]) == 1.0
    assert g([1.0, -3.0, 2.0]) == 0.0
