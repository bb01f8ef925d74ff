"""The higher-order primitives that transforms put in place of a program: each holds the program it is about."""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.base.prim import Prim
from alkahest.base.zero import zeroof
from alkahest.ir.checking import checked
from alkahest.ir.ir import IR, Flow, IREqn, IRVar

batch_call_p = Prim("batch_call")
pushforward_call_p = Prim("pushforward_call")
pullback_call_p = Prim("pullback_call")
weighted_call_p = Prim("weighted_call")


def call_ir(prim: Prim, in_ir_tree: Any, out_ir_tree: Any, **params: Any) -> IR:
    """Return the program of one equation that stands for a transformed program."""
    return checked(IR([IREqn(prim, in_ir_tree, out_ir_tree, params)], in_ir_tree, out_ir_tree))


def copied(tree: Any, *, deeper: Any = None) -> Any:
    """Return `tree` with new variables of the same abstract values; one level deeper where the flags `deeper` say."""
    leaves, treedef = trees.flatten(tree)
    flags = [False] * len(leaves) if deeper is None else trees.leaves(deeper)
    made = [
        IRVar(aval=leaf.aval, source=_source(leaf), depth=leaf.depth + flag) if leaf.__class__ is IRVar else leaf
        for leaf, flag in zip(leaves, flags, strict=True)
    ]
    return treedef.unflatten(made)


def batched_outputs(tree: Any, depth: int = 1) -> Any:
    """Return `tree` with a new variable, `depth` batches deeper, in place of each leaf: literals are broadcast too."""
    return trees.map_leaves(
        lambda leaf: IRVar(
            aval=zeroof(leaf).aval, source=_source(leaf), depth=(leaf.depth if leaf.__class__ is IRVar else 0) + depth
        ),
        tree,
    )


def _source(leaf: Any) -> Any:
    """Return what a variable made after `leaf` is for: a copy of a tangent or cotangent is one too."""
    return leaf.source if leaf.__class__ is IRVar and isinstance(leaf.source, Flow) else leaf


def flows(kind: str, tree: Any, *, literals: bool = False) -> Any:
    """Return `tree` with new variables for tangents or cotangents; a literal's is a symbolic zero.

    With `literals` theirs are variables too, which take feedback on a literal output: it goes nowhere.
    """
    return trees.map_leaves(lambda leaf: flow(kind, leaf, literals=literals), tree)


def flow(kind: str, leaf: Any, *, literals: bool = False) -> Any:
    """Return a variable for the tangent or cotangent of `leaf`, or a symbolic zero for that of a literal."""
    if leaf.__class__ is IRVar:
        return IRVar(aval=leaf.aval, source=Flow(kind, leaf), depth=leaf.depth)
    return IRVar(aval=zeroof(leaf).aval, source=Flow(kind, leaf)) if literals else zeroof(leaf)
