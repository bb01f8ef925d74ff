"""Object code shared by processes: a second one compiles nothing, and nobody is in anybody's way."""

import os
import subprocess
import sys
import time

import pytest

from alkahest.extend import code_store


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of its own for each test, which the processes started here share."""
    monkeypatch.setenv("ALKAHEST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ALKAHEST_CACHE_BYTES", str(64 << 20))
    return tmp_path / "cache" / "code"


def entries(folder):
    return sorted(folder.iterdir()) if folder.is_dir() else []


# Makes a pool, or loads the one that another process saved; compiles, evaluates, and tells how often was compiled.
_PROCESS = """
import sys
import alkahest as ak
from alkahest_llvm.loading import engine

path, tier, begin = sys.argv[1:]
pool = ak.ExprPool() if begin == "anew" else ak.ExprPool.load(path)
x, y = pool.symbols("x y")
nodes = len(pool)
e = ak.sin(x * y) * ak.exp(-x) + ak.log(1 + y * y) / (x + 2) + x**3
outputs = [e, ak.diff(e, x), ak.diff(e, y)]
if begin == "anew":
    pool.save(path)
else:
    assert len(pool) == nodes, "the pool holds all of it"
f = ak.compile_expr(outputs, [x, y], backend=tier, fallback=False)
points = [[0.3, 1.25, -0.5, 3.0, 17.0], [2.0, 0.1, -7.5, 1e8, 0.0]]
print([v.hex() for row in f.call_batch(points) for v in row], [v.hex() for v in f([0.3, 0.7])])
print(engine.compilations)
print("alkahest_llvm.vecmath.exponential" in sys.modules)
"""


def process(path, begin="anew", tier="llvm", **settings):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROCESS, str(path), tier, begin],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings},
    )


def finished(started):
    """Return what a process printed: the values, how often it compiled, whether it wrote kernels as text."""
    out, err = started.communicate(timeout=300)
    assert started.returncode == 0, err
    values, compilations, wrote_kernels = out.splitlines()
    return values, int(compilations), wrote_kernels == "True"


@pytest.mark.parametrize("tier", ["llvm", "llvm-fast"])
def test_with_a_saved_pool_a_second_process_starts_without_compiling(tmp_path, tier):
    expected, compiled, wrote_kernels = finished(process(tmp_path / "pool", tier=tier))
    assert compiled > 0
    assert wrote_kernels
    again, compiled, wrote_kernels = finished(process(tmp_path / "pool", "from the pool", tier))
    assert (again, compiled) == (expected, 0)
    assert not wrote_kernels or tier != "llvm"


def test_processes_that_compile_the_same_at_once(tmp_path, folder):
    room = {"ALKAHEST_CACHE_BYTES": "60000"}  # too little for all: they drive out one another's
    started = [process(tmp_path / f"pool{k}", **room) for k in range(3)]
    assert len({finished(p)[0] for p in started}) == 1
    assert sum(path.stat().st_size for path in entries(folder)) <= 1.5 * 60_000
    assert code_store().info().damaged == 0


def test_a_process_that_is_killed_while_it_compiles(tmp_path, folder):
    expected, *_ = finished(process(tmp_path / "pool"))
    code_store().clear()
    for entry_count in (1, 3, 5):
        killed = process(tmp_path / "pool")
        until = time.monotonic() + 120
        while len(entries(folder)) < entry_count and killed.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        killed.kill()
        killed.communicate()
    assert finished(process(tmp_path / "pool"))[0] == expected
    assert finished(process(tmp_path / "pool", "from the pool")) == (expected, 0, False)
