"""Throughput over large arrays, side by side: milliseconds, errors, ratios of peers to this project, and limits.

Every peer evaluates the same function over the same arrays in one process; rounds are interleaved, the minimum of
each is taken. Run it pinned to one core: `taskset -c 0 python benchmarks/throughput.py`; `--write docs/performance.md`
puts the table into the documentation.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import limits
import numpy as np
from cases import CASES, Case, case_of
from peers import PEERS, Function
from tables import machine, markdown, replace_section

COPY = "copy"  # of the first input, timed beside the functions


@dataclass(frozen=True)
class Row:
    """One case measured: seconds and largest relative errors by peer, and the least seconds the machine allows."""

    name: str
    case: Case
    seconds: dict[str, float]
    errors: dict[str, float]
    floor: float
    bandwidth: float  # bytes a second of a copy in the same rounds

    def ratio(self, peer: str) -> float:
        """Return the peer's time over ours."""
        return self.seconds[peer] / self.seconds["alkahest"]

    def ratios(self) -> dict[str, float]:
        """Return the ratios of all peers."""
        return {p: self.ratio(p) for p in self.seconds if p != "alkahest"}


def prepare(case: Case, arrays: Sequence[Any], names: list[str]) -> tuple[dict[str, Function], dict[str, str]]:
    """Return each peer's function, called once, and why the others have none."""
    ready: dict[str, Function] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            ready[name] = PEERS[name](case)
            ready[name](*arrays)
        except ImportError as error:
            absent[name] = f"not installed: {error}"
    return ready, absent


def measure(functions: dict[str, Function], arrays: Sequence[Any], rounds: int) -> dict[str, float]:
    """Return each function's best seconds over interleaved rounds; each round begins with another one."""
    best = dict.fromkeys(functions, math.inf)
    names = list(functions)
    for k in range(rounds):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            run = functions[name]
            start = time.perf_counter()
            run(*arrays)
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def errors(case: Case, functions: dict[str, Function], arrays: Sequence[Any]) -> dict[str, float]:
    """Return each largest relative error against long double (against 1e-3 where values are smaller)."""
    some = [a[:50_000] for a in arrays]
    truth = np.array(PEERS["numpy"](case)(*[a.astype(np.longdouble) for a in some]))
    scale = np.maximum(np.abs(truth), 1e-3)
    found = {n: np.array(f(*some)).reshape(truth.shape) for n, f in functions.items()}
    return {n: float(np.max(np.abs(v - truth) / scale)) for n, v in found.items()}


def measured(name: str, case: Case, options: argparse.Namespace, machine_limits: limits.Limits) -> Row:
    """Measure one case and print its row."""
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(case.low, case.high, options.points) for _ in case.variables]
    functions, absent = prepare(case, arrays, options.peers.split(","))
    for peer, why in absent.items():
        print(f"{peer} is left out: {why}")
    seconds = measure({**functions, COPY: lambda x, *_: x.copy()}, arrays, options.rounds)
    bandwidth = 2 * arrays[0].nbytes / seconds.pop(COPY)
    bytes_moved = limits.bytes_of(arrays, len(case.outputs))
    floor = replace(machine_limits, bytes_copied=bandwidth).seconds(
        bytes_moved, limits.operations(_tape(case)), options.points
    )
    row = Row(name, case, seconds, errors(case, functions, arrays), floor, bandwidth)
    cells = [f"{peer} {ratio:5.2f} ({row.errors[peer]:.0e})" for peer, ratio in row.ratios().items()]
    ours = row.seconds["alkahest"]
    print(
        f"{name:10s} {1e3 * ours:7.2f} ms ({row.errors['alkahest']:.0e}), {floor / ours:4.0%} of the limit   "
        f"peer/ours: {'  '.join(cells)}",
        flush=True,
    )
    return row


