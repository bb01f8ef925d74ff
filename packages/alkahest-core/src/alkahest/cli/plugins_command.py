"""`alkahest plugins`: what was found, what loaded, what did not and why, and what each offers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from alkahest.cli.output import print_json, print_table
from alkahest.errors import DuplicateBackendError
from alkahest.plugins.manager import PluginRecord, Plugins, plugins


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def plugins_command(as_json: bool) -> None:
    """List plugins: which loaded, which did not and why, and what they offer.

    Set ALKAHEST_PLUGINS to a list of names (`llvm,jax`) to load only those; the interpreter is always there.
    """
    found = plugins()
    described = [_describe(found, record) for record in ask(found)]
    problems = duplicates(found)
    if as_json:
        print_json({"plugins": described, "problems": problems})
        return
    headings = ("plugin", "distribution", "status", "tiers", "formats", "models", "hooks")
    print_table(headings, [_row(entry) for entry in described])
    for entry in described:
        if entry["detail"]:
            click.echo(f"{entry['name']} ({entry['status']}): {entry['detail']}")
    for problem in problems:
        click.echo(problem)


def ask(found: Plugins) -> tuple[PluginRecord, ...]:
    """Ask every plugin what it offers, and return the records as they are then: asking may show faults."""
    for record in found.records:
        found.offers(record.name)
    return found.records


def duplicates(found: Plugins) -> list[str]:
    """Return an error for each kind of thing that two plugins offer under one name."""
    problems: list[str] = []
    for kind in (found.backends, found.emitters, found.executors):
        try:
            kind()
        except DuplicateBackendError as error:
            problems.append(str(error))
    return problems


def _describe(found: Plugins, record: PluginRecord) -> dict[str, Any]:
    # What another plugin of the same name offers is none of a refused one's.
    offers = found.offers(record.name if record.hooks else "")
    return {**asdict(record), **offers}


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    distribution = f"{entry['distribution']} {entry['version']}".strip()
    offers = [", ".join(entry[kind]) for kind in ("backends", "emitters", "executors")]
    hooks = ", ".join(hook.removeprefix("alkahest_") for hook in entry["hooks"])
    return entry["name"], distribution, entry["status"], *offers, hooks
