"""The report in docs/accuracy.md covers every function and keeps what is documented; its hard points are hard."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import mpmath
import pytest

from alkahest.extend import prim_names
from alkahest.testing.corpus import op_tape
from alkahest.testing.oracle import CORRECTLY_ROUNDED, SELECTIONS
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.vecmath.bounds import BOUNDS

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs" / "accuracy.md"
BENCHMARKS = REPOSITORY / "benchmarks"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not here")
LEAST_POINTS = 1e7


def table(*head):
    """Return the rows of the page's table with these first headings, by function; a cell is stripped of backquotes."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    rows = [[cell.strip().strip("`") for cell in row] for row in cells]
    (start,) = [k for k, row in enumerate(rows) if tuple(row[: len(head)]) == head]
    found = {}
    for row in rows[start + 2 :]:
        if row[0] == "function":
            break
        found[row[0]] = dict(zip(rows[start], row, strict=True))
    return found


def test_every_documented_function_is_measured_and_keeps_its_bound():
    rows = table("function", "where")
    assert set(rows) == set(BOUNDS)
    for name, row in rows.items():
        bound = BOUNDS[name]
        assert float(row["points"]) >= LEAST_POINTS, name
        assert float(row["largest error"]) <= bound.ulps, name
        assert float(row["subnormal results"] or 0) <= bound.largest(normal=False), name
        if row['with "4ulp"']:
            assert float(row['with "4ulp"'].split()[0]) <= bound.largest(accuracy="4ulp"), name
        assert float(re.split("[; ]", row["bound"])[0]) == bound.ulps, name


def test_single_precision_is_measured():
    rows = table("function", "points")
    assert {"exp", "log", "sin", "cos", "tan", "pow", "erf", "gamma"} <= set(rows)
    for name, row in rows.items():
        assert float(row["largest error"]) <= BOUNDS[name].single, name


def test_every_inexact_function_of_the_tier_has_a_bound():
    ops = {op for op in prim_names() if not missing_ops(op_tape(op))}
    assert not ops - CORRECTLY_ROUNDED - SELECTIONS - set(BOUNDS)


def test_published_arguments_lie_next_to_the_middle_of_two_doubles():
    path = BENCHMARKS / "accuracy_published.py"
    if not path.is_file():
        pytest.skip("the benchmarks are not here")
    halfway = runpy.run_path(str(path))["HALFWAY"]
    assert len(halfway) >= 10
    with mpmath.workprec(300):
        for name, words in halfway.items():
            for word in words.split():
                y = abs(getattr(mpmath, name)(mpmath.mpf(float.fromhex(word))))
                scaled = mpmath.ldexp(y, 54 - mpmath.frexp(y)[1])  # doubles and their middles are whole numbers
                assert abs(scaled - mpmath.nint(scaled)) < 2.0**-40, (name, word)


def test_the_benchmark_measures(tmp_path):
    for module in ("gmpy2", "rich"):
        pytest.importorskip(module, reason="the benchmark needs it")
    script = BENCHMARKS / "accuracy.py"
    if not script.is_file():
        pytest.skip("the benchmarks are not here")
    command = [sys.executable, str(script), "--points", "3000", "--processes", "1", "--only", "exp;hypot;x^3"]
    command += ["--state", str(tmp_path / "state.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    out = json.loads(done.stdout.splitlines()[-1])
    assert out["beyond"] == []
    figures = out["points, ulps, ulps of subnormal results"]
    assert {"exp", "hypot", "x^3", "exp f32"} <= set(figures)
    assert figures["exp"][0] >= 3000
    assert 0.5 <= figures["exp"][1] <= BOUNDS["exp"].ulps
    # A product of two roundings: between 1 and 1.5 ulp where enough points are seen.
    assert 1.0 <= figures["x^3"][1] <= 1.5
