"""What is known of the values of every node: facts of a DAG, children first.

A fact holds wherever the node has a value, so that none of it needs the expression to be defined. It follows from
the domains of symbols, from assumptions, and from one look at each node: linear in the DAG. Bounds are exact
rationals; a function whose values are irrational is bounded by what is known at 0 and 1.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.facts.arithmetic import whole_power
from alkahest.symbolic.facts.fact import ANY as ANY
from alkahest.symbolic.facts.fact import DOMAINS, both, exactly
from alkahest.symbolic.facts.fact import Fact as Fact
from alkahest.symbolic.facts.functions import fact_of_call

_CONSTANTS = {"pi": Fact(3, 4, nonzero=True), "e": Fact(2, 3, nonzero=True)}


def facts_of(pool: ExprPool, roots: Iterable[int], assumed: Mapping[int, Fact] | None = None) -> dict[int, Fact]:
    """Return the facts of all nodes below some nodes, given those of some of them.

    >>> pool = ExprPool()
    >>> x = pool.symbol("x", "positive")
    >>> e = (x + 1) / -x
    >>> facts_of(pool, [e.id])[e.id].negative
    True
    """
    assumed = assumed or {}
    nodes = pool._nodes
    facts: dict[int, Fact] = {}
    for i in reachable(pool, roots):
        facts[i] = fact_of_node(nodes[i], facts)
        if i in assumed:
            facts[i] = both(facts[i], assumed[i])
    return facts


def fact_of_node(node: tuple[Any, ...], facts: Mapping[int, Fact]) -> Fact:
    """Return the fact of a node, given those of its operands."""
    op = node[0]
    leaf = _LEAVES.get(op)
    if leaf is not None:
        return leaf(node)
    if op == "mul" and node[1] == node[2]:
        return whole_power(facts[node[1]], 2)
    return fact_of_call(op, [facts[a] for a in node[1:]])


_LEAVES: dict[str, Callable[[tuple[Any, ...]], Fact]] = {
    "symbol": lambda node: DOMAINS[node[2]],
    "integer": lambda node: exactly(node[1]),
    "rational": lambda node: exactly(Fraction(node[1], node[2])),
    "float": lambda node: exactly(Fraction(node[1])),
    "const": lambda node: _CONSTANTS[node[1]],
}


class Knowledge:
    """Facts of nodes on demand, each worked out once; what is assumed of a node is taken into account.

    >>> pool = ExprPool()
    >>> x = pool.symbol("x")
    >>> Knowledge(pool._nodes, {x.id: Fact(low=2)}).fact((x - 1).id).positive
    True
    """

    def __init__(self, nodes: list[Any], assumed: Mapping[int, Fact] | None = None) -> None:
        self.nodes = nodes
        self.assumed: dict[int, Fact] = dict(assumed or {})
        self._facts: dict[int, Fact] = {}

    def assume(self, ident: int, fact: Fact) -> None:
        """Take it that a fact holds of a node."""
        known = self.assumed.get(ident)
        self.assumed[ident] = fact if known is None else both(known, fact)
        self._facts.clear()

    def fact(self, ident: int) -> Fact:
        """Return what is known of a node's values."""
        facts = self._facts
        found = facts.get(ident)
        if found is not None:
            return found
        nodes, assumed = self.nodes, self.assumed
        stack = [ident]
        while stack:
            i = stack[-1]
            node = nodes[i]
            if node[0] not in LEAVES:
                missing = [c for c in node[1:] if c not in facts]
                if missing:
                    stack += missing
                    continue
            fact = fact_of_node(node, facts)
            facts[i] = both(fact, assumed[i]) if i in assumed else fact
            stack.pop()
        return facts[ident]
