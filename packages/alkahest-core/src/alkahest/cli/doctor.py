"""`alkahest doctor`: whether this installation is sound, and what it can run on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import click

from alkahest.cli.output import print_json, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def doctor(as_json: bool) -> None:
    """Check this installation, and show which tiers run here.

    The exit code is 1 where something is broken: a plugin that failed, a tier that computes wrongly, a damaged
    calibration, a package `alkahest` that is another project's. What is merely not installed is no fault.
    """
    from alkahest.cli.diagnosis import diagnose

    found = diagnose()
    if as_json:
        print_json(asdict(found))
    else:
        _print("package", "version", found.packages, "not installed")
        _print("machine", "", found.machine, "none found")
        rows = [(name, tier.targets, tier.dtypes, tier.state) for name, tier in found.tiers.items()]
        print_table(("tier", "targets", "dtypes", "state"), rows)
        if found.settings:
            _print("setting", "", found.settings, "empty")
        for problem in found.problems:
            click.echo(f"PROBLEM: {problem}")
        click.echo(f"{len(found.problems)} problem(s) found." if found.problems else "No problem found.")
    raise SystemExit(1 if found.problems else 0)


def _print(what: str, heading: str, values: Mapping[str, str], empty: str) -> None:
    print_table((what, heading), [(name, value or empty) for name, value in values.items()])
