"""The leaves of schemas: which texts, numbers and choices a language model may answer with."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import BOOL, FLOAT, INT, STR, AVal
from alkahest.errors import SchemaError

REFUSED = object()
"""What `SchemaNode.read` returns for a value that does not fit."""

_AVALS: dict[type, AVal] = {str: STR, int: INT, float: FLOAT, bool: BOOL}
_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_LARGEST_BITS = 1023  # readers of JSON that hold numbers as floats take integers up to here
_SHOWN_CHARACTERS = 60
_SHOWN_VALUES = 12


class SchemaNode(trees.Leaf, ABC):
    """Base of the leaves of schemas; equal and hash-equal by value, immutable."""

    __slots__ = ()

    @property
    @abstractmethod
    def python(self) -> type:
        """The type of the values: str, int, float or bool."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What an answer must be, in words."""

    @property
    def aval(self) -> AVal:
        """The abstract value of the values."""
        return _AVALS[self.python]

    def json_schema(self) -> dict[str, Any]:
        """Return a new JSON schema for one value."""
        return {"type": _JSON_TYPES[self.python]}

    @abstractmethod
    def read(self, value: Any) -> Any:
        """Return what JSON's `value` stands for, or `REFUSED`."""

    def __repr__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self)]  # pyright: ignore[reportArgumentType]
        return (
            f"{type(self).__name__}({', '.join([f'{name}={value!r}' for name, value in given if value is not None])})"
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Str(SchemaNode):
    r"""A text of `min` to `max` characters (code points), in which `pattern` is found.

    The pattern is Python's `re` and is searched for, as in JSON schema: write `^…$` for the whole text. Keep to what
    Python and ECMAScript share, since the provider reads it too. Some providers heed no length; answers are checked
    against it here. A lone surrogate is no text. Wrong or contradictory bounds raise `SchemaError`.

    >>> Str(min=1, pattern=r"^\d+$")
    Str(min=1, pattern='^\\d+$')
    """

    min: int | None = None
    max: int | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None and _whole(f"{name} of Str", bound) < 0:
                raise SchemaError(f"{name} of Str is {bound}.", remedy="A length is at least 0.")
        _check_order(self, self.min, self.max)
        if self.pattern is not None:
            _check_pattern(text_of("pattern of Str", self.pattern))

    @property
    def python(self) -> type[str]:
        """The type str."""
        return str

    @property
    def expected(self) -> str:
        """What an answer must be, in words."""
        found = "" if self.pattern is None else f" in which {self.pattern!r} is found"
        return f"text{_span(self.min, self.max, ' characters')}{found}"

    def json_schema(self) -> dict[str, Any]:
        """Return a new JSON schema for one text."""
        named = {"minLength": self.min, "maxLength": self.max, "pattern": self.pattern}
        return {"type": "string", **{name: value for name, value in named.items() if value is not None}}

    def read(self, value: Any) -> Any:
        """Return the text, or `REFUSED`."""
        fits = (
            value.__class__ is str
            and _encodable(value)
            and _within(len(value), self.min, self.max)
            and (self.pattern is None or re.search(self.pattern, value) is not None)
        )
        return value if fits else REFUSED


@dataclass(frozen=True, kw_only=True, repr=False)
class Int(SchemaNode):
    """An integer from `min` to `max`, both included; true, false and 1.0 are none.

    Bounds that are no integers or contradict each other raise `SchemaError`.

    >>> Int(min=0, max=10)
    Int(min=0, max=10)
    """

    min: int | None = None
    max: int | None = None

    def __post_init__(self) -> None:
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None:
                _whole(f"{name} of Int", bound)
        _check_order(self, self.min, self.max)

    @property
    def python(self) -> type[int]:
        """The type int."""
        return int

    @property
    def expected(self) -> str:
        """What an answer must be, in words."""
        return f"an integer{_span(self.min, self.max)}"

    def json_schema(self) -> dict[str, Any]:
        """Return a new JSON schema for one integer."""
        return {"type": "integer", **_json_bounds(self.min, self.max)}

    def read(self, value: Any) -> Any:
        """Return the integer, or `REFUSED`."""
        return value if value.__class__ is int and _within(value, self.min, self.max) else REFUSED


@dataclass(frozen=True, kw_only=True, repr=False)
class Float(SchemaNode):
    """A finite number from `min` to `max`, both included; an integer in the answer becomes a float.

    Bounds that are no finite numbers or contradict each other raise `SchemaError`.

    >>> Float(min=0, max=1)
    Float(min=0.0, max=1.0)
    """

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        for name in ("min", "max"):
            bound: Any = getattr(self, name)
            if bound is not None:
                object.__setattr__(self, name, _finite(f"{name} of Float", bound))
        _check_order(self, self.min, self.max)

    @property
    def python(self) -> type[float]:
        """The type float."""
        return float

    @property
    def expected(self) -> str:
        """What an answer must be, in words."""
        return f"a number{_span(self.min, self.max)}"

    def json_schema(self) -> dict[str, Any]:
        """Return a new JSON schema for one number."""
        return {"type": "number", **_json_bounds(self.min, self.max)}

    def read(self, value: Any) -> Any:
        """Return the float, or `REFUSED`."""
        number = _as_float(value)
        return number if number is not None and _within(number, self.min, self.max) else REFUSED


@dataclass(frozen=True, repr=False)
class Bool(SchemaNode):
    """A truth value.

    >>> Bool()
    Bool()
    """

    @property
    def python(self) -> type[bool]:
        """The type bool."""
        return bool

    @property
    def expected(self) -> str:
        """What an answer must be, in words."""
        return "true or false"

    def read(self, value: Any) -> Any:
        """Return the truth value, or `REFUSED`."""
        return value if value.__class__ is bool else REFUSED


@dataclass(frozen=True, init=False, repr=False)
class Enum(SchemaNode):
    """One of `values`: at least one, all str, all int, all float or all bool, no two equal.

    Anything else raises `SchemaError`.

    >>> Enum("yes", "no")
    Enum('yes', 'no')
    >>> Enum(1, True)
    Traceback (most recent call last):
    alkahest.errors.SchemaError: the values of Enum are of the types bool and int. Give values of one type. ...
    """

    values: tuple[Any, ...]
    kind: type  # Enum(1) is not Enum(True), though 1 == True

    def __init__(self, *values: str | float) -> None:
        if not values:
            raise SchemaError("Enum was given no value.", remedy="Give at least one, such as Enum('yes', 'no').")
        for value in values:
            _check_scalar(value)
        names = sorted({type(value).__name__ for value in values})
        if len(names) > 1:
            raise SchemaError(
                f"the values of Enum are of the types {' and '.join(names)}.", remedy="Give values of one type."
            )
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise SchemaError(f"Enum was given {twice!r} more than once.", remedy="Give each value once.")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "kind", type(values[0]))

    @property
    def python(self) -> type:
        """The type of the values."""
        return self.kind

    @property
    def expected(self) -> str:
        """What an answer must be, in words."""
        listed = ", ".join([shown(value) for value in self.values[:_SHOWN_VALUES]])
        return f"one of {listed}" + (f", … ({len(self.values)} values)" if len(self.values) > _SHOWN_VALUES else "")

    def json_schema(self) -> dict[str, Any]:
        """Return a new JSON schema for one of the values."""
        return {"type": _JSON_TYPES[self.kind], "enum": list(self.values)}

    def read(self, value: Any) -> Any:
        """Return the value, or `REFUSED`."""
        given = _as_float(value) if self.kind is float else value
        if given.__class__ is self.kind and given in self.values:
            return given
        return REFUSED

    def __repr__(self) -> str:
        return f"Enum({', '.join([repr(value) for value in self.values])})"


