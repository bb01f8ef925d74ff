"""Checks of what plugins are and say, each with the reason in words."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from alkahest.plugins import hookspecs
from alkahest.plugins.infos import BackendInfo, Cost, EmitterInfo, ExecutorInfo

if TYPE_CHECKING:
    import pluggy

API = 1
HOOKS = tuple(sorted(name for name in vars(hookspecs) if name.startswith("alkahest_")))

Info = TypeVar("Info", BackendInfo, EmitterInfo, ExecutorInfo)


def about(error: BaseException) -> str:
    """Return an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def api_fault(plugin: Any) -> str:
    """Return why the plugin's `ALKAHEST_API` is not this core's, or ""."""
    api = getattr(plugin, "ALKAHEST_API", None)
    if api == API:
        return ""
    stated = "states no ALKAHEST_API" if api is None else f"is written for ALKAHEST_API {api!r}"
    return f"{stated}; this core speaks {API}"


def hook_fault(plugin: Any, manager: pluggy.PluginManager) -> str:
    """Return which hook of a registered plugin nobody would ever call, or ""."""
    for caller in manager.get_hookcallers(plugin) or ():
        needed = [i for i in caller.get_hookimpls() if i.plugin is plugin and not i.optionalhook]
        if needed and not caller.has_spec():
            near = difflib.get_close_matches(caller.name, HOOKS, n=1)
            return f"{caller.name} is no hook" + (f"; did you mean {near[0]}?" if near else "")
    for name in HOOKS:
        found = getattr(plugin, name, None)
        if callable(found) and not hasattr(found, f"{hookspecs.PROJECT}_impl"):
            return f"{name} is not marked with hookimpl"
    return ""


def unchecked(answer: Any) -> Any:
    """Return the answer as it is."""
    return answer


def checked_infos(kind: type[Info]) -> Callable[[Any], list[Info]]:
    """Return a check of what one plugin's describing hook gave (pluggy puts each answer in a list)."""

    def check(answers: Any) -> list[Info]:
        infos: list[Info] = []
        for answer in answers:
            if not isinstance(answer, list | tuple):
                raise TypeError(f"gave {_kind(answer)}, not a list of {kind.__name__}")
            for info in cast("Sequence[Any]", answer):
                if not isinstance(info, kind):
                    raise TypeError(f"gave a list with {_kind(info)} in it, not {kind.__name__}")
                _check_fields(info)
                infos.append(info)
        return infos

    return check


def checked_lists(answers: Any) -> list[Any]:
    """Return what is in the lists that one plugin's hook gave (pluggy puts each answer in a list)."""
    found: list[Any] = []
    for answer in answers:
        if not isinstance(answer, list | tuple):
            raise TypeError(f"gave {_kind(answer)}, not a list")
        found += cast("Sequence[Any]", answer)
    return found


def _check_fields(info: BackendInfo | EmitterInfo | ExecutorInfo) -> None:
    for field in fields(info):
        value = getattr(info, field.name)
        if field.name == "cost" and not isinstance(value, Cost):
            raise TypeError(f"{info.name!r} has {_kind(value)} as cost, not a Cost")
        if field.name in ("targets", "dtypes") and not isinstance(value, set | frozenset):
            raise TypeError(f"{info.name!r} has {_kind(value)} as {field.name}, not a set of names")
        if field.name == "models" and not _is_texts(value):
            raise TypeError(f"{info.name!r} has {_kind(value)} as models, not a tuple of patterns")
    module, _, attribute = str(info.factory).partition(":")
    if not info.name or not module or not attribute:
        raise ValueError(f"{info.name!r} needs a name, and a factory of the form 'package.module:attribute'")


def checked_order(usable: tuple[Any, ...]) -> Callable[[Any], tuple[Any, ...] | None]:
    """Return a check that an answer is `usable` in some order, or None."""

    def check(order: Any) -> tuple[Any, ...] | None:
        if order is not None and Counter(order) != Counter(usable):
            raise ValueError("gave something else than the usable candidates in another order")
        return None if order is None else tuple(order)

    return check


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in cast("tuple[Any, ...]", value))


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
