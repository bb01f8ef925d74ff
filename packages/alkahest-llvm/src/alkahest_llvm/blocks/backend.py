"""The fast-compile tier."""

from __future__ import annotations

from typing import ClassVar

from alkahest_llvm.backend import LLVMBackend


class LLVMFastBackend(LLVMBackend):
    """The fast-compile tier: kernels are called, and code generation does no more than it must."""

    level: ClassVar[int] = 0
    inlined_kernels: ClassVar[int] = -1
