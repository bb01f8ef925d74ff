"""Progress of batches, shown or handed to a function."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from alkahest.errors import MissingPackageError
from alkahest.machine.run import progress_hook


@contextmanager
def progress(report: Callable[[int, int], None] | str | None = None) -> Generator[None]:
    """Show how far batches have come, inside the `with` block.

    `report(done, total)` is called whenever items of a batch come to their end; without a function, or with a text that
    says what is going on, a bar is drawn (by Rich, which the extra `cli` brings).

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: x + "!")("a")
    >>> seen = []
    >>> with af.progress(lambda done, total: seen.append((done, total))):
    ...     af.batch(ir).call(["a", "b"])
    ['a!', 'b!']
    >>> seen
    [(2, 2)]
    """
    with reporting("items" if report is None else report) as show:
        token = progress_hook.set(show)
        try:
            yield
        finally:
            progress_hook.reset(token)


@contextmanager
def reporting(report: Callable[[int, int], None] | str | None) -> Generator[Callable[[int, int], None] | None]:
    """Give a function of how much is done and of how much there is: `report` itself, or one that draws a bar.

    A text says what stands beside the bar; a total that begins anew has a bar of its own. None gives None.
    """
    if not isinstance(report, str):
        yield report
        return
    with _bar() as bar:
        tasks: list[Any] = []

        def show(done: int, total: int) -> None:
            if not tasks or bar.tasks[tasks[-1]].finished:
                tasks.append(bar.add_task(report, total=total))
            bar.update(tasks[-1], completed=done)

        yield show


def _bar() -> Any:
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        raise MissingPackageError(
            "drawing a bar needs Rich, which is not installed.",
            remedy='Install it, pip install "./packages/alkahest-core[cli]", or pass a function instead.',
        ) from None
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
