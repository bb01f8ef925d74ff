"""memoize: one call for identical ones, in a block, among threads and tasks, and on disk among processes."""

import asyncio
import contextvars
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from alkahest.base.avals import STR
from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero
from alkahest.errors import ConfigError, MemoError, OperandTypeError
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims.control import switch
from alkahest.prims.groups import waiting_primitives
from alkahest.prims.marks import checkpoint, factor
from alkahest.prims.rules import rules
from alkahest.prims.text import concat
from alkahest.transforms.batching import batch
from alkahest.transforms.intercept import collect
from alkahest.transforms.memo_store import Store, from_data, to_data
from alkahest.transforms.memory import memoize
from alkahest.transforms.tagging import tag
from hypothesis import given
from hypothesis import strategies as st


class Counted:
    """A primitive that tells its calls, and does what it is told."""

    def __init__(self, name="counted", impl=None, aimpl=None, *, waits=False):
        self.calls = []
        self.impl = impl or (lambda x: f"<{x}>")
        self.aimpl = aimpl
        self.prim = rules(
            Prim(name),
            impl=self._impl,
            aimpl=self._aimpl if aimpl else None,
            abstract=lambda x, **_: STR,
            waits=waits,
            register=False,
        )

    def _impl(self, in_tree, /, **_):
        self.calls.append(in_tree)
        return self.impl(in_tree)

    async def _aimpl(self, in_tree, /, **_):
        self.calls.append(in_tree)
        return await self.aimpl(in_tree)

    def __call__(self, x, **params):
        return self.prim.bind(x, **params)


@pytest.fixture
def waiting():
    made = []

    def make(**kwargs):
        made.append(Counted(waits=True, **kwargs))
        return made[-1]

    yield make
    for counted in made:
        waiting_primitives.discard(counted.prim)


# ------------------------------------------------------------------------------------------------ within a block


def test_the_same_call_runs_once_per_block():
    f = Counted()
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
def test_values_that_a_primitive_can_tell_apart_are_different(values):
    f = Counted(impl=repr)
    with memoize():
        for value in values * 2:
            assert f(value) == repr(value)
    assert len(f.calls) == len(values)


def test_nan_is_the_same_as_nan():
    f = Counted()
    with memoize():
        f(float("nan")), f(float("nan"))
    assert len(f.calls) == 1


def test_parameters_count():
    f = Counted()
    with memoize():
        f("a", mode={"x": [1]}), f("a", mode={"x": [1]}), f("a", mode={"x": [True]}), f("a")
    assert len(f.calls) == 3


def test_what_cannot_be_hashed_is_carried_out_each_time():
    f = Counted(impl=lambda x: "out")
    with memoize() as memo:
        assert f({"a": bytearray(b"x")}) == f({"a": bytearray(b"x")}) == "out"
        f("a", how=bytearray())
    assert len(f.calls) == 3
    assert memo.misses == 0


def test_what_a_caller_does_to_a_result_stays_with_the_caller():
    f = Counted(impl=lambda x: {"items": [x]})
    with memoize():
        for _ in range(3):
            out = f("a")
            assert out == {"items": ["a"]}
            out["items"].append("b")
    assert len(f.calls) == 1


def test_symbolic_zeros_are_results_like_any_other():
    f = Counted(impl=lambda x: (Zero(STR), x))
    with memoize():
        assert f("a") == f("a") == (Zero(STR), "a")
    assert len(f.calls) == 1


def test_a_failed_call_is_not_kept_and_what_was_done_before_is():
    good, attempts = Counted(), []

    def flaky(x):
        attempts.append(x)
        if len(attempts) == 1:
            raise RuntimeError("busy")
        return x

    bad = Counted(impl=flaky)
    ir = trace(lambda x: bad(good(x)))("a")
    with memoize() as memo:
        with pytest.raises(RuntimeError, match="busy"):
            ir.call("a")
        assert ir.call("a") == ir.call("a") == "<a>"
    assert len(good.calls) == 1
    assert len(attempts) == 2
    assert memo.misses == 3


def test_marks_run_each_time():
    f = Counted()
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


