"""A program flattened to slots: how equations run one after the other."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from alkahest.base import trees
from alkahest.base.avals import FLOAT, INT, AVal, BoolAVal, FloatAVal, IntAVal, StrAVal
from alkahest.base.interpreter import EvalInterpreter, Interpreter, active_interpreter, active_tags, box_types
from alkahest.base.rules import AsyncTwin, impl_rules, version
from alkahest.base.zero import Zero
from alkahest.errors import AlkahestError, OperandTypeError, ProgramError, RuleError, StaticInputError, TreeError
from alkahest.ir.ir import Flow, IREqn, IRVar

if TYPE_CHECKING:
    from alkahest.ir.ir import IR

# How the leaves of a structure are put together: a flat tuple, tuples in a tuple, one leaf, anything else.
FLAT, GROUPS, ONE, TREE = range(4)
_PYTHON: dict[type[AVal], type] = {StrAVal: str, IntAVal: int, FloatAVal: float, BoolAVal: bool}


runners: dict[str, Any] = {}
"""Who runs scheduled programs, "sync" and "async": `transforms.batching` says."""


class Shape:
    """How to put a structure together from slots, and how to take one apart."""

    __slots__ = ("groups", "kind", "slots", "treedef")

    def __init__(self, slots: list[int], treedef: Any) -> None:
        self.slots = slots
        self.treedef = treedef
        self.groups: list[list[int]] = _NO_GROUPS
        if treedef.is_leaf():
            self.kind = ONE
            return
        self.kind, lengths = _kind(treedef)
        if self.kind == GROUPS:
            rest = iter(slots)
            self.groups = [list(islice(rest, n)) for n in lengths]

    def build(self, env: list[Any]) -> Any:
        """Return the structure filled with the values of its slots."""
        kind = self.kind
        if kind == FLAT:
            return tuple([env[i] for i in self.slots])
        if kind == GROUPS:
            return tuple([tuple([env[i] for i in group]) for group in self.groups])
        if kind == ONE:
            return env[self.slots[0]]
        return self.treedef.unflatten([env[i] for i in self.slots])

    def store(self, env: list[Any], value: Any) -> None:
        """Take `value` apart and put its parts into their slots."""
        if self.kind == ONE:
            env[self.slots[0]] = value
            return
        for slot, part in zip(self.slots, self.split(value), strict=True):
            env[slot] = part

    def split(self, value: Any) -> list[Any]:
        """Return the parts of `value`, one per slot; another structure raises `RuleError`."""
        if self.kind == ONE:
            return [value]
        if self.kind == FLAT and type(value) is tuple and len(value) == len(self.slots):
            return list(value)
        try:
            return self.treedef.flatten_up_to(value)
        except ValueError as error:
            raise RuleError(
                f"a primitive returned another structure than its abstract rule says: {str(error).splitlines()[0]}",
                remedy="Let impl and abstract rule return the same structure.",
            ) from None


_NO_GROUPS: list[list[int]] = []


@lru_cache(maxsize=512)
def _kind(treedef: Any) -> tuple[int, tuple[int, ...]]:
    """Return how the leaves of a structure are put together, and the lengths of tuples in a tuple."""
    example: Any = treedef.unflatten([0] * treedef.num_leaves)
    if type(example) is not tuple:
        return TREE, ()
    parts = list(cast("tuple[Any, ...]", example))
    if all([type(part) is int for part in parts]):
        return FLAT, ()
    if all([type(part) is tuple and all([type(p) is int for p in part]) for part in parts]):
        return GROUPS, tuple([len(part) for part in parts])
    return TREE, ()


class Slots:
    """Numbers the variables and literals of a program."""

    def __init__(self) -> None:
        self.values: list[Any] = []  # literals; None where a variable's value will be
        self._of: dict[IRVar, int] = {}

    def define(self, leaf: Any) -> int:
        """Return a new slot, for a variable that is defined here or a literal."""
        if leaf.__class__ is not IRVar:
            return self.literal(leaf)
        if leaf in self._of:
            raise ProgramError(f"{leaf!r} is defined twice.", remedy="Give every equation output variables of its own.")
        self._of[leaf] = len(self.values)
        self.values.append(None)
        return len(self.values) - 1

    def use(self, leaf: Any) -> int:
        """Return the slot of a variable or literal that is used."""
        if leaf.__class__ is not IRVar:
            return self.literal(leaf)
        slot = self._of.get(leaf)
        if slot is None:
            raise ProgramError(
                f"{leaf!r} is used and not defined before.",
                remedy="Define each variable, by an input or an equation, before equations use it.",
            )
        return slot

    def literal(self, value: Any) -> int:
        """Return a new slot that holds `value`."""
        self.values.append(value)
        return len(self.values) - 1

    def shape(self, parts: tuple[list[Any], Any], *, define: bool = False) -> Shape:
        """Return the shape of flattened inputs or outputs."""
        if define:
            return Shape([self.define(leaf) for leaf in parts[0]], parts[1])
        of = self._of
        return Shape(
            [of[leaf] if leaf.__class__ is IRVar and leaf in of else self.use(leaf) for leaf in parts[0]], parts[1]
        )


class Inputs:
    """The arguments of a program: taking them apart and checking them."""

    def __init__(self, ir: IR, slots: Slots) -> None:
        self.leaves, self.treedef = trees.flatten(ir.in_ir_tree)
        self.tree = ir.in_ir_tree
        self.shape = slots.shape((self.leaves, self.treedef), define=True)
        self.flat = self.shape.kind == FLAT
        self.exact = [_PYTHON.get(type(leaf.aval)) if leaf.__class__ is IRVar else None for leaf in self.leaves]

    def read(self, args: tuple[Any, ...]) -> list[Any]:
        """Return one value per leaf, checked against structure, types and static inputs."""
        if self.flat and len(args) == len(self.leaves):
            values = list(args)
        else:
            try:
                values = self.treedef.flatten_up_to(args)
            except ValueError as error:
                raise self._mismatch(args, error) from None
        return self.fitted(values)

    def fitted(self, values: list[Any]) -> list[Any]:
        """Return the values of the leaves, checked, with integers that stand for floats as floats."""
        for k, value in enumerate(values):
            if value.__class__ is not self.exact[k]:
                self._check(k, value)
                if value.__class__ is int and self.exact[k] is float:
                    values[k] = as_float(value)
        return values

    def _check(self, k: int, value: Any) -> None:
        leaf = self.leaves[k]
        if leaf.__class__ is Zero and value.__class__ is Zero:
            return
        if leaf.__class__ is not IRVar:
            if value.__class__ in box_types or (
                leaf is not value and (leaf.__class__ is not value.__class__ or leaf != value)
            ):
                raise StaticInputError(
                    f"input {self.path(k)} was fixed as {leaf!r} when the program was traced, and is {value!r} now.",
                    remedy="Pass the same value, or trace again with the new one.",
                )
        elif value.__class__ in box_types:
            if isinstance(active_interpreter.get(), EvalInterpreter):
                raise value.leaked()
            self._check_aval(k, leaf, value.aval)
        elif value.__class__ is not Zero and not leaf.depth and not accepts(leaf, value) and _strict():
            if not trees.is_leaf(value):
                raise TreeError(
                    f"input {self.path(k)} is a structure, {_described(value).removeprefix('of type ')}, where the "
                    f"program takes {leaf.aval.label}.",
                    remedy="Pass the structure it was traced with; a batch goes to batch(ir).",
                )
            raise OperandTypeError(
                f"input {self.path(k)} is {_described(value)} where the program takes {leaf.aval.label}.",
                remedy=f"Pass {leaf.aval.label}, as in the example it was traced with; a batch goes to batch(ir).",
            )

    def _check_aval(self, k: int, leaf: IRVar, aval: AVal) -> None:
        wanted = leaf.aval
        fits = aval == wanted or (wanted == FLOAT and aval == INT) or leaf.depth
        if not fits and type(wanted) in _PYTHON:
            raise OperandTypeError(
                f"input {self.path(k)} is a traced {aval.label} where the program takes {wanted.label}.",
                remedy=f"Pass {wanted.label}.",
            )

    def path(self, k: int) -> str:
        """Return the access path of an input, such as `args[0]['name']`."""
        return "args" + "".join([f"[{part!r}]" for part in trees.paths(self.tree)[k]])

    def _mismatch(self, args: tuple[Any, ...], error: ValueError) -> TreeError:
        n = len(cast("tuple[Any, ...]", self.tree))
        if len(args) != n:
            return TreeError(
                f"the program takes {n} argument(s) and was called with {len(args)}.",
                remedy="Pass as many as the traced function took.",
            )
        return TreeError(
            "the arguments do not have the structure of the program's inputs: "
            f"{str(error).splitlines()[0].rstrip('.')}.",
            remedy=f"Pass the structure it was traced with: {self.treedef.unflatten(['*'] * len(self.leaves))!r}.",
        )


def as_float(value: int) -> float | int:
    """Return an integer that stands for a float as one, where a float holds it."""
    try:
        return float(value)
    except OverflowError:
        return value


def accepts(var: IRVar, value: Any) -> bool:
    """Tell whether `var` may hold `value`; feedback on any value may be a text."""
    return var.aval.accepts(value) or (isinstance(var.source, Flow) and isinstance(value, str | int | float))


def _strict() -> bool:
    """Tell whether types are checked: interpreters of users may carry other values through a program."""
    here: Any = active_interpreter.get()
    while here is not None:
        if not type(here).__module__.startswith("alkahest."):
            return False
        here = here.parent
    return True


def _described(value: Any) -> str:
    text = repr(value)
    return f"of type {type(value).__name__} ({text if len(text) <= 40 else text[:37] + '…'})"


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
