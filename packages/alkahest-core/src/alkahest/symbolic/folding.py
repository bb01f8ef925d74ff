"""Cheap local folding: what can be said of one operation by a look at its operands, a microsecond a node.

Used while derivatives are built, where a full canonical form of every intermediate would be wasted. Every function
takes and returns ids of one pool and builds nodes as written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from alkahest.base.rules import impl_rules
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import literal_float
from alkahest.symbolic.exact import Exact, exact_call, exact_node, exact_of, power

_ONE = ("integer", 1)
_EXACT = frozenset({"integer", "rational"})
_LITERALS = frozenset({"integer", "rational", "float"})
_ROUNDED_ONCE = frozenset({"add", "sub", "mul", "div", "neg"})  # IEEE 754 leaves no choice of the result
# Heads that an operand of a sum or product must have for anything to fold.
_IN_SUMS = frozenset({"integer", "rational", "neg"})
_IN_PRODUCTS = frozenset({"integer", "rational", "neg", "mul", "div"})


def folding_node(pool: ExprPool, op: str, args: tuple[int, ...]) -> Expr:
    """Return `op(*args)` with zeros, ones, exact numbers and double signs folded: a builder for `building`.

    The result equals the operation wherever that is defined.
    """
    nodes = pool._nodes
    for a in args:
        if nodes[a][0] == "float":
            found = _with_floats(pool, op, args)
            if found is not None:
                return Expr(pool, found)
            break
    rule = _RULES.get(op)
    return Expr(pool, fold_call(pool, op, args) if rule is None else rule(pool, *args))


def _with_floats(pool: ExprPool, op: str, args: tuple[int, ...]) -> int | None:
    """Return the id of arithmetic on literals, floats among them, as the float that every tier gives at run time.

    Also `x**1.0`, `x**0.0`, `1.0*x`, and a float times a product that begins with a number. None for all else.
    """
    nodes = pool._nodes
    if op in _ROUNDED_ONCE and all([nodes[a][0] in _LITERALS for a in args]):
        value = impl_rules.by_name(op).number(*[literal_float(pool, a) for a in args])
        return pool.float(value).id if math.isfinite(value) else None
    if op == "pow" and nodes[args[1]][0] == "float":
        exponent = nodes[args[1]][1]
        return args[0] if exponent == 1.0 else (pool.integer(1).id if exponent == 0.0 else None)
    if op == "mul":
        number, other = args if nodes[args[0]][0] == "float" else args[::-1]
        if nodes[number][1] == 1.0:
            return other
        front = nodes[other]
        if front[0] == "mul" and nodes[front[1]][0] in _LITERALS:
            merged = _with_floats(pool, "mul", (number, front[1]))  # literals: goes no deeper
            return None if merged is None else pool._intern(("mul", merged, front[2]))
    return None


def fold_add(pool: ExprPool, a: int, b: int) -> int:
    """Return the id of `a + b`, folded."""
    nodes = pool._nodes
    x, y = nodes[a], nodes[b]
    if x[0] in _IN_SUMS or y[0] in _IN_SUMS:
        p, q = exact_of(x), exact_of(y)
        if p is not None and q is not None:
            return _number(pool, exact_call("add", [p, q]), ("add", a, b))
        if p == 0:
            return b
        if q == 0:
            return a
        if y[0] == "neg":
            return _difference(pool, a, y[1])
        if x[0] == "neg":
            return _difference(pool, b, x[1])
    elif a == b:
        return fold_mul(pool, pool._intern(("integer", 2)), a)
    return pool._intern(("add", a, b))


def fold_sub(pool: ExprPool, a: int, b: int) -> int:
    """Return the id of `a - b`, folded."""
    nodes = pool._nodes
    x, y = nodes[a], nodes[b]
    if x[0] in _EXACT or y[0] in _EXACT:
        p, q = exact_of(x), exact_of(y)
        if p is not None and q is not None:
            return _number(pool, exact_call("sub", [p, q]), ("sub", a, b))
        if q == 0:
            return a
        if p == 0:
            return fold_neg(pool, b)
    if y[0] == "neg" and a != b:
        return pool._intern(("add", a, y[1]))
    return _difference(pool, a, b)


def _difference(pool: ExprPool, a: int, b: int) -> int:
    return pool._intern(("integer", 0) if a == b else ("sub", a, b))


def fold_neg(pool: ExprPool, a: int) -> int:
    """Return the id of `-a`, folded."""
    node = pool._nodes[a]
    head = node[0]
    if head == "neg":
        return node[1]
    if head == "sub":
        return pool._intern(("sub", node[2], node[1]))
    if head == "float":
        return pool._intern(("float", -node[1], -node[2]))
    value = exact_of(node)
    if value is not None:
        return pool._intern(exact_node(-value))
    if head == "mul":
        value = exact_of(pool._nodes[node[1]])
        if value is not None:
            return _times(pool, -value, node[2])
    return pool._intern(("neg", a))


def fold_mul(pool: ExprPool, a: int, b: int) -> int:
    """Return the id of `a * b`, folded: numbers come first, signs out, a reciprocal becomes a quotient."""
    nodes = pool._nodes
    x, y = nodes[a], nodes[b]
    if x[0] in _EXACT:
        p, q = exact_of(x), exact_of(y)
        if q is not None:
            return _number(pool, exact_call("mul", [p or 0, q]), ("mul", a, b))
        return _scale(pool, p or 0, b)
    if y[0] in _EXACT:
        return _scale(pool, exact_of(y) or 0, a)
    if x[0] in _IN_PRODUCTS or y[0] in _IN_PRODUCTS:
        return _mul_spines(pool, a, b)
    return pool._intern(("pow", a, pool._intern(("integer", 2))) if a == b else ("mul", a, b))


def _mul_spines(pool: ExprPool, a: int, b: int) -> int:
    """Multiply two operands, at least one of which is a product, quotient or negation."""
    nodes = pool._nodes
    p, u = _split_number(nodes, a)
    q, v = _split_number(nodes, b)
    if u != a or v != b:
        number = exact_call("mul", [p, q])
        if number is not None:
            return _times(pool, number, pool._intern(("mul", u, v)))
        return pool._intern(("mul", a, b))
    x, y = nodes[a], nodes[b]
    if y[0] == "div" and nodes[y[1]] == _ONE:
        return fold_div(pool, a, y[2])
    if x[0] == "div" and nodes[x[1]] == _ONE:
        return fold_div(pool, b, x[2])
    return pool._intern(("pow", a, pool._intern(("integer", 2))) if a == b else ("mul", a, b))


def _split_number(nodes: list[Any], a: int) -> tuple[Exact, int]:
    """Return (c, u) with a = c*u, one look deep: c is a number in front or a sign."""
    node = nodes[a]
    if node[0] == "neg":
        return -1, node[1]
    if node[0] == "mul":
        value = exact_of(nodes[node[1]])
        if value is not None:
            return value, node[2]
    return 1, a


def _scale(pool: ExprPool, c: Exact, a: int) -> int:
    """Return the id of the number `c` times `a`, `a` being no number."""
    nodes = pool._nodes
    node = nodes[a]
    if node[0] in _IN_PRODUCTS and c not in (0, 1):
        if node[0] == "div":
            return _scale_quotient(pool, c, a, node)
        inner, rest = _split_number(nodes, a)
        number = exact_call("mul", [c, inner])
        if number is not None:
            return _times(pool, number, rest)
    return _times(pool, c, a)


def _times(pool: ExprPool, c: Exact, a: int) -> int:
    """Return the id of `c` times `a` without a look at `a`."""
    if c == 1:
        return a
    if c == 0:
        return pool._intern(("integer", 0))
    return pool._intern(("neg", a) if c == -1 else ("mul", pool._intern(exact_node(c)), a))


def _scale_quotient(pool: ExprPool, c: Exact, a: int, node: tuple[Any, ...]) -> int:
    """Return the id of `c` times a quotient: a number above or below takes the factor where that is exact."""
    above, below = exact_of(pool._nodes[node[1]]), exact_of(pool._nodes[node[2]])
    if above is not None:
        number = exact_call("mul", [c, above])
        if number is not None:
            return pool._intern(("div", pool._intern(exact_node(number)), node[2]))
    elif below is not None and below != 0:
        number = exact_call("div", [c, below])
        if number.__class__ is int:
            return _times(pool, number or 0, node[1])
    return _times(pool, c, a)


def fold_div(pool: ExprPool, a: int, b: int) -> int:
    """Return the id of `a / b`, folded; a literal zero below is kept."""
    nodes = pool._nodes
    x, y = nodes[a], nodes[b]
    p, q = exact_of(x), exact_of(y)
    if q is not None:
        if p is not None:
            return _number(pool, exact_call("div", [p, q]), ("div", a, b))
        if q == 1:
            return a
        if q == -1:
            return fold_neg(pool, a)
    elif p == 0:
        return a
    elif a == b and y[0] != "float":
        return pool._intern(("integer", 1))
    if x[0] == "neg" or y[0] == "neg":
        return _signed_quotient(pool, a, b)
    return pool._intern(("div", a, b))


def _signed_quotient(pool: ExprPool, a: int, b: int) -> int:
    nodes = pool._nodes
    x, y = nodes[a], nodes[b]
    negative = (x[0] == "neg") != (y[0] == "neg")
    quotient = ("div", x[1] if x[0] == "neg" else a, y[1] if y[0] == "neg" else b)
    return pool._intern(("neg", pool._intern(quotient)) if negative else quotient)


def fold_pow(pool: ExprPool, a: int, b: int) -> int:
    """Return the id of `a ** b`, folded."""
    nodes = pool._nodes
    n = exact_of(nodes[b])
    if n is None:
        return a if nodes[a] == ("integer", 1) else pool._intern(("pow", a, b))
    if n == 0:
        return pool._intern(("integer", 1))
    if n == 1:
        return a
    base = exact_of(nodes[a])
    if base is not None:
        return _number(pool, power(base, n), ("pow", a, b))
    if n == -1:
        return pool._intern(("div", pool._intern(("integer", 1)), a))
    return pool._intern(("pow", a, b))


def fold_where(pool: ExprPool, condition: int, a: int, b: int) -> int:
    """Return the id of `where(condition, a, b)`, the branch itself where it is known."""
    if a == b:
        return a
    value = exact_of(pool._nodes[condition])
    if value is None:
        return pool._intern(("where", condition, a, b))
    return a if value != 0 else b


def fold_fma(pool: ExprPool, a: int, b: int, c: int) -> int:
    """Return the id of `fma(a, b, c)`: without its product or its sum where that is trivial."""
    x, y, z = pool._nodes[a], pool._nodes[b], pool._nodes[c]
    if exact_of(z) == 0:
        return fold_mul(pool, a, b)
    if (x[0] in _EXACT and x[1] in (-1, 0, 1)) or (y[0] in _EXACT and y[1] in (-1, 0, 1)):
        return fold_add(pool, fold_mul(pool, a, b), c)
    return fold_call(pool, "fma", (a, b, c))


def fold_call(pool: ExprPool, op: str, args: tuple[int, ...]) -> int:
    """Return the id of `op(*args)`, its value where all arguments are exact numbers and it is one."""
    nodes = pool._nodes
    node = (op, *args)
    for a in args:
        if nodes[a][0] not in _EXACT:
            return pool._intern(node)
    values = [v for v in [exact_of(nodes[a]) for a in args] if v is not None]
    return _number(pool, exact_call(op, values), node)


def _number(pool: ExprPool, value: Exact | None, node: tuple[Any, ...]) -> int:
    return pool._intern(node if value is None else exact_node(value))


_RULES: dict[str, Callable[..., int]] = {
    "add": fold_add,
    "sub": fold_sub,
    "mul": fold_mul,
    "div": fold_div,
    "neg": fold_neg,
    "pow": fold_pow,
    "where": fold_where,
    "fma": fold_fma,
}
