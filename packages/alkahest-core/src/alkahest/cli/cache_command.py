"""`alkahest cache`: the machine code that is kept on disk between processes."""

from __future__ import annotations

from dataclasses import asdict

import click

from alkahest.cli.output import print_json, print_table
from alkahest.compile.code_store import StoreInfo, code_store


@click.group()
def cache() -> None:
    """Look at, or empty, the machine code that is kept on disk.

    It is in the folder ALKAHEST_CACHE_DIR, or in that of the user's caches, and at most about ALKAHEST_CACHE_BYTES
    bytes of it are kept; 0 switches it off. Losing it costs compile time, nothing else.
    """


@cache.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def info(as_json: bool) -> None:
    """Show where the code is, how much there is, and what is wrong.

    All entries are read and one is written on trial. The exit code is 1 where code cannot be kept.
    """
    found = code_store().info()
    if as_json:
        # Hits and misses are counted in a process, and this one has compiled nothing.
        print_json({name: value for name, value in asdict(found).items() if name not in ("hits", "misses")})
    else:
        rows = [
            ("folder", found.directory or "none is known"),
            ("entries", f"{found.entries:,}"),
            ("bytes", f"{found.bytes:,}"),
            ("at most", f"{found.limit:,} bytes" if found.limit else "switched off"),
            ("damaged", f"{found.damaged:,}"),
        ]
        print_table(("code cache", ""), rows)
        for problem in found.problems:
            click.echo(f"PROBLEM: {problem}")
    raise SystemExit(1 if found.problems else 0)


@cache.command("clear")
@click.option("--json", "as_json", is_flag=True, help="Print the number of entries removed as JSON.")
def clear(as_json: bool) -> None:
    """Remove all code that is kept. Processes that run go on; the next ones compile anew."""
    removed = code_store().clear()
    if as_json:
        print_json({"removed": removed})
    else:
        click.echo(f"{_entries(removed)} removed.")


def summary(found: StoreInfo) -> str:
    """Return the state of the cache in a line."""
    if not found.limit:
        return "switched off"
    return f"{found.directory}: {_entries(found.entries)}, {found.bytes:,} of {found.limit:,} bytes"


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"