def test_a_branch_that_binds_the_same_call_does_not_wait_for_itself():
    f = Counted()
    inner = trace(lambda x: f(x))("a")
    ir = trace(lambda k, x: switch(k, {"i": inner}, x) + switch(k, {"i": inner}, x) + f(x))("i", "a")
    with memoize():
        assert ir.call("i", "a") == "<a><a><a>"
        assert asyncio.run(ir.acall("i", "a")) == "<a><a><a>"
    assert f.calls == ["a"]


def test_a_primitive_that_binds_itself_does_not_wait_for_itself():
    depth = []

    def again(x):
        depth.append(x)
        return f(x) if len(depth) < 3 else "bottom"

    f = Counted(impl=again)
    with memoize():
        assert f("a") == "bottom"
    assert len(depth) == 3


@pytest.mark.parametrize("run", [lambda ir, x: ir.call(x), lambda ir, x: asyncio.run(ir.acall(x))])
def test_items_of_a_batch_share(run, waiting):
    async def aimpl(x):
        await asyncio.sleep(0.01)
        return f"<{x}>"

    f = waiting(impl=lambda x: time.sleep(0.01) or f"<{x}>", aimpl=aimpl)
    ir = batch(trace(lambda x: f(x))("a"))
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


# -------------------------------------------------------------------------------------------- threads and tasks


def in_threads(n, call):
    contexts = [contextvars.copy_context() for _ in range(n)]
    with ThreadPoolExecutor(n) as pool:
        futures = [pool.submit(c.run, call) for c in contexts]
        return [f.exception() or f.result() for f in futures]


def test_threads_share_a_call_under_way():
    barrier = threading.Barrier(8)
    f = Counted(impl=lambda x: time.sleep(0.1) or x + "!")

    def call():
        barrier.wait()
        return f("a")

    with memoize() as memo:
        assert in_threads(8, call) == ["a!"] * 8
    assert f.calls == ["a"]
    assert (memo.hits, memo.misses) == (7, 1)


def test_threads_that_share_a_call_share_its_error():
    barrier = threading.Barrier(4)

    def fail(x):
        time.sleep(0.05)
        raise RuntimeError("no")

    f = Counted(impl=fail)

    def call():
        barrier.wait()
        return f("a")

    with memoize():
        errors = in_threads(4, call)
        assert [type(e) for e in errors] == [RuntimeError] * 4
        assert len(f.calls) == 1
        with pytest.raises(RuntimeError):
            f("a")
    assert len(f.calls) == 2


def test_an_interrupted_call_is_taken_over_by_a_waiter():
    started = threading.Event()

    def slow(x):
        if len(f.calls) == 1:
            started.set()
            time.sleep(0.1)
            raise KeyboardInterrupt
        return "done"

    f = Counted(impl=slow)
    with memoize():
        context = contextvars.copy_context()
        out = []
        first = threading.Thread(target=lambda: pytest.raises(KeyboardInterrupt, context.run, f, "a"))
        first.start()
        started.wait(5)
        second = contextvars.copy_context()
        waiter = threading.Thread(target=lambda: out.append(second.run(f, "a")))
        waiter.start()
        first.join(5)
        waiter.join(5)
    assert out == ["done"]
    assert len(f.calls) == 2


def test_tasks_share_a_call_under_way():
    async def slow(x):
        await asyncio.sleep(0.02)
        return x + "!"

    f = Counted(aimpl=slow)

    async def main():
        return await asyncio.gather(*[f.prim.abind("a") for _ in range(20)])

    with memoize() as memo:
        assert asyncio.run(main()) == ["a!"] * 20
    assert f.calls == ["a"]
    assert (memo.hits, memo.misses) == (19, 1)


def test_tasks_that_share_a_call_share_its_error():
    async def fail(x):
        await asyncio.sleep(0.01)
        raise RuntimeError("no")

    f = Counted(aimpl=fail)

    async def main():
        return await asyncio.gather(*[f.prim.abind("a") for _ in range(3)], return_exceptions=True)

    with memoize():
        assert [type(e) for e in asyncio.run(main())] == [RuntimeError] * 3
        assert len(f.calls) == 1
        assert [type(e) for e in asyncio.run(main())] == [RuntimeError] * 3
        assert len(f.calls) == 2


