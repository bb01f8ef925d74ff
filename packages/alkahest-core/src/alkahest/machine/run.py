"""One run of a machine and the machines inside it: what is ready runs, what waits runs side by side."""

from __future__ import annotations

import contextvars
import queue
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from alkahest.base.interpreter import active_interpreter, active_tags
from alkahest.base.prim import Prim
from alkahest.base.rules import AsyncTwin, batch_rules, impl_rules
from alkahest.errors import BatchError, ProgramError
from alkahest.ir.code import annotate
from alkahest.ir.order import next_position, order_key
from alkahest.machine.graph import Graph, Node, Unit, all_prims, graph_of, own_batch_rule
from alkahest.prims.control import switch_p, while_loop_p
from alkahest.prims.marks import checkpoint_p
from alkahest.transforms.calls import batch_call_p

if TYPE_CHECKING:
    import asyncio

    from alkahest.ir.ir import IR
    from alkahest.machine.machine import Machine

THREADS = 128
"""How many waiting equations a synchronous run carries out side by side; a client may bound its calls further."""

progress_hook: ContextVar[Callable[[int, int], None] | None] = ContextVar("progress_hook", default=None)


class Event:
    """What came of a job: the outputs of a unit for some activations, or an error."""

    __slots__ = ("columns", "error", "ids", "machine", "unit")

    def __init__(self, machine: Machine, unit: Unit, ids: Sequence[int] | None) -> None:
        self.machine = machine
        self.unit = unit
        self.ids = ids
        self.columns: list[Any] = []
        self.error: BaseException | None = None


