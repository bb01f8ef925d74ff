"""From IR text to machine code in this process, through LLVM's ORC JIT."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

from alkahest_llvm.targets import host_target

# One compilation at a time: what is kept here is not made for several.
lock = threading.RLock()

# An engine keeps some memory for every library it ever loaded, so after this many the next library gets a new one.
_LIBRARIES_PER_ENGINE = 256
_engines: list[_Engine] = []
_serial = count()


class _Engine:
    """One LLVM execution engine and the number of its libraries that are loaded."""

    def __init__(self) -> None:
        self.lljit = prepare().create_lljit_compiler(target_machine(0))
        self.ever = 0
        self.loaded = 0
        self.retired = False

    def unload(self, tracker: Any) -> None:
        """Unload a library; a retired engine goes with its last one."""
        with lock:
            tracker.close()
            self.loaded -= 1
            if self.retired and not self.loaded:
                self.lljit.close()


class Code:
    """Machine code that stays loaded while this object lives; `code[name]` is the address of an exported function."""

    def __init__(self, engine: _Engine, tracker: Any, exports: Sequence[str]) -> None:
        self._addresses: dict[str, int] = {name: tracker[name] for name in exports}
        # The finalizer alone holds the tracker, so that even in a cycle of garbage it goes before its engine does.
        weakref.finalize(self, engine.unload, tracker).atexit = False

    def __getitem__(self, name: str) -> int:
        return self._addresses[name]


@cache
def prepare() -> Any:
    """Initialise LLVM for this machine once and return the binding module."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def target_machine(level: int) -> Any:
    """Return a new LLVM target machine for this host at a code generation level of 0 to 3."""
    llvm, host = prepare(), host_target()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=host.cpu, features=host.features, opt=level, jit=True)


def compile_object(text: str, level: int) -> bytes:
    """Return the object code of IR text, at a code generation level of 0 to 3; wrong text raises `RuntimeError`."""
    with lock:
        module = prepare().parse_assembly(text)
        return target_machine(level).emit_object(module)


def link(code: bytes, exports: Sequence[str], imports: Mapping[str, int]) -> Code:
    """Load object code into this process; `imports` gives the addresses of functions it calls."""
    with lock:
        engine = _engine()
        builder = prepare().JITLibraryBuilder().add_object_img(code).add_current_process()
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        tracker = builder.link(engine.lljit, f"alkahest{next(_serial)}")
        engine.loaded += 1
        engine.ever += 1
        return Code(engine, tracker, exports)


def load(text: str, exports: Sequence[str], imports: Mapping[str, int], level: int) -> Code:
    """Compile IR text and load it into this process."""
    return link(compile_object(text, level), exports, imports)


def _engine() -> _Engine:
    """Return the engine in use; a full one is retired."""
    if _engines and _engines[-1].ever >= _LIBRARIES_PER_ENGINE:
        full = _engines.pop()
        full.retired = True
        if not full.loaded:
            full.lljit.close()
    if not _engines:
        _engines.append(_Engine())
    return _engines[-1]


def assembly(text: str, level: int) -> str:
    """Return the host assembly that `text` compiles to."""
    with lock:
        machine = target_machine(level)
        return machine.emit_assembly(prepare().parse_assembly(text))
