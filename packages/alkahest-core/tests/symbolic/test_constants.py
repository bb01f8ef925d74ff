"""Constants are folded exactly before anything is compiled, and nothing else is."""

from fractions import Fraction

import pytest

from alkahest import ExprPool, compile_expr, sqrt
from alkahest.symbolic.constants import fold_constants


@pytest.fixture
def pool():
    return ExprPool()


def test_one_rounding_instead_of_several(pool):
    x = pool.symbol("x")
    tenth = pool.rational(1, 10)
    total = tenth
    for _ in range(9):
        total = total + tenth
    f = compile_expr(x * total, [x], backend="interpreter")
    assert f([3.0]) == 3.0
    as_written = compile_expr(x * total, [x], backend="interpreter", contract=False)
    rounded = 0.1
    for _ in range(9):
        rounded += 0.1
    assert as_written([3.0]) == 3.0 * rounded != 3.0


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda p: p.integer(2) ** 10 / 3, Fraction(1024, 3)),
        (lambda p: sqrt(p.rational(9, 4)), Fraction(3, 2)),
        (lambda p: -(p.integer(1) / 3 - p.rational(4, 3)), Fraction(1)),
    ],
)
def test_values(pool, make, value):
    [folded] = fold_constants([make(pool)])
    assert folded == pool.expr(value)


def test_what_is_not_folded(pool):
    x = pool.symbol("x")
    kept = [
        pool.integer(1) / pool.integer(0),
        sqrt(pool.integer(2)),
        pool.integer(0) * pool.integer(-1),  # a negative zero at run time
        pool.integer(2) ** 3000,  # no float
        pool.float(0.1) + pool.float(0.2),
        x - x,
        x + 0,
    ]
    assert fold_constants(kept) == kept


def test_a_long_chain_of_constants(pool):
    total = pool.integer(1)
    for k in range(2, 20_000):
        total = total + pool.rational(1, k % 7 + 1)
    [folded] = fold_constants([total])
    assert folded == pool.expr(1 + sum([Fraction(1, k % 7 + 1) for k in range(2, 20_000)]))
