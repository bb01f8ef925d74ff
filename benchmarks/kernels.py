"""Single functions over data in the second-level cache, side by side with heyoka: nanoseconds per number, and ratios.

The time of a call is taken out: it is the slope between a short and a long column. `--cpu haswell` makes our code for
AVX2 (heyoka, whose vectors have four lanes by default anyway, stays as it is). `--floor` adds the vector instructions
on the usual path of a loop, the time in which this machine does as many fused multiply-adds, and how long code
generation takes. Run it pinned to one core: `taskset -c 0 python benchmarks/kernels.py`.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import operator
import os
import re
import time
from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import numpy as np

SHORT, LONG = 2048, 18432  # numbers a column

Run = Callable[[int], None]

# name: ops over x and y in Python's syntax, heyoka's form of it where that differs, and the range of both
CASES: dict[str, tuple[str, str, float, float]] = {
    "exp": ("exp(x)", "", -20, 20),
    "log": ("log(x)", "", 0.01, 100),
    "sin": ("sin(x)", "", -10, 10),
    "cos": ("cos(x)", "", -10, 10),
    "sincos": ("sin(x)*cos(x)", "", -10, 10),
    "tanh": ("tanh(x)", "", -3, 3),
    "atan": ("atan(x)", "", -5, 5),
    "sqrt": ("sqrt(x)", "", 0.1, 100),
    "x^1.7": ("x**1.7", "", 0.1, 30),
    "tan": ("tan(x)", "", -10, 10),
    "asin": ("asin(x)", "", -1, 1),
    "acos": ("acos(x)", "", -1, 1),
    "sinh": ("sinh(x)", "", -5, 5),
    "cosh": ("cosh(x)", "", -5, 5),
    "expm1": ("expm1(x)", "", -3, 3),
    "log1p": ("log1p(x)", "", -0.9, 10),
    "asinh": ("asinh(x)", "", -5, 5),
    "acosh": ("acosh(x)", "", 1, 30),
    "atanh": ("atanh(x)", "", -1, 1),
    "atan2": ("atan2(x, y)", "", -5, 5),
    "x^y": ("x**y", "", 0.1, 10),
    "hypot": ("hypot(x, y)", "sqrt(x*x+y*y)", -5, 5),
    "cbrt": ("cbrt(x)", "x**(1/3)", 0.1, 100),
    "log2": ("log2(x)", "1.4426950408889634*log(x)", 0.01, 100),
    "log10": ("log10(x)", "0.4342944819032518*log(x)", 0.01, 100),
    "x^2+sin y": ("x**2+sin(y)", "", -3, 3),
    "sincos_pair": ("sincos_pair(x)", "sin(x)+cos(x)", -10, 10),
}


class Inputs(dict[str, Any]):
    """Columns x and y, and outputs, in the layout of either library."""

    def __init__(self, low: float, high: float) -> None:
        rng = np.random.default_rng(0)
        super().__init__({n: rng.uniform(low, high, (2, n)) for n in (SHORT, LONG)})
        self.out = {n: np.empty((1, n)) for n in (SHORT, LONG)}


def ours(formula: str, data: Inputs, accuracy: str) -> tuple[Run, Any]:
    """Return a run of this project's code, and its kernel."""
    from alkahest.extend import CompileOptions
    from alkahest_llvm.backend import LLVMBackend

    tape = _tape(formula)
    kernel = LLVMBackend().compile(tape, CompileOptions(accuracy=accuracy))
    columns = {n: [(data[n][k].ctypes.data, 8) for k in range(len(tape.inputs))] for n in data}
    out = {n: [(data.out[n].ctypes.data, 8)] for n in data}
    return lambda n: kernel.call_columns(n, columns[n], out[n]), kernel


def _tape(formula: str) -> Any:
    """Return the tape of a formula; a name that is no function of ours is a kernel, its results added up."""
    import alkahest as ak
    from alkahest.expr.tape import linearize
    from alkahest.extend import Instr, Tape
    from alkahest_llvm.emitting import lowering

    names = re.findall(r"[a-z]\w+(?=\()", formula)
    if len(names) == 1 and not hasattr(ak, names[0]):
        lowering.INTERNAL[names[0]] = lambda b, *xs: reduce(operator.add, b.kernels(names[0], *xs))
        arity = formula.count(",") + 1
        return Tape(("x", "y")[:arity], (), (Instr(names[0], tuple(range(arity))),), (arity,))
    pool = ak.ExprPool()
    variables = [pool.symbol(v) for v in ("x", "y") if re.search(rf"\b{v}\b", formula)]
    environment = {n: getattr(ak, n) for n in names} | {v.name: v for v in variables}
    return linearize([eval(formula, environment)], variables)  # noqa: S307


def heyoka(formula: str, data: Inputs) -> Run:
    """Return a run of heyoka's compiled function."""
    import heyoka as hy

    hy.set_nthreads(1)
    functions = {n: getattr(hy, n) for n in re.findall(r"[a-z]\w+(?=\()", formula)}
    both = hy.make_vars("x", "y")
    k = 2 if re.search(r"\by\b", formula) else 1
    x, y = both
    compiled = hy.cfunc([eval(formula, functions, {"x": x, "y": y})], vars=both[:k])  # noqa: S307
    columns = {n: np.ascontiguousarray(data[n][:k]) for n in data}

    def run(n: int) -> None:
        compiled(columns[n], outputs=data.out[n])

    return run


