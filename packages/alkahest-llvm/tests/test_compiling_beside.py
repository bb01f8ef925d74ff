"""What other threads and forked processes may do while one thread compiles."""

import os
import subprocess
import sys
import threading
import warnings

import pytest

from alkahest import ExprPool, compile_expr, sin
from alkahest_llvm.loading import engine

FORKS = """
import os, threading, time
os.environ["ALKAHEST_CACHE_BYTES"] = "0"
from alkahest import ExprPool, compile_expr, sin
x = ExprPool().symbol("x")
long = x
for k in range(300):
    long = sin(long) + x * k
compile_expr(sin(x) + 1, [x], backend="llvm")([1.0])
def compiles():
    for k in range(1000):
        compile_expr(long * k + k, [x], backend="llvm")([1.0])
threading.Thread(target=compiles, daemon=True).start()
for k in range(5):
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        value = compile_expr(sin(x) * (3 + k), [x], backend="llvm")([0.0])
        os._exit(0 if value == 0.0 else 1)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked on this system")
def test_a_fork_in_the_middle_of_a_compilation_leaves_a_child_that_compiles():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=False, timeout=120)
    assert done.returncode == 0


def test_a_function_is_dropped_without_waiting_for_a_compilation():
    x = ExprPool().symbol("x")
    f = compile_expr(sin(x) * 17.5, [x], backend="llvm")
    assert f([0.0]) == 0.0
    held, dropped = threading.Event(), threading.Event()

    def compile_for_long() -> None:
        with engine.lock:
            held.set()
            dropped.wait(60)

    thread = threading.Thread(target=compile_for_long)
    thread.start()
    held.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del f  # would not come back here if it waited
    dropped.set()
    thread.join(60)
    assert not thread.is_alive()


def test_what_was_dropped_is_unloaded_when_the_next_is_loaded():
    x = ExprPool().symbol("x")
    f = compile_expr(sin(x) * 18.5, [x], backend="llvm")
    f([0.0])
    used = engine._engine()
    before = used.loaded
    del f
    engine._engine()
    assert used.loaded < before
