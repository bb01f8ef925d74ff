"""Pools as files, and expressions as plain data for pickle.

A file is a line `alkahest-pool 1`, then blocks, each a line with the length and the CRC-32 of what follows (both as
eight hexadecimal digits) and that many bytes of JSON. The first block describes the pool, each further one holds
nodes in order of their ids, the last is `null`. Integers are hexadecimal text, since JSON readers disagree on large
ones. A file is written beside its place and moved there when it is complete.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from alkahest.errors import FileFormatError, UnknownFunctionError
from alkahest.expr.pool import CONSTANTS, DOMAINS, LEAVES, ExprPool, live_pool, number_node
from alkahest.expr.traversal import reachable
from alkahest.expr.vocabulary import known_arity

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import Node

FORMAT_VERSION = 1
_MAGIC = b"alkahest-pool "
_BLOCK_NODES = 4096
_HEADER = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8})\n")
_HEADER_BYTES = 18
_FIRST_LINE = re.compile(rb"alkahest-pool ([1-9][0-9]{0,8})\n")
_REMEDY = "Use an undamaged copy; the file was not changed."


_lock = threading.Lock()  # one pool per uuid, whichever thread asks first


# -- writing


def save_pool(pool: ExprPool, path: str | os.PathLike[str]) -> None:
    """Write all nodes of `pool` to `path`, atomically: the file is complete or as it was before."""
    target = Path(path)
    partial = target.with_name(f"{target.name}.{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            _write(file, pool)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: BufferedWriter, pool: ExprPool) -> None:
    nodes = pool._nodes
    count = len(nodes)  # other threads may add nodes while we write
    file.write(_MAGIC + f"{FORMAT_VERSION}\n".encode())
    _write_block(file, {"uuid": pool.uuid, "nodes": count})
    for start in range(0, count, _BLOCK_NODES):
        _write_block(file, [_plain(n) for n in nodes[start : min(start + _BLOCK_NODES, count)]])
    _write_block(file, None)


def _write_block(file: BufferedWriter, content: Any) -> None:
    payload = json.dumps(content, separators=(",", ":")).encode() + b"\n"
    file.write(f"{len(payload):08x} {zlib.crc32(payload):08x}\n".encode())
    file.write(payload)


def _plain(node: Node) -> Node:
    kind = node[0]
    if kind in ("integer", "rational"):
        return (kind, *[f"{n:x}" for n in node[1:]])
    return (kind, node[1].hex()) if kind == "float" else node


# -- reading


class _Block(NamedTuple):
    offset: int
    content: Any


def load_pool(path: str | os.PathLike[str]) -> ExprPool:
    """Return a new pool with the nodes of the file, under their ids.

    It has the uuid of the pool that was saved, so that pickled expressions of that pool find it; where such a pool
    is alive in this process, that one keeps the uuid and the new pool gets one of its own.

    A file that is damaged, cut off, of another kind or of a newer version raises `FileFormatError` with the
    offset; one that uses primitives which nothing here declares raises `UnknownFunctionError`.
    """
    blocks = _blocks(Path(path).read_bytes())
    first = next(blocks)
    uuid, count = _description(first)
    loaded = ExprPool()
    entry = _Entry(loaded)
    last = first
    for last in blocks:
        if last.content.__class__ is not list:
            break
        entry.add(last.content, last.offset)
    if last.content is not None or len(loaded) != count:
        raise _damaged(f"it holds {len(loaded)} nodes where {count} were announced", last.offset)
    with _lock:
        if live_pool(uuid) is not None:
            return loaded
        # Only now may the pool be found by its uuid: nodes that others add must come after those of the file.
        pool = ExprPool(uuid=uuid)
        pool._nodes, pool._index, pool._symbols = loaded._nodes, loaded._index, loaded._symbols
    return pool


def _damaged(what: str, offset: int) -> FileFormatError:
    return FileFormatError(f"this file is damaged: {what} (at byte {offset}).", remedy=_REMEDY, offset=offset)


def _blocks(raw: bytes) -> Iterator[_Block]:
    """Yield the blocks, checked; the last one, and nothing else, ends the file."""
    start = _first_line(raw)
    while True:
        header = _HEADER.fullmatch(raw, start, start + _HEADER_BYTES)
        if header is None:
            what = "it is cut off" if len(raw) < start + _HEADER_BYTES else "this is no header of a block"
            raise _damaged(what, min(start, len(raw)))
        begin = start + _HEADER_BYTES
        end = begin + int(header[1], 16)
        if end > len(raw):
            raise _damaged("it is cut off", len(raw))
        payload = raw[begin:end]
        if zlib.crc32(payload) != int(header[2], 16):
            raise _damaged("the checksum of a block does not match", start)
        try:
            content = json.loads(payload)
        except ValueError:
            raise _damaged("a block is no JSON", begin) from None
        if content is None and end < len(raw):
            raise _damaged("something follows its end", end)
        yield _Block(start, content)
        if content is None:
            return
        start = end


def _first_line(raw: bytes) -> int:
    """Check the first line; return where the blocks begin."""
    line = _FIRST_LINE.match(raw)
    if line is None:
        raise FileFormatError(
            "this file is no saved pool (at byte 0).", remedy="Pass a file that pool.save wrote.", offset=0
        )
    if int(line[1]) > FORMAT_VERSION:
        raise FileFormatError(
            f"this file has format {int(line[1])} and formats up to {FORMAT_VERSION} can be read here"
            f" (at byte {len(_MAGIC)}).",
            remedy="Update alkahest-core.",
            offset=len(_MAGIC),
        )
    return line.end()


def _description(block: _Block) -> tuple[str, int]:
    content: Any = block.content
    if isinstance(content, dict):
        uuid, count = content.get("uuid"), content.get("nodes")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if isinstance(uuid, str) and isinstance(count, int):
            return uuid, count
    raise _damaged("it lacks the description of the pool", block.offset)


class _Entry:
    """Enters nodes from a file into a new pool, checking each."""

    def __init__(self, pool: ExprPool) -> None:
        self._pool = pool
        self._shapes: set[tuple[str, int]] = set()  # operations known to exist, with their length as lists

    def add(self, items: list[Any], offset: int) -> None:
        """Append nodes under the next ids."""
        intern = self._pool._intern
        ident = len(self._pool)
        for item in items:
            try:
                node = self._node(item, ident)
            except (TypeError, ValueError, LookupError, ZeroDivisionError):
                node = None
            if node is None or intern(node) != ident:
                raise _damaged(f"node {ident} makes no sense", offset)
            ident += 1

    def _node(self, item: list[Any], ident: int) -> Node | None:
        kind = item[0]
        if kind in LEAVES:
            return _leaf(kind, item[1:])
        if (kind, len(item)) not in self._shapes:
            self._check_operation(kind, len(item))
        for k in range(1, len(item)):
            child = item[k]
            if child.__class__ is not int or not 0 <= child < ident:
                return None
        return tuple(item)

    def _check_operation(self, op: str, length: int) -> None:
        arity = known_arity(op)
        if arity is None:
            raise UnknownFunctionError(
                f"the file uses the primitive {op!r}, which nothing installed declares.",
                remedy="Install the plugin that declares it, and name it in ALKAHEST_PLUGINS where that is set.",
            )
        if arity != length - 1:
            raise LookupError(op)
        self._shapes.add((op, length))


def _leaf(kind: str, rest: list[Any]) -> Node | None:
    if kind == "rational":
        above, below = [int(digits, 16) for digits in rest]
        reduced = below > 1 and math.gcd(above, below) == 1
        return (kind, above, below) if reduced else None
    if kind == "symbol":
        name, domain = rest
        return (kind, name, domain) if isinstance(name, str) and domain in DOMAINS else None
    (only,) = rest
    if kind == "integer":
        return (kind, int(only, 16))
    if kind == "float":
        return number_node(float.fromhex(only))
    return (kind, only) if only in CONSTANTS else None


# -- pickle


def pack_exprs(pool: ExprPool, ids: Iterable[int]) -> tuple[str, list[Node], list[int]]:
    """Return what the expressions with these ids consist of, as plain data for `unpack_exprs`.

    It is the pool's uuid, the nodes they reach in ascending order with children as indexes of the list, and the
    index of each expression.
    """
    roots = list(ids)
    order = reachable(pool, roots)
    nodes = pool._nodes
    index = {ident: k for k, ident in enumerate(order)}
    packed: list[Node] = []
    for ident in order:
        node = nodes[ident]
        packed.append(node if node[0] in LEAVES else (node[0], *[index[c] for c in node[1:]]))
    return pool.uuid, packed, [index[r] for r in roots]


def unpack_exprs(packed: tuple[str, list[Node], list[int]]) -> list[Expr]:
    """Return the expressions that `pack_exprs` packed, in the pool of their uuid where it is alive, else in a new one.

    The new pool takes that uuid, so that whatever else of the old pool is unpacked while it lives joins it.
    """
    uuid, nodes, roots = packed
    with _lock:  # two threads must not make two pools of one uuid
        pool = live_pool(uuid) or ExprPool(uuid=uuid)
    intern = pool._intern
    ids: list[int] = []
    for node in nodes:
        ids.append(intern(node if node[0] in LEAVES else (node[0], *[ids[c] for c in node[1:]])))
    return [pool._expr(ids[r]) for r in roots]


def unpack_expr(packed: tuple[str, list[Node], list[int]]) -> Expr:
    """Return the one expression that `pack_exprs` packed."""
    return unpack_exprs(packed)[0]
