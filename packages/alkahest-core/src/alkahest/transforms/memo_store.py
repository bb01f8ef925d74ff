"""Results on disk: a diskcache store of JSON text, used from one thread of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from alkahest.base.prim import Prim
from alkahest.errors import ConfigError, FileFormatError, MemoError, SchemaError

FORMAT = 1
_FILE = "cache.db"


class _Inexact(ValueError):
    """JSON cannot carry a value exactly."""


def to_data(value: Any) -> Any:
    """Return `value` as JSON can write it and `from_data` reads it back; other types raise `ValueError`."""
    cls = value.__class__
    if value is None or cls in (str, int, float, bool):
        return value
    if cls is list or cls is tuple:
        return {cls.__name__: [to_data(item) for item in value]}
    if cls is dict and all(key.__class__ is str for key in value):
        return {"dict": {key: to_data(item) for key, item in value.items()}}
    raise _Inexact(f"a {cls.__name__}")


def from_data(data: Any) -> Any:
    """Return the value that `to_data` wrote; anything else raises `ValueError`."""
    if isinstance(data, list):
        raise ValueError("a bare list")
    if not isinstance(data, dict):
        return data
    ((kind, content),) = cast("dict[str, Any]", data).items()
    if kind == "dict":
        return {key: from_data(item) for key, item in content.items()}
    if kind not in ("list", "tuple") or not isinstance(content, list):
        raise ValueError(f"a {kind}")
    items = [from_data(item) for item in cast("list[Any]", content)]
    return tuple(items) if kind == "tuple" else items


def _param_data(name: str, value: Any) -> Any:
    if isinstance(value, Prim):
        return {"prim": value.name}
    if name == "schema":
        from alkahest.prims.schema import schema_to_data

        return {"schema": schema_to_data(value)}
    return to_data(value)


def _text(data: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(data, allow_nan=False, sort_keys=sort_keys, separators=(",", ":"))


# What says that a value cannot be written exactly: its type, infinities, an int of too many digits, depth, a schema.
_UNWRITABLE = (ValueError, RecursionError, SchemaError)
_UNREADABLE = (ValueError, RecursionError, AttributeError, TypeError)


class Store:
    """A directory of results. All calls go through one thread, which owns the connection to the database.

    So no event loop waits for a disk, and closing leaves nothing open. After `close`, and in a forked process, nothing
    is found and nothing is kept.
    """

    def __init__(self, path: str | os.PathLike[str], *, salt: str = "", size_limit: int = 2**30) -> None:
        if not isinstance(salt, str):
            raise ConfigError(f"salt= of memoize is a {type(salt).__name__}.", remedy="Pass a str.")
        if not isinstance(size_limit, int) or isinstance(size_limit, bool) or size_limit < 1:
            raise ConfigError(f"size_limit= of memoize is {size_limit!r}.", remedy="Pass a positive number of bytes.")
        self.path = _directory(path)
        self._salt = salt
        self._size_limit = size_limit
        self._cache: Any = None
        self._pid = os.getpid()
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, thread_name_prefix="alkahest-memo")
        try:
            problem = self._thread.submit(self._open).result()
        except BaseException:
            self.close()
            raise
        _warn(problem)

    def digest(self, prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> str | None:
        """Return the key of a call, or None where JSON cannot carry its inputs or parameters."""
        try:
            data = {
                "format": FORMAT,
                "salt": self._salt,
                "prim": prim.name,
                "inputs": to_data(in_tree),
                "params": {name: _param_data(name, value) for name, value in params.items()},
            }
            return hashlib.sha256(_text(data, sort_keys=True).encode()).hexdigest()
        except _UNWRITABLE:
            return None

    def get(self, digest: str) -> tuple[bool, Any]:
        """Return whether there is a result, and the result."""
        work = self._submit(self._get, digest)
        return (False, None) if work is None else _told(work.result())

    async def aget(self, digest: str) -> tuple[bool, Any]:
        """Return whether there is a result, and the result, without blocking the event loop."""
        work = self._submit(self._get, digest)
        return (False, None) if work is None else _told(await asyncio.wrap_future(work))

    def put(self, digest: str, value: Any) -> None:
        """Keep a result, where JSON can carry it."""
        work = self._submit_put(digest, value)
        if work is not None:
            _warn(work.result())

    async def aput(self, digest: str, value: Any) -> None:
        """Keep a result, where JSON can carry it, without blocking the event loop."""
        work = self._submit_put(digest, value)
        if work is not None:
            _warn(await asyncio.wrap_future(work))

    def close(self) -> None:
        """Close the database and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None and self._pid == os.getpid():
            thread.submit(self._close).result()
            thread.shutdown()

    def _submit(self, work: Callable[..., Any], *args: Any) -> Future[Any] | None:
        thread = self._thread
        if thread is None or self._pid != os.getpid():  # the thread did not come along into a forked process
            return None
        try:
            return thread.submit(work, *args)
        except RuntimeError:  # closed since
            return None

    def _submit_put(self, digest: str, value: Any) -> Future[Any] | None:
        try:
            text = _text(to_data(value))
        except _UNWRITABLE:
            return None
        return self._submit(self._put, digest, text)

    # --------------------------------------------------------------------------------- in the store's thread

    def _open(self) -> str:
        try:
            self._cache = _opened(self.path, self._size_limit)
        except (sqlite3.Error, OSError) as error:
            if error.__class__ is sqlite3.DatabaseError:
                return self._rebuild(error)
            raise _unusable(self.path, error) from error
        return ""

    def _close(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.close()

    def _rebuild(self, error: Exception) -> str:
        """Move a damaged database aside and begin a new one; return what to warn of."""
        self._close()
        try:
            if not _sound(self.path):  # another process may have mended it by now
                os.replace(self.path / _FILE, self.path / f"{_FILE}.damaged")
                for suffix in ("-wal", "-shm"):
                    (self.path / (_FILE + suffix)).unlink(missing_ok=True)
            self._cache = _opened(self.path, self._size_limit)
        except (OSError, sqlite3.Error) as second:
            return (
                f"the memo in {self.path} is damaged ({error}) and could not be begun anew ({second}); "
                "results are kept in memory only."
            )
        return (
            f"the memo in {self.path} was damaged ({error}); it was moved to {_FILE}.damaged and a new one was begun."
        )

    def _get(self, digest: str) -> tuple[bool, Any, str]:

        if self._cache is None:
            return False, None, ""
        try:
            text = self._cache.get(digest)
            return (False, None, "") if text is None else (True, from_data(json.loads(text)), "")
        except (FileFormatError, *_UNREADABLE) as error:
            return False, None, self._drop(digest, error)
        except Exception as error:
            return False, None, self._trouble(error, "read")

    def _put(self, digest: str, text: str) -> str:
        if self._cache is None:
            return ""
        try:
            self._cache.set(digest, text)
        except Exception as error:
            return self._trouble(error, "written")
        return ""

    def _drop(self, digest: str, error: Exception) -> str:
        try:
            self._cache.delete(digest)
        except Exception as second:
            return self._trouble(second, "written")
        return f"an entry of the memo in {self.path} cannot be read ({error}); it was dropped, and is made anew."

    def _trouble(self, error: Exception, what: str) -> str:
        """Return what to warn of where the database raised `error`: answers must not be lost to a full disk."""
        from alkahest.transforms.memo_disk import Timeout

        if error.__class__ is sqlite3.DatabaseError:  # a damaged file; what is busy or full raises subclasses
            return self._rebuild(error)
        if isinstance(error, sqlite3.Error | OSError | Timeout):
            return f"the memo in {self.path} could not be {what} ({type(error).__name__}: {error})."
        raise error


def _directory(path: Any) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except TypeError:
        raise MemoError(
            f"the path of a memo is a {type(path).__name__}.", remedy="Pass the path of a directory."
        ) from None


def _opened(path: Path, size_limit: int) -> Any:
    from alkahest.transforms.memo_disk import Cache, TextDisk

    cache = Cache.__new__(Cache)
    try:
        cache.__init__(str(path), disk=TextDisk, size_limit=size_limit)
    except BaseException:
        if hasattr(cache, "_local"):  # the connection is open before the first statement fails
            cache.close()
        raise
    return cache


def _sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path / _FILE)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        return False


def _unusable(path: Path, error: Exception) -> MemoError:
    return MemoError(
        f"no memo can be kept in {path}: {error}.", remedy="Pass a directory that can be made and written."
    )


def _told(answer: tuple[bool, Any, str]) -> tuple[bool, Any]:
    found, value, problem = answer
    _warn(problem)
    return found, value


def _warn(problem: str) -> None:
    if problem:
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
