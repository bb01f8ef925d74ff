"""Generated code on disk, for all processes of one user: found by key, safe to share, safe to lose.

One file per entry, named by the SHA-256 of its key. It is written beside its place and then renamed, so that a reader
finds all of it or nothing. What is read is checked (the whole key, and a SHA-256 of everything), because what a power
cut, a bad disk or another program left must not be run. Nothing waits for the disk: an entry that is lost is made anew.

Machine code runs with its user's rights. So the folder is the user's alone, and folders and files that belong to
somebody else, or that others may write, are not used.

Files beat the libraries for this. Importing diskcache takes 40 ms (`python -X importtime -c "import diskcache"`) and
opening its database 4 ms more (`python -m timeit -n1 -r5 -s "import diskcache" "diskcache.Cache('c')"`), where a warm
load of code may take 3 in all; a file is read and checked in a twentieth of a millisecond. platformdirs would replace
ten lines by a dependency.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from alkahest import __version__, settings
from alkahest.errors import FileAccessError

FORMAT_VERSION = 1
DEFAULT_BYTES = 256 << 20

_MOST_DIGITS = 18  # of a number of bytes; there is no larger disk
_MAGIC = f"alkahest-code {FORMAT_VERSION:>2}".encode()
_LENGTHS = struct.Struct("<QQ")  # of the key and of the data
_DIGEST_BYTES = 32
_HEADER_BYTES = len(_MAGIC) + _DIGEST_BYTES + _LENGTHS.size

_NAME_DIGITS = 64
_PARTIAL = ".partial"
_ABANDONED_AFTER = 3600.0  # seconds: nobody takes so long to write one entry
_RECENT = 60.0  # seconds: uses within them count as one, so that reading hardly ever writes

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class StoreInfo:
    """The state of a store. `problems` are sentences; a `limit` of 0 means that it is switched off.

    `entries` and `bytes` count what is there, `damaged` those entries among them that will be ignored and replaced.
    `hits` and `misses` are this process's.
    """

    directory: str
    limit: int
    entries: int
    bytes: int
    damaged: int
    hits: int
    misses: int
    problems: tuple[str, ...]


class CodeStore:
    """Entries of bytes by key in one folder, about `limit` bytes of them; 0 keeps nothing.

    `get` and `put` never raise for what is wrong with the disk or the folder: then an entry is merely not there, and
    `info().problems` says why. Any number of processes and threads may use one folder.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     store = CodeStore(Path(folder) / "code")
    ...     store.put("a key", b"some code")
    ...     store.get("a key"), store.get("another")
    (b'some code', None)
    """

    def __init__(self, directory: Path | None, limit: int = DEFAULT_BYTES, fault: str = "") -> None:
        self.directory = directory
        self.limit = 0 if directory is None else limit
        self.hits = 0
        self.misses = 0
        self._fault = fault  # of the settings
        self._failure = ""  # of the last write
        self._prefix = f"{directory}{os.sep}"
        self._trusted = False
        self._unseen = 0  # bytes written since the folder was last listed

    def get(self, key: str) -> bytes | None:
        """Return the data last put under `key`, or None where there is none that can be trusted."""
        found = self._find(_full(key)) if self.limit and self._usable() else None
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key` if that is possible; the least recently used entries make room for it."""
        full = _full(key)
        entry = _pack(full, data)
        if len(entry) > self.limit:
            return
        name = _name(full)
        try:
            self._write(name, entry)
            self._make_room(name, len(entry))
            self._failure = ""
        except FileNotFoundError:  # folder or file was removed meanwhile
            self._trusted = False
        except OSError as error:
            self._failure = self._explain(error)

    def info(self) -> StoreInfo:
        """Return what is in the store and what is wrong with it, having read all entries and tried to write one."""
        entries = size = damaged = 0
        for file in self._files():
            found = _read(file.path, file.size)
            if not file.partial and found is not None:
                entries += 1
                size += file.size
                content = _unpack(found[0])
                damaged += content is None or _name(content[0]) != os.path.basename(file.path)
        problems = [text for text in (self._fault, self._failure, self._trial()) if text]
        where = "" if self.directory is None else str(self.directory)
        unique = tuple(dict.fromkeys(problems))
        return StoreInfo(where, self.limit, entries, size, damaged, self.hits, self.misses, unique)

    def clear(self) -> int:
        """Remove all entries and return their number; raises `FileAccessError` where one cannot be removed.

        Who reads an entry at that moment has all of it.
        """
        removed = 0
        for file in self._files():
            try:
                os.unlink(file.path)
            except FileNotFoundError:  # another process was quicker
                continue
            except OSError as error:
                raise FileAccessError(
                    f"{file.path} cannot be removed: {error.strerror}.",
                    remedy="Check the permissions of that folder.",
                ) from error
            removed += not file.partial
        return removed

    # -- reading

    def _find(self, full: bytes) -> bytes | None:
        path = self._prefix + _name(full)
        found = _read(path, self.limit)
        content = None if found is None else _unpack(found[0])
        if found is None or content is None or content[0] != full:
            return None
        if time.time() - found[1] > _RECENT:
            with suppress(OSError):  # a folder that may only be read is of use all the same
                os.utime(path)
        return content[1]

    def _usable(self) -> bool:
        if not self._trusted:
            try:
                self._trusted = _only_ours(os.stat(self._prefix))
            except OSError:
                return False
        return self._trusted

    # -- writing

    def _write(self, name: str, entry: bytes) -> None:
        if not self._trusted:
            os.makedirs(self._prefix, mode=0o700, exist_ok=True)
            if not self._usable():
                raise PermissionError(errno.EPERM, "it is not this user's alone")
        path = self._prefix + name
        partial = f"{path}.{os.getpid()}-{os.urandom(8).hex()}{_PARTIAL}"
        handle = os.open(partial, _WRITE, 0o600)
        try:
            try:
                rest = memoryview(entry)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            finally:
                os.close(handle)
            os.replace(partial, path)
        except BaseException:
            _remove(partial)
            raise

    def _explain(self, error: OSError) -> str:
        """Return why nothing can be kept, and what to do, after an attempt that failed."""
        self._trusted = False
        if os.path.isdir(self._prefix) and not self._usable():
            return (
                f"{self.directory} belongs to somebody else, or others may write to it, so the code in it is not run. "
                "Make it yours alone (chmod 700), or set ALKAHEST_CACHE_DIR to another folder."
            )
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        return (
            f"{self.directory} cannot be written: {'a file stands in its way' if in_the_way else error.strerror}. "
            "Functions work, but every process compiles them again. "
            "Make room, see to the permissions, or set ALKAHEST_CACHE_DIR to another folder."
        )

    def _make_room(self, name: str, size: int) -> None:
        """Remove the least recently used entries if there may be too many.

        The folder is listed after a sixteenth of the limit was written. Other processes write too, and many live for
        one entry only: so each entry also stands its share of the chance that the folder is listed, and its name,
        which is as good as random, decides.
        """
        self._unseen += size
        share = self.limit // 16
        if self._unseen < share and int(name[:8], 16) * share >= size << 32:
            return
        self._unseen = 0
        files = sorted(self._files(), key=lambda file: file.used)
        excess = sum(file.size for file in files) - self.limit
        if excess > 0:
            excess += self.limit // 8
        for file in files:
            if excess > 0 or (file.partial and time.time() - file.used > _ABANDONED_AFTER):
                _remove(file.path)
                excess -= file.size

    def _files(self) -> Iterator[_File]:
        """Yield the files of this store in the folder, whole and partial ones."""
        if self.directory is None:
            return
        try:
            listed = os.scandir(self._prefix)
        except OSError:
            return
        with listed:
            for entry in listed:
                partial = entry.name.endswith(_PARTIAL)
                if partial or len(entry.name) == _NAME_DIGITS:
                    with suppress(OSError):  # removed since it was listed
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            yield _File(entry.path, status.st_size, status.st_mtime, partial)

    def _trial(self) -> str:
        """Return why nothing can be kept, found by trying, or nothing."""
        if not self.limit:
            return ""
        name = f"trial{_PARTIAL}"
        try:
            self._write(name, bytes(1 << 16))
            os.unlink(self._prefix + name)
        except OSError as error:
            return self._explain(error)
        return ""


