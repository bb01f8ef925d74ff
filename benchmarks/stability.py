"""Bits of error before and after `stabilize`: `python benchmarks/stability.py [FPCore files] [--write page]`.

Without files: formulas that lose digits, and all of FPBench's that are in examples/fpcore. The page gets the table
between the comments of the section `stability`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import machine, markdown, replace_section

from alkahest import ExprPool, from_fpcore
from alkahest.symbolic.stability.stabilize import Stabilized, stabilize

EXAMPLES = Path(__file__).parent.parent / "examples" / "fpcore"
_FILES = ("cancellation", "rosa", "daisy", "fptaylor-tests", "salsa", "precimonious", "gyroid-sphere")
DEFAULT = [EXAMPLES / f"{name}.fpcore" for name in _FILES]
LOSSY_BITS = 10.0


@dataclass(frozen=True)
class Row:
    """One problem: its result, and the seconds it took."""

    name: str
    result: Stabilized
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        r = self.result
        return (self.name, f"{r.bits_before:.2f}", f"{r.bits_after:.2f}", f"{self.seconds:.1f}")


def rows(paths: Iterable[Path], budget_s: float, seed: int) -> Iterable[Row]:
    """Yield a row for each formula of some files that can be read."""
    for path in paths:
        for core in from_fpcore(path.read_text(), ExprPool()):
            start = time.perf_counter()
            result = stabilize(core, budget_s=budget_s, seed=seed)
            yield Row(core.name or f"{path.stem}:{core.line}", result, time.perf_counter() - start)


def summary(found: Sequence[Row]) -> str:
    """Return the means in words."""
    lossy = [r for r in found if r.result.bits_before > LOSSY_BITS]
    worst = max((r.result.bits_after - r.result.bits_before for r in found), default=0.0)
    lines = [f"All {len(found)} formulas: at most {max((r.seconds for r in found), default=0.0):.1f} s each."]
    if lossy:
        before = sum(r.result.bits_before for r in lossy) / len(lossy)
        after = sum(r.result.bits_after for r in lossy) / len(lossy)
        lines.append(
            f"{len(lossy)} of them lose more than {LOSSY_BITS:.0f} bits: on the mean {before:.1f} bits before, "
            f"{after:.2f} after."
        )
    lines.append(f"The largest change for the worse: {max(worst, 0.0):.2f} bits.")
    return " ".join(lines)


def main() -> None:
    """Measure, print, and write the table where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=DEFAULT, help="FPCore files")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds a problem")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="the page whose section `stability` is replaced")
    options = parser.parse_args()
    found: list[Row] = []
    for row in rows(options.files, options.budget, options.seed):
        found.append(row)
        print("{:<36} {:>6} -> {:>6}  {:>5} s".format(*row.cells), flush=True)
    print(summary(found))
    if options.write:
        table = markdown(("formula", "bits before", "bits after", "seconds"), [r.cells for r in found])
        replace_section(options.write, "stability", f"{summary(found)}\n\n{table}\n\n{machine()}.")


if __name__ == "__main__":
    main()
