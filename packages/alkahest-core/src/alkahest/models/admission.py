"""Who may call a provider now: one bound and one budget for threads, tasks and event loops together."""

from __future__ import annotations

import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from alkahest.errors import BudgetError
from alkahest.models.budgets import Amount, Budget, Ledger

if TYPE_CHECKING:
    from concurrent.futures import Future

# The admissions within which this context runs already: a provider that calls models itself, through the same
# client, must not wait for its own place.
_within: ContextVar[tuple[Admission, ...]] = ContextVar("alkahest_within", default=())


class Entry:
    """A call that was let in: a `with` block around its sending, left with what it has spent in `spent`.

    `spent` None charges all that was set aside.
    """

    __slots__ = ("_admission", "_inner", "_outer", "amount", "nested", "number", "spent")

    def __init__(self, admission: Admission, amount: Amount) -> None:
        self._admission = admission
        self._outer = _within.get()
        self._inner = (*self._outer, admission)
        self.nested = admission in self._outer
        self.amount = amount
        self.number = 0
        self.spent: Amount | None = None

    def __enter__(self) -> Entry:
        _within.set(self._inner)
        return self

    def __exit__(self, *error: object) -> None:
        self._admission.leave(self)
        # An abandoned task is collected anywhere, also where another call is being carried out.
        if _within.get() is self._inner:
            _within.set(self._outer)


class _Waiter:
    """A call that waits: a thread on the future itself, a task on its wrapping in that task's loop."""

    __slots__ = ("entry", "future", "loop")

    def __init__(self, entry: Entry, loop: Any) -> None:
        from concurrent.futures import Future

        self.entry = entry
        self.loop = loop
        self.future: Future[None] = Future()

    def is_gone(self) -> bool:
        return self.future.cancelled() or (self.loop is not None and self.loop.is_closed())


class Admission:
    """Lets calls in: at most `bound` at once, none that might exceed the budget, in the order in which they came.

    A thread waits by blocking, a task by awaiting; neither needs the other's loop to be running. What is let in
    must be left again, which `Entry` as a context manager does.
    """

    def __init__(self, bound: int | None, budget: Budget | None) -> None:
        # Re-entrant: the collection of an abandoned task, which leaves, may happen in any statement.
        self._lock = threading.RLock()
        self._free = bound
        self._ledger = None if budget is None else Ledger(budget)
        self._open = bound is None and budget is None
        self._waiting: deque[_Waiter] = deque()

    def enter(self, amount: Amount) -> Entry:
        """Return once the call is let in; raises `BudgetError` where it never will be."""
        entry = Entry(self, amount)
        waiter = self._apply(entry, None)
        if waiter is not None:
            try:
                waiter.future.result()
            except BaseException:
                self._withdraw(waiter)
                raise
        return entry

    async def aenter(self, amount: Amount) -> Entry:
        """Return once the call is let in, leaving the loop to others meanwhile."""
        entry = Entry(self, amount)
        if self._open:
            return entry
        import asyncio

        waiter = self._apply(entry, asyncio.get_running_loop())
        if waiter is not None:
            try:
                await asyncio.wrap_future(waiter.future)
            except BaseException:
                self._withdraw(waiter)
                raise
        return entry

    def leave(self, entry: Entry) -> None:
        """Give back the place of a call, settle what it has spent, and let the next ones in."""
        if self._open:
            return
        with self._lock:
            if self._ledger is not None:
                self._ledger.settle(entry.number, entry.spent)
            self._vacate(entry)

    def _vacate(self, entry: Entry) -> None:
        if self._free is not None and not entry.nested:
            self._free += 1
        self._let_in()

    def _apply(self, entry: Entry, loop: Any) -> _Waiter | None:
        if self._open:
            return None
        with self._lock:
            ready = self._is_ready(entry)
            if entry.nested or (ready and not self._waiting):
                self._take(entry)
                return None
            waiter = _Waiter(entry, loop)
            self._waiting.append(waiter)
            self._let_in()  # those before it may be gone
            return waiter

    def _is_ready(self, entry: Entry) -> bool:
        """Return whether the call may go now; raise where the budget will never allow it."""
        if self._ledger is not None:
            # Within a call, waiting for those in flight would be waiting for itself.
            self._ledger.require(entry.amount, beside_held=entry.nested)
        if self._free == 0 and not entry.nested:
            return False
        return self._ledger is None or self._ledger.fits(entry.amount, beside_held=True)

    def _take(self, entry: Entry) -> None:
        if self._ledger is not None:
            entry.number = self._ledger.hold(entry.amount)
        if self._free is not None and not entry.nested:
            self._free -= 1

    def _let_in(self) -> None:
        while self._waiting:
            waiter = self._waiting[0]
            refusal: BudgetError | None = None
            try:
                if not waiter.is_gone() and not self._is_ready(waiter.entry):
                    return
            except BudgetError as error:
                refusal = error
            self._waiting.popleft()
            if waiter.is_gone() or not waiter.future.set_running_or_notify_cancel():
                continue
            if refusal is not None:
                waiter.future.set_exception(refusal)
                continue
            self._take(waiter.entry)
            waiter.future.set_result(None)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Take a call back that nobody waits for any more, whether or not it was let in meanwhile."""
        with self._lock:
            if waiter.future.cancel():
                self._let_in()
            elif waiter.future.exception() is None:
                if self._ledger is not None:
                    self._ledger.undo(waiter.entry.number)
                self._vacate(waiter.entry)
