"""Batches: a program on many items at once."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import OPAQUE, STR, DeepAVal, StrAVal, deepened, find_aval
from alkahest.base.zero import Zero, is_zero
from alkahest.errors import AlkahestError, OperandTypeError
from alkahest.ir.code import runners
from alkahest.ir.ir import IR, Flow, IRVar, broadcast_prefix, check_ir, ir_type
from alkahest.machine.machine import Machine
from alkahest.machine.parts import checked_column, entries_of, nothing_of, open_batch
from alkahest.machine.run import Run, progress_hook
from alkahest.prims.rules import rules
from alkahest.transforms.calls import batch_call_p, batched_outputs, call_ir, copied
from alkahest.transforms.plans import derived, inlined, like

_isolate: ContextVar[bool] = ContextVar("_isolate", default=False)


def batch(ir: IR, /, *, in_axes: Any = True) -> IR:
    """Return the program that takes a batch of each argument and gives a batch of each output.

    `in_axes` is True, False, or a structure of them matching the arguments (a prefix will do): which inputs are
    batched; the others are the same for all items. A batch is a list, tuple or dict with one entry per item, and the
    outputs come in the same container. Static inputs are never batched. Without any batched input this is a plain
    call.

    What depends on no batched input runs once. Equations that do not wait run on whole columns; where one waits, for a
    model say, all items wait side by side, and each goes on when its answer is there: `call` uses threads, `acall`
    tasks. The first failure stops the others and is raised, with the outputs that were done as `error.partial`; see
    `return_exceptions`. A batch without items, of uneven lengths, or a text raises `BatchError`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda greeting, name: af.format("{}, {}!", greeting, name))("a", "b")
    >>> af.batch(ir, in_axes=(False, True)).call("Hello", ["Ada", "Grace"])
    ['Hello, Ada!', 'Hello, Grace!']
    """
    check_ir(ir, "batch")
    leaves, treedef = trees.flatten(ir.in_ir_tree)
    flags = _flags(in_axes, ir)
    axes = treedef.unflatten([f and leaf.__class__ is IRVar for f, leaf in zip(flags, leaves, strict=True)])
    ins = copied(ir.in_ir_tree, deeper=axes)
    outs = batched_outputs(ir.out_ir_tree) if any(trees.leaves(axes)) else copied(ir.out_ir_tree)
    return call_ir(batch_call_p, ins, outs, ir=ir, in_axes=axes)


def _flags(in_axes: Any, ir: IR) -> list[bool]:
    if in_axes.__class__ is bool:
        return [in_axes] * trees.structure(ir.in_ir_tree).num_leaves
    flags = broadcast_prefix(in_axes, ir.in_ir_tree, "in_axes")
    for flag in flags:
        if flag.__class__ is not bool:
            raise OperandTypeError(f"in_axes holds a {type(flag).__name__}.", remedy="Use True and False in it.")
    return flags


@contextmanager
def return_exceptions() -> Generator[None]:
    """Let failing items of batches stand alone inside the `with` block: the others go on.

    In place of each output of an item that failed stands the exception, as with `asyncio.gather`.

    >>> import alkahest as af
    >>> loud = af.trace(lambda x: x + "!")("a")
    >>> ir = af.trace(lambda key, x: af.switch(key, {"loud": loud}, x))("loud", "a")
    >>> with af.return_exceptions():
    ...     out = af.batch(ir).call(["loud", "shy"], ["a", "b"])
    >>> out[0], type(out[1]).__name__
    ('a!', 'BranchError')
    """
    token = _isolate.set(True)
    try:
        yield
    finally:
        _isolate.reset(token)


# -------------------------------------------------------------------------------------------------------- the run


class _Top:
    """The items of a batch, and what has come of them."""

    def __init__(self, run: Run, size: int, leaves: int) -> None:
        self.run = run
        self.size = size
        self.left = size
        self.columns: list[list[Any]] = [[None] * size for _ in range(leaves)]
        self.finished = [False] * size
        run.isolate = _isolate.get()
        self.progress = progress_hook.get()

    def done(self, ids: list[int], columns: list[list[Any]]) -> None:
        """Take the outputs of items; ids are their indices."""
        for mine, column in zip(self.columns, columns, strict=True):
            if len(ids) == self.size:
                mine[:] = column
            else:
                for i, value in zip(ids, column, strict=True):
                    mine[i] = value
        for i in ids:
            self.finished[i] = True
        self._count(len(ids))

    def failed(self, i: int, error: Exception) -> None:
        """Take the failure of an item: alone, or for all."""
        if not self.run.isolate:
            raise error
        for column in self.columns:
            column[i] = error
        self._count(1)

    def _count(self, n: int) -> None:
        self.left -= n
        if self.progress is not None:
            self.progress(self.size - self.left, self.size)
        self.run.over = not self.left


class _Batch:
    """One call of a batched program."""

    def __init__(self, in_tree: Any, ir: IR, in_axes: Any, sync: bool) -> None:
        leaves = trees.leaves(ir.in_ir_tree)
        self.axes = tuple(like(ir.in_ir_tree, in_axes))
        values = like(ir.in_ir_tree, in_tree)
        names = ["args" + "".join([f"[{part!r}]" for part in path]) for path in trees.paths(ir.in_ir_tree)]
        self.container, self.size = open_batch(values, self.axes, names)
        columns = [entries_of(v, self.size) if axis else v for v, axis in zip(values, self.axes, strict=True)]
        if not self.size:  # only symbolic zeros stand for batches
            return
        for k, (leaf, axis) in enumerate(zip(leaves, self.axes, strict=True)):
            if axis:
                columns[k] = checked_column(leaf, columns[k], names[k])
        ir, columns, axes = _specialised(ir, columns, self.axes)
        self.out_treedef = trees.structure(ir.out_ir_tree)
        self.run = Run(ir, sync=sync)
        self.top = _Top(self.run, self.size, self.out_treedef.num_leaves)
        self.machine = Machine(self.run, self.run.graph(ir, axes), self.top.done, self.top.failed)
        self.machine.begin(columns)
        spawned = [c if axis else None for c, axis in zip(columns, axes, strict=True)]
        self.machine.spawn(spawned, [self.run.base] * self.size, [(i,) for i in range(self.size)])

    def output(self) -> Any:
        """Return the outputs in the container of the batch."""
        return self.out_treedef.unflatten([self.container.unflatten(c) for c in self.top.columns])

    def partial(self, error: Exception) -> None:
        """Put into an error what was done when it came."""
        rows = {
            i: self.out_treedef.unflatten([c[i] for c in self.top.columns])
            for i, done in enumerate(self.top.finished)
            if done
        }
        if isinstance(error, AlkahestError):
            error.details["partial"] = rows
        else:
            error.partial = rows  # pyright: ignore[reportAttributeAccessIssue]


def _specialised(ir: IR, columns: list[Any], axes: tuple[bool, ...]) -> tuple[IR, list[Any], tuple[bool, ...]]:
    """Return the program for the cotangents at hand: words about a number, and columns of nothing but zeros."""
    leaves = trees.leaves(ir.in_ir_tree)
    changes: list[Any] = []
    for leaf, column, axis in zip(leaves, columns, axes, strict=True):
        changes.append(_change(leaf, column if axis else [column]))
    if not any(changes):
        return ir, columns, axes
    made = derived(ir, ("as", tuple(changes)), lambda: _retyped(ir, changes))
    axes = tuple([axis and change != "zero" for axis, change in zip(axes, changes, strict=True)])
    given = [
        leaf if c == "zero" else v for leaf, v, c in zip(trees.leaves(made.in_ir_tree), columns, changes, strict=True)
    ]
    return made, given, axes


def _change(leaf: Any, column: Sequence[Any]) -> str:
    if leaf.__class__ is not IRVar or not isinstance(leaf.source, Flow) or leaf.depth:
        return ""
    if all(is_zero(v) for v in column):
        return "zero"
    if isinstance(leaf.aval, StrAVal) or not any(isinstance(v, str) for v in column):
        return ""
    if all(isinstance(v, str) or is_zero(v) for v in column):
        return "text"
    raise OperandTypeError(
        f"the cotangents of a batch of {leaf.aval.label} are words for some items and numbers for others.",
        remedy="Give words for all of them, or numbers for all.",
    )


def _retyped(ir: IR, changes: Sequence[str]) -> IR:
    leaves, treedef = trees.flatten(ir.in_ir_tree)
    made = [
        Zero(leaf.aval) if c == "zero" else IRVar(aval=STR, source=leaf.source) if c == "text" else leaf
        for leaf, c in zip(leaves, changes, strict=True)
    ]
    eqns, outs = inlined(ir, made)
    return IR(eqns, treedef.unflatten(made), trees.structure(ir.out_ir_tree).unflatten(outs), ordered=ir.ordered)


def _impl(in_tree: Any, /, *, ir: IR, in_axes: Any) -> Any:
    if not any(trees.leaves(in_axes)):
        return ir.call(*in_tree)
    call = _Batch(in_tree, ir, in_axes, True)
    if not call.size:
        return nothing_of(ir.out_ir_tree)
    token = progress_hook.set(None)  # batches inside this one report nothing
    try:
        call.run.drive()
    except Exception as error:
        call.partial(error)
        raise
    finally:
        progress_hook.reset(token)
    return call.output()


async def _aimpl(in_tree: Any, /, *, ir: IR, in_axes: Any) -> Any:
    if not any(trees.leaves(in_axes)):
        return await ir.acall(*in_tree)
    call = _Batch(in_tree, ir, in_axes, False)
    if not call.size:
        return nothing_of(ir.out_ir_tree)
    token = progress_hook.set(None)
    try:
        await call.run.adrive()
    except Exception as error:
        call.partial(error)
        raise
    finally:
        progress_hook.reset(token)
    return call.output()


def _abstract(in_tree: Any, /, *, ir: IR, in_axes: Any) -> Any:
    axes = like(ir.in_ir_tree, in_axes)
    if not any(axes):
        return trees.map_leaves(ir_type, ir.out_ir_tree)
    values = like(ir.in_ir_tree, in_tree)
    batched = [v for v, axis in zip(values, axes, strict=True) if axis]
    if all(isinstance(v, DeepAVal | Zero) for v in batched):
        return trees.map_leaves(lambda leaf: deepened(_type(leaf), 1), ir.out_ir_tree)
    container, size = open_batch(values, axes)
    if not size:
        return nothing_of(ir.out_ir_tree)
    return trees.map_leaves(lambda leaf: container.unflatten([_type(leaf)] * size), ir.out_ir_tree)


def _type(leaf: Any) -> Any:
    return ir_type(leaf) if leaf.__class__ is IRVar else find_aval(leaf) or OPAQUE


rules(batch_call_p, impl=_impl, aimpl=_aimpl, abstract=_abstract)


# ----------------------------------------------------------------------------------------------- scheduled programs


class _Whole:
    """A scheduled program, run by data edges."""

    def __init__(self, ir: IR, args: Sequence[Any], sync: bool) -> None:
        ir, args, flags = _specialised(ir, list(args), (False,) * len(args))
        self.ir = ir
        self.run = Run(ir, sync=sync)
        self.out: Any = None
        self.machine = Machine(self.run, self.run.graph(ir, flags), self._done, self._failed)
        self.machine.solo = True
        self.machine.begin(args)

    def _done(self, ids: list[int], columns: list[list[Any]]) -> None:
        self.out = trees.structure(self.ir.out_ir_tree).unflatten([c[0] for c in columns])
        self.run.over = True

    def _failed(self, i: int, error: Exception) -> None:
        raise error


def run_scheduled(ir: IR, args: Sequence[Any]) -> Any:
    """Run a scheduled program: what waits runs side by side, in threads."""
    whole = _Whole(ir, args, True)
    whole.run.drive()
    return whole.out


async def arun_scheduled(ir: IR, args: Sequence[Any]) -> Any:
    """Run a scheduled program: what waits runs side by side, as tasks."""
    whole = _Whole(ir, args, False)
    await whole.run.adrive()
    return whole.out


runners["sync"], runners["async"] = run_scheduled, arun_scheduled
