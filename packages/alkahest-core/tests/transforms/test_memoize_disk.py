"""memoize on disk: results last, among threads and processes, and what is damaged is set aside."""

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

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.base.avals import STR
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero
from alkahest.errors import ConfigError, MemoError, OperandTypeError
from alkahest.ir.tracing import trace_program as trace
from alkahest.transforms.batching import batch
from alkahest.transforms.memo_store import Store, from_data, to_data
from alkahest.transforms.memory import memoize


def test_results_last_over_blocks(tmp_path, waiting):
    f = waiting()
    ir = trace(lambda x: f(x) + f(x + "!"))("a")
    for _ in range(3):
        with memoize(path=tmp_path / "memo") as memo:
            assert ir.call("a") == "<a><a!>"
            assert asyncio.run(ir.acall("a")) == "<a><a!>"
    assert f.calls == ["a", "a!"]
    assert (memo.hits, memo.misses) == (4, 0)


def test_only_what_waits_is_written_unless_told(counted, tmp_path, waiting):
    plain, other = counted(), waiting()
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


@pytest.mark.parametrize(
    "value", [("a", 1, True, 1.0, None), {"k": [(), {}]}, [-0.0, 1e300, 10**40], "\ud800 é \0", ""]
)
def test_results_come_back_exactly(tmp_path, waiting, value):
    f = waiting(impl=lambda _: value)
    for _ in range(2):
        with memoize(path=tmp_path):
            assert repr(f("a")) == repr(value)
    assert len(f.calls) == 1


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), b"x", Zero(STR), {1: "a"}, 10**5000], ids=lambda v: type(v).__name__
)
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
    ir = batch(trace(f)("a"))
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
        given = items[int(sys.argv[2]) * 5:] + items
        assert ir.call(given) == [f"<{x}>" * 50 for x in given]
    print(len(calls))
"""


def test_processes_write_one_store_at_once(tmp_path):
    code = textwrap.dedent(WRITER)
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "memo")]
    running = [
        subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for k in range(4)
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
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
