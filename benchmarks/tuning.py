"""What suits an instruction set: how wide vectors are, how polynomials are nested, and how large results are written.

    taskset -c 0 python benchmarks/tuning.py
    taskset -c 0 python benchmarks/tuning.py --stores

The first compiles the same functions for every instruction set of this machine, at several widths, and prints
milliseconds for a million points; rounds are interleaved, minima are taken. `alkahest_llvm.targets.TUNINGS` and
`alkahest_llvm.optimising.nesting.TWO_CHAINS_FROM` are chosen from these tables. The second writes batches of several
sizes through the caches and past them, and reads the result afterwards: `loading.batch_entry.STREAMED_BYTES`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import alkahest_llvm.targets as targets
from alkahest.extend import CompileOptions, Instr, Tape

# Processors that LLVM makes code for, and the features that this one must have to run it.
PROCESSORS = {
    "SSE2": ("x86-64", ("sse2",)),
    "AVX2": ("haswell", ("avx", "avx2", "fma")),
    "AVX-512": ("skylake-avx512", ("avx512f", "avx512dq", "avx512vl")),
}
DEGREES = (4, 8, 12, 16, 20, 24, 32, 48)
SIZES = {"in cache": 16_384, "in memory": 1_000_000}
FUSED = CompileOptions()
AS_WRITTEN = CompileOptions(contract=False)

Run = Callable[[], Any]


def formulas() -> dict[str, Tape]:
    """Return what widths are compared on."""
    from alkahest import cos, exp, log, sin, sqrt, tanh
    from alkahest.extend import ExprPool, linearize

    x, y = ExprPool().symbols("x y")
    expressions = {
        "2.5 x + y": 2.5 * x + y,
        "polynomial": sum(((k + 1) / 16 * x**k for k in range(12)), start=x.pool.integer(1)),
        "exp": exp(x) * y,
        "log": log(x * x + 1) * y,
        "sin cos": sin(x) * cos(y),
        "tanh": tanh(x) - y,
        "quotient": (x + y) / sqrt(1 + x * x),
    }
    return {name: linearize([e], [x, y]) for name, e in expressions.items()}


def horner(degree: int) -> Tape:
    """Return a polynomial by Horner's rule: one chain of multiply-adds."""
    return _polynomial(degree, lambda emit, c: _chain(emit, 0, c))


def two_chains(degree: int) -> Tape:
    """Return a polynomial as two chains in x^2, for even and odd exponents, which take turns."""

    def write(emit: Callable[..., int], c: list[int]) -> int:
        square, one, other = emit("mul", 0, 0), c[-1], c[-2]
        for k in reversed(c[:-2]):
            one, other = other, emit("fma", one, square, k)
        return emit("fma", one, 0, other)

    return _polynomial(degree, write)


def estrin(degree: int) -> Tape:
    """Return a polynomial by Estrin's scheme: neighbours are paired, with x, x^2, x^4 and so on."""

    def write(emit: Callable[..., int], c: list[int]) -> int:
        power = 0
        while len(c) > 1:
            pairs = [emit("fma", c[k + 1], power, c[k]) for k in range(0, len(c) - 1, 2)]
            c = pairs + c[len(c) - len(c) % 2 :]
            power = emit("mul", power, power) if len(c) > 1 else power
        return c[0]

    return _polynomial(degree, write)


def _chain(emit: Callable[..., int], x: int, c: list[int]) -> int:
    total = c[-1]
    for k in reversed(c[:-1]):
        total = emit("fma", total, x, k)
    return total


def _polynomial(degree: int, write: Callable[[Callable[..., int], list[int]], int]) -> Tape:
    instrs: list[Instr] = []
    constants = tuple([(-1.0) ** k / (k + 1) for k in range(degree + 1)])

    def emit(op: str, *args: int) -> int:
        instrs.append(Instr(op, args))
        return 1 + degree + len(instrs)

    out = write(emit, list(range(1, degree + 2)))
    return Tape(("x",), constants, tuple(instrs), (out,))


def runner(tape: Tape, options: CompileOptions, lanes: int, points: int) -> Run:
    """Return a function that evaluates a tape over arrays once and returns the result."""
    from alkahest_llvm.loading.kernel import LLVMKernel

    kernel = LLVMKernel(tape, options, level=2, style="inline", width=lanes)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, points) for _ in tape.inputs]
    out = np.empty(points)
    columns = [(a.ctypes.data, 8) for a in arrays]

    def run(keep: Any = (arrays, kernel)) -> Any:
        kernel.call_columns(points, columns, [(out.ctypes.data, 8)])
        return out

    return run