def shown(value: Any) -> str:
    """Return what JSON gave, short enough for a message."""
    if value.__class__ is str:
        kind = "text" if _encodable(value) else "text with a lone surrogate"
        if len(value) > _SHOWN_CHARACTERS:
            return f"{kind} of {len(value)} characters that begins {value[:_SHOWN_CHARACTERS]!r}"
        return f"{value!r}" if kind == "text" else f"{kind}, {value!r}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value.__class__ is float and not math.isfinite(value):
        return "a number too large for a float"
    words = {"True": "true", "False": "false", "None": "null"}
    text = _short_repr(value)
    return words.get(text, text)


def described(value: Any) -> str:
    """Return the type and the text of a Python value, short enough for a message."""
    return f"a {type(value).__name__}, {_short_repr(value)}"


def _short_repr(value: Any) -> str:
    if value.__class__ is int and value.bit_length() > _LARGEST_BITS:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _whole(what: str, value: Any) -> int:
    """Return `value`, an integer of a size that JSON can carry."""
    if value.__class__ is not int:
        raise SchemaError(f"{what} is {described(value)}.", remedy="Give an int.")
    if value.bit_length() > _LARGEST_BITS:
        raise SchemaError(
            f"{what} has {value.bit_length()} bits.", remedy=f"Give an int of up to {_LARGEST_BITS} bits."
        )
    return value


def _finite(what: str, value: Any) -> float:
    if value.__class__ is int:
        return float(_whole(what, value))
    if value.__class__ is not float:
        raise SchemaError(f"{what} is {described(value)}.", remedy="Give a float or an int.")
    if not math.isfinite(value):
        raise SchemaError(f"{what} is {value!r}.", remedy="Give a finite number; leave a bound out to have none.")
    return value


def text_of(what: str, value: Any) -> str:
    """Return `value`, a text that can be sent."""
    if not isinstance(value, str):
        raise SchemaError(f"{what} is {described(value)}.", remedy="Give a str.")
    if not _encodable(value):
        raise SchemaError(f"{what} is {shown(value)}.", remedy="Give text that UTF-8 can encode.")
    return value


def _check_scalar(value: Any) -> None:
    if value.__class__ is str:
        text_of("a value of Enum", value)
    elif value.__class__ is int:
        _whole("a value of Enum", value)
    elif value.__class__ is float:
        _finite("a value of Enum", value)
    elif value.__class__ is not bool:
        raise SchemaError(
            f"Enum was given {described(value)}.",
            remedy="Give str, int, float or bool values one by one: Enum('yes', 'no'), or Enum(*values) for a list.",
        )


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SchemaError(
            f"the pattern {pattern!r} of Str is no regular expression: {error}.",
            remedy="Write it in the syntax of Python's re.",
        ) from None


def _check_order(node: Str | Int | Float, low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise SchemaError(f"{node!r} has no value: min is above max.", remedy="Give a min of at most max.")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_float(value: Any) -> float | None:
    """Return a finite number as a float; anything else, a truth value too, as None."""
    if value.__class__ is int:
        try:
            return float(value)
        except OverflowError:
            return None
    return value if value.__class__ is float and math.isfinite(value) else None


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _json_bounds(low: float | None, high: float | None) -> dict[str, float]:
    return {name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None}


def _span(low: float | None, high: float | None, unit: str = "") -> str:
    if low is None:
        return "" if high is None else f" of at most {high!r}{unit}"
    return f" of at least {low!r}{unit}" if high is None else f" of {low!r} to {high!r}{unit}"
