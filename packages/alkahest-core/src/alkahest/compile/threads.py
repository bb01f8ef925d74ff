"""Carrying out the pieces of a batch: one after another, or on all cores for kernels that release the GIL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Run = Callable[[Piece], int]  # carries out one piece and returns how many points it had
Report = Callable[[int], None]  # told, in the caller's thread, how many points are done


class _Pool:
    """The process's threads, made at first use, and anew after a fork, in which threads do not survive."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="alkahest")
            return self._executor


_threads = _Pool()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_together(run: Callable[[], Result], threads: int) -> Result:
    """Call `run` in up to `threads` threads at once, one of them the caller's, whose result is returned.

    When it fails in one, or the caller is interrupted, the others are waited for, and the error is raised.
    """
    executor = _threads.executor()
    others = [executor.submit(run) for _ in range(threads - 1)]
    try:
        result = run()
    finally:
        _finish(others)  # whatever happens here: the others still write into the caller's arrays
    for task in others:
        if not task.cancelled():
            task.result()
    return result


def run_pieces(
    pieces: Iterable[Piece], make_run: Callable[[], Run[Piece]], threads: int = 1, report: Report | None = None
) -> None:
    """Carry out all pieces; each of up to `threads` threads, one of them the caller's, takes the next when it is free.

    `make_run()` is called once per thread and returns what carries out a piece. When one fails, or the caller is
    interrupted, no further piece is begun; otherwise as `run_together`.
    """
    work = _Work(pieces)
    caller, told = threading.get_ident(), 0

    def tell() -> None:
        nonlocal told
        if report is not None and told != work.done and threading.get_ident() == caller:
            told = work.done
            report(told)

    if threads == 1:
        work.carry_out(make_run, tell)
    else:
        run_together(lambda: work.carry_out(make_run, tell), threads)
    tell()


class _Work(Generic[Piece]):
    """Pieces to be shared out, and how many points are done."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.done = 0
        self._pieces = iter(pieces)
        self._stopped = False
        self._lock = threading.Lock()

    def carry_out(self, make_run: Callable[[], Run[Piece]], tell: Callable[[], None]) -> None:
        """Take pieces until there are none, and call `tell` after each; a failure stops the other threads as well."""
        try:
            run = make_run()
            while True:
                with self._lock:
                    piece = None if self._stopped else next(self._pieces, None)
                if piece is None:
                    return
                points = run(piece)
                with self._lock:
                    self.done += points
                tell()
        except BaseException:
            self._stopped = True
            raise


def _finish(tasks: Sequence[Future[Result]]) -> None:
    """Wait for all tasks that have begun, through interrupts, of which the last is raised again at the end."""
    interrupt: KeyboardInterrupt | None = None
    for task in tasks:
        task.cancel()  # one that has not begun finds nothing left to do
    while not all([task.done() for task in tasks]):
        try:
            wait(tasks)
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
