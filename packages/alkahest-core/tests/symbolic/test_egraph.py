"""The e-graph: what it proves, what it must not prove, and that nothing inside it reaches the user."""

import os
import subprocess
import sys
import threading
from fractions import Fraction

import mpmath
import pytest

import alkahest as al
from alkahest import ExprPool, cos, cosh, exp, fmin, log, sin, sinh, sqrt, tan, where
from alkahest.errors import MissingPackageError
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.egraph import bindings, engine
from alkahest.symbolic.egraph.engine import Budget, saturate, saturate_all
from alkahest.symbolic.egraph.islands import improve
from alkahest.symbolic.facts.fact import Fact
from alkahest.symbolic.rules.identity import Identity
from alkahest.symbolic.rules.registry import identities_of

GROUPS = ["trigonometric", "hyperbolic", "exponential", "roots", "choices", "arithmetic"]
rules_pool = ExprPool()
a, b = rules_pool.symbols("a b")
PYTHAGORAS = Identity("Pythagoras", sin(a) ** 2 + cos(a) ** 2, rules_pool.integer(1))
LOG_EXP = Identity("log exp", log(exp(a)), a)


@pytest.fixture
def xy():
    return ExprPool().symbols("x y")


def improved(expr, **options):
    [out], steps = improve(canonical([expr], **options), identities=identities_of(GROUPS), **options)
    return out, steps


def number_of(graph):
    [way] = graph.classes[graph.root]
    return way.value if way.op == "number" else None


# ------------------------------------------------------------------------------------------------------ saturation


def test_algebraic_terms_meet_whatever_the_order(xy):
    x, y = xy
    e = cos(x - y) ** 2 + sin(x - y) ** 2
    graph = saturate(x.pool, [e.id], [PYTHAGORAS])
    assert number_of(graph) == 1
    assert graph.fired == ("Pythagoras",)


def test_plain_terms_keep_every_op(xy):
    x, y = xy
    e = (x - y) / sqrt(x)
    graph = saturate(x.pool, [e.id], [PYTHAGORAS], plain=True)
    assert {way.op for ways in graph.classes.values() for way in ways} == {"div", "sub", "sqrt", "atom"}


def test_facts_let_conditions_hold(xy):
    x, _ = xy
    only_positive = Identity("root", sqrt(a**2), a, where=(a > 0,))
    e = sqrt(x**2)
    unknown = saturate(x.pool, [e.id], [only_positive])
    known = saturate(x.pool, [e.id], [only_positive], facts={x.id: Fact(low=0)})
    assert unknown.fired == ()
    assert known.fired == ("root",)


def test_conditions_on_compound_terms_are_derived():
    x, y = ExprPool().symbols("x y", "positive")
    rule = Identity("root of square", sqrt((a + b) ** 2), a + b, where=(a + b > 0,))
    assert saturate(x.pool, [sqrt((x + y) ** 2).id], [rule]).fired == ("root of square",)


def test_roots_share_nothing(xy):
    x, y = xy
    graphs = saturate_all(x.pool, [log(x).id, log(y).id], [LOG_EXP], facts=[{x.id: Fact(low=0)}, {}])
    atoms = [{w.value for ways in g.classes.values() for w in ways if w.op == "atom"} for g in graphs]
    assert atoms == [{x.id}, {y.id}]


def test_contradictions_are_noticed(xy):
    x, _ = xy
    wrong = Identity("wrong", sin(a), rules_pool.integer(2))
    other = Identity("other", sin(a), rules_pool.integer(3))
    assert saturate(x.pool, [(sin(x) + 1).id], [wrong, other]) is None


def test_long_numbers_survive(xy):
    x, _ = xy
    big = Fraction(3**200, 7**150)
    e = x.pool.rational(big.numerator, big.denominator) * sin(x)
    graph = saturate(x.pool, [e.id], [PYTHAGORAS])
    assert big in {w.value for ways in graph.classes.values() for w in ways if w.op == "number"}


def test_hostile_identities_are_stopped(xy):
    x, y = xy
    grows = [
        Identity("doubles", sin(a), sin(a) + sin(a + 1) - sin(a + 1)),
        Identity("nests", a + b, a + (b + sin(a)) - sin(a), both_ways=True),
        Identity("squares", a * b, (a * b) ** 2 / (a * b + cos(a)) ** 1 * 3),
    ]
    graph = saturate(x.pool, [(sin(x) * y + sin(y)).id], grows, budget=Budget(iterations=50, nodes=500, seconds=2.0))
    assert graph is not None
    assert sum(len(ways) for ways in graph.classes.values()) < 20_000


