"""A program flattened to slots: how equations run one after the other."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from alkahest.base import trees
from alkahest.base.interpreter import EvalInterpreter, Interpreter, active_interpreter, active_tags
from alkahest.base.rules import AsyncTwin, impl_rules, version
from alkahest.errors import AlkahestError
from alkahest.ir.inputs import Inputs
from alkahest.ir.ir import IREqn
from alkahest.ir.slots import ONE, Slots

if TYPE_CHECKING:
    from alkahest.ir.ir import IR

runners: dict[str, Any] = {}
"""Who runs scheduled programs, "sync" and "async": `transforms.batching` says."""


class Step:
    """One equation with its shapes."""

    __slots__ = ("eqn", "ins", "outs", "params", "prim", "tags")

    def __init__(self, eqn: IREqn, slots: Slots) -> None:
        self.eqn = eqn
        self.prim = eqn.prim
        self.params = eqn.params
        self.tags = eqn.tags
        self.ins = slots.shape(eqn.in_parts())
        self.outs = slots.shape(eqn.out_parts(), define=True)


class Code:
    """A program as steps over a list of slots."""

    def __init__(self, ir: IR) -> None:
        self.ir = ir
        slots = Slots()
        self.inputs = Inputs(ir, slots)
        self.steps = [Step(eqn, slots) for eqn in ir.ir_eqns]
        self.out = slots.shape(trees.flatten(ir.out_ir_tree))
        self.template = slots.values
        self.prims = {step.prim for step in self.steps}
        self._sync: tuple[int, list[Any]] = (-1, [])
        self._async: tuple[int, list[Any]] = (-1, [])

    def start(self, args: tuple[Any, ...]) -> list[Any]:
        """Return the list of slots with inputs and literals filled in."""
        env = self.template.copy()
        for slot, value in zip(self.inputs.shape.slots, self.inputs.read(args), strict=True):
            env[slot] = value
        return env

    def seen(self, interpreter: Interpreter) -> set[Any]:
        """Return the primitives that the active interpreter must be asked for."""
        if interpreter.__class__ is EvalInterpreter:
            return _NOTHING
        return {prim for prim in self.prims if interpreter.sees(prim)}

    def call(self, args: tuple[Any, ...]) -> Any:
        """Run the program; a scheduled one by data edges."""
        interpreter = active_interpreter.get()
        env = self.start(args)
        if self.ir.ordered is not None and not interpreter_traces(interpreter):
            return runners["sync"](self.ir, [env[slot] for slot in self.inputs.shape.slots])
        seen = self.seen(interpreter)
        step = None
        try:
            for step, rule in self._rules():
                values = step.ins.build(env)
                if step.tags or step.prim in seen:
                    out = bind_step(step, values, rule, seen)
                else:
                    out = rule(values, **step.params)
                outs = step.outs
                if outs.kind == ONE:
                    env[outs.slots[0]] = out
                else:
                    outs.store(env, out)
        except Exception as error:
            if step is not None:
                annotate(error, step.eqn)
            raise
        return self.out.build(env)

    async def acall(self, args: tuple[Any, ...]) -> Any:
        """Run the program asynchronously; a scheduled one by data edges."""
        interpreter = active_interpreter.get()
        env = self.start(args)
        if self.ir.ordered is not None and not interpreter_traces(interpreter):
            return await runners["async"](self.ir, [env[slot] for slot in self.inputs.shape.slots])
        seen = self.seen(interpreter)
        step = None
        try:
            for step, rule in self._arules():
                values = step.ins.build(env)
                if step.tags or step.prim in seen:
                    out = await abind_step(step, values, rule, seen)
                elif rule.__class__ is AsyncTwin:
                    out = rule.rule(values, **step.params)
                else:
                    out = await rule(values, **step.params)
                step.outs.store(env, out)
        except Exception as error:
            if step is not None:
                annotate(error, step.eqn)
            raise
        return self.out.build(env)

    def _rules(self) -> list[Any]:
        known, pairs = self._sync
        if known != version():
            known = version()
            pairs = [(step, rule_or_raiser(impl_rules.get, step.prim)) for step in self.steps]
            self._sync = known, pairs
        return pairs

    def _arules(self) -> list[Any]:
        known, pairs = self._async
        if known != version():
            known = version()
            pairs = [(step, rule_or_raiser(impl_rules.aget, step.prim)) for step in self.steps]
            self._async = known, pairs
        return pairs

    def walk(self, args: tuple[Any, ...]) -> Generator[tuple[Any, Any], Any, None]:
        """Go through the steps; whoever drives this carries them out."""
        env = self.start(args)
        for step in self.steps:
            out = yield step.eqn, step.ins.build(env)
            step.outs.store(env, out)
        yield None, self.out.build(env)


_NOTHING: set[Any] = set()


def interpreter_traces(interpreter: Interpreter) -> bool:
    """Tell whether what is bound now becomes equations of a program."""
    from alkahest.ir.tracing import TracingInterpreter

    here: Interpreter | None = interpreter
    while here is not None and not isinstance(here, TracingInterpreter | EvalInterpreter):
        here = here.parent
    return isinstance(here, TracingInterpreter)


def rule_or_raiser(get: Any, prim: Any) -> Any:
    """Return the rule of `prim`, or a rule that raises what looking it up raised: only reaching it is an error."""
    try:
        return get(prim)
    except KeyError:

        def raiser(*_: Any, **__: Any) -> Any:
            return get(prim)

        return raiser


def bind_step(step: Any, values: Any, rule: Any, seen: set[Any]) -> Any:
    """Carry out a step under its tags, by the active interpreter if that wants to see it."""
    if step.prim in seen:
        return step.eqn.bind(values, **step.params)
    token = active_tags.set(active_tags.get() | step.tags)
    try:
        return rule(values, **step.params)
    finally:
        active_tags.reset(token)


async def abind_step(step: Any, values: Any, rule: Any, seen: set[Any]) -> Any:
    """Carry out a step asynchronously; see `bind_step`."""
    if step.prim in seen:
        return await step.eqn.abind(values, **step.params)
    token = active_tags.set(active_tags.get() | step.tags)
    try:
        return await rule(values, **step.params)
    finally:
        active_tags.reset(token)


def annotate(error: Exception, eqn: IREqn, item: Any = None) -> None:
    """Say in `error` which equation raised it: its text, its tags, its place, and the item of a batch."""
    from alkahest.ir.printing import eqn_text

    if getattr(error, "__alkahest_equation__", False):
        return
    parts = [f"It happened in the equation `{eqn_text(eqn, limit=200)}`"]
    if eqn.tags:
        parts.append("tagged " + ", ".join(sorted(repr(t) for t in eqn.tags)))
    if item is not None:
        parts.append(f"for item {item} of the batch")
    if eqn.where is not None:
        parts.append(f"({eqn.where[0]}:{eqn.where[1]})")
    text = " ".join(parts) + "."
    error.__alkahest_equation__ = True  # type: ignore[attr-defined]
    if isinstance(error, AlkahestError):
        error.details.setdefault("where", text)
    else:
        error.add_note(text)
