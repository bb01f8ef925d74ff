"""Throughput over large arrays, side by side: milliseconds, errors, and ratios of peers to this project.

Every peer evaluates the same expression over the same arrays in one process; rounds are interleaved, the
minimum of each is taken. Run it pinned to one core: `taskset -c 0 python benchmarks/throughput.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from expressions import EXPRESSIONS
from peers import PEERS, Binary


def prepare(formula: str, x: Any, y: Any, names: list[str]) -> tuple[dict[str, Binary], dict[str, str]]:
    """Return each peer's function, called once, and why the others have none."""
    ready: dict[str, Binary] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            ready[name] = PEERS[name](formula)
            ready[name](x, y)
        except ImportError as error:
            absent[name] = f"not installed: {error}"
    return ready, absent


def measure(functions: dict[str, Binary], x: Any, y: Any, rounds: int) -> dict[str, float]:
    """Return each function's best milliseconds over interleaved rounds."""
    best = dict.fromkeys(functions, math.inf)
    for _ in range(rounds):
        for name, run in functions.items():
            start = time.perf_counter()
            run(x, y)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: 1e3 * seconds for name, seconds in best.items()}


def errors(formula: str, functions: dict[str, Binary], x: Any, y: Any) -> dict[str, float]:
    """Return each largest relative error against long double (against 1e-3 where values are smaller)."""
    truth = PEERS["numpy"](formula)(x.astype(np.longdouble), y.astype(np.longdouble))
    scale = np.maximum(np.abs(truth), 1e-3)
    found = {n: np.asarray(f(x, y)).reshape(-1) for n, f in functions.items()}
    return {n: float(np.max(np.abs(v - truth) / scale)) for n, v in found.items()}


def report(name: str, ms: dict[str, float], wrong: dict[str, float]) -> dict[str, float]:
    """Print one expression's row and return the ratios of the peers to this project."""
    ratios = {peer: t / ms["alkahest"] for peer, t in ms.items() if peer != "alkahest"}
    cells = [f"{peer} {ratio:5.2f} ({wrong[peer]:.0e})" for peer, ratio in ratios.items()]
    ours = f"{ms['alkahest']:7.2f} ms ({wrong['alkahest']:.0e})"
    print(f"{name:9s} {ours}   peer/ours: {'  '.join(cells)}", flush=True)
    return ratios


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="names of expressions, separated by commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="names of peers, separated by commas")
    parser.add_argument("--file", help='JSON of {"name": [formula, low, high]} instead of the nine')
    options = parser.parse_args()
    cases = json.loads(Path(options.file).read_text()) if options.file else EXPRESSIONS
    chosen = [n for n in options.only.split(",") if n] or list(cases)
    rng = np.random.default_rng(0)
    table: dict[str, dict[str, float]] = {}
    for name in chosen:
        formula, low, high = cases[name]
        x, y = (rng.uniform(low, high, options.points) for _ in range(2))
        functions, absent = prepare(formula, x, y, options.peers.split(","))
        for peer, why in absent.items():
            print(f"{peer} is left out: {why}")
        table[name] = report(name, measure(functions, x, y, options.rounds), errors(formula, functions, x, y))
    peers = {p for row in table.values() for p in row}
    means = {p: math.exp(np.mean([math.log(r[p]) for r in table.values() if p in r])) for p in sorted(peers)}
    print("geometric mean of peer/ours:", "  ".join(f"{p} {m:.2f}" for p, m in means.items()))
    print(json.dumps({"points": options.points, "peer_over_ours": table, "geometric_mean": means}))


if __name__ == "__main__":
    main()
