"""`alkahest identities`: what the simplifier may rewrite as what, and where."""

from __future__ import annotations

from collections.abc import Sequence

import click

from alkahest.symbolic.rules.listing import rule_list
from alkahest.symbolic.rules.registry import all_identities, identities_of


@click.command("identities")
@click.argument("groups", nargs=-1)
def identities_command(groups: Sequence[str]) -> None:
    """Print the identities of the simplifier as Markdown: all, or those of some GROUPS."""
    found = identities_of(groups) if groups else all_identities()
    if groups and not found:
        known = ", ".join(dict.fromkeys([i.group for i in all_identities()]))
        raise click.UsageError(f"There are no such groups. There are {known}.")
    click.echo(rule_list(found).rstrip())
