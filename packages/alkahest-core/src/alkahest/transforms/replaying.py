"""Replaying: a program bound again, equation by equation, while its plan is traced."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from alkahest.base import trees
from alkahest.base.interpreter import active_interpreter, active_tags
from alkahest.ir.ir import IR, NO_TAGS, IREqn, IRVar
from alkahest.ir.tracing import TracingInterpreter


class Replay:
    """A program and the boxes that stand for its variables in the plan that is traced."""

    def __init__(self, ir: IR, name: str) -> None:
        self.ir = ir
        self.tracer = TracingInterpreter(name)
        self.values: dict[int, Any] = {}
        self._kept: list[int] = []

    def inputs(self) -> Any:
        """Return the inputs of the program, with a new box for each variable."""
        leaves, treedef = trees.flatten(self.ir.in_ir_tree)
        return treedef.unflatten([self._input(leaf) for leaf in leaves])

    def _input(self, leaf: Any) -> Any:
        if leaf.__class__ is not IRVar:
            return leaf
        box = self.values[leaf.id] = self.tracer.new_input(leaf.aval, leaf, leaf.depth)
        return box

    def read(self, leaf: Any) -> Any:
        """Return the box of a variable, or the literal."""
        return self.values[leaf.id] if leaf.__class__ is IRVar else leaf

    def outputs(self) -> Any:
        """Return the outputs of the program."""
        return trees.map_leaves(self.read, self.ir.out_ir_tree)

    @contextmanager
    def tracing(self) -> Generator[None]:
        """Record what is bound; a plan is kept, and tags that are active now are not part of it."""
        token, tags = active_interpreter.set(self.tracer), active_tags.set(NO_TAGS)
        try:
            yield
        finally:
            active_tags.reset(tags)
            active_interpreter.reset(token)

    def each(self, do: Callable[[IREqn], None]) -> None:
        """Do something for each equation, in order."""
        for position, eqn in enumerate(self.ir.ir_eqns):
            self.under(position, eqn, do)

    def under(self, position: int, eqn: IREqn, do: Callable[..., None], *args: Any) -> None:
        """Let what is recorded have the place and the tags of `eqn`, and keep its order where `eqn` does."""
        before = len(self.tracer.eqns)
        self.tracer.where = eqn.where
        if eqn.tags:
            token = active_tags.set(eqn.tags)
            try:
                do(eqn, *args)
            finally:
                active_tags.reset(token)
        else:
            do(eqn, *args)
        if self.ir.ordered is not None and position in self.ir.ordered:
            self._kept.extend(range(before, len(self.tracer.eqns)))

    def plan(self, ins: Any, outs: Any) -> IR:
        """Return what was recorded as a program."""
        ordered = None if self.ir.ordered is None else frozenset(self._kept)
        return IR(self.tracer.eqns, self.tracer.leave(ins), self.tracer.leave(outs), ordered=ordered)
