"""One chunk of one row: draw points, evaluate, screen, and ask MPFR wherever the largest error may be.

Why screening loses nothing. Every point is compared with the C library's 80-bit function, whose own error is known: its
manual gives a few of its ulps, each 2^-11 of a double's; ten are assumed. A point whose error against it is less, by
that margin, than the largest error which MPFR has found cannot be worse. All others are measured by MPFR, worst first.
The assumption is itself checked at random points of every chunk, where MPFR measures as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

import accuracy_reference as reference
import gmpy2
import numpy as np
from accuracy_cases import Case, cases
from accuracy_points import nearby
from accuracy_reference import FORMATS, Screened

from alkahest import CompiledFn, ExprPool, compile_expr, numpy_eval
from alkahest_llvm.vecmath.bounds import BOUNDS

Array = Any
FLOOR = 0.5  # correct rounding may err as much: which of these errors is the largest is of no interest
CHECKED = 100  # points of a chunk at which the 80-bit function itself is measured
FIRST = 1024
FOLLOWED = 8  # worst points of a chunk around which more are drawn


@dataclass(frozen=True)
class Row:
    """What one row of the report measures."""

    name: str
    dtype: str = "f64"
    accuracy: str = "1ulp"

    @property
    def label(self) -> str:
        """Return the row's name with what is not the default."""
        extra = [part for part, usual in ((self.dtype, "f64"), (self.accuracy, "1ulp")) if part != usual]
        return " ".join([self.name, *extra])


@dataclass
class Worst:
    """The largest error found and the point where it is."""

    ulps: float = 0.0
    at: tuple[float, ...] = ()

    def include(self, ulps: float, at: tuple[float, ...]) -> None:
        """Take a point into account."""
        if ulps > self.ulps or not self.at:
            self.ulps, self.at = ulps, at


@dataclass
class Outcome:
    """What was found: errors of normal and of subnormal results, and how much of the work MPFR did."""

    points: int = 0
    normal: Worst = field(default_factory=Worst)
    subnormal: Worst = field(default_factory=Worst)
    by_mpfr: int = 0
    margin_used: float = 0.0
    seconds: float = 0.0

    def include_check(self, ulps: float, screened: float, upper: float) -> None:
        """Take into account what MPFR says of a random point, and stop where screening was wrong by too much."""
        if ulps > upper * (1 + 1e-9) + 1e-9:  # both are rounded themselves
            raise ArithmeticError(f"MPFR finds {ulps} ulp, the 80-bit function {screened} and {upper} at most")
        if upper > screened:
            self.margin_used = max(self.margin_used, (ulps - screened) / (upper - screened))

    def merge(self, other: Outcome) -> None:
        """Include the outcome of another chunk."""
        self.points += other.points
        self.by_mpfr += other.by_mpfr
        self.seconds += other.seconds
        self.margin_used = max(self.margin_used, other.margin_used)
        for mine, theirs in ((self.normal, other.normal), (self.subnormal, other.subnormal)):
            if theirs.at:
                mine.include(theirs.ulps, theirs.at)


@cache
def all_cases() -> dict[str, Case]:
    """Return the cases, built once per process."""
    return cases()


@cache
def compiled(row: Row) -> CompiledFn:
    """Return the row's function, compiled by the tier `llvm`."""
    case = all_cases()[row.name]
    pool = ExprPool()
    symbols = [pool.symbol(name) for name in "xy"[: case.arity]]
    settings = {"backend": "llvm", "dtype": row.dtype, "accuracy": row.accuracy, "fallback": False}
    return compile_expr(case.build(*symbols), symbols, **settings)


def same_code(name: str, accuracy: str) -> bool:
    """Return whether a mode of accuracy generates the code of the default."""
    one, other = (compiled(Row(name, accuracy=mode)).artifacts["llvm-ir"] for mode in ("1ulp", accuracy))
    return one == other


