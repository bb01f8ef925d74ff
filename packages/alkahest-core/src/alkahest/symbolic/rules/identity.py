"""An identity: two expressions that are equal, where it holds, and what it is good for."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alkahest.errors import IdentityError, PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.traversal import reachable

GROUPS = ("arithmetic", "trigonometric", "hyperbolic", "exponential", "roots", "choices", "stability")


@dataclass(frozen=True, eq=False)
class Identity:
    """`left` may be written as `right` wherever `left` has a value and the conditions hold.

    Both are ordinary expressions of one pool; their symbols stand for any expression whose values lie in the symbol's
    domain. `where` are conditions that no domain says, such as `a + b > 0`. With `both_ways` it is used from right to
    left as well. `widens` says that `right` has a value where `left` has none (exp(log a) and a), so that
    `strict=True` leaves it out. `group` is one of `GROUPS`, or a plugin's own name for its identities.
    """

    name: str
    left: Expr
    right: Expr
    where: tuple[Expr, ...] = ()
    both_ways: bool = False
    widens: bool = False
    group: str = "arithmetic"

    def __post_init__(self) -> None:
        for part in (self.left, self.right, *self.where):
            if not isinstance(part, Expr):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise IdentityError(
                    f"the identity {self.name!r} has a {type(part).__name__} among its expressions.",
                    remedy="Write both sides and all conditions as expressions; pool.integer(1) makes one of 1.",
                )
            if part.pool is not self.left.pool:
                raise PoolMismatchError(
                    f"the identity {self.name!r} mixes expressions of two pools.", remedy="Build it in one ExprPool."
                )
        missing = self._symbols([self.right, *self.where]) - self._symbols([self.left])
        if missing or (self.both_ways and self._symbols([self.left]) - self._symbols([self.right])):
            raise IdentityError(
                f"the identity {self.name!r} has symbols on one side only.",
                remedy="Use on the right side, and in conditions, only symbols of the left; both ways, the same.",
            )

        if self.both_ways and self.widens:
            raise IdentityError(
                f"the identity {self.name!r} widens the domain and is used both ways.",
                remedy="Use it from left to right only: backwards it would narrow the domain.",
            )

    @property
    def pool(self) -> ExprPool:
        """The pool of its expressions."""
        return self.left.pool

    @property
    def symbols(self) -> list[Expr]:
        """The symbols of its left side, in the order they were made."""
        return [Expr(self.pool, i) for i in sorted(self._symbols([self.left]))]

    def __str__(self) -> str:
        arrow = "=" if self.both_ways else "->"
        conditions = [str(c) for c in self.where]
        conditions += [f"{s} {s.domain}" for s in self.symbols if s.domain != "real"]
        return f"{self.left} {arrow} {self.right}{' where ' if conditions else ''}{', '.join(conditions)}"

    @staticmethod
    def _symbols(exprs: Sequence[Expr]) -> set[int]:
        if not exprs:
            return set()
        pool = exprs[0].pool
        return {i for i in reachable(pool, [e.id for e in exprs]) if pool._nodes[i][0] == "symbol"}
