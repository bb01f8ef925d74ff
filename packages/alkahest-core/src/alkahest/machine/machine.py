"""A machine: items of a batch going through one program, each as far as it can.

Values are kept in columns, one list per variable, one entry per activation. An activation is an item of the batch, or
an item in one pass through a branch or a loop. A unit runs for all activations that are ready for it at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from alkahest.base.interpreter import active_tags
from alkahest.base.rules import batch_rules, impl_rules
from alkahest.errors import RuleError
from alkahest.ir.code import annotate
from alkahest.ir.order import order_key
from alkahest.machine.graph import Graph, Node, Unit
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import DerivedBatch

if TYPE_CHECKING:
    from alkahest.machine.run import Run

Ids = Sequence[int]
Done = Callable[[list[int], list[list[Any]]], None]
Failed = Callable[[int, Exception], None]


class Machine:
    """One program, and the activations that go through it.

    `done(ids, columns)` is called with the outputs, a column per leaf, as activations come to the end; `failed(id,
    error)` where one cannot go on.
    """

    def __init__(self, run: Run, graph: Graph, done: Done, failed: Failed) -> None:
        self.run = run
        self.graph = graph
        self.done = done
        self.failed = failed
        self.values: list[Any] = graph.code.template.copy()  # columns of batched slots, values of shared ones
        for slot in graph.batched:
            self.values[slot] = []
        self.n = 0
        self.free: list[int] = []
        self.dead: set[int] = set()
        self.missing: dict[int, list[int]] = {u.id: [] for u in self._counted()}
        self.shared_missing = [u.shared_deps for u in [*graph.units, graph.end]]
        self.parked: dict[int, list[int]] = {}
        self.ready: dict[int, list[int] | range | None] = {}
        self.parts: dict[Any, Any] = {}  # machines of the programs that nodes hold
        self.prefixes: list[tuple[int, ...]] = []
        self.paths: list[tuple[int, ...]] = []
        self.prefix = run.base  # of what is shared
        self.broken: Exception | None = None  # what happened to an equation that all activations share
        self.skip = 0  # how many entries of the paths the prefixes have already
        self.solo = False  # there are no activations: the program as a whole comes to its end

    def _counted(self) -> list[Unit]:
        return [u for u in [*self.graph.units, self.graph.end] if not u.shared and u.batched_deps > 1]

    # ------------------------------------------------------------------------------------------------- activations

    def begin(self, shared: Sequence[Any]) -> None:
        """Fill in the shared inputs, in order of the leaves of the input, and start what depends on them alone."""
        for slot, flag, value in zip(self.graph.code.inputs.shape.slots, self.graph.flags, shared, strict=True):
            if not flag:
                self.values[slot] = value
        for unit in self.graph.units:
            if unit.shared and not unit.shared_deps:
                self._queue(unit, None)
        if self.solo and not self.graph.end.shared_deps:
            self._queue(self.graph.end, None)

    def spawn(
        self, columns: Sequence[list[Any] | None], prefixes: Sequence[tuple[int, ...]], paths: Sequence[tuple[int, ...]]
    ) -> list[int] | range:
        """Add activations: one column per leaf of the input, None where it is shared; return their ids."""
        m = len(prefixes)
        ids = self._ids(m)
        fresh = isinstance(ids, range)
        for slot, column in zip(self.graph.code.inputs.shape.slots, columns, strict=True):
            if column is not None and slot in self.graph.batched:
                self.store(slot, ids, column)
        for k, i in enumerate(ids):
            self.place(self.prefixes, i, prefixes[k])
            self.place(self.paths, i, paths[k])
        for unit_id, counts in self.missing.items():
            n = self.graph.end.batched_deps if unit_id == self.graph.end.id else self.graph.units[unit_id].batched_deps
            if fresh:
                counts.extend([n] * m)
            else:
                for i in ids:
                    self.place(counts, i, n)
        for unit in [*self.graph.units, self.graph.end]:
            if not unit.shared and not unit.batched_deps:
                self._arrived(unit, ids)
        return ids

    def _ids(self, m: int) -> list[int] | range:
        if not self.free:
            self.n += m
            return range(self.n - m, self.n)
        taken = [self.free.pop() for _ in range(min(m, len(self.free)))]
        taken.extend(range(self.n, self.n + m - len(taken)))
        self.n = max(self.n, *[i + 1 for i in taken])
        return sorted(taken)

    @staticmethod
    def place(values: list[Any], i: int, value: Any) -> None:
        """Put `value` at position `i` of a list that may be shorter."""
        if i < len(values):
            values[i] = value
        else:
            values.extend([value] * (i + 1 - len(values)))

    def store(self, slot: int, ids: Ids, column: Sequence[Any]) -> None:
        """Put values of a batched slot in place for some activations."""
        if isinstance(ids, range) and len(ids) == self.n and ids.start == 0:
            self.values[slot] = list(column)
            return
        values = self.values[slot]
        if len(values) < self.n:
            values.extend([None] * (self.n - len(values)))
        for i, value in zip(ids, column, strict=True):
            values[i] = value

    def column(self, slot: int, ids: Ids) -> Any:
        """Return the values of a batched slot for some activations."""
        values = self.values[slot]
        if isinstance(ids, range) and len(ids) == len(values) and ids.start == 0:
            return values
        return [values[i] for i in ids]

    def row(self, node: Node, i: int) -> Any:
        """Return the inputs of a node for one activation."""
        values = self.values
        return node.step.ins.treedef.unflatten(
            [values[slot][i] if flag else values[slot] for slot, flag in zip(node.in_slots, node.flags, strict=True)]
        )

    def key(self, node: Node, i: int | None) -> tuple[int, ...]:
        """Return where an activation of a node stands in the order of execution: by equation, then by index."""
        if i is None:
            return (*self.prefix, node.position)
        return (*self.prefixes[i], node.position, *self.paths[i][self.skip :])

    # ----------------------------------------------------------------------------------------------------- readiness

    def _queue(self, unit: Unit, ids: Ids | None) -> None:
        waiting = self.ready.get(unit.id)
        if ids is None or waiting is None:
            self.ready[unit.id] = ids if ids is None or isinstance(ids, range) else sorted(ids)
        else:
            self.ready[unit.id] = sorted([*waiting, *ids])
        self.run.wake(self)

    def _arrived(self, unit: Unit, ids: Ids) -> None:
        if self.shared_missing[unit.id]:
            self.parked.setdefault(unit.id, []).extend(ids)
        else:
            self._queue(unit, ids)

    def complete(self, unit: Unit, ids: Ids | None) -> None:
        """Note that a unit is done, for some activations or, where it is shared, for all."""
        for target in unit.dependents:
            if ids is None:
                self._shared_done(target)
            elif target.batched_deps == 1:
                self._arrived(target, ids)
            else:
                counts = self.missing[target.id]
                ready: list[int] = []
                for i in ids:
                    counts[i] -= 1
                    if not counts[i]:
                        ready.append(i)
                if ready:
                    self._arrived(target, ready)

    def _shared_done(self, target: Unit) -> None:
        self.shared_missing[target.id] -= 1
        if self.shared_missing[target.id]:
            return
        if target.shared or (target is self.graph.end and self.solo):
            self._queue(target, None)
        elif target.id in self.parked:
            self._queue(target, self.parked.pop(target.id))

    def advance(self) -> None:
        """Run what is ready, first units first, until nothing is."""
        while self.ready:
            unit_id = min(self.ready)
            ids = self.ready.pop(unit_id)
            if self.dead and ids is not None:
                ids = [i for i in ids if i not in self.dead]
                if not ids:
                    continue
            if unit_id == self.graph.end.id:
                self._finish(ids)
                continue
            unit = self.graph.units[unit_id]
            if not unit.segment:
                self.run.launch(self, unit, ids)
            elif ids is None:
                self._run_shared(unit)
            else:
                self._run_segment(unit, ids)

    def _finish(self, ids: Ids | None) -> None:
        out = self.graph.code.out
        if ids is None:
            self.done([], [[self.values[slot]] for slot in out.slots])
            return
        batched = self.graph.batched
        columns = [list(self.column(s, ids)) if s in batched else [self.values[s]] * len(ids) for s in out.slots]
        self.free.extend(ids)
        self.done(list(ids), columns)

    def fail(self, i: int, error: Exception) -> None:
        """Give an activation up; what of it is still under way is not waited for."""
        if i not in self.dead:
            self.dead.add(i)
            self.failed(i, error)

    def break_down(self, error: Exception) -> None:
        """Give all activations up, those to come too: what they share has failed."""
        if self.solo or not self.n:
            raise error
        self.broken = error
        gone = {*self.free, *self.dead}
        for i in range(self.n):
            if i not in gone:
                self.fail(i, error)

    # ------------------------------------------------------------------------------------------------------ segments

    def _run_shared(self, unit: Unit) -> None:
        for node in unit.nodes:
            token = order_key.set(self.key(node, None)) if self.run.tracks else None
            try:
                out = self.run.carry_out(node, node.step.ins.build(self.values))
                node.step.outs.store(self.values, out)
            except Exception as error:
                annotate(error, node.step.eqn)
                self.break_down(error)
                return
            finally:
                if token is not None:
                    order_key.reset(token)
        self.complete(unit, None)

    def _run_segment(self, unit: Unit, ids: Ids) -> None:
        for node in unit.nodes:
            alive = self._run_node(node, ids)
            if not alive:
                return
            ids = alive
        self.complete(unit, ids)

    def _run_node(self, node: Node, ids: Ids) -> Ids:
        """Run a node on the columns of some activations, and return those of them that are well."""
        prim = node.step.prim
        if self.run.sees(prim):
            return self._each(node, ids, self._bind)
        rule = batch_rules.get(prim)
        if isinstance(rule, DerivedBatch) or (len(ids) == 1 and prim in cheap_primitives):
            return self._each(node, ids, self._carry_out)
        try:
            columns = self._outputs(node, ids, rule)
        except Exception as error:
            return self._one_by_one(node, ids, error)
        for slot, column in zip(node.step.outs.slots, columns, strict=True):
            self.store(slot, ids, column)
        return ids

    def _each(self, node: Node, ids: Ids, carry_out: Callable[[Node, int], Any]) -> Ids:
        """Carry a node out for one activation after the other, and return those of them that are well."""
        split = node.step.outs.split
        alive: list[int] = []
        rows: list[list[Any]] = []
        for i in ids:
            try:
                rows.append(split(carry_out(node, i)))
            except Exception as error:
                annotate(error, node.step.eqn, self.run.item(self, i))
                self.fail(i, error)
            else:
                alive.append(i)
        well = ids if len(alive) == len(ids) else alive
        if well:
            for slot, column in zip(node.step.outs.slots, zip(*rows, strict=True), strict=False):
                self.store(slot, well, column)
        return well

    def _outputs(self, node: Node, ids: Ids, rule: Any) -> list[Sequence[Any]]:
        """Return the outputs of a node by its batch rule, one column per leaf."""
        step = node.step
        values = step.ins.treedef.unflatten(
            [self.column(s, ids) if flag else self.values[s] for s, flag in zip(node.in_slots, node.flags, strict=True)]
        )
        token = active_tags.set(active_tags.get() | step.tags) if step.tags else None
        try:
            out, flags = rule((len(ids), node.flags_tree, values), **step.params)
        finally:
            if token is not None:
                active_tags.reset(token)
        return self.spread(node, out, flags, len(ids))

    def _carry_out(self, node: Node, i: int) -> Any:
        values = self.row(node, i)
        if node.step.tags:
            return self.run.carry_out(node, values)
        return impl_rules.get(node.step.prim)(values, **node.step.params)

    def spread(self, node: Node, out: Any, flags: Any, m: int) -> list[Sequence[Any]]:
        """Return the columns of what a batch rule gave; what it says is not batched is repeated."""
        outs = node.step.outs
        columns: list[Sequence[Any]] = []
        for column, flag in zip(outs.split(out), _flags(outs, flags), strict=True):
            if not flag:
                columns.append([column] * m)
                continue
            if len(column) != m:
                raise self.run.uneven(node, len(column), m)
            columns.append(column)
        return columns

    def _bind(self, node: Node, i: int) -> Any:
        token = order_key.set(self.key(node, i)) if self.run.tracks else None
        try:
            return node.step.eqn.bind(self.row(node, i), **node.step.params)
        finally:
            if token is not None:
                order_key.reset(token)

    def _one_by_one(self, node: Node, ids: Ids, error: Exception) -> Ids:
        """Find out which activations a failure is about: it is theirs alone."""
        alive: list[int] = []
        found = False
        for i in ids:
            try:
                parts = node.step.outs.split(self.run.carry_out(node, self.row(node, i)))
            except Exception as own:
                found = True
                annotate(own, node.step.eqn, self.run.item(self, i))
                self.fail(i, own)
                continue
            for slot, part in zip(node.step.outs.slots, parts, strict=True):
                self.store(slot, [i], [part])
            alive.append(i)
        if not found:
            annotate(error, node.step.eqn)
            raise error
        return alive


def _flags(outs: Any, flags: Any) -> list[bool]:
    found: list[Any] = []
    with suppress(ValueError):
        found = outs.treedef.flatten_up_to(flags)
    if len(found) != len(outs.slots) or any(flag.__class__ is not bool for flag in found):
        raise RuleError(
            "a batch rule returned flags in another structure than its output.",
            remedy="Return (output, flags): True or False for each leaf of the output.",
        )
    return found