def _tape(case: Case) -> Any:
    import alkahest as ak

    pool = ak.ExprPool()
    symbols = [pool.symbol(v) for v in case.variables]
    outputs = case.function(ak)(*symbols)
    return ak.compile_expr(
        list(outputs) if isinstance(outputs, tuple) else outputs, symbols, backend="interpreter"
    ).tape


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean, nan of nothing."""
    return math.exp(float(np.mean([math.log(v) for v in values]))) if values else math.nan


def summary(rows: list[Row]) -> list[str]:
    """Return the lines that compare with what is wanted."""
    lines: list[str] = []
    curved = [r for r in rows if not r.case.polynomial]
    heyoka = {r.name: r.ratio("heyoka") for r in curved if "heyoka" in r.seconds}
    if heyoka:
        least = min(heyoka, key=lambda name: heyoka[name])
        lines.append(
            f"heyoka over ours, geometric mean without polynomials: {geometric_mean(list(heyoka.values())):.2f} "
            f"(wanted 1.8); least: {heyoka[least]:.2f}, {least} (wanted 1.5)"
        )
    for label, group, peers, wanted in (
        ("polynomials, best of numba and JAX", [r for r in rows if r.case.polynomial], ("numba", "jax"), 1.3),
        ("others, best of numba, numexpr and JAX", curved, ("numba", "numexpr", "jax"), 2.0),
    ):
        best = {r.name: min(r.ratio(p) for p in peers if p in r.seconds) for r in group if set(peers) & set(r.seconds)}
        if best:
            least = min(best, key=lambda name: best[name])
            lines.append(f"{label}, over ours: least {best[least]:.2f}, {least} (wanted {wanted})")
    return lines


def table(rows: list[Row], peers: list[str], machine_limits: limits.Limits) -> str:
    """Return the table for the documentation."""
    others = [p for p in peers if p != "alkahest"]
    head = ["function", "ours, ms", "of the limit", *[f"{p} / ours" for p in others], "largest relative error, ours"]
    body = [
        [
            f"`{r.name}`",
            f"{1e3 * r.seconds['alkahest']:.2f}",
            f"{r.floor / r.seconds['alkahest']:.0%}",
            *[f"{r.ratio(p):.2f}" if p in r.seconds else "" for p in others],
            f"{r.errors['alkahest']:.0e}",
        ]
        for r in rows
    ]
    means = [f"{geometric_mean([r.ratio(p) for r in rows if p in r.seconds]):.2f}" for p in others]
    slow, fast = [pick(r.bandwidth for r in rows) / 1e9 for pick in (min, max)]
    limit = (
        f"Limits measured in the same run: a copy, in each function's rounds, moves {slow:.0f} to {fast:.0f} GB/s; "
        f"{machine_limits.sums / 1e9:.0f} G multiply-adds, {machine_limits.divisions / 1e9:.1f} G divisions and "
        f"{machine_limits.roots / 1e9:.1f} G square roots a second on one core."
    )
    notes = "\n".join(f"- {line}" for line in summary(rows))
    return f"{markdown(head, [*body, ['geometric mean', '', '', *means, '']])}\n\n{limit}\n\n{notes}\n"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="names of cases, separated by commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="names of peers, separated by commas")
    parser.add_argument("--file", help='JSON of {"name": [formula over x and y, low, high]} instead of the cases')
    parser.add_argument("--write", type=Path, help="a Markdown file whose section `throughput` is replaced")
    options = parser.parse_args()
    if options.file:
        cases = {name: case_of(*found) for name, found in json.loads(Path(options.file).read_text()).items()}
    else:
        cases = CASES
    chosen = [n for n in options.only.split(",") if n] or list(cases)
    machine_limits = limits.measure(options.points)
    rows = [measured(name, cases[name], options, machine_limits) for name in chosen]
    for line in summary(rows):
        print(line)
    if options.write:
        text = table(rows, options.peers.split(","), machine_limits)
        replace_section(options.write, "throughput", f"{machine()}, {options.points:,} points, one thread.\n\n{text}")
    print(
        json.dumps(
            {
                "points": options.points,
                "ms": {r.name: {p: 1e3 * s for p, s in r.seconds.items()} for r in rows},
                "peer_over_ours": {r.name: r.ratios() for r in rows},
            }
        )
    )


if __name__ == "__main__":
    main()
