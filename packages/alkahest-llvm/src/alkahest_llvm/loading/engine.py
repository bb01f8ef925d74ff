"""From IR text to machine code in this process, through LLVM's ORC JIT; object code is kept between processes."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any

from alkahest_llvm.loading.units import Unit, kept
from alkahest_llvm.targets import Target, host_target

# One compilation at a time: what is kept here is not made for several. A fork waits for its end, because the child has
# no thread that would end it.
lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)

# How often this process has compiled, as opposed to loaded what another had compiled.
compilations = 0

# An engine keeps some memory for every library it ever loaded, so after this many the next library gets a new one.
_LIBRARIES_PER_ENGINE = 256
_engines: list[_Engine] = []
_serial = count()

# What nobody uses any more; unloaded when the next library is loaded, by whoever holds the lock then: garbage is
# collected in the middle of anything.
_unused: deque[tuple[_Engine, Any]] = deque()


class _Engine:
    """One LLVM execution engine, which links objects, and the number of its libraries that are loaded."""

    def __init__(self) -> None:
        llvm = _initialised()
        machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
        # LLVM's newer linker takes a quarter of the time for large objects; for Windows it is not ready.
        self.lljit = llvm.create_lljit_compiler(machine, use_jit_link=sys.platform != "win32")
        self.ever = 0
        self.loaded = 0
        self.retired = False

    def unload(self, tracker: Any) -> None:
        """Unload a library; a retired engine goes with its last one."""
        tracker.close()
        self.loaded -= 1
        if self.retired and not self.loaded:
            self.lljit.close()


class Code:
    """Machine code that stays loaded while this object lives; `code[name]` is the address of an exported function."""

    def __init__(self, engine: _Engine, tracker: Any, exports: Sequence[str]) -> None:
        self._addresses: dict[str, int] = {name: tracker[name] for name in exports}
        # The finalizer alone holds the tracker, so that even in a cycle of garbage it goes before its engine does.
        weakref.finalize(self, _unused.append, (engine, tracker)).atexit = False

    def __getitem__(self, name: str) -> int:
        return self._addresses[name]


@cache
def prepare() -> Any:
    """Do once what LLVM takes to begin with, so that no function pays for it, and return the binding module."""
    llvm = _initialised()
    _fingerprint(host_target())
    with lock:
        _engine()
    return llvm


@cache
def _initialised() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def target_machine(level: int) -> Any:
    """Return LLVM's target machine for this host at a code generation level of 0 to 3; to be used under the lock."""
    return _target_machine(host_target(), level)


@cache
def _target_machine(host: Target, level: int) -> Any:
    # It is kept, because what it works out when it is first used takes as long as a kernel.
    llvm = prepare()
    triple = llvm.get_process_triple()
    layout: dict[str, str] = {}
    if level == 0 and triple.startswith("x86_64") and sys.platform != "win32":
        # LLVM's quick selection of instructions knows no calls and constants that are too far for 32 bits, which is
        # what code for a JIT is taken for. The linker puts all of an object close together, and goes on from there. The
        # quick way saves a third of the time; at the other levels it is not used, and some kernels get slower.
        layout = {"codemodel": "small", "reloc": "pic"}
    target = llvm.Target.from_triple(triple)
    return target.create_target_machine(cpu=host.cpu, features=host.features, opt=level, jit=True, **layout)


def machine() -> str:
    """Return what stands for this processor and this LLVM in the keys of code that is kept."""
    return _fingerprint(host_target())


@cache
def _fingerprint(host: Target) -> str:
    import llvmlite

    llvm = _initialised()
    described = (host, llvm.get_process_triple(), llvm.llvm_version_info, llvmlite.__version__)
    return sha256(repr(described).encode()).hexdigest()


def compile_object(text: str, level: int) -> bytes:
    """Return the object code of IR text, at a code generation level of 0 to 3; wrong text raises `RuntimeError`."""
    global compilations  # noqa: PLW0603 - a count for whoever wants to know
    with lock, prepare().parse_assembly(text) as module:  # not freed later, when the lock is not held
        compilations += 1
        return target_machine(level).emit_object(module)


def compile_text(text: str, level: int) -> Unit:
    """Return IR text as object code, compiled once by all processes of this user; errors as in `compile_object`."""
    key = f"text {sha256(text.encode()).hexdigest()} level {level} machine {machine()}"
    return kept(key, lambda: Unit(compile_object(text, level)))


def link(objects: Sequence[bytes], exports: Sequence[str], imports: Mapping[str, int]) -> Code:
    """Load objects that may call each other into this process; `imports` gives the addresses of what else they call.

    Several at a time take much less than one after the other.
    """
    with lock:
        engine = _engine()
        builder = prepare().JITLibraryBuilder().add_current_process()
        for code in objects:
            builder.add_object_img(code)
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        tracker = builder.link(engine.lljit, f"alkahest{next(_serial)}")
        engine.loaded += 1
        engine.ever += 1
        return Code(engine, tracker, exports)


def load(text: str, exports: Sequence[str], imports: Mapping[str, int], level: int) -> Code:
    """Load IR text into this process, compiled by it if no other has done so."""
    return link([compile_text(text, level).code], exports, imports)


def _engine() -> _Engine:
    """Return the engine in use; a full one is retired, and what is not used any more goes."""
    while _unused:
        owner, tracker = _unused.popleft()
        owner.unload(tracker)
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
    with lock, prepare().parse_assembly(text) as module:
        return target_machine(level).emit_assembly(module)
