"""`CompileCache`: compiled functions found again by expression in O(1), else by what their tape computes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from alkahest.compile.compiled import CompiledFn
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.functions import tape_of
from alkahest.errors import ConfigError, PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool

Key = tuple[Any, ...]


class CompileCache:
    """Compiled functions by expression and inputs, and by tape: two expressions that compute the same share one.

    At most `maxsize` functions are kept; the least recently used goes first. Safe to use from several threads.
    `save` and `load` carry the tapes to another session, where they are compiled at load.

    >>> from alkahest import ExprPool
    >>> pool = ExprPool()
    >>> x = pool.symbol("x")
    >>> cache = CompileCache()
    >>> cache.compile(x**2, [x], pool) is cache.compile(x**2, [x])
    True
    >>> cache.stats()
    {'len': 1, 'hits': 1, 'compiles': 1, 'hit_rate': 0.5}
    """

    def __init__(self, maxsize: int = 1024) -> None:
        if maxsize < 1:
            raise ConfigError(f"a cache of {maxsize} functions cannot hold any.", remedy="Pass maxsize >= 1.")
        self._maxsize = maxsize
        self._lock = threading.RLock()
        self._by_tape: OrderedDict[Key, CompiledFn] = OrderedDict()
        self._by_expr: OrderedDict[Key, Key] = OrderedDict()
        self._hits = 0
        self._compiles = 0

    def compile(
        self,
        expr: Expr | Sequence[Expr],
        inputs: Sequence[Expr],
        pool: ExprPool | None = None,
        config: CompileConfig | None = None,
    ) -> CompiledFn:
        """Return the compiled function of `expr`, compiling it only if nothing equal is there.

        `pool`, where given, must be the expression's own.
        """
        if pool is not None and isinstance(expr, Expr) and expr.pool is not pool:
            raise PoolMismatchError(
                "the expression is not of the given pool.", remedy="Pass the expression's pool, or none."
            )
        settings = config or CompileConfig()
        short = _short_key(expr, inputs, settings)
        with self._lock:
            key = self._by_expr.get(short)
            if key is None or key not in self._by_tape:
                tape = tape_of(expr, inputs)
                key = (tape.digest, tape.inputs, settings)
                self._remember(self._by_expr, short, key)
            found = self._by_tape.get(key)
            if found is not None:
                self._hits += 1
                self._by_tape.move_to_end(key)
                return found
            made = CompiledFn(tape_of(expr, inputs), settings)
            self._compiles += 1
            self._remember(self._by_tape, key, made)
            return made

    def _remember(self, table: OrderedDict[Key, Any], key: Key, value: Any) -> None:
        table[key] = value
        table.move_to_end(key)
        while len(table) > self._maxsize:
            table.popitem(last=False)

    def stats(self) -> dict[str, float]:
        """Return `len`, `hits`, `compiles` and `hit_rate`, hits over calls."""
        with self._lock:
            calls = self._hits + self._compiles
            rate = self._hits / calls if calls else 0.0
            return {
                "len": len(self._by_tape),
                "hits": self._hits,
                "compiles": self._compiles,
                "hit_rate": rate,
            }

    def clear(self) -> None:
        """Forget all functions and counts."""
        with self._lock:
            self._by_tape.clear()
            self._by_expr.clear()
            self._hits = self._compiles = 0

    def __len__(self) -> int:
        return len(self._by_tape)

    def save(self, path: Any) -> None:
        """Write the tapes and settings of all functions to a file, atomically."""
        from alkahest.compile.cache_file import save_functions

        with self._lock:
            save_functions(path, list(self._by_tape.values()))

    @classmethod
    def load(cls, path: Any, maxsize: int = 1024) -> CompileCache:
        """Return a cache with what `save` wrote, compiled for this machine; a damaged file raises `FileFormatError`."""
        from alkahest.compile.cache_file import load_functions

        cache = cls(maxsize)
        for tape, config in load_functions(path):
            cache._remember(cache._by_tape, (tape.digest, tape.inputs, config), CompiledFn(tape, config))
        return cache


def _short_key(expr: Expr | Sequence[Expr], inputs: Sequence[Expr], config: CompileConfig) -> Key:
    outputs = [expr] if isinstance(expr, Expr) else list(expr)
    items = [*outputs, *inputs]
    return (
        len(outputs),
        tuple([(id(i.pool), i.pool.uuid, i.id) if isinstance(i, Expr) else i for i in items]),
        config,
    )
