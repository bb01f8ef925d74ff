"""Names a step: which of the identities that the e-graph used show in what came out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.rules.identity import Identity

_MOST = 6
_PLAIN = frozenset({"add", "sub", "mul", "div", "neg"})
_TURNED = frozenset({"add", "mul"})


def name_of_step(fired: Iterable[str], identities: Sequence[Identity], before: Expr, after: Expr) -> str:
    """Return the names of identities whose right side is among what is new in `after`, or "rearranged"."""
    old = set(reachable(before.pool, [before.id]))
    new = [i for i in reachable(after.pool, [after.id]) if i not in old and after.pool._nodes[i][0] not in LEAVES]
    wanted = set(fired)
    found: dict[str, None] = {}
    for identity in identities:
        if identity.name not in wanted or identity.right.op in (*LEAVES, "neg") or not _tells(identity):
            continue
        if any(_matches(identity, after.pool, i) for i in new):
            found[identity.name] = None
    return ", ".join(list(found)[:_MOST]) or "rearranged"


def _tells(identity: Identity) -> bool:
    """Tell whether an identity does more than put sums and products into another order."""
    nodes = identity.pool._nodes

    def ops(expr: Expr) -> list[str]:
        return sorted(nodes[i][0] for i in reachable(identity.pool, [expr.id]) if nodes[i][0] not in LEAVES)

    after = ops(identity.right)
    return ops(identity.left) != after and (len(after) > 1 or not _PLAIN.issuperset(after))


def _matches(identity: Identity, pool: ExprPool, ident: int) -> bool:
    """Tell whether a node is an instance of the right side; sums and products may be the other way round."""
    theirs, ours = identity.pool._nodes, pool._nodes
    # What is left to match, and what the symbols stand for: a pattern has a handful of nodes.
    work: list[tuple[tuple[tuple[int, int], ...], dict[int, int]]] = [(((identity.right.id, ident),), {})]
    while work:
        pairs, bound = work.pop()
        if not pairs:
            return True
        (pattern, node), rest = pairs[0], pairs[1:]
        kind = theirs[pattern]
        if kind[0] == "symbol":
            if bound.get(pattern, node) == node:
                work.append((rest, {**bound, pattern: node}))
        elif kind[0] in LEAVES:
            if kind == ours[node]:
                work.append((rest, bound))
        elif kind[0] == ours[node][0]:
            work.append(((*zip(kind[1:], ours[node][1:], strict=True), *rest), bound))
            if kind[0] in _TURNED:
                work.append(((*zip(kind[1:], ours[node][:0:-1], strict=True), *rest), bound))
    return False
