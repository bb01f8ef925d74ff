"""From IR text to machine code in this process, through LLVM's ORC JIT."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

from alkahest_llvm.targets import host_target

# LLVM's contexts are not shared between threads: one compilation at a time.
lock = threading.RLock()
_serial = count()


class Code:
    """Machine code that stays loaded while this object lives; `code[name]` is the address of an exported function."""

    def __init__(self, tracker: Any, parts: Sequence[Code] = ()) -> None:
        self._tracker = tracker
        self._parts = parts

    def __getitem__(self, name: str) -> int:
        return self._tracker[name]


@cache
def prepare() -> Any:
    """Initialise LLVM for this machine once and return the binding module."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def target_machine(level: int) -> Any:
    """Return an LLVM target machine for this host at a code generation level of 0 to 3."""
    llvm, host = prepare(), host_target()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=host.cpu, features=host.features, opt=level, jit=True)


@cache
def _jit(level: int) -> Any:
    return prepare().create_lljit_compiler(target_machine(level))


def load(text: str, exports: Sequence[str], imports: Mapping[str, int], level: int) -> Code:
    """Compile IR text and return its code; `imports` gives the addresses of functions it calls."""
    with lock:
        llvm = prepare()
        builder = llvm.JITLibraryBuilder().add_ir(text).add_current_process()
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        return Code(builder.link(_jit(level), f"alkahest{next(_serial)}"))


def assembly(text: str, level: int) -> str:
    """Return the host assembly that `text` compiles to."""
    with lock:
        machine = target_machine(level)
        return machine.emit_assembly(prepare().parse_assembly(text))
