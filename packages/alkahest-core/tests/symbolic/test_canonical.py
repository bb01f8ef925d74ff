"""The canonical form: what it looks like, what it keeps, and that it is linear."""

import math
import random
import sys
import threading
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest
from alkahest import ExprPool, abs, cos, exp, log, parse, simplify, sin, sqrt, where
from alkahest.errors import OperandError, PoolMismatchError
from alkahest.expr.building import building
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical, canonical_node
from alkahest.symbolic.folding import folding_node
from alkahest.testing.strategies import expr_lists


def form(expr):
    """The canonical form of one expression."""
    return canonical([expr])[0]


FORMS = [
    # sums
    ("sin(y) + x^2", "x^2 + sin(y)"),
    ("4 + 3*x + 2*x^2 + x^3", "x^3 + 2*x^2 + 3*x + 4"),
    ("2*x + 3*x", "5*x"),
    ("x - x", "0"),
    ("x + 0", "x"),
    ("-x + y", "y - x"),
    ("-x^2 + 1", "1 - x^2"),
    ("z - (x + y)", "z - x - y"),
    ("-(x + y)", "-x - y"),
    ("x - -y", "x + y"),
    ("(x + 1) - 1", "x"),
    ("2*(x + y)", "2*(x + y)"),
    ("2*(x + y) - 2*x", "2*y"),
    ("(a + b + c + d)/4 + z", "z + (a + b + c + d)/4"),
    ("x2 + x10 + x1", "x1 + x2 + x10"),
    ("y^2 + x*y + x^2", "x^2 + x*y + y^2"),
    ("pi + sin(x) + 1 + x", "x + sin(x) + pi + 1"),
    # products and quotients
    ("x*1 + y*0", "x"),
    ("y*2*x*cos(x^2)", "2*x*y*cos(x^2)"),
    ("x*y/z/2", "x*y/(2*z)"),
    ("x*(2/3)", "2*x/3"),
    ("(1/2)*x", "x/2"),
    ("x/x", "1"),
    ("x^-1", "1/x"),
    ("3/(2*x)", "3/(2*x)"),
    ("-x*-y", "x*y"),
    ("-(x*y)", "-x*y"),
    ("x/y/z", "x/(y*z)"),
    ("(x*y)^3", "x^3*y^3"),
    ("(2*x)^3", "8*x^3"),
    ("(x + y)*(x + y)", "(x + y)^2"),
    ("(x + y)^2/(x + y)", "x + y"),
    ("(-x - y)*z", "-z*(x + y)"),
    ("x*(x*(x + 2) + 3) + 4", "x*(x*(x + 2) + 3) + 4"),
    ("exp(-b1*x)*b2", "b2*exp(-b1*x)"),
    ("x*exp(-(y - 3)/2)", "x*exp((3 - y)/2)"),
    # powers
    ("x*x", "x^2"),
    ("x^3*x^-1", "x^2"),
    ("x^0 + x^1", "x + 1"),
    ("0^0", "1"),
    ("1^x", "1"),
    ("sqrt(x)*sqrt(x)", "x"),
    ("x^(3/2)*sqrt(x)", "x^2"),
    ("(x^2)^(1/2)", "abs(x)"),
    ("(x^4)^(1/2)", "x^2"),
    ("(x^2)^(1/4)", "sqrt(abs(x))"),
    ("sqrt(x*y)^2", "x*y"),
    ("sqrt(4*x)", "2*sqrt(x)"),
    ("sqrt(12*x)", "sqrt(12*x)"),
    ("1/sqrt(2)", "sqrt(2)/2"),
    ("2^(3/2)", "2*sqrt(2)"),
    ("sqrt(8)*sqrt(8)", "8"),
    ("cbrt(x)^3", "x"),
    ("abs(x)^2", "x^2"),
    ("abs(x)^3", "abs(x)^3"),
    ("x^y*x^y", "(x^y)^2"),
    ("E^x", "exp(x)"),
    ("exp(2)*E", "exp(3)"),
    # exact values
    ("1/3 + 1/6", "1/2"),
    ("2^100 - 1", "1267650600228229401496703205375"),
    ("sqrt(4/9) + cbrt(-8)", "-4/3"),
    ("sqrt(8)", "2*sqrt(2)"),
    ("sqrt(8)*sqrt(2)", "4"),
    ("sqrt(6)*sqrt(10)", "2*sqrt(15)"),
    ("sqrt(8) - 2*sqrt(2)", "0"),
    ("sqrt(2)*sqrt(3)", "sqrt(6)"),
    ("sqrt(8/27)", "2*sqrt(6)/9"),
    ("4^(1/3)*16^(1/3)", "4"),
    ("27^(2/3)", "9"),
    ("sin(0) + cos(0) + exp(0) + log(1)", "2"),
    ("sin(pi/6) + cos(pi) + tan(pi/4)", "1/2"),
    ("sin(pi/7)", "sin(pi/7)"),
    ("log2(1/8) + log10(1000)", "0"),
    ("gamma(5) + lgamma(2) + erf(0)", "24"),
    ("floor(7/2) + ceiling(-7/2) + abs(-3)", "3"),
    ("max(2, 3) - min(1/2, 1/3)", "8/3"),
    ("hypot(3, 4)", "5"),
    # signs
    ("sin(-x) + cos(-x)", "cos(x) - sin(x)"),
    ("cos(y - x) - cos(x - y)", "0"),
    ("sin(-x - y)", "-sin(x + y)"),
    ("abs(-2*x)", "2*abs(x)"),
    ("abs(y - x) - abs(x - y)", "0"),
    # conditions
    ("Piecewise((x, 1 < 2), (y, True))", "x"),
    ("Piecewise((y, x < 1), (y, True))", "y"),
    ("0 < x", "x > 0"),
    ("Eq(1, x)", "Eq(x, 1)"),
    ("(x < y) & (1 < 2)", "x < y"),
    ("~(~(x < y))", "x < y"),
    ("max(0, x)", "max(x, 0)"),
    # no value: kept
    ("0^-1", "0^(-1)"),
    ("x/0", "x/0"),
    ("0*(1/0)", "0*(1/(0))"),
    ("log(0) - log(0)", "log(0) - log(0)"),
    ("0*sqrt(-1)", "0*sqrt(-1)"),
]


