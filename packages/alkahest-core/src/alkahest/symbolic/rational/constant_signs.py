"""The sign of an exact constant, by ball arithmetic (FLINT's Arb): certain, or not known."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from alkahest.expr.pool import ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.exact import exact_of
from alkahest.symbolic.rational.flint_ring import arb, fmpq

# Those whose names and meanings Arb shares.
_SHARED = "exp expm1 log log1p sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc gamma lgamma"
_RULES: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": lambda a, b: a / b,
    "neg": operator.neg,
    "pow": lambda a, b: a**b,
    **{name: operator.methodcaller(name) for name in [*_SHARED.split(), "digamma"]},
}


def sign_of_constant(pool: ExprPool, ident: int) -> int | None:
    """Return 1 or -1 where a node without symbols is known to be of that sign, else None.

    >>> from alkahest import exp
    >>> pool = ExprPool()
    >>> sign_of_constant(pool, (exp(pool.integer(1)) - 3).id)
    -1
    """
    nodes = pool._nodes
    balls: dict[int, arb] = {}
    for i in reachable(pool, [ident]):
        node = nodes[i]
        number = exact_of(node)
        if number is not None:
            balls[i] = arb(fmpq(number.numerator, number.denominator))
        elif node[0] == "float":
            balls[i] = arb(node[1])
        elif node[0] == "const":
            balls[i] = arb.pi() if node[1] == "pi" else arb(1).exp()
        elif node[0] in _RULES:
            balls[i] = _RULES[node[0]](*[balls[c] for c in node[1:]])
        else:
            return None
    ball = balls[ident]
    return 1 if ball > 0 else -1 if ball < 0 else None
