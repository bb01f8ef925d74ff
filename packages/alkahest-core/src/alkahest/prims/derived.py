"""Equations that apply a user's push or pull rule, on concrete values, each time a plan runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import OPAQUE, AVal, find_aval
from alkahest.base.prim import Prim
from alkahest.base.rules import RuleTable, abstract_rules, pull_bwd_rules, pull_fwd_rules, push_rules
from alkahest.base.zero import Zero, is_zero, zeroof
from alkahest.errors import RuleError
from alkahest.prims.rules import Staged, rules, staged

push_p = Prim("push")
pull_fwd_p = Prim("pull_fwd")
pull_bwd_p = Prim("pull_bwd")

Params = Mapping[str, Any]


class Residuals(trees.Leaf):
    """What a forward rule keeps for its backward rule, as one opaque value."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def all_zero(tree: Any) -> bool:
    """Tell whether every leaf of `tree` is a symbolic zero."""
    return all(leaf.__class__ is Zero for leaf in trees.leaves(tree))


def zeros_for(tree: Any) -> Any:
    """Return `tree` with the symbolic zero of each leaf in its place."""
    return trees.map_leaves(lambda leaf: leaf if is_zero(leaf) else Zero(find_aval(leaf) or OPAQUE), tree)


def either_side(table: RuleTable, prim: Prim) -> Any:
    """Return the rule of `prim`, the async one where it has no other: which of them runs is known when it runs."""
    return table.get(prim) if prim in table or not table.has_async(prim) else table.aget(prim)


def push_of(prim: Prim, primals: Any, tangents: Any, params: Params) -> Any:
    """Return output and tangent of one equation: nothing is differentiated where all tangents are zero."""
    if all_zero(tangents):
        out = prim.bind(primals, **params)
        return out, trees.map_leaves(zeroof, out)
    rule = either_side(push_rules, prim)
    if isinstance(rule, Staged):
        return rule((primals, tangents), **params)
    return push_p.bind((primals, tangents), prim=prim, params=params)


# ---------------------------------------------------------------------------------------------------------- push


