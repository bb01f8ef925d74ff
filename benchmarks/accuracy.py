"""The accuracy report: the largest error of every function of the tier `llvm`, in ulps of the exact value.

    python benchmarks/accuracy.py                       # 10^7 points per function, two processes
    python benchmarks/accuracy.py --points 2e5 --only "sin;pow"
    python benchmarks/accuracy.py --write               # and put the tables into docs/accuracy.md

Needs gmpy2, mpmath and rich (`pip install gmpy2 mpmath rich`). Finished rows are kept in a file, so that an interrupted
run goes on where it stopped; they count as long as the code generator, the points and the seed are the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from accuracy_measure import Outcome, Row, Worst, all_cases, measure_chunk, same_code
from accuracy_report import failures, summary, write_tables
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import alkahest_llvm

CHUNK = 500_000
STATE = Path(tempfile.gettempdir()) / "alkahest-accuracy.json"
# Two-argument functions and those that matter most, in single precision.
SINGLE = (
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "pow", "x^3", "x^-2", "x^1.5", "sqrt", "cbrt", "hypot"),
    *("erf", "erfc", "gamma", "lgamma"),
)


def code_digest() -> str:
    """Return a digest of all that errors depend on: the code generator and this benchmark."""
    package = Path(alkahest_llvm.__file__).parent
    files = [f for part in ("vecmath", "emitting", "optimising") for f in sorted((package / part).rglob("*.py"))]
    files += sorted(Path(__file__).parent.glob("accuracy*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def timed_chunk(row: Row, seed: int, chunk: int, chunks: int, n: int) -> Outcome:
    """Return the outcome of one chunk with the seconds it took."""
    start = time.perf_counter()
    outcome = measure_chunk(row, (seed, zlib.crc32(row.label.encode())), chunk, chunks, n)
    outcome.seconds = time.perf_counter() - start
    return outcome


def fast_row(name: str) -> Row | None:
    """Return the row of the mode "4ulp", where that generates other code."""
    return None if same_code(name, "4ulp") else Row(name, accuracy="4ulp")


def rows(names: Sequence[str], dtypes: Sequence[str], pool: ProcessPoolExecutor) -> list[Row]:
    """Return the rows to measure."""
    found: list[Row] = []
    if "f64" in dtypes:
        found += [Row(name) for name in names]
        found += [row for row in pool.map(fast_row, names) if row is not None]
    if "f32" in dtypes:
        found += [Row(name, dtype="f32") for name in names if name in SINGLE]
    return found


class Finished:
    """Finished rows, kept in a file that counts for one state of the code, one number of points and one seed."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self.outcomes: dict[str, Outcome] = {}
        try:
            kept = json.loads(path.read_text())
        except (OSError, ValueError):
            return
        if kept.get("key") == key:
            self.outcomes = {label: read_outcome(fields) for label, fields in kept["rows"].items()}

    def add(self, row: Row, outcome: Outcome) -> None:
        """Keep a row."""
        self.outcomes[row.label] = outcome
        table = {label: dataclasses.asdict(one) for label, one in self.outcomes.items()}
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps({"key": self._key, "rows": table}, indent=1))
        scratch.replace(self._path)


def read_outcome(fields: dict[str, Any]) -> Outcome:
    """Return an outcome from what JSON holds of it."""
    worst = {part: Worst(fields[part]["ulps"], tuple(fields[part]["at"])) for part in ("normal", "subnormal")}
    return Outcome(**{**fields, **worst})


def run(todo: Sequence[Row], points: int, seed: int, pool: ProcessPoolExecutor, finished: Finished) -> None:
    """Measure rows chunk by chunk, print and keep each as it is finished."""
    n = min(points, CHUNK)
    chunks = -(-points // n)
    parts = {row: Outcome() for row in todo}
    left = dict.fromkeys(todo, chunks)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=chunks * len(todo))
        futures = {pool.submit(timed_chunk, row, seed, k, chunks, n): row for row in todo for k in range(chunks)}
        for future in as_completed(futures):
            row = futures.pop(future)
            parts[row].merge(future.result())
            left[row] -= 1
            bar.update(task, advance=1, description=f"{row.label:18}")
            if not left[row]:
                outcome = parts.pop(row)
                finished.add(row, outcome)
                print(summary(row, outcome), flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=float, default=1e7, help="points per function")
    parser.add_argument("--only", default="", help="names of functions, separated by semicolons")
    parser.add_argument("--dtype", default="f64,f32")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, default=STATE, help="where finished rows are kept")
    parser.add_argument("--fresh", action="store_true", help="forget the rows of earlier runs")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/accuracy.md")
    options = parser.parse_args()
    unknown = {name for name in options.only.split(";") if name} - set(all_cases())
    if unknown:
        parser.error(f"no function called {', '.join(sorted(unknown))}; there are {'; '.join(all_cases())}")
    if options.write and (options.only or set(options.dtype.split(",")) != {"f64", "f32"}):
        parser.error("--write needs all rows: leave out --only and --dtype")
    return options


def main() -> int:
    """Measure what the command line asks for; the exit status is 1 where a documented bound does not hold."""
    options = arguments()
    points = int(options.points)
    names = [name for name in options.only.split(";") if name] or list(all_cases())
    if options.fresh:
        options.state.unlink(missing_ok=True)
    finished = Finished(options.state, f"{code_digest()} {points} {options.seed}")
    pool = ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn"))
    try:
        wanted = rows(names, options.dtype.split(","), pool)
        run([row for row in wanted if row.label not in finished.outcomes], points, options.seed, pool, finished)
    finally:
        pool.shutdown(cancel_futures=True)
    done = {row: finished.outcomes[row.label] for row in wanted}
    wrong = failures(done)
    if options.write:
        write_tables(done, options.seed)
    print(f"{len(done)} rows, {sum(o.seconds for o in done.values()):.0f} s of computing")
    for line in wrong:
        print("beyond its bound:", line)
    figures = {row.label: [o.points, o.normal.ulps, o.subnormal.ulps] for row, o in done.items()}
    print(json.dumps({"points, ulps, ulps of subnormal results": figures, "beyond": wrong}))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
