"""Equations that wait, in batches and schedules: side by side, not in lock-step, by data edges; order of effects.

Nothing here measures time: calls wait for events that only other calls set, so that a wrong order never ends (and fails
by the time limit of the event), and counters tell how many calls are under way.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import itertools
import threading

import pytest

import alkahest as af
from alkahest.base.rules import version
from alkahest.errors import BranchError
from alkahest.extend import Prim, StrAVal, rules
from alkahest.prims.groups import register_non_dce, register_non_memoizable, register_waiting

LIMIT = 30  # seconds, of a test that would never end


class Waiting:
    """A primitive that waits: it counts calls under way, and each call goes on when its gate is open.

    `gates` maps an input to the input whose call must be over first.
    """

    def __init__(self, *, after=None, together=0, fail=()):
        self.after = dict(after or {})
        self.together = together  # how many calls must be under way at once before any goes on
        self.fail = set(fail)
        self.lock = threading.Lock()
        self.under_way = self.peak = 0
        self.started, self.finished, self.cancelled = [], [], []
        self.over = collections.defaultdict(threading.Event)
        self.full = threading.Event()
        self.prim = rules(
            Prim("test_waiting"),
            impl=self._impl,
            aimpl=self._aimpl,
            abstract=lambda text, **_: StrAVal(),
            waits=True,
            register=False,
        )

    def _begin(self, text):
        with self.lock:
            self.started.append(text)
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
            if self.under_way >= self.together:
                self.full.set()

    def _end(self, text):
        with self.lock:
            self.under_way -= 1
            self.finished.append(text)
        self._gate(text).set()

    def _gate(self, text):
        with self.lock:
            return self.over[text]

    def _waited_for(self, text):
        return [self.full] if text not in self.after else [self.full, self._gate(self.after[text])]

    def _impl(self, text, /, **_):
        self._begin(text)
        for event in self._waited_for(text):
            assert event.wait(LIMIT), f"{text} waited for ever"
        return self._answer(text)

    async def _aimpl(self, text, /, **_):
        self._begin(text)
        try:
            async with asyncio.timeout(LIMIT):
                while not all(event.is_set() for event in self._waited_for(text)):
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(text)
            raise
        return self._answer(text)

    def _answer(self, text):
        self._end(text)
        if text in self.fail:
            raise ValueError(f"{text} is bad")
        return f"<{text}>"

    def __call__(self, x, **params):
        return self.prim.bind(x, **params)


def sync_run(ir, *args):
    return ir.call(*args)


def async_run(ir, *args):
    return asyncio.run(ir.acall(*args))


RUNS = pytest.mark.parametrize("run", [sync_run, async_run])


def traced(ask, *examples):
    return af.trace(ask)(*(examples or ("",)))


# ----------------------------------------------------------------------------------------------------- side by side


@RUNS
@pytest.mark.parametrize("n", [2, 12])
def test_calls_of_a_batch_are_all_under_way_at_once(run, n):
    ask = Waiting(together=n)
    assert run(af.batch(traced(ask)), [str(k) for k in range(n)]) == [f"<{k}>" for k in range(n)]
    assert ask.peak == n


def test_hundreds_of_calls_are_under_way_at_once():
    ask = Waiting(together=300)
    assert async_run(af.batch(traced(ask)), [str(k) for k in range(300)]) == [f"<{k}>" for k in range(300)]
    assert ask.peak == 300


@RUNS
def test_calls_of_a_batch_in_a_batch_are_all_under_way_at_once(run):
    ask = Waiting(together=5)
    ir = af.batch(af.batch(traced(ask)))
    assert run(ir, [["a", "b"], ["c"], ["d", "e"]]) == [["<a>", "<b>"], ["<c>"], ["<d>", "<e>"]]


@RUNS
def test_calls_in_different_branches_are_under_way_at_once(run):
    ask = Waiting(together=4)
    branches = {"a": traced(lambda x: ask(x) + "1"), "b": traced(lambda x: ask(x) + "2")}
    ir = af.batch(af.trace(lambda key, x: af.switch(key, branches, x))("a", ""))
    assert run(ir, ["a", "b", "b", "a"], ["w", "x", "y", "z"]) == ["<w>1", "<x>2", "<y>2", "<z>1"]


@RUNS
def test_independent_equations_of_a_schedule_are_under_way_at_once(run):
    ask = Waiting(together=3)
    ir = af.sched(traced(lambda x: (ask(x + "1"), ask(x + "2"), ask(x + "3"))))
    assert run(ir, "a") == ("<a1>", "<a2>", "<a3>")


@RUNS
@pytest.mark.parametrize("order", ["batch of sched", "sched of batch"])
def test_batches_and_schedules_overlap_both_ways(run, order):
    ask = Waiting(together=6)
    ir = traced(lambda x: (ask(x + "1"), ask(x + "2")))
    ir = af.batch(af.sched(ir)) if order == "batch of sched" else af.sched(af.batch(ir))
    assert run(ir, ["a", "b", "c"]) == (["<a1>", "<b1>", "<c1>"], ["<a2>", "<b2>", "<c2>"])


@RUNS
def test_without_a_schedule_calls_of_one_program_keep_their_order(run):
    ask = Waiting()
    assert run(traced(lambda x: (ask(x + "1"), ask(x + "2"))), "a") == ("<a1>", "<a2>")
    assert ask.peak == 1
    assert ask.started == ["a1", "a2"]


@RUNS
def test_a_call_that_depends_on_no_batched_input_is_made_once(run):
    ask = Waiting()
    ir = af.trace(lambda x, y: ask(x) + y)("", "")
    assert run(af.batch(ir, in_axes=(False, True)), "a", ["b", "c", "d"]) == ["<a>b", "<a>c", "<a>d"]
    assert ask.started == ["a"]


@RUNS
def test_a_shared_call_after_calls_of_the_items_is_made_once(run):
    ask = Waiting()
    ir = af.trace(lambda x, y: (ask(x), ask(y), ask(x + "2"), ask(y + "2")))("", "")
    out = run(af.batch(ir, in_axes=(True, False)), ["a", "b", "c"], "y")
    assert out == (["<a>", "<b>", "<c>"], ["<y>"] * 3, ["<a2>", "<b2>", "<c2>"], ["<y2>"] * 3)
    assert sorted(ask.started) == ["a", "a2", "b", "b2", "c", "c2", "y", "y2"]
    for first, then in [("a", "a2"), ("b", "b2"), ("y", "y2"), ("y", "a2")]:  # what is written first is asked first
        assert ask.started.index(first) < ask.started.index(then)


@RUNS
def test_a_primitive_that_says_it_waits_overlaps_without_an_async_rule(run):
    barrier = threading.Barrier(4)

    def impl(text, /):
        barrier.wait(LIMIT)
        return text.upper()

    prim = rules(Prim("test_blocking"), impl=impl, abstract=lambda text: StrAVal(), waits=True, register=False)
    assert run(af.batch(traced(prim.bind)), list("abcd")) == list("ABCD")


# ------------------------------------------------------------------------------------------------ not in lock-step


@RUNS
def test_an_item_goes_on_while_another_is_in_its_first_call_weakness_14(run):
    """The first call of item b goes on only when item a has made its second."""
    ask = Waiting(after={"b": "<a>!"})
    assert run(af.batch(traced(lambda x: ask(ask(x) + "!"))), ["a", "b"]) == ["<<a>!>", "<<b>!>"]
    assert ask.finished == ["a", "<a>!", "b", "<b>!"]


@RUNS
def test_an_item_of_an_inner_batch_goes_on_while_another_is_in_its_first_call(run):
    ask = Waiting(after={"b": "<a>!", "c": "<<d>!>"})
    inner = af.batch(traced(lambda x: ask(ask(x) + "!")))
    ir = traced(lambda xs: [ask(x) for x in inner.call(xs)], ["", ""])
    assert run(af.batch(inner), [["a", "b"]]) == [["<<a>!>", "<<b>!>"]]
    assert run(af.batch(ir), [["a", "d"], ["c", "e"]]) == [["<<<a>!>>", "<<<d>!>>"], ["<<<c>!>>", "<<<e>!>>"]]


@RUNS
def test_an_item_leaves_a_loop_and_goes_on_while_others_go_round(run):
    """Item a (one round) must come behind its loop before item b may end its first round."""
    ask = Waiting(after={"b": "last <a>"})
    cond = traced(lambda s: s[0] > 0, (1, ""))
    body = traced(lambda s: (s[0] - 1, ask(s[1])), (1, ""))
    ir = af.trace(lambda n, x: ask("last " + af.while_loop(cond, body, (n, x), max_iters=5)[1]))(1, "")
    assert run(af.batch(ir), [1, 2], ["a", "b"]) == ["<last <a>>", "<last <<b>>>"]


@RUNS
def test_items_that_wait_for_something_shared_out_of_order_come_out_in_order(run):
    """The items leave their loop at different times, all of them before the shared call is over."""
    ask = Waiting()
    cond = traced(lambda s: s[0] > 0, (1, ""))
    body = traced(lambda s: (s[0] - 1, s[1] + "."), (1, ""))
    ir = af.trace(lambda n, x, y: (af.while_loop(cond, body, (n, x), max_iters=9)[1], ask(y)))(1, "", "")
    args = [0, 2, 0, 1], ["a", "b", "c", "d"], "y"
    assert run(af.batch(ir, in_axes=(True, True, False)), *args) == (["a", "b..", "c", "d."], ["<y>"] * 4)


@RUNS
def test_an_item_leaves_a_switch_while_another_waits_in_it(run):
    ask = Waiting(after={"b": "then a"})
    branches = {"ask": traced(ask), "pass": traced(lambda x: x)}
    ir = af.trace(lambda key, x: ask("then " + af.switch(key, branches, x)))("ask", "")
    assert run(af.batch(ir), ["pass", "ask"], ["a", "b"]) == ["<then a>", "<then <b>>"]


@RUNS
def test_a_schedule_has_no_level_barriers_weakness_14(run):
    """Left: a short call and one more; right: a call as long as both. The second on the left needs no right."""
    ask = Waiting(after={"right": "<left>2"})
    ir = af.sched(traced(lambda x: (ask(ask(x + "left") + "2"), ask(x + "right") + "!")))
    assert run(ir, "") == ("<<left>2>", "<right>!")
    assert ask.finished == ["left", "<left>2", "right"]


@RUNS
def test_branches_of_a_schedule_that_join_wait_for_each_other_alone(run):
    ask = Waiting(after={"slow": "<join<a><b>>"})
    ir = af.sched(traced(lambda x: (ask(ask(af.concat("join", ask(x + "a"), ask(x + "b")))), ask(x + "slow"))))
    assert run(ir, "") == ("<<join<a><b>>>", "<slow>")


# --------------------------------------------------------------------------------------------------- order of effects


@RUNS
def test_outputs_are_in_order_however_calls_end(run):
    names = [str(k) for k in range(8)]
    ask = Waiting(after=dict(itertools.pairwise(names)))  # the last ends first
    assert run(af.batch(traced(ask)), names) == [f"<{k}>" for k in names]
    assert ask.finished == names[::-1]


@RUNS
def test_collect_is_in_order_of_the_items_however_calls_end(run):
    names = [str(k) for k in range(5)]
    ask = Waiting(after=dict(itertools.pairwise(names)))
    ir = af.batch(traced(lambda x: af.checkpoint(ask(af.checkpoint(x, key="in")), key="out") + "!"))
    with af.collect(collection=...) as seen:
        run(ir, names)
    assert seen == {"in": names, "out": [f"<{k}>" for k in names]}


@RUNS
def test_collect_in_branches_and_loops_is_in_order_of_the_items(run):
    names = ["0", "1", "2"]
    ask = Waiting(after={"0": "2"})
    mark = traced(lambda x: af.checkpoint(ask(x), key="k"))
    other = traced(lambda x: af.checkpoint(x + "o", key="k"))
    cond = traced(lambda s: s[0] > 0, (1, ""))
    body = traced(lambda s: (s[0] - 1, af.checkpoint(s[1] + ".", key="loop")), (1, ""))

    def program(key, x):
        x = af.switch(key, {"mark": mark, "other": other}, x)
        return af.while_loop(cond, body, (2, x), max_iters=2)[1]

    ir = af.batch(af.trace(program)("mark", ""))
    with af.collect(collection=...) as seen:
        assert run(ir, ["mark", "other", "mark"], names) == ["<0>..", "1o..", "<2>.."]
    ask.after.clear()
    with af.collect(collection=...) as one:
        for k, x in zip(["mark", "other", "mark"], names, strict=True):
            af.trace(program)("mark", "").call(k, x)
    assert seen["k"] == one["k"] == ["<0>", "1o", "<2>"]
    assert sorted(seen["loop"]) == sorted(one["loop"])


@RUNS
def test_weights_are_in_order_however_calls_end(run):
    ask = Waiting(after={"0": "1", "1": "2"})

    def program(x, w):
        ask(x)
        af.factor(w)
        return x

    ir = af.trace(program)("", 1.0)
    assert run(af.batch(af.weighted(ir)), ["0", "1", "2"], [0.5, 2.0, 3.0]) == (["0", "1", "2"], [0.5, 2.0, 3.0])
    assert run(af.weighted(af.batch(ir)), ["0", "1", "2"], [0.5, 2.0, 3.0]) == (["0", "1", "2"], 3.0)


@RUNS
def test_inject_gives_its_values_in_order_of_the_items(run):
    ask = Waiting(after={"0": "1", "1": "2"})
    ir = af.batch(traced(lambda x: af.checkpoint(ask(x), key="k") + "!"))
    with af.inject(collection=None, values={"k": ["a", "b"]}):
        assert run(ir, ["0", "1", "2"]) == ["a!", "b!", "<2>!"]


@RUNS
def test_inject_in_a_switch_gives_its_values_in_order_of_the_items(run):
    ask = Waiting()
    branches = {"a": traced(lambda x: af.checkpoint(ask(x), key="k")), "b": traced(lambda x: x)}
    ir = af.batch(af.trace(lambda key, x: af.checkpoint(af.switch(key, branches, x), key="end"))("a", ""))
    with af.inject(collection=None, values={"k": ["u", "v"], "end": ["1"]}):
        assert run(ir, ["a", "b", "a"], ["x", "y", "z"]) == ["1", "y", "v"]


# --------------------------------------------------------------------------------------------------------- failures


@RUNS
def test_the_first_failure_is_raised_and_says_where(run):
    ask = Waiting(fail=["b"])

    def program(x):
        with af.tag("asking"):
            return ask(x)

    with pytest.raises(ValueError, match="b is bad") as caught:
        run(af.batch(traced(program)), ["a", "b", "c"])
    (note,) = caught.value.__notes__
    for part in ("test_waiting", "tagged 'asking'", "for item 1 of the batch", "test_batch_effects.py"):
        assert part in note


def test_a_failure_cancels_the_calls_under_way_weakness_15():
    ask = Waiting(after={"a": "never", "c": "never"}, together=3, fail=["b"])
    with pytest.raises(ValueError, match="b is bad"):
        async_run(af.batch(traced(ask)), ["a", "b", "c"])
    assert sorted(ask.cancelled) == ["a", "c"]


def test_a_failure_cancels_the_calls_of_a_schedule_under_way():
    ask = Waiting(after={"a": "never"}, together=2, fail=["b"])
    with pytest.raises(ValueError, match="b is bad"):
        async_run(af.sched(traced(lambda x: (ask(x + "a"), ask(x + "b")))), "")
    assert ask.cancelled == ["a"]


@RUNS
def test_what_had_not_started_does_not_start_after_a_failure(run):
    ask = Waiting(after={"a": "b"}, fail=["b"])
    with pytest.raises(ValueError, match="b is bad"):
        run(af.batch(traced(lambda x: ask(ask(x) + "2"))), ["a", "b"])
    assert sorted(ask.started) in (["a", "b"], ["<a>2", "a", "b"])  # a may have been over first


def test_calls_in_the_queue_of_the_threads_never_start_after_a_failure(monkeypatch):
    from alkahest.machine import run

    monkeypatch.setattr(run, "THREADS", 2)
    ask = Waiting(together=2, after={"1": "0"}, fail=["0"])
    with pytest.raises(ValueError, match="0 is bad"):
        sync_run(af.batch(traced(ask)), [str(k) for k in range(50)])
    assert len(ask.started) < 10


@RUNS
def test_the_error_holds_what_was_done_weakness_15(run):
    """The failing call goes on when the progress of the batch says that the others are done."""
    ask = Waiting(after={"b": "two are done"}, fail=["b"])
    ir = af.batch(traced(lambda x: (ask(x), x)))
    opened = af.progress(lambda done, total: done == 2 and ask.over["two are done"].set())
    with opened, pytest.raises(ValueError, match="b is bad") as caught:
        run(ir, ["a", "b", "c"])
    assert caught.value.partial == {0: ("<a>", "a"), 2: ("<c>", "c")}


@RUNS
def test_an_error_of_ours_holds_what_was_done_too(run):
    ask = Waiting(after={"left": "one is done"})
    ir = af.batch(af.trace(lambda k, x: af.switch(ask(k), {"<ok>": traced(ask)}, x))("ok", ""))
    opened = af.progress(lambda done, total: done == 1 and ask.over["one is done"].set())
    with opened, pytest.raises(BranchError, match=r"no branch '<left>'.*item 1 of the batch") as caught:
        run(ir, ["ok", "left"], ["a", "b"])
    assert caught.value.partial == {0: "<a>"}


@RUNS
def test_what_is_done_is_none_where_the_first_fails(run):
    ask = Waiting(fail=["a"])
    with pytest.raises(ValueError, match="a is bad") as caught:
        run(af.batch(traced(lambda x: ask(ask(x)))), ["a"])
    assert caught.value.partial == {}


@RUNS
def test_return_exceptions_isolates_the_item_that_fails(run):
    ask = Waiting(fail=["b"])
    with af.return_exceptions():
        left, right = run(af.batch(traced(lambda x: (ask(x) + "!", "r"))), ["a", "b", "c"])
    assert (left[0], left[2], right[0], right[2]) == ("<a>!", "<c>!", "r", "r")
    assert isinstance(left[1], ValueError)
    assert left[1] is right[1]
    assert "item 1 of the batch" in left[1].__notes__[0]


@RUNS
@pytest.mark.parametrize("where", ["column", "switch", "loop", "inner batch", "rule"])
def test_return_exceptions_isolates_failures_everywhere(run, where):
    def shout(text, /):
        if text == "b":
            raise ValueError("b is bad")
        return text.upper()

    def column(in_tree, /):
        _, flag, texts = in_tree
        return [shout(t) for t in texts], flag

    prim = rules(
        Prim("test_shouting"),
        impl=shout,
        abstract=lambda text: StrAVal(),
        batch=column if where == "rule" else None,
        register=False,
    )
    plain = traced(lambda x: prim.bind(x + "") + "!")
    branches = {"on": plain, "off": traced(lambda x: x)}
    programs = {
        "column": plain,
        "rule": plain,
        "switch": traced(lambda x: af.switch("on", branches, x)),
        "loop": traced(
            lambda x: af.while_loop(
                traced(lambda s: s[0] == "go", ("", "")),
                traced(lambda s: ("", plain.call(s[1])), ("", "")),
                ("go", x),
                max_iters=3,
            )[1]
        ),
        "inner batch": traced(lambda x: af.batch(plain).call([x, x])),
    }
    with af.return_exceptions():
        out = run(af.batch(programs[where]), ["a", "b", "c"])
    if where == "inner batch":
        assert out[0] == ["A!", "A!"] or out[0][0] == "A!"
        return
    assert (out[0], out[2]) == ("A!", "C!")
    assert isinstance(out[1], ValueError)
    with pytest.raises(ValueError, match="b is bad"):
        run(af.batch(programs[where]), ["a", "b", "c"])


@RUNS
def test_return_exceptions_in_a_batch_in_a_batch_isolates_the_inner_item(run):
    ask = Waiting(fail=["b"])
    with af.return_exceptions():
        out = run(af.batch(af.batch(traced(ask))), [["a"], ["x", "b"], ["c", "d"]])
    assert (out[0], out[2]) == (["<a>"], ["<c>", "<d>"])
    assert out[1][0] == "<x>"
    assert isinstance(out[1][1], ValueError)
    assert "item (1, 1) of the batch" in out[1][1].__notes__[0]


@RUNS
def test_all_items_may_fail(run):
    ask = Waiting(fail=["a", "b"])
    with af.return_exceptions():
        out = run(af.batch(traced(ask)), ["a", "b"])
    assert [str(e) for e in out] == ["a is bad", "b is bad"]


@pytest.mark.parametrize("nested", [False, True])
def test_cancelling_the_task_cancels_the_calls(nested):
    ask = Waiting(together=2, after={"a": "never", "b": "never"})
    ir = af.batch(traced(ask))

    async def main():
        task = asyncio.ensure_future(af.batch(ir).acall([["a"], ["b"]]) if nested else ir.acall(["a", "b"]))
        while not ask.full.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert sorted(ask.cancelled) == ["a", "b"]


def test_cancelling_a_schedule_cancels_its_calls():
    ask = Waiting(together=2, after={"a": "never", "b": "never"})
    ir = af.sched(traced(lambda x: (ask(x + "a"), ask(x + "b"))))

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ir.acall("")

    asyncio.run(main())
    assert sorted(ask.cancelled) == ["a", "b"]


# --------------------------------------------------------------------------------------------------------- progress


@RUNS
def test_progress_counts_items_to_the_end(run):
    ask = Waiting(after={"0": "1", "1": "2"})
    seen = []
    with af.progress(lambda done, total: seen.append((done, total))):
        run(af.batch(traced(ask)), ["0", "1", "2"])
    assert seen[-1] == (3, 3)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@RUNS
def test_context_of_the_caller_is_that_of_the_calls(run):
    """Threads of a batch see the tags, and the context variables, of who called it."""
    from contextvars import ContextVar

    from alkahest.extend import active_tags

    setting = ContextVar("setting", default="none")
    prim = rules(
        Prim("test_context"),
        impl=lambda text: f"{text} {setting.get()} {sorted(active_tags.get())}",
        abstract=lambda text: StrAVal(),
        waits=True,
        register=False,
    )

    def program(x):
        with af.tag("t"):
            return prim.bind(x)

    token = setting.set("mine")
    try:
        assert run(af.batch(traced(program)), ["a", "b"]) == ["a mine ['t']", "b mine ['t']"]
    finally:
        setting.reset(token)


# ------------------------------------------------------------------------------------------- threads of async runs


def test_rules_that_wait_overlap_in_async_runs_however_few_cores_there_are():
    together = threading.Barrier(100, timeout=LIMIT)
    told = contextvars.ContextVar("told", default="")

    def impl(text, /):
        together.wait()
        return told.get() + text

    wait_p = rules(Prim("test_overlap"), impl=impl, abstract=lambda text: text, waits=True, register=False)
    ir = af.batch(traced(wait_p.bind))
    told.set("context ")
    assert async_run(ir, [str(k) for k in range(100)]) == [f"context {k}" for k in range(100)]


def test_a_rule_that_waits_may_run_a_loop_of_its_own():
    # All threads of the outer loop are taken: the inner loops cannot have any of them.
    together = threading.Barrier(128, timeout=LIMIT)
    inner_p = rules(
        Prim("test_inner"), impl=lambda text: text + "?", abstract=lambda text: text, waits=True, register=False
    )
    inner = traced(inner_p.bind)

    def impl(text, /):
        together.wait()
        return asyncio.run(inner.acall(text))

    outer_p = rules(Prim("test_outer"), impl=impl, abstract=lambda text: text, waits=True, register=False)
    assert async_run(af.batch(traced(outer_p.bind)), ["x"] * 128) == ["x?"] * 128


# ------------------------------------------------------------------------------------- groups that are joined later


def test_a_primitive_registered_as_waiting_after_a_first_run_waits():
    gates = []

    def impl(text, /):
        for gate in gates:
            gate.wait()
        return text + "!"

    late_p = rules(Prim("test_late"), impl=impl, abstract=lambda text: text, register=False)
    ir = af.batch(traced(late_p.bind))
    staged = af.sched(af.trace(lambda x, y: (late_p.bind(x), late_p.bind(y)))("", ""))
    assert ir.call(["a", "b"]) == ["a!", "b!"]
    assert staged.call("a", "b") == ("a!", "b!")
    assert register_waiting(late_p) is late_p
    gates.append(threading.Barrier(2, timeout=LIMIT))
    assert ir.call(["a", "b"]) == ["a!", "b!"]
    assert staged.call("a", "b") == ("a!", "b!")


def test_a_primitive_kept_after_a_first_run_is_kept_by_transforms_of_the_same_program():
    done = []

    def impl(text, /):
        done.append(text)
        return text

    late_p = rules(Prim("test_late_kept"), impl=impl, abstract=lambda text: text, register=False)

    def program(x):
        late_p.bind(x)
        return x + "!"

    ir = af.trace(program)("")
    pulled = af.pullback(ir)
    assert pulled.call(("a",), "c") == ("a!", ("c",))
    assert done == []
    register_non_dce(late_p)
    assert pulled.call(("a",), "c") == ("a!", ("c",))
    assert done == ["a"]


def test_groups_make_what_was_derived_anew_once():
    prim = Prim("test_groups")
    for register in (register_waiting, register_non_dce, register_non_memoizable):
        before = version()
        register(prim)
        after = version()
        register(prim)
        assert before < after == version()
