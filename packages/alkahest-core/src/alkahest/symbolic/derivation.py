"""Derivations: what was rewritten into what, and by which identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from alkahest.expr.expression import Expr


class Step(NamedTuple):
    """One step: `before` may be written as `after`, by an identity or a way of computing of that name."""

    name: str
    before: Expr
    after: Expr

    def __str__(self) -> str:
        return f"{self.before}\n  = {self.after}    [{self.name}]"


@dataclass(frozen=True)
class Derivation:
    """A result and the steps that led to it, in their order; each can be checked by itself."""

    expr: Expr
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([*map(str, self.steps), str(self.expr)])
