"""How a primitive of programs is declared: all its rules in one place."""

from __future__ import annotations

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
from alkahest.prims.groups import non_dce_primitives, non_memoizable_primitives, waiting_primitives

if TYPE_CHECKING:
    from alkahest.base.rules import Rule


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
    if impl is not None:
        impl_rules.set(prim, impl)
    if impl is not None or batch is not None:
        batch_rules.set(prim, batch or DerivedBatch(prim))
    if impl is not None or aimpl is not None:
        _async_side(impl_rules, prim, impl, aimpl if aimpl is not None else _threaded(impl) if waits else None)
        _async_side(batch_rules, prim, batch, abatch or (None if batch else DerivedAsyncBatch(prim)))
    if abstract is not None:
        abstract_rules.set(prim, abstract)
    if push is not None:
        push_rules.set(prim, push)
    _async_side(push_rules, prim, push, apush)
    for k, table in enumerate((pull_fwd_rules, pull_bwd_rules)):
        rule = pull[k] if pull is not None else None
        if rule is not None:
            table.set(prim, rule)
        _async_side(table, prim, rule, apull[k] if apull is not None else None)
    if dce is not None:
        dce_rules.set(prim, dce)
    for group, member in (
        (waiting_primitives, waits),
        (non_dce_primitives, keep),
        (non_memoizable_primitives, not memoizable),
    ):
        if member:
            group.add(prim)
    return prim


def _async_side(table: RuleTable, prim: Prim, rule: Any, own: Any) -> None:
    if own is not None:
        table.aset(prim, own)
    elif isinstance(rule, Staged):
        table.aset(prim, rule)
    elif rule is not None:
        table.aset(prim, AsyncTwin(rule))


def _threaded(impl: Rule) -> Callable[..., Any]:
    async def aimpl(in_tree: Any, /, **params: Any) -> Any:
        import asyncio

        return await asyncio.to_thread(impl, in_tree, **params)

    return aimpl
