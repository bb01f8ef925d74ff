"""What a batch need not repeat: equations that depend on no batched input, taken out in front of it."""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.ir.ir import IR, IREqn, IRVar
from alkahest.transforms.calls import batch_call_p
from alkahest.transforms.plans import crossing, derived, flat, inlined, like, partition, renamed_leaf, renaming, tagged


def hoisted(ir: IR) -> IR:
    """Return `ir` with what its batches need not repeat in front of them, as equations of its own."""
    if not any(eqn.prim is batch_call_p for eqn in ir.ir_eqns):
        return ir
    return derived(ir, "hoisted", lambda: _hoist(ir))


def _hoist(ir: IR) -> IR:
    eqns: list[IREqn] = []
    kept: list[int] = []
    renamed: dict[int, Any] = {}
    for position, eqn in enumerate(ir.ir_eqns):
        eqn = renaming(eqn, renamed)
        start = len(eqns)
        if eqn.prim is batch_call_p:
            made, outs = _split_batch(eqn)
            eqns.extend(made)
            for leaf, result in zip(eqn.outs, outs, strict=True):
                if leaf.__class__ is IRVar:
                    renamed[leaf.id] = result
        else:
            eqns.append(eqn)
        if ir.ordered is None or position in ir.ordered:
            kept.extend(range(start, len(eqns)))
    out = trees.map_leaves(lambda leaf: renamed_leaf(leaf, renamed), ir.out_ir_tree)
    return IR(eqns, ir.in_ir_tree, out, ordered=None if ir.ordered is None else frozenset(kept))


def _split_batch(eqn: IREqn) -> tuple[list[IREqn], list[Any]]:
    """Return the equations that stand for a batch, the last one what must be repeated, and the outputs."""
    ir = tagged(hoisted(flat(eqn.params["ir"])), eqn.tags)
    flags = like(ir.in_ir_tree, eqn.params["in_axes"])
    if not any(flags):  # a batch of nothing is a plain call
        return inlined(ir, like(ir.in_ir_tree, eqn.in_ir_tree))
    early, late, ids = partition(ir, [not flag for flag in flags])
    if not early:
        return [eqn], eqn.outs
    batched = [leaf for leaf, flag in zip(trees.leaves(ir.in_ir_tree), flags, strict=True) if flag]
    shared = crossing(late, ir.out_ir_tree, ids)
    ordered = None if ir.ordered is None else _positions(ir, late)
    inner = IR(late, (*batched, *shared), ir.out_ir_tree, ordered=ordered)
    # The variables of what is taken out get names of their own: a program may be batched twice.
    front = IR(early, ir.in_ir_tree, tuple(shared))
    outer = like(ir.in_ir_tree, eqn.in_ir_tree)
    made, results = inlined(front, outer)
    given = [g for g, flag in zip(outer, flags, strict=True) if flag]
    axes = (*[True for _ in batched], *[False for _ in shared])
    call = eqn.replace(in_ir_tree=(*given, *results), params={"ir": inner, "in_axes": axes})
    return [*made, call], eqn.outs


def _positions(ir: IR, chosen: list[IREqn]) -> frozenset[int]:
    ordered = {id(ir.ir_eqns[k]) for k in ir.ordered or ()}
    return frozenset([k for k, eqn in enumerate(chosen) if id(eqn) in ordered])


def split(plan: IR) -> tuple[IR, IR]:
    """Return a plan `(primals, cotangents) -> (output, input cotangents)` as a forward and a backward program.

    Forward: `primals -> (output, residuals)`; backward: `(residuals, cotangents) -> input cotangents`; residuals are a
    tuple.
    """
    primals, cotangents = plan.in_ir_tree
    out, found = plan.out_ir_tree
    n = trees.structure(primals).num_leaves
    known = [k < n for k in range(trees.structure(plan.in_ir_tree).num_leaves)]
    early, late, ids = partition(plan, known)
    residuals = tuple(crossing(late, found, ids))
    scheduled = plan.ordered is not None
    forward = IR(early, primals, (out, residuals), ordered=_positions(plan, early) if scheduled else None)
    backward = IR(late, (residuals, cotangents), found, ordered=_positions(plan, late) if scheduled else None)
    return forward, backward
