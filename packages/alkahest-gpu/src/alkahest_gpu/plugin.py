"""What this distribution offers to Alkahest; imported when plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from alkahest.extend import BackendInfo, Cost, EmitterInfo, hookimpl

ALKAHEST_API = 1

INSTALL = "pip install ./packages/alkahest-core ./packages/alkahest-llvm ./packages/alkahest-gpu"


@hookimpl
def alkahest_backends() -> list[BackendInfo]:
    """Offer the tier `cuda`."""
    return [
        BackendInfo(
            name="cuda",
            factory="alkahest_gpu.backend:CudaBackend",
            targets=frozenset({"cuda"}),
            lowers="llvm",
            # Emitting PTX was measured; launch and per_op were not, for want of a device: `alkahest calibrate` will.
            cost=Cost(setup=3e-2, per_node=2e-4, launch=2e-4, per_op=2e-10),
            install=INSTALL,
            dtypes=frozenset({"f64", "f32"}),
        )
    ]


@hookimpl
def alkahest_emitters() -> list[EmitterInfo]:
    """Offer PTX as a text format."""
    return [
        EmitterInfo(
            name="ptx",
            factory="alkahest_gpu.nvptx:emit",
            description="a CUDA kernel as PTX, for sm_75 and later",
        )
    ]
