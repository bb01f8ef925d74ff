"""Structures of arguments and results: lists, tuples, dicts, dataclasses, … carried by optree.

optree is imported at first use. A dataclass that nobody registered is registered on sight, field by field.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

from alkahest.errors import TreeError

PYTREE_NAMESPACE = "alkahest"
"""The optree namespace in which structures are registered; users register theirs under it."""

TreeDef = Any  # optree.PyTreeSpec, comparable and picklable

_lock = threading.Lock()
_plain: set[type] = {str, int, float, bool, bytes, complex}  # types known to be leaves
_leaves: set[type] = {str, int, float, bool}  # those of them that nobody can register as structures
_known: dict[int, TreeDef] = {}  # the structures of flat tuples by length, and of a leaf at -1: the most frequent ones
_SHORT = 8


class Leaf:
    """Base of classes whose instances are leaves of structures, dataclasses too."""

    __slots__ = ()


def register_leaf(cls: type) -> None:
    """Make instances of `cls` leaves, though it be a dataclass."""
    _plain.add(cls)


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """Return the leaves of `tree`, dict entries in order of their keys, and its structure; None holds no leaf."""
    cls = tree.__class__
    if cls in _leaves:
        known = _known.get(-1)
        return ([tree], known) if known is not None else _learn(tree, -1)
    if cls is not tuple or len(tree) > _SHORT:
        return _flatten(tree)
    for part in tree:
        if part.__class__ not in _leaves:
            return _flatten(tree)
    known = _known.get(len(tree))
    return (list(tree), known) if known is not None else _learn(tree, len(tree))


def _learn(tree: Any, key: int) -> tuple[list[Any], TreeDef]:
    found, treedef = _flatten(tree)
    _known[key] = treedef
    _leaves.add(treedef.__class__)
    return found, treedef


def _flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    import optree

    found, treedef = optree.tree_flatten(tree, namespace=PYTREE_NAMESPACE)
    for leaf in found:
        if leaf.__class__ not in _plain:
            return _flatten(tree) if _unknown_dataclasses(found) else (found, treedef)
    return found, treedef


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of `tree`."""
    return flatten(tree)[0]


def structure(tree: Any) -> TreeDef:
    """Return the structure of `tree`."""
    return flatten(tree)[1]


def _unknown_dataclasses(found: list[Any]) -> bool:
    """Register the classes of leaves that are dataclasses nobody registered; tell whether there were any."""
    again = False
    for leaf in found:
        cls: type[Any] = leaf.__class__
        if cls not in _plain:
            if dataclasses.is_dataclass(cls) and not issubclass(cls, Leaf):
                _register_dataclass(cls)
                again = True
            else:
                _plain.add(cls)
                if issubclass(cls, Leaf):
                    _leaves.add(cls)
    return again


def unflatten(leaves: Sequence[Any], treedef: TreeDef) -> Any:
    """Return the structure `treedef` filled with `leaves`."""
    try:
        given, wanted = len(leaves), treedef.num_leaves
    except (AttributeError, TypeError):
        raise TreeError(
            f"a {type(leaves).__name__} and a {type(treedef).__name__} are no leaves and tree definition.",
            remedy="Pass the list of leaves first, then the tree definition that flatten_exprs returned.",
        ) from None
    if given != wanted:
        raise TreeError(
            f"{given} leaves were given for a structure of {wanted}.",
            remedy="Pass as many leaves as flatten_exprs returned.",
        )
    return treedef.unflatten(leaves)


def paths(tree: Any) -> list[tuple[Any, ...]]:
    """Return the path to each leaf: indices, keys and field names."""
    import optree

    flatten(tree)
    return optree.tree_paths(tree, namespace=PYTREE_NAMESPACE)


def map_leaves(fn: Callable[[Any], Any], tree: Any) -> Any:
    """Return `tree` with `fn` applied to each leaf."""
    leaves, treedef = flatten(tree)
    return treedef.unflatten([fn(leaf) for leaf in leaves])


def is_leaf(value: Any) -> bool:
    """Tell whether `value` is a leaf rather than a structure."""
    _, treedef = flatten(value)
    return treedef.is_leaf()


def _register_dataclass(cls: type[Any]) -> None:
    import optree

    with _lock:
        if not _registered(cls):
            names = [f.name for f in dataclasses.fields(cls)]
            optree.register_pytree_node(  # pyright: ignore[reportUnknownMemberType]
                cls,
                lambda obj: (tuple([getattr(obj, n) for n in names]), None, tuple(names)),
                lambda _, children: _rebuild(cls, names, children),
                namespace=PYTREE_NAMESPACE,
            )


def _registered(cls: type) -> bool:
    import optree

    return optree.register_pytree_node.get(cls, namespace=PYTREE_NAMESPACE) is not None  # pyright: ignore[reportUnknownMemberType]


def _rebuild(cls: Any, names: list[str], children: Any) -> Any:
    """Make an instance without `__init__`, which may check or convert what tracing puts in the fields."""
    made = object.__new__(cls)
    for name, child in zip(names, children, strict=True):
        object.__setattr__(made, name, child)
    return made
