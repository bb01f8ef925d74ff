"""Primitives of reverse mode through control flow: what a forward pass keeps, packed, and the trail of a loop."""

from __future__ import annotations

from typing import Any

from alkahest.base.avals import BOOL, OPAQUE, AVal, find_aval
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero, accumulate_cotangents, register_cotangent_accumulator
from alkahest.prims.derived import Residuals
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import rules, staged

pack_p = Prim("pack")
unpack_p = Prim("unpack")
extend_trail_p = Prim("extend_trail")
shorten_trail_p = Prim("shorten_trail")
has_trail_p = Prim("has_trail")

EMPTY = Residuals(None)
"""The trail of a loop that has not begun."""


def _unpack(in_tree: Any, /, *, avals: tuple[AVal, ...]) -> Any:
    if in_tree.__class__ is Zero:
        return tuple([Zero(aval) for aval in avals])
    return in_tree.value


def _has_trail(trail: Any, /) -> bool:
    return trail.__class__ is Residuals and trail.value is not None


def _shorten(in_tree: Any, /) -> Any:
    return in_tree.value


def _pack_backward(in_tree: Any, /) -> Any:
    kept, cotangent = in_tree
    return unpack_p.bind(cotangent, avals=tuple([find_aval(v) or OPAQUE for v in kept]))


# Derivatives of what is kept run along it: a packed tangent belongs to a packed value.
rules(
    pack_p,
    impl=Residuals,
    abstract=lambda in_tree: OPAQUE,
    push=staged(lambda in_tree: (pack_p.bind(in_tree[0]), pack_p.bind(in_tree[1]))),
    pull=(
        staged(lambda in_tree: (pack_p.bind(in_tree), in_tree)),
        staged(_pack_backward),
    ),
)


def _unpack_push(in_tree: Any, /, *, avals: tuple[AVal, ...]) -> Any:
    primal, tangent = in_tree
    return unpack_p.bind(primal, avals=avals), unpack_p.bind(tangent, avals=avals)


rules(
    unpack_p,
    impl=_unpack,
    abstract=lambda in_tree, avals: avals,
    push=staged(_unpack_push),
    pull=(
        staged(lambda in_tree, avals: (unpack_p.bind(in_tree, avals=avals), ())),
        staged(lambda in_tree, avals: pack_p.bind(in_tree[1])),
    ),
)

rules(
    extend_trail_p,
    impl=Residuals,
    abstract=lambda in_tree: OPAQUE,
    push=staged(lambda in_tree: (extend_trail_p.bind(in_tree[0]), extend_trail_p.bind(in_tree[1]))),
    pull=(
        staged(lambda in_tree: (extend_trail_p.bind(in_tree), ())),
        staged(lambda in_tree: shorten_trail_p.bind(in_tree[1])),
    ),
)
rules(
    shorten_trail_p,
    impl=_shorten,
    abstract=lambda in_tree: (OPAQUE, OPAQUE),
    push=staged(lambda in_tree: (shorten_trail_p.bind(in_tree[0]), shorten_trail_p.bind(in_tree[1]))),
    pull=(
        staged(lambda in_tree: (shorten_trail_p.bind(in_tree), ())),
        staged(lambda in_tree: extend_trail_p.bind(in_tree[1])),
    ),
)
rules(
    has_trail_p,
    impl=_has_trail,
    abstract=lambda in_tree: BOOL,
    push=staged(lambda in_tree: (has_trail_p.bind(in_tree[0]), Zero(BOOL))),
    pull=(staged(lambda in_tree: (has_trail_p.bind(in_tree), ())), staged(lambda in_tree: Zero(OPAQUE))),
)


def _add(packs: list[Residuals]) -> Any:
    return Residuals(accumulate_cotangents([pack.value for pack in packs]))


register_cotangent_accumulator(Residuals, _add)
cheap_primitives.update({pack_p, unpack_p, extend_trail_p, shorten_trail_p, has_trail_p})
