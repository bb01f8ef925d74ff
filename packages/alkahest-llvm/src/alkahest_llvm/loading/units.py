"""Compiled code with what is needed to load it, and how it is kept between processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from alkahest.extend import code_store


class Unit(NamedTuple):
    """Object code that exports functions, and where there are many of them a table of their addresses.

    `listed` are the names of functions that are no exports, and whose addresses the first export lists: a name takes
    the linker longer than an address. `imports` are the kernels of the library that the code calls, as (name, width),
    and `python` what it uses of CPython. `frame_bytes` is the memory which batch code wants for itself. `origin` says
    whether this process "compiled" the code or "loaded" it.
    """

    code: bytes
    exports: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    imports: tuple[tuple[str, int], ...] = ()
    python: tuple[str, ...] = ()
    frame_bytes: int = 0
    origin: str = "compiled"


def kept(key: str, make: Callable[[], Unit]) -> Unit:
    """Return the unit that any process of this user kept under `key`, or else make it now and keep it.

    The key names all that the code depends on; `engine.machine()` and `sources()` are most of it.
    """
    store = code_store()
    stored = store.get(key)
    unit = None if stored is None else _decoded(stored)
    if unit is None:
        unit = make()
        store.put(key, _encoded(unit))
    return unit


def sources() -> str:
    """Return what stands for the sources of this package: code that other sources made is not used.

    Names, sizes and times do for the content, which takes several times as long to read.
    """
    return _SOURCES


def _source_files(package: Path) -> Iterator[str]:
    """Yield what changes with each file that the package is made of, or with the archive that holds it."""
    folders = [str(package)]
    beyond = len(folders[0])
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except (FileNotFoundError, NotADirectoryError):
            yield _stamp(next(parent for parent in package.parents if parent.exists()))
            return
        with entries:
            for entry in entries:
                if entry.name.endswith((".py", ".pyc")):
                    yield f"{entry.path[beyond:]} {_stamp(entry)}"
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)


def _stamp(file: os.DirEntry[str] | Path) -> str:
    # Installers may give all files one time of modification; the time of the last change of anything is the system's.
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _encoded(unit: Unit) -> bytes:
    """Return a unit as bytes: a line of JSON, then the object code."""
    facts = {name: value for name, value in unit._asdict().items() if name not in ("code", "origin")}
    return json.dumps(facts).encode() + b"\n" + unit.code


def _decoded(stored: bytes) -> Unit | None:
    """Return the unit that was stored, or None where the bytes are something else."""
    head, _, code = stored.partition(b"\n")
    try:
        facts: dict[str, Any] = json.loads(head)
        imports = tuple([(str(name), int(width)) for name, width in facts["imports"]])
        exports, listed, python = (tuple(map(str, facts[names])) for names in ("exports", "listed", "python"))
        return Unit(code, exports, listed, imports, python, int(facts["frame_bytes"]), "loaded")
    except (LookupError, TypeError, ValueError):
        return None


# Found out now, because what is imported now is what makes the code.
_SOURCES = sha256("\n".join(sorted(_source_files(Path(__file__).parents[1]))).encode()).hexdigest()
