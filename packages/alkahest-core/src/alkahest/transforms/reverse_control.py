"""Reverse mode through control flow and batches.

A switch runs backward as a switch, a loop as a loop, a batch as a batch: each over programs that were split into a
forward part, which keeps what the backward part needs. What they keep depends on which cotangents will come (`kinds`).
"""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.base.avals import BOOL, OPAQUE, AVal, DeepAVal, deepened, find_aval
from alkahest.base.prim import Prim
from alkahest.base.rules import pull_bwd_rules, pull_fwd_rules
from alkahest.base.zero import Zero, accumulate_cotangents, is_zero, zeroof
from alkahest.ir.columns import one_level
from alkahest.ir.ir import IR, IREqn, IRVar, ir_type
from alkahest.prims.control import switch_p, while_loop_p
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.residuals import EMPTY, extend_trail_p, has_trail_p, pack_p, shorten_trail_p, unpack_p
from alkahest.prims.rules import rules, staged
from alkahest.transforms.calls import batch_call_p
from alkahest.transforms.hoisting import split
from alkahest.transforms.plans import inlined, like
from alkahest.transforms.reverse import NATIVE, Kinds, join, pull_plan, structured


def _new(aval: AVal, depth: int = 0) -> IRVar:
    return IRVar(aval=aval, depth=depth)


def _fresh(tree: Any) -> Any:
    return trees.map_leaves(
        lambda v: IRVar(aval=v.aval, source=v.source, depth=v.depth) if v.__class__ is IRVar else v, tree
    )


def _packed(ir: IR, kinds: Kinds) -> tuple[IR, IR]:
    """Return the forward and backward program of `ir`, with the residuals packed into one opaque value."""
    forward, backward = split(pull_plan(ir, kinds, inner=True))
    out, kept = forward.out_ir_tree
    pack = _new(OPAQUE)
    eqns = [*forward.ir_eqns, IREqn(pack_p, kept, pack)]
    packing = IR(eqns, forward.in_ir_tree, (out, pack), ordered=forward.ordered)
    kept, cotangents = backward.in_ir_tree
    pack = _new(OPAQUE)
    unpack = IREqn(unpack_p, pack, kept, {"avals": tuple([ir_type(var) for var in kept])})
    ordered = None if backward.ordered is None else frozenset([k + 1 for k in backward.ordered])
    eqns = [unpack, *backward.ir_eqns]
    return packing, IR(eqns, (pack, cotangents), backward.out_ir_tree, ordered=ordered)


def _register(prim: Prim, forward: Any, backward: Any) -> None:
    """Register rules that know the kinds of cotangents, and the plain ones, for which all may come."""
    structured[prim] = forward, backward

    def plain_forward(in_tree: Any, /, **params: Any) -> Any:
        out = prim.bind(in_tree, **params)
        kinds = (NATIVE,) * len(trees.leaves(out))
        out, kept = forward(in_tree, kinds, **params)
        return out, (in_tree, kept)

    def plain_backward(in_tree: Any, /, **params: Any) -> Any:
        (primals, kept), cotangent = in_tree
        return backward(primals, kept, cotangent, (NATIVE,) * len(trees.leaves(cotangent)), **params)

    for table, rule in ((pull_fwd_rules, staged(plain_forward)), (pull_bwd_rules, staged(plain_backward))):
        table.set(prim, rule)
        table.aset(prim, rule)


# ------------------------------------------------------------------------------------------------------- switch


def _switch_forward(in_tree: Any, kinds: Kinds, /, *, branches: Any) -> Any:
    forwards = {name: _packed(ir, kinds)[0] for name, ir in branches.items()}
    return switch_p.bind(in_tree, branches=forwards)


def _switch_backward(primals: Any, kept: Any, cotangent: Any, kinds: Kinds, /, *, branches: Any) -> Any:
    key, _ = primals
    backwards = {name: _packed(ir, kinds)[1] for name, ir in branches.items()}
    return Zero(find_aval(key) or OPAQUE), switch_p.bind((key, (kept, cotangent)), branches=backwards)


_register(switch_p, _switch_forward, _switch_backward)

# --------------------------------------------------------------------------------------------------- while_loop


def _loop_kinds(body_ir: IR, kinds: Kinds) -> Kinds:
    """Return kinds that stay the same through the body: what it makes non-zero is not zero in front of it."""
    while True:
        found = pull_plan(body_ir, kinds, inner=True).out_ir_tree[1]
        grown = join(kinds, like(body_ir.in_ir_tree, found))
        if grown == kinds:
            return kinds
        kinds = grown


def _while_forward(in_tree: Any, kinds: Kinds, /, *, cond_ir: IR, body_ir: IR, max_iters: int) -> Any:
    (init,) = in_tree
    forward, _ = _packed(body_ir, _loop_kinds(body_ir, kinds))
    (state,) = forward.in_ir_tree
    out, pack = forward.out_ir_tree
    trail, longer = _new(OPAQUE), _new(OPAQUE)
    extend = IREqn(extend_trail_p, (pack, trail), longer)
    body = IR([*forward.ir_eqns, extend], ((state, trail),), (out, longer), ordered=forward.ordered)
    cond_state = _fresh(state)
    cond_eqns, result = _condition(cond_ir, cond_state)
    cond = IR(cond_eqns, ((cond_state, _new(OPAQUE)),), result, ordered=cond_ir.ordered)
    return while_loop_p.bind(((init, EMPTY),), cond_ir=cond, body_ir=body, max_iters=max_iters)


