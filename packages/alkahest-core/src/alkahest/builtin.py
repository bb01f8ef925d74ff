"""Core's own plugin: the interpreter, registered through the same hook as everybody's backends."""

from __future__ import annotations

from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import BackendInfo, Cost

ALKAHEST_API = 1


@hookimpl
def alkahest_backends() -> list[BackendInfo]:
    """Describe the interpreter."""
    return [
        BackendInfo(
            name="interpreter",
            factory="alkahest.compile.interpreter:InterpreterBackend",
            targets=frozenset({"cpu"}),
            cost=Cost(setup=2e-6, per_node=2e-7, launch=2e-6, per_op=2e-7),
            dtypes=frozenset({"f64", "f32"}),
        )
    ]
