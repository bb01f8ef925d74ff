"""What an expression costs: the measures by which the simplifier chooses."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from alkahest.errors import ConfigError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.exact import exact_of

# How an argument looks to its parent: its op ("atom" for symbols and floats), or the exact number that it is.
Argument = str | Fraction


class CostModel(Protocol):
    """A measure of expressions: the sum over all distinct nodes of what each costs."""

    def node(self, op: str, args: Sequence[Argument]) -> float:
        """Return the cost of one node, at least 0; leaves are "atom" and "number", without arguments."""
        ...


_ARITHMETIC = frozenset({"add", "sub", "mul", "neg", "abs", "sign", "min", "max", "fmin", "fmax", "fma", "where"})
_COMPARED = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


@dataclass(frozen=True)
class SizeCost:
    """The size of what a person reads: nodes, where quotients and powers count half as much again, functions thrice.

    >>> from alkahest import ExprPool, sin
    >>> x = ExprPool().symbol("x")
    >>> cost_of([2 * x + sin(x)], SizeCost())
    7.0
    """

    def node(self, op: str, args: Sequence[Argument]) -> float:
        """Return the cost of one node."""
        if op in ("atom", "number"):
            return 1.0
        sign = _sign_of_product(op, args)
        if sign is not None:
            return sign
        if op in _ARITHMETIC or op in _COMPARED:
            return 1.0
        return 1.5 if op in ("div", "pow", "sqrt") else 3.0


# Relative to one addition of doubles over arrays: estimates by the arithmetic that the vectorised functions of the
# package alkahest-llvm do (terms of their polynomials, reduction, division), not measured times.
_CPU: Mapping[str, float] = {
    "div": 6.0,
    "sqrt": 7.0,
    "pow": 40.0,
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "log2", "log10"), 14.0),
    **dict.fromkeys(("sin", "cos"), 18.0),
    "tan": 24.0,
    **dict.fromkeys(("asin", "acos", "atan", "atan2", "cbrt", "hypot"), 22.0),
    **dict.fromkeys(("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"), 24.0),
    **dict.fromkeys(("erf", "erfc"), 30.0),
    **dict.fromkeys(("gamma", "lgamma", "digamma", "polygamma"), 80.0),
}
# On a GPU, division and roots of doubles are short programs as well.
_GPU: Mapping[str, float] = {**_CPU, "div": 10.0, "sqrt": 10.0, "pow": 50.0}
_WEIGHTS = {"cpu": _CPU, "gpu": _GPU}
_OTHER = 20.0


@dataclass(frozen=True)
class OpCost:
    """The work of computing it once, in additions, on a target: "cpu" or "gpu".

    A product that is added costs nothing beside the addition, since both are one fused operation; an integer power is
    the products it takes; numbers and symbols are free. The weights are estimates by the arithmetic of this project's
    vectorised functions: they rank ways to compute the same, they predict no times.

    >>> from alkahest import ExprPool, sin
    >>> x, y = ExprPool().symbols("x y")
    >>> cost_of([x / y], OpCost()) > cost_of([x * y], OpCost())
    True
    """

    target: str = "cpu"

    def __post_init__(self) -> None:
        if self.target not in _WEIGHTS:
            raise ConfigError(f"{self.target!r} is no target of costs.", remedy=f"There are {', '.join(_WEIGHTS)}.")

    def node(self, op: str, args: Sequence[Argument]) -> float:
        """Return the cost of one node."""
        if op in ("atom", "number"):
            return 0.0
        sign = _sign_of_product(op, args)
        if sign is not None:
            return 0.0
        weights = _WEIGHTS.get(self.target, _CPU)
        if op == "pow" and isinstance(args[1], Fraction):
            return _power_cost(args[1], weights)
        if op in ("add", "sub") and "mul" in args:
            return 0.25  # the product that it is fused with is counted
        return weights.get(op, 1.0 if op in _ARITHMETIC or op in _COMPARED else _OTHER)


def _sign_of_product(op: str, args: Sequence[Argument]) -> float | None:
    """Return the cost of a product with -1, which is written as a sign; None for anything else."""
    return 0.25 if op == "mul" and args[0] == -1 else None


def _power_cost(exponent: Fraction, weights: Mapping[str, float]) -> float:
    size = abs(exponent)
    below = weights["div"] if exponent < 0 else 0.0
    if size.denominator == 2 and size.numerator <= 16:
        return below + weights["sqrt"] + size.numerator // 2
    if size.denominator != 1 or size > 64:
        return weights["pow"]
    n = int(size)
    return below + n.bit_length() - 1 + n.bit_count() - 1


def cost_of(exprs: Iterable[Expr], model: CostModel) -> float:
    """Return what expressions of one pool cost together: each distinct node once."""
    roots = list(exprs)
    if not roots:
        return 0.0
    nodes = roots[0].pool._nodes
    return cost_of_nodes(nodes, reachable(roots[0].pool, [e.id for e in roots]), model)


def cost_of_nodes(nodes: Sequence[tuple[Any, ...]], idents: Iterable[int], model: CostModel) -> float:
    """Return what some nodes of a pool cost together."""
    total = 0.0
    for i in idents:
        node = nodes[i]
        if node[0] in LEAVES:
            total += model.node("number" if node[0] in ("integer", "rational") else "atom", ())
        else:
            total += model.node(node[0], [argument(nodes, c) for c in node[1:]])
    return total


def argument(nodes: Sequence[tuple[Any, ...]], ident: int) -> Argument:
    """Return how a node looks to what it is an argument of."""
    node = nodes[ident]
    if node[0] in ("integer", "rational"):
        number = exact_of(node)
        return Fraction(0) if number is None else Fraction(number)
    return "atom" if node[0] in LEAVES else str(node[0])