@dataclass(frozen=True)
class _File:
    """A file of the store: `used` is when it was last used, in seconds since 1970."""

    path: str
    size: int
    used: float
    partial: bool


def code_store() -> CodeStore:
    """Return the store of this user, as the settings are now.

    It is in the folder `code` of `ALKAHEST_CACHE_DIR`, else of the platform's place for caches, and holds about
    `ALKAHEST_CACHE_BYTES` bytes, 256 MiB where that is not set.

    >>> code_store() is code_store()
    True
    """
    return _store(settings.cache_directory(), settings.cache_bytes())


@lru_cache(maxsize=8)
def _store(directory: str | None, size: str | None) -> CodeStore:
    limit, fault = DEFAULT_BYTES, ""
    if size is not None:
        if size.isdecimal():
            limit = int(size) if len(size) <= _MOST_DIGITS else sys.maxsize
        else:
            fault = f"ALKAHEST_CACHE_BYTES is {size!r}, which is no number of bytes: {DEFAULT_BYTES} is used instead."
    try:
        folder = Path(directory).expanduser() if directory else default_directory()
    except RuntimeError as error:
        return CodeStore(None, fault=f"No folder for generated code is known: {error} Set ALKAHEST_CACHE_DIR to one.")
    return CodeStore(folder.absolute() / "code", limit, fault)


