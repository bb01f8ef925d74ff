"""The benchmarks run: small sizes, for their figures say nothing here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def last_line(*arguments):
    run = [sys.executable, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, cwd=FOLDER, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_throughput():
    out = last_line("throughput.py", "--points", "1000", "--rounds", "2", "--peers", "alkahest,numpy")
    assert set(out["peer_over_ours"]) >= {"sincos", "poly20", "d3"}
    assert all(row["numpy"] > 0 for row in out["peer_over_ours"].values())


def test_programs():
    out = last_line("programs.py", "--alone", "--shrink", "100", "--rounds", "1")
    assert set(out["cases"]) >= {"trace", "call", "pullback, first call", "dce of 10,000 equations, half of them dead"}
    assert [name for name, row in out["cases"].items() if row["ours"] is None] == []


@pytest.mark.parametrize("name", ["latency.py", "memory.py"])
def test_the_others_print_json(name):
    assert last_line(name)
