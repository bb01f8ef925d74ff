"""Symbolic zeros: the tangent or cotangent of what does not count, without a value; and how cotangents add up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import AVal, BoolAVal, FloatAVal, IntAVal, OpaqueAVal, StrAVal, avalof, find_aval
from alkahest.errors import ConfigError, ZeroError


class Zero(trees.Leaf):
    """The zero of an abstract value, without a value: what a transform gives where nothing flows.

    >>> from alkahest.extend import StrAVal
    >>> Zero(StrAVal())
    Zero(StrAVal())
    >>> materialize(Zero(StrAVal()))
    ''
    """

    __slots__ = ("aval",)

    def __init__(self, aval: AVal, /) -> None:
        if not isinstance(aval, AVal):
            raise ZeroError(
                f"Zero was given {aval!r}, which is no abstract value.", remedy="Pass one, such as StrAVal()."
            )
        self.aval = aval

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Zero and self.aval == cast("Zero", other).aval

    def __hash__(self) -> int:
        return hash((Zero, self.aval))

    def __repr__(self) -> str:
        return f"Zero({self.aval!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Zero, (self.aval,)


def is_zero(value: Any) -> bool:
    """Tell whether `value` is a symbolic zero."""
    return value.__class__ is Zero


def zeroof(value: Any) -> Zero:
    """Return the symbolic zero for the type of `value`; a zero is its own.

    >>> zeroof(2.5)
    Zero(FloatAVal())
    """
    return value if value.__class__ is Zero else Zero(avalof(value))


zero = zeroof

_zeros: dict[type[AVal], Callable[[Any], Any]] = {
    StrAVal: lambda _: "",
    IntAVal: lambda _: 0,
    FloatAVal: lambda _: 0.0,
    BoolAVal: lambda _: False,
}


def register_zero(cls: type[AVal], make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let zeros of abstract values of class `cls` have a value, `make(aval)`; return `make`."""
    _zeros[cls] = make
    return make


def materialize(tree: Any) -> Any:
    """Return `tree` with a value in place of each symbolic zero; one that has none raises `ZeroError`.

    >>> from alkahest.extend import IntAVal
    >>> materialize(("a", Zero(IntAVal())))
    ('a', 0)
    """
    return trees.map_leaves(_materialize_leaf, tree)


def _materialize_leaf(leaf: Any) -> Any:
    if leaf.__class__ is not Zero:
        return leaf
    make = _zeros.get(type(leaf.aval))
    if make is None:
        raise ZeroError(
            f"{leaf.aval!r} has no zero.",
            remedy="Register one: alkahest.extend.register_zero(type, lambda aval: value).",
        )
    return make(leaf.aval)


class _Feedback:
    __slots__ = ("limit", "separator")

    def __init__(self, separator: str, limit: int | None) -> None:
        self.separator = separator
        self.limit = limit


_PLAIN = _Feedback("\n", None)
_feedback: ContextVar[_Feedback] = ContextVar("_feedback", default=_PLAIN)


@contextmanager
def feedback_format(*, separator: str = "\n", limit: int | None = None) -> Generator[None]:
    """Set how pieces of text feedback on one value are joined inside the `with` block.

    `limit` bounds the joined text, in characters: every piece keeps its beginning and end, and what was cut is said
    in its place. Without it, feedback is kept whole.

    >>> with feedback_format(separator=" | "):
    ...     accumulate_cotangents(["shorter", "kinder"])
    'shorter | kinder'
    """
    if limit is not None and limit < 100:
        raise ConfigError(f"a feedback limit of {limit} characters.", remedy="Allow at least 100 characters.")
    token = _feedback.set(_Feedback(separator, limit))
    try:
        yield
    finally:
        _feedback.reset(token)


def _join_feedback(texts: list[str]) -> str:
    how = _feedback.get()
    joined = how.separator.join(texts)
    if how.limit is None or len(joined) <= how.limit:
        return joined
    room = max((how.limit - len(how.separator) * (len(texts) - 1)) // len(texts), 40)
    return how.separator.join([_shortened(t, room) for t in texts])


def _shortened(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    mark = f" [… {len(text) - room} characters cut …] "
    keep = max(room - len(mark), 2)
    return text[: (keep + 1) // 2] + mark + text[len(text) - keep // 2 :]


_accumulators: dict[type, Callable[[list[Any]], Any]] = {
    str: _join_feedback,
    float: sum,
    int: sum,
}


_accumulators_of_avals: dict[type[AVal], Callable[[list[Any], Any], Any]] = {}


def register_cotangent_accumulator(cls: type, add: Callable[..., Any]) -> Callable[..., Any]:
    """Let cotangents of a type add up, and return `add`.

    Where `cls` is a class of abstract values it is `add(cotangents, aval)`, for values that are traced as such; where
    it is the exact type of the values, `add(cotangents)`. `cotangents` is a list of two or more.
    """
    if issubclass(cls, AVal):
        _accumulators_of_avals[cls] = add
    else:
        _accumulators[cls] = add
    return add


def accumulate_cotangents(cotangents: Sequence[Any], /) -> Any:
    r"""Return the sum of cotangents of one value: zeros are dropped, texts joined, numbers added.

    Structures add leaf by leaf.
    Texts are joined by a line break, or as `feedback_format` says. Types without an accumulator, and texts together
    with numbers, raise `ZeroError`.

    >>> accumulate_cotangents(["too long", "too dry"])
    'too long\ntoo dry'
    >>> accumulate_cotangents([{"a": 1.0}, {"a": 2.0}])
    {'a': 3.0}
    """
    given = [c for c in cotangents if c.__class__ is not Zero]
    if not given:
        return cotangents[0] if cotangents else Zero(OpaqueAVal())
    if len(given) == 1:
        return given[0]
    kinds = {c.__class__ for c in given}
    if kinds == {str}:
        return _join_feedback(given)
    if len(kinds) == 1 and trees.is_leaf(given[0]):
        return _add(kinds.pop(), given)
    if kinds <= {int, float}:
        return sum(given)
    return _add_structures(given)


def _add_structures(given: list[Any]) -> Any:
    _, treedef = trees.flatten(given[0])
    if treedef.is_leaf():
        names = ", ".join(sorted({type(c).__name__ for c in given}))
        raise ZeroError(
            f"cotangents of different types meet at one value: {names}.",
            remedy="Give all feedback on a value as text, or all as numbers.",
        )
    try:
        columns = [treedef.flatten_up_to(c) for c in given]
    except ValueError as error:
        raise ZeroError(
            f"cotangents of different structures meet at one value: {error}.",
            remedy="Give cotangents the structure of what they belong to.",
        ) from None
    return treedef.unflatten([accumulate_cotangents(list(column)) for column in zip(*columns, strict=True)])


def _add(cls: type, given: list[Any]) -> Any:
    add = _accumulators.get(cls)
    if add is not None:
        return add(given)
    aval = find_aval(given[0])
    by_aval = _accumulators_of_avals.get(type(aval)) if aval is not None else None
    if by_aval is not None:
        return by_aval(given, aval)
    if hasattr(cls, "__add__"):
        return functools.reduce(lambda a, b: a + b, given)
    raise ZeroError(
        f"cotangents of type {cls.__name__} cannot be added.",
        remedy="Register how: alkahest.extend.register_cotangent_accumulator(type, lambda values: …).",
    )
