"""Weights: one by one, their product, and the product over the items of a batch, with derivatives of any order."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from alkahest.base.avals import FLOAT, AVal, DeepAVal, deepened
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero, is_zero
from alkahest.ir.columns import one_level
from alkahest.ir.ir import IR, IREqn, IRVar
from alkahest.prims.arithmetic import mul_p
from alkahest.prims.cotangents import accumulated
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.marks import check_weight
from alkahest.prims.rules import rules, staged
from alkahest.transforms.calls import batch_call_p
from alkahest.transforms.forward import push_plan
from alkahest.transforms.reverse import NATIVE, pull_plan
from alkahest.transforms.reverse_control import accumulate_items_p

weight_p = Prim("weight")
product_p = Prim("product")
item_product_p = Prim("item_product")
other_products_p = Prim("other_products")
leave_out_p = Prim("leave_out")
join_left_out_p = Prim("join_left_out")


def product(weights: Sequence[Any]) -> Any:
    """Return the product of weights, traced or not."""
    if len(weights) < 2:
        return weights[0] if weights else 1.0
    return product_p.bind(tuple(weights))


def _weight(weight: Any, /) -> float:
    check_weight(weight)
    return float(weight)


rules(
    weight_p,
    impl=_weight,
    abstract=lambda in_tree: FLOAT,
    push=staged(lambda in_tree: (weight_p.bind(in_tree[0]), in_tree[1])),
    pull=(staged(lambda in_tree: (weight_p.bind(in_tree), ())), staged(lambda in_tree: in_tree[1])),
)


def _product(factors: Sequence[Any], /) -> Any:
    """Return the product; a tangent may be a symbolic zero, in a branch without factors for one."""
    zeros = [factor for factor in factors if is_zero(factor)]
    return zeros[0] if zeros else float(math.prod(factors))


def _others(weights: tuple[Any, ...], k: int, factor: Any) -> Any:
    """Return `factor` times all weights but the k-th: no division, since a weight may be zero."""
    return product([factor, *weights[:k], *weights[k + 1 :]])


def _product_push(in_tree: Any, /) -> Any:
    weights, tangents = in_tree
    parts = [_others(weights, k, t) for k, t in enumerate(tangents) if not is_zero(t)]
    return product_p.bind(weights), accumulated(parts) if parts else Zero(FLOAT)


rules(
    product_p,
    impl=_product,
    abstract=lambda in_tree: FLOAT,
    push=staged(_product_push),
    pull=(
        staged(lambda in_tree: (product_p.bind(in_tree), in_tree)),
        staged(lambda in_tree: tuple([_others(in_tree[0], k, in_tree[1]) for k in range(len(in_tree[0]))])),
    ),
)


# ------------------------------------------------------------------------------------------- over the items of a batch


def _item_product_type(in_tree: Any, /) -> AVal:
    return deepened(FLOAT, in_tree.depth - 1) if isinstance(in_tree, DeepAVal) else FLOAT


def _item_product_push(in_tree: Any, /) -> Any:
    weights, tangents = in_tree
    parts = batch_call_p.bind((other_products_p.bind((weights, 1.0)), tangents), ir=_times(), in_axes=(True, True))
    return item_product_p.bind(weights), accumulate_items_p.bind(parts)


rules(
    item_product_p,
    impl=lambda in_tree: float(math.prod(one_level(in_tree)[0])),
    abstract=_item_product_type,
    push=staged(_item_product_push),
    pull=(
        staged(lambda in_tree: (item_product_p.bind(in_tree), in_tree)),
        staged(other_products_p.bind),
    ),
)


def _other_products(in_tree: Any, /) -> Any:
    """Return, for each item, the cotangent times the weights of all other items: no division, one may be zero."""
    weights, cotangent = in_tree
    entries, container = one_level(weights)
    if is_zero(cotangent):
        return container.unflatten([cotangent for _ in entries])
    before = [1.0]
    for w in entries[:-1]:
        before.append(before[-1] * w)
    after = 1.0
    found: list[float] = []
    for k in range(len(entries) - 1, -1, -1):
        found.append(before[k] * after * cotangent)
        after *= entries[k]
    return container.unflatten(found[::-1])


def _other_products_push(in_tree: Any, /) -> Any:
    primals, tangents = in_tree
    plan = push_plan(_as_program(), tuple([is_zero(t) for t in tangents]))
    return other_products_p.bind(primals), plan.call(primals, tangents)[1]


def _other_products_backward(in_tree: Any, /) -> Any:
    primals, cotangent = in_tree
    return pull_plan(_as_program(), (NATIVE,), inner=True).call(primals, cotangent)[1]


rules(
    other_products_p,
    impl=_other_products,
    abstract=lambda in_tree: in_tree[0],
    push=staged(_other_products_push),
    pull=(
        staged(lambda in_tree: (other_products_p.bind(in_tree), in_tree)),
        staged(_other_products_backward),
    ),
)

# The same, as a program of primitives whose derivatives are programs of them again. It takes the square of the number
# of items in memory, which is why it serves second derivatives alone.


@functools.cache
def _times() -> IR:
    """Return the product of two numbers."""
    a, b, out = (IRVar(aval=FLOAT) for _ in range(3))
    return IR([IREqn(mul_p, (a, b), out)], (a, b), out)


@functools.cache
def _product_times() -> IR:
    """Return the product of weights, times a number."""
    weights, factor, whole, out = IRVar(aval=FLOAT, depth=1), *(IRVar(aval=FLOAT) for _ in range(3))
    return IR([IREqn(item_product_p, weights, whole), IREqn(mul_p, (whole, factor), out)], (weights, factor), out)


@functools.cache
def _as_program() -> IR:
    """Return `other_products` as a program."""
    weights, factor = IRVar(aval=FLOAT, depth=1), IRVar(aval=FLOAT)
    rows, out = IRVar(aval=FLOAT, depth=2), IRVar(aval=FLOAT, depth=1)
    eqns = [
        IREqn(leave_out_p, weights, rows, {"fill": 1.0}),
        IREqn(batch_call_p, (rows, factor), out, {"ir": _product_times(), "in_axes": (True, False)}),
    ]
    return IR(eqns, (weights, factor), out)


def _leave_out(in_tree: Any, /, *, fill: float) -> Any:
    """Return, for each item, the weights with `fill` in place of its own."""
    entries, container = one_level(in_tree)
    rows = [[fill if j == k else w for j, w in enumerate(entries)] for k in range(len(entries))]
    return container.unflatten([container.unflatten(row) for row in rows])


def _join_left_out(in_tree: Any, /) -> Any:
    """Return, for each item, the sum of its entries over the rows of all others: the transpose of `leave_out`."""
    rows, container = one_level(in_tree)
    n = len(rows)
    table = [one_level(row)[0] if not is_zero(row) else [0.0] * n for row in rows]
    numbers = [[0.0 if is_zero(v) else v for v in row] for row in table]
    return container.unflatten([math.fsum([numbers[k][j] for k in range(n) if k != j]) for j in range(n)])


def _deeper(aval: Any, by: int) -> Any:
    return deepened(aval.aval, aval.depth + by) if isinstance(aval, DeepAVal) else deepened(FLOAT, 1 + by)


rules(
    leave_out_p,
    impl=_leave_out,
    abstract=lambda in_tree, fill: _deeper(in_tree, 1),
    push=staged(
        lambda in_tree, fill: (leave_out_p.bind(in_tree[0], fill=fill), leave_out_p.bind(in_tree[1], fill=0.0))
    ),
    pull=(
        staged(lambda in_tree, fill: (leave_out_p.bind(in_tree, fill=fill), ())),
        staged(lambda in_tree, fill: join_left_out_p.bind(in_tree[1])),
    ),
)
rules(
    join_left_out_p,
    impl=_join_left_out,
    abstract=lambda in_tree: _deeper(in_tree, -1),
    push=staged(lambda in_tree: (join_left_out_p.bind(in_tree[0]), join_left_out_p.bind(in_tree[1]))),
    pull=(
        staged(lambda in_tree: (join_left_out_p.bind(in_tree), ())),
        staged(lambda in_tree: leave_out_p.bind(in_tree[1], fill=0.0)),
    ),
)
cheap_primitives.update({weight_p, product_p, item_product_p, other_products_p, leave_out_p, join_left_out_p})
