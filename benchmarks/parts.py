"""How a long tape is cut into parts: lines of a part, and frames that it goes through before the next part is called.

    taskset -c 0 python benchmarks/parts.py

compiles long tapes for every instruction set of this machine, cut in several ways, and prints nanoseconds a point, and
milliseconds of compiling in brackets; rounds are interleaved, minima of processor time are taken. `LONGEST_PART` and
`MOST_FRAMES` in `alkahest_llvm.emitting.body` are chosen from these tables. The last column is the block machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from compile_time import formula
from tuning import PROCESSORS, available, pretend

from alkahest.extend import CompileOptions, Tape

LINES = (200, 300, 400, 600, 800)
FRAMES = (1, 4, 8, 16, 32)
POINTS = 8192
PROSPERO = Path(__file__).parents[1] / "examples" / "fpcore" / "prospero.fpcore"


def tapes() -> dict[str, Tape]:
    """Return the formula of a text, minima and maxima above all, and random ones, a tenth of them functions."""
    import alkahest as ak
    from alkahest.extend import linearize

    core = ak.from_fpcore(PROSPERO.read_text(encoding="utf-8"), ak.ExprPool())[0]
    found = {"prospero": linearize([core.expr], core.symbols)}
    for nodes in (1_000, 2_500, 7_800):
        expr, symbols = formula(nodes, 1)
        found[f"random {nodes:,}"] = linearize([expr], symbols)
    return found


def runner(compile_tape: Callable[[Tape, CompileOptions], Any], tape: Tape) -> tuple[Callable[[], Any], float]:
    """Return a function that evaluates a tape over arrays once, and how many milliseconds compiling it took."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ALKAHEST_CACHE_DIR"] = cache  # or else what was compiled with other sizes would be loaded
        start = time.thread_time()
        kernel = compile_tape(tape, CompileOptions())
        taken = 1e3 * (time.thread_time() - start)
        arrays = [np.random.default_rng(0).uniform(-1, 1, POINTS) for _ in (*tape.inputs, *tape.outputs)]
        columns = [(a.ctypes.data, 8) for a in arrays]
        n_in = len(tape.inputs)
        kernel.call_columns(POINTS, columns[:n_in], columns[n_in:])
    return lambda keep=arrays: kernel.call_columns(POINTS, columns[:n_in], columns[n_in:]), taken


def variants(tape: Tape) -> dict[str, tuple[Callable[[], Any], float]]:
    """Return what `runner` does for every way to cut a tape, and for the block machine."""
    from alkahest_llvm.backend import LLVMBackend
    from alkahest_llvm.blocks.backend import LLVMFastBackend
    from alkahest_llvm.emitting import body

    chosen = body.LONGEST_PART, body.MOST_FRAMES
    ways = [(lines, chosen[1]) for lines in LINES] + [(chosen[0], frames) for frames in FRAMES]
    runner(LLVMBackend().compile, tape)  # loads the kernels
    found: dict[str, tuple[Callable[[], Any], float]] = {}
    for lines, frames in dict.fromkeys(ways):
        body.LONGEST_PART, body.MOST_FRAMES = lines, frames
        found[f"{lines} x{frames}"] = runner(LLVMBackend().compile, tape)
    body.LONGEST_PART, body.MOST_FRAMES = chosen
    found["machine"] = runner(LLVMFastBackend().compile, tape)
    return found


def measure(rounds: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return nanoseconds a point and milliseconds of compiling, by tape and way to cut it."""
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name, tape in tapes().items():
        made = variants(tape)
        best = dict.fromkeys(made, math.inf)
        for _ in range(rounds):
            for way, (run, _) in made.items():
                start = time.thread_time()
                run()
                best[way] = min(best[way], time.thread_time() - start)
        table[name] = {way: (1e9 * best[way] / POINTS, ms) for way, (_, ms) in made.items()}
    return table


def main() -> None:
    """Measure one instruction set here, or each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=PROCESSORS, help="one instruction set; prints JSON")
    options = parser.parse_args()
    if options.only:
        pretend(options.only)
        print(json.dumps(measure(options.rounds)))
        return
    for name in available():
        command = [sys.executable, __file__, "--only", name, "--rounds", str(options.rounds)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        ways = list(next(iter(found.values())))
        print(f"\n{name}: ns a point (ms of compiling)\n{'lines x frames':16s}" + "".join(f"{w:>14s}" for w in ways))
        for tape, row in found.items():
            print(f"{tape:16s}" + "".join(f"{ns:8.0f} ({ms:3.0f})" for ns, ms in row.values()), flush=True)


if __name__ == "__main__":
    main()
