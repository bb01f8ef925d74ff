"""Core's own plugin: the interpreter and the embedded model, registered through the hooks that everybody uses."""

from __future__ import annotations

from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import BackendInfo, Cost, ExecutorInfo

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


@hookimpl
def alkahest_executors() -> list[ExecutorInfo]:
    """Describe the embedded language model."""
    return [
        ExecutorInfo(
            name="local",
            factory="alkahest.models.local:LocalModels",
            models=("local/*",),
            description="the embedded deterministic model, without network or key",
        )
    ]
