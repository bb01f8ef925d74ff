"""What code is made for: the machine at hand and what suits its instruction set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Tuning:
    """What suits an instruction set of an architecture.

    A register holds `register_lanes` doubles. Vectors are written `lanes` wide: two registers, since two independent
    chains hide latency; four run out of registers. How polynomials are nested does not depend on the machine, because
    the bits do: see `alkahest_llvm.optimising.nesting`.
    """

    architecture: str
    feature: str
    register_lanes: int
    lanes: int


# Most capable first. Measured for x86 by `benchmarks/tuning.py`, whose command prints the table.
TUNINGS = (
    Tuning("x86", "avx512f", register_lanes=8, lanes=16),
    Tuning("x86", "avx", register_lanes=4, lanes=8),
    Tuning("x86", "sse2", register_lanes=2, lanes=4),
    Tuning("aarch64", "neon", register_lanes=2, lanes=4),
    Tuning("arm64", "neon", register_lanes=2, lanes=4),
)
# Bytes by which code asks for memory before it comes there: from 1024 to 4096 made little difference.
PREFETCH_DISTANCE = 2048
UNKNOWN = Tuning("", "", register_lanes=1, lanes=1)


@dataclass(frozen=True)
class Target:
    """A machine to make code for.

    `cpu` and `features` are LLVM's names; `lanes` is the width of the vectors written for doubles.
    """

    name: str
    cpu: str = ""
    features: str = ""
    lanes: int = 1


# What code is made for in place of this machine, which must be able to run it: for looks at lesser processors.
instead: Target | None = None


def host_target() -> Target:
    """Return the machine that code is made for: this one, as LLVM sees it.

    Where LLVM cannot tell the features of the processor, code is made for the baseline of its architecture.
    """
    return instead or this_machine()


@cache
def this_machine() -> Target:
    """Return what `host_target` does, whatever stands in its place."""
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    cpu = llvm.get_host_cpu_name()
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:
        return Target("host", lanes=4 if triple.startswith(("x86_64", "aarch64", "arm64")) else 1)
    # Some processors are described as preferring half-wide vectors, for the sake of neighbours on the same chip.
    text = features.flatten() + (",-prefer-256-bit" if features.get("avx512f") else "")
    return Target("host", cpu, text, lanes_for(triple, features))


def tuning_for(triple: str, features: Mapping[str, bool]) -> Tuning:
    """Return what suits a machine with these features, `UNKNOWN` where nothing is known of it."""
    for tuning in TUNINGS:
        if triple.startswith(tuning.architecture) and features.get(tuning.feature):
            return tuning
    return UNKNOWN


def lanes_for(triple: str, features: Mapping[str, bool]) -> int:
    """Return how many lanes vectors get on a machine with these features; 1 where nothing is known of it.

    >>> lanes_for("x86_64-unknown-linux-gnu", {"sse2": True, "avx": True, "avx512f": False})
    8
    """
    return tuning_for(triple, features).lanes


def writes_past_caches() -> bool:
    """Return whether stores that leave the caches alone are used on this machine: where they were measured to pay."""
    import llvmlite.binding as llvm

    return llvm.get_process_triple().startswith("x86")


def reads_cycles() -> bool:
    """Return whether any program may read this machine's counter of cycles."""
    import llvmlite.binding as llvm

    return llvm.get_process_triple().startswith("x86")
