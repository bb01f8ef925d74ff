"""Tables and numbers as the commands print them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

# Where output goes to a file or another program nobody can widen the window.
WIDTH_ELSEWHERE = 160


def console() -> Console:
    """Return a console on standard output, wide where that is no terminal."""
    from rich.console import Console

    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH_ELSEWHERE)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    console().print(table)


def print_json(data: Any) -> None:
    """Print `data` as JSON."""
    click.echo(json.dumps(data, indent=2))


def duration(seconds: float) -> str:
    """Return a time with three digits and a fitting unit.

    >>> duration(0.00125), duration(3.2e-9), duration(0.0)
    ('1.25 ms', '3.2 ns', '0 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9), ("ps", 1e-12)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0 s"