def default_directory() -> Path:
    """Return the platform's place for what this user's programs may lose; raises `RuntimeError` where no home is known.

    Elsewhere than on Windows and macOS that is the XDG base directory specification's.
    """
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "alkahest" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "alkahest"
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "alkahest"


# -- one entry: what it is, whole key and checksum, then the key and the data


def _full(key: str) -> bytes:
    """Return the key with the version that made the entry: no other version has use for it."""
    return f"alkahest {__version__}\n{key}".encode()


def _name(full: bytes) -> str:
    return sha256(full).hexdigest()


def _pack(full: bytes, data: bytes) -> bytes:
    checked = b"".join((_LENGTHS.pack(len(full), len(data)), full, data))
    return b"".join((_MAGIC, sha256(checked).digest(), checked))


def _unpack(entry: bytes) -> tuple[bytes, bytes] | None:
    """Return key and data of an entry, or None where it is not exactly what was written."""
    if len(entry) < _HEADER_BYTES or not entry.startswith(_MAGIC):
        return None
    begin = _HEADER_BYTES - _LENGTHS.size
    if sha256(memoryview(entry)[begin:]).digest() != entry[len(_MAGIC) : begin]:
        return None
    middle = _HEADER_BYTES + _LENGTHS.unpack_from(entry, begin)[0]
    return entry[_HEADER_BYTES:middle], entry[middle:]


# -- files


def _read(path: str, limit: int) -> tuple[bytes, float] | None:
    """Return the content of a file and when it was last used, None where there is none of this user alone."""
    try:
        handle = os.open(path, _READ)
    except OSError:
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or not _only_ours(status) or status.st_size > limit:
            return None
        content = os.read(handle, status.st_size)
        return (content, status.st_mtime) if len(content) == status.st_size else None
    except OSError:
        return None
    finally:
        os.close(handle)


def _only_ours(status: os.stat_result) -> bool:
    """Return whether a file or folder is this user's and no other may write to it; Windows' own rules are trusted."""
    if os.name == "nt":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
