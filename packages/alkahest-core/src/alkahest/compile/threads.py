"""Running a kernel on all cores: chunks over a pool of threads, for kernels that release the GIL."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from alkahest.compile.protocols import Column, Kernel

SMALLEST_CHUNK = 16_384  # points: below, handing work to a thread costs more than it saves

_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _executor() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="alkahest")
        return _pool


def _forget_after_fork() -> None:
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


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

    spans = list(zip(bounds, bounds[1:], strict=False))
    waiting = [_executor().submit(run, *span) for span in spans[:-1]]
    run(*spans[-1])
    for task in waiting:
        task.result()
