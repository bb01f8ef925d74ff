"""What a machine knows before it runs: which equations wait, which go together, and what each needs.

Equations that wait for something (a model's answer) are units of their own. The others are grouped into segments: those
that need the same waiting equations run together, column by column. An equation that depends on no batched input is
shared: it runs once for all items.
"""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.base.prim import Prim
from alkahest.base.rules import (
    AsyncTwin,
    RuleTable,
    batch_rules,
    impl_rules,
    pull_bwd_rules,
    pull_fwd_rules,
    push_rules,
)
from alkahest.ir.code import Code, Step
from alkahest.ir.ir import IR, IREqn, IRVar
from alkahest.prims.control import switch_p, while_loop_p
from alkahest.prims.derived import pull_bwd_p, pull_fwd_p, push_p
from alkahest.prims.groups import non_dce_primitives, waiting_primitives
from alkahest.prims.rules import BuiltinBatch, DerivedAsyncBatch, DerivedBatch
from alkahest.transforms.boundary import CustomFunction
from alkahest.transforms.calls import batch_call_p
from alkahest.transforms.custom_rules import custom_body
from alkahest.transforms.hoisting import hoisted
from alkahest.transforms.plans import derived, flat, inlined, like, renamed_leaf, renaming

_APPLIED: dict[Prim, RuleTable] = {push_p: push_rules, pull_fwd_p: pull_fwd_rules, pull_bwd_p: pull_bwd_rules}
HOLDING = frozenset({switch_p, while_loop_p, batch_call_p})


def prepared(ir: IR) -> IR:
    """Return `ir` with higher-order equations written out and nothing repeated that a batch can share."""
    return hoisted(derived(ir, "opened", lambda: _opened(flat(ir))))


def _opened(ir: IR) -> IR:
    """Return `ir` with the bodies of custom functions in their place, but for those with a batch rule of the user's."""
    if not any(_is_open(eqn) for eqn in ir.ir_eqns):
        return ir
    renamed: dict[int, Any] = {}
    eqns: list[IREqn] = []
    kept: list[int] = []
    for position, eqn in enumerate(ir.ir_eqns):
        eqn = renaming(eqn, renamed)
        made, before = [eqn], len(eqns)
        if _is_open(eqn):
            body = _opened(flat(custom_body(eqn.params["call"], eqn.in_ir_tree)))
            made, results = inlined(body, like(body.in_ir_tree, eqn.in_ir_tree))
            for var, result in zip(like(body.out_ir_tree, eqn.out_ir_tree), results, strict=True):
                if var.__class__ is IRVar:
                    renamed[var.id] = result
            made = [inner.replace(tags=inner.tags | eqn.tags) for inner in made]
        eqns.extend(made)
        if ir.ordered is not None and position in ir.ordered:
            kept.extend(range(before, len(eqns)))
    out = trees.map_leaves(lambda leaf: renamed_leaf(leaf, renamed), ir.out_ir_tree)
    return IR(eqns, ir.in_ir_tree, out, ordered=None if ir.ordered is None else frozenset(kept))


def _is_open(eqn: IREqn) -> bool:
    call = eqn.params.get("call")
    return isinstance(call, CustomFunction) and not call.opaque and not call.has("batch")


def waits(prim: Prim, params: Any, sync: bool, awaited: frozenset[Prim] = frozenset()) -> bool:
    """Tell whether a primitive waits for something, so that several of it should run side by side.

    In an async run those wait that have an async rule of their own, or that an interpreter must be awaited for.
    """
    if prim in awaited:
        return True
    if prim in _APPLIED:
        table, inner = _APPLIED[prim], params["prim"]
        if sync:
            return inner in waiting_primitives
        return table.has_async(inner) and not isinstance(table.aget(inner), AsyncTwin)
    if prim in HOLDING:
        return any(ir_waits(ir, sync, awaited) for ir in trees.leaves(params) if ir.__class__ is IR)
    if sync:
        return prim in waiting_primitives
    if batch_rules.has_async(prim) and prim not in batch_rules:
        return True
    return impl_rules.has_async(prim) and not isinstance(impl_rules.aget(prim), AsyncTwin)


def ir_waits(ir: IR, sync: bool, awaited: frozenset[Prim] = frozenset()) -> bool:
    """Tell whether anything in a program waits."""
    return derived(
        ir,
        ("waits", sync, awaited),
        lambda: any(waits(eqn.prim, eqn.params, sync, awaited) for eqn in prepared(ir).ir_eqns),
    )


def all_prims(ir: IR) -> frozenset[Prim]:
    """Return the primitives of a program and of those inside it."""
    return derived(ir, "prims", lambda: _all_prims(ir))


def _all_prims(ir: IR) -> frozenset[Prim]:
    found: set[Prim] = set()
    for eqn in prepared(ir).ir_eqns:
        found.add(eqn.prim)
        for leaf in trees.leaves(eqn.params):
            if leaf.__class__ is IR:
                found |= all_prims(leaf)
    return frozenset(found)


