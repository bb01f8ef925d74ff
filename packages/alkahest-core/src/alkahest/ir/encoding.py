"""Structures, literals and parameters of programs as plain data: what `serialization` writes documents with.

Texts, integers, floats, truth values and None stand for themselves; anything else is an object of one entry that says
what it is: `{"var": 0}`, `{"tuple": [...]}`, `{"zero": "str"}`.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib
import json
import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import BOOL, FLOAT, INT, OPAQUE, STR, AVal
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero
from alkahest.errors import AlkahestError, SerializationError
from alkahest.ir.columns import one_level
from alkahest.ir.ir import IR, Flow, IRVar

_EXACT = 2**53  # larger integers are written in hexadecimal: readers of JSON may round them

_PLAIN_AVALS: dict[AVal, str] = {STR: "str", INT: "int", FLOAT: "float", BOOL: "bool", OPAQUE: "opaque"}
AVALS_BY_NAME = {name: aval for aval, name in _PLAIN_AVALS.items()}


@dataclasses.dataclass(frozen=True)
class ClassFormat:
    """How values of one class are written: as data that holds what JSON can say, variables included."""

    name: str
    cls: type
    to_data: Callable[[Any], Any]
    from_data: Callable[[Any], Any]


aval_formats: dict[type, ClassFormat] = {}
json_formats: dict[type, ClassFormat] = {}


def register_aval_name(
    cls: type[AVal], to_data: Callable[[Any], Any], from_data: Callable[[Any], Any], *, name: str | None = None
) -> None:
    """Let programs with abstract values of class `cls` be saved: `to_data(aval)` gives texts, numbers, lists and dicts.

    They are saved under `name`, by default that of the class; `from_data` makes the abstract value again.

    >>> from dataclasses import dataclass
    >>> from alkahest.extend import AVal
    >>> @dataclass(frozen=True)
    ... class DocVectorAVal(AVal):
    ...     length: int
    >>> register_aval_name(DocVectorAVal, lambda aval: aval.length, DocVectorAVal)
    """
    _register(aval_formats, ClassFormat(name or cls.__name__, cls, to_data, from_data))


def register_json_type(
    cls: type,
    to_data: Callable[[Any], Any] | None = None,
    from_data: Callable[[Any], Any] | None = None,
    *,
    name: str | None = None,
) -> None:
    """Let values of class `cls` in programs, structures or literals, be saved as JSON.

    `to_data(value)` gives what JSON can say (dicts, lists, tuples, texts, numbers), which may hold variables, and
    `from_data(data)` makes the value again. A dataclass or namedtuple needs neither: its fields are saved.

    >>> from typing import NamedTuple
    >>> class DocPoint(NamedTuple):
    ...     x: str
    ...     y: str
    >>> register_json_type(DocPoint)
    """
    if to_data is None or from_data is None:
        to_data, from_data = _by_fields(cls)
    _register(json_formats, ClassFormat(name or cls.__name__, cls, to_data, from_data))


def _register(table: dict[type, ClassFormat], made: ClassFormat) -> None:
    other = next((f for f in table.values() if f.name == made.name and f.cls is not made.cls), None)
    if other is not None or made.name in AVALS_BY_NAME:
        raise SerializationError(
            f"two classes are to be saved under the name {made.name!r}.", remedy="Pass another name=."
        )
    table[made.cls] = made


def _by_fields(cls: type) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    make: Callable[..., Any] = cls
    if dataclasses.is_dataclass(make):
        names = [f.name for f in dataclasses.fields(make)]
        return _fields_of(names), lambda data: trees._rebuild(make, names, [data[name] for name in names])
    names: list[str] = list(getattr(make, "_fields", ()))
    if not issubclass(cls, tuple) or not names:
        raise SerializationError(
            f"{getattr(make, '__name__', cls)} is neither a dataclass nor a namedtuple.",
            remedy="Pass to_data and from_data.",
        )
    return _fields_of(names), lambda data: make(*[data[name] for name in names])


def _fields_of(names: list[str]) -> Callable[[Any], Any]:
    return lambda value: {name: getattr(value, name) for name in names}


# ----------------------------------------------------------------------------------------------------- writing


class Writer:
    """Writes structures as what JSON can say."""

    keeps_places = False

    def __init__(self) -> None:
        self.programs: dict[int, Any] = {}
        self.vars: dict[int, int] = {}
        self.avals: list[Any] = []

    def start(self) -> None:
        """Forget the variables: each program has its own."""
        self.vars, self.avals = {}, []

    def tree(self, value: Any) -> Any:
        """Return a structure, leaf or parameter as data."""
        cls = value.__class__
        if value is None or cls is bool or cls is str:
            return value
        if cls is int:
            return value if -_EXACT < value < _EXACT else {"int": hex(value)}
        if cls is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        write = _WRITERS.get(cls)
        if write is not None:
            return write(self, value)
        found = json_formats.get(cls)
        if found is not None:
            return {"type": [found.name, self.tree(found.to_data(value))]}
        if isinstance(value, AVal):
            return {"aval": self.aval(value)}
        return self.other(value)

    def var(self, var: IRVar) -> dict[str, int]:
        """Return a variable by its number in the program."""
        number = self.vars.get(var.id)
        if number is None:
            number = self.vars[var.id] = len(self.avals)
            data: Any = self.aval(var.aval)
            if var.depth or isinstance(var.source, Flow):
                data = {"aval": data}
                if var.depth:
                    data["depth"] = var.depth
                if isinstance(var.source, Flow):
                    data["flow"] = var.source.kind
            self.avals.append(data)
        return {"var": number}

    def aval(self, aval: AVal) -> Any:
        """Return an abstract value by name."""
        plain = _PLAIN_AVALS.get(aval)
        if plain is not None:
            return plain
        found = aval_formats.get(aval.__class__)
        if found is None:
            raise SerializationError(
                f"{aval!r} has no name under which it could be saved.",
                remedy="Give its class one: alkahest.extend.register_aval_name(cls, to_data, from_data).",
            )
        return {"name": found.name, "data": self.tree(found.to_data(aval))}

    def dict(self, value: Mapping[Any, Any]) -> Any:
        """Return the entries of a dict, in their order."""
        return [[self.tree(key), self.tree(entry)] for key, entry in value.items()]

    def ir(self, ir: IR) -> Any:
        """Return a program inside by its number."""
        return {"program": self.programs[id(ir)]}

    def prim(self, prim: Prim) -> str:
        """Return a primitive by its name, if that leads to it again."""
        try:
            prim.__reduce__()
        except AlkahestError as error:
            raise SerializationError(error.message, remedy=error.remedy) from None
        return prim.name

    def other(self, value: Any) -> Any:
        """Return a value of a class that has no format of its own."""
        schema = schema_functions()[0](value)
        if schema is not None:
            return {"schema": schema}
        what = "the function" if callable(value) else "a value of class"
        name = getattr(value, "__qualname__", None) or type(value).__qualname__
        raise SerializationError(
            f"JSON cannot hold {what} {name}.",
            remedy="Register the class with alkahest.extend.register_json_type, or save the program with pickle.",
        )


def sorted_data(items: Iterable[Any]) -> list[Any]:
    """Return data in an order that does not depend on the process."""
    return sorted(items, key=lambda data: json.dumps(data, sort_keys=True))


_WRITERS: dict[type, Callable[[Writer, Any], Any]] = {
    IRVar: Writer.var,
    IR: Writer.ir,
    Zero: lambda w, v: {"zero": w.aval(v.aval)},
    Prim: lambda w, v: {"prim": w.prim(v)},
    tuple: lambda w, v: {"tuple": [w.tree(entry) for entry in v]},
    list: lambda w, v: {"list": [w.tree(entry) for entry in v]},
    dict: lambda w, v: {"dict": w.dict(v)},
    collections.OrderedDict: lambda w, v: {"ordered dict": Writer.dict(w, v)},
    frozenset: lambda w, v: {"frozenset": sorted_data([w.tree(entry) for entry in v])},
    bytes: lambda w, v: {"bytes": v.hex()},
}


class DigestWriter(Writer):
    """Writes dicts in order of their keys and programs by their digests."""

    def __init__(self, digests: dict[int, Any]) -> None:
        super().__init__()
        self.programs = digests

    def dict(self, value: Mapping[Any, Any]) -> Any:
        """Return the entries of a dict, sorted."""
        return sorted_data(super().dict(value))


class PickleWriter(Writer):
    """Writes what JSON cannot hold as it is."""

    keeps_places = True

    def aval(self, aval: AVal) -> Any:
        """Return an abstract value, by name where it has one."""
        return _PLAIN_AVALS.get(aval) or {"pickled": aval}

    def other(self, value: Any) -> Any:
        """Return a structure or value that only pickle can say."""
        cls: type[Any] = value.__class__
        if dataclasses.is_dataclass(cls) and not issubclass(cls, trees.Leaf):
            fields = [[f.name, self.tree(getattr(value, f.name))] for f in dataclasses.fields(cls)]
            return {"fields": [cls, fields]}
        if not trees.is_leaf(value):
            children, treedef = one_level(value)
            return {"container": [treedef, [self.tree(child) for child in children]]}
        try:
            pickle.dumps(value)
        except Exception as error:
            raise SerializationError(
                f"a {cls.__qualname__} cannot be pickled: {error}",
                remedy="Define it in a module, by name, or leave it out of the program.",
            ) from error
        return {"pickled": value}


# A layer above this one: by import string.


def schema_functions() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return how schemas are written, or None for what is no schema, and read."""
    module: Any = importlib.import_module("alkahest.prims.schema")
    kinds = (module.SchemaNode, module.Documented)
    return lambda value: module.schema_to_data(value) if isinstance(value, kinds) else None, module.schema_from_data
