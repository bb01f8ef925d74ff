"""All identities that the simplifier knows: core's own and the plugins'."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable
from functools import cache

from alkahest.expr.building import building
from alkahest.plugins.manager import plugins
from alkahest.symbolic.rules.identity import Identity

_MODULES = ("arithmetic", "trigonometric", "hyperbolic", "exponential", "roots", "choices", "rounding")

_lock = threading.Lock()


def all_identities() -> tuple[Identity, ...]:
    """Return every identity, core's by group and then the plugins' by plugin.

    A plugin's identity that is broken is left out and noted in the plugin's record.

    >>> len(all_identities()) > 150
    True
    """
    with building(None):  # as written, whatever block the caller is in
        return (*_own(), *plugins().rewrites())


def identities_of(groups: Iterable[str]) -> tuple[Identity, ...]:
    """Return the identities of some groups, in the order of `all_identities`; an unknown group has none.

    >>> {i.group for i in identities_of(["roots", "choices"])} == {"roots", "choices"}
    True
    """
    wanted = frozenset(groups)
    return tuple([i for i in all_identities() if i.group in wanted])


def _own() -> tuple[Identity, ...]:
    with _lock:  # one set of objects in a process: e-graphs are kept by them
        return _made()


@cache
def _made() -> tuple[Identity, ...]:
    modules = [importlib.import_module(f"alkahest.symbolic.rules.{name}") for name in _MODULES]
    return tuple([identity for module in modules for identity in module.IDENTITIES])
