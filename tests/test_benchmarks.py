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


@pytest.mark.parametrize("name", ["latency.py", "memory.py"])
def test_the_others_print_json(name):
    assert last_line(name)
