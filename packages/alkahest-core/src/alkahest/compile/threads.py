"""Work on all cores: the caller's thread and helpers that wait for it, for kernels that release the GIL."""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Run = Callable[[Piece], int]  # carries out one piece and returns how many points it had
Report = Callable[[int], None]  # told, in the caller's thread, how many points are done
Linger = Callable[[int], object]  # waits shortly for a 64-bit integer, whose address is given, to be other than zero


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Task:
    """A call in a helper's thread. Whoever claims it first decides: the helper carries it out, the caller cancels."""

    def __init__(self, run: Callable[[], object], linger: Linger | None = None) -> None:
        self.linger = linger
        self._run: Callable[[], object] | None = run
        self._claim = threading.Lock()
        self._finished = threading.Lock()
        self._finished.acquire()
        self._over = False
        self.error: BaseException | None = None

    def carry_out(self) -> None:
        run = self._run
        if run is not None and self._claim.acquire(blocking=False):
            try:
                run()
            except BaseException as error:  # raised again in the caller's thread
                self.error = error

    def cancel(self) -> None:
        """Let the task not begin any more, nor hold what it would have worked on; one that has begun goes on."""
        if self._claim.acquire(blocking=False):
            self._over = True
            self._run = None

    def finish(self) -> None:
        self._over = True
        self._finished.release()

    def wait(self) -> None:
        """Wait for the end, or cancel what has not begun; to be called again after an interrupt."""
        self.cancel()
        while not self._over:
            self._finished.acquire()


class _Helper:
    """A thread that waits for tasks, one at a time: asleep, or after a task that can linger, awake for a while.

    A batch of a millisecond is over in much less than two threads' time where one of them has to be woken first.
    """

    def __init__(self, idle: deque[_Helper], *, lingers: bool) -> None:
        self._idle = idle
        self._lingers = lingers
        self._called = ctypes.c_int64(0)
        self._task: _Task | None = None
        self._wanted = threading.Lock()
        self._wanted.acquire()
        threading.Thread(target=self._serve, name="alkahest", daemon=True).start()

    def begin(self, task: _Task) -> None:
        self._task = task
        self._called.value = 1
        self._wanted.release()

    def _serve(self) -> None:
        address = ctypes.addressof(self._called)
        while True:
            self._wanted.acquire()
            self._called.value = 0
            task, self._task = self._task, None
            if task is not None:
                linger = task.linger if self._lingers else None
                task.carry_out()
                self._idle.append(self)  # before the caller goes on, who may want it again at once
                task.finish()
                del task
                if linger is not None:
                    linger(address)
                    del linger


class _Helpers:
    """The helpers of this process, made when first wanted, and anew after a fork, in which threads do not survive."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._idle: deque[_Helper] = deque()
        self._made = 0
        self._lock = threading.Lock()

    def begin(self, run: Callable[[], object], count: int, linger: Linger | None = None) -> list[_Task]:
        """Begin up to `count` tasks, fewer where the helpers are busy: the caller does what they do not."""
        tasks: list[_Task] = []
        for _ in range(count):
            try:
                helper = self._idle.pop()
            except IndexError:
                with self._lock:
                    if self._made >= max(count, cores()):
                        break
                    self._made += 1
                helper = _Helper(self._idle, lingers=self._made < cores())  # one core is the caller's
            task = _Task(run, linger)
            helper.begin(task)
            tasks.append(task)
        return tasks


_helpers = _Helpers()


def run_together(
    run: Callable[[], Result],
    threads: int,
    is_over: Callable[[], bool] | None = None,
    linger: Linger | None = None,
) -> Result:
    """Call `run` in up to `threads` threads at once, one of them the caller's, whose result is returned.

    When it fails in one, or the caller is interrupted, the others are waited for, and the error is raised. `is_over`
    may tell after the caller's call that all is done and the others, if they still run, do nothing that matters. With
    `linger` the threads stay awake for a while, as far as there are cores for them.
    """
    tasks = _helpers.begin(run, threads - 1, linger)
    try:
        result = run()
    except BaseException:
        _finish(tasks)  # they still write into the caller's arrays
        raise
    if is_over is not None and is_over():
        for task in tasks:
            task.cancel()
        return result
    _finish(tasks)
    for task in tasks:
        if task.error is not None:
            raise task.error
    return result


def _finish(tasks: Sequence[_Task]) -> None:
    """Wait for all tasks, through interrupts, of which the last is raised again at the end."""
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            for task in tasks:
                task.wait()
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


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
