"""From a formula to its first result, by tier and size: in a new process, with code on disk, and with kernels loaded.

Every figure is milliseconds of `compile_expr` and a first call on four points, without imports. Each process measures
formulas that it has not seen before; the least of several processes is printed. `--write docs/performance.md` puts
the table into the documentation.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tables import machine, markdown, replace_section

SIZES = (20, 100, 1_000, 7_800)
TIERS = ("llvm-fast", "llvm")
STATES = {
    "new": "first use on this machine: nothing on disk",
    "disk": "new process, this formula's code on disk",
    "next": "same process, another formula",
}


def formula(nodes: int, seed: int) -> tuple[Any, list[Any]]:
    """Return a random expression of about `nodes` operations, a tenth of them sin, cos, exp or log, and its symbols."""
    import alkahest as ak

    rng = random.Random(seed)
    symbols = ak.ExprPool().symbols("x y")
    values = list(symbols)
    for _ in range(nodes):
        a, b = (values[-1 - min(int(rng.expovariate(0.15)), len(values) - 1)] for _ in range(2))
        kind = rng.random()
        if kind < 0.1:
            values.append(rng.choice((ak.sin, ak.cos, lambda v: ak.exp(-v * v), lambda v: ak.log(1 + v * v)))(a))
        elif kind < 0.55:
            values.append(a + b * round(rng.uniform(-0.6, 0.6), 3))
        else:
            values.append(a * b * round(rng.uniform(-0.9, 0.9), 3) - a)
        if len(values) > 2 + 0.29 * nodes:
            break
    return sum(values[2:], values[0] * 0.5), symbols


def child(tier: str, nodes: int, seed: int) -> dict[str, float]:
    """Return milliseconds in this process: of the formula `seed`, then of another one."""
    import alkahest as ak

    _, symbols = formula(2, 0)
    ak.explain(symbols[0], symbols)  # asks every tier, which imports it
    x = np.linspace(0.2, 0.8, 4)
    found: dict[str, float] = {}
    for name, number in (("first", seed), ("next", seed + 1_000)):
        expr, symbols = formula(nodes, number)
        start = time.perf_counter()
        f = ak.compile_expr(expr, symbols, backend=tier, fallback=False)
        ak.numpy_eval(f, x, x)
        found[name] = 1e3 * (time.perf_counter() - start)
        found["nodes"] = len(f.tape.instrs)
    return found


def in_process(tier: str, nodes: int, seed: int, cache: str) -> dict[str, float]:
    """Run `child` in a process of its own, with a cache directory of its own."""
    environment = {**os.environ, "ALKAHEST_CACHE_DIR": cache}
    command = [sys.executable, __file__, "--child", tier, str(nodes), str(seed)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(tier: str, nodes: int, rounds: int) -> dict[str, float]:
    """Return the least milliseconds in each state, and how many nodes the formula has."""
    best: dict[str, float] = {}
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            runs = [in_process(tier, nodes, seed, cache) for _ in range(2)]
        found = {"new": runs[0]["first"], "disk": runs[1]["first"], "next": runs[0]["next"]}
        best = {k: min(v, best.get(k, v)) for k, v in found.items()} | {"nodes": runs[0]["nodes"]}
    return best


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--write", type=Path, help="a Markdown file whose section `compile-time` is replaced")
    parser.add_argument("--child", nargs=3, metavar=("TIER", "NODES", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        tier, nodes, seed = options.child
        print(json.dumps(child(tier, int(nodes), int(seed))))
        return
    rows: list[list[str]] = []
    found: dict[str, dict[str, float]] = {}
    for size in map(int, options.sizes.split(",")):
        for tier in TIERS:
            ms = found[f"{tier} {size}"] = measure(tier, size, options.rounds)
            rows.append([f"{int(ms['nodes']):,}", f"`{tier}`", *[f"{ms[s]:.1f}" for s in STATES]])
            print(*rows[-1], flush=True)
    text = markdown(["operations", "tier", *STATES.values()], rows)
    if options.write:
        replace_section(options.write, "compile-time", f"{machine()}, milliseconds.\n\n{text}\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
