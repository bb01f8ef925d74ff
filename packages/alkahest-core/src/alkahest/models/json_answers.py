"""JSON that satisfies a JSON schema, with what a text says and otherwise with values drawn from its hash."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from alkahest.errors import ProviderError
from alkahest.models.pattern_samples import samples
from alkahest.models.prose import digest, prose

Schema = Mapping[str, Any]
LINE = re.compile(r"^\s*[-*]?\s*\"?([\w .-]+?)\"?\s*[:=]\s*(.+?)\s*$", re.MULTILINE)
SPAN = 100  # how far a number without an upper bound lies above its lower bound, at most
UNSATISFIABLE = "Loosen the schema, or give a local_model with an answer of your own."


def json_answer(schema: Schema, text: str, context: Sequence[str]) -> str:
    r"""Return JSON text of a value that satisfies the schema.

    What `text` states, as JSON or in lines `Key: value`, is used where it fits; the rest depends on a hash of
    `context` and of the place in the schema. Raises `ProviderError` for a schema that cannot be satisfied.

    >>> schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    >>> json_answer(schema, "Name: Ada\nAge: 36", [])
    '{"name": "Ada", "age": 36}'
    """
    return json.dumps(_Filler(schema, text, context).value(schema, (), ""), ensure_ascii=False)


class _Filler:
    """Values for the places of one schema."""

    def __init__(self, root: Schema, text: str, context: Sequence[str]) -> None:
        self._root = root
        self._text = text
        self._seed = "\x1e".join(context)
        self._stated = _stated(text)

    def value(self, schema: Schema, path: tuple[str, ...], key: str) -> Any:
        """Return a value for the place `path`, whose nearest name is `key`."""
        schema = self._resolved(schema, path)
        stated = self._said(schema, key)
        if stated is not None:
            return stated
        kind = _kind(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"], path)
        if kind == "object":
            return self._object(schema, path)
        if kind == "array":
            return self._array(schema, path, key)
        return self._leaf(kind, schema, path)

    def _resolved(self, schema: Schema, path: tuple[str, ...]) -> Schema:
        """Follow references and choices; a chain of more than 50 is taken for a circle."""
        for _ in range(50):
            if "$ref" in schema:
                found: Any = self._root
                for part in str(schema["$ref"]).split("/")[1:]:
                    found = cast("Schema", found).get(part) if isinstance(found, Mapping) else None
                if not isinstance(found, Mapping):
                    break
                schema = cast("Schema", found)
            elif choices := schema.get("anyOf") or schema.get("oneOf"):
                schema = self._choice(choices, path)
            else:
                return schema
        raise _unsatisfiable(path, f"{schema.get('$ref', 'its choices')!r} cannot be followed")

    def _said(self, schema: Schema, key: str) -> Any:
        """Return what the text states under that name, where the schema allows it; None where it states nothing."""
        for value in self._stated.get(_folded(key), ()):
            for form in (value, _read(value) if isinstance(value, str) else value):
                if _fits(schema, form):
                    return form
        options: Sequence[Any] = schema.get("enum", ())
        named = [o for o in options if isinstance(o, str) and re.search(rf"\b{re.escape(o)}\b", self._text, re.I)]
        return named[0] if len(named) == 1 else None

    def _choice(self, options: Sequence[Any], path: tuple[str, ...]) -> Any:
        if not options:
            raise _unsatisfiable(path, "there is nothing to choose from")
        return options[self._draw(path) % len(options)]

    def _object(self, schema: Schema, path: tuple[str, ...]) -> dict[str, Any]:
        properties = cast("Mapping[str, Schema]", schema.get("properties", {}))
        if len(path) > 50:
            raise _unsatisfiable(path, "it contains itself without end")
        return {name: self.value(inner, (*path, name), name) for name, inner in properties.items()}

    def _array(self, schema: Schema, path: tuple[str, ...], key: str) -> list[Any]:
        fixed = cast("Sequence[Schema]", schema.get("prefixItems", ()))
        items: Any = schema.get("items")
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(least, len(fixed), 2)))
        size = min(max(least, len(fixed), 1 if isinstance(items, Mapping) else 0), most)
        further = cast("Schema", items) if isinstance(items, Mapping) else {"type": "string"}
        places = [*fixed, *[further] * size][:size]
        return [self.value(place, (*path, str(k)), key) for k, place in enumerate(places)]

    def _leaf(self, kind: str, schema: Schema, path: tuple[str, ...]) -> Any:
        if kind == "boolean":
            return self._draw(path) % 2 == 0
        if kind == "null":
            return None
        if kind == "integer":
            return self._integer(schema, path)
        if kind == "number":
            return self._number(schema, path)
        return self._string(schema, path)

    def _integer(self, schema: Schema, path: tuple[str, ...]) -> int:
        low, high = _bounds(schema, 1)
        step = int(schema.get("multipleOf", 1))
        first, last = -(-math.ceil(low) // step), math.floor(high) // step
        if first > last:
            raise _unsatisfiable(path, f"no integer lies between {low} and {high}")
        return (first + self._draw(path) % (last - first + 1)) * step

    def _number(self, schema: Schema, path: tuple[str, ...]) -> float:
        low, high = _bounds(schema, 0)
        if low > high:
            raise _unsatisfiable(path, f"no number lies between {low} and {high}")
        # In hundredths of the way, so that few digits are written; the ends themselves may be excluded.
        drawn = low + (high - low) * (1 + self._draw(path) % 99) / 100
        rounded = round(drawn, 2)
        return rounded if low < rounded < high else drawn

    def _string(self, schema: Schema, path: tuple[str, ...]) -> str:
        least = int(schema.get("minLength", 0))
        most = int(schema["maxLength"]) if "maxLength" in schema else None
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            for sample in samples(pattern, self._draw(path)):
                if len(sample) >= least and (most is None or len(sample) <= most):
                    return sample
            raise _unsatisfiable(path, f"no text found that matches {pattern!r}")
        if most is not None and least > most:
            raise _unsatisfiable(path, f"no text has at least {least} and at most {most} characters")
        text = prose(self._text)
        while len(text) < least:
            text += " " + (text or ".")
        return text if most is None else (text[:most].rstrip().ljust(least, "."))

    def _draw(self, path: tuple[str, ...]) -> int:
        return digest(self._seed, *path)


def _bounds(schema: Schema, margin: int) -> tuple[float, float]:
    """Return the closed range of a number; an excluded end is moved by `margin`."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + margin
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - margin
    if low is None:
        low = 0 if high is None or high >= 0 else high - SPAN
    return low, low + SPAN if high is None else high


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list | tuple):
        kinds = [str(k) for k in cast("Sequence[Any]", kind)]
        return next((k for k in kinds if k != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "string"


def _stated(text: str) -> dict[str, list[Any]]:
    """Return what a text states, by folded name: entries of the JSON objects in it, then its lines `Key: value`."""
    stated: dict[str, list[Any]] = {}
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        end = at + 1
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            found = {}
        for name, value in cast("dict[str, Any]", found).items():
            stated.setdefault(_folded(name), []).append(value)
        at = text.find("{", end)
    for name, value in LINE.findall(text):
        stated.setdefault(_folded(name), []).append(value)
    return stated


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _read(text: str) -> Any:
    """Return what a text says as JSON, or what it says in words for a truth value, else the text."""
    words = {"yes": True, "no": False, "true": True, "false": False, "none": None}
    stripped = text.strip().rstrip(",")
    if stripped.lower() in words:
        return words[stripped.lower()]
    try:
        return json.loads(stripped)
    except ValueError:
        return text


def _fits(schema: Schema, value: Any) -> bool:
    """Return whether a stated value satisfies the schema of a leaf; containers are filled entry by entry."""
    if "const" in schema or "enum" in schema:
        options = cast("Sequence[Any]", schema.get("enum", (schema.get("const"),)))
        return any(type(value) is type(option) and value == option for option in options)
    kind = _kind(schema)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "number"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        right = whole or (kind == "number" and isinstance(value, float) and math.isfinite(value))
        return right and _within_bounds(schema, value)
    return kind == "string" and isinstance(value, str) and _length_fits(schema, value)


def _within_bounds(schema: Schema, value: float) -> bool:
    return (
        value >= schema.get("minimum", -math.inf)
        and value <= schema.get("maximum", math.inf)
        and value > schema.get("exclusiveMinimum", -math.inf)
        and value < schema.get("exclusiveMaximum", math.inf)
        and ("multipleOf" not in schema or value % schema["multipleOf"] == 0)
    )


def _length_fits(schema: Schema, value: str) -> bool:
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not re.fullmatch(pattern, value):
        return False
    return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)


def _unsatisfiable(path: tuple[str, ...], why: str) -> ProviderError:
    place = "$" + "".join(f"[{name!r}]" for name in path)
    return ProviderError(f"the embedded model cannot satisfy the schema at {place}: {why}.", remedy=UNSATISFIABLE)
