"""Abstract values: what a variable of a program stands for, known while tracing, without the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alkahest.base import trees
from alkahest.errors import OperandTypeError


class AVal(trees.Leaf):
    """Base of abstract values. Subclass it, with any fields, for a type of your own.

    Subclasses define `__eq__` and `__hash__` (a frozen dataclass does); `accepts` tells which values a variable of this
    kind may hold, and accepts everything unless it is overridden.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class ArrayAVal(AVal):
    ...     shape: tuple[int, ...]
    ...     dtype: str
    >>> ArrayAVal((3,), "f8") == ArrayAVal((3,), "f8")
    True
    """

    __slots__ = ()

    def accepts(self, value: Any) -> bool:
        """Tell whether `value` may stand for this abstract value."""
        return True

    @property
    def label(self) -> str:
        """The short name in printed programs."""
        return repr(self)


class _PlainAVal(AVal):
    """An abstract value without fields: equal and hash-equal by class."""

    __slots__ = ()
    python: type = object

    def __eq__(self, other: object) -> bool:
        return self.__class__ is other.__class__

    def __hash__(self) -> int:
        return hash(self.__class__)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self.python)

    @property
    def label(self) -> str:
        """The short name in printed programs."""
        return self.python.__name__


class StrAVal(_PlainAVal):
    """A text."""

    __slots__ = ()
    python = str


class IntAVal(_PlainAVal):
    """An integer; truth values are none."""

    __slots__ = ()
    python = int

    def accepts(self, value: Any) -> bool:
        """Tell whether `value` is an integer and no truth value."""
        return isinstance(value, int) and value.__class__ is not bool


class FloatAVal(_PlainAVal):
    """A floating-point number; an integer may stand for one."""

    __slots__ = ()
    python = float

    def accepts(self, value: Any) -> bool:
        """Tell whether `value` is a number and no truth value."""
        return isinstance(value, float | int) and value.__class__ is not bool


class BoolAVal(_PlainAVal):
    """A truth value."""

    __slots__ = ()
    python = bool


class OpaqueAVal(_PlainAVal):
    """A value that only the primitives which make and take it look into, such as what a forward pass keeps."""

    __slots__ = ()

    @property
    def label(self) -> str:
        """The short name in printed programs."""
        return "opaque"


class DeepAVal(AVal):
    """What abstract rules see of a variable inside `depth` batches: containers of values, in containers."""

    __slots__ = ("aval", "depth")

    def __init__(self, aval: AVal, depth: int) -> None:
        self.aval = aval
        self.depth = depth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeepAVal) and (self.aval, self.depth) == (other.aval, other.depth)

    def __hash__(self) -> int:
        return hash((DeepAVal, self.aval, self.depth))

    def __repr__(self) -> str:
        return f"DeepAVal({self.aval!r}, {self.depth})"

    @property
    def label(self) -> str:
        """The short name in printed programs."""
        return "[" * self.depth + self.aval.label + "]" * self.depth


def deepened(aval: AVal, depth: int) -> AVal:
    """Return the abstract value of containers, `depth` levels of them, of values of `aval`."""
    if isinstance(aval, DeepAVal):
        aval, depth = aval.aval, aval.depth + depth
    return DeepAVal(aval, depth) if depth > 0 else aval


STR, INT, FLOAT, BOOL, OPAQUE = StrAVal(), IntAVal(), FloatAVal(), BoolAVal(), OpaqueAVal()

_exact: dict[type, Callable[[Any], AVal]] = {
    str: lambda _: STR,
    int: lambda _: INT,
    float: lambda _: FLOAT,
    bool: lambda _: BOOL,
}


def register_trace_type(cls: type, aval: Callable[[Any], AVal]) -> Callable[[Any], AVal]:
    """Let values of exactly the type `cls` be inputs of programs, traced as `aval(value)`; return `aval`.

    >>> from fractions import Fraction
    >>> class FractionAVal(AVal):
    ...     __slots__ = ()
    >>> rule = register_trace_type(Fraction, lambda value: FractionAVal())
    >>> isinstance(avalof(Fraction(1, 2)), FractionAVal)
    True
    """
    trees.register_leaf(cls)
    _exact[cls] = aval
    return aval


def find_aval(value: Any) -> AVal | None:
    """Return the abstract value of `value`, or None where its type is not registered."""
    found = _exact.get(value.__class__)
    if found is not None:
        return found(value)
    if isinstance(value, AVal):
        return value
    aval = getattr(value, "aval", None)  # variables, traced values and symbolic zeros have one
    if isinstance(aval, AVal):
        return aval
    for base in value.__class__.__mro__[1:]:
        if base in _exact:
            return _exact[base](value)
    return None


def avalof(value: Any) -> AVal:
    """Return the abstract value of `value`; an unregistered type raises `OperandTypeError`.

    >>> avalof("text"), avalof(True)
    (StrAVal(), BoolAVal())
    """
    found = find_aval(value)
    if found is None:
        raise OperandTypeError(
            f"a {type(value).__name__} is no value of programs.",
            remedy="Pass str, int, float or bool, in structures as you like, or register the type with "
            "alkahest.extend.register_trace_type.",
        )
    return found
