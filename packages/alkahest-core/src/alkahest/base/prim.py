"""Primitives are names; what they do is rules in tables, one table per interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from alkahest.errors import DuplicateRuleError, MissingRuleError

Rule = Callable[..., Any]


class Prim:
    """A primitive operation: a bare key to which rule tables attach behaviour.

    >>> Prim("softplus")
    softplus
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[Any, ...]:
        return prim_by_name, (self.name,)


class RuleTable:
    """Rules of one kind, keyed by primitive; an override must be asked for."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rules: dict[Prim, Any] = {}
        self._by_name: dict[str, Any] = {}

    def set(self, prim: Prim, rule: Any, *, replace: bool = False) -> Any:
        """Attach `rule` to `prim` and return it; a second rule needs `replace=True`."""
        if prim in self._rules and not replace:
            raise DuplicateRuleError(
                f"the {self.kind} rule of primitive {prim.name!r} is already set.",
                remedy="Pass replace=True to override it.",
            )
        self._rules[prim] = rule
        self._by_name[prim.name] = rule
        return rule

    def get(self, prim: Prim) -> Any:
        """Return the rule of `prim`, or raise `MissingRuleError` naming primitive and table."""
        return self.by_name(prim.name)

    def by_name(self, name: str) -> Any:
        """Return the rule of the primitive called `name`."""
        try:
            return self._by_name[name]
        except KeyError:
            raise MissingRuleError(
                f"primitive {name!r} has no {self.kind} rule.",
                remedy=f"Set one in the {self.kind} table, or use a function that has one.",
            ) from None

    def __contains__(self, prim: Prim | str) -> bool:
        return (prim if isinstance(prim, str) else prim.name) in self._by_name

    def __iter__(self) -> Iterator[Prim]:
        return iter(self._rules)


impl_rules = RuleTable("impl")
partials_rules = RuleTable("partials")
_lowering_tables: dict[str, RuleTable] = {}
_prims: dict[str, Prim] = {}
_arity: dict[str, int] = {}


def lowering_rules(target: str) -> RuleTable:
    """Return the table of lowering rules for `target` ("c", "llvm", "stablehlo", …); it is made on first use."""
    return _lowering_tables.setdefault(target, RuleTable(f"lowering[{target}]"))


def register_prim(prim: Prim, arity: int) -> Prim:
    """Make `prim` known by name, with its number of arguments."""
    if prim.name in _prims:
        raise DuplicateRuleError(
            f"a primitive called {prim.name!r} exists already.", remedy="Choose a name of your own for it."
        )
    _prims[prim.name] = prim
    _arity[prim.name] = arity
    return prim


def prim_by_name(name: str) -> Prim:
    """Return the scalar primitive called `name`."""
    try:
        return _prims[name]
    except KeyError:
        raise MissingRuleError(
            f"no primitive is called {name!r}.", remedy="Import the plugin that declares it first."
        ) from None


def arity_of(name: str) -> int | None:
    """Return how many arguments the primitive called `name` takes, or None where no such primitive is known."""
    return _arity.get(name)


def prim_names() -> tuple[str, ...]:
    """Return the names of all scalar primitives, in order of declaration."""
    return tuple(_prims)