@pytest.mark.parametrize("who", [0, 1])
def test_a_cancelled_caller_takes_nobody_along(who):
    async def slow(x):
        await asyncio.sleep(0.05)
        return x + "!"

    f = Counted(aimpl=slow)

    async def main():
        tasks = [asyncio.create_task(f.prim.abind("a")) for _ in range(3)]
        await asyncio.sleep(0.01)
        tasks[who].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with memoize():
        out = asyncio.run(main())
        assert [type(o) for o in out] == [asyncio.CancelledError if k == who else str for k in range(3)]
        assert len(f.calls) == 1
        assert asyncio.run(main())[1 - who] == "a!"
    assert len(f.calls) == 1


def test_work_that_nobody_waits_for_any_more_is_given_up():
    ended = []

    async def slow(x):
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(x)

    f = Counted(aimpl=slow)

    async def main():
        tasks = [asyncio.create_task(f.prim.abind("a")) for _ in range(2)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert ended == ["a"]
        f.aimpl = done
        return await f.prim.abind("a")

    async def done(x):
        return "again"

    with memoize():
        assert asyncio.run(main()) == "again"
    assert len(f.calls) == 2


def test_event_loops_in_threads_do_not_wait_for_each_other():
    async def slow(x):
        await asyncio.sleep(0.05)
        return x + "!"

    f = Counted(aimpl=slow)

    async def several():
        return await asyncio.gather(*[f.prim.abind("a") for _ in range(3)])

    with memoize():
        out = in_threads(3, lambda: asyncio.run(several()))
    assert out == [["a!"] * 3] * 3
    assert 1 <= len(f.calls) <= 3


def test_a_sync_call_in_an_event_loop_does_not_wait_for_a_task_of_it():
    async def slow(x):
        await asyncio.sleep(0.05)
        return "async"

    f = Counted(impl=lambda x: "sync", aimpl=slow)

    async def main():
        task = asyncio.create_task(f.prim.abind("a"))
        await asyncio.sleep(0.01)
        return f("a"), await task

    with memoize():
        assert asyncio.run(main())[0] == "sync"
    assert len(f.calls) == 2


def test_a_thread_and_a_loop_do_not_wait_for_each_other():
    async def slow(x):
        await asyncio.sleep(0.05)
        return "out"

    f = Counted(impl=lambda x: time.sleep(0.05) or "out", aimpl=slow)

    async def main():
        return await asyncio.gather(asyncio.to_thread(f, "a"), f.prim.abind("a"))

    with memoize():
        assert asyncio.run(main()) == ["out", "out"]
        assert f("a") == "out"
    assert len(f.calls) <= 2


# ------------------------------------------------------------------------------------------------------- on disk


def test_results_last_over_blocks(tmp_path, waiting):
    f = waiting()
    ir = trace(lambda x: f(x) + f(x + "!"))("a")
    for _ in range(3):
        with memoize(path=tmp_path / "memo") as memo:
            assert ir.call("a") == "<a><a!>"
            assert asyncio.run(ir.acall("a")) == "<a><a!>"
    assert f.calls == ["a", "a!"]
    assert (memo.hits, memo.misses) == (4, 0)


def test_only_what_waits_is_written_unless_told(tmp_path, waiting):
    plain, other = Counted(), waiting()
    for primitives, calls in ((None, 2), ([plain.prim], 1)):
        plain.calls.clear(), other.calls.clear()
        for _ in range(2):
            with memoize(path=tmp_path / str(primitives), primitives=primitives):
                plain("a"), other("a")
        assert len(plain.calls) == calls
        assert len(other.calls) == 3 - calls


def test_salt_asks_anew(tmp_path, waiting):
    f = waiting()
    for salt in ("", "v2", "v2", ""):
        with memoize(path=tmp_path, salt=salt):
            f("a")
    assert len(f.calls) == 2


@pytest.mark.parametrize("value", [("a", 1, True, 1.0, None), {"k": [(), {}]}, [-0.0, 1e300, 10**40], "\ud800 é \0", ""])
def test_results_come_back_exactly(tmp_path, waiting, value):
    f = waiting(impl=lambda _: value)
    for _ in range(2):
        with memoize(path=tmp_path):
            assert repr(f("a")) == repr(value)
    assert len(f.calls) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", Zero(STR), {1: "a"}, 10**5000], ids=lambda v: type(v).__name__)
def test_what_json_cannot_carry_stays_in_memory(tmp_path, waiting, value):
    f, g = waiting(impl=lambda _: value), waiting(impl=lambda _: "out")
    for _ in range(2):
        with memoize(path=tmp_path):
            f("a"), f("a")
            g(value), g(value)
    assert len(f.calls) == len(g.calls) == 2


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


@given(json_trees)
def test_values_survive_json(value):
    assert repr(from_data(json.loads(json.dumps(to_data(value))))) == repr(value)


@given(json_trees, json_trees)
def test_digests_are_equal_where_calls_are(tmp_path_factory, a, b):
    store = Store.__new__(Store)
    store._salt = ""
    prim = Prim("p")
    same = store.digest(prim, a, {"k": 1}) == store.digest(prim, b, {"k": 1})
    assert same == (_canonical(a) == _canonical(b))
    assert store.digest(prim, a, {"k": 1}) != store.digest(prim, a, {"k": True})
    assert store.digest(prim, a, {}) != store.digest(Prim("q"), a, {})


def _canonical(value):
    if isinstance(value, dict):
        return ("dict", sorted((k, _canonical(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return (type(value).__name__, [_canonical(v) for v in value])
    return repr(value)


def test_a_schema_is_part_of_the_key(tmp_path, waiting):
    from alkahest.prims.schema_nodes import Int, Str

    f = waiting()
    with memoize(path=tmp_path):
        f("a", schema={"x": Str()}), f("a", schema={"x": Str()}), f("a", schema={"x": Int()})
    with memoize(path=tmp_path):
        f("a", schema={"x": Int()})
    assert len(f.calls) == 2


def test_a_failed_call_is_not_written(tmp_path, waiting):
    def impl(x):
        raise RuntimeError("no")

    f = waiting(impl=impl)
    for _ in range(2):
        with memoize(path=tmp_path), pytest.raises(RuntimeError):
            f("a")
    assert len(f.calls) == 2


def test_threads_of_a_batch_use_the_store_and_nothing_stays_open(tmp_path, waiting):
    f = waiting(impl=lambda x: time.sleep(0.005) or f"<{x}>")
    ir = batch(trace(lambda x: f(x))("a"))
    items = [str(k) for k in range(30)]
    before = set(threading.enumerate())
    for _ in range(2):
        with memoize(path=tmp_path):
            assert ir.call(items) == [f"<{x}>" for x in items]
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("alkahest-memo")]
    assert len(f.calls) == 30


def test_after_its_block_a_memo_writes_no_more(tmp_path, waiting):
    f = waiting()
    with memoize(path=tmp_path):
        context = contextvars.copy_context()
    assert context.run(f, "a") == "<a>"
    with memoize(path=tmp_path):
        f("a")
    assert len(f.calls) == 2


WRITER = """
    import sys, warnings
    warnings.simplefilter("error")
    from alkahest.base.avals import STR
    from alkahest.base.prim import Prim
    from alkahest.ir.tracing import trace_program as trace
    from alkahest.prims.rules import rules
    from alkahest.transforms.batching import batch
    from alkahest.transforms.memory import memoize
    calls = []
    def impl(x):
        calls.append(x)
        return f"<{x}>" * 50
    prim = rules(Prim("shared"), impl=impl, abstract=lambda x: STR, waits=True)
    ir = batch(trace(lambda x: prim.bind(x))("a"))
    items = [str(k) for k in range(60)]
    with memoize(path=sys.argv[1]):
        assert ir.call(items[int(sys.argv[2]) * 5:] + items) == [f"<{x}>" * 50 for x in items[int(sys.argv[2]) * 5:] + items]
    print(len(calls))
"""


def test_processes_write_one_store_at_once(tmp_path):
    code = textwrap.dedent(WRITER)
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "memo")]
    running = [
        subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for k in range(4)
    ]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert err == ""
        assert 0 <= int(out) <= 60
    done = subprocess.run([*command, "0"], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "0\n"
    with sqlite3.connect(tmp_path / "memo" / "cache.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_damaged_store_is_set_aside(tmp_path, waiting):
    f = waiting()
    with memoize(path=tmp_path):
        f("a")
    (tmp_path / "cache.db").write_bytes(b"this is no database at all" * 400)
    with pytest.warns(RuntimeWarning, match="damaged"), memoize(path=tmp_path):
        assert f("a") == "<a>"
    with memoize(path=tmp_path):
        assert f("a") == "<a>"
    assert len(f.calls) == 2
    assert (tmp_path / "cache.db.damaged").read_bytes().startswith(b"this is no database")


def test_a_store_damaged_while_it_is_open_is_set_aside(tmp_path, waiting):
    f = waiting()
    with memoize(path=tmp_path):
        for k in range(300):
            f(str(k) * 100)
    size = (tmp_path / "cache.db").stat().st_size
    with (tmp_path / "cache.db").open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * (size - 4096 * 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            with memoize(path=tmp_path):
                for k in range(300):
                    assert f(str(k) * 100) == f"<{str(k) * 100}>"
    assert {w.category for w in caught} == {RuntimeWarning}
    assert "damaged" in str(caught[0].message)
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize("text", ["{", '{"set": []}', "[1]", '{"list": 3}', '{"a": 1, "b": 2}'])
def test_an_entry_that_cannot_be_read_is_dropped_and_made_anew(tmp_path, waiting, text):
    f = waiting()
    with memoize(path=tmp_path):
        f("a")
    _tamper(tmp_path, "value = ?", text)
    with pytest.warns(RuntimeWarning, match="cannot be read"), memoize(path=tmp_path):
        assert f("a") == "<a>"
    with memoize(path=tmp_path):
        assert f("a") == "<a>"
    assert len(f.calls) == 2


def test_nothing_is_unpickled(tmp_path, waiting):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    f = waiting()
    with memoize(path=tmp_path):
        f("a")
    _tamper(tmp_path, "mode = 4, value = ?", pickle.dumps(Evil()))
    with pytest.warns(RuntimeWarning, match="cannot be read"), memoize(path=tmp_path):
        assert f("a") == "<a>"
    assert not (tmp_path / "evil").exists()


def _tamper(path, change, value):
    connection = sqlite3.connect(path / "cache.db")
    with connection:
        assert connection.execute(f"UPDATE Cache SET {change}", (value,)).rowcount == 1
    connection.close()


def test_old_entries_go_when_the_store_is_full(tmp_path, waiting):
    f = waiting(impl=lambda x: x * 2000)
    with memoize(path=tmp_path, size_limit=200_000):
        for k in range(400):
            f(str(k))
    assert (tmp_path / "cache.db").stat().st_size < 600_000
    f.calls.clear()
    with memoize(path=tmp_path, size_limit=200_000):
        f("399")
        assert f.calls == []
        f("0")
    assert f.calls == ["0"]


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("taken")
    for path in (tmp_path / "file", tmp_path / "file" / "below", 3):
        with pytest.raises(MemoError) as caught, memoize(path=path):
            pass
        assert caught.value.code == "E-MEMO-001"
        assert isinstance(caught.value, OSError)


def test_options_are_checked(tmp_path):
    for options in ({"salt": 1}, {"size_limit": 0}, {"size_limit": True}, {"size_limit": "1"}):
        with pytest.raises(ConfigError), memoize(path=tmp_path, **options):
            pass
    with pytest.raises(OperandTypeError), memoize(primitives=["lm_call"]):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_keeps_results_in_memory(tmp_path):
    code = """
        import os, sys, warnings
        from alkahest.base.avals import STR
        from alkahest.base.prim import Prim
        from alkahest.prims.rules import rules
        from alkahest.transforms.memory import memoize
        prim = rules(Prim("forked"), impl=lambda x: x + "!", abstract=lambda x: STR, waits=True)
        with memoize(path=sys.argv[1]):
            prim.bind("a")
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
            if pid == 0:
                os._exit(0 if prim.bind("a") == "a!" and prim.bind("b") == "b!" else 1)
            assert os.waitpid(pid, 0)[1] == 0
            assert prim.bind("b") == "b!"
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
