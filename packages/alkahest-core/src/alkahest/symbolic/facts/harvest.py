"""What it says of the parts of an expression that the whole has a value: log(a) in it says a > 0."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.definedness import demands
from alkahest.symbolic.facts.fact import ANY, Fact, both
from alkahest.symbolic.facts.implied import spread

# A comparison of nan is false, `and` and `or` may be settled by one operand, fmin and fmax pass nan over: in floating
# point they have a value where an operand has none.
_FORGIVING = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "fmin", "fmax", "where"})


def harvested(pool: ExprPool, root: int, facts: Mapping[int, Fact] | None = None) -> dict[int, Fact]:
    """Return what is known of nodes wherever `root` has a value, with `facts`, which are known already.

    A part counts only if the value of `root` cannot be had without it: not what is in one branch of `where`, below a
    comparison or below `fmin`. The facts hold for this root alone and not where it has no value, so that they must
    not be used where the domain is to be kept. Linear in the DAG.

    >>> from alkahest import log
    >>> x = ExprPool().symbol("x")
    >>> harvested(x.pool, (x * log(2 * x)).id)[x.id].positive
    True
    """
    nodes = pool._nodes
    known = Knowledge(nodes, facts)
    found: dict[int, Fact] = dict(facts or {})
    for i in _needed(known, root):
        node = nodes[i]
        for operand, asked in zip(node[1:], demands(nodes, node), strict=True):
            if asked != ANY:
                found[operand] = both(found.get(operand, ANY), asked)
    return spread(pool, found)


def _needed(known: Knowledge, root: int) -> set[int]:
    """Return the operations without which `root` has no value."""
    nodes = known.nodes
    seen: set[int] = set()
    stack = [root]
    while stack:
        i = stack.pop()
        node = nodes[i]
        if i not in seen and node[0] not in LEAVES:
            seen.add(i)
            stack += _needed_operands(known, node)
    return seen


def _needed_operands(known: Knowledge, node: tuple[Any, ...]) -> tuple[int, ...]:
    op = node[0]
    if op == "where":
        return _needed_of_choice(known, node)
    if op in _FORGIVING:
        return ()
    if op == "pow":  # C has nan**0 = 1 and 1**nan = 1
        base = (node[1],) if known.fact(node[2]).not_zero else ()
        one = known.fact(node[1])
        return base if one.low <= 1 <= one.high else (*base, node[2])
    return node[1:]


def _needed_of_choice(known: Knowledge, node: tuple[Any, ...]) -> tuple[int, ...]:
    """The condition, and the branch that is taken where that is known."""
    _, condition, chosen, other = node
    fact = known.fact(condition)
    if fact.not_zero:
        return condition, chosen
    return (condition, other) if fact.exact and fact.low == 0 else (condition,)
