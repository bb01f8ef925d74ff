"""The hooks a plugin may implement: this page is the manual for plugin authors.

A plugin is a module named by an entry point of the group `alkahest.plugins`. It states `ALKAHEST_API = 1`
and marks functions with `hookimpl`. It is imported when plugins are first listed, so it must import nothing
heavy. A hook may take fewer arguments than are listed here, never others. What a plugin raises, or gives in
the wrong form, goes into its record (`alkahest plugins` shows it) and stops neither user nor other plugins.

    ALKAHEST_API = 1

    @hookimpl
    def alkahest_emitters():
        return [EmitterInfo(name="rpn", factory="my_package.rpn:emit", description="reverse Polish notation")]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alkahest.plugins.infos import BackendInfo, EmitterInfo, ExecutorInfo

PROJECT = "alkahest"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def alkahest_backends() -> list[BackendInfo]:
    """Describe the tiers this distribution offers, one `BackendInfo` each.

    Building the list must not import the compiler: name it by an import string in `factory`, which is loaded
    the first time dispatch considers the tier.
    """
    return []


@hookspec
def alkahest_primitives(registry: Callable[..., Any]) -> None:
    """Declare new scalar primitives; `registry` is `alkahest.extend.scalar_p`. Called once.

    Where they are declared in a module of yours, at its import, importing that module here is enough.
    """


@hookspec
def alkahest_lowerings(target: str) -> None:
    """Set lowering rules in `lowering_rules(target)`; called once per target, when it is first used."""


@hookspec
def alkahest_emitters() -> list[EmitterInfo]:
    """Describe the text formats this distribution can write, one `EmitterInfo` each."""
    return []


@hookspec
def alkahest_executors() -> list[ExecutorInfo]:
    """Describe who this distribution can let answer calls to language models, one `ExecutorInfo` each.

    Building the list must not import the provider's library: name it by an import string in `factory`, which
    is loaded when the first call is routed to it.
    """
    return []


@hookspec
def alkahest_rewrites() -> list[Any]:
    """Return identities for the simplifier: `alkahest.extend.Identity`, written with ordinary alkahest functions.

    Called once, when the simplifier first looks for identities. An identity whose sides differ anywhere in its domain
    makes results wrong: `alkahest.testing.identities.check_identity` looks for such points.
    """
    return []


@hookspec(firstresult=True)
def alkahest_rank(features: Any, config: Any, candidates: Sequence[Any]) -> Sequence[Any] | None:
    """Return the usable `candidates` in a preferred order, or None to keep the order of predicted cost.

    The first plugin that answers wins, so a site can install its policy as a plugin.
    """
