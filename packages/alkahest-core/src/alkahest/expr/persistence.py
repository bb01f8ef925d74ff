"""Pools as files, and expressions as plain data for pickle.

In a file of blocks (`base/block_file.py`) the first describes the pool and each further one holds nodes in order of
their ids. Integers are hexadecimal text, since JSON readers disagree on large ones.
"""

from __future__ import annotations

import gc
import math
import os
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alkahest.base.block_file import Block, damaged, read_blocks, write_blocks
from alkahest.errors import UnknownFunctionError
from alkahest.expr.pool import CONSTANTS, DOMAINS, LEAVES, ExprPool, live_pool, number_node
from alkahest.expr.traversal import reachable
from alkahest.expr.vocabulary import known_arity

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import Node

KIND = "alkahest-pool"
FORMAT_VERSION = 1
_BLOCK_NODES = 4096

_lock = threading.Lock()  # one pool per uuid, whichever thread asks first


@contextmanager
def _without_collections() -> Generator[None]:
    """Let no garbage be collected: a million new tuples, none of them garbage, would be searched over and over."""
    enabled = gc.isenabled()
    if enabled:
        gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


# -- files


def save_pool(pool: ExprPool, path: str | os.PathLike[str]) -> None:
    """Write all nodes of `pool` to `path`, atomically: the file is complete or as it was before.

    Raises `FileAccessError` where no file can be written there.
    """
    write_blocks(path, KIND, FORMAT_VERSION, _contents(pool))


def _contents(pool: ExprPool) -> Iterator[Any]:
    nodes = pool._nodes
    count = len(nodes)  # other threads may add nodes while we write
    yield {"uuid": pool.uuid, "nodes": count}
    for start in range(0, count, _BLOCK_NODES):
        yield [_plain(n) for n in nodes[start : min(start + _BLOCK_NODES, count)]]


def _plain(node: Node) -> Node:
    kind = node[0]
    if kind in ("integer", "rational"):
        return (kind, *[f"{n:x}" for n in node[1:]])
    return (kind, node[1].hex()) if kind == "float" else node


def load_pool(path: str | os.PathLike[str]) -> ExprPool:
    """Return a new pool with the nodes of the file, under their ids.

    It has the uuid of the pool that was saved, so that pickled expressions of that pool find it; where such a pool
    is alive in this process, that one keeps the uuid and the new pool gets one of its own.

    A file that is damaged, cut off, of another kind or of a newer version raises `FileFormatError` with the
    offset; one that uses primitives which nothing here declares raises `UnknownFunctionError`.
    """
    with _without_collections():
        loaded, uuid = _read_pool(path)
    with _lock:
        if live_pool(uuid) is not None:
            return loaded
        # Only now may the pool be found by its uuid: nodes that others add must come after those of the file.
        pool = ExprPool(uuid=uuid)
        pool._nodes, pool._index, pool._symbols = loaded._nodes, loaded._index, loaded._symbols
    return pool


def _read_pool(path: str | os.PathLike[str]) -> tuple[ExprPool, str]:
    blocks = read_blocks(path, KIND, FORMAT_VERSION, written_by="pool.save")
    last = next(blocks, Block(0, None))
    uuid, count = _description(last)
    loaded = ExprPool()
    entry = _Entry(loaded)
    for last in blocks:
        if not isinstance(last.content, list):
            raise damaged("a block holds no nodes", last.offset)
        entry.add(last.content, last.offset)  # pyright: ignore[reportUnknownMemberType]
    if len(loaded) != count:
        raise damaged(f"it holds {len(loaded)} nodes where {count} were announced", last.offset)
    return loaded, uuid


def _description(block: Block) -> tuple[str, int]:
    content: Any = block.content
    if isinstance(content, dict):
        uuid, count = content.get("uuid"), content.get("nodes")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if isinstance(uuid, str) and isinstance(count, int):
            return uuid, count
    raise damaged("it lacks the description of the pool", block.offset)


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
            except UnknownFunctionError:
                raise
            except (TypeError, ValueError, LookupError, ArithmeticError):
                node = None
            if node is None or intern(node) != ident:
                raise damaged(f"node {ident} makes no sense", offset)
            ident += 1

    def _node(self, item: list[Any], ident: int) -> Node | None:
        kind = item[0]
        if item.__class__ is not list or kind.__class__ is not str:
            return None
        if kind == "symbol":
            return self._symbol(*item[1:])
        if kind in LEAVES:
            return _leaf(kind, item[1:])
        if (kind, len(item)) not in self._shapes:
            self._check_operation(kind, len(item))
        for k in range(1, len(item)):
            child = item[k]
            if child.__class__ is not int or not 0 <= child < ident:
                return None
        return tuple(item)

    def _symbol(self, name: Any, domain: Any) -> Node | None:
        if domain not in DOMAINS:
            return None
        self._pool.symbol(name, domain)  # refuses what can be no name, with a ValueError
        return ("symbol", name, domain)

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
        pool = live_pool(uuid)
        if pool is None:  # an empty pool counts as false
            pool = ExprPool(uuid=uuid)
    intern = pool._intern
    ids: list[int] = []
    with _without_collections():
        for node in nodes:
            ids.append(intern(node if node[0] in LEAVES else (node[0], *[ids[c] for c in node[1:]])))
    return [pool._expr(ids[r]) for r in roots]


def unpack_expr(packed: tuple[str, list[Node], list[int]]) -> Expr:
    """Return the one expression that `pack_exprs` packed."""
    return unpack_exprs(packed)[0]
