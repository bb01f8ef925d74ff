"""`share`: fewer operations for the same values on the same domain."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkahest import ExprPool, exp, parse
from alkahest.expr.tape import linearize
from alkahest.symbolic.sharing.share import _arrangements, share

NAMES = ["x", "y", "a"]


def operations(exprs):
    return len(linearize(exprs, exprs[0].pool.symbols(["x", "y", "z", "a", "b", "c", "d", "e"])).instrs)


def shared(*texts):
    pool = ExprPool()
    return share([parse(t, pool) for t in texts])


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["x*y*z", "x*y*a", "b*y*x"], 4),  # x*y, and one product each
        (["x^2*exp(b)/a", "x^2*exp(b)/a^2", "x^2*exp(b)*b"], 6),
        (["-a*b*x", "a*b*y"], 4),
        (["2*a*b", "a*b"], 2),
        (["a + b + c", "a + b + d"], 3),
        (["(a - b)*x", "(b - a)*y"], 4),
        (["-((a - b)*x)"], 2),  # (b - a)*x
        (["2*a + 2*b + c", "a + b + d"], 4),
        (["a*x^3 + b*x^2 + c*x + d"], 6),
        (["1/(a*b)", "c/(a*b)"], 3),
        (["-2*pi*x*y/a^2", "2*pi*x*z/a^2"], 7),
        (["2*x/3"], 1),
        (["x/3"], 1),
        (["exp(a*b + c)", "a*b + c + d"], 4),
        (["x^5*y", "x^4*y", "x^3*y", "x^2*y", "x*y"], 6),
        (["x + y"], 1),
        (["x"], 0),
    ],
)
def test_operations(texts, wanted):
    assert operations(shared(*texts)) == wanted


def test_powers_of_a_base_that_is_not_zero_share_one():
    pool = ExprPool()
    x, b = pool.symbols("x b")
    base = exp(x) + 1
    exprs = [base**b, base ** (b - 1), base ** (b - 2)]
    assert operations(exprs) == 7
    assert operations(share(exprs)) == 5
    assert share([x**b, x ** (b - 1)]) == [x**b, x ** (b - 1)]  # x may be zero


def test_nothing_comes_back_as_nothing():
    assert share([]) == []


def test_numbers_of_any_size_and_zero_stay_exact():
    pool = ExprPool()
    x = pool.symbol("x")
    huge = pool.integer(10**400)
    for expr in (huge * x * huge, x * 0 + x * 0, x / (x * 0), (2 * x) ** 5000, x / pool.float(0.0)):
        assert value(share([expr])[0], {"x": Fraction(3)}) == value(expr, {"x": Fraction(3)})


def test_squaring_in_a_loop_ends():
    x = expr = ExprPool().symbol("x")
    for _ in range(500):
        expr = expr * expr
    assert operations(share([expr, x])) <= 500


def value(expr, at):
    """The exact value of an expression of arithmetic; None where it has none."""
    pool, values = expr.pool, {}
    for i in range(expr.id + 1):
        op, *args = pool.node(i)
        if op == "symbol":
            values[i] = at.get(args[0], Fraction(1))
        elif op in ("integer", "rational", "float"):
            values[i] = Fraction(args[0]) if op == "float" else Fraction(*args)
        else:
            operands = [values[c] for c in args]
            values[i] = None if None in operands else _operation(op, *operands)
    return values[expr.id]


def _operation(op, a, b=Fraction(0)):
    if (op == "div" and b == 0) or (op == "pow" and b < 0 and a == 0):
        return None
    if op == "div":
        return a / b
    return a ** int(b) if op == "pow" else {"add": a + b, "sub": a - b, "mul": a * b, "neg": -a}[op]


leaves = st.sampled_from([*NAMES, "1", "2", "3"])
texts = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-**/"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})")
        | st.tuples(inner, st.sampled_from([2, 3, -1, -2])).map(lambda t: f"({t[0]}^({t[1]}))")
    ),
    max_leaves=10,
)
points = st.lists(st.tuples(*[st.integers(-2, 2).map(Fraction)] * 3), min_size=4, max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), points)
def test_values_and_domain_stay_and_operations_never_grow(texts, points):
    pool = ExprPool()
    exprs = [parse(t, pool) for t in texts]
    found = share(exprs)
    assert share(exprs) == found
    count = sum(1 for _ in linearize(exprs, pool.symbols(NAMES)).instrs)
    assert len(linearize(found, pool.symbols(NAMES)).instrs) <= count
    for arranged in _arrangements(pool, exprs, count):  # also those that are not taken
        for point in points:
            at = dict(zip(NAMES, point, strict=True))
            assert [value(e, at) for e in arranged] == [value(e, at) for e in exprs]
