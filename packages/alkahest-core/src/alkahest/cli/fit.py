"""`alkahest fit`: files of NIST's nonlinear regression collection, fitted and compared with the certified values."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alkahest.errors import AlkahestError, BackendUnavailableError, MissingPackageError

if TYPE_CHECKING:
    from alkahest.fitting import FitResult

# Half of float64's sixteen digits is what least squares gives without special care; six is what NIST calls solved.
MIN_DIGITS = 6.0
BELOW_MIN_DIGITS = 1
NOT_FITTED = 2


class _Session:
    """What the files of one command gave."""

    def __init__(self, starts: str, backend: str | None, plots: Path | None) -> None:
        self.starts = starts
        self.backend = backend
        self.plots = plots
        self.results: list[FitResult] = []
        self.pictures: list[Path] = []
        self.failures: list[str] = []

    def fit_file(self, path: str) -> None:
        """Fit one file from each start; what is wrong with the file or a start is kept and the rest goes on."""
        from alkahest.fitting import build_model, fit_problem, plot_fit, read_strd

        with self._keeping(path):
            problem = read_strd(path)
            model = build_model(problem, backend=self.backend)
            for start in self._starts_of(len(problem.starts)):
                with self._keeping(path):
                    result = fit_problem(problem, start, model=model)
                    self.results.append(result)
                    if self.plots is not None:
                        self.pictures.append(plot_fit(result, model, self.plots))

    def _starts_of(self, published: int) -> Sequence[int]:
        return range(1, published + 1) if self.starts == "both" else [int(self.starts)]

    @contextmanager
    def _keeping(self, path: str) -> Generator[None]:
        try:
            yield
        except AlkahestError as error:
            if isinstance(error, MissingPackageError | BackendUnavailableError) and not self.results:
                raise  # no other file would do better
            self.failures.append(str(error) if Path(path).name in str(error) else f"{Path(path).name}: {error}")

    def exit_code(self, min_digits: float) -> int:
        if self.failures:
            return NOT_FITTED
        return 0 if all(r.reaches(min_digits) for r in self.results) else BELOW_MIN_DIGITS


@click.command()
@click.argument("files", metavar="FILE.dat...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--start",
    "starts",
    type=click.Choice(["1", "2", "both"]),
    default="both",
    show_default=True,
    help="Published starting values to fit from.",
)
@click.option(
    "--min-digits",
    type=click.FloatRange(0, 11),
    default=MIN_DIGITS,
    show_default=True,
    help="Digits that every parameter must agree to; fewer make the exit code 1.",
)
@click.option("--summary", is_flag=True, help="Print one line per fit instead of a table for each.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--plot", "plots", metavar="DIR", type=click.Path(path_type=Path), help="Draw each fit as a PNG file into DIR."
)
@click.option("--backend", metavar="TIER", help="Compute on this tier only; see `alkahest doctor` for their names.")
def fit(
    files: tuple[str, ...],
    starts: str,
    min_digits: float,
    summary: bool,
    as_json: bool,
    plots: Path | None,
    backend: str | None,
) -> None:
    """Fit models to data and compare with certified values.

    FILE.dat is a file of NIST's StRD nonlinear regression collection as published, or one of yours in the same layout.
    The model is read from the file's text, its derivatives are exact, both are compiled, and least squares starts
    from the published values. Digits are log relative errors: how many digits agree with the certified ones, 11 at
    most.

    The exit code is 0 where every fit reaches --min-digits (without certified values: where it converged), 1 where one
    does not, 2 where a file or start could not be fitted; the other files are fitted all the same.
    """
    from alkahest.fitting.plotting import figure_class

    session = _Session(starts, backend, plots)
    if plots is not None:
        figure_class()  # missing Matplotlib is said before the work, not after
    with _progress(len(files)) as show:
        for done, path in enumerate(files):
            show(done, Path(path).name)
            session.fit_file(path)
    _print(session, min_digits, as_json, summary)
    raise SystemExit(session.exit_code(min_digits))


@contextmanager
def _progress(count: int) -> Generator[Callable[[int, str], object]]:
    """Show how many of several files are done while standard error is a terminal."""
    if count < 2 or not sys.stderr.isatty():
        yield lambda done, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Standard output may be a file or a pipe: rich must not take it over.
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task("fitting", total=count)
        yield lambda done, name: bar.update(task, completed=done, description=name)


def _print(session: _Session, min_digits: float, as_json: bool, summary: bool) -> None:
    from alkahest.fitting import fit_table, summary_table

    if as_json:
        document = {"fits": [r.as_dict() for r in session.results], "failures": session.failures}
        click.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        tables = [] if summary else [fit_table(r) for r in session.results]
        if session.results and (summary or len(session.results) > 1):
            tables.append(summary_table(session.results, min_digits))
        if tables:
            click.echo("\n\n".join(tables))
        for picture in session.pictures:
            click.echo(f"drawn: {picture}")
    for failure in session.failures:
        click.echo(f"alkahest: {failure}", err=True)
