"""The group of commands: each is imported when it is called, and errors become two lines and an exit code."""

from __future__ import annotations

from typing import Any

import click

import alkahest
from alkahest.errors import AlkahestError
from alkahest.plugins.manager import load_factory

COMMANDS = {
    "cache": "alkahest.cli.cache_command:cache",
    "calibrate": "alkahest.cli.calibrate:calibrate",
    "doctor": "alkahest.cli.doctor:doctor",
    "fit": "alkahest.cli.fit:fit",
    "identities": "alkahest.cli.identities_command:identities_command",
    "plugins": "alkahest.cli.plugins_command:plugins_command",
}


class Failure(click.ClickException):
    """An error of ours: what happened on one line, what to do and the code on the next; exit code 2."""

    exit_code = 2

    def __init__(self, error: AlkahestError) -> None:
        super().__init__(f"{error.message}\n{error.remedy} [{error.code}]".replace("\n [", " ["))

    def show(self, file: Any = None) -> None:
        """Write the two lines to standard error."""
        click.echo(f"alkahest: {self.message}", file=file, err=True)


class Commands(click.Group):
    """A group that imports a command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, imported now."""
        path = COMMANDS.get(cmd_name)
        return None if path is None else load_factory(path)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of ours ends it with exit code 2, Ctrl-C with 130."""
        try:
            return super().invoke(ctx)
        except AlkahestError as error:
            raise Failure(error) from error
        except KeyboardInterrupt:
            click.echo("alkahest: interrupted", err=True)
            raise click.exceptions.Exit(130) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(alkahest.__version__, prog_name="alkahest", message="%(prog)s %(version)s")
def app() -> None:
    """Read, differentiate and compile formulas; see what this machine can run them on."""
