"""Time: how much of it is left."""

from __future__ import annotations

import time


class Deadline:
    """A moment after which no new work is begun."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 after the moment."""
        return max(0.0, self._end - time.perf_counter())

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return time.perf_counter() >= self._end

    def within(self, seconds: float) -> Deadline:
        """Return a deadline so far from now, no later than this one."""
        return Deadline(min(seconds, self.left))
