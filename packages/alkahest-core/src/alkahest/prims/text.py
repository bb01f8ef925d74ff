"""Texts: format, concat, match."""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from typing import Any

from alkahest.base.avals import BOOL, STR, StrAVal, find_aval
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero
from alkahest.errors import OperandTypeError
from alkahest.ir.boxes import register_add, register_eq
from alkahest.ir.columns import Columns
from alkahest.prims.cotangents import materialized, whole_cotangent
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import keeps_inputs, rules, staged

format_p = Prim("format")
concat_p = Prim("concat")
match_p = Prim("match")


def format(template: str, /, *args: Any, **kwargs: Any) -> Any:
    """Return `template.format(*args, **kwargs)`; values may be traced, the template and the names are fixed.

    A template that does not fit the values raises `OperandTypeError` when it is traced.

    >>> import alkahest as af
    >>> af.format("{}, {name}!", "Hello", name="Ada")
    'Hello, Ada!'
    >>> af.trace(lambda x: af.format("<{}>", x))("a").call("b")
    '<b>'
    """
    if not isinstance(template, str):
        raise OperandTypeError(
            f"the template of format is {_kind(template)}.",
            remedy="Pass a str; use + or concat to join traced texts.",
        )
    return format_p.bind((args, tuple(kwargs.values())), template=template, keys=tuple(kwargs))


def _format_impl(in_tree: Any, /, *, template: str, keys: tuple[str, ...]) -> str:
    args, values = in_tree
    return template.format(*args, **dict(zip(keys, values, strict=True)))


def _format_abstract(in_tree: Any, /, *, template: str, keys: tuple[str, ...]) -> StrAVal:
    args, values = in_tree
    problem = _misfit(template, len(args), keys)
    if problem:
        raise OperandTypeError(
            f"the template {template!r} does not fit {len(args)} positional and {len(values)} named values: {problem}.",
            remedy="Give each field a value, and write {{ and }} for braces.",
        )
    return STR


@lru_cache(maxsize=1024)
def _misfit(template: str, n: int, keys: tuple[str, ...]) -> str:
    """Return why a template does not fit so many values and these names; nothing where it does."""
    try:
        template.format(*[_Any()] * n, **dict.fromkeys(keys, _Any()))
    except (IndexError, KeyError, ValueError) as error:
        return str(error)
    return ""


class _Any:
    """Stands for a value while a template is checked: it takes any format and has every attribute and entry."""

    def __format__(self, spec: str) -> str:
        return ""

    def __getattr__(self, name: str) -> _Any:
        return self

    def __getitem__(self, key: Any) -> _Any:
        return self


def _format_push(in_tree: Any, /, *, template: str, keys: tuple[str, ...]) -> Any:
    primals, tangents = in_tree
    params: dict[str, Any] = {"template": template, "keys": keys}
    return format_p.bind(primals, **params), format_p.bind(materialized(tangents), **params)


def _format_batch(in_tree: Any, /, *, template: str, keys: tuple[str, ...]) -> Any:
    batch = Columns(in_tree)
    if not batch.any:
        return _format_impl(batch.one(), template=template, keys=keys), False
    lists = [c if flag else repeat(c) for c, flag in zip(batch.columns, batch.flags, strict=True)]
    n = len(lists) - len(keys)
    write = template.format
    if not keys:
        return batch.pack([write(*row) for row in zip(*lists, strict=False)]), True
    rows = zip(*lists, strict=False)
    return batch.pack([write(*row[:n], **dict(zip(keys, row[n:], strict=True))) for row in rows]), True


rules(
    format_p,
    impl=_format_impl,
    abstract=_format_abstract,
    push=staged(_format_push),
    pull=whole_cotangent(format_p),
    batch=_format_batch,
)


def concat(*args: Any) -> Any:
    """Return the texts one after the other; `a + b` of traced texts is the same.

    Anything but texts raises `OperandTypeError`.

    >>> concat("a", "b", "c")
    'abc'
    """
    for arg in args:
        _check_text(arg, "concat")
    return concat_p.bind(args)


def _concat_impl(in_tree: Any, /) -> str:
    return "".join(in_tree)


def _concat_batch(in_tree: Any, /) -> Any:
    batch = Columns(in_tree)
    if not batch.any:
        return "".join(batch.one()), False
    lists = [c if flag else repeat(c) for c, flag in zip(batch.columns, batch.flags, strict=True)]
    return batch.pack(["".join(row) for row in zip(*lists, strict=False)]), True


def _concat_push(in_tree: Any, /) -> Any:
    primals, tangents = in_tree
    return concat_p.bind(primals), concat_p.bind(materialized(tangents))


rules(
    concat_p,
    impl=_concat_impl,
    abstract=lambda in_tree: STR,
    push=staged(_concat_push),
    pull=whole_cotangent(concat_p),
    batch=_concat_batch,
)


def match(a: Any, b: Any, /) -> Any:
    """Tell whether two texts are equal; `a == b` of traced texts is the same.

    Anything but texts raises `OperandTypeError`.

    >>> match("yes", "yes")
    True
    """
    _check_text(a, "match")
    _check_text(b, "match")
    return match_p.bind((a, b))


def _match_impl(in_tree: Any, /) -> bool:
    a, b = in_tree
    return a == b


def _match_batch(in_tree: Any, /) -> Any:
    batch = Columns(in_tree)
    if not batch.any:
        return _match_impl(batch.one()), False
    a, b = [c if flag else repeat(c) for c, flag in zip(batch.columns, batch.flags, strict=True)]
    return batch.pack([x == y for x, y in zip(a, b, strict=False)]), True


def _match_push(in_tree: Any, /) -> Any:
    return match_p.bind(in_tree[0]), Zero(BOOL)


rules(
    match_p,
    impl=_match_impl,
    abstract=lambda in_tree: BOOL,
    push=staged(_match_push),
    pull=(keeps_inputs(match_p), staged(lambda in_tree: (Zero(STR), Zero(STR)))),
    batch=_match_batch,
)
cheap_primitives.update({format_p, concat_p, match_p})


def _check_text(value: Any, name: str) -> None:
    if value.__class__ is not str and not isinstance(find_aval(value), StrAVal):
        raise OperandTypeError(
            f"{name} was given {_kind(value)} where a text is needed.",
            remedy='Turn it into one with alkahest.format("{}", value).',
        )


def _kind(value: Any) -> str:
    aval = find_aval(value)
    return f"a value of type {aval.label}" if aval is not None else f"a {type(value).__name__}"


register_add(StrAVal, concat)
register_eq(StrAVal, match)
