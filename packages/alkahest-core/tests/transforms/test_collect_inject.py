"""collect and inject: what comes by at checkpoints, in which order, and replacing it."""

import asyncio
import contextvars
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.base.avals import StrAVal
from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.prim import Prim
from alkahest.errors import MarkError, TracedValueError
from alkahest.ir.order import next_position, order_key
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims import operators as operators
from alkahest.prims.control import switch, while_loop
from alkahest.prims.marks import checkpoint, checkpoint_p
from alkahest.prims.rules import rules
from alkahest.prims.text import concat, concat_p, format
from alkahest.transforms.batching import batch
from alkahest.transforms.intercept import collect, inject
from alkahest.transforms.pruning import dce
from alkahest.transforms.scheduling import sched
from alkahest.transforms.tagging import fold

RUNS = {"sync": lambda ir, *args: ir.call(*args), "async": lambda ir, *args: asyncio.run(ir.acall(*args))}
runs = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def _slow_for_early(text):
    time.sleep(0.02 if text.startswith("0") else 0.0)
    return text + "."


async def _aslow_for_early(text):
    await asyncio.sleep(0.02 if text.startswith("0") else 0.0)
    return text + "."


slow_p = rules(
    Prim("slow_for_early"),
    impl=_slow_for_early,
    aimpl=_aslow_for_early,
    abstract=lambda _: StrAVal(),
    waits=True,
    register=False,
)


def pipeline(x):
    prompt = checkpoint(format("Q: {}", x), key="prompt", collection="debug")
    return checkpoint(prompt + " A", key="answer", collection="debug")


@runs
def test_collect_gathers_by_key(run):
    ir = trace(pipeline)("a")
    with collect(collection="debug") as seen:
        assert run(ir, "hi") == "Q: hi A"
        assert run(ir, "you") == "Q: you A"
    assert seen == {"prompt": ["Q: hi", "Q: you"], "answer": ["Q: hi A", "Q: you A"]}
    assert list(seen) == ["prompt", "answer"]
    assert seen["unknown"] == []
    assert "unknown" not in seen


def test_collect_filters_by_equality():
    def program(x):
        return checkpoint(checkpoint(checkpoint(x, key="k", collection=1), key="k", collection="1"), key="k")

    ir = trace(program)("a")
    for collection, n in ((1, 1), (1.0, 1), ("1", 1), (None, 1), (..., 3), ("other", 0)):
        with collect(collection=collection) as seen:
            ir.call("x")
        assert len(seen["k"]) == n


def test_collect_outside_of_a_program_and_after_its_block():
    with collect(collection=...) as seen:
        checkpoint({"a": [1, 2]}, key="k")
    checkpoint("later", key="k")
    assert seen == {"k": [{"a": [1, 2]}]}


def test_a_failing_program_leaves_what_was_collected():
    ir = trace(lambda x: switch(checkpoint(x, key="k"), {"a": trace(lambda: "A")()}))("a")
    with collect(collection=...) as seen, pytest.raises(KeyError):
        ir.call("b")
    assert seen == {"k": ["b"]}
    assert active_interpreter.get().parent is None


def test_nested_blocks_each_see_the_checkpoint():
    ir = trace(pipeline)("a")
    with collect(collection="debug") as outer, collect(collection=...) as inner:
        ir.call("x")
    assert outer == inner == {"prompt": ["Q: x"], "answer": ["Q: x A"]}


@runs
def test_batches_collect_by_index_though_items_run_out_of_step(run):
    def program(x):
        first = checkpoint(slow_p.bind(x), key="first")
        return checkpoint(slow_p.bind(first + "!"), key="second")

    ir = batch(trace(program)("a"))
    with collect(collection=...) as seen:
        run(ir, ["0", "1", "2"])
        run(ir, ["7", "0"])
    assert seen["first"] == ["0.", "1.", "2.", "7.", "0."]
    assert seen["second"] == ["0.!.", "1.!.", "2.!.", "7.!.", "0.!."]
    assert list(seen) == ["first", "second"]


@runs
def test_collect_sees_into_branches_loops_and_schedules(run):
    loud = trace(lambda x: checkpoint(x + "!", key="loud"))("a")
    calm = trace(lambda x: checkpoint(x + ".", key="calm"))("a")
    cond = trace(lambda x: x != "a!!!")("a")
    ir = sched(
        trace(lambda k, x: (switch(k, {"l": loud, "c": calm}, x), while_loop(cond, loud, x, max_iters=9)))("l", "a")
    )
    with collect(collection=...) as seen:
        assert run(ir, "c", "a") == ("a.", "a!!!")
    assert seen == {"calm": ["a."], "loud": ["a!", "a!!", "a!!!"]}


