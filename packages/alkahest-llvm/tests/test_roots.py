"""Square roots by multiplication: correctly rounded, and used where the divider has no time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from alkahest import ExprPool, compile_expr, exp, log, numpy_eval, sin, sqrt
from alkahest.extend import CompileOptions, linearize
from alkahest_llvm import targets
from alkahest_llvm.emitting import roots
from alkahest_llvm.optimising.optimiser import optimise

needed = pytest.mark.skipif(not roots._available(), reason="this processor is none of Intel's with AVX-512")

NEAR = 400  # in units of 2^-56 ulp: how close to the middle between two doubles the roots are that are tried


def hard_mantissas() -> Iterator[int]:
    """Yield the 53-bit integers m for which sqrt(m 2^e), e = 52 or 53, lies closest to (2q + 1)/2 for a 53-bit q.

    Then 4 m 2^e = (2q + 1)^2 + c with a small c, so the odd number 2q + 1 is a root of -c modulo 2^(e + 2), of which
    there are four where c is 7 modulo 8 and none elsewhere (Hensel's lemma).
    """
    for e in (52, 53):
        modulus = 1 << (e + 2)
        for c in range(-NEAR - 1, NEAR, 8):
            assert c % 8 == 7
            first = _root_modulo(-c % modulus, e + 2)
            for start in {first, modulus - first, (first + modulus // 2) % modulus, (modulus // 2 - first) % modulus}:
                for odd in range(start, 1 << 54, modulus):
                    if odd >= 1 << 53:
                        m, rest = divmod(odd * odd + c, modulus)
                        assert rest == 0
                        if 1 << 52 <= m < 1 << 53:
                            yield m << (e - 52)


def _root_modulo(a: int, bits: int) -> int:
    """Return a root of a, which is 1 modulo 8, modulo 2^bits: bit by bit."""
    root = 1
    for k in range(3, bits):
        if (root * root - a) >> k & 1:
            root += 1 << (k - 1)
    assert (root * root - a) % (1 << bits) == 0
    return root


def _is_rounded_root(x: float, root: float) -> bool:
    """Tell whether `root` is the double nearest to the square root of x, from exact integers."""
    top, power = math.frexp(x)
    power -= 53
    m = int(top * 2**53)
    if power % 2:
        m, power = m * 2, power - 1
    wide = math.isqrt(m << 120)  # the root times 2^60, rounded down; a root is never in the middle
    scaled = math.ldexp(root, -power // 2)
    numerator, denominator = scaled.as_integer_ratio()
    below, above = np.nextafter(scaled, 0), np.nextafter(scaled, np.inf)
    low = (scaled.as_integer_ratio(), below.item().as_integer_ratio())
    high = (scaled.as_integer_ratio(), above.item().as_integer_ratio())
    middles = [((a * d + c * b) << 60, 2 * b * d) for (a, b), (c, d) in (low, high)]
    assert denominator > 0
    assert numerator > 0
    return middles[0][0] <= (wide + 1) * middles[0][1] and wide * middles[1][1] <= middles[1][0]


@pytest.fixture(scope="module")
def multiplied():
    """sqrt(x) as compiled code that multiplies it out."""
    x = ExprPool().symbol("x")
    f = compile_expr(sqrt(x), [x], backend="llvm")
    assert "rsqrt14" in f.artifacts["asm"]
    return f


def test_the_oracle_tells_neighbours_apart():
    assert _is_rounded_root(2.0, math.sqrt(2.0))
    assert not _is_rounded_root(2.0, math.nextafter(math.sqrt(2.0), 2.0))
    assert not _is_rounded_root(2.0, math.nextafter(math.sqrt(2.0), 1.0))
    assert _is_rounded_root(4.0, 2.0)


@needed
def test_roots_next_to_the_middle_between_two_doubles(multiplied):
    values = sorted(set(hard_mantissas()))
    assert len(values) > 100
    points = np.array([math.ldexp(v, e) for v in values for e in (-53, -52, 0, 901, -1000)])
    found = numpy_eval(multiplied, points)
    for x, root in zip(points.tolist(), found.tolist(), strict=True):
        assert _is_rounded_root(x, root), x.hex()


@needed
def test_roots_of_any_bits(multiplied):
    rng = np.random.default_rng(1)
    special = np.array([math.inf, math.nan, 1.0, 5e-324, 2.0**-1022, 1.7976931348623157e308, 0.0])
    points = np.concatenate([rng.integers(0, 1 << 64, 1_000_000, np.uint64).view(np.float64), special, -special])
    with np.errstate(all="ignore"):
        expected = np.sqrt(points)
    found = numpy_eval(multiplied, points)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[points == 0]), np.signbit(points[points == 0]))


@needed
@pytest.mark.parametrize("n", [1, 7, 8, 15, 16, 17, 1000])
def test_a_batch_of_any_length_and_the_other_tier_give_the_same_bits(n):
    x, y = ExprPool().symbols("x y")
    expr = sqrt(x * x + y * y) / sqrt(x + y) + (x + y) ** -1.5 - x**2.5
    columns = np.random.default_rng(n).uniform(0, 5, (2, n))
    f, g = [compile_expr(expr, [x, y], backend=b) for b in ("llvm", "llvm-fast")]
    assert "rsqrt14" in f.artifacts["asm"]
    np.testing.assert_array_equal(numpy_eval(f, *columns), numpy_eval(g, *columns))


def _share(build) -> float:
    x, y = ExprPool().symbols("x y")
    return roots._share(optimise(linearize([build(x, y)], [x, y]), CompileOptions()), CompileOptions())


def test_roots_are_multiplied_out_where_the_divider_is_what_a_loop_waits_for():
    assert _share(lambda x, y: x + y / x) == 0.0
    assert _share(lambda x, y: sqrt(x * x + y * y)) > 0.5
    assert _share(lambda x, y: sqrt(x) + exp(y) * sin(x) + log(y)) < 0.5  # so the only one is left to the divider
    both = _share(lambda x, y: x / sqrt(1 + y * y) + y / sqrt(1 + x * x))
    assert 0.5 < both <= 1.0


@needed
def test_a_share_of_the_roots_is_spread_evenly(monkeypatch):
    monkeypatch.setattr(roots, "_share", lambda tape, options: 0.4)
    x = ExprPool().symbol("x")
    ask = roots.roots_to_multiply(linearize([sqrt(x)], [x]), CompileOptions(), 16)
    assert ask is not None
    answers = [ask() for _ in range(100)]
    assert sum(answers) == 40
    assert max(answers[k : k + 5].count(True) for k in range(95)) == 2


@pytest.mark.parametrize("cpu", ["znver4", "x86-64-v4", ""])
def test_no_root_is_multiplied_out_on_other_processors(monkeypatch, cpu):
    monkeypatch.setattr(targets, "instead", targets.Target("host", cpu, "+avx512f", lanes=16))
    x = ExprPool().symbol("x")
    assert roots.roots_to_multiply(linearize([sqrt(x)], [x]), CompileOptions(), 16) is None


@pytest.mark.parametrize(("dtype", "width"), [("f32", 16), ("f64", 4), ("f64", 1)])
def test_no_root_is_multiplied_out_in_other_code(dtype, width):
    x = ExprPool().symbol("x")
    assert roots.roots_to_multiply(linearize([sqrt(x)], [x]), CompileOptions(dtype=dtype), width) is None
