"""Alkahest on NVIDIA GPUs: PTX through LLVM, launched by the CUDA driver.

`emit_ptx` writes PTX anywhere; the tier `cuda` runs it where there is a driver and a device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alkahest_gpu.driver import CudaError as CudaError
    from alkahest_gpu.nvptx import emit_ptx as emit_ptx

_WHERE = {"CudaError": "alkahest_gpu.driver", "emit_ptx": "alkahest_gpu.nvptx"}

__all__ = ["CudaError", "emit_ptx"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'alkahest_gpu' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
