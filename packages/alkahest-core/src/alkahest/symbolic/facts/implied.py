"""From a fact of a node to facts of its operands: 2*x + 1 > 3 says x > 1, 1/(x*y) having a value says x != 0."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from alkahest.expr.pool import ExprPool
from alkahest.symbolic.exact import exact_of
from alkahest.symbolic.facts.arithmetic import add, div, inverse, mul, neg
from alkahest.symbolic.facts.fact import (
    ANY,
    NEGATIVE,
    NONNEGATIVE,
    NONPOSITIVE,
    NONZERO,
    POSITIVE,
    Fact,
    both,
    exactly,
)

Implied = Iterable[tuple[int, Fact]]
Nodes = list[Any]


def spread(pool: ExprPool, known: Mapping[int, Fact]) -> dict[int, Fact]:
    """Return the facts `known` with what they imply for operands, and theirs.

    >>> pool = ExprPool()
    >>> x = pool.symbol("x")
    >>> spread(pool, {(2 * x + 1).id: Fact(low=3)})[x.id].low
    Fraction(1, 1)
    """
    nodes = pool._nodes
    out: dict[int, Fact] = {}
    work = list(known.items())
    while work:
        ident, fact = work.pop()
        old = out.get(ident, ANY)
        new = both(old, fact)
        if ident not in out or new != old:
            out[ident] = new
            work += [(i, f) for i, f in _of_operands(nodes, nodes[ident], new) if f != ANY]
    return out


def _of_operands(nodes: Nodes, node: tuple[Any, ...], fact: Fact) -> Implied:
    rule = _RULES.get(node[0])
    return () if rule is None else rule(nodes, fact, *node[1:])


def _add(nodes: Nodes, fact: Fact, a: int, b: int) -> Implied:
    for this, other in ((a, b), (b, a)):
        value = exact_of(nodes[other])
        if value is not None:
            yield this, add(fact._replace(integer=False, nonzero=False), exactly(-value))


def _sub(nodes: Nodes, fact: Fact, a: int, b: int) -> Implied:
    plain = fact._replace(integer=False, nonzero=False)
    left, right = exact_of(nodes[a]), exact_of(nodes[b])
    if right is not None:
        yield a, add(plain, exactly(right))
    if left is not None:
        yield b, add(exactly(left), neg(plain))


def _mul(nodes: Nodes, fact: Fact, a: int, b: int) -> Implied:
    for this, other in ((a, b), (b, a)):
        value = exact_of(nodes[other])
        if value is not None and value != 0:
            yield this, _unscaled(fact, value)
        elif fact.not_zero:
            yield this, NONZERO


def _unscaled(fact: Fact, value: int | Fraction) -> Fact:
    return div(fact._replace(integer=False), exactly(value))


def _div(nodes: Nodes, fact: Fact, a: int, b: int) -> Implied:
    above, below = exact_of(nodes[a]), exact_of(nodes[b])
    if below is not None and below != 0:
        yield a, mul(fact._replace(integer=False), exactly(below))
    elif fact.not_zero:
        yield a, NONZERO
    if above is not None and above != 0 and fact.not_zero and (fact.positive or fact.negative):
        yield b, mul(exactly(above), inverse(fact))._replace(integer=False)


def _sign_only(fact: Fact) -> Fact:
    """Return what carries over to x from f(x), where f has the sign of x."""
    if fact.nonnegative:
        return POSITIVE if fact.positive else NONNEGATIVE
    if fact.nonpositive:
        return NEGATIVE if fact.negative else NONPOSITIVE
    return NONZERO if fact.not_zero else ANY


def _odd(nodes: Nodes, fact: Fact, a: int) -> Implied:
    yield a, _sign_only(fact)


def _sized(nodes: Nodes, fact: Fact, *operands: int) -> Implied:
    """An operand of what is 0 only where all of them are; known for one operand alone."""
    if fact.not_zero and len(operands) == 1:
        yield operands[0], NONZERO


def _sqrt(nodes: Nodes, fact: Fact, a: int) -> Implied:
    yield a, POSITIVE if fact.not_zero else NONNEGATIVE


def _pow(nodes: Nodes, fact: Fact, a: int, b: int) -> Implied:
    exponent = exact_of(nodes[b])
    if exponent is None or exponent == 0:
        return
    if exponent.denominator != 1:
        yield a, POSITIVE if fact.not_zero or exponent < 0 else NONNEGATIVE
    elif exponent % 2:
        yield a, _sign_only(fact)
    elif fact.not_zero:
        yield a, NONZERO


_RULES: dict[str, Callable[..., Implied]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": lambda nodes, fact, a: [(a, neg(fact))],
    "pow": _pow,
    "abs": _sized,
    "sqrt": _sqrt,
    **dict.fromkeys(("cbrt", "sinh", "tanh", "asinh", "atanh", "asin", "atan", "erf", "expm1", "log1p"), _odd),
}
