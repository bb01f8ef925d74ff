"""egglog's low-level bindings: the only module that touches egglog.

`import egglog` costs .3 to .8 s, nearly all of it for its high-level interface; the bindings alone load in a few
milliseconds. They are registered under their own name, because their initialiser must not run twice: a later
`import egglog` finds them there, and an earlier one is found here.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from typing import Any

from alkahest.errors import MissingPackageError

INSTALL = 'pip install "egglog>=13.2"'
_NAME = "egglog.bindings"
_USED = ("EGraph", "PanicSpan", "Call", "Lit", "Var", "Int", "Let", "Set", "Rule", "RuleCommand", "Run", "RunConfig")


class EngineFailure(Exception):
    """The engine could not do what it was told: an error of its own, or a panic."""


_lock = threading.RLock()
_loaded: dict[int, Any] = {}  # by process: a copy of its own after a fork


def bindings() -> Any:
    """Return the module of the bindings; raises `MissingPackageError` where egglog is missing or unsuitable."""
    found = _loaded.get(os.getpid())
    if found is None:
        with _lock:
            found = _loaded.get(os.getpid())
            if found is None:
                module = _load()
                missing = [name for name in _USED if not hasattr(module, name)]
                if missing:
                    raise _unsuitable(f"lacks {', '.join(missing)}")
                logging.getLogger("egglog").setLevel(logging.ERROR)  # it logs every command
                for quiet in ("egglog_bridge", "egglog_core_relations"):
                    logging.getLogger(quiet).setLevel(logging.ERROR)
                found = _loaded[os.getpid()] = module
    return found


def _load() -> Any:
    if _loaded:
        return _second_copy(_path())
    known = sys.modules.get(_NAME)
    return known if known is not None else _initialised(_path())


def _path() -> str:
    try:
        package = importlib.util.find_spec("egglog")  # which does not run the package
    except (ImportError, ValueError) as error:
        raise _unsuitable(str(error)) from error
    if package is None or not package.submodule_search_locations:
        raise MissingPackageError("the simplifier's e-graph needs the package egglog.", remedy=f"Run {INSTALL}.")
    for folder in package.submodule_search_locations:
        for name in sorted(os.listdir(folder)):
            if name.startswith("bindings.") and name.endswith((".so", ".pyd")):
                return os.path.join(folder, name)
    raise _unsuitable("has no bindings")


def _initialised(path: str, register: bool = True) -> Any:
    loader = ExtensionFileLoader(_NAME, path)
    spec = importlib.util.spec_from_file_location(_NAME, path, loader=loader)
    try:
        if spec is None:
            raise ImportError(f"{path} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise _unsuitable(str(error)) from error
    if register:
        sys.modules[_NAME] = module
    return module


def _second_copy(path: str) -> Any:
    """Return the bindings from a copy of their file, for a process that was forked after they had been used.

    The engine's worker threads do not survive a fork, and whoever waits for them waits for ever; a file of another
    name is loaded with threads of its own.
    """
    with tempfile.TemporaryDirectory(prefix="alkahest-") as folder:
        copy = os.path.join(folder, os.path.basename(path))
        shutil.copyfile(path, copy)
        return _initialised(copy, register=False)


def _unsuitable(reason: str) -> MissingPackageError:
    return MissingPackageError(f"the installed egglog cannot be used: {reason}.", remedy=f"Run {INSTALL}.")


# ------------------------------------------------------------------------------------------------------- running


def run(graph: Any, commands: Sequence[Any]) -> list[Any]:
    """Run commands in one e-graph and return their outputs; whatever goes wrong in there is an `EngineFailure`."""
    try:
        with _quiet():
            return graph.run_program(*commands)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # a panic is no Exception
        raise EngineFailure(f"{type(error).__name__}: {error}") from None


def parsed(graph: Any, text: str) -> list[Any]:
    """Return the commands that a text says."""
    try:
        with _quiet():
            return graph.parse_program(text)
    except Exception as error:
        raise EngineFailure(f"{type(error).__name__}: {error}") from None


class _Aside:
    """Where the error stream's descriptor leads while the engine runs in any thread: panics write to it themselves."""

    def __init__(self) -> None:
        self.users = 0
        self.kept = -1
        self.file: Any = None


_aside = _Aside()


def _after_fork() -> None:
    """In a child: nobody else runs the engine, and nobody else will let go of the lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()
    if _aside.users and _aside.kept >= 0:
        os.dup2(_aside.kept, 2)
        os.close(_aside.kept)
    _aside.users, _aside.kept, _aside.file = 0, -1, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def _quiet() -> Generator[None]:
    """Keep what a panic writes from the error stream; what others wrote meanwhile is passed on."""
    failed = False
    _enter()
    try:
        yield
    except BaseException:
        failed = True
        raise
    finally:
        _leave(failed)


def _enter() -> None:
    with _lock:
        _aside.users += 1
        if _aside.users > 1:
            return
        try:
            if _aside.file is None:
                _aside.file = tempfile.TemporaryFile()  # noqa: SIM115
                atexit.register(_aside.file.close)
            _aside.kept = os.dup(2)
            os.dup2(_aside.file.fileno(), 2)
        except OSError:  # no error stream, or no place for a file: then it is not kept quiet
            _aside.kept = -1


def _leave(failed: bool) -> None:
    with _lock:
        _aside.users -= 1
        if _aside.users or _aside.kept < 0:
            return
        os.dup2(_aside.kept, 2)
        os.close(_aside.kept)
        _aside.kept = -1
        if _aside.file.seek(0, os.SEEK_END):
            _aside.file.seek(0)
            text = _aside.file.read()
            _aside.file.seek(0)
            _aside.file.truncate()
            start = text.find(b"\nthread '") if failed else -1
            os.write(2, text if start < 0 else text[:start])
