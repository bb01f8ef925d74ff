"""Batches as columns: what batch rules are given, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

from alkahest.base import trees
from alkahest.errors import BatchError


class Columns:
    """The input of a batch rule `(size, in_batched, in_values)`, taken apart.

    `columns` has one entry per input leaf: a list of `size` values where the leaf is batched (`flags`), else the one
    value. `pack` gives results in the container in which the batch came.

    >>> batch = Columns((2, (True, False), (("a", "b"), "!")))
    >>> list(batch.rows())
    [('a', '!'), ('b', '!')]
    >>> batch.pack([1, 2])
    (1, 2)
    """

    __slots__ = ("_container", "columns", "flags", "size", "treedef")

    def __init__(self, in_tree: Any, /) -> None:
        self.size, in_batched, in_values = in_tree
        self.flags, self.treedef = trees.flatten(in_batched)
        self._container: Any = None
        self.columns = self.treedef.flatten_up_to(in_values)
        for k, (flag, value) in enumerate(zip(self.flags, self.columns, strict=True)):
            if flag and type(value) is not list:
                self.columns[k] = self._open(value)

    def _open(self, value: Any) -> list[Any]:
        entries, container = one_level(value)
        if len(entries) != self.size:
            raise BatchError(
                f"a batch has {len(entries)} items where {self.size} are expected.",
                remedy="Pass as many items in each batched input.",
            )
        self._container = container
        return entries

    @property
    def any(self) -> bool:
        """Whether any input is batched."""
        return True in self.flags

    def rows(self) -> Iterator[Any]:
        """Return the inputs of each item, in the structure of the primitive's inputs."""
        unflatten = self.treedef.unflatten
        lists = [c if flag else repeat(c, self.size) for c, flag in zip(self.columns, self.flags, strict=True)]
        return (unflatten(row) for row in zip(*lists, strict=True)) if lists else repeat(unflatten([]), self.size)

    def one(self) -> Any:
        """Return the inputs where nothing is batched."""
        return self.treedef.unflatten(self.columns)

    def pack(self, values: list[Any]) -> Any:
        """Return `values`, one per item, in the container of the batch."""
        return values if self._container is None else self._container.unflatten(values)


def one_level(value: Any) -> tuple[list[Any], Any]:
    """Return the entries of a container, and its structure of one level."""
    import optree

    entries, container = optree.tree_flatten(value, is_leaf=lambda x: x is not value, namespace=trees.PYTREE_NAMESPACE)
    if value is None or container.is_leaf():
        raise BatchError(
            f"a {type(value).__name__} is no batch.",
            remedy="Pass a list, a tuple or a dict with one entry per item, or leave the input out of in_axes.",
        )
    return entries, container


def batch_spec(in_values: Any, in_batched: Any, /) -> Any:
    """Return the structure of the container in which the batched leaves come, or None where none is batched.

    Containers of different types or lengths raise `BatchError`.

    >>> batch_spec((["a", "b"], "c"), (True, False)).num_leaves
    2
    """
    flags, treedef = trees.flatten(in_batched)
    found: Any = None
    for flag, value in zip(flags, treedef.flatten_up_to(in_values), strict=True):
        if not flag:
            continue
        entries, container = one_level(value)
        if found is None:
            found = container
        elif container != found:
            if len(entries) != found.num_leaves:
                raise BatchError(
                    f"batched inputs have {found.num_leaves} and {len(entries)} items.",
                    remedy="Pass as many items in each batched input, or leave one out of in_axes.",
                )
            raise BatchError(
                "batched inputs come in different containers.",
                remedy="Pass all batches in one kind of container: lists, tuples, or dicts of the same keys.",
            )
    return found


def batch_index(in_values: Any, in_batched: Any, index: int, /) -> Any:
    """Return the inputs of item `index`: entries of the batched leaves, the others as they are.

    >>> batch_index((["a", "b"], "c"), (True, False), 1)
    ('b', 'c')
    """
    flags, treedef = trees.flatten(in_batched)
    values = treedef.flatten_up_to(in_values)
    return treedef.unflatten([one_level(v)[0][index] if f else v for f, v in zip(flags, values, strict=True)])


def batch_transpose(outputs: Sequence[Any], container: Any = None, /) -> Any:
    """Return one structure of containers for a sequence of structures; a list unless `container` says otherwise.

    >>> batch_transpose([{"a": 1}, {"a": 2}])
    {'a': [1, 2]}
    """
    _, treedef = trees.flatten(outputs[0])
    columns = zip(*[treedef.flatten_up_to(out) for out in outputs], strict=True)
    packed = [list(c) if container is None else container.unflatten(list(c)) for c in columns]
    return treedef.unflatten(packed)


def itemwise(columns: Columns, apply: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return what a batch rule returns, from applying a function to the inputs of each item."""
    if not columns.any:
        out = apply(columns.one())
        return out, trees.map_leaves(lambda _: False, out)
    return transposed(columns, [apply(row) for row in columns.rows()])


def transposed(columns: Columns, outputs: list[Any]) -> tuple[Any, Any]:
    """Return the outputs of all items as one batched output, with its flags."""
    _, treedef = trees.flatten(outputs[0])
    lists = zip(*[treedef.flatten_up_to(out) for out in outputs], strict=True)
    packed = [columns.pack(list(c)) for c in lists]
    return treedef.unflatten(packed), treedef.unflatten([True] * treedef.num_leaves)
