"""What code is made for: the machine at hand and how many lanes suit it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Target:
    """A machine to make code for.

    `cpu` and `features` are LLVM's names; `lanes` is the width of the vectors written for doubles, two registers wide
    where that was faster, because two independent chains hide latency. `host` tells whether the code runs in this
    process, and may therefore call its C library.
    """

    name: str
    cpu: str = ""
    features: str = ""
    lanes: int = 1
    host: bool = True


# Lanes by instruction set, most capable first: twice what one register holds.
_LANES = (
    ("x86", "avx512f", 16),
    ("x86", "avx", 8),
    ("x86", "sse2", 4),
    ("aarch64", "neon", 4),
    ("arm64", "neon", 4),
)

NVPTX = Target("nvptx", host=False)


def named_target(name: str) -> Target:
    """Return the target called `name`: "host", or "nvptx" for scalar code that a GPU kernel will inline."""
    return NVPTX if name == "nvptx" else host_target()


@cache
def host_target() -> Target:
    """Return this machine, as LLVM sees it.

    Where LLVM cannot tell the features of the processor, code is made for the baseline of its architecture.
    """
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


def lanes_for(triple: str, features: dict[str, bool]) -> int:
    """Return how many lanes vectors get on a machine with these features; 1 where nothing is known of it.

    >>> lanes_for("x86_64-unknown-linux-gnu", {"sse2": True, "avx": True, "avx512f": False})
    8
    """
    for architecture, feature, lanes in _LANES:
        if triple.startswith(architecture) and features.get(feature):
            return lanes
    return 1
