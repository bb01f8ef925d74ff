"""What runs when: gather (side by side), depends (after)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import find_aval
from alkahest.base.prim import Prim
from alkahest.base.zero import is_zero
from alkahest.ir.ir import IR, ir_type
from alkahest.prims.control import zeros_like
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import rules, staged

gather_p = Prim("gather")
depends_p = Prim("depends")

# ------------------------------------------------------------------------------------------------------ gather
# Programs side by side: what `sched` makes of a stage. There are no push and pull rules: plans of derivatives, and the
# machines that run batches and schedules, put the equations of the members in its place.


def _gather_impl(in_tree: Any, /, *, irs: Sequence[IR]) -> Any:
    return tuple([ir.call(*args) for ir, args in zip(irs, in_tree, strict=True)])


async def _gather_aimpl(in_tree: Any, /, *, irs: Sequence[IR]) -> Any:
    tasks = [asyncio.ensure_future(ir.acall(*args)) for ir, args in zip(irs, in_tree, strict=True)]
    try:
        return tuple(await asyncio.gather(*tasks))
    except BaseException:
        # The siblings of one that failed would go on spending money for nothing.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _gather_abstract(in_tree: Any, /, *, irs: Sequence[IR]) -> Any:
    return tuple([trees.map_leaves(ir_type, ir.out_ir_tree) for ir in irs])


rules(gather_p, impl=_gather_impl, aimpl=_gather_aimpl, abstract=_gather_abstract)

# ----------------------------------------------------------------------------------------------------- depends


def depends(value: Any, /, *deps: Any) -> Any:
    """Return `value`; in a program it is there only when all of `deps` are.

    So `sched` puts what uses it after what made `deps`, though no data flows from there. Both may be structures.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x, y: af.depends(x, y) + "!")("a", "b")
    >>> ir.call("hello", "ignored")
    'hello!'
    """
    return depends_p.bind((value, deps))


def _depends_impl(in_tree: Any, /) -> Any:
    return in_tree[0]


def _depends_abstract(in_tree: Any, /) -> Any:
    # A literal is a variable afterwards: what uses it must wait.
    return trees.map_leaves(lambda leaf: find_aval(leaf) or leaf, in_tree[0])


def _depends_push(in_tree: Any, /) -> Any:
    primals, tangents = in_tree
    out = depends_p.bind(primals)
    if all(is_zero(leaf) for leaf in trees.leaves(tangents[0])):
        return out, tangents[0]
    return out, depends_p.bind(tangents)


def _depends_backward(in_tree: Any, /) -> Any:
    deps, cotangent = in_tree
    return cotangent, zeros_like(deps)


rules(
    depends_p,
    impl=_depends_impl,
    abstract=_depends_abstract,
    push=staged(_depends_push),
    pull=(staged(lambda in_tree: (depends_p.bind(in_tree), in_tree[1])), staged(_depends_backward)),
    batch=lambda in_tree: (in_tree[2][0], in_tree[1][0]),
)
cheap_primitives.add(depends_p)
