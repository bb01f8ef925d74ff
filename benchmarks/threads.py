"""What more threads give: `numpy_eval_par` beside `numpy_eval` over the same arrays, interleaved.

`--write docs/performance.md` puts the table into the documentation.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
from cases import CASES
from tables import machine, markdown, replace_section


def ratio(name: str, points: int, rounds: int) -> tuple[float, float]:
    """Return the least seconds on one thread and on all, of one case; raise where the values differ."""
    import alkahest as ak

    case = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(case.low, case.high, points) for _ in case.variables]
    f = ak.jit(ak.trace_fn(case.function(ak), ak.ExprPool()))
    if not np.array_equal(ak.numpy_eval(f, *arrays), ak.numpy_eval_par(f, *arrays), equal_nan=True):
        raise SystemExit(f"{name}: threads change the values.")
    alone = together = math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        ak.numpy_eval(f, *arrays)
        middle = time.perf_counter()
        ak.numpy_eval_par(f, *arrays)
        end = time.perf_counter()
        alone, together = min(alone, middle - start), min(together, end - middle)
    return alone, together


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", default="sincos,mixed,d3,tanhmix,widesin")
    parser.add_argument("--write", type=Path, help="a Markdown file whose section `threads` is replaced")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {name: ratio(name, options.points, options.rounds) for name in options.only.split(",")}
    rows = [
        [f"`{name}`", f"{1e3 * alone:.2f}", f"{1e3 * together:.2f}", f"{alone / together:.2f}"]
        for name, (alone, together) in found.items()
    ]
    text = markdown(["function", "one thread, ms", f"{cores} threads, ms", "ratio"], rows)
    print(text)
    if options.write:
        replace_section(options.write, "threads", f"{machine()}, {options.points:,} points.\n\n{text}")
    print(json.dumps({name: alone / together for name, (alone, together) in found.items()}))


if __name__ == "__main__":
    main()
