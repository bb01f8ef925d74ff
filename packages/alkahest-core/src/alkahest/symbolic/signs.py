"""What is known of the sign of an atom, from one look at its node."""

from __future__ import annotations

from alkahest.symbolic.forms import Workspace

_NONNEGATIVE = frozenset({"exp", "cosh", "abs", "sqrt", "acosh", "acos", "hypot", "erfc"})
_TRUTH = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


def is_nonnegative(space: Workspace, ident: int) -> bool:
    """Tell whether a node is known to be nowhere negative."""
    node = space.nodes[ident]
    head = node[0]
    if head == "symbol":
        return node[2] in ("positive", "nonnegative")
    if head in ("integer", "rational", "float"):
        return node[1] >= 0
    return head in _NONNEGATIVE or head in _TRUTH or head == "const"


def is_truth(space: Workspace, ident: int) -> bool:
    """Tell whether a node is a condition: 0 or 1."""
    return space.nodes[ident][0] in _TRUTH
