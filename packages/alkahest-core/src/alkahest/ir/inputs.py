"""The arguments of a program: taken apart and checked, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from alkahest.base import trees
from alkahest.base.avals import FLOAT, INT, AVal, BoolAVal, FloatAVal, IntAVal, StrAVal
from alkahest.base.interpreter import EvalInterpreter, active_interpreter, box_types
from alkahest.base.zero import Zero
from alkahest.errors import OperandTypeError, StaticInputError, TreeError
from alkahest.ir.ir import Flow, IRVar
from alkahest.ir.slots import FLAT, Slots

if TYPE_CHECKING:
    from alkahest.ir.ir import IR

_PYTHON: dict[type[AVal], type] = {StrAVal: str, IntAVal: int, FloatAVal: float, BoolAVal: bool}


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
        if leaf.__class__ is Zero and all(part.__class__ is Zero for part in trees.leaves(value)):
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
