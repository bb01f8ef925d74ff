"""Marks in a program: checkpoint, a value to look at or replace; factor, a weight of the path that was taken."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import FloatAVal, IntAVal, find_aval
from alkahest.base.interpreter import active_interpreter
from alkahest.base.prim import Prim
from alkahest.base.zero import is_zero, zeroof
from alkahest.errors import FactorError, MarkError
from alkahest.ir.columns import Columns, itemwise, transposed
from alkahest.prims.rules import rules, staged

checkpoint_p = Prim("checkpoint")
factor_p = Prim("factor")

# --------------------------------------------------------------------------------------------------- checkpoint


def checkpoint(value: Any, /, *, key: Hashable, collection: Hashable | None = None) -> Any:
    """Return `value`, any structure, and mark it: `collect` sees it under `key`, `inject` can replace it.

    A checkpoint stays in a program although nobody uses what it gives, and is carried out each time, also inside
    `memoize`. A batch marks item by item. In a pushforward the tangent is marked after the value, under the same key,
    in a pullback the cotangent; where nothing flows, because all of it is symbolically zero when the program is
    transformed, there is no second mark. A key that cannot be hashed raises `MarkError`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: af.checkpoint(x + "!", key="loud") + "?")("a")
    >>> with af.collect(collection=...) as seen:
    ...     ir.call("hello")
    'hello!?'
    >>> seen
    {'loud': ['hello!']}
    """
    check_hashable(key, "the key of a checkpoint")
    check_hashable(collection, "the collection of a checkpoint")
    return checkpoint_p.bind(value, key=key, collection=collection)


def check_hashable(value: Any, what: str) -> None:
    """Raise `MarkError` where `value` cannot be hashed."""
    try:
        hash(value)
    except TypeError:
        raise MarkError(
            f"{what} is a {type(value).__name__}, which cannot be hashed.",
            remedy="Use a str, a number, or a tuple of them.",
        ) from None


def _identity(in_tree: Any, /, **_: Any) -> Any:
    return in_tree


def _nothing_flows(tree: Any) -> bool:
    return all(is_zero(leaf) for leaf in trees.leaves(tree))


def _mark(value: Any, params: dict[str, Any]) -> Any:
    return value if _nothing_flows(value) else checkpoint_p.bind(value, **params)


def _checkpoint_push(in_tree: Any, /, **params: Any) -> Any:
    primals, tangents = in_tree
    return checkpoint_p.bind(primals, **params), _mark(tangents, params)


def _checkpoint_batch(in_tree: Any, /, **params: Any) -> Any:
    if not active_interpreter.get().sees(checkpoint_p):
        return in_tree[2], in_tree[1]
    return itemwise(Columns(in_tree), lambda row: checkpoint_p.bind(row, **params))


async def _checkpoint_abatch(in_tree: Any, /, **params: Any) -> Any:
    if not active_interpreter.get().sees(checkpoint_p):
        return in_tree[2], in_tree[1]
    columns = Columns(in_tree)
    if not columns.any:
        return await checkpoint_p.abind(columns.one(), **params), in_tree[1]
    return transposed(columns, [await checkpoint_p.abind(row, **params) for row in columns.rows()])


rules(
    checkpoint_p,
    impl=_identity,
    abstract=_identity,
    push=staged(_checkpoint_push),
    pull=(
        staged(lambda in_tree, **params: (checkpoint_p.bind(in_tree, **params), ())),
        staged(lambda in_tree, **params: _mark(in_tree[1], params)),
    ),
    batch=_checkpoint_batch,
    abatch=_checkpoint_abatch,
    keep=True,
    memoizable=False,
)

# ------------------------------------------------------------------------------------------------------- factor


def factor(weight: Any, /, *, name: Hashable | None = None) -> None:
    """Multiply the weight of the path that is taken by `weight`, a finite number of at least 0; return nothing.

    Only `weighted` programs tell the product; elsewhere the weight is checked and dropped. `name` appears in printed
    programs. Anything but an int or a float (a bool is neither), a negative or a non-finite weight raises
    `FactorError` when it is reached, or while tracing where the type shows it.

    >>> import alkahest as af
    >>> def score(x, good):
    ...     af.factor(good, name="good")
    ...     return x
    >>> af.weighted(af.trace(score)("a", 0.5)).call("b", 0.25)
    ('b', 0.25)
    """
    check_hashable(name, "the name of a factor")
    factor_p.bind(weight, name=name)


def check_weight(weight: Any) -> None:
    """Raise `FactorError` where `weight` is no int or float, not finite, or negative."""
    if weight.__class__ is not int and weight.__class__ is not float:
        raise _no_weight(weight, f"a {type(weight).__name__}")
    if weight.__class__ is float and not math.isfinite(weight):
        raise _no_weight(weight, "not finite")
    if weight < 0:
        raise _no_weight(weight, "negative")


def _no_weight(weight: Any, what: str) -> FactorError:
    text = repr(weight)
    text = text if len(text) <= 40 else text[:37] + "…"
    return FactorError(
        f"the weight {text} of factor is {what}.", remedy="Pass an int or a float, finite and at least 0."
    )


def _factor_impl(in_tree: Any, /, *, name: Hashable) -> tuple[()]:
    check_weight(in_tree)
    return ()


def _factor_abstract(in_tree: Any, /, *, name: Hashable) -> tuple[()]:
    aval = find_aval(in_tree)
    if not isinstance(aval, IntAVal | FloatAVal):
        what = aval.label if aval is not None else type(in_tree).__name__
        raise FactorError(
            f"the weight of factor is a value of type {what}.", remedy="Pass an int or a float, finite and at least 0."
        )
    return ()


def _factor_batch(in_tree: Any, /, *, name: Hashable) -> Any:
    columns = Columns(in_tree)
    if active_interpreter.get().sees(factor_p):
        for row in columns.rows() if columns.any else [columns.one()]:
            factor_p.bind(row, name=name)
    else:
        for weight in columns.columns[0] if columns.any else columns.columns:
            check_weight(weight)
    return (), ()


async def _factor_abatch(in_tree: Any, /, *, name: Hashable) -> Any:
    if not active_interpreter.get().sees(factor_p):
        return _factor_batch(in_tree, name=name)
    columns = Columns(in_tree)
    for row in columns.rows() if columns.any else [columns.one()]:
        await factor_p.abind(row, name=name)
    return (), ()


rules(
    factor_p,
    impl=_factor_impl,
    abstract=_factor_abstract,
    # The path has one weight, whatever is differentiated along it: it is bound once.
    push=staged(lambda in_tree, **params: (factor_p.bind(in_tree[0], **params), ())),
    pull=(
        staged(lambda in_tree, **params: (factor_p.bind(in_tree, **params), in_tree)),
        staged(lambda in_tree, **_: zeroof(in_tree[0])),
    ),
    batch=_factor_batch,
    abatch=_factor_abatch,
    keep=True,
    memoizable=False,
)
