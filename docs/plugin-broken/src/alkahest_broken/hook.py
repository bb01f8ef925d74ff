"""Asks for an argument that no hook has."""

from alkahest.extend import hookimpl

ALKAHEST_API = 1


@hookimpl
def alkahest_lowerings(target, flavour):
    """Set no rule."""
