"""Values as keys: equal where no primitive could tell them apart."""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.ir.boxes import Traced

Key = tuple[Any, ...]


def leaf_key(leaf: Any) -> Any:
    """Return what stands for `leaf` in a key: 1, 1.0 and True differ, as do 0.0 and -0.0; a traced value is itself."""
    cls = leaf.__class__
    if cls is str:
        return leaf
    if cls is float:
        return float, leaf.hex()
    if cls is Traced:  # comparing boxes would record an equation
        return Traced, leaf.var
    return cls, leaf


def tree_key(tree: Any) -> Key:
    """Return what stands for a structure in a key; hashing it raises `TypeError` where a leaf cannot be hashed."""
    leaves, treedef = trees.flatten(tree)
    return treedef, *[leaf_key(leaf) for leaf in leaves]
