"""Running a kernel on all cores: chunks over a pool of threads, for kernels that release the GIL."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from alkahest.compile.protocols import Column, Kernel

SMALLEST_CHUNK = 16_384  # points: below, handing work to a thread costs more than it saves


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


def call_in_chunks(kernel: Kernel, n: int, columns: Sequence[Column], out: Sequence[Column], threads: int) -> None:
    """Evaluate `n` points in up to `threads` chunks, the last one by the caller."""
    chunks = max(1, min(threads, n // SMALLEST_CHUNK))
    bounds = [n * k // chunks for k in range(chunks + 1)]

    def run(start: int, stop: int) -> None:
        kernel.call_columns(
            stop - start,
            [(a + start * s, s) for a, s in columns],
            [(a + start * s, s) for a, s in out],
        )

    spans = list(itertools.pairwise(bounds))
    waiting = [_threads.executor().submit(run, *span) for span in spans[:-1]]
    try:
        run(*spans[-1])
    finally:
        _finish(waiting)  # whatever happens here: the others still write into the caller's arrays
    for task in waiting:
        task.result()


def _finish(waiting: Sequence[Future[None]]) -> None:
    """Wait for all tasks, through interrupts, of which the last is raised again at the end."""
    interrupt: KeyboardInterrupt | None = None
    while not all(task.done() for task in waiting):
        try:
            wait(waiting)
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
