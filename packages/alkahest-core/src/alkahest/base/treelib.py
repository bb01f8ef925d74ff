"""optree's functions on structures, under this project's namespace, as one library: for rules of users.

Each name is optree's: `map`, `leaves`, `structure`, `flatten`, `unflatten`, `broadcast_prefix`, `transpose`, …
"""

from __future__ import annotations

import importlib
from typing import Any

from alkahest.base.trees import PYTREE_NAMESPACE

_made: list[Any] = []


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if not _made:
        _made.append(importlib.import_module("optree.pytree").reexport(namespace=PYTREE_NAMESPACE))
    return getattr(_made[0], name)
