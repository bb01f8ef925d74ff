"""`CompileCache`: compiled functions found again by expression in O(1), else by what their tape computes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from alkahest.compile.compiled import CompiledFn
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.functions import expressions, settings_of
from alkahest.compile.preparing import tape_of
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
        if not isinstance(maxsize, int) or maxsize < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"a cache cannot hold {maxsize!r} functions.", remedy="Pass an integer maxsize >= 1.")
        self._maxsize = maxsize
        self._lock = threading.RLock()
        self._by_tape: OrderedDict[Key, CompiledFn] = OrderedDict()
        self._by_expr: OrderedDict[Key, Key] = OrderedDict()
        self._hits = 0
        self._compiles = 0

    def compile(
        self,
        expr: Expr | float | Sequence[Expr | float],
        inputs: Sequence[Expr],
        pool: ExprPool | None = None,
        config: CompileConfig | None = None,
        **settings: Any,
    ) -> CompiledFn:
        """Return the compiled function of `expr`, compiling it only if nothing equal is there.

        `pool`, where given, must be the expression's own. Settings are given as in `compile_expr`.
        """
        chosen = settings_of(config, settings)
        outputs, symbols = expressions(expr, inputs)
        items = (*outputs, *symbols)
        _check_pool(pool, items)
        # An input that is no symbol stands for itself, by identity: the tape refuses it.
        ids = tuple([(id(i.pool), i.pool.uuid, i.id) if isinstance(i, Expr) else id(i) for i in items])
        short = (len(outputs), ids, chosen)
        with self._lock:
            key = self._by_expr.get(short)
            found = self._find(key)
            if found is not None:
                return found
            tape = tape_of(outputs, symbols, chosen)
            key = (tape.digest, tape.inputs, chosen)
            self._remember(self._by_expr, short, key)
            found = self._find(key)
            if found is not None:
                return found
            made = CompiledFn(tape, chosen)
            self._compiles += 1
            self._remember(self._by_tape, key, made)
            return made

    def _find(self, key: Key | None) -> CompiledFn | None:
        found = None if key is None else self._by_tape.get(key)
        if key is not None and found is not None:
            self._hits += 1
            self._by_tape.move_to_end(key)
        return found

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


def _check_pool(pool: Any, items: Iterable[Any]) -> None:
    if pool is None:
        return
    if not isinstance(pool, ExprPool):
        raise ConfigError(
            f"a {type(pool).__name__} stands in the place of the pool.",
            remedy="Pass settings by name: cache.compile(expr, inputs, config=CompileConfig(…)).",
        )
    if any(isinstance(i, Expr) and i.pool is not pool for i in items):
        raise PoolMismatchError(
            "the expression is not of the given pool.", remedy="Pass the expression's pool, or none."
        )