@pytest.mark.parametrize(("text", "wanted"), FORMS, ids=[text for text, _ in FORMS])
def test_form(text, wanted):
    e = parse(text, ExprPool())
    assert str(form(e)) == wanted
    assert form(form(e)) == form(e)


def test_floats_keep_their_value():
    x = ExprPool().symbol("x")
    half = x.pool.float(0.5)
    for e, wanted in [
        (half + 1, "0.5 + 1"),
        (0.5 * x + 1 * x, "x + 0.5*x"),
        (half * half, "0.5^2"),
        (x - 0.5, "x - 0.5"),
        (x * -0.5, "-0.5*x"),
        (x**0.5 * x**0.5, "(x^0.5)^2"),
        (x / 0.0, "x/0.0"),
        (0.0 * (x / 0.0), "0.0*(x/0.0)"),
        (0.1 * x + 0.2 * x, "0.1*x + 0.2*x"),
    ]:
        assert str(form(e)) == wanted


def test_domains_of_symbols_are_used():
    pool = ExprPool()
    p, r = pool.symbol("p", "positive"), pool.symbol("r")
    assert form(sqrt(p**2)) == p
    assert form(abs(p * r)) == form(abs(r * p))
    assert str(form(abs(p * p * p))) == "p^3"
    assert str(form((p ** Fraction(2)) ** Fraction(1, 4))) == "sqrt(p)"
    assert str(form(sqrt(r**2))) == "abs(r)"


