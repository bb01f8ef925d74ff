"""Schemas and JSON: the JSON schema a provider is sent, and the parser of the model's answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import AVal
from alkahest.errors import SchemaError, SchemaViolationError
from alkahest.prims.schema import Outline, flatten_schema, outline_of
from alkahest.prims.schema_nodes import REFUSED, SchemaNode, shown

_ASK_AGAIN = "Ask the model again and quote this message, or loosen the schema."
_ROOT = "value"
_FENCE = "```"
_EXCERPT = 30
_LISTED = 12


@dataclass(frozen=True, slots=True)
class SchemaField(trees.Leaf):
    """A leaf of a schema: where it stands in the answer, its node, and its description."""

    path: str
    node: SchemaNode
    doc: str | None

    @property
    def python(self) -> type:
        """The type of its values: str, int, float or bool."""
        return self.node.python

    @property
    def aval(self) -> AVal:
        """The abstract value of its values."""
        return self.node.aval


def make_json_schema_and_parser(schema: Any) -> tuple[dict[str, Any], Callable[[str], Any]]:
    r"""Return the JSON schema of `schema` and the function that reads an answer into values in its structure.

    The JSON schema is a new dict each time; the work behind it is done once for equal schemas. It keeps to what strict
    structured output takes: every structure is an object whose properties, in the order of the tree library (dict keys
    sorted), are all required and no others allowed. Lists and tuples have the names "0", "1", …, named tuples and
    dataclasses those of their fields, dicts their keys as texts; None is an object without properties. A schema that is
    a single leaf becomes the property "value" of an object, since strict output wants an object at the root; the parser
    takes the value out again, and takes it bare too.

    The parser takes JSON, or JSON in a Markdown code fence, and nothing around it. Types are exact: true is no
    number, 1.0 no integer; an integer is taken for a `Float` and becomes a float. Names that are missing, surplus or
    given twice, values out of bounds, NaN and lone surrogates raise `SchemaViolationError` with the path (also
    `error.details["path"]`), what was expected and what was found; text that is no JSON raises it with the position.

    `SchemaError` where `schema` is none: a leaf outside the vocabulary, two entries of one name in JSON, too deep.

    >>> from alkahest.prims.schema_nodes import Enum, Int
    >>> json_schema, parse = make_json_schema_and_parser({"score": Int(min=0, max=10), "tone": [Enum("warm", "cool")]})
    >>> json_schema["properties"]["score"]
    {'type': 'integer', 'minimum': 0, 'maximum': 10}
    >>> parse('```json\n{"score": 7, "tone": {"0": "warm"}}\n```')
    {'score': 7, 'tone': ['warm']}
    >>> parse('{"score": 7, "tone": {"0": "hot"}}')
    Traceback (most recent call last):
    alkahest.errors.SchemaViolationError: $['tone']['0']: expected one of 'warm', 'cool', found 'hot'. ...
    """
    plan = _plan(schema)
    return json.loads(plan.json_text), plan.parse


def schema_leaves(schema: Any) -> tuple[tuple[SchemaField, ...], trees.TreeDef]:
    """Return a `SchemaField` per leaf of `schema`, and its structure without descriptions.

    >>> from alkahest.prims.schema import Doc
    >>> from alkahest.prims.schema_nodes import Enum, Int
    >>> leaves, treedef = schema_leaves({"score": Int() @ Doc("0 to 10"), "tones": (Enum("warm", "cool"),)})
    >>> [(leaf.path, leaf.python, leaf.doc) for leaf in leaves]
    [("$['score']", <class 'int'>, '0 to 10'), ("$['tones']['0']", <class 'str'>, None)]
    >>> treedef.unflatten(["a", "b"])
    {'score': 'a', 'tones': ('b',)}
    """
    plan = _plan(schema)
    return plan.parse.fields, plan.parse.treedef


def schema_avals(schema: Any) -> Any:
    """Return the abstract values of an answer, in the structure of `schema`.

    >>> from alkahest.prims.schema_nodes import Bool, Str
    >>> schema_avals({"why": Str(), "yes": Bool()})
    {'why': StrAVal(), 'yes': BoolAVal()}
    """
    fields, treedef = schema_leaves(schema)
    return trees.unflatten([field.aval for field in fields], treedef)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is made once per schema."""

    json_text: str
    parse: _Parser


def _plan(schema: Any) -> _Plan:
    leaves, treedef = flatten_schema(schema)
    # Structures that differ in the types of keys alone compare equal, {1: …} and {True: …}: their texts differ.
    key = (tuple(leaves), treedef, str(treedef), tuple(treedef.paths()))
    try:
        return _cached_plan(key)
    except SchemaError:
        raise
    except (TypeError, ValueError):  # what users' containers keep may not hash or compare
        return _make_plan(key)


def _make_plan(key: tuple[Any, ...]) -> _Plan:
    leaves, treedef = key[0], key[1]
    shape = outline_of(leaves, treedef)
    fields = tuple(_fields(shape))
    bare = shape.leaf is not None
    if bare:
        shape = Outline("$", None, None, (_ROOT,), (replace(shape, path=f"$[{_ROOT!r}]"),))
    plain = trees.structure(treedef.unflatten(leaves))  # rebuilt, documented nodes are bare
    return _Plan(json.dumps(_json_schema(shape)), _Parser(shape, fields, plain, bare))


