"""Structures, literals and parameters of programs as plain data: what `serialization` builds documents from.

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
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import BOOL, FLOAT, INT, OPAQUE, STR, AVal
from alkahest.base.prim import Prim, prim_by_name
from alkahest.base.zero import Zero
from alkahest.errors import AlkahestError, MissingRuleError, SerializationError
from alkahest.ir.ir import IR, Flow, IRVar

_EXACT = 2**53  # larger integers are written in hexadecimal: readers of JSON may round them
_DEEPEST = 1000  # batches around a variable

_PLAIN_AVALS: dict[AVal, str] = {STR: "str", INT: "int", FLOAT: "float", BOOL: "bool", OPAQUE: "opaque"}
_AVALS_BY_NAME = {name: aval for aval, name in _PLAIN_AVALS.items()}


@dataclasses.dataclass(frozen=True)
class _Format:
    """How values of one class are written: as data that holds what JSON can say, variables included."""

    name: str
    cls: type
    to_data: Callable[[Any], Any]
    from_data: Callable[[Any], Any]


_avals: dict[type, _Format] = {}
_types: dict[type, _Format] = {}


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
    _register(_avals, _Format(name or cls.__name__, cls, to_data, from_data))


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
    _register(_types, _Format(name or cls.__name__, cls, to_data, from_data))


def _register(table: dict[type, _Format], made: _Format) -> None:
    other = next((f for f in table.values() if f.name == made.name and f.cls is not made.cls), None)
    if other is not None or made.name in _AVALS_BY_NAME:
        raise SerializationError(
            f"two classes are to be saved under the name {made.name!r}.", remedy="Pass another name=."
        )
    table[made.cls] = made


def _by_fields(cls: type) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    if dataclasses.is_dataclass(cls):
        names = [f.name for f in dataclasses.fields(cls)]
    elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names = list(cast("Any", cls)._fields)
    else:
        raise SerializationError(
            f"{cls.__name__} is neither a dataclass nor a namedtuple.", remedy="Pass to_data and from_data."
        )

    def from_data(data: Any) -> Any:
        values = [data[name] for name in names]
        return trees._rebuild(cls, names, values) if dataclasses.is_dataclass(cls) else cls(*values)

    return lambda value: {name: getattr(value, name) for name in names}, from_data


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
        found = _types.get(cls)
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
        found = _avals.get(aval.__class__)
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
        schema = _schema_functions()[0](value)
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
        cls = type(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, trees.Leaf):
            return {"fields": [cls, [[f.name, self.tree(getattr(value, f.name))] for f in dataclasses.fields(value)]]}
        if not trees.is_leaf(value):
            return self._container(value)
        try:
            pickle.dumps(value)
        except Exception as error:
            raise SerializationError(
                f"a {cls.__qualname__} cannot be pickled: {error}",
                remedy="Define it in a module, by name, or leave it out of the program.",
            ) from error
        return {"pickled": value}

    def _container(self, value: Any) -> Any:
        import optree

        children, _, _ = optree.tree_flatten_one_level(value, namespace=trees.PYTREE_NAMESPACE)
        shallow = optree.tree_structure(value, is_leaf=lambda x: x is not value, namespace=trees.PYTREE_NAMESPACE)
        return {"container": [shallow, [self.tree(child) for child in children]]}


# ----------------------------------------------------------------------------------------------------- reading


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
            if data not in _AVALS_BY_NAME:
                raise Damage(f"no abstract value is called {data!r}")
            return _AVALS_BY_NAME[data]
        found = _by_name(_avals, get_entry(data, "name"))
        return found.from_data(self.tree(get_entry(data, "data")))

    def registered(self, data: Any) -> Any:
        """Return a value of a registered class."""
        name, body = get_pair(data)
        return _by_name(_types, name).from_data(self.tree(body))

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
    "schema": lambda r, d: _schema_functions()[1](d),
}


class PickleReader(Reader):
    """Reads what `PickleWriter` writes."""

    def readers(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Return how each kind of value is read."""
        return _PICKLE_READERS

    def aval(self, data: Any) -> AVal:
        """Return an abstract value."""
        return data["pickled"] if isinstance(data, dict) and "pickled" in data else super().aval(data)


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


# Primitives and schemas are a layer above this one: by import string.


def _load_core() -> None:
    importlib.import_module("alkahest.extend")


def _load_plugins() -> None:
    from alkahest.plugins.manager import load_primitives

    load_primitives()


def _schema_functions() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return how schemas are written, or None for what is no schema, and read."""
    module: Any = importlib.import_module("alkahest.prims.schema")
    kinds = (module.SchemaNode, module.Documented)
    return lambda value: module.schema_to_data(value) if isinstance(value, kinds) else None, module.schema_from_data


def _by_name(table: dict[type, _Format], name: Any) -> _Format:
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
