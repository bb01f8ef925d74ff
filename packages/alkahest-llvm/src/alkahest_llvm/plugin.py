"""What this distribution offers to Alkahest; imported when plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from alkahest.extend import BackendInfo, Cost, hookimpl

ALKAHEST_API = 1


@hookimpl
def alkahest_backends() -> list[BackendInfo]:
    """Offer the two CPU tiers."""
    targets, dtypes = frozenset({"cpu"}), frozenset({"f64", "f32"})
    install = "pip install ./packages/alkahest-core ./packages/alkahest-llvm"
    return [
        BackendInfo(
            name="llvm-fast",
            factory="alkahest_llvm.backend:LLVMFastBackend",
            targets=targets,
            lowers="llvm",
            cost=Cost(setup=1.5e-3, per_node=1.5e-5, launch=2e-6, per_op=6e-10),
            install=install,
            dtypes=dtypes,
        ),
        BackendInfo(
            name="llvm",
            factory="alkahest_llvm.backend:LLVMBackend",
            targets=targets,
            lowers="llvm",
            cost=Cost(setup=3e-3, per_node=5e-5, launch=2e-6, per_op=4e-10),
            install=install,
            dtypes=dtypes,
        ),
    ]


@hookimpl
def alkahest_lowerings(target: str) -> None:
    """Set the rules of the built-in primitives for LLVM."""
    if target == "llvm":
        from alkahest_llvm.lowering import register

        register()
