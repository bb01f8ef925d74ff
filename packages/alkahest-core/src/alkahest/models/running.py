"""Calls in threads: one that must end in time, and many at once."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from alkahest.errors import AlkahestError

T = TypeVar("T")


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return what the call returns; raises `TimeoutError` after that many seconds, and then abandons its thread.

    Python cannot stop a thread: an abandoned call runs to its end and its result is dropped. The thread is a
    daemon, so it does not keep the process alive.
    """
    from concurrent.futures import Future

    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="alkahest-model-call", daemon=True).start()
    return future.result(seconds)


class Many:
    """A function of many items in threads, each with a copy of the caller's context variables.

    Once an item has failed, no further one is begun (unless failures are returned); those under way are waited for.
    """

    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any], return_exceptions: bool) -> None:
        self._function = function
        self._items = items
        self._keep_going = return_exceptions
        self._lock = threading.Lock()
        self._next = 0
        self._failures: dict[int, BaseException] = {}
        self._results: dict[int, Any] = {}

    def run(self, threads: int) -> list[Any]:
        """Return the results, in order; raise the failure of the first item that has one, with the others' results.

        Ctrl-C stops the waiting at once; calls under way are abandoned.
        """
        workers = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(self._work,), name=f"alkahest-many-{k}", daemon=True
            )
            for k in range(min(threads, len(self._items)))
        ]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        except BaseException:
            self._stop()
            raise
        fatal = [e for e in self._failures.values() if not isinstance(e, Exception)]
        if self._failures and (fatal or not self._keep_going):
            error = fatal[0] if fatal else self._failures[min(self._failures)]
            if isinstance(error, AlkahestError):
                error.details["partial"] = dict(sorted(self._results.items()))
            raise error
        both = {**self._results, **self._failures}
        return [both[k] for k in range(len(self._items))]

    def _work(self) -> None:
        while (k := self._take()) is not None:
            try:
                self._results[k] = self._function(self._items[k])
            except BaseException as error:
                self._failures[k] = error
                if not self._keep_going or not isinstance(error, Exception):
                    self._stop()

    def _take(self) -> int | None:
        with self._lock:
            k = self._next
            self._next += 1
        return k if k < len(self._items) else None

    def _stop(self) -> None:
        with self._lock:
            self._next = len(self._items)
