"""The tiers of this machine as parameters of a test."""

from __future__ import annotations

from typing import Any

import pytest

from alkahest.compile.driver import backend_of
from alkahest.plugins.manager import plugins


def offered_backends(target: str | None = "cpu") -> list[Any]:
    """Return the names of all tiers as parameters for pytest; one that cannot run here is a skip with the reason.

    `target` leaves out the tiers that do not serve it; None takes all.

    >>> "interpreter" in [p.values[0] for p in offered_backends() if not p.marks]
    True
    """
    found: list[Any] = []
    for name, info in sorted(plugins().backends().items()):
        if target is not None and target not in info.targets:
            continue
        backend = backend_of(info)
        why = backend if isinstance(backend, str) else backend.unavailable()
        found.append(pytest.param(name, marks=[pytest.mark.skip(reason=f"{name}: {why}")] if why else []))
    return found
