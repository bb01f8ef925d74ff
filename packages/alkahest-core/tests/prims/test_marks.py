"""checkpoint and factor by themselves: identity, what they refuse, what transforms make of them."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.rules import batch_rules
from alkahest.base.zero import Zero
from alkahest.errors import FactorError, MarkError
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims.groups import non_dce_primitives, non_memoizable_primitives
from alkahest.prims.marks import checkpoint, checkpoint_p, factor, factor_p
from alkahest.transforms.batching import batch
from alkahest.transforms.forward import pushforward
from alkahest.transforms.intercept import collect
from alkahest.transforms.reverse import pullback


class Log(Interpreter):
    def __init__(self, *prims):
        self.parent = active_interpreter.get()
        self.prims = prims
        self.log = []

    def sees(self, prim):
        return prim in self.prims or self.parent.sees(prim)

    def interpret(self, prim, in_tree, /, **params):
        self.log.append((prim, in_tree))
        return self.parent.interpret(prim, in_tree, **params)

    async def ainterpret(self, prim, in_tree, /, **params):
        self.log.append((prim, in_tree))
        return await self.parent.ainterpret(prim, in_tree, **params)


trees_of_values = st.recursive(
    st.text(max_size=3) | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(trees_of_values)
def test_checkpoint_is_the_identity(value):
    assert checkpoint(value, key="k") == value


@given(trees_of_values)
def test_a_traced_checkpoint_is_the_identity(value):
    ir = trace(lambda x: checkpoint(x, key="k"))(value)
    assert ir.call(value) == value
    assert asyncio.run(ir.acall(value)) == value


def test_marks_stay_and_are_carried_out_each_time():
    assert {checkpoint_p, factor_p} <= non_dce_primitives & non_memoizable_primitives


def test_keys_must_be_hashable():
    for call in (
        lambda: checkpoint("a", key=[]),
        lambda: checkpoint("a", key="k", collection={}),
        lambda: factor(1, name=[]),
    ):
        with pytest.raises(MarkError) as caught:
            call()
        assert caught.value.code == "E-PROG-008"


def test_the_tangent_is_marked_after_the_value_and_the_cotangent_too():
    ir = trace(lambda x: checkpoint(x, key="k") + "!")("a")
    with collect(collection=...) as seen:
        pushforward(ir).call(("x",), ("dx",))
    assert seen == {"k": ["x", "dx"]}
    with collect(collection=...) as seen:
        pullback(ir).call(("x",), "feedback")
    assert seen == {"k": ["x", "feedback"]}


def test_what_is_symbolically_zero_is_not_marked():
    ir = trace(lambda x, y: (checkpoint(x, key="k"), y))("a", "b")
    with collect(collection=...) as seen:
        pushforward(ir).call(("x", "y"), (Zero(ir.in_ir_tree[0].aval), "dy"))
        pullback(ir).call(("x", "y"), (Zero(ir.in_ir_tree[0].aval), "g"))
    assert seen == {"k": ["x", "x"]}


def test_a_batch_marks_item_by_item_and_what_is_not_batched_once():
    ir = trace(lambda x, y: (checkpoint(x, key="item"), checkpoint(y, key="shared")))("a", "b")
    with collect(collection=...) as seen:
        batch(ir, in_axes=(True, False)).call(["a", "b", "c"], "s")
    assert seen == {"item": ["a", "b", "c"], "shared": ["s"]}


@pytest.mark.parametrize("rule", ["get", "aget"])
@pytest.mark.parametrize(("flags", "values", "marked"), [(True, ["a", "b"], ["a", "b"]), (False, "s", ["s"])])
def test_the_batch_rule_of_checkpoint_by_itself(rule, flags, values, marked):
    def run():
        out = getattr(batch_rules, rule)(checkpoint_p)((2, flags, values), key="k", collection=None)
        return asyncio.run(out) if rule == "aget" else out

    assert run() == (values, flags)
    with collect(collection=...) as seen:
        assert run() == (values, flags)
    assert seen == {"k": marked}


# ------------------------------------------------------------------------------------------------------- factor


@pytest.mark.parametrize("weight", [0, 1, 2.5, 10**400, -0.0])
def test_factor_accepts_finite_numbers_and_returns_nothing(weight):
    assert factor(weight) is None


@pytest.mark.parametrize("weight", [-1, -0.5, math.nan, math.inf, -math.inf, True, "1", None, 1j])
def test_factor_refuses_anything_else(weight):
    with pytest.raises(FactorError) as caught:
        factor(weight)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)
    assert caught.value.code == "E-PROG-005"


@pytest.mark.parametrize("example", ["a", True])
def test_a_traced_weight_that_is_no_number_is_refused_while_tracing(example):
    with pytest.raises(FactorError):
        trace(factor)(example)


def test_literal_weights_are_checked_when_the_program_runs():
    ir = trace(lambda x: (factor(-1.0, name="bad"), x)[1])("a")
    with pytest.raises(FactorError, match=r"factor\("):
        ir.call("a")


def test_factor_has_no_output():
    (eqn,) = trace(lambda x: factor(x, name="n"))(0.5).ir_eqns
    assert eqn.out_ir_tree == ()
    assert eqn.params == {"name": "n"}


@pytest.mark.parametrize("transform", [pushforward, pullback])
def test_differentiated_programs_reach_each_factor_once(transform):
    def program(x, w):
        factor(w)
        return x + "!"

    ir = transform(trace(program)("a", 0.5))
    second = ("da", 1.0) if transform is pushforward else "feedback"
    with using_interpreter(Log(factor_p)) as log:
        ir.call(("a", 0.25), second)
    assert log.log == [(factor_p, 0.25)]


@pytest.mark.parametrize(("axes", "weights", "reached"), [(True, [0.1, 0.2], [0.1, 0.2]), (False, 0.5, [0.5])])
def test_a_batch_reaches_a_factor_per_item_or_once(axes, weights, reached):
    ir = batch(trace(lambda x, w: (factor(w), x)[1])("a", 0.5), in_axes=(True, axes))
    for run in (ir.call, lambda *args: asyncio.run(ir.acall(*args))):
        with using_interpreter(Log(factor_p)) as log:
            assert run(["a", "b"], weights) == ["a", "b"]
        assert [weight for _, weight in log.log] == reached


@pytest.mark.parametrize("seen", [False, True])
def test_the_batch_rule_of_factor_by_itself(seen):
    rule, arule = batch_rules.get(factor_p), batch_rules.aget(factor_p)
    with using_interpreter(Log(*([factor_p] if seen else []))) as log:
        assert rule((2, True, [0.5, 1]), name=None) == ((), ())
        assert rule((2, False, 0.5), name=None) == ((), ())
        assert asyncio.run(arule((2, True, [0.5, 1]), name=None)) == ((), ())
        with pytest.raises(FactorError):
            rule((2, True, [0.5, -1]), name=None)
    assert [w for _, w in log.log] == ([0.5, 1, 0.5, 0.5, 1, 0.5, -1] if seen else [])
