"""What this machine cannot exceed: the bandwidth of a copy, and multiply-adds, divisions and roots a second."""

from __future__ import annotations

import ctypes
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alkahest.extend import CompileOptions, Tape

_CHAINS = 12  # independent operations in flight, more than any processor's latency asks for
_SUMS = re.compile(r"= (?:fadd|fsub|fmul) |@llvm\.fma\.")


@dataclass(frozen=True)
class Limits:
    """Bytes a second that a copy moves (read and written), and operations a second on single numbers."""

    bytes_copied: float
    sums: float
    divisions: float
    roots: float

    def seconds(self, bytes_moved: float, work: dict[str, int], points: int) -> float:
        """Return the least seconds for `points` evaluations: memory, arithmetic and the divider run side by side."""
        divider = work["divisions"] / self.divisions + work["roots"] / self.roots
        return max(bytes_moved / self.bytes_copied, points * work["sums"] / self.sums, points * divider)


def operations(tape: Tape) -> dict[str, int]:
    """Return how many floating-point operations one evaluation takes, counted in the code with all kernels inlined."""
    from alkahest_llvm.emitting.codegen import bulk_module
    from alkahest_llvm.optimising.optimiser import optimise
    from alkahest_llvm.targets import host_target

    options = CompileOptions()
    text = str(bulk_module(optimise(tape, options), options, width=host_target().lanes, style="inline").module)
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    return {
        "sums": sum(bool(_SUMS.search(line)) for line in lines),
        "divisions": sum("= fdiv" in line for line in lines),
        "roots": sum("@llvm.sqrt" in line for line in lines),
    }


def measure(points: int) -> Limits:
    """Return the limits; bandwidth is that of copying arrays of `points` doubles."""
    source, target = np.random.default_rng(0).uniform(1, 2, (2, points))
    copied = 2 * source.nbytes / _best(lambda: np.copyto(target, source))
    return Limits(copied, *[_rate(operation) for operation in ("fma", "fdiv", "sqrt")])


def _best(run: Callable[[], Any], rounds: int = 15) -> float:
    best = math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def _rate(operation: str) -> float:
    """Return how many of an operation on single numbers run a second, in registers."""
    from alkahest_llvm.loading import engine
    from alkahest_llvm.targets import host_target

    lanes = max(host_target().lanes // 2, 1)
    code = engine.load(_loop(operation, f"<{lanes} x double>", lanes), ["alkahest_limit"], {}, level=2)
    run = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(code["alkahest_limit"])
    rounds = 20_000
    return rounds * _CHAINS * lanes / _best(lambda: run(rounds))


def _loop(operation: str, vector: str, lanes: int) -> str:
    written = {
        "fma": f"call {vector} @llvm.fma.v{lanes}f64({vector} %x, {vector} %k, {vector} %k)",
        "fdiv": f"fdiv {vector} %x, %k",
        "sqrt": f"call {vector} @llvm.sqrt.v{lanes}f64({vector} %x)",
    }[operation]
    chains = range(_CHAINS)
    start = "splat (double 0x3FF8000000000000)"
    lines = [
        f"declare {vector} @llvm.fma.v{lanes}f64({vector}, {vector}, {vector})",
        f"declare {vector} @llvm.sqrt.v{lanes}f64({vector})",
        "define double @alkahest_limit(i64 %rounds) {",
        "entry:",
        # Not known to be constant: nothing is computed ahead.
        "  %n = sitofp i64 %rounds to double",
        "  %q = fdiv double %n, 20001.0",
        f"  %k0 = insertelement {vector} {start}, double %q, i64 0",
        f"  %k = shufflevector {vector} %k0, {vector} %k0, <{lanes} x i32> zeroinitializer",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [%rounds, %entry], [%less, %loop]",
        *[f"  %a{c} = phi {vector} [{start}, %entry], [%b{c}, %loop]" for c in chains],
        *[f"  %b{c} = {written.replace('%x', f'%a{c}')}" for c in chains],
        "  %less = sub i64 %i, 1",
        "  %more = icmp ne i64 %less, 0",
        "  br i1 %more, label %loop, label %done",
        "done:",
        "  %s0 = fadd double 0.0, 0.0",
    ]
    for c in chains:
        lines += [f"  %e{c} = extractelement {vector} %b{c}, i64 0", f"  %s{c + 1} = fadd double %s{c}, %e{c}"]
    return "\n".join([*lines, f"  ret double %s{_CHAINS}", "}"])


def bytes_of(arrays: Sequence[Any], outputs: int) -> int:
    """Return the bytes that one evaluation over `arrays` must read and write."""
    return sum(a.nbytes for a in arrays) + outputs * arrays[0].nbytes