class Run:
    """What the machines of one run share."""

    def __init__(self, ir: IR, *, sync: bool) -> None:
        self.sync = sync
        self.interpreter = active_interpreter.get()
        self.lockstep = self.interpreter.ordered
        self.tracks = self.interpreter.sees(checkpoint_p)
        self.awaited = frozenset([] if sync else [prim for prim in all_prims(ir) if self.interpreter.awaits(prim)])
        # Where this run stands in the order of execution.
        self.base = (*order_key.get(), next_position())
        self._seen: dict[Prim, bool] = {}
        self._agenda: deque[Machine] = deque()
        self._awake: set[int] = set()
        self._barriers: dict[tuple[int, int], list[Any]] = {}
        self.over = False
        self.isolate = False  # whether a failure is that of its item alone
        self.failing = False
        self.out = 0  # jobs under way
        # One of the two, when the first job is launched.
        self._pool: ThreadPoolExecutor | None = None
        self._arrived: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._events: list[Event] = []
        self._wakeup: asyncio.Event | None = None

    def graph(self, ir: IR, flags: tuple[bool, ...], repeats: bool = False) -> Graph:
        """Return the graph of a program for this run."""
        return graph_of(ir, flags, self.sync, self.awaited, repeats, self.lockstep)

    def sees(self, prim: Prim) -> bool:
        """Tell whether the active interpreter must be asked for `prim`."""
        found = self._seen.get(prim)
        if found is None:
            found = self._seen[prim] = self.interpreter.sees(prim)
        return found

    def carry_out(self, node: Node, values: Any) -> Any:
        """Carry out an equation on its inputs."""
        step = node.step
        if self.sees(step.prim):
            return step.eqn.bind(values, **step.params)
        token = active_tags.set(active_tags.get() | step.tags)
        try:
            return impl_rules.get(step.prim)(values, **step.params)
        finally:
            active_tags.reset(token)

    async def acarry_out(self, node: Node, values: Any) -> Any:
        """Carry out an equation asynchronously."""
        step = node.step
        if self.sees(step.prim):
            return await step.eqn.abind(values, **step.params)
        token = active_tags.set(active_tags.get() | step.tags)
        try:
            return await impl_rules.aget(step.prim)(values, **step.params)
        finally:
            active_tags.reset(token)

    def item(self, machine: Machine, i: int) -> Any:
        """Return the index of the batch's item that an activation belongs to; a tuple in nested batches."""
        path = machine.paths[i]
        return path[0] if len(path) == 1 else path

    def uneven(self, node: Node, got: int, wanted: int) -> BatchError:
        """Return the error for a batch rule that lost or invented items."""
        return BatchError(
            f"the batch rule of {node.step.prim} returned {got} items for {wanted}.",
            remedy="Return one item per item.",
        )

    # ------------------------------------------------------------------------------------------------------- launches

    def wake(self, machine: Machine) -> None:
        """Put a machine on the agenda: something is ready in it."""
        if id(machine) not in self._awake:
            self._awake.add(id(machine))
            self._agenda.append(machine)

    def launch(self, machine: Machine, unit: Unit, ids: Sequence[int] | None) -> None:
        """Start a unit that waits, or whose items go their own ways; nothing more starts once something failed."""
        if self.failing:
            return
        node = unit.nodes[0]
        prim = node.step.prim
        if ids is None:
            self._submit(machine, unit, None, node.step.ins.build(machine.values))
            return
        if self.lockstep:
            self._barriers[id(machine), unit.id] = [len(ids), []]
        if prim in (switch_p, while_loop_p, batch_call_p):
            from alkahest.machine.parts import part_of

            part_of(machine, unit).start(ids)
        elif own_batch_rule(prim, self.sync) and not self.sees(prim):
            self._submit_column(machine, unit, list(ids))
        else:
            for i in ids:
                self._submit(machine, unit, i, machine.row(node, i))

    def completed(self, machine: Machine, unit: Unit, ids: Sequence[int]) -> None:
        """Note that a unit is done for some activations; in lock-step they go on together."""
        barrier = self._barriers.get((id(machine), unit.id))
        if barrier is None:
            machine.complete(unit, ids)
            return
        barrier[0] -= len(ids)
        barrier[1].extend(ids)
        if barrier[0] <= 0:
            del self._barriers[id(machine), unit.id]
            machine.complete(unit, sorted(barrier[1]))

    def lost(self, machine: Machine, unit: Unit) -> None:
        """Note that an activation will not come back from a unit."""
        barrier = self._barriers.get((id(machine), unit.id))
        if barrier is not None:
            barrier[0] -= 1
            self.completed(machine, unit, [])

    def _submit(self, machine: Machine, unit: Unit, i: int | None, values: Any) -> None:
        node = unit.nodes[0]
        event = Event(machine, unit, None if i is None else [i])
        key = machine.key(node, i) if self.tracks else None
        split = node.step.outs.split
        if self.sync:

            def work() -> None:
                if key is not None:
                    order_key.set(key)
                event.columns = [[v] for v in split(self.carry_out(node, values))]

            self._in_thread(event, work)
        else:

            async def wait() -> None:
                if key is not None:
                    order_key.set(key)
                event.columns = [[v] for v in split(await self.acarry_out(node, values))]

            self._as_task(event, wait())

    def _submit_column(self, machine: Machine, unit: Unit, ids: list[int]) -> None:
        node = unit.nodes[0]
        step = node.step
        event = Event(machine, unit, ids)
        columns = [
            machine.column(s, ids) if flag else machine.values[s]
            for s, flag in zip(node.in_slots, node.flags, strict=True)
        ]
        in_tree = (len(ids), node.flags_tree, step.ins.treedef.unflatten(columns))
        if self.sync:

            def work() -> None:
                active_tags.set(active_tags.get() | step.tags)
                out, flags = batch_rules.get(step.prim)(in_tree, **step.params)
                event.columns = machine.spread(node, out, flags, len(ids))

            self._in_thread(event, work)
        else:

            async def wait() -> None:
                active_tags.set(active_tags.get() | step.tags)
                rule = batch_rules.aget(step.prim) if batch_rules.has_async(step.prim) else batch_rules.get(step.prim)
                if isinstance(rule, AsyncTwin):
                    rule = rule.rule
                out = rule(in_tree, **step.params)
                if hasattr(out, "__await__"):
                    out = await out
                values, flags = out
                event.columns = machine.spread(node, values, flags, len(ids))

            self._as_task(event, wait())

    def _in_thread(self, event: Event, work: Callable[[], None]) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="alkahest")
        context = contextvars.copy_context()

        def job() -> None:
            if self.failing:
                return
            try:
                context.run(work)
            except BaseException as error:  # handed over to the thread that waits
                event.error = error
                self.failing = not self.isolate
            self._arrived.put(event)

        self.out += 1
        self._pool.submit(job)

    def _as_task(self, event: Event, coroutine: Any) -> None:
        import asyncio

        task = asyncio.ensure_future(coroutine)
        self.out += 1
        self._tasks.add(task)

        def done(task: asyncio.Future[Any]) -> None:
            self._tasks.discard(task)
            event.error = asyncio.CancelledError() if task.cancelled() else task.exception()
            self.failing = self.failing or (event.error is not None and not self.isolate)
            self._events.append(event)
            if self._wakeup is not None:
                self._wakeup.set()

        task.add_done_callback(done)

    # ------------------------------------------------------------------------------------------------------- progress

    def settle(self) -> None:
        """Run what is ready, and what that makes ready, until all wait."""
        while self._agenda:
            machine = self._agenda.popleft()
            self._awake.discard(id(machine))
            machine.advance()

    def take(self, events: list[Event]) -> None:
        """Take in what came of jobs: first what went well, so that a failure finds it done."""
        failed = [event for event in events if event.error is not None]
        self.out -= len(events)
        self._went_well([event for event in events if event.error is None])
        if failed:
            self.settle()
        for event in failed:
            self._failed(event)

    def _went_well(self, events: list[Event]) -> None:
        """Take in the outputs of jobs; activations that come together go on together."""
        groups: dict[tuple[int, int], list[Event]] = {}
        for event in events:
            if event.ids is None:
                for slot, column in zip(event.unit.nodes[0].step.outs.slots, event.columns, strict=True):
                    event.machine.values[slot] = column[0]
                event.machine.complete(event.unit, None)
            else:
                groups.setdefault((id(event.machine), event.unit.id), []).append(event)
        for group in groups.values():
            machine, unit = group[0].machine, group[0].unit
            ids: list[int] = []
            for event in group:
                ids.extend(event.ids or ())
                for slot, column in zip(unit.nodes[0].step.outs.slots, event.columns, strict=True):
                    machine.store(slot, event.ids or (), column)
            self.completed(machine, unit, sorted(ids))

    def _failed(self, event: Event) -> None:
        error, eqn = event.error, event.unit.nodes[0].step.eqn
        if not isinstance(error, Exception):
            raise error or ProgramError("a job was lost.", remedy="Report this.")
        if event.ids is None:
            annotate(error, eqn)
            event.machine.break_down(error)
            return
        for i in event.ids:
            annotate(error, eqn, self.item(event.machine, i) if len(event.ids) == 1 else None)
            self.lost(event.machine, event.unit)
            event.machine.fail(i, error)

    def drive(self) -> None:
        """Run to the end, in this thread and those of the pool."""
        try:
            self.settle()
            while not self.over:
                self._check_progress()
                events = [self._arrived.get()]
                while not self._arrived.empty():
                    events.append(self._arrived.get())
                self.take(events)
                self.settle()
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    async def adrive(self) -> None:
        """Run to the end, with a task for each job; if it fails or is cancelled, so are they."""
        import asyncio

        self._wakeup = asyncio.Event()
        try:
            self.settle()
            while not self.over:
                self._check_progress()
                await self._wakeup.wait()
                self._wakeup.clear()
                events, self._events = self._events, []
                self.take(events)
                self.settle()
        finally:
            left = list(self._tasks)
            for task in left:
                task.cancel()
            if left:
                await asyncio.gather(*left, return_exceptions=True)

    def _check_progress(self) -> None:
        if not self.out:
            raise ProgramError(
                "a program came to a halt before its end.", remedy="This is a fault of Alkahest: please report it."
            )
