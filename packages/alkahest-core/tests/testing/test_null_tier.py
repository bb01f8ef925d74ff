"""The null tier does as told, and dispatch treats it as any other: it bids, refuses, fails and is ranked."""

import pytest

from alkahest import CompileConfig, ExprPool, compile_expr
from alkahest.errors import DuplicateBackendError
from alkahest.extend import Cost, hookimpl
from alkahest.plugins.manager import backends, plugins
from alkahest.testing import NullBackend, null_tier, offered_backends

DEAR = Cost(setup=1e6, per_node=0.0, launch=0.0, per_op=0.0)


@pytest.fixture
def x():
    return ExprPool().symbol("x")


def test_the_cheapest_tier_runs_and_is_gone_afterwards(x):
    with null_tier("free") as backend:
        f = compile_expr(x * 2 + 1, [x])
        assert f.tier == "free"
        assert backend.tapes == [f.tape]
    assert f([3.0]) == 7.0
    assert "free" not in backends()
    assert compile_expr(x * 2 + 1, [x]).tier != "free"


def test_a_dear_tier_runs_when_it_is_asked_for(x):
    with null_tier("dear", cost=DEAR):
        assert compile_expr(x + 1, [x]).tier != "dear"
        assert compile_expr(x + 1, [x], config=CompileConfig(backend="dear")).tier == "dear"


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        (NullBackend(missing="no such device"), "no such device"),
        (NullBackend(refused_ops=frozenset({"add"})), "cannot lower add"),
        (NullBackend(failure=RuntimeError("the compiler crashed")), "RuntimeError: the compiler crashed"),
    ],
)
def test_what_cannot_run_is_passed_over_visibly(x, backend, why):
    with null_tier("free", backend):
        f = compile_expr(x + 1, [x])
        assert f.tier != "free"
        assert why in str(f.explain())
    assert f([1.0]) == 2.0


def test_a_sites_policy_goes_before_cost(x):
    class Policy:
        ALKAHEST_API = 1

        @hookimpl
        def alkahest_rank(self, candidates):
            return sorted(candidates, key=lambda candidate: candidate.name != "preferred")

    with null_tier("free"), null_tier("preferred", cost=DEAR):
        plugins().register(Policy(), "policy")
        try:
            assert compile_expr(x + 1, [x]).tier == "preferred"
        finally:
            plugins().unregister("policy")
        assert compile_expr(x + 1, [x]).tier == "free"


def test_two_tiers_of_one_name(x):
    with null_tier("interpreter"):
        with pytest.raises(DuplicateBackendError) as caught:
            compile_expr(x + 1, [x])
        assert "alkahest-core (plugin 'core')" in str(caught.value)
    assert compile_expr(x + 1, [x], config=CompileConfig(backend="interpreter")).tier == "interpreter"


def test_offered_tiers_are_parameters_and_absent_ones_skips_with_a_reason():
    with null_tier("absent", NullBackend(missing="no such device")), null_tier("far", targets=frozenset({"cuda"})):
        found = {param.values[0]: param.marks for param in offered_backends()}
        everywhere = {param.values[0] for param in offered_backends(target=None)}
    assert not found["interpreter"]
    (mark,) = found["absent"]
    assert (mark.name, mark.kwargs["reason"]) == ("skip", "absent: no such device")
    assert "far" not in found
    assert "far" in everywhere
