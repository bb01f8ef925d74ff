"""What `encoding` writes, read again: structures, literals and parameters of programs. Nothing read is executed."""

from __future__ import annotations

import collections
import importlib
import math
from collections.abc import Callable
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import AVal
from alkahest.base.prim import Prim, prim_by_name
from alkahest.base.zero import Zero
from alkahest.errors import MissingRuleError, SerializationError
from alkahest.ir.encoding import AVALS_BY_NAME, ClassFormat, aval_formats, json_formats, schema_functions
from alkahest.ir.ir import IR, Flow, IRVar

_DEEPEST = 1000  # batches around a variable


class Damage(Exception):
    """What was read is not what was written."""


class Reader:
    """Reads what `Writer` writes."""

    def __init__(self) -> None:
        self.programs: list[IR] = []
        self.vars: list[IRVar] = []

    def tree(self, data: Any) -> Any:
        """Return the structure, leaf or parameter."""
        if data is None or isinstance(data, bool | str | int | float):
            return data
        if not isinstance(data, dict) or len(cast("Any", data)) != 1:
            raise Damage(f"{clip(data)} is no value")
        ((kind, body),) = cast("dict[str, Any]", data).items()
        read = self.readers().get(kind)
        if read is None:
            raise Damage(f"values of kind {kind!r} are not known")
        return read(self, body)

    def readers(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Return how each kind of value is read."""
        return _READERS

    def trees(self, data: Any) -> list[Any]:
        """Return the entries of a list."""
        return [self.tree(entry) for entry in get_list(data)]

    def pairs(self, data: Any) -> dict[Any, Any]:
        """Return a dict from its entries."""
        return {self.tree(key): self.tree(value) for key, value in map(get_pair, get_list(data))}

    def var(self, number: Any) -> IRVar:
        """Return the variable of a number."""
        return self.vars[get_index(number, self.vars)]

    def program(self, number: Any) -> IR:
        """Return the program of a number."""
        return self.programs[get_index(number, self.programs)]

    def aval(self, data: Any) -> AVal:
        """Return the abstract value of a name."""
        if isinstance(data, str):
            if data not in AVALS_BY_NAME:
                raise Damage(f"no abstract value is called {data!r}")
            return AVALS_BY_NAME[data]
        found = _by_name(aval_formats, get_entry(data, "name"))
        return found.from_data(self.tree(get_entry(data, "data")))

    def registered(self, data: Any) -> Any:
        """Return a value of a registered class."""
        name, body = get_pair(data)
        return _by_name(json_formats, name).from_data(self.tree(body))

    def new_var(self, data: Any) -> IRVar:
        """Return a new variable."""
        if not isinstance(data, dict) or "aval" not in data:
            return IRVar(aval=self.aval(data))
        given = cast("dict[str, Any]", data)
        depth, kind = given.get("depth", 0), given.get("flow")
        if depth.__class__ is not int or not 0 <= depth <= _DEEPEST:
            raise Damage(f"{clip(depth)} is no depth")
        return IRVar(aval=self.aval(given["aval"]), source=None if kind is None else Flow(str(kind), None), depth=depth)


_READERS: dict[str, Callable[[Any, Any], Any]] = {
    "var": Reader.var,
    "program": Reader.program,
    "int": lambda r, d: int(d, 16),
    "float": lambda r, d: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[d],
    "zero": lambda r, d: Zero(r.aval(d)),
    "aval": Reader.aval,
    "prim": lambda r, d: read_prim(d),
    "tuple": lambda r, d: tuple(r.trees(d)),
    "list": Reader.trees,
    "dict": Reader.pairs,
    "ordered dict": lambda r, d: collections.OrderedDict(r.pairs(d)),
    "frozenset": lambda r, d: frozenset(r.trees(d)),
    "bytes": lambda r, d: bytes.fromhex(d),
    "type": Reader.registered,
    "schema": lambda r, d: schema_functions()[1](d),
}


class PickleReader(Reader):
    """Reads what `PickleWriter` writes."""

    def readers(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Return how each kind of value is read."""
        return _PICKLE_READERS

    def aval(self, data: Any) -> AVal:
        """Return an abstract value."""
        return get_entry(data, "pickled") if isinstance(data, dict) else super().aval(data)


def _read_fields(reader: Reader, data: Any) -> Any:
    cls, fields = get_pair(data)
    pairs = [get_pair(field) for field in get_list(fields)]
    return trees._rebuild(cls, [name for name, _ in pairs], [reader.tree(value) for _, value in pairs])


def _read_container(reader: Reader, data: Any) -> Any:
    treedef, children = get_pair(data)
    return trees.unflatten(reader.trees(children), treedef)


_PICKLE_READERS: dict[str, Callable[[Any, Any], Any]] = {
    **_READERS,
    "fields": _read_fields,
    "container": _read_container,
    "pickled": lambda r, d: d,
}


def read_prim(name: Any) -> Prim:
    """Return the primitive called `name`, loading what core and plugins declare."""
    for load in (_load_core, _load_plugins, None):
        try:
            return prim_by_name(name)
        except MissingRuleError as error:
            if load is None:
                raise SerializationError(error.message, remedy=error.remedy) from None
            load()
    raise Damage(f"{clip(name)} is no primitive")


# Primitives are a layer above this one: by import string.


def _load_core() -> None:
    importlib.import_module("alkahest.extend")


def _load_plugins() -> None:
    from alkahest.plugins.manager import load_primitives

    load_primitives()


def _by_name(table: dict[type, ClassFormat], name: Any) -> ClassFormat:
    for found in table.values():
        if found.name == name:
            return found
    raise SerializationError(
        f"no class is registered under the name {clip(name)}.", remedy="Import the module that registers it first."
    )


def get_entry(data: Any, key: str) -> Any:
    """Return an entry of an object, or raise `Damage`."""
    if not isinstance(data, dict) or key not in data:
        raise Damage(f"{clip(data)} has no entry {key!r}")
    return cast("dict[str, Any]", data)[key]


def get_list(data: Any) -> list[Any]:
    """Return `data`, a list, or raise `Damage`."""
    if not isinstance(data, list):
        raise Damage(f"{clip(data)} is no list")
    return cast("list[Any]", data)


def get_pair(data: Any) -> tuple[Any, Any]:
    """Return the two entries of `data`, or raise `Damage`."""
    if not isinstance(data, list | tuple) or len(cast("Any", data)) != 2:
        raise Damage(f"{clip(data)} is no pair")
    first, second = cast("Any", data)
    return first, second


def get_index(number: Any, entries: list[Any]) -> int:
    """Return `number`, an index of `entries`, or raise `Damage`."""
    if number.__class__ is not int or not 0 <= number < len(entries):
        raise Damage(f"{clip(number)} is no number of one of {len(entries)}")
    return number


def clip(value: Any) -> str:
    """Return the beginning of a value's text."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
