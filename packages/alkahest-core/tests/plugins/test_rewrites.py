"""Identities of plugins: used like core's; what is broken is recorded and left out."""

import types

import pytest

from alkahest import ExprPool, exp, log, sin
from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.manager import plugins
from alkahest.symbolic.egraph.islands import improve
from alkahest.symbolic.rules.identity import Identity
from alkahest.symbolic.rules.registry import all_identities, identities_of

pool = ExprPool()
a = pool.symbol("a")
GOOD = Identity("half", sin(a / 2) * 2, 2 * sin(a / 2), group="halves")


def module(answer):
    plugin = types.ModuleType("plugin")
    plugin.ALKAHEST_API = 1

    def alkahest_rewrites():
        if isinstance(answer, Exception):
            raise answer
        return answer

    plugin.alkahest_rewrites = hookimpl(alkahest_rewrites)
    return plugin


@pytest.fixture
def register():
    names = []

    def add(answer):
        names.append(f"rewrites-{len(names)}")
        plugins().register(module(answer), names[-1])
        return names[-1]

    yield add
    for name in names:
        plugins().unregister(name)


def record(name):
    [found] = [r for r in plugins().records if r.name == name]
    return found


def test_identities_of_plugins_are_known(register):
    name = register([GOOD])
    assert GOOD in all_identities()
    assert identities_of(["halves"]) == (GOOD,)
    assert record(name).status == "loaded"


def test_they_are_used(register):
    register([Identity("my own", log(exp(a) + exp(a)), a + log(pool.integer(2)), group="mine")])
    x = ExprPool().symbol("x")
    [out], steps = improve([log(2 * exp(x))], identities=identities_of(["mine", "exponential"]))
    assert out == x + log(x.pool.integer(2))
    assert steps


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (3, "not a list"),
        (["sin(x)"], "a str in it"),
        ([Identity("alone", a, a + 0)], "alone on its left"),
        ([Identity("float", sin(a), sin(a) * pool.float(1.0))], "float"),
        ([Identity("condition", sin(a), sin(a) + 0, where=(sin(a),))], "condition"),
        (ValueError("broken inside"), "broken inside"),
    ],
)
def test_a_broken_plugin_is_recorded_and_stops_nobody(register, answer, reason):
    register([GOOD])
    name = register(answer)
    assert GOOD in all_identities()
    assert len(identities_of(["arithmetic"])) >= 8
    assert record(name).status == "failed"
    assert reason in record(name).detail


def test_the_good_ones_beside_a_broken_one_are_kept(register):
    name = register([GOOD, Identity("alone", a, a + 0)])
    assert GOOD in all_identities()
    assert record(name).status == "failed"


def test_a_plugin_that_goes_takes_its_identities_along():
    plugins().register(module([GOOD]), "passing")
    assert GOOD in all_identities()
    plugins().unregister("passing")
    assert GOOD not in all_identities()