def single_points(case: Case, chunk: int, chunks: int, n: int, rng: np.random.Generator) -> tuple[Array, ...]:
    """Return float32 arguments: of one argument bit patterns at even distances, up to four times as many as `n`.

    With 2^30 points or more these are all there are.
    """
    if case.arity > 1:
        with np.errstate(over="ignore"):
            columns = tuple(c.astype(np.float32) for c in case.draw(rng, 2 * n))
    else:
        step = max(1, 2**30 // (n * chunks)) | 1
        patterns = np.arange(4 * chunk * n, 4 * (chunk + 1) * n, dtype=np.uint64) * np.uint64(step)
        columns = (patterns[patterns < 2**32].astype(np.uint32).view(np.float32),)
    finite = np.logical_and.reduce([np.isfinite(c) for c in columns])
    with np.errstate(all="ignore"):
        finite &= case.keep(*[c.astype(np.float64) for c in columns])
    return tuple(c[finite] for c in columns)


def measure_chunk(row: Row, seed: Sequence[int], chunk: int, chunks: int, n: int) -> Outcome:
    """Return what `n` points or more of a row show."""
    case = all_cases()[row.name]
    rng = np.random.default_rng([*seed, chunk])
    outcome = Outcome()
    with gmpy2.context(precision=reference.WORKING_BITS):
        if row.dtype == "f32":
            measure(row, case, single_points(case, chunk, chunks, n, rng), rng, outcome)
            return outcome
        while outcome.points < n:
            worst = measure(row, case, case.points(rng, n), rng, outcome)
            for _ in range(2):
                if worst:
                    worst = measure(row, case, case.inside(nearby(rng, worst, n // 8)), rng, outcome)
    return outcome


def measure(
    row: Row, case: Case, columns: tuple[Array, ...], rng: np.random.Generator, outcome: Outcome
) -> list[tuple[float, ...]]:
    """Measure one batch of points into `outcome` and return its worst ones."""
    if not len(columns[0]):
        return []
    form, unit = FORMATS[row.dtype], BOUNDS[row.name].unit
    smallest = 2.0 ** (form.least + form.digits - 1)
    got = np.atleast_2d(numpy_eval(compiled(row), *columns))[case.output]
    outcome.points += len(got)

    def at(k: int) -> tuple[float, ...]:
        return tuple(float(c[k]) for c in columns)

    def by_mpfr(k: int) -> float:
        outcome.by_mpfr += 1
        return reference.error(float(got[k]), case.exact(*map(gmpy2.mpfr, at(k))), form, unit)

    screened = screen(case, columns)
    if screened is None:
        upper = np.array([by_mpfr(k) for k in range(len(got))])
        small = np.abs(got) < smallest
    else:
        off, margin = reference.errors(got, screened, form, unit)
        upper = off + margin
        if screened.rounded is not None:
            upper = np.where(got == screened.rounded.astype(got.dtype), np.minimum(upper, 0.5), upper)
        small = np.abs(screened.values) < smallest
        for k in rng.integers(0, len(got), CHECKED).tolist():
            outcome.include_check(by_mpfr(k), off[k], upper[k])
    for group, worst in ((~small, outcome.normal), (small, outcome.subnormal)):
        for k in descending(upper, np.flatnonzero(group)):
            if worst.at and upper[k] <= max(worst.ulps, FLOOR):
                break
            worst.include(by_mpfr(k), at(k))
    return [at(k) for k in islice(descending(upper, np.arange(len(got))), FOLLOWED)]


def screen(case: Case, columns: tuple[Array, ...]) -> Screened | None:
    """Return the 80-bit values, or None where there are none to be had."""
    if case.screen is None or not reference.long_double_is_wide():
        return None
    with np.errstate(all="ignore"):
        return case.screen(*[c.astype(np.longdouble) for c in columns])


def descending(upper: Array, chosen: Array) -> Iterator[int]:
    """Yield the places `chosen` by falling `upper`; few are asked for as a rule, so these are sorted first."""
    parts = [chosen]
    if len(chosen) > FIRST:
        split = np.argpartition(-upper[chosen], FIRST)
        parts = [chosen[split[:FIRST]], chosen[split[FIRST:]]]
    for part in parts:
        yield from part[np.argsort(-upper[part])].tolist()
