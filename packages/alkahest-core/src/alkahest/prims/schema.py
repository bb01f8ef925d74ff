"""Schemas: what a language model is asked to answer with.

A schema is a structure (dict, list, tuple, dataclass, …) whose leaves are `Str`, `Int`, `Float`, `Bool` and `Enum`;
`node @ Doc("…")` tells the model what a leaf or a whole structure means. `schema_json` reads answers with it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn, cast

from alkahest.base import trees
from alkahest.errors import SchemaError
from alkahest.prims.schema_nodes import Bool, Enum, Float, Int, SchemaNode, Str, described, text_of

VOCABULARY = "Str(), Int(), Float(), Bool() and Enum(…), in dicts, lists, tuples and dataclasses"
MAX_DEPTH = 100
"""How deep schemas nest at most; providers take less (OpenAI documents 10 levels)."""

_KINDS: dict[str, type[SchemaNode]] = {cls.__name__: cls for cls in (Str, Int, Float, Bool)}
_KEY_TYPES = (str, int, float, bool)


@dataclass(frozen=True)
class Doc(trees.Leaf):
    """A description for the model: `node @ Doc(text)` attaches it to a leaf or to a whole structure.

    The documented node stands for the node: mapping over it, or answering it, gives the structure without the text.
    Two descriptions of one node are joined, a line each. A text that is no str raises `SchemaError`.

    >>> {"score": Int(min=0, max=10) @ Doc("10 is best")} @ Doc("A verdict.")
    {'score': Int(min=0, max=10) @ Doc('10 is best')} @ Doc('A verdict.')
    """

    text: str

    def __post_init__(self) -> None:
        text_of("the text of a Doc", self.text)

    def __rmatmul__(self, node: Any) -> Documented:
        if isinstance(node, Documented):
            return Documented(node.node, Doc(f"{node.doc.text}\n{self.text}"))
        return Documented(node, self)

    def __matmul__(self, other: Any) -> NoReturn:
        raise SchemaError(
            f"a Doc stands left of @, and a {type(other).__name__} right of it.", remedy='Write node @ Doc("…").'
        )

    def __repr__(self) -> str:
        return f"Doc({self.text!r})"


@dataclass(frozen=True, repr=False)
class Documented:
    """A leaf or structure of a schema with its description, as `node @ Doc("…")` makes it.

    To the tree library it is a container of `node` that is rebuilt as the bare node.

    >>> documented = Str() @ Doc("a name")
    >>> documented.node, documented.doc
    (Str(), Doc('a name'))
    """

    node: Any
    doc: Doc

    def __post_init__(self) -> None:
        _register_documented()
        if not isinstance(cast(Any, self.doc), Doc):
            raise SchemaError(f"the description is a {type(self.doc).__name__}.", remedy='Write node @ Doc("…").')
        outline(self.node)

    def __hash__(self) -> int:
        # The node may be a dict or a list; equal ones have equal leaves, in whichever order.
        return hash((self.doc, frozenset(trees.leaves(self.node))))

    def __reduce__(self) -> tuple[Any, ...]:
        return Documented, (self.node, self.doc)

    def __repr__(self) -> str:
        return f"{self.node!r} @ {self.doc!r}"

    def printed_parts(self) -> tuple[str, list[tuple[str, Any]], str]:
        """Return how it begins, its entries, and how it ends, where a program is printed."""
        return "", [("", self.node)], f" @ {self.doc!r}"


_lock = threading.Lock()
_registered: list[type] = []


def _parts(made: Any) -> tuple[Any, Any, Any]:
    return (made.node,), made.doc, (made.doc,)


def _register_documented() -> None:
    if _registered:
        return
    import optree

    cls: Any = Documented
    with _lock:
        if not _registered:
            optree.register_pytree_node(  # pyright: ignore[reportUnknownMemberType]
                cls,
                _parts,
                lambda _, children: cast(Any, children)[0],
                namespace=trees.PYTREE_NAMESPACE,
            )
            _registered.append(Documented)


@dataclass(frozen=True, slots=True)
class Outline:
    """A schema as JSON sees it: a leaf, or an object with an outline per name, and where in the answer it stands."""

    path: str
    doc: str | None
    leaf: SchemaNode | None
    names: tuple[str, ...] = ()
    entries: tuple[Outline, ...] = ()

    def items(self) -> Iterator[tuple[str, Outline]]:
        """Iterate over names and their outlines."""
        return zip(self.names, self.entries, strict=True)


def outline(schema: Any) -> Outline:
    """Return the outline of `schema`.

    `SchemaError` where a leaf is not of the vocabulary, two entries of a structure share their name, or it nests too
    deep.
    """
    return outline_of(*flatten_schema(schema))


def outline_of(leaves: Sequence[Any], treedef: trees.TreeDef) -> Outline:
    """Return the outline of the schema of these leaves and this structure."""
    return _outline(treedef, iter(leaves), "$", 0)


def flatten_schema(schema: Any) -> tuple[list[Any], trees.TreeDef]:
    """Return leaves and structure, descriptions included; `SchemaError` where the schema contains itself."""
    try:
        return trees.flatten(schema)
    except RecursionError:
        raise _too_deep() from None


def _outline(treedef: trees.TreeDef, leaves: Iterator[Any], path: str, depth: int) -> Outline:
    docs: list[str] = []
    while treedef.type is Documented:
        docs.insert(0, treedef.entry(0).text)
        treedef = treedef.child(0)
    doc = "\n".join(docs) if docs else None
    if treedef.is_leaf():
        leaf = next(leaves)
        if not isinstance(leaf, SchemaNode):
            raise _unknown_leaf(path, leaf)
        return Outline(path, doc, leaf)
    if depth == MAX_DEPTH:
        raise _too_deep()
    names = _names(treedef, path)
    entries = [
        _outline(child, leaves, f"{path}[{name!r}]", depth + 1)
        for name, child in zip(names, treedef.children(), strict=True)
    ]
    return Outline(path, doc, None, names, tuple(entries))


def _names(treedef: trees.TreeDef, path: str) -> tuple[str, ...]:
    """Return the names of entries in JSON: keys and indices as texts, names of fields."""
    entries = getattr(treedef.type, "_fields", None) or treedef.entries()  # named tuples have fields
    names = tuple([text_of(f"the name of an entry at {path}", str(entry)) for entry in entries])
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SchemaError(
            f"two entries of the schema at {path} have the name {twice!r} in JSON.",
            remedy="Give keys that differ as texts.",
        )
    return names


def _too_deep() -> SchemaError:
    return SchemaError(
        "the schema is nested too deep, or contains itself.",
        remedy=f"Nest {MAX_DEPTH} levels at most; providers take fewer.",
    )


def _unknown_leaf(path: str, leaf: Any) -> SchemaError:
    if isinstance(leaf, Doc):
        return SchemaError(f"the schema holds a Doc by itself at {path}.", remedy='Attach it: node @ Doc("…").')
    what = f"the class {leaf.__name__}" if isinstance(leaf, type) else f"{described(leaf)},"
    return SchemaError(f"the schema holds {what} at {path}.", remedy=f"Build it from {VOCABULARY}.")


def schema_to_data(schema: Any) -> Any:
    """Return `schema` as JSON can write it: dicts, lists and scalars, which `schema_from_data` reads.

    Structures are dicts (keys: str, int, float, bool), lists, tuples and None; others raise `SchemaError`, as does what
    is no schema.

    >>> schema_to_data((Int(min=0) @ Doc("how many"),))
    {'type': 'tuple', 'items': [{'type': 'Int', 'min': 0, 'doc': 'how many'}]}
    """
    outline(schema)
    return _to_data(schema)


def _to_data(node: Any) -> dict[str, Any]:
    if isinstance(node, Documented):
        data = _to_data(node.node)
        own = node.doc.text
        return {**data, "doc": f"{data['doc']}\n{own}" if "doc" in data else own}
    if node is None:
        return {"type": "None"}
    if isinstance(node, Enum):
        return {"type": "Enum", "values": list(node.values)}
    if isinstance(node, SchemaNode):
        given = {f.name: getattr(node, f.name) for f in fields(cast(Any, node))}
        return {"type": type(node).__name__, **{name: value for name, value in given.items() if value is not None}}
    if node.__class__ in (list, tuple):
        return {"type": node.__class__.__name__, "items": [_to_data(item) for item in node]}
    if node.__class__ is dict:
        return {"type": "dict", "items": [[_key(key), _to_data(value)] for key, value in node.items()]}
    raise SchemaError(
        f"the schema holds a {type(node).__name__}, which cannot be saved.",
        remedy="Build schemas that are to be saved from dicts, lists and tuples.",
    )


def _key(key: Any) -> Any:
    if key.__class__ not in _KEY_TYPES or (key.__class__ is float and not math.isfinite(key)):
        raise SchemaError(
            f"the schema has for a key {described(key)}, which cannot be saved.",
            remedy="Use str, int, bool or finite float keys in schemas that are to be saved.",
        )
    return key


def schema_from_data(data: Any) -> Any:
    """Return the schema that `schema_to_data` wrote as `data`; `SchemaError` where it did not write it.

    >>> schema_from_data({"type": "tuple", "items": [{"type": "Int", "min": 0, "doc": "how many"}]})
    (Int(min=0) @ Doc('how many'),)
    """
    schema = _from_data(data, 0)
    outline(schema)
    return schema


def _from_data(data: Any, depth: int) -> Any:
    if not isinstance(data, dict) or "type" not in data:
        raise _no_data(data)
    if depth > MAX_DEPTH:
        raise _too_deep()
    rest = cast("dict[str, Any]", data).copy()
    kind, doc = rest.pop("type"), rest.pop("doc", None)
    node = _node_from_data(kind, rest, depth)
    return node if doc is None else node @ Doc(doc)


def _node_from_data(kind: Any, rest: dict[str, Any], depth: int) -> Any:
    if kind == "None" and not rest:
        return None
    if kind in ("list", "tuple", "dict", "Enum"):
        items = rest.pop("values" if kind == "Enum" else "items", None)
        if not isinstance(items, list) or rest:
            raise _no_data({"type": kind, **rest})
        return _container_from_data(kind, cast("list[Any]", items), depth)
    cls: Any = _KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None or not rest.keys() <= {f.name for f in fields(cls)}:
        raise _no_data({"type": kind, **rest})
    return cls(**rest)


def _container_from_data(kind: str, items: list[Any], depth: int) -> Any:
    if kind == "Enum":
        return Enum(*items)
    if kind == "dict":
        if not all(isinstance(item, list) and len(cast("list[Any]", item)) == 2 for item in items):
            raise _no_data({"type": kind, "items": items})
        return {_key(key): _from_data(value, depth + 1) for key, value in items}
    made = [_from_data(item, depth + 1) for item in items]
    return made if kind == "list" else tuple(made)


def _no_data(data: Any) -> SchemaError:
    return SchemaError(
        f"this describes no part of a schema: {repr(data)[:80]}.", remedy="Pass what schema_to_data returned."
    )