STRICT = [
    ("x/x", "x/x"),
    ("x^2/x", "x^2/x"),
    ("x^3*x^2", "x^5"),
    ("1/x/x", "1/x^2"),
    ("(x*y)/(x*z)", "x*y/(x*z)"),
    ("3/(2*x)", "3/(2*x)"),
    ("x^0", "1"),
    ("log(x)^0", "0*log(x) + 1"),
    ("(1/x)^0 - 1", "0/x"),
    ("x - x", "0"),
    ("log(x) - log(x)", "0*log(x)"),
    ("2*log(x) - log(x) - log(x) + y", "y + 0*log(x)"),
    ("3*(log(x) - log(x))", "0*log(x)"),
    ("0*x", "0"),
    ("0*log(x)", "0*log(x)"),
    ("0*(x + log(x) + sqrt(y))", "0*log(x) + 0*sqrt(y)"),
    ("sqrt(x)^2", "sqrt(x)^2"),
    ("sqrt(x)*sqrt(x)*sqrt(x)", "sqrt(x)^3"),
    ("1/sqrt(x)", "1/sqrt(x)"),
    ("sqrt(x)/sqrt(x)", "sqrt(x)/sqrt(x)"),
    ("sqrt(x^2)", "abs(x)"),
    ("(x^3)^(1/3)", "(x^3)^(1/3)"),
    ("sqrt(x*y)^2", "sqrt(x*y)^2"),
    ("sqrt(x^2 + 1)^2", "x^2 + 1"),
    ("cbrt(x)^3", "x"),
    ("(x^2 + 1)/(x^2 + 1)", "1"),
    ("exp(x)/exp(x)", "1"),
    ("exp(log(x))/exp(log(x))", "exp(log(x))/exp(log(x))"),
    ("1^log(x)", "0*log(x) + 1"),
    ("log(x) < log(x)", "log(x) < log(x)"),
    ("x < x", "0"),
    ("Piecewise((y, log(x) < 1), (y, True))", "Piecewise((y, log(x) < 1), (y, True))"),
    ("Piecewise((y, 1 < 2), (log(x), True))", "y"),
    ("(log(x) < 1) & (2 < 1)", "(log(x) < 1) & Ne(0, -0)"),
    ("sin(0*log(x))", "sin(0*log(x))"),
    ("max(log(x), log(x))", "log(x)"),
]


@pytest.mark.parametrize(("text", "wanted"), STRICT, ids=[text for text, _ in STRICT])
def test_strict_form(text, wanted):
    e = parse(text, ExprPool())
    [c] = canonical([e], strict=True)
    assert str(c) == wanted
    assert canonical([c], strict=True) == [c]


@given(expr_lists(max_ops=14))
def test_strict_is_idempotent_over_all_functions(exprs):
    once = canonical(exprs, strict=True)
    assert canonical(once, strict=True) == once


def test_several_at_once_and_none():
    x, y = ExprPool().symbols("x y")
    assert canonical([]) == []
    assert canonical([x + x, y - y, x + x]) == [2 * x, x.pool.integer(0), 2 * x]


def test_refused():
    x, y = ExprPool().symbol("x"), ExprPool().symbol("y")
    with pytest.raises(PoolMismatchError):
        canonical([x, y])
    with pytest.raises(OperandError):
        simplify(3)


def test_equations_stay_expressions():
    x, y = ExprPool().symbols("x y")
    assert alkahest.map_exprs(form, {"a": x + x, "b": [y - y]}) == {"a": 2 * x, "b": [x.pool.integer(0)]}


# -- properties

PRODUCTS, SUMS = ["mul", "mul", "div", "pow"], ["add", "add", "sub", "neg"]
CHOICES = ["abs", "min", "max", "floor", "sign", "where", "lt", "le", "eq", "and", "not", "fma"]
ARITY = {"neg": 1, "abs": 1, "floor": 1, "sign": 1, "not": 1, "where": 3, "fma": 3}
LEAVES = ["x", "y", "z", 0, 1, -1, 2, Fraction(1, 2), Fraction(-2, 3)]
EXPONENTS = [2, 3, -1, 0, 1, -2]


@st.composite
def programs(draw, *, ops=tuple(3 * SUMS + 3 * PRODUCTS + CHOICES), size=16, leaves=tuple(LEAVES)):
    """A formula as instructions: (op, operands counted back, exponent), so that it can be built in several ways."""
    out = []
    for op in draw(st.lists(st.sampled_from(ops), min_size=1, max_size=size)):
        back = [draw(st.integers(1, len(out) + len(leaves))) for _ in range(ARITY.get(op, 2))]
        out.append((op, back, draw(st.sampled_from(EXPONENTS)) if op == "pow" else None))
    return out, leaves


def build(program, pool):
    instructions, leaves = program
    values = [pool.symbol(v) if isinstance(v, str) else pool.number(v) for v in leaves]
    for op, back, exponent in instructions:
        args = [values[-k] for k in back]
        values.append(pool.apply(op, *args[:1], exponent) if op == "pow" else pool.apply(op, *args))
    return values[-1]


class Undefined(Exception):
    """There is no value."""


def quotient(a, b):
    if b == 0:
        raise Undefined
    return Fraction(a) / b


def real_power(a, n):
    if a == 0 and n < 0:
        raise Undefined
    if builtins_abs(n) > 400:
        raise Undefined
    return Fraction(a) ** int(n)


