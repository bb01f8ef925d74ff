"""What this distribution offers to Alkahest; imported when plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from alkahest.extend import BackendInfo, Cost, hookimpl

ALKAHEST_API = 1

# From `alkahest calibrate` on 2026-11-21, one core of a Xeon with AVX-512.
FAST = Cost(setup=1.1e-4, per_node=1.3e-6, launch=3.8e-8, per_op=3.6e-9)
OPTIMISED = Cost(setup=1.05e-2, per_node=2.9e-5, launch=3.5e-8, per_op=2.7e-9)


@hookimpl
def alkahest_backends() -> list[BackendInfo]:
    """Offer the two CPU tiers."""
    return [
        _tier("llvm-fast", "blocks.backend:LLVMFastBackend", FAST),
        _tier("llvm", "backend:LLVMBackend", OPTIMISED),
    ]


def _tier(name: str, backend: str, cost: Cost) -> BackendInfo:
    return BackendInfo(
        name=name,
        factory=f"alkahest_llvm.{backend}",
        targets=frozenset({"cpu"}),
        lowers="llvm",
        cost=cost,
        install="pip install ./packages/alkahest-core ./packages/alkahest-llvm",
        dtypes=frozenset({"f64", "f32"}),
    )


@hookimpl
def alkahest_lowerings(target: str) -> None:
    """Set the rules of the built-in primitives for LLVM."""
    if target == "llvm":
        from alkahest_llvm.emitting.lowering import register

        register()