_cached_plan = lru_cache(maxsize=512)(_make_plan)


def _fields(shape: Outline) -> Iterator[SchemaField]:
    if shape.leaf is not None:
        yield SchemaField(shape.path, shape.leaf, shape.doc)
    for entry in shape.entries:
        yield from _fields(entry)


def _json_schema(shape: Outline) -> dict[str, Any]:
    if shape.leaf is not None:
        made = shape.leaf.json_schema()
    else:
        made = {
            "type": "object",
            "properties": {name: _json_schema(entry) for name, entry in shape.items()},
            "required": list(shape.names),
            "additionalProperties": False,
        }
    return made if shape.doc is None else {**made, "description": shape.doc}


@dataclass(frozen=True, slots=True, repr=False)
class _Parser:
    """Reads answers; made by `make_json_schema_and_parser`."""

    shape: Outline
    fields: tuple[SchemaField, ...]
    treedef: trees.TreeDef
    bare: bool

    def __call__(self, text: str) -> Any:
        value = _decode(text)
        if self.bare and not isinstance(value, dict):
            value = {_ROOT: value}
        found: list[Any] = []
        _read(self.shape, value, found)
        return trees.unflatten(found, self.treedef)


def _read(shape: Outline, value: Any, found: list[Any]) -> None:
    """Append the values of the leaves of `shape` in JSON's `value`."""
    if shape.leaf is not None:
        read = shape.leaf.read(value)
        if read is REFUSED:
            raise _violation(shape.path, f"expected {shape.leaf.expected}, found {shown(value)}")
        found.append(read)
        return
    _check_names(shape, value)
    for name, entry in shape.items():
        _read(entry, value[name], found)


def _check_names(shape: Outline, value: Any) -> None:
    if not isinstance(value, dict):
        wanted = f"an object with {_listed(shape.names)}" if shape.names else "an empty object"
        raise _violation(shape.path, f"expected {wanted}, found {shown(value)}")
    given = cast("dict[str, Any]", value)
    if isinstance(given, _Repeating):
        raise _violation(shape.path, f"expected each name once, found {_listed(given.repeated)} more than once")
    if given.keys() == set(shape.names):
        return
    missing = [name for name in shape.names if name not in given]
    surplus = [name for name in given if name not in shape.names]
    wrong = [f"misses {_listed(missing)}"] if missing else []
    if surplus:
        wrong.append(f"has {_listed(surplus)}, which the schema does not name")
    raise _violation(shape.path, f"expected {_listed(shape.names) or 'no names'}; the object {' and '.join(wrong)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join([shown(name) for name in names[:_LISTED]]) + (", …" if len(names) > _LISTED else "")


def _violation(path: str, what: str) -> SchemaViolationError:
    return SchemaViolationError(f"{path}: {what}.", remedy=_ASK_AGAIN, path=path)


class _Repeating(dict[str, Any]):
    """An object in which names stand more than once."""

    repeated: list[str]


class _Unreadable(str):
    """A token of JSON's text that is no value: NaN, Infinity, an integer of thousands of digits."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeating = _Repeating(made)
    repeating.repeated = [name for name, count in Counter([name for name, _ in pairs]).items() if count > 1]
    return repeating


def _integer(token: str) -> Any:
    try:
        return int(token)
    except ValueError:  # longer than sys.get_int_max_str_digits()
        return _Unreadable(token)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_Unreadable)


def _decode(text: Any) -> Any:
    if isinstance(text, dict):  # decoded already, by a client
        try:
            text = json.dumps(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise SchemaViolationError(f"the answer is no JSON: {error}.", remedy=_ASK_AGAIN) from None
    if not isinstance(text, str):
        raise SchemaViolationError(
            f"the answer is no text but a {type(text).__name__}.", remedy="Pass the text of the model's answer."
        )
    start, body = _unfenced(text)
    try:
        return _DECODER.decode(body)
    except json.JSONDecodeError as error:
        raise _not_json(text, start + error.pos, error.msg) from None
    except RecursionError:
        raise SchemaViolationError("the answer is nested too deep to be read.", remedy=_ASK_AGAIN) from None


def _unfenced(text: str) -> tuple[int, str]:
    """Return the content of a code fence that is the whole text, or else the text, and where it starts.

    As in CommonMark, a fence that is not closed reaches to the end.
    """
    stripped = text.strip()
    head, newline, body = stripped.partition("\n")
    if not newline or not head.startswith(_FENCE) or head.strip("`").strip().lower() not in ("", "json"):
        return 0, text
    fence = head[: len(head) - len(head.lstrip("`"))]
    return text.index(stripped) + len(head) + 1, body.removesuffix(fence)


def _not_json(text: str, position: int, message: str) -> SchemaViolationError:
    before, after = text[max(0, position - _EXCERPT) : position], text[position : position + _EXCERPT]
    line = text.count("\n", 0, position) + 1
    empty, at_end = not text.strip(), not after.strip()
    cut_off = not empty and (at_end or message.startswith("Unterminated string"))
    near = "in an empty text" if empty else f"after {before!r}" if at_end else f"at {after!r}, after {before!r}"
    return SchemaViolationError(
        f"the answer is no JSON: {message} (position {position}, line {line}), {near}.",
        remedy="It was cut off: allow the model a longer answer."
        if cut_off
        else "Ask the model again, for JSON alone.",
        position=position,
        line=line,
    )
