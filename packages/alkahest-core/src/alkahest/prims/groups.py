"""Sets of primitives that transforms treat alike."""

from __future__ import annotations

from alkahest.base.prim import Prim
from alkahest.base.rules import touch

non_dce_primitives: set[Prim] = set()
"""Equations of these stay in a program even where nobody uses what they give."""

non_memoizable_primitives: set[Prim] = set()
"""Equations of these are carried out each time, also inside `memoize`."""

waiting_primitives: set[Prim] = set()
"""Primitives that spend their time waiting: in a batch, or a schedule, they run side by side in threads."""

cheap_primitives: set[Prim] = set()
"""Primitives that take less time than looking their result up: `memoize` leaves them alone."""


def register_non_dce(prim: Prim) -> Prim:
    """Keep equations of `prim` even where nobody uses what they give."""
    return _joined(non_dce_primitives, prim)


def register_non_memoizable(prim: Prim) -> Prim:
    """Carry `prim` out each time, also inside `memoize`."""
    return _joined(non_memoizable_primitives, prim)


def register_waiting(prim: Prim) -> Prim:
    """Let equations of `prim` run side by side in threads, in a batch or a schedule that is called synchronously."""
    return _joined(waiting_primitives, prim)


def _joined(group: set[Prim], prim: Prim) -> Prim:
    if prim not in group:
        group.add(prim)
        touch()  # plans and graphs that are kept were made without it
    return prim
