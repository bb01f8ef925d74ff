"""Primitives are names; what they do is rules in tables."""

from __future__ import annotations

import importlib
from typing import Any

from alkahest.base import trees
from alkahest.base.interpreter import active_interpreter
from alkahest.errors import DuplicateRuleError, MissingRuleError, OperandTypeError


class Prim(trees.Leaf):
    """A primitive operation: a bare key to which rule tables attach behaviour.

    Two primitives of one name are different keys. `bind` hands inputs and static parameters to the interpreter that
    is active.

    >>> Prim("softplus")
    softplus
    """

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise OperandTypeError(
                f"a primitive was given a {type(name).__name__} for a name.", remedy="Pass its name as a str."
            )
        self.name = name

    def bind(self, in_tree: Any, /, **params: Any) -> Any:
        """Carry out the primitive on `in_tree` by the active interpreter."""
        return active_interpreter.get().interpret(self, in_tree, **params)

    async def abind(self, in_tree: Any, /, **params: Any) -> Any:
        """Carry out the primitive asynchronously by the active interpreter."""
        return await active_interpreter.get().ainterpret(self, in_tree, **params)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[Any, ...]:
        if _prims.get(self.name) is not self:
            raise DuplicateRuleError(
                f"primitive {self.name!r} is not registered under its name, and a copy of it would have no rules.",
                remedy="Declare it with alkahest.extend.rules or register_prim, in a module.",
            )
        return prim_by_name, (self.name,)

    def __copy__(self) -> Prim:
        return self

    def __deepcopy__(self, memo: Any) -> Prim:
        return self


_prims: dict[str, Prim] = {}
_arity: dict[str, int] = {}


def register_prim(prim: Prim, arity: int | None = None) -> Prim:
    """Make `prim` known by name, with its number of arguments where it has a fixed one."""
    if prim.name in _prims:
        raise DuplicateRuleError(
            f"a primitive called {prim.name!r} exists already.", remedy="Choose a name of your own for it."
        )
    _prims[prim.name] = prim
    if arity is not None:
        _arity[prim.name] = arity
    return prim


def prim_by_name(name: str) -> Prim:
    """Return the registered primitive called `name`."""
    if name not in _prims:
        importlib.import_module("alkahest.extend")  # declares all of ours
    try:
        return _prims[name]
    except KeyError:
        raise MissingRuleError(
            f"no primitive is called {name!r}.", remedy="Import the plugin that declares it first."
        ) from None


def arity_of(name: str) -> int | None:
    """Return how many arguments the scalar primitive called `name` takes, or None where no such primitive is known."""
    return _arity.get(name)


def prim_names() -> tuple[str, ...]:
    """Return the names of all scalar primitives, in order of declaration."""
    return tuple(_arity)
