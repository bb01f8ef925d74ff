"""Peak memory of a batch, beside NumPy: each in a process of its own, over the same 10 million points."""

from __future__ import annotations

import json
import subprocess
import sys

POINTS = 10_000_000
SETUP = f"import numpy as np; x = np.linspace(0, 1, {POINTS}); y = x.copy()"
CODE = {
    "nothing": "0",
    "numpy": "np.exp(-x**2 / 2) * np.sin(3 * x * y) + np.log(1 + x**2 * y**2) / np.sqrt(1 + x * y)",
    "alkahest interpreter": "run('interpreter')",
    "alkahest llvm": "run('llvm')",
}
PREPARE = """
import alkahest as ak
def run(tier):
    a, b = ak.ExprPool().symbols("x y")
    e = ak.exp(-a**2 / 2) * ak.sin(3 * a * b) + ak.log(1 + a**2 * b**2) / ak.sqrt(1 + a * b)
    f = ak.compile_expr(e, [a, b], backend=tier, fallback=False)
    return ak.numpy_eval(f, x, y)
"""
MEASURE = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"


def main() -> None:
    """Print megabytes above the inputs, and in units of one column."""
    peak: dict[str, float] = {}
    for name, code in CODE.items():
        script = f"{SETUP}\n{PREPARE}\nout = {code}\n{MEASURE}"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name} is left out: {done.stderr.strip().splitlines()[-1]}")
            continue
        peak[name] = float(done.stdout)
    column = POINTS * 8 / 2**20
    extra = {n: (p - peak["nothing"]) / column for n, p in peak.items() if n != "nothing"}
    for name, columns in extra.items():
        print(f"{name:24s} {columns * column:8.0f} MB above the inputs = {columns:.1f} columns")
    print(json.dumps(extra))


if __name__ == "__main__":
    main()