builtins_abs = __builtins__["abs"] if isinstance(__builtins__, dict) else __builtins__.abs
VALUES = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": quotient,
    "neg": lambda a: -a,
    "pow": real_power,
    "abs": builtins_abs,
    "min": min,
    "max": max,
    "floor": math.floor,
    "sign": lambda a: (a > 0) - (a < 0),
    "lt": lambda a, b: int(a < b),
    "gt": lambda a, b: int(a > b),
    "le": lambda a, b: int(a <= b),
    "ge": lambda a, b: int(a >= b),
    "eq": lambda a, b: int(a == b),
    "and": lambda a, b: int(a != 0 and b != 0),
    "not": lambda a: int(a == 0),
    "fma": lambda a, b, c: a * b + c,
}


def value(expr, at):
    """The exact value in rational arithmetic, None where there is none."""
    found = {}
    for i in reachable(expr.pool, [expr.id]):
        op, *rest = expr.pool.node(i)
        if op == "symbol":
            found[i] = at[rest[0]]
        elif op in ("integer", "rational"):
            found[i] = Fraction(*rest)
        else:
            found[i] = applied(op, [found[a] for a in rest])
    return found[expr.id]


def applied(op, args):
    if op == "where":  # the branch that is not taken may have no value
        return None if args[0] is None else args[1] if args[0] != 0 else args[2]
    try:
        return None if any(a is None for a in args) else VALUES[op](*args)
    except Undefined:
        return None


points = st.fixed_dictionaries({s: st.fractions(-4, 4, max_denominator=3) for s in "xyz"})


@given(programs(), points)
def test_value_is_kept_wherever_there_is_one(program, at):
    e = build(program, ExprPool())
    wanted = value(e, at)
    if wanted is None:
        return
    assert value(form(e), at) == wanted
    with building(folding_node):
        assert value(build(program, e.pool), at) == wanted


@given(programs())
def test_idempotent(program):
    c = form(build(program, ExprPool()))
    assert form(c) == c


@given(expr_lists(max_ops=14))
def test_idempotent_over_all_functions(exprs):
    once = canonical(exprs)
    assert canonical(once) == once


@given(programs())
def test_order_of_creation_does_not_matter(program):
    other = ExprPool()
    z, y, x = other.symbols("z y x")
    for f in (lambda a, b: a * b, lambda a, b: b - a, lambda a, b: a / b):
        f(z, y), f(y, x), f(x, 2)
    assert str(form(build(program, other))) == str(form(build(program, ExprPool())))


@given(programs())
def test_building_in_canonical_form_gives_the_same(program):
    pool = ExprPool()
    with building(canonical_node):
        built = build(program, pool)
    assert built == form(build(program, pool))


MANY = (*[f"s{k}" for k in range(12)], 2, -3, Fraction(1, 2))


@given(programs(ops=tuple(6 * SUMS + PRODUCTS), size=80, leaves=MANY), st.randoms(use_true_random=False))
def test_large_shared_sums(program, rng):
    at = {s: Fraction(rng.randint(-5, 5), rng.randint(1, 3)) for s in MANY[:12]}
    e = build(program, ExprPool())
    c = form(e)
    assert form(c) == c
    wanted = value(e, at)
    assert wanted is None or value(c, at) == wanted


# -- size and cost


def calls_of(run):
    """The number of Python calls that `run` makes: a cost without a clock."""
    count = 0

    def tick(frame, event, arg):
        nonlocal count
        count += event == "call"

    sys.setprofile(tick)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def random_dag(n):
    rng = random.Random(n)
    pool = ExprPool()
    values = pool.symbols("x y z u v w")
    leaves = [*values, *map(pool.number, (1, 2, 3, Fraction(1, 2)))]
    while len(values) < n:
        a = values[-rng.randint(1, min(40, len(values)))]
        b = rng.choice(leaves) if rng.random() < 0.5 else values[-rng.randint(1, min(40, len(values)))]
        kinds = [a + b, a - b, a * b, a * b, -a, sin(a), exp(a), a**2, a / (b**2 + 1)]
        values.append(rng.choice(kinds))
    return values[-40:]


def chain(n, step):
    pool = ExprPool()
    e = pool.symbol("x")
    for k in range(n):
        e = step(e, pool.symbol(f"s{k}"))
    return [e]


