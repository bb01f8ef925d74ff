"""Contexts for tracing: tag, names on equations; fold, running now instead of recording."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping
from contextlib import contextmanager
from typing import Any

from alkahest.base import trees
from alkahest.base.interpreter import EVAL, Interpreter, active_interpreter, active_tags, using_interpreter
from alkahest.base.prim import Prim
from alkahest.errors import MarkError, TracedValueError
from alkahest.ir.boxes import Traced
from alkahest.ir.code import interpreter_traces
from alkahest.ir.tracing import TracingInterpreter
from alkahest.prims.marks import check_hashable


@contextmanager
def tag(*tags: Hashable) -> Generator[None]:
    """Put `tags` on what is traced inside the `with` block; nested blocks add theirs.

    An equation keeps its tags: they are shown in the printed program, named by errors, and active again
    (`alkahest.extend.active_tags`) while it is carried out. What cannot be hashed, and a traced value, raises
    `MarkError`.

    >>> import alkahest as af
    >>> def greet(name):
    ...     with af.tag("greeting", 1):
    ...         return af.format("hello {}", name)
    >>> (eqn,) = af.trace(greet)("you").ir_eqns
    >>> eqn.tags == {"greeting", 1}
    True
    """
    for given in tags:
        check_hashable(given, "a tag")
        if given.__class__ is Traced:
            raise MarkError("a tag is a traced value.", remedy="Use values that are known while tracing.")
    token = active_tags.set(active_tags.get() | frozenset(tags))
    try:
        yield
    finally:
        active_tags.reset(token)


class FoldingInterpreter(Interpreter):
    """Carries out what is bound inside a trace, as `fold` does."""

    def __init__(self, parent: Interpreter) -> None:
        self.parent: Interpreter = parent  # pyright: ignore[reportIncompatibleVariableOverride]

    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Carry out `prim` now; a traced value on the way raises `TracedValueError`."""
        _refuse_traced(prim, in_tree, params)
        return _untraced(prim, self.parent.interpret(prim, in_tree, **params))

    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Carry out `prim` asynchronously, now; see `interpret`."""
        _refuse_traced(prim, in_tree, params)
        return _untraced(prim, await self.parent.ainterpret(prim, in_tree, **params))


def _refuse_traced(prim: Prim, in_tree: Any, params: Mapping[str, Any]) -> None:
    if _holds_traced(in_tree):
        raise TracedValueError(
            f"fold cannot carry out {prim} now: an input of it is traced, and has no value yet.",
            remedy="Keep what depends on the arguments outside of fold, or mark those arguments as static.",
        )
    for name, value in params.items():
        if _holds_traced(value):
            raise TracedValueError(
                f"fold cannot carry out {prim} now: its parameter {name} is traced, and has no value yet.",
                remedy="Pass a value that is known while tracing.",
            )


def _untraced(prim: Prim, out: Any) -> Any:
    if _holds_traced(out):
        raise TracedValueError(
            f"fold carried out {prim}, and what came out is traced.",
            remedy="Let the primitive compute with its inputs alone, not with values of the traced function around it.",
        )
    return out


def _holds_traced(tree: Any) -> bool:
    return any(leaf.__class__ is Traced for leaf in trees.leaves(tree))


@contextmanager
def fold() -> Generator[None]:
    """Inside a traced function, run what is bound in the `with` block now; its results are literals of the program.

    Interpreters that were active before the trace began, and `collect`, `inject` and `memoize` blocks inside it, see
    what runs. A primitive that needs a traced value raises `TracedValueError`. Outside of tracing nothing changes.

    >>> import alkahest as af
    >>> def program(x):
    ...     with af.fold():
    ...         prefix = af.format("{}-{}: ", "v", 2)
    ...     return prefix + x
    >>> ir = af.trace(program)("a")
    >>> len(ir.ir_eqns), ir.call("text")
    (1, 'v-2: text')
    """
    active = active_interpreter.get()
    if not interpreter_traces(active):
        yield
        return
    with using_interpreter(FoldingInterpreter(evaluating(active))):
        yield


def evaluating(interpreter: Interpreter) -> Interpreter:
    """Return what carries out primitives like `interpreter`, with nothing that records in between.

    Interpreters inside the trace are kept where they have a method `over(parent)`, which gives the same interpreter
    handing on to another.
    """
    above: list[Any] = []
    here: Interpreter | None = interpreter
    while here is not None and interpreter_traces(here):
        if not isinstance(here, TracingInterpreter) and hasattr(here, "over"):
            above.append(here)
        here = here.parent
    out = EVAL if here is None else here
    for kept in reversed(above):
        out = kept.over(out)
    return out