def milliseconds(runs: dict[Any, Run], points: int, rounds: int) -> dict[Any, float]:
    """Return the least time of each for a million points."""
    best = dict.fromkeys(runs, math.inf)
    repeats = max(1, 500_000 // points)
    for _ in range(rounds):
        for key, run in runs.items():
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            best[key] = min(best[key], (time.perf_counter() - start) / repeats)
    return {key: 1e9 * seconds / points for key, seconds in best.items()}


def measure(tuning: targets.Tuning, rounds: int) -> dict[str, Any]:
    """Return both tables for one instruction set."""
    widths = [tuning.register_lanes * k for k in (1, 2, 4)]
    lanes: dict[str, dict[str, float]] = {}
    schemes: dict[str, dict[str, float]] = {}
    for where, points in SIZES.items():
        for name, tape in formulas().items():
            runs = {str(w): runner(tape, FUSED, w, points) for w in widths}
            lanes[f"{name}, {where}"] = milliseconds(runs, points, rounds)
        for degree in DEGREES:
            writers = {"Horner": horner, "two chains": two_chains, "Estrin": estrin}
            runs = {n: runner(w(degree), AS_WRITTEN, tuning.lanes, points) for n, w in writers.items()}
            schemes[f"degree {degree}, {where}"] = milliseconds(runs, points, rounds)
    return {"lanes": lanes, "schemes": schemes}


def stores(rounds: int) -> dict[str, dict[str, float]]:
    """Return the time of 2.5 x + y, written either way, and of reading what was written, by the bytes of all arrays."""
    from alkahest_llvm.loading import batch_entry

    tape = formulas()["2.5 x + y"]
    found: dict[str, dict[str, float]] = {}
    for points in [1 << k for k in range(16, 23)]:
        runs: dict[str, Run] = {}
        for name, least in {"through": 1 << 60, "past": 0}.items():
            batch_entry.STREAMED_BYTES = least
            batch_entry.drivers.clear()
            runs[name] = runner(tape, FUSED, targets.host_target().lanes, points)
            runs[name]()  # loads the driver
        copies = {f"{name} + read": _then_read(run, points) for name, run in runs.items()}
        found[f"{points * 24 / 2**20:.1f} MiB"] = milliseconds({**runs, **copies}, points, rounds)
    return found


def _then_read(run: Run, points: int) -> Run:
    result, target = run(), np.empty(points)

    def both() -> None:
        run()
        np.multiply(result, 2.0, out=target)

    return both


def report(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print a table with the best of each row marked, and the geometric mean of each column over the best."""
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n{'':28s}" + "".join(f"{c:>14s}" for c in columns))
    ratios: dict[str, list[float]] = {c: [] for c in columns}
    for name, row in rows.items():
        least = min(row.values())
        print(f"{name:28s}" + "".join(f"{ms:12.3f} {'*' if ms == least else ' '}" for ms in row.values()))
        for c, ms in row.items():
            ratios[c].append(ms / least)
    means = [math.exp(np.mean(np.log(r))) for r in ratios.values()]
    print(f"{'mean, in units of the best':28s}" + "".join(f"{m:12.3f}  " for m in means), flush=True)


def available() -> Iterable[str]:
    """Return the instruction sets of this machine."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return [name for name, (_, needed) in PROCESSORS.items() if all(features.get(f) for f in needed)]


def pretend(name: str) -> targets.Tuning:
    """Let code be made for another processor from now on."""
    cpu, features = PROCESSORS[name]
    tuning = targets.tuning_for("x86", dict.fromkeys(("sse2", *features), True))
    targets.instead = targets.Target("host", cpu=cpu, features="-prefer-256-bit", lanes=tuning.lanes)
    return tuning


def main() -> None:
    """Measure one instruction set here, or each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=PROCESSORS, help="one instruction set; prints JSON")
    parser.add_argument("--stores", action="store_true", help="how results are written, by size")
    options = parser.parse_args()
    if options.stores:
        report("milliseconds for 1M points by way of writing", stores(options.rounds))
        return
    if options.only:
        print(json.dumps(measure(pretend(options.only), options.rounds)))
        return
    for name in available():
        command = [sys.executable, __file__, "--only", name, "--rounds", str(options.rounds)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        report(f"{name}: milliseconds for 1M points by number of lanes", found["lanes"])
        report(f"{name}: milliseconds for 1M points by scheme of the polynomial", found["schemes"])


if __name__ == "__main__":
    main()
