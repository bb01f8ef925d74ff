"""The auction is a pure function."""

import pytest

from alkahest.compile.dispatch import CompileConfig, Features, Offer, plan
from alkahest.errors import ConfigError
from alkahest.plugins.infos import Cost

CPU = frozenset({"cpu"})
INTERPRETER = Offer(name="interpreter", targets=CPU, cost=Cost(setup=0, per_node=1e-7, launch=1e-6, per_op=2e-7))
NATIVE = Offer(name="llvm", targets=CPU, cost=Cost(setup=8e-3, per_node=1e-4, launch=1e-6, per_op=1e-9))
CUDA = Offer(name="cuda", targets=frozenset({"cuda"}), cost=Cost(setup=0.4, per_node=1e-3, launch=1e-5, per_op=2e-11))
OFFERS = [INTERPRETER, NATIVE, CUDA]


def features(nodes=10):
    return Features(nodes, 2, 1, frozenset({"add", "sin"}))


def order(config, offers=OFFERS, nodes=10):
    return [c.name for c in plan(features(nodes), config, offers) if c.usable]


def test_one_evaluation_is_interpreted_and_a_million_are_compiled():
    assert order(CompileConfig())[0] == "interpreter"
    assert order(CompileConfig(expected_evals=1e6))[0] == "llvm"


@pytest.mark.parametrize("name", ["fallback", "contract", "adapt"])
@pytest.mark.parametrize("value", ["no", 0, None])
def test_a_switch_is_true_or_false(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value!r}"):
        CompileConfig(**{name: value})


def test_the_gpu_is_never_used_unasked():
    assert "cuda" not in order(CompileConfig(expected_evals=1e12))
    assert order(CompileConfig(target="cuda")) == ["cuda", "interpreter"]


def test_the_interpreter_stays_behind_what_was_asked_for():
    assert order(CompileConfig(backend="llvm")) == ["llvm", "interpreter"]
    assert order(CompileConfig(backend="llvm", fallback=False)) == ["llvm"]


def test_refusals_carry_their_reason():
    refusing = Offer(name="llvm", targets=CPU, cost=NATIVE.cost, refusal="cannot lower digamma")
    candidates = plan(features(), CompileConfig(expected_evals=1e9), [INTERPRETER, refusing])
    assert candidates[0].name == "interpreter"
    assert [c.reason for c in candidates if not c.usable] == ["cannot lower digamma"]


def test_a_dtype_that_a_tier_lacks_excludes_it():
    assert order(CompileConfig(dtype="f32", expected_evals=1e9)) == ["interpreter"]
    single = Offer(name="llvm", targets=CPU, cost=NATIVE.cost, dtypes=frozenset({"f32", "f64"}))
    assert order(CompileConfig(dtype="f32", expected_evals=1e9), [single]) == ["llvm"]


def test_equal_costs_are_ordered_by_name():
    twins = [Offer(name=n, targets=CPU, cost=NATIVE.cost) for n in ("b", "a")]
    assert order(CompileConfig(), twins) == ["a", "b"]


def test_a_tier_that_is_not_automatic_waits_to_be_asked():
    c = Offer(name="c", targets=CPU, cost=Cost(setup=0, per_node=0, launch=0, per_op=0), automatic=False)
    assert order(CompileConfig(expected_evals=1e9), [*OFFERS, c])[0] == "llvm"
    assert order(CompileConfig(backend="c"), [*OFFERS, c])[0] == "c"


@pytest.mark.parametrize(
    "wrong",
    [{"expected_evals": 0}, {"expected_evals": -1}, {"expected_evals": "a"}, {"dtype": "f16"}, {"accuracy": "9ulp"}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        CompileConfig(**wrong)