def _push_impl(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    if all_zero(in_tree[1]):  # known only now: a branch gave a symbolic zero, say
        out = prim.bind(in_tree[0], **params)
        return out, zeros_for(out)
    return _pair(push_rules.get(prim)(in_tree, **params), prim, "push")


async def _push_aimpl(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    if all_zero(in_tree[1]):
        out = await prim.abind(in_tree[0], **params)
        return out, zeros_for(out)
    return _pair(await push_rules.aget(prim)(in_tree, **params), prim, "push")


def _pair(out: Any, prim: Prim, kind: str) -> Any:
    if not isinstance(out, tuple) or len(out) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise RuleError(
            f"the {kind} rule of {prim} returned a {type(out).__name__}.",  # pyright: ignore[reportUnknownArgumentType]
            remedy="Return a pair: the output, and the tangent or the residuals.",
        )
    return out  # pyright: ignore[reportUnknownVariableType]


def _push_abstract(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    out = abstract_rules.get(prim)(in_tree[0], **params)
    return out, trees.map_leaves(lambda leaf: leaf if isinstance(leaf, AVal) else zeroof(leaf), out)


def _twice(prim: Prim) -> Any:
    """Return the push rule of a derived equation: the same on the tangents as on the primals."""

    def push(in_tree: Any, /, **params: Any) -> Any:
        primals, tangents = in_tree
        out = prim.bind(primals, **params)
        if all_zero(tangents):
            return out, trees.map_leaves(zeroof, out)
        return out, prim.bind(tangents, **params)

    return staged(push)


def _push_backward(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    """Pull back the output and the tangent each by itself: both came of the same primitive."""
    (primals, tangents), (cotangent, tangent_cotangent) = in_tree
    return (
        _pulled(prim, params, primals, cotangent),
        _pulled(prim, params, tangents, tangent_cotangent),
    )


def _pulled(prim: Prim, params: Params, primals: Any, cotangent: Any) -> Any:
    if all_zero(cotangent):
        return zeros_for(primals)
    _, residuals = pull_fwd_p.bind(primals, prim=prim, params=params)
    return pull_bwd_p.bind((residuals, cotangent, primals), prim=prim, params=params)


rules(
    push_p,
    impl=_push_impl,
    aimpl=_push_aimpl,
    abstract=_push_abstract,
    push=_twice(push_p),
    pull=(staged(lambda in_tree, **params: (push_p.bind(in_tree, **params), in_tree)), staged(_push_backward)),
)

# ------------------------------------------------------------------------------------------------------ pull_fwd


def _fwd_impl(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    out, kept = _pair(pull_fwd_rules.get(prim)(in_tree, **params), prim, "pull_fwd")
    return out, Residuals(kept)


async def _fwd_aimpl(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    out, kept = _pair(await pull_fwd_rules.aget(prim)(in_tree, **params), prim, "pull_fwd")
    return out, Residuals(kept)


def _fwd_abstract(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    return abstract_rules.get(prim)(in_tree, **params), OPAQUE


def _fwd_forward(in_tree: Any, /, **params: Any) -> Any:
    out, kept = pull_fwd_p.bind(in_tree, **params)
    return (out, kept), (in_tree, kept)


def _fwd_backward(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    (primals, kept), (cotangent, _) = in_tree
    if all_zero(cotangent):
        return zeros_for(primals)
    return pull_bwd_p.bind((kept, cotangent, primals), prim=prim, params=params)


rules(
    pull_fwd_p,
    impl=_fwd_impl,
    aimpl=_fwd_aimpl,
    abstract=_fwd_abstract,
    push=_twice(pull_fwd_p),
    pull=(staged(_fwd_forward), staged(_fwd_backward)),
)

# ------------------------------------------------------------------------------------------------------ pull_bwd


def _bwd_impl(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    kept, cotangent, primals = in_tree
    if all_zero(cotangent):
        return zeros_for(primals)
    return _like_inputs(pull_bwd_rules.get(prim)((kept.value, cotangent), **params), primals, prim)


async def _bwd_aimpl(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    kept, cotangent, primals = in_tree
    if all_zero(cotangent):
        return zeros_for(primals)
    return _like_inputs(await pull_bwd_rules.aget(prim)((kept.value, cotangent), **params), primals, prim)


def _like_inputs(cotangents: Any, primals: Any, prim: Prim) -> Any:
    _, treedef = trees.flatten(primals)
    try:
        return treedef.unflatten(treedef.flatten_up_to(cotangents))
    except ValueError as error:
        raise RuleError(
            f"the pull_bwd rule of {prim} returned another structure than its inputs: {str(error).splitlines()[0]}",
            remedy="Return one cotangent per input, in the structure of the inputs.",
        ) from None


def _bwd_abstract(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    primals = in_tree[2]
    return trees.map_leaves(lambda leaf: leaf if isinstance(leaf, AVal) else Zero(find_aval(leaf) or OPAQUE), primals)


def _bwd_backward(in_tree: Any, /, *, prim: Prim, params: Params) -> Any:
    """The transpose of a backward rule, by the cotangent it was given, is the push rule of the primitive."""
    (kept, _, primals), tangents = in_tree
    nothing = (zeros_for(kept), zeros_for(primals))
    if all_zero(tangents):
        return nothing[0], zeros_for(in_tree[0][1]), nothing[1]
    _, tangent = push_of(prim, primals, tangents, params)
    return nothing[0], tangent, nothing[1]


rules(
    pull_bwd_p,
    impl=_bwd_impl,
    aimpl=_bwd_aimpl,
    abstract=_bwd_abstract,
    push=_twice(pull_bwd_p),
    pull=(staged(lambda in_tree, **params: (pull_bwd_p.bind(in_tree, **params), in_tree)), staged(_bwd_backward)),
)
