"""Every identity holds: checked with mpmath at corners and random points of its symbols' domains."""

import pytest

from alkahest import ExprPool, IdentityError, cos, exp, log, sin, sqrt, tan
from alkahest.symbolic.rules.identity import Identity
from alkahest.symbolic.rules.listing import rule_list
from alkahest.symbolic.rules.registry import all_identities, identities_of
from alkahest.testing.identities import WrongIdentity, check_identity

pool = ExprPool()
a, b = pool.symbols("a b")
p = pool.symbol("p", "positive")


@pytest.mark.parametrize("identity", all_identities(), ids=lambda i: f"{i.group}: {i.name}")
def test_identity_holds(identity):
    check_identity(identity, points=100)


@pytest.mark.parametrize(
    "wrong",
    [
        Identity("no absolute value", sqrt(a**2), a),
        Identity("sign", sin(a) ** 2 - cos(a) ** 2, pool.integer(1)),
        Identity("only positive", log(a * b), log(a) + log(b)),
        Identity("widens unsaid", exp(log(a)), a),
        Identity("narrows", a, exp(log(a))),
        Identity("zero below", (a * b) / b, a),
        Identity("nearly", tan(a), sin(a) / cos(a) + pool.rational(1, 10**30)),
        Identity("condition too weak", sqrt(a**2), a, where=(a > -1,)),
        Identity("never", log(-p), p),
    ],
    ids=lambda i: i.name,
)
def test_wrong_identities_are_found(wrong):
    with pytest.raises(WrongIdentity, match=wrong.name):
        check_identity(wrong)


def test_conditions_and_domains_make_identities_right():
    check_identity(Identity("condition", sqrt(a**2), a, where=(a >= 0,)))
    check_identity(Identity("domain", log(p * exp(a)), log(p) + a))


def test_names_are_unique():
    names = [(i.group, i.name) for i in all_identities()]
    assert len(names) == len(set(names))


def test_identities_are_the_same_objects_each_time():
    assert all(x is y for x, y in zip(all_identities(), all_identities(), strict=True))


def test_groups():
    assert {i.group for i in identities_of(["trigonometric"])} == {"trigonometric"}
    assert identities_of(["no such group"]) == ()


def test_list_names_every_identity():
    text = rule_list(all_identities())
    assert all(identity.name in text for identity in all_identities())
    assert "| Pythagoras | `sin(a)^2 + cos(a)^2` | `1` |" in text


def test_an_identity_that_widens_is_one_way():
    with pytest.raises(IdentityError, match="both ways"):
        Identity("log", exp(log(a)), a, widens=True, both_ways=True)