def test_threads_with_a_copied_context_collect_together():
    ir = trace(pipeline)("a")
    with collect(collection=...) as seen:
        contexts = [contextvars.copy_context() for _ in range(8)]
        threads = [
            threading.Thread(target=lambda c=c, k=k: [c.run(ir.call, f"{k}-{n}") for n in range(50)])
            for k, c in enumerate(contexts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(seen["prompt"]) == sorted(f"Q: {k}-{n}" for k in range(8) for n in range(50))
    for k in range(8):
        mine = [p for p in seen["prompt"] if p.startswith(f"Q: {k}-")]
        assert mine == [f"Q: {k}-{n}" for n in range(50)]


def test_other_threads_do_not_collect():
    ir = trace(pipeline)("a")
    with collect(collection=...) as seen:
        thread = threading.Thread(target=ir.call, args=("x",))
        thread.start()
        thread.join()
    assert seen == {}


def test_tasks_collect_each_in_their_own_block():
    ir = trace(pipeline)("a")

    async def one(text):
        with collect(collection=...) as seen:
            await asyncio.sleep(0)
            await ir.acall(text)
            await asyncio.sleep(0)
        return seen["prompt"]

    async def main():
        return await asyncio.gather(*[one(str(k)) for k in range(5)])

    assert asyncio.run(main()) == [[f"Q: {k}"] for k in range(5)]


@given(st.permutations(range(6)))
def test_entries_stand_by_the_order_key_whenever_they_come(order):
    with collect(collection=...) as seen:
        checkpoint("before", key="k")
        start = next_position()
        for k in order:
            token = order_key.set((start, 3, k))
            checkpoint(str(k), key="k")
            order_key.reset(token)
        checkpoint("after", key="k")
    assert seen["k"] == ["before", *"012345", "after"]


def test_collect_inside_a_traced_function_is_an_error():
    def program(x):
        with collect(collection=...):
            return checkpoint(x, key="k")

    with pytest.raises(TracedValueError, match=r"around ir\.call"):
        trace(program)("a")


def test_marks_do_not_slow_or_change_what_other_interpreters_see():
    class Count(Interpreter):
        def __init__(self):
            self.parent = active_interpreter.get()
            self.seen = []

        def interpret(self, prim, in_tree, /, **params):
            self.seen.append(prim)
            return self.parent.interpret(prim, in_tree, **params)

        async def ainterpret(self, prim, in_tree, /, **params):
            return self.interpret(prim, in_tree, **params)

    ir = trace(pipeline)("a")
    with using_interpreter(Count()) as count, collect(collection=...):
        ir.call("x")
    assert [p.name for p in count.seen] == ["format", "checkpoint", "concat", "checkpoint"]
    with collect(collection=...):
        assert active_interpreter.get().sees(checkpoint_p)
        assert not active_interpreter.get().sees(concat_p)


# ------------------------------------------------------------------------------------------------------- inject


@runs
def test_inject_replaces_hits_then_falls_through(run):
    ir = trace(pipeline)("a")
    values = {"prompt": ["one", "two"]}
    with inject(collection="debug", values=values):
        assert [run(ir, "x") for _ in range(3)] == ["one A", "two A", "Q: x A"]
    assert values == {"prompt": ["one", "two"]}
    assert ir.call("x") == "Q: x A"


def test_inject_cares_for_its_collection_alone():
    ir = trace(pipeline)("a")
    with inject(collection="other", values={"prompt": ["no"]}):
        assert ir.call("x") == "Q: x A"
    with inject(collection=..., values={"prompt": ["yes"]}):
        assert ir.call("x") == "yes A"


def test_what_collect_yields_can_be_injected():
    ir = trace(pipeline)("a")
    with collect(collection="debug") as seen:
        first = ir.call("x")
    with inject(collection="debug", values=seen):
        assert ir.call("something else") == first


@runs
def test_inject_in_a_batch_goes_by_index(run):
    ir = batch(trace(lambda x: checkpoint(slow_p.bind(x), key="k") + "!")("a"))
    with inject(collection=None, values={"k": ["A", "B"]}):
        assert active_interpreter.get().ordered
        assert run(ir, ["0", "1", "2"]) == ["A!", "B!", "2.!"]


def test_inject_while_tracing_makes_a_literal_and_dce_drops_what_led_to_it():
    def program(x):
        found = format("item: {}", x)
        with inject(collection="cache", values={"item": ["known"]}):
            found = checkpoint(found, key="item", collection="cache")
        return concat(found, "!")

    ir = trace(program)("a")
    assert [eqn.prim.name for eqn in ir.ir_eqns] == ["format", "concat"]
    assert [eqn.prim.name for eqn in dce(ir).ir_eqns] == ["concat"]
    assert ir.call("x") == ir.call("y") == "known!"


@pytest.mark.parametrize("values", [[("k", ["a"])], {"k": "a"}, {"k": ("a",)}, None])
def test_values_must_be_a_dict_of_lists(values):
    with pytest.raises(MarkError), inject(collection=None, values=values):
        pass


def test_a_value_of_another_structure_is_refused():
    ir = trace(lambda x: checkpoint({"a": x}, key="k")["a"])("a")
    with inject(collection=None, values={"k": ["text", {"a": "text"}]}):
        with pytest.raises(MarkError, match="structure"):
            ir.call("x")
        assert ir.call("x") == "text"


def test_an_unhashable_collection_is_refused():
    for context in (lambda: collect(collection=[]), lambda: inject(collection={}, values={})):
        with pytest.raises(MarkError), context():
            pass


def test_each_injected_value_is_given_once_among_threads():
    ir = trace(lambda x: checkpoint(x, key="k"))("a")
    out = []
    with inject(collection=None, values={"k": [str(n) for n in range(200)]}):
        threads = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(lambda: out.extend([ir.call("-") for _ in range(50)]),)
            )
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(out) == sorted([*map(str, range(200)), *["-"] * 50])


def test_collect_outside_of_fold_sees_what_fold_carries_out():
    def program(x):
        with collect(collection=...) as seen, fold():
            word = checkpoint(format("{}!", "hi"), key="k")
        assert seen == {"k": ["hi!"]}
        with inject(collection=None, values={"k": ["other"]}), fold():
            word = word + checkpoint("mine", key="k")
        return word + x

    assert trace(program)("a").call("?") == "hi!other?"
