"""Programs over text, side by side with `autoform` where it is installed: overheads, batches, waiting calls.

Both do the same work in one process; rounds are interleaved, the least of each is taken, the garbage collector is off
while a round is timed (as in `timeit`). Results that both must agree on are compared.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from program_cases import CASES, LOOP, Case, Sizes

SCALE = {"us": 1e6, "us/eqn": 1e6, "ms": 1e3}


def ours() -> Any:
    """Return this project."""
    version("alkahest-core")  # not another distribution of the same import name
    import alkahest

    return alkahest


def theirs() -> Any:
    """Return the peer; `ImportError` where there is none."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # what it imports must not wait for a network
    import autoform

    return autoform


@dataclass
class Side:
    """One library in one case: its best figure, or why there is none."""

    name: str
    lib: Any
    fresh: Any = None
    run: Any = None
    result: Any = None
    best: float = math.inf
    spent: float = 0.0
    fails: str = ""

    def prepare(self, case: Case, sizes: Sizes) -> None:
        """Make what is timed."""
        try:
            self.fresh, self.run = case.make(self.lib, sizes)
        except Exception as error:
            self.fails = _reason(error)

    def round(self) -> None:
        """Time one round."""
        started = time.perf_counter()
        try:
            given = self.fresh()
            gc.collect()
            gc.disable()
            start = time.perf_counter()
            self.result = self.run(given)
            self.best = min(self.best, time.perf_counter() - start)
        except Exception as error:
            self.fails = _reason(error)
        finally:
            gc.enable()
        self.spent += time.perf_counter() - started


def _reason(error: Exception) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"


def measure(case: Case, libs: dict[str, Any], sizes: Sizes, rounds: int, seconds: float) -> dict[str, Side]:
    """Return each library's figures: so many interleaved rounds, fewer where one has taken its seconds."""
    sides = {name: Side(name, lib) for name, lib in libs.items()}
    for side in sides.values():
        side.prepare(case, sizes)
    for _ in range(rounds):
        for side in sides.values():
            if not side.fails and side.spent < seconds:
                side.round()
    return sides


def figure(case: Case, side: Side, sizes: Sizes) -> float | None:
    """Return a side's figure in the unit of the case."""
    if side.fails or side.run is None:
        return None
    return float(side.result) if case.unit == "bytes" else SCALE[case.unit] * side.best / case.per(sizes)


def row(case: Case, sides: dict[str, Side], sizes: Sizes) -> dict[str, Any]:
    """Return what is known of a case."""
    out: dict[str, Any] = {"unit": case.unit, "wanted": case.wanted}
    for name, side in sides.items():
        out[name] = figure(case, side, sizes)
        if side.fails:
            out[f"{name}_fails"] = side.fails
    if out.get("ours") and out.get("theirs"):
        out["ratio"] = out["theirs"] / out["ours"]
        out["differ"] = case.unit != "bytes" and sides["ours"].result != sides["theirs"].result
    return out


def line(name: str, found: dict[str, Any]) -> str:
    """Return a row of the table as text."""
    wanted = "" if found["wanted"] is None else f"{found['wanted']:g}"
    ratio = f"{found['ratio']:8.1f}" if "ratio" in found else " " * 8
    notes = [f"{side}: fails: {found[f'{side}_fails']}" for side in ("ours", "theirs") if f"{side}_fails" in found]
    notes += ["the results differ"] if found.get("differ") else []
    cells = [_cell(found.get(side)) for side in ("ours", "theirs")]
    text = f"{name:56s}{found['unit']:>8s}{wanted:>8s}{cells[0]:>11s}{cells[1]:>11s}{ratio}"
    return f"{text}  {'; '.join(notes)}".rstrip()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each side may take in a case")
    parser.add_argument("--only", default="", help="cases whose names hold this text")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--shrink", type=int, default=1, help="divide all sizes by this, to see that it runs")
    options = parser.parse_args()
    libs = {"ours": ours()}
    if not options.alone:
        try:
            libs["theirs"] = theirs()
            print(f"theirs is autoform {version('autoform')}")
        except ImportError as error:
            print(f"autoform is left out: {error}")
    sizes = Sizes() if options.shrink == 1 else Sizes().shrunk(options.shrink)
    print(f"{'':56s}{'unit':>8s}{'wanted':>8s}{'ours':>11s}{'theirs':>11s}{'ratio':>8s}")
    table: dict[str, dict[str, Any]] = {}
    with LOOP:
        for case in CASES:
            if options.only in case.name:
                sides = measure(case, libs, sizes, options.rounds, options.seconds)
                table[case.name] = row(case, sides, sizes)
                print(line(case.name, table[case.name]), flush=True)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(json.dumps({"load": load, "rounds": options.rounds, "shrink": options.shrink, "cases": table}))


if __name__ == "__main__":
    main()
