"""Where an operation has a value: what that asks of its operands, and whether it is known to have one."""

from __future__ import annotations

from typing import Any

from alkahest.expr.pool import LEAVES
from alkahest.symbolic.exact import Exact, exact_of
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.fact import ANY, NONNEGATIVE, NONZERO, POSITIVE, Fact, both, exactly

_UNIT = Fact(-1, 1, False, False)

# What the operands of an operation have to be for it to have a value; ANY where nothing is asked. Exactly that for
# these, so that both directions hold.
_DEMANDS: dict[str, tuple[Fact, ...]] = {
    "div": (ANY, NONZERO),
    "sqrt": (NONNEGATIVE,),
    **dict.fromkeys(("log", "log2", "log10"), (POSITIVE,)),
    "log1p": (Fact(low=-1),),
    **dict.fromkeys(("asin", "acos"), (_UNIT,)),
    "acosh": (Fact(low=1, low_open=False),),
    "atanh": (Fact(-1, 1),),
    **dict.fromkeys(("fmod", "remainder"), (ANY, NONZERO)),
    # Poles at 0 and the negative integers.
    **dict.fromkeys(("gamma", "lgamma", "digamma"), (NONZERO,)),
    "polygamma": (NONNEGATIVE, NONZERO),
}
# What has a value wherever its operands have.
_EVERYWHERE = frozenset(
    {"add", "sub", "mul", "neg", "fma", "abs", "cbrt", "exp", "expm1", "sin", "cos", "atan", "sinh", "cosh", "tanh"}
    | {"asinh", "erf", "erfc", "hypot", "min", "max", "sign", "copysign", "floor", "ceil", "trunc", "round"}
    | {"round_away", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "where", "fmin", "fmax"}
)
_POLES = frozenset({"gamma", "lgamma", "digamma"})


def demands(nodes: list[Any], node: tuple[Any, ...]) -> tuple[Fact, ...]:
    """Return what each operand of a node has to be wherever the node has a value."""
    if node[0] == "pow":
        return _demand_of_power(exact_of(nodes[node[2]])), ANY
    return _DEMANDS.get(node[0]) or tuple([ANY for _ in node[1:]])


def has_none(nodes: list[Any], node: tuple[Any, ...]) -> bool:
    """Tell whether an operation has no value because of a literal among its operands: 1/0, log(0), gamma(-1).

    >>> from alkahest import ExprPool, log
    >>> pool = ExprPool()
    >>> some = log(pool.integer(0)), log(pool.integer(2)), pool.integer(1) / 0
    >>> [has_none(pool._nodes, pool._nodes[e.id]) for e in some]
    [True, False, True]
    """
    if node[0] in LEAVES:
        return False
    for operand, asked in zip(node[1:], demands(nodes, node), strict=True):
        if asked != ANY:
            value = exact_of(nodes[operand])
            if value is not None and both(exactly(value), asked).impossible:
                return True
            if value is not None and node[0] in _POLES and value.denominator == 1 and value <= 0:
                return True
    return False


def _demand_of_power(exponent: Exact | None) -> Fact:
    if exponent is None or (exponent >= 0 and exponent.denominator == 1):
        return ANY
    if exponent.denominator == 1:
        return NONZERO
    return NONNEGATIVE if exponent > 0 else POSITIVE


class Definedness:
    """Whether nodes are known to have a value, wherever the symbols and assumptions let them.

    >>> from alkahest import ExprPool, log
    >>> x = ExprPool().symbol("x")
    >>> total = Definedness(Knowledge(x.pool._nodes)).is_total
    >>> total(log(x**2 + 1).id), total(log(x**2).id)
    (True, False)
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._total: dict[int, bool] = {}

    def is_total(self, ident: int) -> bool:
        """Tell whether a node is known to have a value everywhere."""
        total, nodes = self._total, self.knowledge.nodes
        stack = [ident]
        while stack:
            i = stack[-1]
            node = nodes[i]
            operands = () if node[0] in LEAVES else node[1:]
            missing = [c for c in operands if c not in total]
            if missing:
                stack += missing
                continue
            total[i] = not operands or (all([total[c] for c in operands]) and self.has_value(node))
            stack.pop()
        return total[ident]

    def has_value(self, node: tuple[Any, ...]) -> bool:
        """Tell whether an operation is known to have a value wherever its operands have."""
        op = node[0]
        if op in _EVERYWHERE:
            return True
        fact = self.knowledge.fact
        if op in _POLES:
            return fact(node[1]).positive
        if op == "pow":
            return self._power_has_value(node[1], node[2])
        if op == "polygamma":
            order = fact(node[1])
            return order.integer and order.nonnegative and fact(node[2]).positive
        if op == "atan2":
            return fact(node[1]).not_zero or fact(node[2]).not_zero
        if op == "tan":
            return False
        asked = _DEMANDS.get(op)
        return asked is not None and all([_holds(fact(a), d) for a, d in zip(node[1:], asked, strict=True)])

    def _power_has_value(self, base: int, exponent: int) -> bool:
        a, q = self.knowledge.fact(base), self.knowledge.fact(exponent)
        if a.positive:
            return True
        return (q.integer or a.nonnegative) and (q.nonnegative or a.not_zero)


def _holds(fact: Fact, asked: Fact) -> bool:
    """Tell whether a fact says all that is asked."""
    if asked == NONZERO:
        return fact.not_zero
    known = fact._replace(nonzero=fact.not_zero)
    return both(known, asked) == both(known, ANY)