# ---------------------------------------------------------------------------------------------------- improvements


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda x, y: sin(x) ** 2 + cos(x) ** 2, lambda x, y: 1),
        (lambda x, y: 3 * y * sin(x * y) ** 2 + 3 * y * cos(x * y) ** 2 + 1, lambda x, y: 3 * y + 1),
        (lambda x, y: exp(log(x)), lambda x, y: x),
        (lambda x, y: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), lambda x, y: al.tanh(x)),
        (lambda x, y: cosh(x) ** 2 - sinh(x) ** 2, lambda x, y: 1),
        (lambda x, y: log(x) + log(y) - log(x * y), lambda x, y: 0),
        (lambda x, y: exp(x) * exp(y) * exp(-x - y), lambda x, y: 1),
        (lambda x, y: 2 * sin(x) * cos(x), lambda x, y: sin(2 * x)),
        (lambda x, y: log(exp(sin(x) ** 2 + cos(x) ** 2) * exp(y)) - 1, lambda x, y: y),
        (lambda x, y: exp(x) ** 3 * exp(-2 * x), lambda x, y: exp(x)),
        (lambda x, y: sqrt(x**2) * log(x), lambda x, y: x * log(x)),
        (lambda x, y: sin(x + y) - sin(x) * cos(y), lambda x, y: cos(x) * sin(y)),
        (lambda x, y: (1 - cos(x)) / sin(x), lambda x, y: tan(x / 2)),
        (lambda x, y: where(x > y, x, y), al.max),
    ],
)
def test_wanted_forms(xy, make, wanted):
    x, y = xy
    out, steps = improved(make(x, y))
    assert out == canonical([x.pool.expr(wanted(x, y))])[0]
    assert steps


def test_root_of_a_square_keeps_its_sign(xy):
    x, _ = xy
    assert improved(sqrt(x**2))[0] == al.abs(x)


def test_logarithms_do_not_split_without_a_sign(xy):
    x, y = xy
    out, _ = improved(log(x * y) - log(y))
    assert out in (log(x * y) - log(y), log(x))  # log y says that y > 0, so that x > 0 as well


def test_branches_are_worked_on_by_themselves(xy):
    x, _ = xy
    out, _ = improved(where(x > 0, log(x), 0) + sqrt(x**2))
    assert al.eval_expr(out, {x: -2.0}) == 2.0


def test_what_ignores_nan_keeps_the_domain_of_its_operands(xy):
    x, y = xy
    [e] = canonical([fmin(exp(log(x)), y)])
    assert improved(e)[0] == e


@pytest.mark.parametrize("make", [lambda x: exp(log(x)), lambda x: sin(log(x)) ** 2 + cos(log(x)) ** 2])
def test_strict_keeps_the_domain(xy, make):
    x, _ = xy
    out, _ = improved(make(x), strict=True)
    with pytest.raises(al.DomainError):
        al.eval_expr(out, {x: -1.0})


def test_steps_are_equations(xy):
    x, y = xy
    e = log(exp(sin(x) ** 2 + cos(x) ** 2) * exp(y)) - tan(x) * cos(x) + exp(x) * exp(2 * x)
    _, steps = improved(e)
    assert len(steps) > 2
    at = {x: 0.7, y: -1.3}
    for step in steps:
        before, after = al.eval_expr(step.before, at), al.eval_expr(step.after, at)
        assert before == pytest.approx(after, rel=1e-12), step


def test_nothing_to_do_is_nothing_done(xy):
    x, y = xy
    e = canonical([x + 2 * y])[0]
    assert improve([e], identities=identities_of(GROUPS)) == ([e], [])