SHAPES = {
    "sum": lambda n: chain(n, lambda e, s: e + s),
    "sum from the right": lambda n: chain(n, lambda e, s: s + 2 * s + e),
    "alternating sum": lambda n: chain(n, lambda e, s: s - e),
    "product": lambda n: chain(n, lambda e, s: 3 * s * e),
    "continued quotient": lambda n: chain(n, lambda e, s: s / e),
    "nested functions": lambda n: chain(n, lambda e, s: sin(e) + s),
    "growing sums in use": lambda n: chain(n, lambda e, s: e + sin(e) / 4),
    "growing products in use": lambda n: chain(n, lambda e, s: e * (e + 1)),
    "squares": lambda n: chain(n, lambda e, s: e * e),
    "doubles": lambda n: chain(n, lambda e, s: e + e + s),
    "roots": lambda n: chain(n, lambda e, s: sqrt(e) * s),
    "Horner": lambda n: chain(n, lambda e, s: e * e.pool.symbol("x") + s),
    "random": random_dag,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_cost_per_node_is_flat(shape):
    costs = []
    for n in (500, 4000):
        exprs = SHAPES[shape](n)
        nodes = len(reachable(exprs[0].pool, [e.id for e in exprs]))
        costs.append(calls_of(lambda exprs=exprs: canonical(exprs)) / nodes)
    assert costs[1] < 2.5 * costs[0]  # a second pass may be needed; a quadratic one would be at 8


@pytest.mark.parametrize("shape", SHAPES)
def test_result_is_not_larger(shape):
    exprs = SHAPES[shape](3000)
    out = canonical(exprs)
    pool = exprs[0].pool
    before, after = (len(reachable(pool, [e.id for e in group])) for group in (exprs, out))
    assert after < 2 * before
    assert canonical(out) == out


def test_shared_work_is_written_once():
    # Euler's method: every state is used twice, as a whole.
    x, h = ExprPool().symbols("x h")
    e = x
    for _ in range(200):
        e = e + h * sin(e)
    assert form(e).node_count() < 1.25 * e.node_count()


def test_like_terms_are_found_across_a_long_sum():
    pool = ExprPool()
    e = pool.integer(0)
    for k in range(10_000):
        e = e + (k % 7 - 3) * pool.symbol(f"s{k % 50}")
    terms = {s: 0 for s in range(50)}
    for k in range(10_000):
        terms[k % 50] += k % 7 - 3
    wanted = sum((c * pool.symbol(f"s{s}") for s, c in terms.items()), pool.integer(0))
    assert form(e) == form(wanted)


def test_numbers_stay_bounded():
    pool = ExprPool()
    x = pool.symbol("x")
    for e in (pool.integer(2) ** 10**9, (2 * x) ** 10**9, pool.integer(3) ** Fraction(10**30, 7)):
        assert form(e).node_count() <= e.node_count() + 3
    assert str(form(pool.integer(2) ** (10**9) * pool.integer(2) ** (5 - 10**9))) == "32"
    e, square = x + 1, pool.integer(3)
    for _ in range(300):
        e, square = 3 * e + sin(e), square * square
    largest = max(
        n.bit_length()
        for out in canonical([e, square])
        for i in reachable(pool, [out.id])
        if pool.node(i)[0] == "integer"
        for n in pool.node(i)[1:]
    )
    assert largest <= 16_384


def test_deep():
    e = chain(4_000, lambda e, s: where(e > s, cos(-e), log(abs(e)) + s))[0]
    assert form(form(e)) == form(e)


def test_loop_in_canonical_form_is_linear():
    def loop(n):
        pool = ExprPool()
        with building(canonical_node):
            e = pool.symbol("x")
            for k in range(n):
                e = e + 2 * pool.symbol(f"s{k}")
        return e

    assert calls_of(lambda: loop(2000)) < 5 * calls_of(lambda: loop(500))


def test_each_thread_builds_for_itself():
    pool = ExprPool()
    x, y = pool.symbols("x y")
    found = []

    def work():
        with building(canonical_node):
            e = x
            for k in range(300):
                e = e * y + x - k
            found.append(e)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_pool_can_be_dropped():
    import gc
    import weakref

    pool = ExprPool()
    with building(canonical_node):
        pool.symbol("x") + pool.symbol("x")
    alive = weakref.ref(pool)
    del pool
    gc.collect()
    assert alive() is None
