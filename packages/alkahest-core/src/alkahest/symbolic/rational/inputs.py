"""What the functions of this folder take in: expressions, in canonical form under the assumptions that hold."""

from __future__ import annotations

from collections.abc import Sequence

from alkahest.errors import OperandError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.facts.assumptions import assumed_facts, conditions_now
from alkahest.symbolic.facts.fact import Fact


def checked(expr: Expr) -> Expr:
    """Return `expr`, or raise `OperandError` where it is no expression."""
    if not isinstance(expr, Expr):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(
            f"a value of type {type(expr).__name__} is no expression.",
            remedy="Pass an Expr; pool.expr(value) makes one of a number.",
        )
    return expr


def facts_now(pool: ExprPool) -> dict[int, Fact]:
    """Return what the blocks of `assuming` around say of nodes of a pool."""
    return assumed_facts(conditions_now(), pool)


def canonical_now(exprs: Sequence[Expr], *, strict: bool = False) -> list[Expr]:
    """Return canonical forms under the assumptions that hold."""
    return canonical(exprs, assumed=facts_now(exprs[0].pool), strict=strict)