def test_random_expressions_keep_their_values():
    import random

    from alkahest.testing.identities import _values

    rng = random.Random(20260)
    one = [
        sin,
        cos,
        tan,
        exp,
        log,
        sqrt,
        sinh,
        cosh,
        al.abs,
        al.asin,
        al.atan,
        al.cbrt,
        lambda u: u**2,
        lambda u: 1 / u,
    ]
    two = [lambda u, v: u + v, lambda u, v: u - v, lambda u, v: u * v, lambda u, v: u / v, al.max, lambda u, v: u**v]
    two.append(lambda u, v: where(u > v, u, v))
    changed = 0
    for _ in range(120):
        pool = ExprPool()
        symbols = [*pool.symbols("x y"), pool.symbol("p", "positive")]
        parts = [*symbols, pool.integer(2)]
        for _ in range(rng.randint(3, 9)):
            if rng.random() < 0.55:
                parts.append(rng.choice(one)(rng.choice(parts[-5:])))
            else:
                parts.append(rng.choice(two)(rng.choice(parts[-5:]), rng.choice(parts)))
        before = parts[-1]
        after, steps = improved(before)
        changed += bool(steps)
        with mpmath.workdps(60):
            for _ in range(8):
                values = [rng.choice([0.5, 1, -1, 2, -0.75, 3, 0.3]) for _ in symbols[:2]] + [rng.choice([0.5, 1, 2.5])]
                point = {s.id: mpmath.mpf(v) for s, v in zip(symbols, values, strict=True)}
                (old, new), _ = _values([before, after], point)
                if old is not None and abs(old) < 1e30:
                    assert new is not None, (before, after)
                    assert abs(old - new) <= mpmath.mpf(10) ** -25 * (1 + abs(old)), (before, after)
    assert changed > 8


# ------------------------------------------------------------------------------------------------------- the engine


def test_errors_of_the_engine_give_no_result(xy, monkeypatch):
    x, _ = xy

    def broken(graph, commands):
        raise bindings.EngineFailure("broken")

    monkeypatch.setattr(engine, "run", broken)
    assert saturate(x.pool, [sin(x).id], [PYTHAGORAS]) is None
    assert improved(sin(x + 1) - cos(x))[0] == canonical([sin(x + 1) - cos(x)])[0]


def test_panics_are_contained_and_say_nothing(capfd):
    class Panic(BaseException):
        pass

    class Graph:
        def run_program(self, *commands):
            os.write(
                2, b"kept\n\nthread '<unnamed>' panicked at src/lib.rs:1:1:\nboom\nnote: run with RUST_BACKTRACE=1\n"
            )
            raise Panic("boom")

    with pytest.raises(bindings.EngineFailure, match="boom"):
        bindings.run(Graph(), [])
    assert capfd.readouterr().err == "kept\n"


def test_what_others_write_meanwhile_is_passed_on(capfd):
    class Graph:
        def run_program(self, *commands):
            os.write(2, b"from another thread\n")
            return []

    bindings.run(Graph(), [])
    assert capfd.readouterr().err == "from another thread\n"


def test_an_interrupted_engine_is_replaced(xy, monkeypatch):
    x, _ = xy
    e = sin(x) ** 2 + cos(x) ** 2
    assert number_of(saturate(x.pool, [e.id], [PYTHAGORAS])) == 1
    run = engine.run
    calls = []

    def interrupted(graph, commands):
        calls.append(len(commands))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(graph, commands)

    monkeypatch.setattr(engine, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saturate(x.pool, [e.id], [PYTHAGORAS])
    monkeypatch.setattr(engine, "run", run)
    assert number_of(saturate(x.pool, [e.id], [PYTHAGORAS])) == 1


def test_threads_have_engines_of_their_own(xy):
    x, _ = xy
    e = sin(x) ** 2 + cos(x) ** 2
    found = []

    def work():
        for _ in range(5):
            found.append(number_of(saturate(x.pool, [e.id], [PYTHAGORAS])))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 20


PROGRAM = """
import os
from alkahest import ExprPool, cos, sin
from alkahest.symbolic.egraph.engine import saturate
from alkahest.symbolic.rules.registry import identities_of
x = ExprPool().symbol("x")
e = sin(x) ** 2 + cos(x) ** 2
def value():
    return saturate(x.pool, [e.id], identities_of(["trigonometric"])[:3]).classes
"""


def run_python(text):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + text], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_an_engine_of_its_own():
    out, _ = run_python("""
first = value()
if os.fork() == 0:
    os._exit(0 if value() == first else 1)
print(os.wait()[1])
""")
    assert out == "0\n"


@pytest.mark.parametrize("first", ["", "import egglog\n"])
def test_egglog_can_be_imported_before_and_after(first):
    out, _ = run_python(first + "value()\nimport egglog, egglog.bindings\nprint(value(), egglog.EGraph())")
    assert "Fraction(1, 1)" in out


def test_missing_egglog_names_the_command(monkeypatch):
    monkeypatch.setattr(bindings, "_loaded", {})
    monkeypatch.delitem(sys.modules, "egglog.bindings", raising=False)
    monkeypatch.setattr(bindings.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install"):
        bindings.bindings()
