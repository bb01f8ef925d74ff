"""Choosing how new nodes are built, for a block of code: as written, folded, or in canonical form."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from alkahest.expr.pool import Builder, active_builders, builder

_lock = threading.Lock()


@contextmanager
def building(build: Builder | None) -> Generator[None]:
    """Build new nodes of this thread or task with `build` inside the block; None builds them as written."""
    with _lock:
        active_builders[0] += 1
    token = builder.set(build)
    try:
        yield
    finally:
        builder.reset(token)
        with _lock:
            active_builders[0] -= 1
