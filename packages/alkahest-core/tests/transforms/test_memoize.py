"""memoize within a block: one call for identical ones; one equation for identical ones while tracing."""

import asyncio
import time

import pytest

from alkahest.base.avals import STR
from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.zero import Zero
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims.control import switch
from alkahest.prims.marks import checkpoint, factor
from alkahest.prims.text import concat
from alkahest.transforms.batching import batch
from alkahest.transforms.intercept import collect
from alkahest.transforms.memory import memoize
from alkahest.transforms.tagging import tag


def test_the_same_call_runs_once_per_block(counted):
    f = counted()
    ir = trace(lambda x: concat(f(x), f(x), f(x + "!")))("a")
    with memoize() as memo:
        assert ir.call("a") == "<a><a><a!>"
        assert asyncio.run(ir.acall("a")) == "<a><a><a!>"
    assert f.calls == ["a", "a!"]
    assert (memo.hits, memo.misses) == (4, 2)
    ir.call("a")
    assert f.calls == ["a", "a!", "a", "a", "a!"]


@pytest.mark.parametrize(
    "values",
    [[1, True, 1.0], [0.0, -0.0], ["1", 1], [("a",), ["a"], {"k": "a"}], [None, ()], [Zero(STR), ""]],
)
def test_values_that_a_primitive_can_tell_apart_are_different(counted, values):
    f = counted(impl=repr)
    with memoize():
        for value in values * 2:
            assert f(value) == repr(value)
    assert len(f.calls) == len(values)


def test_nan_is_the_same_as_nan(counted):
    f = counted()
    with memoize():
        f(float("nan")), f(float("nan"))
    assert len(f.calls) == 1


def test_parameters_count(counted):
    f = counted()
    with memoize():
        f("a", mode={"x": [1]}), f("a", mode={"x": [1]}), f("a", mode={"x": [True]}), f("a")
    assert len(f.calls) == 3


def test_what_cannot_be_hashed_is_carried_out_each_time(counted):
    f = counted(impl=lambda x: "out")
    with memoize() as memo:
        assert f({"a": bytearray(b"x")}) == f({"a": bytearray(b"x")}) == "out"
        f("a", how=bytearray())
    assert len(f.calls) == 3
    assert memo.misses == 0


def test_what_a_caller_does_to_a_result_stays_with_the_caller(counted):
    f = counted(impl=lambda x: {"items": [x]})
    with memoize():
        for _ in range(3):
            out = f("a")
            assert out == {"items": ["a"]}
            out["items"].append("b")
    assert len(f.calls) == 1


def test_symbolic_zeros_are_results_like_any_other(counted):
    f = counted(impl=lambda x: (Zero(STR), x))
    with memoize():
        assert f("a") == f("a") == (Zero(STR), "a")
    assert len(f.calls) == 1


def test_a_failed_call_is_not_kept_and_what_was_done_before_is(counted):
    good, attempts = counted(), []

    def flaky(x):
        attempts.append(x)
        if len(attempts) == 1:
            raise RuntimeError("busy")
        return x

    bad = counted(impl=flaky)
    ir = trace(lambda x: bad(good(x)))("a")
    with memoize() as memo:
        with pytest.raises(RuntimeError, match="busy"):
            ir.call("a")
        assert ir.call("a") == ir.call("a") == "<a>"
    assert len(good.calls) == 1
    assert len(attempts) == 2
    assert memo.misses == 3


def test_marks_run_each_time(counted):
    f = counted()
    ir = trace(lambda x: checkpoint(f(x), key="k"))("a")
    with collect(collection=...) as seen, memoize():
        ir.call("a"), ir.call("a")
    assert seen == {"k": ["<a>", "<a>"]}
    assert len(f.calls) == 1


class Count(Interpreter):
    def __init__(self):
        self.parent = active_interpreter.get()
        self.seen = []

    def interpret(self, prim, in_tree, /, **params):
        self.seen.append(prim.name)
        return self.parent.interpret(prim, in_tree, **params)

    async def ainterpret(self, prim, in_tree, /, **params):
        return self.interpret(prim, in_tree, **params)


def test_cheap_primitives_are_kept_only_where_somebody_is_asked_anyway():
    ir = trace(lambda x: concat(concat(x, "!"), concat(x, "!")))("a")
    with memoize() as memo:
        assert ir.call("a") == "a!a!"
    assert memo.misses == 0
    with using_interpreter(Count()) as count, memoize():
        assert ir.call("a") == "a!a!"
    assert count.seen == ["concat", "concat"]


def test_a_branch_that_binds_the_same_call_does_not_wait_for_itself(counted):
    f = counted()
    inner = trace(f)("a")
    ir = trace(lambda k, x: switch(k, {"i": inner}, x) + switch(k, {"i": inner}, x) + f(x))("i", "a")
    with memoize():
        assert ir.call("i", "a") == "<a><a><a>"
        assert asyncio.run(ir.acall("i", "a")) == "<a><a><a>"
    assert f.calls == ["a"]


def test_a_primitive_that_binds_itself_does_not_wait_for_itself(counted):
    depth = []

    def again(x):
        depth.append(x)
        return f(x) if len(depth) < 3 else "bottom"

    f = counted(impl=again)
    with memoize():
        assert f("a") == "bottom"
    assert len(depth) == 3


@pytest.mark.parametrize("run", [lambda ir, x: ir.call(x), lambda ir, x: asyncio.run(ir.acall(x))])
def test_items_of_a_batch_share(run, waiting):
    async def aimpl(x):
        await asyncio.sleep(0.01)
        return f"<{x}>"

    f = waiting(impl=lambda x: time.sleep(0.01) or f"<{x}>", aimpl=aimpl)
    ir = batch(trace(f)("a"))
    with memoize() as memo:
        assert run(ir, ["a", "b"] * 5) == ["<a>", "<b>"] * 5
    assert sorted(f.calls) == ["a", "b"]
    assert (memo.hits, memo.misses) == (8, 2)


# ------------------------------------------------------------------------------------------------------- tracing


def test_identical_equations_are_recorded_once():
    def program(x):
        with memoize() as memo:
            out = concat(x, "!"), concat(x, "!"), concat(x, "?")
            assert (memo.hits, memo.misses) == (1, 2)
            assert out[0] is out[1]
        return out

    ir = trace(program)("a")
    assert len(ir.ir_eqns) == 2
    assert ir.call("b") == ("b!", "b!", "b?")


def test_equations_under_different_tags_are_different():
    def program(x):
        with memoize():
            with tag("a"):
                one = concat(x, "!")
            with tag("b"):
                two = concat(x, "!")
            with tag("a"):
                three = concat(x, "!")
        return concat(one, two, three)

    ir = trace(program)("a")
    assert [eqn.tags for eqn in ir.ir_eqns] == [{"a"}, {"b"}, frozenset()]
    assert ir.call("x") == "x!x!x!"


def test_marks_are_recorded_each_and_so_is_what_holds_them():
    pure = trace(lambda x: x + "!")("a")
    marked = trace(lambda x: checkpoint(x, key="k"))("a")
    nested = trace(lambda x: switch("m", {"m": marked}, x))("a")

    def program(x):
        with memoize():
            factor(0.5)
            factor(0.5)
            same = [switch("k", {"k": pure}, x) for _ in range(2)]
            others = [switch("k", {"k": ir}, x) for ir in (marked, marked, nested, nested)]
        return concat(*same, *others)

    names = [eqn.prim.name for eqn in trace(program)("a").ir_eqns]
    assert names == ["factor", "factor", "switch", "switch", "switch", "switch", "switch", "concat"]