def _condition(cond_ir: IR, state: Any) -> tuple[list[IREqn], Any]:
    eqns, (result,) = inlined(cond_ir, like(cond_ir.in_ir_tree, (state,)))
    return eqns, result


def _while_backward(
    primals: Any, kept: Any, cotangent: Any, kinds: Kinds, /, *, cond_ir: IR, body_ir: IR, max_iters: int
) -> Any:
    kinds = _loop_kinds(body_ir, kinds)
    _, backward = _packed(body_ir, kinds)
    pack, incoming = backward.in_ir_tree
    (found,) = backward.out_ir_tree
    trail, rest = _new(OPAQUE), _new(OPAQUE)
    first = IREqn(shorten_trail_p, trail, (pack, rest))
    ordered = None if backward.ordered is None else frozenset([k + 1 for k in backward.ordered])
    body = IR([first, *backward.ir_eqns], ((incoming, trail),), (found, rest), ordered=ordered)
    other, flag = _new(OPAQUE), _new(BOOL)
    cond = IR([IREqn(has_trail_p, other, flag)], ((_fresh(incoming), other),), flag)
    out, _ = while_loop_p.bind(((cotangent, kept),), cond_ir=cond, body_ir=body, max_iters=max_iters)
    return (out,)


_register(while_loop_p, _while_forward, _while_backward)

# -------------------------------------------------------------------------------------------------- batch_call

accumulate_items_p = Prim("accumulate_items")


def _items_abstract(in_tree: Any, /) -> Any:
    if in_tree.__class__ is DeepAVal:
        return deepened(in_tree.aval, in_tree.depth - 1)
    leaves = trees.leaves(in_tree)
    return find_aval(leaves[0]) if leaves else OPAQUE


def _items_impl(in_tree: Any, /) -> Any:
    return in_tree if is_zero(in_tree) else accumulate_cotangents(one_level(in_tree)[0])


def _batch_forward(in_tree: Any, kinds: Kinds, /, *, ir: IR, in_axes: Any) -> Any:
    forward, _ = split(pull_plan(ir, kinds, inner=True))
    return batch_call_p.bind(in_tree, ir=forward, in_axes=in_axes)


def _batch_backward(primals: Any, kept: Any, cotangent: Any, kinds: Kinds, /, *, ir: IR, in_axes: Any) -> Any:
    _, backward = split(pull_plan(ir, kinds, inner=True))
    axes = trees.map_leaves(lambda leaf: leaf.__class__ is IRVar, backward.in_ir_tree)
    found = batch_call_p.bind((kept, cotangent), ir=backward, in_axes=axes)
    flags = like(ir.in_ir_tree, in_axes)
    outs = like(ir.in_ir_tree, found)
    inner = like(ir.in_ir_tree, backward.out_ir_tree)
    return trees.structure(ir.in_ir_tree).unflatten(
        [
            (_all(z, given) if is_zero(z) else g if flag else accumulate_items_p.bind(g))
            for flag, g, z, given in zip(flags, outs, inner, like(ir.in_ir_tree, primals), strict=True)
        ]
    )


def _all(value: Any, given: Any) -> Any:
    """Return `given`, a value or a batch of them, with `value` in place of each leaf."""
    return trees.map_leaves(lambda _: value, given)


_register(batch_call_p, _batch_forward, _batch_backward)


# The transpose of a sum is broadcasting: each item of the batch gets the cotangent of the sum.
broadcast_like_p = Prim("broadcast_like")


def _broadcast_impl(in_tree: Any, /) -> Any:
    value, like_value = in_tree
    entries, container = one_level(like_value)
    return container.unflatten([value for _ in entries])


def _broadcast_push(in_tree: Any, /) -> Any:
    primals, (tangent, _) = in_tree
    return broadcast_like_p.bind(primals), broadcast_like_p.bind((tangent, primals[1]))


rules(
    accumulate_items_p,
    impl=_items_impl,
    abstract=_items_abstract,
    push=staged(lambda in_tree: (accumulate_items_p.bind(in_tree[0]), accumulate_items_p.bind(in_tree[1]))),
    pull=(
        staged(lambda in_tree: (accumulate_items_p.bind(in_tree), in_tree)),
        staged(lambda in_tree: broadcast_like_p.bind((in_tree[1], in_tree[0]))),
    ),
)
rules(
    broadcast_like_p,
    impl=_broadcast_impl,
    abstract=lambda in_tree: in_tree[1],
    push=staged(_broadcast_push),
    pull=(
        staged(lambda in_tree: (broadcast_like_p.bind(in_tree), in_tree)),
        staged(lambda in_tree: (accumulate_items_p.bind(in_tree[1]), trees.map_leaves(zeroof, in_tree[0][1]))),
    ),
)
cheap_primitives.update({accumulate_items_p, broadcast_like_p})
