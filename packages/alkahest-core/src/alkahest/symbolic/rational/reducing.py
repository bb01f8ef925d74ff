"""Where cancelling pays: equal nodes found by fingerprint, and quotients whose sides share symbols.

`cancel` brings everything to one quotient. Here a node is replaced only by a smaller one, and little is spent on each.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from fractions import Fraction
from typing import Any

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.exact import exact_node
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.definedness import Definedness
from alkahest.symbolic.forms import Undefined
from alkahest.symbolic.rational.fingerprints import PRIME, fingerprints

_EACH = 20_000  # products of coefficients that one node may take
_MAX_REGION = 400  # nodes of a quotient that is brought into lowest terms
_SUMS = frozenset({"add", "sub"})
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow"})
# What a sum may turn out to be: fractions of small numbers, by fingerprint.
_NUMBERS = {n * pow(d, -1, PRIME) % PRIME: Fraction(n, d) for d in range(4, 0, -1) for n in range(-12, 13)}


def cancelled(root: Expr, work: int = 200_000) -> Expr:
    """Return `root`, which is canonical, with nodes replaced by smaller ones that are equal as rational functions.

    The result equals `root` wherever it is defined. `work` bounds all that is spent, in products of coefficients.

    >>> x, y = ExprPool().symbols("x y")
    >>> cancelled((x + 1) ** 2 - (x**2 + 2 * x + 1) + y * (x**2 - 1) / (x - 1))
    x*y + y
    """
    pool = root.pool
    ident = _quotients(pool, _merged(pool, root.id, work), work)
    return root if ident == root.id else canonical([Expr(pool, ident)])[0]


# -- equal nodes


def _merged(pool: ExprPool, root: int, work: int) -> int:
    """Return the root with nodes of equal value made one, the smallest of them."""
    nodes = pool._nodes
    order = reachable(pool, [root])
    if not any([nodes[i][0] in _SUMS for i in order]):
        return root
    prints = fingerprints(pool, [root])
    size: dict[int, int] = {}
    best: dict[int, int] = {}  # by fingerprint
    choices = False
    for i in order:
        node = nodes[i]
        size[i] = 1 if node[0] in LEAVES else 1 + sum([size[c] for c in node[1:]])
        choices = choices or node[0] == "where"
        known = best.get(prints[i])
        if known is None or size[i] < size[known]:
            best[prints[i]] = i
    pairs = {i: j for i in order if (j := _equal_to(pool, i, prints[i], best, size)) != i}
    if not pairs:
        return root
    # Beside a choice, a part may have a value where another has none: only what always has one may take its place.
    defined = Definedness(Knowledge(nodes))
    left = [work]
    taken = {i: j for i, j in pairs.items() if (not choices or defined.is_total(j)) and _proven(pool, i, j, left)}
    return _rebuilt(pool, order, taken, root)


def _equal_to(pool: ExprPool, i: int, value: int, best: dict[int, int], size: dict[int, int]) -> int:
    """Return a smaller node that has the fingerprint of a node, or the node itself."""
    if pool._nodes[i][0] in LEAVES:
        return i
    number = _NUMBERS.get(value)
    if number is not None and pool._nodes[i][0] in _ARITHMETIC:
        return pool._intern(exact_node(number))
    other = best[value]
    return other if size[other] < size[i] else i


def _proven(pool: ExprPool, i: int, j: int, left: list[int]) -> bool:
    from alkahest.symbolic.rational.fingerprints import proven_equal
    from alkahest.symbolic.rational.flint_ring import Budget

    if left[0] <= 0:
        return False
    each = min(_EACH, left[0])
    budget = Budget(each, 5_000, 1_000, 1 << 22)
    found = proven_equal(pool, i, j, budget)
    left[0] -= each - max(budget.products, 0)
    return found


# -- quotients


def _quotients(pool: ExprPool, root: int, work: int) -> int:
    """Return the root with quotients in lowest terms, where numerator and denominator are sums of the same symbols."""
    from alkahest.symbolic.rational.cancel import rational_form
    from alkahest.symbolic.rational.flint_ring import Budget, TooLarge

    nodes = pool._nodes
    order = reachable(pool, [root])
    if not any([nodes[i][0] == "div" for i in order]):
        return root
    symbols = _symbols(pool, order)
    found: dict[int, int] = {}
    for i in order:
        node = nodes[i]
        if node[0] != "div" or not symbols[node[1]] & symbols[node[2]] or work <= 0:
            continue
        if not _has_sum(nodes, node[1]) or not _has_sum(nodes, node[2]):
            continue
        before = len(_nodes_up_to(pool, i, _MAX_REGION))
        if before >= _MAX_REGION:
            continue
        budget = Budget(min(_EACH, work), 2_000, 1_000, 1 << 22)
        work -= budget.products
        try:
            new = rational_form(pool, i, budget)
        except (TooLarge, Undefined):
            continue
        work += max(budget.products, 0)
        if len(_nodes_up_to(pool, new, before)) < before:
            found[i] = new
    return _rebuilt(pool, order, found, root) if found else root


def _symbols(pool: ExprPool, order: list[int]) -> dict[int, int]:
    """Return a set of bits for each node: one for each symbol or function below, of 61 that they share."""
    nodes = pool._nodes
    bits: dict[int, int] = {}
    for i in order:
        node = nodes[i]
        if node[0] in _ARITHMETIC:
            bits[i] = 0
            for c in node[1:]:
                bits[i] |= bits[c]
        else:
            bits[i] = 0 if node[0] in ("integer", "rational", "float") else 1 << i % 61
            for c in () if node[0] in LEAVES else node[1:]:
                bits[i] |= bits[c]
    return bits


def _has_sum(nodes: list[Any], ident: int) -> bool:
    """Tell whether a sum is among the factors of a node, of which this looks at the first few."""
    stack, seen = [ident], 0
    while stack and seen < 32:
        seen += 1
        node = nodes[stack.pop()]
        if node[0] in _SUMS:
            return True
        if node[0] in ("mul", "neg", "div"):
            stack += node[1:]
        elif node[0] in ("pow", "sqrt"):
            stack.append(node[1])
    return False


def _nodes_up_to(pool: ExprPool, ident: int, limit: int) -> set[int]:
    """Return the nodes below a node, or as many of them as `limit`."""
    nodes = pool._nodes
    seen, stack = {ident}, [ident]
    while stack and len(seen) < limit:
        node = nodes[stack.pop()]
        for c in () if node[0] in LEAVES else node[1:]:
            if c not in seen:
                seen.add(c)
                stack.append(c)
    return seen


def _rebuilt(pool: ExprPool, order: list[int], replaced: dict[int, int], root: int) -> int:
    """Return the root with nodes replaced, what is above them built anew as it was."""
    nodes = pool._nodes
    new: dict[int, int] = {}
    for i in order:
        if i in replaced:
            new[i] = new.get(replaced[i], replaced[i])
            continue
        node = nodes[i]
        args = node[1:] if node[0] in LEAVES else tuple([new[c] for c in node[1:]])
        new[i] = i if args == node[1:] else pool._intern((node[0], *args))
    return new[root]
