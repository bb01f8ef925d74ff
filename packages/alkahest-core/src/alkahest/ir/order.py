"""The order in which effects are told, where a batch carries them out in another: by item, not by time."""

from __future__ import annotations

import itertools
from contextvars import ContextVar

_positions = itertools.count()

order_key: ContextVar[tuple[int, ...]] = ContextVar("order_key", default=())
"""Where the effect that is carried out now belongs: (when its batch began, equation, …, index in the batch)."""


def next_position() -> int:
    """Return a number that grows with each call, over all threads."""
    return next(_positions)


def position() -> tuple[int, ...]:
    """Return where an effect that happens now belongs: as `order_key` says, else after all that went before."""
    return order_key.get() or (next_position(),)
