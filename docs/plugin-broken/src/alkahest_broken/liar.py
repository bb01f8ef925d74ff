"""Describes a tier in its own words."""

from alkahest.extend import hookimpl

ALKAHEST_API = 1


@hookimpl
def alkahest_backends():
    """Return what is no list of BackendInfo."""
    return [{"name": "liar", "factory": "alkahest_broken.liar:Backend"}]
