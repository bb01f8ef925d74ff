"""Conditions under which a cotangent counts: derivatives of choices select, they do not multiply by 0 and 1.

Where a choice takes its other branch, a derivative may be nan or infinite, and 0 times that is nan. So reverse
accumulation carries beside each cotangent the branches taken on the way to it, and writes the choice around the
finished product. Branches form a tree of cells; a cell is a number, 0 the root.
"""

from __future__ import annotations

import heapq

from alkahest.expr.expression import Expr
from alkahest.prims.comparison import where

ROOT = 0
Guarded = dict[int, Expr]  # cell -> cotangent that counts where all branches down to the cell are taken


class Branches:
    """The tree of branches met so far; the same branch below the same cell is the same cell."""

    def __init__(self) -> None:
        self._cells: list[tuple[int, Expr | None, bool, int]] = [
            (ROOT, None, True, 0)
        ]  # parent, condition, taken, depth
        self._index: dict[tuple[int, int, bool], int] = {}

    def below(self, cell: int, condition: Expr, taken: bool) -> int:
        """Return the cell reached from `cell` where `condition` holds, or where it does not."""
        key = (cell, condition.id, taken)
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self._cells)
            self._cells.append((cell, condition, taken, self._cells[cell][3] + 1))
        return found

    def joined(self, terms: Guarded) -> tuple[int, Expr]:
        """Return `terms` as one cotangent at the deepest cell above them all."""
        return self._join(dict(terms), down_to_root=False)

    def total(self, terms: Guarded) -> Expr:
        """Return `terms` as one cotangent without conditions around it."""
        return self._join(dict(terms), down_to_root=True)[1]

    def _join(self, terms: Guarded, *, down_to_root: bool) -> tuple[int, Expr]:
        deepest = [(-self._cells[cell][3], cell) for cell in terms]
        heapq.heapify(deepest)
        while len(terms) > 1 or (down_to_root and ROOT not in terms):
            _, cell = heapq.heappop(deepest)
            if cell not in terms:
                continue
            parent, condition, taken, depth = self._cells[cell]
            if condition is None:  # the root is the shallowest: nothing else is left
                break
            value = terms.pop(cell)
            other = self._index.get((parent, condition.id, not taken), ROOT)
            rest = terms.pop(other, 0) if other != ROOT else 0
            chosen = where(condition, value, rest) if taken else where(condition, rest, value)
            if parent in terms:
                terms[parent] = terms[parent] + chosen
            else:
                terms[parent] = chosen
                heapq.heappush(deepest, (1 - depth, parent))
        [(cell, value)] = terms.items()
        return cell, value


def add(terms: Guarded, cell: int, value: Expr) -> None:
    """Add a cotangent at a cell."""
    terms[cell] = terms[cell] + value if cell in terms else value
