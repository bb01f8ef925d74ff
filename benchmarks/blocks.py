"""The block machine beside straight-line code: milliseconds to first result, and run time by size of block.

    taskset -c 0 python benchmarks/blocks.py [--fpcore FILE]

prints, for each function, what `llvm` and `llvm-fast` need to compile it (kernels loaded, nothing of it on disk), the
nanoseconds a point of `llvm`, and the run time of `llvm-fast` over that for several sizes of block. Rounds are
interleaved, minima are taken; times are the thread's own, so that other processes disturb less.
`alkahest_llvm.blocks.running.BLOCK_BYTES` is chosen from this table.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["ALKAHEST_CACHE_BYTES"] = "0"

import numpy as np
from cases import CASES

import alkahest as ak
from alkahest.extend import CompileOptions, Instr, Tape, linearize
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks import running
from alkahest_llvm.blocks.backend import LLVMFastBackend

OPTIONS = CompileOptions()
CHOSEN = running.BLOCK_BYTES
TRANSCENDENTAL = ("sin", "cos", "exp", "tanh", "atan", "log")


def random_tape(n: int, seed: int) -> Tape:
    """Return about `n` operations, a tenth transcendental, each on some of the sixty values before it, all summed."""
    draw = random.Random(seed)
    instrs: list[Instr] = []
    for k in range(n):
        recent = range(max(0, k - 56), k + 4)
        if draw.random() < 0.1:
            instrs.append(Instr(draw.choice(TRANSCENDENTAL), (draw.choice(recent),)))
        else:
            instrs.append(Instr(draw.choice(("add", "sub", "mul", "mul")), (draw.choice(recent), draw.choice(recent))))
    read = {a for instr in instrs for a in instr.args}
    first, *others = [4 + k for k in range(n) if 4 + k not in read]
    for other in others:
        instrs.append(Instr("add", (first, other)))
        first = 3 + len(instrs)
    return Tape(("x", "y"), (1.5, -0.25), tuple(instrs), (first,))


def tapes(fpcore: str | None) -> Iterator[tuple[str, Tape, tuple[float, float]]]:
    """Yield names, tapes, and the range of their inputs."""
    for name, case in CASES.items():
        symbols = list(ak.ExprPool().symbols(" ".join(case.variables)))
        outputs = case.function(ak)(*symbols)
        yield name, linearize(outputs if isinstance(outputs, tuple) else [outputs], symbols), (case.low, case.high)
    for n in (100, 1_000, 10_000):
        yield f"random {n}", random_tape(n, n), (0.1, 1.0)
    if fpcore:
        core = ak.from_fpcore(Path(fpcore).read_text(), ak.ExprPool())[0]
        yield Path(fpcore).stem, linearize([core.expr], core.symbols), (-1.0, 1.0)


def least(run: Callable[[], Any], rounds: int = 3) -> float:
    """Return the least of some times, in seconds."""
    return min(_timed(run) for _ in range(rounds))


def _timed(run: Callable[[], Any]) -> float:
    start = time.thread_time()
    run()
    return time.thread_time() - start


def caller(tape: Tape, kernel: Any, low: float, high: float, n: int) -> Callable[[], Any]:
    """Return what evaluates `n` points."""
    rows = np.random.default_rng(0).uniform(low, high, (len(tape.inputs), n))
    out = np.empty((len(tape.outputs), n))
    given, wanted = [[(row.ctypes.data, 8) for row in table] for table in (rows, out)]
    return lambda: (kernel.call_columns(n, given, wanted), rows, out)


def measure(tape: Tape, low: float, high: float, sizes: list[int], work: int, rounds: int) -> tuple[float, ...]:
    """Return milliseconds to compile of `llvm` and `llvm-fast`, nanoseconds a point, and the ratio for each size."""
    n = max(256, min(1_000_000, work // max(1, len(tape.instrs))))
    compiling = [least(lambda tier=tier: tier().compile(tape, OPTIONS)) for tier in (LLVMBackend, LLVMFastBackend)]
    runs = [caller(tape, LLVMBackend().compile(tape, OPTIONS), low, high, n)]
    for size in sizes:
        running.BLOCK_BYTES = size
        runs.append(caller(tape, LLVMFastBackend().compile(tape, OPTIONS), low, high, n))
    running.BLOCK_BYTES = CHOSEN
    best = [math.inf] * len(runs)
    for _ in range(rounds):
        best = [min(b, _timed(run)) for b, run in zip(best, runs, strict=True)]
    return (*[1e3 * c for c in compiling], 1e9 * best[0] / n, *[b / best[0] for b in best[1:]])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fpcore", help="a file of FPCore with one more function, such as a large one")
    parser.add_argument("--sizes", default="256,512,1024,2048,4096", help="bytes of a block, separated by commas")
    parser.add_argument("--work", type=int, default=30_000_000, help="operations in one timed run")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    print(f"{'':12s} {'ops':>6s} {'llvm ms':>8s} {'fast ms':>8s} {'llvm ns':>9s}  fast/llvm, blocks of {options.sizes}")
    ratios: list[tuple[float, ...]] = []
    for name, tape, (low, high) in tapes(options.fpcore):
        slow, fast, ns, *found = measure(tape, low, high, sizes, options.work, options.rounds)
        ratios.append(tuple(found))
        cells = "  ".join([f"{r:5.2f}" for r in found])
        print(f"{name:12s} {len(tape.instrs):6d} {slow:8.2f} {fast:8.2f} {ns:9.3f}  {cells}", flush=True)
    means = [math.exp(sum(math.log(r) for r in column) / len(ratios)) for column in zip(*ratios, strict=True)]
    print("geometric mean:", "  ".join([f"{m:.2f}" for m in means]))


if __name__ == "__main__":
    main()
