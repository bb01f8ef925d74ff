"""Files made of checked blocks: how pools and caches are kept.

A file is a line such as `alkahest-pool 1`, the kind and its version, then blocks, each a line with the length and the
CRC-32 of what follows (both as eight hexadecimal digits) and that many bytes of JSON; the last block is `null`. A file
is written beside its place and moved there when it is complete.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from alkahest.errors import FileAccessError, FileFormatError

_HEADER = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8})\n")
_HEADER_BYTES = 18
_FIRST_LINE = re.compile(rb"(alkahest-[a-z]+) ([1-9][0-9]{0,8})\n")


class Block(NamedTuple):
    """One block of a file: where it begins, and what it holds."""

    offset: int
    content: Any


def damaged(what: str, offset: int) -> FileFormatError:
    """Return the error that tells what is wrong with a file, and where."""
    remedy = "Use an undamaged copy; the file was not changed."
    return FileFormatError(f"this file is damaged: {what} (at byte {offset}).", remedy=remedy, offset=offset)


# -- writing


def write_blocks(path: str | os.PathLike[str], kind: str, version: int, contents: Iterable[Any]) -> None:
    """Write `contents`, none of them None, as a file of `kind`, atomically: it is complete or as it was before.

    Raises `FileAccessError` where no file can be written at `path`.
    """
    target = Path(path)
    if not target.name:
        raise FileAccessError(f"{os.fspath(path)!r} names no file.", remedy="Pass the name of a file.")
    partial = target.with_name(f"{target.name}.{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(f"{kind} {version}\n".encode())
            for content in contents:
                _write_block(file, content)
            _write_block(file, None)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            # Its own text names the partial file, which is none of the caller's.
            raise _inaccessible(target, error) from None
        raise
    _sync_folder(target.parent)


def _inaccessible(target: Path, error: OSError) -> FileAccessError:
    folder = target.parent
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        return FileAccessError(f"{target} cannot be written: {folder} {what}.", remedy=f"Make the folder {folder}.")
    if target.is_dir():
        return FileAccessError(f"{target} is a folder.", remedy="Name a file in it.")
    return FileAccessError(
        f"{target} cannot be written: {error.strerror or error}.",
        remedy="Check the permissions and the free space of its folder.",
    )


def _write_block(file: BufferedWriter, content: Any) -> None:
    payload = json.dumps(content, separators=(",", ":")).encode() + b"\n"
    file.write(f"{len(payload):08x} {zlib.crc32(payload):08x}\n".encode())
    file.write(payload)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- reading


def read_blocks(path: str | os.PathLike[str], kind: str, version: int, *, written_by: str) -> Iterator[Block]:
    """Yield the blocks of a file of `kind`, each checked.

    A file that is damaged, cut off, of another kind or of a newer version raises `FileFormatError` with the offset.
    """
    raw = Path(path).read_bytes()
    start = _first_line(raw, kind, version, written_by)
    while True:
        header = _HEADER.fullmatch(raw, start, start + _HEADER_BYTES)
        if header is None:
            what = "it is cut off" if len(raw) < start + _HEADER_BYTES else "no block begins here"
            raise damaged(what, start)
        begin = start + _HEADER_BYTES
        end = begin + int(header[1], 16)
        if end > len(raw):
            raise damaged("it ends within the block that begins here", start)
        content = _content(raw[begin:end], int(header[2], 16), start)
        if content is None:
            if end < len(raw):
                raise damaged("something follows its end", end)
            return
        yield Block(start, content)
        start = end


def _content(payload: bytes, checksum: int, start: int) -> Any:
    if zlib.crc32(payload) != checksum:
        raise damaged("the checksum of a block does not match", start)
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):  # brackets a thousand deep are no JSON of ours
        raise damaged("a block is no JSON", start + _HEADER_BYTES) from None


def _first_line(raw: bytes, kind: str, version: int, written_by: str) -> int:
    """Check the first line; return where the blocks begin."""
    line = _FIRST_LINE.match(raw)
    if line is None or line[1] != kind.encode():
        raise FileFormatError(
            f"this file is no {kind} (at byte 0).", remedy=f"Pass a file that {written_by} wrote.", offset=0
        )
    if int(line[2]) > version:
        raise FileFormatError(
            f"this file has format {int(line[2])} and formats up to {version} can be read here "
            f"(at byte {len(kind) + 1}).",
            remedy="Update alkahest-core.",
            offset=len(kind) + 1,
        )
    return line.end()