def slopes(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Return each run's nanoseconds per number, best of interleaved rounds."""
    best = {(name, n): math.inf for name in runs for n in (SHORT, LONG)}
    for run in runs.values():
        run(LONG)
    for _ in range(rounds):
        for name, n in best:
            run = runs[name]
            for _ in range(3):
                start = time.perf_counter_ns()
                run(n)
                best[name, n] = min(best[name, n], time.perf_counter_ns() - start)
    return {name: (best[name, LONG] - best[name, SHORT]) / (LONG - SHORT) for name in runs}


def instructions(assembly: str) -> dict[str, int]:
    """Return how often each vector instruction stands on the usual path of the loop: from its label to its end."""
    lines = [line.strip() for line in assembly.split("alkahest_eval_bulk:")[1].splitlines()]
    jumps = [(k, m[1]) for k, line in enumerate(lines) if (m := re.match(r"j\w+\s+(\S+)", line))]
    at = {line.rstrip(":"): k for k, line in enumerate(lines) if line.endswith(":")}
    first, last = next((at[label], k) for k, label in jumps if at.get(label, k) < k)
    counts: dict[str, int] = {}
    for line in lines[first:last]:
        if line.startswith("v") and not line.startswith(("vmov", "vbroadcast")):
            opcode = line.split()[0]
            counts[opcode] = counts.get(opcode, 0) + 1
    return counts


def floor(kernel: Any, lanes: int) -> str:
    """Return how many vector instructions a loop has, moves aside, and what as many multiply-adds would take."""
    counts = instructions(kernel.artifacts["asm"])
    slow = {name: c for name, c in counts.items() if name.startswith(("vdiv", "vsqrt"))}
    total = sum(counts.values())
    ns = total * multiply_add_ns(lanes // 2) / lanes
    return f"{total} instructions for {lanes} numbers ({ns:5.3f} ns as multiply-adds), of these {slow or 'none slow'}"


@cache
def multiply_add_ns(lanes: int) -> float:
    """Return the time of one fused multiply-add of a register of doubles, of many that do not wait for each other."""
    from alkahest_llvm.loading import engine

    vector, chains, rounds = f"<{lanes} x double>", 12, 100_000
    fma = f"@llvm.fma.v{lanes}f64"
    lines = [f"declare {vector} {fma}({vector}, {vector}, {vector})", "define void @chains(ptr %p) {", "entry:"]
    lines += [f"  %c = load {vector}, ptr %p, align 8", "  br label %loop", "loop:"]
    lines += ["  %i = phi i64 [0, %entry], [%next, %loop]"]
    lines += [f"  %a{k} = phi {vector} [%c, %entry], [%b{k}, %loop]" for k in range(chains)]
    lines += [f"  %b{k} = call {vector} {fma}({vector} %a{k}, {vector} %c, {vector} %c)" for k in range(chains)]
    lines += ["  %next = add i64 %i, 1", f"  %more = icmp ult i64 %next, {rounds}"]
    lines += ["  br i1 %more, label %loop, label %done", "done:"]
    lines += [f"  store volatile {vector} %b{k}, ptr %p, align 8" for k in range(chains)]
    code = engine.load("\n".join([*lines, "  ret void", "}"]), ["chains"], {}, level=2)
    run, best = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code["chains"]), math.inf
    for _ in range(20):
        numbers = np.full(lanes, 0.5)
        start = time.perf_counter_ns()
        run(numbers.ctypes.data)
        best = min(best, time.perf_counter_ns() - start)
    return best / (rounds * chains)


def compile_times(kernel: Any) -> str:
    """Return the milliseconds of processor time of code generation at levels 1 and 2."""
    from alkahest_llvm.loading import engine

    cells: list[str] = []
    for level in (1, 2):
        best = math.inf
        for _ in range(5):
            start = time.thread_time()
            engine.compile_object(kernel.artifacts["llvm-ir"], level)
            best = min(best, time.thread_time() - start)
        cells.append(f"{1e3 * best:.2f}")
    return "/".join(cells) + " ms of code generation"


def choose_target(cpu: str) -> None:
    """Let code be made for another processor, which must be less able than this one."""
    from alkahest_llvm import targets

    if cpu:
        targets.instead = targets.Target("host", cpu=cpu, lanes=8)


def main() -> None:
    """Print the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--cpu", default="", help="another processor by LLVM's name, such as haswell")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--accuracy", default="1ulp")
    parser.add_argument("--floor", action="store_true", help="count instructions too")
    parser.add_argument("--alone", action="store_true", help="without heyoka")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    choose_target(options.cpu)
    from alkahest_llvm.targets import host_target
    from alkahest_llvm.vecmath.fast import FAST_KERNELS

    for name, fast in FAST_KERNELS.items():
        formula, theirs, low, high = CASES[name]
        CASES[fast] = (f"{fast}(x)", theirs or formula, low, high)
    ratios: list[float] = []
    for name in [n for n in options.only.split(",") if n] or CASES:
        formula, theirs, low, high = CASES[name]
        data = Inputs(low, high)
        run, kernel = ours(formula, data, options.accuracy)
        runs = {"ours": run}
        if not options.alone:
            runs["heyoka"] = heyoka(theirs or formula, data)
        ns = slopes(runs, options.rounds)
        text = f"{name:12s} {ns['ours']:6.3f} ns"
        if "heyoka" in ns:
            ratios.append(ns["heyoka"] / ns["ours"])
            text += f"   heyoka {ns['heyoka']:6.3f} ns   heyoka/ours {ratios[-1]:5.2f}"
        if options.floor:
            text += f"   {floor(kernel, host_target().lanes)}, {compile_times(kernel)}"
        print(text, flush=True)
    if ratios:
        print(f"geometric mean of heyoka/ours: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    main()
