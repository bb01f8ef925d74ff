"""Equations that hold programs, in a batch: the items go through a branch, a loop or an inner batch by themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alkahest.base import trees
from alkahest.base.avals import FloatAVal
from alkahest.base.interpreter import box_types
from alkahest.base.zero import Zero, is_zero, zeroof
from alkahest.errors import BatchError, OperandTypeError
from alkahest.ir.code import annotate
from alkahest.ir.columns import one_level
from alkahest.ir.inputs import accepts, as_float
from alkahest.ir.ir import IR, IRVar
from alkahest.machine.graph import Node, Unit
from alkahest.machine.machine import Machine
from alkahest.prims.control import branch, switch_p, while_loop_p
from alkahest.transforms.plans import like, tagged

if TYPE_CHECKING:
    from alkahest.machine.run import Run


def part_of(machine: Machine, unit: Unit) -> Part:
    """Return what carries out the programs of a node, made when it is first reached."""
    found = machine.parts.get(unit.id)
    if found is None:
        prim = unit.nodes[0].step.prim
        kind = SwitchPart if prim is switch_p else WhilePart if prim is while_loop_p else BatchPart
        found = machine.parts[unit.id] = kind(machine, unit)
    return found


class Part(ABC):
    """The programs of one node of a machine."""

    def __init__(self, machine: Machine, unit: Unit) -> None:
        self.machine = machine
        self.unit = unit
        self.run: Run = machine.run
        self.node: Node = unit.nodes[0]
        self.params = self.node.step.params

    @abstractmethod
    def start(self, ids: Sequence[int]) -> None:
        """Let activations go in."""

    def prefix(self, i: int, *more: int) -> tuple[int, ...]:
        """Return where an activation stands inside this node, in the order of execution."""
        return (*self.machine.prefixes[i], self.node.position, *more) if self.run.tracks else ()

    def give(self, ids: list[int], columns: Sequence[Sequence[Any]]) -> None:
        """Hand the outputs of activations back to the machine of this node."""
        for slot, column in zip(self.node.step.outs.slots, columns, strict=True):
            self.machine.store(slot, ids, column)
        self.run.completed(self.machine, self.unit, ids)

    def fail(self, i: int, error: Exception) -> None:
        """Give an activation up."""
        annotate(error, self.node.step.eqn, self.run.item(self.machine, i))
        self.run.lost(self.machine, self.unit)
        self.machine.fail(i, error)

    def fail_owner(self, owner: Any, error: Exception) -> None:
        """Take the failure of an activation of a machine inside."""
        self.fail(owner[0] if isinstance(owner, tuple) else owner, error)


class Inner:
    """A machine inside a part, and to whom its activations belong."""

    def __init__(self, part: Part, ir: IR, flags: Sequence[bool], done: Any, repeats: bool = False) -> None:
        self.owner: list[Any] = []
        self.flags = tuple(flags)
        self._done = done
        self._part = part
        graph = part.run.graph(tagged(ir, part.node.step.tags), self.flags, repeats or part.machine.graph.repeats)
        self.machine = Machine(part.run, graph, self._finished, self._failed)
        self.machine.skip = part.machine.skip
        self._begun = False

    def enter(self, owners: Sequence[Any], rows: Sequence[Sequence[Any]], prefixes: Any, paths: Any) -> None:
        """Let activations in: for each its owner and the leaves of its inputs."""
        if not self._begun:
            self._begun = True
            if prefixes:
                self.machine.prefix = prefixes[0]
            self.machine.begin(rows[0])
        columns = [[row[k] for row in rows] if flag else None for k, flag in enumerate(self.flags)]
        ids = self.machine.spawn(columns, prefixes, paths)
        for i, owner in zip(ids, owners, strict=True):
            Machine.place(self.owner, i, owner)
        if self.machine.broken is not None:
            for i in ids:
                self.machine.fail(i, self.machine.broken)

    def _finished(self, ids: list[int], columns: list[list[Any]]) -> None:
        self._done([self.owner[i] for i in ids], columns)

    def _failed(self, i: int, error: Exception) -> None:
        self._part.fail_owner(self.owner[i], error)


class SwitchPart(Part):
    """A switch: each branch is a machine, entered by the items whose key it has."""

    def __init__(self, machine: Machine, unit: Unit) -> None:
        super().__init__(machine, unit)
        self.branches: dict[Any, Inner] = {}
        self.queue: deque[int] = deque()  # in lock-step they go through one after the other

    def start(self, ids: Sequence[int]) -> None:
        """Let activations into the branches of their keys."""
        if self.run.lockstep and len(ids) > 1:
            self.queue.extend(ids)
            ids = [self.queue.popleft()]
        self._start(ids)

    def give(self, ids: list[int], columns: Sequence[Sequence[Any]]) -> None:
        """Hand outputs back, and let the next activation in where they go one after the other."""
        super().give(ids, columns)
        if self.queue:
            self._start([self.queue.popleft()])

    def fail(self, i: int, error: Exception) -> None:
        """Give an activation up, and let the next one in where they go one after the other."""
        super().fail(i, error)
        if self.queue:
            self._start([self.queue.popleft()])

    def prefix(self, i: int, *more: int) -> tuple[int, ...]:
        """Return where an activation stands: a switch is gone through item by item."""
        return self.machine.key(self.node, i) if self.run.tracks else ()

    def _start(self, ids: Sequence[int]) -> None:
        groups: dict[Any, list[tuple[int, list[Any]]]] = {}
        for i in ids:
            key, operands = self.machine.row(self.node, i)
            try:
                leaves = branch(self.params["branches"], key).code.inputs.read(operands)
            except Exception as error:
                self.fail(i, error)
                continue
            groups.setdefault(key, []).append((i, leaves))
        for key, members in groups.items():
            owners = [i for i, _ in members]
            rows = [leaves for _, leaves in members]
            paths = [self.machine.paths[i] for i in owners]
            self._branch(key).enter(owners, rows, [self.prefix(i) for i in owners], paths)

    def _branch(self, key: Any) -> Inner:
        ir = branch(self.params["branches"], key)
        if key not in self.branches:
            _, operand_flags = self.node.flags_tree
            flags = [any(trees.leaves(f)) for f in like(ir.in_ir_tree, operand_flags)]
            self.branches[key] = Inner(self, ir, flags, self.give)
            self.branches[key].machine.skip = len(self.machine.paths[0])
        return self.branches[key]


class WhilePart(Part):
    """A loop: a machine for the condition and one for the body; each item goes round by itself."""

    def __init__(self, machine: Machine, unit: Unit) -> None:
        super().__init__(machine, unit)
        cond, body = self.params["cond_ir"], self.params["body_ir"]
        self.most: int = self.params["max_iters"]
        n = trees.structure(body.in_ir_tree).num_leaves
        self.cond = Inner(self, cond, [True] * n, self._decided, repeats=True)
        self.body = Inner(self, body, [True] * n, self._went_round, repeats=True)
        self.inputs = body.code.inputs
        self.tree = body.in_ir_tree[0]

    def start(self, ids: Sequence[int]) -> None:
        """Let activations in front of the condition."""
        self._ask([(i, 0, like(self.tree, self.machine.row(self.node, i)[0])) for i in ids])

    def _fitting(self, states: list[tuple[int, int, list[Any]]]) -> list[tuple[int, int, list[Any]]]:
        """Return the states as the programs of the loop take them: an integer stands for a float as one."""
        found: list[tuple[int, int, list[Any]]] = []
        for i, k, values in states:
            try:
                found.append((i, k, self.inputs.fitted(values)))
            except OperandTypeError as error:
                self.fail(i, error)
        return found

    def _ask(self, states: list[tuple[int, int, list[Any]]]) -> None:
        over = [s for s in states if s[1] >= self.most]
        if over:
            self._leave(over)
        going = self._fitting([s for s in states if s[1] < self.most])
        if going:
            self._enter(self.cond, going, 0)

    def _enter(self, inner: Inner, states: list[tuple[int, int, list[Any]]], which: int) -> None:
        prefixes = [self.prefix(i, k, which) for i, k, _ in states]
        inner.enter(states, [s for _, _, s in states], prefixes, [self.machine.paths[i] for i, _, _ in states])

    def _decided(self, states: list[tuple[int, int, list[Any]]], columns: list[list[Any]]) -> None:
        (flags,) = columns
        over = [s for s, flag in zip(states, flags, strict=True) if not flag]
        going = [s for s, flag in zip(states, flags, strict=True) if flag]
        if over:
            self._leave(over)
        if going:
            self._enter(self.body, going, 1)

    def _went_round(self, states: list[tuple[int, int, list[Any]]], columns: list[list[Any]]) -> None:
        self._ask([(i, k + 1, [c[j] for c in columns]) for j, (i, k, _) in enumerate(states)])

    def _leave(self, states: list[tuple[int, int, list[Any]]]) -> None:
        n = len(self.node.step.outs.slots)
        self.give([i for i, _, _ in states], [[state[k] for _, _, state in states] for k in range(n)])


class _Pending:
    """An inner batch of one activation: what has come of it so far."""

    __slots__ = ("columns", "container", "left")

    def __init__(self, container: Any, size: int, leaves: int) -> None:
        self.container = container
        self.left = size
        self.columns: list[list[Any]] = [[None] * size for _ in range(leaves)]


class BatchPart(Part):
    """A batch inside a batch: one machine for the items of all items."""

    def __init__(self, machine: Machine, unit: Unit) -> None:
        super().__init__(machine, unit)
        self.ir: IR = self.params["ir"]
        self.axes = like(self.ir.in_ir_tree, self.params["in_axes"])
        outer = [any(trees.leaves(f)) for f in like(self.ir.in_ir_tree, self.node.flags_tree)]
        self.inner = Inner(self, self.ir, [a or o for a, o in zip(self.axes, outer, strict=True)], self._finished)
        self.out_leaves, self.out_treedef = trees.flatten(self.ir.out_ir_tree)
        self.pending: dict[int, _Pending] = {}

    def start(self, ids: Sequence[int]) -> None:
        """Let the items of activations in."""
        owners: list[tuple[int, int]] = []
        rows: list[list[Any]] = []
        for i in ids:
            try:
                container, size, lists = self._opened(i)
            except (BatchError, OperandTypeError) as error:
                self.fail(i, error)
                continue
            if not size:
                self._nothing(i)
                continue
            self.pending[i] = _Pending(container, size, len(self.out_leaves))
            owners.extend((i, k) for k in range(size))
            rows.extend([[v[k] if axis else v for v, axis in zip(lists, self.axes, strict=True)] for k in range(size)])
        if owners:
            prefixes = [self.prefix(i) for i, _ in owners]
            paths = [(*self.machine.paths[i], k) for i, k in owners]
            self.inner.enter(owners, rows, prefixes, paths)

    def _opened(self, i: int) -> tuple[Any, int, list[Any]]:
        values = like(self.ir.in_ir_tree, self.machine.row(self.node, i))
        container, size = open_batch(values, self.axes)
        lists: list[Any] = []
        for k, (leaf, value, axis) in enumerate(zip(trees.leaves(self.ir.in_ir_tree), values, self.axes, strict=True)):
            lists.append(checked_column(leaf, entries_of(value, size), f"batched input {k}") if axis else value)
        return container, size, lists

    def fail_owner(self, owner: Any, error: Exception) -> None:
        """Take the failure of an inner item: alone, where that was asked for, or that of the whole inner batch."""
        if not self.run.isolate:
            super().fail_owner(owner, error)
            return
        annotate(error, self.node.step.eqn)
        self._finished([owner], [[error] for _ in self.out_leaves])

    def _nothing(self, i: int) -> None:
        parts = self.node.step.outs.split(nothing_of(self.ir.out_ir_tree))
        self.give([i], [[part] for part in parts])

    def _finished(self, owners: list[tuple[int, int]], columns: list[list[Any]]) -> None:
        ready: list[int] = []
        for j, (i, k) in enumerate(owners):
            pending = self.pending[i]
            for column, values in zip(pending.columns, columns, strict=True):
                column[k] = values[j]
            pending.left -= 1
            if not pending.left:
                ready.append(i)
        if not ready:
            return
        rows: list[list[Any]] = []
        for i in ready:
            pending = self.pending.pop(i)
            out = self.out_treedef.unflatten([pending.container.unflatten(c) for c in pending.columns])
            rows.append(self.node.step.outs.split(out))
        self.give(ready, [[row[k] for row in rows] for k in range(len(self.node.step.outs.slots))])


def entries_of(value: Any, size: int) -> list[Any]:
    """Return the items of a batch; of a symbolic zero, as many of it."""
    return [value] * size if is_zero(value) else one_level(value)[0]


def nothing_of(out_ir_tree: Any) -> Any:
    """Return what comes of a batch of which only symbolic zeros are known: zeros."""
    return trees.map_leaves(lambda leaf: zeroof(leaf.aval if leaf.__class__ is IRVar else leaf), out_ir_tree)


def open_batch(values: Sequence[Any], axes: Sequence[bool], names: Sequence[str] = ()) -> tuple[Any, int]:
    """Return container and size of the batched values; no items, or uneven ones, raise `BatchError`.

    A symbolic zero may stand for a batch of zeros; where nothing else does, the size is 0. `names` says what the values
    are called in errors.
    """
    found: Any = None
    first = ""
    for k, (value, axis) in enumerate(zip(values, axes, strict=True)):
        if not axis or is_zero(value):
            continue
        name = names[k] if names else f"batched input {k}"
        try:
            entries, container = one_level(value)
        except BatchError as error:
            raise BatchError(f"{name}: {error.message}", remedy=error.remedy) from None
        if not entries:
            raise BatchError(
                f"{name} is a batch without items.",
                remedy="Pass at least one item, or leave the call out where there is none.",
            )
        if found is None:
            found, first = container, name
        elif container != found:
            raise _different(first, found.num_leaves, name, len(entries))
    return found, found.num_leaves if found is not None else 0


def _different(first: str, n: int, name: str, m: int) -> BatchError:
    if n != m:
        return BatchError(
            f"{first} has {n} items and {name} has {m}.",
            remedy="Pass as many items in each batched input, or leave one out of in_axes.",
        )
    return BatchError(
        f"{first} and {name} are batches in different containers.",
        remedy="Pass all batches in one kind of container: lists, tuples, or dicts of the same keys.",
    )


def checked_column(leaf: Any, column: list[Any], name: str) -> list[Any]:
    """Return a batch of values for an input, or raise `OperandTypeError` where one is of another type than it takes."""
    if leaf.__class__ is not IRVar or leaf.depth:
        return column
    for i, value in enumerate(column):
        if value.__class__ is not Zero and not accepts(leaf, value):
            if value.__class__ in box_types:
                raise value.leaked()
            raise OperandTypeError(
                f"item {i} of {name} has type {type(value).__name__} where the program takes {leaf.aval.label}.",
                remedy=f"Pass a batch of {leaf.aval.label}, as in the example the program was traced with.",
            )
    if isinstance(leaf.aval, FloatAVal):
        return [as_float(value) if value.__class__ is int else value for value in column]
    return column
