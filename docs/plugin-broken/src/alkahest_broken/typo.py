"""Misspells a hook."""

from alkahest.extend import hookimpl

ALKAHEST_API = 1


@hookimpl
def alkahest_backend():
    """Return what nobody will ask for."""
    return []
