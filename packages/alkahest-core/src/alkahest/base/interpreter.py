"""Interpreters: who carries out a primitive when it is bound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from alkahest.base import trees
from alkahest.base.rules import impl_rules

if TYPE_CHECKING:
    from alkahest.base.prim import Prim


class Interpreter(ABC):
    """What carries out primitives while it is active. Subclass it to see, change or replace what a program does.

    A subclass keeps the interpreter that was active before, `active_interpreter.get()`, and hands on to it. One that
    cares for a few primitives only says so in `sees`: programs then run the others without asking.

    >>> from alkahest.extend import active_interpreter, using_interpreter, format_p
    >>> import alkahest as af
    >>> class Loud(Interpreter):
    ...     def __init__(self):
    ...         self.parent = active_interpreter.get()
    ...     def interpret(self, prim, in_tree, /, **params):
    ...         out = self.parent.interpret(prim, in_tree, **params)
    ...         return out.upper() if prim is format_p else out
    ...     async def ainterpret(self, prim, in_tree, /, **params):
    ...         out = await self.parent.ainterpret(prim, in_tree, **params)
    ...         return out.upper() if prim is format_p else out
    >>> with using_interpreter(Loud()):
    ...     af.format("hello {}", "you")
    'HELLO YOU'
    """

    parent: Any = None  # the interpreter to hand on to

    def in_trace(self, parent: Interpreter, /) -> Interpreter:
        """Return what works on a function that is traced while this is active, and hands on to `parent`: nothing."""
        return parent

    @abstractmethod
    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Carry out `prim` on the inputs `in_tree` and return its output tree."""

    @abstractmethod
    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Carry out `prim` asynchronously."""

    def sees(self, prim: Prim) -> bool:
        """Tell whether this interpreter, or one it hands on to, must be asked when `prim` is carried out."""
        return True

    def awaits(self, prim: Prim) -> bool:
        """Tell whether `ainterpret` must be awaited for `prim` in an async run, because `interpret` would not do."""
        return self.sees(prim)

    @property
    def ordered(self) -> bool:
        """Whether items of a batch must come by in the order of their index."""
        return self.parent is not None and bool(self.parent.ordered)


class EvalInterpreter(Interpreter):
    """Carries out primitives by their `impl` rules: what runs programs unless something else is active."""

    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Apply the `impl` rule of `prim`."""
        refuse_boxes(in_tree)
        return impl_rules.get(prim)(in_tree, **params)

    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Apply the async `impl` rule of `prim`."""
        refuse_boxes(in_tree)
        return await impl_rules.aget(prim)(in_tree, **params)

    def sees(self, prim: Prim) -> bool:
        """Nothing but the rules is needed."""
        return False


box_types: set[type] = set()
"""Types whose values stand for others during a trace; nothing can be computed with them. `leaked()` says why."""


def refuse_boxes(tree: Any) -> None:
    """Raise `LeakedValueError` where `tree` holds values that only mean something inside the trace that made them."""
    for leaf in trees.leaves(tree):
        if leaf.__class__ in box_types:
            raise leaf.leaked()


EVAL = EvalInterpreter()
active_interpreter: ContextVar[Interpreter] = ContextVar("active_interpreter", default=EVAL)
active_tags: ContextVar[frozenset[Hashable]] = ContextVar("active_tags", default=frozenset())

InterpreterT = TypeVar("InterpreterT", bound=Interpreter)


@contextmanager
def using_interpreter(interpreter: InterpreterT) -> Generator[InterpreterT]:
    """Make `interpreter` the active one inside the `with` block, in this thread or task alone."""
    token = active_interpreter.set(interpreter)
    try:
        yield interpreter
    finally:
        active_interpreter.reset(token)
