"""Fits as text: a table for each, and a summary of many."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alkahest.fitting.results import Figure, FitResult


def fit_table(result: FitResult) -> str:
    """Return the table of one fit: each figure beside the certified one, with the digits that agree."""
    problem = result.problem
    certified = problem.certified is not None
    heading = ["", "fit", "certified", "digits"] if certified else ["", "fit"]
    rows: list[list[str]] = []
    for parameter, sd in zip(result.parameters, result.sds, strict=True):
        rows.append([parameter.name, *_cells(parameter, certified)])
        rows.append(["  standard deviation", *_cells(sd, certified)])
    rows += [[figure.name, *_cells(figure, certified)] for figure in (result.rss, result.residual_sd)]
    level = f", {problem.level.lower()} level of difficulty" if problem.level else ""
    lines = [
        f"{problem.name}, {_start(result)}{level}",
        f"  {problem.model_text}",
        *[f"  {line}" for line in _aligned([heading, *rows])],
        f"  {result.dof} degrees of freedom; {result.method}, {result.evaluations} evaluations on {result.tier}, "
        f"{_time(result.seconds)} after {_time(result.compile_seconds)} of compiling",
    ]
    if result.remark:
        lines.append(f"  note: {result.remark}")
    return "\n".join(lines)


def summary_table(results: Sequence[FitResult], min_digits: float) -> str:
    """Return one line per fit and what the worst parameter reaches, then how many fits reach `min_digits`."""
    heading = ["problem", "start", "digits", "worst", "SD", "RSS", "method", "evaluations", "tier", "time"]
    lines = _aligned([heading, *[_summary_row(r) for r in results]], left=(0, 3, 6, 8))
    reached = sum([r.reaches(min_digits) for r in results])
    judged = "every parameter" if all(r.digits is not None for r in results) else "every certified parameter"
    lines += ["", f"{reached} of {len(results)} fits reach {min_digits:g} digits in {judged}."]
    remarks: dict[tuple[str, str], list[str]] = {}
    for r in results:
        if r.remark:
            remarks.setdefault((r.problem.name, r.remark), []).append(_start(r))
    lines += [f"{name}, {' and '.join(starts)}: {remark}" for (name, remark), starts in remarks.items()]
    return "\n".join(lines)


def _summary_row(result: FitResult) -> list[str]:
    sds = [f.digits for f in result.sds if f.digits is not None]
    return [
        result.problem.name,
        str(result.start) if result.start else "own",
        _digits(result.digits),
        result.worst.name if result.worst else "",
        _digits(min(sds) if sds else None),
        _digits(result.rss.digits),
        result.method,
        str(result.evaluations),
        result.tier,
        _time(result.seconds),
    ]


def _start(result: FitResult) -> str:
    return f"start {result.start}" if result.start else "own start"


def _cells(figure: Figure, certified: bool) -> list[str]:
    fit = _number(figure.value)
    return [fit, _number(figure.certified), _digits(figure.digits)] if certified else [fit]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.10E}" if math.isfinite(value) else "undetermined"


def _digits(digits: float | None) -> str:
    # Rounded down: 5.96 digits must not read as 6.0.
    return "" if digits is None else f"{math.floor(digits * 10) / 10:.1f}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the rows with columns of one width, those of `left` to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        ).rstrip()
        for row in rows
    ]
