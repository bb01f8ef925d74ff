"""Results that are kept: memoize, within a block and on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Coroutine, Generator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from contextvars import ContextVar
from os import PathLike
from typing import TYPE_CHECKING, Any

from alkahest.base import trees
from alkahest.base.interpreter import Interpreter, active_interpreter, active_tags, using_interpreter
from alkahest.base.prim import Prim
from alkahest.errors import OperandTypeError
from alkahest.ir.code import interpreter_traces
from alkahest.ir.ir import IR
from alkahest.prims.groups import cheap_primitives, non_memoizable_primitives, waiting_primitives
from alkahest.transforms.keys import Key, tree_key

if TYPE_CHECKING:
    from alkahest.transforms.memo_store import Store

_inside: ContextVar[bool] = ContextVar("_inside", default=False)
"""Whether a memoized call is under way around us. Who is inside of one waits for no other, so none wait in a circle."""


class _Kept:
    """A result, taken apart: what a caller does to a structure it was given leaves the kept one as it is."""

    __slots__ = ("leaves", "treedef")

    def __init__(self, out: Any) -> None:
        self.leaves, self.treedef = trees.flatten(out)

    def tree(self) -> Any:
        return self.treedef.unflatten(self.leaves)


class _SharedTask:
    """A call under way in an event loop; it is given up when the last of its callers is cancelled."""

    __slots__ = ("callers", "task")

    def __init__(self) -> None:
        self.callers = 1
        self.task: asyncio.Task[_Kept]


class Memo(Interpreter):
    """Keeps results of primitives, by primitive, inputs and parameters; what `memoize` yields.

    `hits` counts the calls that were answered from what was kept or under way, `misses` those that were carried out.
    """

    def __init__(
        self, parent: Interpreter, store: Store | None = None, primitives: frozenset[Prim] | None = None
    ) -> None:
        self.parent: Interpreter = parent  # pyright: ignore[reportIncompatibleVariableOverride]
        self.traces = interpreter_traces(parent)
        self._store = store
        self._primitives = primitives
        self._lock = threading.Lock()
        self._kept: dict[Key, _Kept] = {}
        self._calls: dict[Key, Future[_Kept]] = {}
        self._tasks: dict[tuple[Key, Any], _SharedTask] = {}
        self._counts = [0, 0]
        self._evaluating: Memo | None = None

    @property
    def hits(self) -> int:
        """How many calls were answered from what was kept, in memory or on disk, or shared a call under way."""
        return self._counts[0]

    @property
    def misses(self) -> int:
        """How many calls that could have been answered were carried out."""
        return self._counts[1]

    def sees(self, prim: Prim) -> bool:
        """Tell whether results of `prim` are kept: cheap ones only where somebody has to be asked anyway."""
        return self.parent.sees(prim) or not (prim in cheap_primitives or prim in non_memoizable_primitives)

    def awaits(self, prim: Prim) -> bool:
        """Tell whether an interpreter further out must be awaited: the memo serves both sides."""
        return self.parent.awaits(prim)

    def in_trace(self, parent: Interpreter, /) -> Interpreter:
        """Return a memo of the equations of one program: equal ones are recorded once."""
        return Memo(parent, None, self._primitives)

    def over(self, parent: Interpreter) -> Interpreter:
        """Return the memo for what `fold` carries out inside a traced function; the block has one."""
        if self._evaluating is None:
            self._evaluating = Memo(parent, self._store, self._primitives)
            self._evaluating._counts = self._counts
        self._evaluating.parent = parent
        return self._evaluating

    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Return the kept result, or that of the same call under way in another thread, or carry out `prim`."""
        key = self._key(prim, in_tree, params)
        if key is None:
            return self.parent.interpret(prim, in_tree, **params)
        while True:
            kept, call, mine = self._claim(key)
            if kept is not None:
                return kept.tree()
            if call is None or mine:
                return self._run(key, call, prim, in_tree, params)
            try:
                kept = call.result()
            except CancelledError:
                if call.cancelled():
                    continue  # interrupted: whoever waited tries again
                raise
            self._count(hit=True)
            return kept.tree()

    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Return the kept result, or that of the same call under way in this event loop, or carry out `prim`."""
        key = self._key(prim, in_tree, params)
        if key is None:
            return await self.parent.ainterpret(prim, in_tree, **params)
        if self.traces:
            return self.interpret(prim, in_tree, **params)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            kept = await self._shared(key, self._amade(key, prim, in_tree, params))
        else:
            self._count(hit=True)
        return kept.tree()

    def _key(self, prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> Key | None:
        """Return what the result is kept under, or None where it is not kept."""
        if prim in non_memoizable_primitives or (prim in cheap_primitives and not self.parent.sees(prim)):
            return None
        key: Key = (prim, tree_key(in_tree))
        if params:
            # What programs in parameters bind is seen when it runs. An equation of them is recorded once, where they
            # have no effects.
            programs = [leaf for leaf in trees.leaves(params) if isinstance(leaf, IR)]
            if programs and not (self.traces and _without_effects(programs)):
                return None
            key = (*key, tree_key(params))
        if self.traces:
            key = (*key, active_tags.get())
        try:
            hash(key)
        except TypeError:
            return None
        return key

    def _count(self, *, hit: bool) -> None:
        with self._lock:
            self._counts[0 if hit else 1] += 1

    def _keep(self, key: Key, out: Any) -> _Kept:
        kept = _Kept(out)
        with self._lock:
            return self._kept.setdefault(key, kept)

    # ------------------------------------------------------------------------------------------ in threads

    def _claim(self, key: Key) -> tuple[_Kept | None, Future[_Kept] | None, bool]:
        """Return the kept result; else the call under way, and whether it is ours; None for a call of our own."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._counts[0] += 1
                return kept, None, False
            call = self._calls.get(key)
            if call is None:
                call = self._calls[key] = Future()
                return None, call, True
        return (None, call, False) if _may_block() else (None, None, False)

    def _run(self, key: Key, call: Future[_Kept] | None, prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> Any:
        if call is None:
            return self._made(key, prim, in_tree, params).tree()
        try:
            kept = self._made(key, prim, in_tree, params)
        except Exception as error:
            self._end(key)
            call.set_exception(error)
            raise
        except BaseException:
            self._end(key)
            call.cancel()
            raise
        self._end(key)
        call.set_result(kept)
        return kept.tree()

    def _end(self, key: Key) -> None:
        with self._lock:
            del self._calls[key]

    def _made(self, key: Key, prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> _Kept:
        token = _inside.set(True)
        try:
            place = self._place(prim, in_tree, params)
            found, out = (False, None) if place is None else place[0].get(place[1])
            self._count(hit=found)
            if not found:
                out = self.parent.interpret(prim, in_tree, **params)
            kept = self._keep(key, out)
            if place is not None and not found:
                place[0].put(place[1], out)
            return kept
        finally:
            _inside.reset(token)

    # ------------------------------------------------------------------------------------ in an event loop

    async def _amade(self, key: Key, prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> _Kept:
        token = _inside.set(True)
        try:
            place = self._place(prim, in_tree, params)
            found, out = (False, None) if place is None else await place[0].aget(place[1])
            self._count(hit=found)
            if not found:
                out = await self.parent.ainterpret(prim, in_tree, **params)
            kept = self._keep(key, out)
            if place is not None and not found:
                await place[0].aput(place[1], out)
            return kept
        finally:
            _inside.reset(token)

    async def _shared(self, key: Key, made: Coroutine[Any, Any, _Kept]) -> _Kept:
        """Return what the same call under way in this event loop gives, or `made`, which others may share then."""
        loop = asyncio.get_running_loop()
        place = (key, loop)
        shared = self._tasks.get(place)
        if shared is None:
            mine = self._tasks[place] = _SharedTask()  # known before it starts, since it may run at once
            mine.task = loop.create_task(made)
            mine.task.add_done_callback(lambda _: self._forget(place, mine))
            return await self._outcome(place, mine)
        if _inside.get():
            return await made
        made.close()
        shared.callers += 1
        kept = await self._outcome(place, shared)
        self._count(hit=True)
        return kept

    async def _outcome(self, place: tuple[Key, Any], shared: _SharedTask) -> _Kept:
        try:
            return await asyncio.shield(shared.task)
        except asyncio.CancelledError:
            shared.callers -= 1
            if shared.callers == 0 and not shared.task.done():
                self._forget(place, shared)
                shared.task.cancel()
                await asyncio.wait({shared.task})
                if not shared.task.cancelled():
                    shared.task.exception()  # nobody is left to be told
            raise

    def _forget(self, place: tuple[Key, Any], shared: _SharedTask) -> None:
        with self._lock:
            if self._tasks.get(place) is shared:
                del self._tasks[place]

    def _place(self, prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> tuple[Store, str] | None:
        """Return where on disk the result belongs, or None where it stays in memory."""
        wanted = waiting_primitives if self._primitives is None else self._primitives
        if self._store is None or self.traces or prim not in wanted:
            return None
        digest = self._store.digest(prim, in_tree, params)
        return None if digest is None else (self._store, digest)


def _may_block() -> bool:
    """Tell whether this thread may wait for another: not inside a memoized call, nor where an event loop runs."""
    if _inside.get():
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _without_effects(programs: list[IR]) -> bool:
    """Tell whether no equation of `programs`, or of programs in their parameters, must be carried out each time."""
    pending = list(programs)
    while pending:
        for eqn in pending.pop().ir_eqns:
            if eqn.prim in non_memoizable_primitives:
                return False
            if eqn.params:
                pending += [leaf for leaf in trees.leaves(eqn.params) if isinstance(leaf, IR)]
    return True


@contextmanager
def memoize(
    path: str | PathLike[str] | None = None,
    *,
    primitives: Collection[Prim] | None = None,
    salt: str = "",
    size_limit: int = 2**30,
) -> Generator[Memo]:
    """Keep results of primitives inside the `with` block: the same call is carried out once.

    Calls are the same where primitive, inputs (their types too) and parameters are. Identical calls under way share
    one, among the threads that wait and among the tasks of one event loop; what it raises, all of them see. A call that
    failed is not kept. When a caller is cancelled, the work goes on for the others. What was done before an error stays
    in the memo. Checkpoints and factors are carried out each time; cheap primitives are not worth keeping. Inside a
    traced function, identical equations under the same tags are recorded once.

    With `path`, a directory, model calls are kept there too, as JSON text, safe among threads and processes; results
    that JSON cannot carry exactly stay in memory. `primitives` says which ones instead (all that wait, unless given).
    A kept answer does not depend on the client or on the code of a primitive: change `salt` to ask anew. Beyond
    `size_limit` bytes the oldest go. An entry or store that cannot be read is set aside with a `RuntimeWarning`; a
    path that cannot be written raises `MemoError`.

    The block yields the memo, whose `hits` and `misses` can be read.

    >>> import alkahest as af
    >>> from alkahest.extend import Prim, StrAVal, rules
    >>> slow_p = rules(Prim("doc_slow"), impl=lambda x: x[::-1], abstract=lambda x: StrAVal())
    >>> ir = af.trace(lambda x: slow_p.bind(x) + slow_p.bind(x))("a")
    >>> with af.memoize() as memo:
    ...     ir.call("ab")
    'baba'
    >>> memo.hits, memo.misses
    (1, 1)
    """
    chosen = _checked_primitives(primitives)
    store = None
    if path is not None:
        from alkahest.transforms.memo_store import Store

        store = Store(path, salt=salt, size_limit=size_limit)
    try:
        with using_interpreter(Memo(active_interpreter.get(), store, chosen)) as memo:
            yield memo
    finally:
        if store is not None:
            store.close()


def _checked_primitives(primitives: Collection[Any] | None) -> frozenset[Prim] | None:
    if primitives is None:
        return None
    for prim in primitives:
        if not isinstance(prim, Prim):
            raise OperandTypeError(
                f"memoize was given a {type(prim).__name__} among primitives=.",
                remedy="Pass primitives, such as alkahest.extend.lm_call_p.",
            )
    return frozenset(primitives)
