"""Slots: the variables and literals of a program by number, and structures of them."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any, cast

from alkahest.errors import ProgramError, RuleError
from alkahest.ir.ir import IRVar

# How the leaves of a structure are put together: a flat tuple, tuples in a tuple, one leaf, anything else.
FLAT, GROUPS, ONE, TREE = range(4)


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
