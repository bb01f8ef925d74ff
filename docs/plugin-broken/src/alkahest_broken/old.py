"""Written for another version of the interface."""

from alkahest.extend import hookimpl

ALKAHEST_API = 0


@hookimpl
def alkahest_backends():
    """Return no tiers."""
    return []
