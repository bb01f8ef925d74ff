"""Folding while building: one look at the operands, and exact values."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import ExprPool, fma, log, sin, where
from alkahest.expr.building import building
from alkahest.symbolic.exact import exact_call, integer_root
from alkahest.symbolic.folding import fold_add, fold_mul, fold_neg, folding_node

x, y = ExprPool().symbols("x y")
FORMS = [
    (lambda: x + 0, "x"),
    (lambda: x + x, "2*x"),
    (lambda: x + -y, "x - y"),
    (lambda: -x + y, "y - x"),
    (lambda: 0 - x, "-x"),
    (lambda: x - x, "0"),
    (lambda: -(x - y), "y - x"),
    (lambda: -(0 - x), "x"),
    (lambda: x * 1, "x"),
    (lambda: x * 0, "0"),
    (lambda: x * -1, "-x"),
    (lambda: x * 2 * 3, "6*x"),
    (lambda: 2 * (x / 2), "x"),
    (lambda: 3 * (1 / x), "3/x"),
    (lambda: y * (1 / x), "y/x"),
    (lambda: x * x, "x^2"),
    (lambda: -x * -y, "x*y"),
    (lambda: x / 1, "x"),
    (lambda: x / -1, "-x"),
    (lambda: -x / -y, "x/y"),
    (lambda: -x / y, "-(x/y)"),
    (lambda: x / x, "1"),
    (lambda: x ** (3 - 1), "x^2"),
    (lambda: x**1, "x"),
    (lambda: x**0, "1"),
    (lambda: x**-1, "1/x"),
    (lambda: fma(1, x, y), "x + y"),
    (lambda: fma(x, y, x.pool.integer(0)), "x*y"),
    (lambda: where(x.pool.integer(0), x, y), "y"),
    (lambda: where(x < y, x, x), "x"),
    (lambda: sin(x.pool.integer(0)) + 1, "1"),
    (lambda: log(x.pool.integer(0)), "log(0)"),
    (lambda: x.pool.integer(2) ** 10**9, "2^1000000000"),
    (lambda: 1 / x.pool.float(0.0), "1/0.0"),
]


@pytest.mark.parametrize("k", range(len(FORMS)))
def test_form(k):
    make, wanted = FORMS[k]
    with building(folding_node):
        assert str(make()) == wanted


def test_by_id():
    pool = x.pool
    assert fold_add(pool, x.id, pool.integer(0).id) == x.id
    assert fold_mul(pool, pool.integer(2).id, y.id) == (2 * y).id
    assert fold_neg(pool, fold_neg(pool, x.id)) == x.id


def test_raw_input_of_any_depth():
    e = y
    for _ in range(50_000):
        e = -(2 * e)
    right = x
    for _ in range(50_000):
        right = 2 * right
    with building(folding_node):
        assert (0.5 * right).op == "mul"
        made = [x + e, x - e, x * e, x / e, e * e, -e, 3 * e, e - e, e / e]
    assert [m.op for m in made] == ["sub", "add", "neg", "neg", "mul", "mul", "mul", "integer", "integer"]


numbers = st.one_of(st.integers(-20, 20), st.fractions(-9, 9, max_denominator=9))


@given(numbers, st.fractions(-6, 6, max_denominator=6))
def test_powers_are_exact(base, exponent):
    exponent = exponent.numerator if exponent.denominator == 1 else exponent
    found = exact_call("pow", [base, exponent])
    if found is None:
        assert base < 0 or exponent < 0 or exponent.denominator > 1
    else:
        assert Fraction(found) ** exponent.denominator == Fraction(base) ** exponent.numerator


@given(st.integers(0, 10**12), st.integers(2, 9))
def test_roots_of_integers(n, k):
    assert integer_root(n**k, k) == n
    if n > 1:
        assert integer_root(n**k + 1, k) is None


@pytest.mark.parametrize("k", [0, 1, 5, 300, 4000])
def test_logarithms_of_powers(k):
    assert exact_call("log10", [10**k]) == k
    assert exact_call("log2", [Fraction(1, 2**k)]) == -k
    assert exact_call("log10", [Fraction(2, 10**k)]) is None
