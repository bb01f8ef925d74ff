"""Looking into a program while it runs: collect what checkpoints mark, inject other values in its place."""

from __future__ import annotations

import copy
import sys
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Generator, Hashable, Mapping
from contextlib import contextmanager
from types import EllipsisType
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.prim import Prim
from alkahest.errors import MarkError, TracedValueError
from alkahest.ir.boxes import Traced
from alkahest.ir.order import position
from alkahest.prims.marks import check_hashable, checkpoint_p

_LAST = [(sys.maxsize,)]


class Collected(dict[Hashable, list[Any]]):
    """What was collected: a list of values per key, in order of execution; items of a batch by index.

    A key that was not met has an empty list.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._positions: dict[Hashable, list[tuple[int, ...]]] = {}

    def __missing__(self, key: Hashable) -> list[Any]:
        return []

    def _add(self, key: Hashable, value: Any) -> None:
        where = position()
        with self._lock:
            positions = self._positions.setdefault(key, [])
            at = bisect_right(positions, where)
            positions.insert(at, where)
            self.setdefault(key, []).insert(at, value)

    def _settle(self) -> None:
        """Put the keys in the order of their first values, whichever item of a batch came first in time."""
        with self._lock:
            ordered = sorted(self.items(), key=lambda item: self._positions.get(item[0], _LAST)[0])
            self.clear()
            self.update(ordered)


class _Intercepting(Interpreter):
    """Cares for the checkpoints of one collection, or of all."""

    def __init__(self, collection: Hashable | EllipsisType) -> None:
        self.parent: Interpreter = active_interpreter.get()  # pyright: ignore[reportIncompatibleVariableOverride]
        self.collection = collection

    def sees(self, prim: Prim) -> bool:
        """Tell whether `prim` is a checkpoint, or an interpreter further out wants to see it."""
        return prim is checkpoint_p or self.parent.sees(prim)

    def awaits(self, prim: Prim) -> bool:
        """Tell whether an interpreter further out must be awaited: marks themselves need no waiting."""
        return self.parent.awaits(prim)

    def over(self, parent: Interpreter) -> Interpreter:
        """Return the same interpreter, handing on to `parent` instead."""
        made = copy.copy(self)
        made.parent = parent
        return made

    def _concerns(self, prim: Prim, params: Mapping[str, Any]) -> bool:
        return prim is checkpoint_p and (self.collection is ... or params["collection"] == self.collection)


class CollectingInterpreter(_Intercepting):
    """Keeps what checkpoints give, as `collect` does."""

    def __init__(self, collection: Hashable | EllipsisType) -> None:
        super().__init__(collection)
        self.collected = Collected()

    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Hand on to the parent and keep what a checkpoint gives."""
        out = self.parent.interpret(prim, in_tree, **params)
        if self._concerns(prim, params):
            self._keep(params["key"], out)
        return out

    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Hand on to the parent and keep what a checkpoint gives."""
        out = await self.parent.ainterpret(prim, in_tree, **params)
        if self._concerns(prim, params):
            self._keep(params["key"], out)
        return out

    def _keep(self, key: Hashable, value: Any) -> None:
        for leaf in trees.leaves(value):
            if leaf.__class__ is Traced:
                raise TracedValueError(
                    f"collect stands inside a traced function, where checkpoint {key!r} has no value yet.",
                    remedy="Put collect around ir.call(…) or ir.acall(…), where the program runs.",
                )
        self.collected._add(key, value)


class InjectingInterpreter(_Intercepting):
    """Gives other values in place of those that checkpoints mark, as `inject` does."""

    def __init__(self, collection: Hashable | EllipsisType, values: Mapping[Hashable, list[Any]]) -> None:
        super().__init__(collection)
        self._lock = threading.Lock()
        self._values = {key: deque(given) for key, given in values.items()}

    def in_trace(self, parent: Interpreter, /) -> Interpreter:
        """Return the same, handing on to `parent`: what it gives becomes a literal of the program."""
        return self.over(parent)

    @property
    def ordered(self) -> bool:
        """Items of a batch must come by in the order of their index: the next one gets the next value."""
        return True

    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Return the next value for a checkpoint, or hand on to the parent."""
        if self._concerns(prim, params):
            found, value = self._next(params["key"], in_tree)
            if found:
                return value
        return self.parent.interpret(prim, in_tree, **params)

    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Return the next value for a checkpoint, or hand on to the parent."""
        if self._concerns(prim, params):
            found, value = self._next(params["key"], in_tree)
            if found:
                return value
        return await self.parent.ainterpret(prim, in_tree, **params)

    def _next(self, key: Hashable, marked: Any) -> tuple[bool, Any]:
        with self._lock:
            left = self._values.get(key)
            if not left:
                return False, None
            value = left.popleft()
        if trees.structure(value) != trees.structure(marked):
            raise MarkError(
                f"a value injected at checkpoint {key!r} has another structure than what is marked there.",
                remedy="Give the structure that collect gives under this key.",
            )
        return True, value


@contextmanager
def collect(*, collection: Hashable | EllipsisType) -> Generator[Collected]:
    """Collect what checkpoints mark inside the `with` block: a dict, by key, of the list of values.

    `collection` is compared with that of each checkpoint; `...` collects all. The values come in order of execution,
    those of a batch by the index of their item, whichever was done first.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: af.checkpoint("item: " + x, key="item", collection="debug") + "!")("a")
    >>> with af.collect(collection="debug") as seen:
    ...     af.batch(ir).call(["alpha", "beta"])
    ['item: alpha!', 'item: beta!']
    >>> seen["item"]
    ['item: alpha', 'item: beta']
    """
    check_hashable(collection, "the collection of collect")
    interpreter = CollectingInterpreter(collection)
    try:
        with using_interpreter(interpreter):
            yield interpreter.collected
    finally:
        interpreter.collected._settle()


@contextmanager
def inject(*, collection: Hashable | EllipsisType, values: Mapping[Hashable, list[Any]]) -> Generator[None]:
    """Give other values in place of those that checkpoints mark inside the `with` block.

    `values` has a list per key: the first time the checkpoint is met it gives the first value, and so on; when the
    list is used up, checkpoints mark what they are given. What `collect` yields is fit for it; the lists are not
    changed. Inside a traced function the value becomes a literal of the program, so that `dce` can drop what led to
    the checkpoint. Values that are no dict of lists, and a value of another structure than the marked one, raise
    `MarkError`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: af.checkpoint("item: " + x, key="item") + "!")("a")
    >>> with af.inject(collection=None, values={"item": ["another"]}):
    ...     ir.call("alpha"), ir.call("alpha")
    ('another!', 'item: alpha!')
    """
    check_hashable(collection, "the collection of inject")
    if not isinstance(values, dict):
        raise MarkError(f"inject was given a {type(values).__name__}.", remedy="Pass a dict: a list of values per key.")
    for key, given in cast("dict[Hashable, Any]", values).items():
        if not isinstance(given, list):
            raise MarkError(
                f"inject was given a {type(given).__name__} for key {key!r}.",
                remedy="Pass a list of values per key, even if there is one only.",
            )
    with using_interpreter(InjectingInterpreter(collection, values)):
        yield
