"""The tier as the auction sees it; imported when plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from alkahest.extend import BackendInfo, Cost, hookimpl

ALKAHEST_API = 1

INSTALL = "pip install ./packages/alkahest-core ./packages/alkahest-jax"


@hookimpl
def alkahest_backends() -> list[BackendInfo]:
    """Describe the tier `xla`."""
    return [
        BackendInfo(
            name="xla",
            factory="alkahest_jax.backend:XlaBackend",
            targets=frozenset({"xla"}),
            lowers="jax",
            # `alkahest calibrate`, 2026-11-21, 2 cores
            cost=Cost(setup=6e-2, per_node=3.8e-4, launch=2e-5, per_op=5e-9),
            install=INSTALL,
            dtypes=frozenset({"f64", "f32"}),
        )
    ]


@hookimpl
def alkahest_lowerings(target: str) -> None:
    """Set the rules of lowering target "jax": functions of JAX arrays."""
    if target == "jax":
        import alkahest_jax.rules  # noqa: F401 - sets them at its import
