"""How a primitive of programs is declared: all its rules in one place."""

from __future__ import annotations

import contextvars
import functools
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alkahest.base import trees
from alkahest.base.prim import Prim, register_prim
from alkahest.base.rules import (
    AsyncTwin,
    RuleTable,
    abstract_rules,
    batch_rules,
    dce_rules,
    impl_rules,
    pull_bwd_rules,
    pull_fwd_rules,
    push_rules,
)
from alkahest.ir.columns import Columns, itemwise, transposed
from alkahest.prims.groups import register_non_dce, register_non_memoizable, register_waiting

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from alkahest.base.rules import Rule

THREADS = 128
"""How many rules that wait an event loop carries out side by side, in threads."""


class Staged:
    """A push or pull rule that is written for traced values: it runs once, when a transform makes its plan.

    Rules without it run each time, on concrete values, and may use any Python.
    """

    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the rule, to traced or concrete values."""
        return self.rule(*args, **kwargs)


def staged(rule: Rule) -> Staged:
    """Mark a push or pull rule as written for traced values; see `rules`."""
    return Staged(rule)


class KeepsInputs(Staged):
    """The forward rule which carries out the primitive itself and keeps its inputs: plans copy the equation."""

    __slots__ = ()


def keeps_inputs(prim: Prim) -> KeepsInputs:
    """Return the forward rule that gives what `prim` gives, and its inputs as residuals."""
    return KeepsInputs(lambda in_tree, /, **params: (prim.bind(in_tree, **params), in_tree))


class DerivedBatch:
    """The batch rule of a primitive that has none of its own: item by item, those that wait all at once."""

    __slots__ = ("prim",)

    def __init__(self, prim: Prim) -> None:
        self.prim = prim

    def __call__(self, in_tree: Any, /, **params: Any) -> tuple[Any, Any]:
        """Bind item by item."""
        return itemwise(Columns(in_tree), lambda row: self.prim.bind(row, **params))


class BuiltinBatch:
    """A batch rule of a primitive that holds programs or waits: in a batch, a machine does better than the rule."""

    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __call__(self, in_tree: Any, /, **params: Any) -> Any:
        """Apply the rule."""
        return self.rule(in_tree, **params)


class DerivedAsyncBatch:
    """The async side of `DerivedBatch`."""

    __slots__ = ("prim",)

    def __init__(self, prim: Prim) -> None:
        self.prim = prim

    async def __call__(self, in_tree: Any, /, **params: Any) -> tuple[Any, Any]:
        """Bind all items at once."""
        columns = Columns(in_tree)
        if not columns.any:
            out = await self.prim.abind(columns.one(), **params)
            return out, trees.map_leaves(lambda _: False, out)
        import asyncio

        outs = await asyncio.gather(*[self.prim.abind(row, **params) for row in columns.rows()])
        return transposed(columns, list(outs))


def rules(
    prim: Prim,
    *,
    impl: Rule | None = None,
    abstract: Rule | None = None,
    push: Rule | None = None,
    pull: tuple[Rule, Rule] | None = None,
    batch: Rule | None = None,
    dce: Rule | None = None,
    aimpl: Rule | None = None,
    apush: Rule | None = None,
    apull: tuple[Rule, Rule] | None = None,
    abatch: Rule | None = None,
    waits: bool = False,
    keep: bool = False,
    memoizable: bool = True,
    register: bool = True,
) -> Prim:
    """Set the rules of a primitive in one call and return it.

    - `impl(in_tree, **params)` computes the output tree; `abstract` gives its abstract values from those of the inputs
      (literals stand for themselves).
    - `push((primals, tangents))` gives output and tangent; `pull` is a pair: forward `(in_tree)` gives output and
      residuals, backward `((residuals, cotangent))` gives one cotangent per input, in the structure of the inputs.
    - `batch((size, in_batched, in_values))` gives output and its flags; without it items are carried out one by one.
    - `dce(eqn, out_used)` gives the equation, or a smaller one, and which inputs it needs.

    The async twin of each is derived unless it is given (`aimpl`, `apush`, …): a primitive with an `aimpl` of its own
    waits for something, and items of a batch then wait together. `waits=True` says so of a primitive whose `impl`
    waits: it runs in threads. `keep=True` keeps equations whose outputs nobody uses, `memoizable=False` keeps results
    out of `memoize`.

    >>> from alkahest.extend import Prim, StrAVal, rules
    >>> import alkahest as af
    >>> shout_p = rules(
    ...     Prim("doc_shout"),
    ...     impl=lambda text: text.upper() + "!",
    ...     abstract=lambda text: StrAVal(),
    ... )
    >>> ir = af.trace(lambda x: shout_p.bind(x))("hello")
    >>> ir.call("hello"), af.batch(ir).call(["a", "b"])
    ('HELLO!', ['A!', 'B!'])
    """
    if register:
        register_prim(prim)
    if impl is not None or aimpl is not None:
        own = aimpl or (_threaded(impl) if waits and impl is not None else None)
        _put(impl_rules, prim, impl, own)
        derived = (None, None) if batch else (DerivedBatch(prim) if impl is not None else None, DerivedAsyncBatch(prim))
        _put(batch_rules, prim, batch or derived[0], abatch or derived[1])
    elif batch is not None:
        _put(batch_rules, prim, batch, abatch)
    if abstract is not None:
        _put(abstract_rules, prim, abstract, None)
    _put(push_rules, prim, push, apush)
    for table, rule, own in zip((pull_fwd_rules, pull_bwd_rules), pull or _NONE, apull or _NONE, strict=True):
        _put(table, prim, rule, own)
    if dce is not None:
        _put(dce_rules, prim, dce, None)
    groups = (register_waiting, register_non_dce, register_non_memoizable)
    for join, member in zip(groups, (waits, keep, not memoizable), strict=True):
        if member:
            join(prim)
    return prim


_NONE = (None, None)


def _put(table: RuleTable, prim: Prim, rule: Any, own: Any) -> None:
    """Set a rule and its async twin, which is derived from it unless there is one of its own."""
    if rule is not None:
        table.set(prim, rule)
    if own is not None:
        table.aset(prim, own)
    elif rule is not None:
        table.aset(prim, rule if isinstance(rule, Staged) else AsyncTwin(rule))


def _threaded(impl: Rule) -> Callable[..., Any]:
    async def aimpl(in_tree: Any, /, **params: Any) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        work = functools.partial(contextvars.copy_context().run, impl, in_tree, **params)
        return await loop.run_in_executor(_pool(loop), work)

    return aimpl


# One pool per event loop: a rule may run a loop of its own, whose rules must not wait for the threads of this one.
_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadPoolExecutor] = weakref.WeakKeyDictionary()
_pools_lock = threading.Lock()


def _pool(loop: asyncio.AbstractEventLoop) -> ThreadPoolExecutor:
    """Return the threads of an event loop, made at first use; asyncio's own are few, by the number of cores."""
    from concurrent.futures import ThreadPoolExecutor

    with _pools_lock:
        if loop not in _pools:
            _pools[loop] = ThreadPoolExecutor(THREADS, thread_name_prefix="alkahest")
        return _pools[loop]
