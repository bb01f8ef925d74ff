"""Pieces over threads: each once, failures and interrupts, and no task left behind."""

import _thread
import ctypes
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from alkahest.compile import threads
from alkahest.compile.threads import _Task, cores, run_pieces, run_together


@pytest.fixture(autouse=True)
def helpers_of_its_own(monkeypatch):
    """Let no test do without a helper that an earlier one has not given back yet."""
    monkeypatch.setattr(threads, "_helpers", threads._Helpers())


def collect(seen):
    """Return what makes workers that write down the pieces they were given."""

    def make_run():
        def run(piece):
            seen.append(piece)
            return piece

        return run

    return make_run


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_piece_is_carried_out_once(workers):
    seen = []
    run_pieces(range(100), collect(seen), workers)
    assert sorted(seen) == list(range(100))


@pytest.mark.parametrize("workers", [1, 3])
def test_reports_come_in_the_callers_thread_and_end_with_the_total(workers):
    told = []

    def report(done):
        told.append((done, threading.current_thread()))

    run_pieces([1] * 50, collect([]), workers, report)
    counts = [done for done, _ in told]
    assert counts == sorted(set(counts))
    assert counts[-1] == 50
    assert {thread for _, thread in told} == {threading.current_thread()}


def test_each_thread_has_a_worker_of_its_own():
    made = []
    ready = threading.Barrier(2, timeout=10)

    def make_run():
        made.append(threading.current_thread())

        def run(piece):
            if piece < 2:
                ready.wait()
            return 1

        return run

    run_pieces(range(20), make_run, 2)
    assert len(made) == len(set(made)) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_in_the_callers_piece_waits_for_the_others(error):
    begun, done = threading.Event(), []
    caller = threading.current_thread()

    def make_run():
        def run(piece):
            if threading.current_thread() is caller:
                assert begun.wait(10)
                raise error
            begun.set()
            time.sleep(0.2)
            done.append(piece)
            return 1

        return run

    with pytest.raises(error):
        run_pieces(range(1000), make_run, 2)
    assert len(done) == 1, "the piece that was at work was finished, and no other begun"


def test_an_error_in_another_thread_is_raised():
    caller = threading.current_thread()
    failed = threading.Event()

    def make_run():
        def run(piece):
            if threading.current_thread() is not caller:
                failed.set()
                raise ValueError("there")
            assert failed.wait(10)
            return 1

        return run

    with pytest.raises(ValueError, match="there"):
        run_pieces(range(1000), make_run, 2)


def test_an_interrupt_while_waiting_waits_on():
    """Ctrl-C, twice, while the last pieces of others are at work."""
    caller, begun, done = threading.current_thread(), threading.Event(), []

    def make_run():
        def run(piece):
            if threading.current_thread() is caller:
                assert begun.wait(10)
            else:
                begun.set()
                for _ in range(2):
                    time.sleep(0.1)
                    _thread.interrupt_main()
                time.sleep(0.1)
                done.append(piece)
            return 1

        return run

    with pytest.raises(KeyboardInterrupt):
        run_pieces(range(2), make_run, 2)
    assert len(done) == 1


def test_work_inside_work_comes_to_its_end():
    """All helpers are taken by callers that want helpers themselves."""
    workers = cores() + 2

    def make_outer():
        def outer(_):
            seen = []
            run_pieces(range(40), collect(seen), workers)
            return len(seen)

        return outer

    counted = []
    run_pieces(range(60), make_outer, workers, counted.append)
    assert counted[-1] == 60 * 40


def test_helpers_are_used_again():
    def names():
        return {t.ident for t in threading.enumerate() if t.name == "alkahest"}

    for _ in range(50):
        run_pieces(range(40), collect([]), 3)
    before = names()
    for _ in range(200):
        run_pieces(range(40), collect([]), 3)
    assert names() == before


FORKS = """
import os, warnings
from alkahest.compile.threads import run_pieces

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads beside a fork

def check():
    seen = []
    run_pieces(range(40), lambda: lambda piece: seen.append(piece) or 1, 3)
    return sorted(seen) == list(range(40))

assert check()
child = os.fork()
if not child:
    os._exit(0 if check() else 1)
assert os.waitpid(child, 0)[1] == 0
assert check()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_helpers_after_a_fork():
    """In a process of its own: other libraries object to forks."""
    done = subprocess.run([sys.executable, "-c", FORKS], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_several_callers_at_once():
    def work(k):
        seen = []
        run_pieces(range(k, k + 30), collect(seen), 3)
        return sorted(seen) == list(range(k, k + 30))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(30)))


def test_a_cancelled_task_does_not_begin_and_holds_nothing():
    class Arrays:
        pass

    arrays, calls = Arrays(), []
    alive = weakref.ref(arrays)
    task = _Task(lambda arrays=arrays: calls.append(arrays))
    del arrays
    task.cancel()
    assert alive() is None
    task.carry_out()
    task.wait()
    assert calls == []


def test_who_is_told_that_all_is_over_does_not_wait_for_the_others():
    begun, go_on = threading.Event(), threading.Event()

    def run():
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            go_on.wait(60)
        else:
            begun.wait(60)
        return 7

    assert run_together(run, 2, is_over=lambda: True) == 7
    go_on.set()


def test_a_helper_stays_awake_for_the_next_task_and_sees_its_call(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    words, awake, over = [], threading.Event(), threading.Event()

    def linger(address):
        word = ctypes.c_int64.from_address(address)
        awake.set()
        deadline = time.monotonic() + 60
        while not word.value and time.monotonic() < deadline:
            time.sleep(0.001)
        words.append(word.value)
        over.set()

    begun = threading.Barrier(2)
    assert run_together(lambda: begun.wait(60) >= 0, 2, linger=linger)
    assert awake.wait(60)
    assert run_together(lambda: begun.wait(60) >= 0, 2)  # not before the helper has come
    assert over.wait(60)
    assert words == [1]


def test_no_helper_stays_awake_without_a_core_of_its_own(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 1)
    begun, calls = threading.Barrier(2), []
    for _ in range(2):
        assert run_together(lambda: begun.wait(60) >= 0, 2, linger=calls.append)
    assert calls == []
