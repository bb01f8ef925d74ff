"""Soundness: random expressions under random assumptions against mpmath; the long run is benchmarks/soundness.py."""

import random
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from alkahest import ExprPool, log, sqrt
from alkahest.symbolic.canonical import canonical

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
pytest.importorskip("mpmath")
sys.path.append(str(BENCHMARKS))

import soundness  # noqa: E402
from soundness_cases import Case  # noqa: E402
from soundness_values import NONE, UNKNOWN, value  # noqa: E402


@pytest.mark.parametrize("seed", range(4))
def test_nothing_changes_its_value(seed):
    for outcome in soundness.run_chunk(seed, 250, list(soundness.VARIANTS)).values():
        assert outcome.wrong == []
        assert outcome.points > 500


def careless(expr, conditions):
    """What a simplifier must not do: take sqrt(x**2) for x."""
    return expr.subs({sqrt(s**2): s for s in expr.free_symbols})


def test_a_wrong_rule_is_found():
    x = ExprPool().symbol("x")
    case = Case(1 + sqrt(x**2), [x > -3], [{"x": Fraction(2)}, {"x": Fraction(-1)}])
    points, wrong = soundness.check(case, soundness.Variant(careless))
    assert points == 2
    assert "2 became 0" in wrong[0]


def test_a_changed_domain_is_found_where_it_counts():
    x = ExprPool().symbol("x")
    case = Case(x * log(x) / log(x), [], [{"x": Fraction(-1)}])
    run = soundness.VARIANTS["canonical"].run
    assert soundness.check(case, soundness.Variant(run))[1] == []
    assert "no value became -1" in soundness.check(case, soundness.Variant(run, strict=True))[1][0]


def test_a_crash_is_a_finding():
    x = ExprPool().symbol("x")
    assert "ZeroDivisionError" in soundness.check(Case(x + 1, [], []), soundness.Variant(lambda e, c: 1 / 0))[1][0]


def test_a_strict_variant_that_is_not_strict_is_found_by_chance():
    rng = random.Random(1)
    loose = soundness.Variant(soundness.VARIANTS["canonical"].run, strict=True)
    assert any(soundness.check(soundness.random_case(rng), loose)[1] for _ in range(500))


@pytest.mark.parametrize(
    ("build", "at", "wanted"),
    [
        (lambda x: 1 / x, 0, NONE),
        (lambda x: x**-1 + log(x), 0, NONE),
        (lambda x: x**0, 0, 1),
        (sqrt, Fraction(9, 4), Fraction(3, 2)),
        (sqrt, -1, NONE),
        (lambda x: x ** Fraction(2, 3), 8, 4),
        (lambda x: sqrt(x) * sqrt(x) > 2, 2, UNKNOWN),
    ],
)
def test_oracle(build, at, wanted):
    assert value(build(ExprPool().symbol("x")), {"x": Fraction(at)}) == wanted


def test_what_is_undefined_stays():
    pool = ExprPool()
    for e in (pool.integer(0) / 0, log(pool.integer(0)), sqrt(pool.integer(-1)), pool.integer(0) ** -1):
        for strict in (False, True):
            assert canonical([e], strict=strict) == [e]
