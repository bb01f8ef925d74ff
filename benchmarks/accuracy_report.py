"""The report's text: one line per finished row, and the tables of docs/accuracy.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import gmpy2
import llvmlite.binding as llvm
from accuracy_measure import Outcome, Row, Worst, all_cases

from alkahest_llvm.vecmath.bounds import BOUNDS, Bound

PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"
BEGIN, END = "<!-- begin: written by benchmarks/accuracy.py --write -->", "<!-- end -->"


def failures(done: Mapping[Row, Outcome]) -> list[str]:
    """Return the rows whose bound does not hold."""
    found: list[str] = []
    for row, outcome in done.items():
        for worst, normal in ((outcome.normal, True), (outcome.subnormal, False)):
            allowed = BOUNDS[row.name].largest(normal=normal, accuracy=row.accuracy, dtype=row.dtype)
            if worst.ulps > allowed:
                found.append(f"{row.label}: {worst.ulps:.4f} ulp at {place(worst)}, documented {allowed:g}")
    return found


def place(worst: Worst) -> str:
    """Return a point in hexadecimal."""
    return ", ".join(short(x.hex()) for x in worst.at)


def short(text: str) -> str:
    """Return a hexadecimal number without trailing zeros.

    >>> short("0x1.8000000000000p+1"), short("0x1.0000000000000p+0")
    ('0x1.8p+1', '0x1p+0')
    """
    digits, mark, exponent = text.partition("p")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + mark + exponent


def summary(row: Row, outcome: Outcome) -> str:
    """Return one line about a row."""
    subnormal = f", subnormal results {outcome.subnormal.ulps:.4f} at {place(outcome.subnormal)}"
    return (
        f"{row.label:20} {outcome.normal.ulps:7.4f} ulp at {place(outcome.normal)}"
        f"{subnormal if outcome.subnormal.at else ''}   [{outcome.points:,} points, {outcome.by_mpfr:,} by MPFR, "
        f"{outcome.margin_used:.0%} of the margin used, {outcome.seconds:.0f} s]"
    )


def number(ulps: float, *, exact: bool = False) -> str:
    """Return an error rounded upwards to three digits, so that no figure flatters; below 0.5 nothing finer is known.

    >>> number(0.70001), number(0.2), number(0.0, exact=True)
    ('0.701', '0.5', '0')
    """
    if exact and ulps == 0:
        return "0"
    return f"{-int(-ulps * 1000 // 1) / 1000:.3f}" if ulps > 0.5 else "0.5"


def bound_text(bound: Bound, fast: bool) -> str:
    """Return what is documented: in the default mode, in the fast one where that differs, and in which unit."""
    modes = f"{bound.ulps:g}" + (f"; {bound.fast:g}" if fast and bound.fast is not None else "")
    return modes + (f" (below {bound.unit:g} in ulps of {bound.unit:g})" if bound.unit else "")


def tables(done: Mapping[Row, Outcome]) -> str:
    """Return both tables in Markdown."""
    head = '| function | where | points | largest error | at | subnormal results | with "4ulp" | bound |'
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row, outcome in done.items():
        if row.dtype != "f64" or row.accuracy != "1ulp":
            continue
        fast = done.get(Row(row.name, accuracy="4ulp"))
        documented = BOUNDS[row.name]
        exact = documented.ulps == 0
        cells = [
            *(
                f"`{row.name}`",
                all_cases()[row.name].where,
                f"{outcome.points:.2e}",
                number(outcome.normal.ulps, exact=exact),
            ),
            f"`{place(outcome.normal)}`",
            number(outcome.subnormal.ulps, exact=exact) if outcome.subnormal.at else "",
            f"{number(fast.normal.ulps)} at `{place(fast.normal)}`" if fast else "",
            bound_text(documented, fast is not None),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", 'Single precision (`dtype="f32"`), in ulps of single precision:', ""]
    lines += ["| function | points | largest error | at | bound |", "|---|---|---|---|---|"]
    for row, outcome in done.items():
        if row.dtype == "f32":
            worst = max(outcome.normal, outcome.subnormal, key=lambda w: w.ulps)
            cells = [f"`{row.name}`", f"{outcome.points:.2e}", number(worst.ulps), f"`{place(worst)}`"]
            lines.append("| " + " | ".join([*cells, f"{BOUNDS[row.name].single:g}"]) + " |")
    return "\n".join(lines)


def conditions(done: Mapping[Row, Outcome], seed: int) -> str:
    """Return what the tables were measured with."""
    library = " ".join(part for part in platform.libc_ver() if part)
    used = max(outcome.margin_used for outcome in done.values())
    machine = f"{platform.machine()} ({llvm.get_host_cpu_name()})"
    return (
        f"Measured on {machine} with {gmpy2.mpfr_version()} and {library or 'the C library'}, seed {seed}. Where MPFR "
        f"checked the 80-bit values, they were off by at most {used:.0%} of what is allowed for."
    )


def write_tables(done: Mapping[Row, Outcome], seed: int, page: Path = PAGE) -> None:
    """Replace what stands between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page.name} has no markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{conditions(done, seed)}\n\n{tables(done)}\n{END}{after}", encoding="utf-8")
