"""Where a node has a value: what the e-graph may look into.

All terms of an e-graph have a value wherever its root has one; that is what makes `exp(log x)` and `x` exchangeable.
A choice or comparison is read by code that goes on where an operand has no value (`where(x > 0, log(x), 0)`), so that
its operands must not meet the rest: unless they have a value everywhere, it is taken as a whole.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.definedness import Definedness

# What may have a value where an operand has none.
LAZY = frozenset({"where", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "fmin", "fmax"})


def wholes(pool: ExprPool, order: list[int], knowledge: Knowledge) -> set[int]:
    """Return which of some nodes, children first, are to be taken as a whole.

    Those are choices and comparisons of what may have no value, and what depends on no symbol and may have none.
    """
    nodes = pool._nodes
    is_total = Definedness(knowledge).is_total
    closed: set[int] = set()  # without a symbol or float
    found: set[int] = set()
    for i in order:
        node = nodes[i]
        op = node[0]
        if op in LEAVES:
            if op not in ("symbol", "float"):
                closed.add(i)
        elif all([c in closed for c in node[1:]]):
            closed.add(i)
            if not is_total(i):
                found.add(i)
        elif op in LAZY and not all([is_total(c) for c in node[1:]]):
            found.add(i)
    return found
