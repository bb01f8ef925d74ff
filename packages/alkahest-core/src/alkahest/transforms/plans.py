"""Plans: higher-order equations written out as first-order programs, which run, batch and transform like any other.

A plan is made once per program and kept on it (`IR.derived`); it is made anew when rules have changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alkahest.base import trees
from alkahest.base.prim import Prim
from alkahest.base.rules import version
from alkahest.ir.ir import IR, IREqn, IRVar
from alkahest.prims.ordering import gather_p

Expansion = Callable[[IREqn], IR]
expansions: dict[Prim, Expansion] = {}
"""How equations of higher-order primitives are written out: a program that takes the inputs of the equation."""


def derived(ir: IR, key: Any, make: Callable[[], Any]) -> Any:
    """Return what `make` gives, kept on `ir` under `key` until a rule changes."""
    found = ir.derived.get(key)
    if found is None or found[0] != version():
        found = (version(), make())
        ir.derived[key] = found
    return found[1]


def flat(ir: IR) -> IR:
    """Return `ir` with higher-order equations written out and gathers undone; what is left runs as it stands."""
    if not any(eqn.prim in expansions or eqn.prim is gather_p for eqn in ir.ir_eqns):
        return ir
    return derived(ir, "flat", lambda: _flatten(ir))


def as_written(ir: IR) -> IR:
    """Return a scheduled program in the order in which it was written, as far as its variables tell.

    What a plan adds up then comes in the same order, scheduled or not. It still runs by data edges.
    """
    return ir if ir.ordered is None else derived(ir, "written", lambda: _as_written(ir))


def _as_written(ir: IR) -> IR:
    eqns: list[IREqn] = []
    kept: list[bool] = []
    for position, eqn in enumerate(ir.ir_eqns):
        members = _members(eqn)
        eqns.extend(members)
        kept.extend([position in (ir.ordered or ())] * len(members))
    births: list[float] = []
    for eqn in eqns:
        births.append(_birth(eqn, births[-1] if births else -1.0))
    order = sorted(range(len(eqns)), key=births.__getitem__)
    chain = [k for k in order if kept[k]]
    if chain != sorted(chain) or not _well_ordered(ir, [eqns[k] for k in order]):
        return ir
    ordered = frozenset([position for position, k in enumerate(order) if kept[k]])
    return IR([eqns[k] for k in order], ir.in_ir_tree, ir.out_ir_tree, ordered=ordered)


def _members(eqn: IREqn) -> list[IREqn]:
    """Return the equations of a stage, each as a stage of its own."""
    if eqn.prim is not gather_p:
        return [eqn]
    return [
        eqn.replace(in_ir_tree=(ins,), out_ir_tree=(out,), params={"irs": (ir,)})
        for ir, ins, out in zip(eqn.params["irs"], eqn.in_ir_tree, eqn.out_ir_tree, strict=True)
    ]


def _birth(eqn: IREqn, before: float) -> float:
    """Return when an equation was written: ids of variables grow."""
    made = [leaf.id for leaf in eqn.outs if leaf.__class__ is IRVar]
    if made:
        return min(made)
    taken = [leaf.id for leaf in eqn.ins if leaf.__class__ is IRVar]
    return max(taken) + 0.5 if taken else before


def _well_ordered(ir: IR, eqns: Sequence[IREqn]) -> bool:
    known = {leaf.id for leaf in trees.leaves(ir.in_ir_tree) if leaf.__class__ is IRVar}
    for eqn in eqns:
        if any(leaf.__class__ is IRVar and leaf.id not in known for leaf in eqn.ins):
            return False
        known.update(leaf.id for leaf in eqn.outs if leaf.__class__ is IRVar)
    return True


def _flatten(ir: IR) -> IR:
    renamed: dict[int, Any] = {}
    eqns: list[IREqn] = []
    kept: list[int] = []  # positions of equations that keep their order
    free = ir.ordered is not None
    for position, eqn in enumerate(ir.ir_eqns):
        keeps = ir.ordered is None or position in ir.ordered
        if eqn.prim is not gather_p and eqn.prim not in expansions:
            if keeps:
                kept.append(len(eqns))
            eqns.append(renaming(eqn, renamed))
            continue
        for plan, ins, outs in _parts(eqn, renamed):
            first = flat(plan)
            more, results = inlined(first, ins)
            if eqn.prim is gather_p:
                free = True
            elif first.ordered is not None:
                free = True
                kept.extend(len(eqns) + k for k in sorted(first.ordered) if keeps)
            elif keeps:
                kept.extend(range(len(eqns), len(eqns) + len(more)))
            eqns.extend(more)
            for var, result in zip(outs, results, strict=True):
                if var.__class__ is IRVar:
                    renamed[var.id] = result
    out = trees.map_leaves(lambda leaf: renamed_leaf(leaf, renamed), ir.out_ir_tree)
    return IR(eqns, ir.in_ir_tree, out, ordered=frozenset(kept) if free else None)


def tagged(ir: IR, tags: frozenset[Any]) -> IR:
    """Return `ir` with `tags` on all its equations: those of the equation that it stands for."""
    if not tags:
        return ir
    return derived(ir, ("tags", tags), lambda: _tagged(ir, tags))


def _tagged(ir: IR, tags: frozenset[Any]) -> IR:
    return IR(
        [eqn.replace(tags=eqn.tags | tags) for eqn in ir.ir_eqns], ir.in_ir_tree, ir.out_ir_tree, ordered=ir.ordered
    )


def _parts(eqn: IREqn, renamed: dict[int, Any]) -> list[tuple[IR, list[Any], list[Any]]]:
    """Return the programs that stand for an equation, each with the leaves of its inputs and outputs."""
    eqn = renaming(eqn, renamed)
    if eqn.prim is not gather_p:
        plan = tagged(expansions[eqn.prim](eqn), eqn.tags)
        return [(plan, like(plan.in_ir_tree, eqn.in_ir_tree), like(plan.out_ir_tree, eqn.out_ir_tree))]
    irs: Sequence[IR] = eqn.params["irs"]
    return [
        (ir, like(ir.in_ir_tree, ins), like(ir.out_ir_tree, outs))
        for ir, ins, outs in zip(irs, eqn.in_ir_tree, eqn.out_ir_tree, strict=True)
    ]


def like(tree: Any, given: Any) -> list[Any]:
    """Return the parts of `given` at the leaves of `tree`."""
    return trees.structure(tree).flatten_up_to(given)


def renamed_leaf(leaf: Any, renamed: dict[int, Any]) -> Any:
    """Return what stands for `leaf` now."""
    return renamed.get(leaf.id, leaf) if leaf.__class__ is IRVar else leaf


def renaming(eqn: IREqn, renamed: dict[int, Any]) -> IREqn:
    """Return `eqn` with other inputs."""
    if not renamed:
        return eqn
    leaves, treedef = eqn.in_parts()
    if not any(leaf.__class__ is IRVar and leaf.id in renamed for leaf in leaves):
        return eqn
    return eqn.replace(in_ir_tree=treedef.unflatten([renamed_leaf(leaf, renamed) for leaf in leaves]))


def inlined(ir: IR, inputs: Sequence[Any]) -> tuple[list[IREqn], list[Any]]:
    """Return the equations of `ir`, with variables of their own, on other `inputs`, and the leaves of its output."""
    names: dict[int, Any] = {}
    for leaf, given in zip(trees.leaves(ir.in_ir_tree), inputs, strict=True):
        if leaf.__class__ is IRVar:
            names[leaf.id] = given
    eqns: list[IREqn] = []
    for eqn in ir.ir_eqns:
        outs, out_treedef = eqn.out_parts()
        made: list[Any] = []
        for leaf in outs:
            if leaf.__class__ is IRVar:
                new = IRVar(aval=leaf.aval, source=leaf if leaf.source is None else leaf.source, depth=leaf.depth)
                names[leaf.id] = new
                made.append(new)
            else:
                made.append(leaf)
        ins, in_treedef = eqn.in_parts()
        eqns.append(
            eqn.replace(
                in_ir_tree=in_treedef.unflatten([renamed_leaf(leaf, names) for leaf in ins]),
                out_ir_tree=out_treedef.unflatten(made),
            )
        )
    return eqns, [renamed_leaf(leaf, names) for leaf in trees.leaves(ir.out_ir_tree)]


def partition(ir: IR, known: Sequence[bool]) -> tuple[list[IREqn], list[IREqn], set[int]]:
    """Return the equations that need known inputs alone, the others, and the ids of the variables that are known.

    `known` has one flag per leaf of the inputs.
    """
    ids = {
        leaf.id
        for leaf, flag in zip(trees.leaves(ir.in_ir_tree), known, strict=True)
        if leaf.__class__ is IRVar and flag
    }
    early: list[IREqn] = []
    late: list[IREqn] = []
    for eqn in ir.ir_eqns:
        if all(leaf.__class__ is not IRVar or leaf.id in ids for leaf in eqn.ins):
            early.append(eqn)
            ids.update(leaf.id for leaf in eqn.outs if leaf.__class__ is IRVar)
        else:
            late.append(eqn)
    return early, late, ids


def crossing(late: Sequence[IREqn], out_ir_tree: Any, ids: set[int]) -> list[IRVar]:
    """Return the known variables that later equations, or the output, need, each once."""
    found: dict[int, IRVar] = {}
    for leaf in [*[leaf for eqn in late for leaf in eqn.ins], *trees.leaves(out_ir_tree)]:
        if leaf.__class__ is IRVar and leaf.id in ids:
            found.setdefault(leaf.id, leaf)
    return list(found.values())
