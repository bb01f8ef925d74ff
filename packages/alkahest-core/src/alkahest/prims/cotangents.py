"""Primitives of derivatives: adding cotangents, values for symbolic zeros, text feedback on all inputs alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import AVal, StrAVal, find_aval
from alkahest.base.prim import Prim
from alkahest.base.rules import push_rules
from alkahest.base.zero import Zero, accumulate_cotangents, is_zero, materialize
from alkahest.ir.boxes import Traced
from alkahest.ir.columns import Columns
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import Staged, keeps_inputs, rules, staged

accumulate_p = Prim("accumulate")
materialize_p = Prim("materialize")
spread_p = Prim("spread")

# ------------------------------------------------------------------------------------------------- accumulation


def accumulated(cotangents: list[Any]) -> Any:
    """Return the sum of cotangents, traced or not: an equation only where there is something to add."""
    given = [c for c in cotangents if not is_zero(c)]
    if len(given) < 2:
        return given[0] if given else cotangents[0]
    return accumulate_p.bind(tuple(given))


def _accumulate_abstract(in_tree: Any, /) -> Any:
    avals = [aval for aval in map(find_aval, in_tree) if aval is not None]
    texts = [aval for aval in avals if isinstance(aval, StrAVal)]
    return texts[0] if texts else avals[0]


def _accumulate_push(in_tree: Any, /) -> Any:
    primals, tangents = in_tree
    return accumulate_p.bind(primals), accumulated(list(tangents))


rules(
    accumulate_p,
    impl=accumulate_cotangents,
    abstract=_accumulate_abstract,
    push=staged(_accumulate_push),
    pull=(
        keeps_inputs(accumulate_p),
        staged(lambda in_tree: (in_tree[1],) * len(in_tree[0])),
    ),
)

# ---------------------------------------------------------------------------------------------- materialization


def materialized(tree: Any) -> Any:
    """Return `tree` with values for symbolic zeros, now or, where they are traced, when the program runs."""
    return trees.map_leaves(_materialized, tree)


def _materialized(leaf: Any) -> Any:
    return materialize_p.bind(leaf) if leaf.__class__ is Traced else materialize(leaf)


def _materialize_batch(in_tree: Any, /) -> Any:
    batch = Columns(in_tree)
    if not batch.any:
        return materialize(batch.one()), False
    (column,) = batch.columns
    return batch.pack([materialize(v) if v.__class__ is Zero else v for v in column]), True


rules(
    materialize_p,
    impl=materialize,
    abstract=find_aval,
    push=staged(lambda in_tree: (materialize_p.bind(in_tree[0]), in_tree[1])),
    pull=(staged(lambda x: (materialize_p.bind(x), ())), staged(lambda in_tree: in_tree[1])),
    batch=_materialize_batch,
)

# ------------------------------------------------------------------------------------------- the whole cotangent


def whole_cotangent(prim: Prim) -> tuple[Staged, Staged]:
    """Return pull rules that give every input the whole cotangent: nobody knows which part a criticism is about."""

    def backward(in_tree: Any, /, **params: Any) -> Any:
        primals, cotangent = in_tree
        if is_zero(cotangent):
            return trees.map_leaves(lambda _: cotangent, primals)
        return spread_p.bind((cotangent, primals), prim=prim, params=params)

    return keeps_inputs(prim), staged(backward)


def _spread_impl(in_tree: Any, /, *, prim: Prim, params: Mapping[str, Any]) -> Any:
    cotangent, primals = in_tree
    return trees.map_leaves(lambda _: cotangent, primals)


def _spread_abstract(in_tree: Any, /, *, prim: Prim, params: Mapping[str, Any]) -> Any:
    cotangent, primals = in_tree
    aval = find_aval(cotangent) or StrAVal()
    # Nothing flows into a literal.
    return trees.map_leaves(lambda leaf: aval if isinstance(leaf, AVal) else Zero(aval), primals)


def _spread_push(in_tree: Any, /, **params: Any) -> Any:
    primals, (tangent, _) = in_tree
    out = spread_p.bind(primals, **params)
    if is_zero(tangent):
        return out, trees.map_leaves(lambda _: tangent, out)
    return out, spread_p.bind((tangent, primals[1]), **params)


def _spread_backward(in_tree: Any, /, *, prim: Prim, params: Mapping[str, Any]) -> Any:
    """The transpose of spreading a cotangent over the inputs is pushing tangents of the inputs to the output."""
    primals, tangents = in_tree
    nothing = trees.map_leaves(lambda leaf: Zero(find_aval(leaf) or StrAVal()), primals)
    if all(is_zero(leaf) for leaf in trees.leaves(tangents)):
        return Zero(StrAVal()), nothing
    _, tangent = push_rules.get(prim)((primals, tangents), **params)
    return tangent, nothing


def _spread_batch(in_tree: Any, /, *, prim: Prim, params: Mapping[str, Any]) -> Any:
    _, (flag, in_flags), (cotangent, primals) = in_tree
    _, treedef = trees.flatten(in_flags)
    n = len(treedef.flatten_up_to(primals))
    return treedef.unflatten([cotangent] * n), treedef.unflatten([flag] * n)


rules(
    spread_p,
    impl=_spread_impl,
    abstract=_spread_abstract,
    push=staged(_spread_push),
    pull=(
        staged(lambda in_tree, **params: (spread_p.bind(in_tree, **params), in_tree[1])),
        staged(_spread_backward),
    ),
    batch=_spread_batch,
)
cheap_primitives.update({accumulate_p, materialize_p, spread_p})
