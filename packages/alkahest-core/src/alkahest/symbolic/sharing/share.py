"""`share`: common parts of sums and products of several expressions computed once."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable, rebuild
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.sharing.factoring import factor_sums
from alkahest.symbolic.sharing.network import Reader, Work
from alkahest.symbolic.sharing.writing import Writer

_ROUNDS = 3
_TINY = 500  # operations up to which it is done again, until nothing is gained
_WORK = 100_000  # comparisons for one arrangement, and more of them for each operation
_WORK_EACH = 20
_SMALL = 3_000  # nodes up to which everything is taken apart, what is shared already too


def share(exprs: Sequence[Expr]) -> list[Expr]:
    """Return expressions of one pool arranged so that they take the fewest operations together.

    Products and sums are flattened, and the parts that several have in common are computed once; common factors are
    taken out of sums. Each expression keeps its value and its domain as real functions; with doubles it is rounded
    elsewhere. Never more operations than before: then the expressions come back as they are.

    >>> from alkahest import exp
    >>> x, a, b = ExprPool().symbols("x a b")
    >>> share([x**2 * exp(b) / a, x**2 * exp(b) / a**2, b * x**2 * exp(b)])
    [exp(b)*x^2/a, exp(b)*x^2/a/a, b*(exp(b)*x^2)]
    """
    best = list(exprs)
    if not best:
        return best
    pool = best[0].pool
    least = count = _count(pool, best)
    for _ in range(_ROUNDS if count <= _TINY else 1):
        before = least
        for found in _arrangements(pool, best, count):
            n = _count(pool, found)
            if n < least:
                best, least = found, n
        if least == before:
            break
    return best


def _count(pool: ExprPool, exprs: Sequence[Expr]) -> int:
    """Return the operations that it takes to compute expressions, each once."""
    nodes = pool._nodes
    return sum([nodes[i][0] not in LEAVES for i in reachable(pool, [e.id for e in exprs])])


def _arrangements(pool: ExprPool, exprs: list[Expr], count: int) -> list[list[Expr]]:
    """Return the expressions arranged in several ways."""
    work = _WORK + _WORK_EACH * count
    starts = [exprs]
    aligned = _aligned(pool, exprs)
    if aligned is not exprs:
        starts.append(aligned)
    out: list[list[Expr]] = []
    for start in starts:
        for merges_shared in (False, True) if count <= _SMALL else (False,):
            for factors in (False, True):
                reader = Reader(pool, [e.id for e in start], merges_shared)
                if factors:
                    factor_sums(reader.net, reader.roots)
                out.append([Expr(pool, i) for i in Writer(reader.net, reader.roots, Work(work)).run()])
    return out


def _aligned(pool: ExprPool, exprs: list[Expr]) -> list[Expr]:
    """Return expressions with powers whose exponents differ by whole numbers as one power and whole powers.

    That keeps the domain where the base is known not to be zero.
    """
    from alkahest.symbolic.rational.variables import power_families

    nodes = pool._nodes
    knowledge = Knowledge(nodes)
    new: dict[int, Expr] = {}
    for base, members in power_families(pool, reachable(pool, [e.id for e in exprs])):
        if len(members) < 2 or not knowledge.fact(base).not_zero:
            continue
        const, first = min(members, key=lambda m: (abs(m[0]), m))
        for other, i in members:
            if i != first:
                new[i] = Expr(pool, first) * Expr(pool, base) ** int(Fraction(other) - const)
    return rebuild(exprs, new.get) if new else exprs