class Node:
    """One equation as a machine carries it out."""

    __slots__ = ("flags", "flags_tree", "in_slots", "position", "shared", "step", "waits")

    def __init__(self, step: Step, position: int, batched: set[int], waiting: bool, repeats: bool) -> None:
        self.step = step
        self.position = position
        self.in_slots = step.ins.slots
        self.flags = [slot in batched for slot in self.in_slots]
        self.flags_tree = step.ins.treedef.unflatten(self.flags)
        self.shared = not repeats and not any(self.flags)
        self.waits = waiting

    @property
    def alone(self) -> bool:
        """Whether it is a unit of its own: it waits, or holds programs that items go through by themselves."""
        return self.waits or (not self.shared and self.step.prim in HOLDING)


class Unit:
    """What becomes ready as a whole: an equation that waits, or a segment of others; the last one is the end."""

    __slots__ = ("batched_deps", "dependents", "id", "nodes", "segment", "shared", "shared_deps")

    def __init__(self, id: int, shared: bool, segment: bool) -> None:
        self.id = id
        self.shared = shared
        self.segment = segment
        self.nodes: list[Node] = []
        self.dependents: list[Unit] = []
        self.batched_deps = 0
        self.shared_deps = 0


class Graph:
    """The units of a program for one choice of batched inputs.

    A program that `repeats`, in a loop, shares nothing: what it does without inputs it does each time round. One that
    runs `in_order` comes by its marks as they were written.
    """

    def __init__(
        self,
        ir: IR,
        flags: tuple[bool, ...],
        sync: bool,
        awaited: frozenset[Prim],
        repeats: bool = False,
        in_order: bool = False,
    ) -> None:
        self.ir = ir
        self.code = Code(ir)
        self.sync = sync
        self.awaited = awaited
        self.repeats = repeats
        self.in_order = in_order
        self.batched: set[int] = {s for s, f in zip(self.code.inputs.shape.slots, flags, strict=True) if f}
        self.flags = flags
        self.nodes = [self._node(k, step) for k, step in enumerate(self.code.steps)]
        self.units: list[Unit] = []
        self._group()
        self.end = Unit(len(self.units), False, True)
        for unit in self.units:
            self._link(unit, self.end)

    def _node(self, position: int, step: Step) -> Node:
        waiting = waits(step.prim, step.params, self.sync, self.awaited)
        node = Node(step, position, self.batched, waiting, self.repeats)
        if not node.shared:
            self.batched.update(step.outs.slots)
        return node

    def _group(self) -> None:
        """Put nodes into units: by the set of waiting units that each needs, directly or not."""
        made_by: dict[int, Unit] = {}
        needs_of: dict[int, int] = {}  # the waiting units behind each slot, as bits
        segments: dict[tuple[int, bool], Unit] = {}
        # The last units that keep their order, the shared and the other one: what is shared waits for no item.
        last: dict[bool, tuple[Unit, int]] = {}
        for node in self.nodes:
            slots = [s for s in node.in_slots if s in made_by]
            needs = 0
            for s in slots:
                needs |= needs_of[s]
            keeps = self.ir.ordered is None or node.position in self.ir.ordered
            if node.alone or (self.in_order and node.step.prim in non_dce_primitives):
                unit = self._new(node.shared, not node.alone)
                for before, behind_it in [last[k] for k in last if keeps and (k or not unit.shared)]:
                    self._link(before, unit)
                    needs |= behind_it
                behind = needs | (1 << unit.id)
                if keeps:
                    last[unit.shared] = unit, behind
            else:
                key = (needs, node.shared)
                if key not in segments:
                    segments[key] = self._new(node.shared, True)
                unit, behind = segments[key], needs
            unit.nodes.append(node)
            for source in {made_by[s].id: made_by[s] for s in slots}.values():
                if source is not unit:
                    self._link(source, unit)
            for s in node.step.outs.slots:
                made_by[s] = unit
                needs_of[s] = behind

    def _new(self, shared: bool, segment: bool) -> Unit:
        unit = Unit(len(self.units), shared, segment)
        self.units.append(unit)
        return unit

    def _link(self, source: Unit, target: Unit) -> None:
        if target in source.dependents:
            return
        source.dependents.append(target)
        if source.shared:
            target.shared_deps += 1
        else:
            target.batched_deps += 1


def graph_of(
    ir: IR,
    flags: tuple[bool, ...],
    sync: bool,
    awaited: frozenset[Prim] = frozenset(),
    repeats: bool = False,
    in_order: bool = False,
) -> Graph:
    """Return the graph of a program, made once per choice of batched inputs."""
    key = ("graph", flags, sync, awaited, repeats, in_order)
    return derived(ir, key, lambda: Graph(prepared(ir), flags, sync, awaited, repeats, in_order))


def own_batch_rule(prim: Prim, sync: bool) -> bool:
    """Tell whether somebody gave `prim` a batch rule that must be asked, rather than the items one by one."""
    if not sync and batch_rules.has_async(prim):
        rule = batch_rules.aget(prim)
        return not isinstance(getattr(rule, "rule", rule), DerivedAsyncBatch | BuiltinBatch)
    return prim in batch_rules and not isinstance(batch_rules.get(prim), DerivedBatch | BuiltinBatch)
