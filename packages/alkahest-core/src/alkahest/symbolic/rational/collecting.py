"""`collect_terms`: an expression as a polynomial in what one names, coefficients in canonical form."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Sequence

from alkahest.errors import OperandError, PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.symbolic.exact import Exact, normal
from alkahest.symbolic.forms import Form, Product
from alkahest.symbolic.products import multiply
from alkahest.symbolic.rational.expansion import Expansion, Terms
from alkahest.symbolic.rational.inputs import canonical_now, checked
from alkahest.symbolic.sums import add, simple
from alkahest.symbolic.writing import write

_NUMBERS = frozenset({"integer", "rational"})
Powers = tuple[tuple[int, Exact], ...]  # (node, exponent), by node


def collect_terms(expr: Expr, x: Expr | Sequence[Expr]) -> Expr:
    """Return `expr` expanded, and its terms gathered by powers of `x`: a sum of power times coefficient.

    `x` is a symbol, any other expression that `expr` is made of, such as `sin(t)` or `a + b`, or a sequence of such:
    then terms are sorted by products of their powers. Coefficients are expanded; what depends on `x` otherwise, such
    as exp(x) where `x` is collected, is part of them. Raises `PolynomialError` where the expansion is too large,
    and `OperandError` where `x` is a number.

    >>> from alkahest import ExprPool, sin
    >>> x, a, b = ExprPool().symbols("x a b")
    >>> collect_terms((a + x) * (b + x) + x, x)
    a*b + x^2 + x*(a + b + 1)
    >>> collect_terms(a * sin(x) + b * sin(x) + x, sin(x))
    x + (a + b)*sin(x)
    >>> collect_terms((x + a) * (x + b) * (a + b), [x, a])
    a^2*b + a^2*x + a*b^2 + 2*a*b*x + a*x^2 + b^2*x + b*x^2
    """
    root, *names = canonical_now([checked(expr), *_named(expr, x)])
    pool = root.pool
    atoms, steps = _atoms(names)
    expansion = Expansion(pool, atoms)
    space = expansion.space
    collected: dict[Powers, Terms] = {}
    for key, coef in expansion.run([root.id])[0].items():
        items = dict(expansion.items(key))
        powers: list[tuple[int, Exact]] = []
        for base, step in steps.items():
            exponent = items.pop(base, 0)
            taken = exponent if step == 1 else normal(exponent // step * step)
            if taken:
                powers.append((base, taken))
            if taken != exponent:
                items[base] = normal(exponent - taken)
        rest = space.key_of(Product(1, items))
        inner = collected.setdefault(tuple(powers), {})
        inner[rest] = inner.get(rest, 0) + coef
    total: Form = 0
    for names_taken, inner in collected.items():
        power = simple(space, Product(1, dict(names_taken)))
        total = add(space, total, multiply(space, power, expansion.form(inner)))
    return canonical_now([Expr(pool, write(space, total))])[0]


def _named(expr: Expr, x: Expr | Sequence[Expr]) -> list[Expr]:
    names = list(x) if isinstance(x, Sequence) else [x]
    for name in names:
        if not isinstance(name, Expr) or name.op in _NUMBERS:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OperandError(
                f"terms cannot be collected by {name!r}.", remedy="Pass a symbol, an expression, or a list of these."
            )
        if name.pool is not expr.pool:
            raise PoolMismatchError(f"{name} is of another pool.", remedy="Use the pool of the expression.")
    return names


def _atoms(names: Sequence[Expr]) -> tuple[list[int], dict[int, int]]:
    """Return what is taken as a whole, and by node in which steps its exponents are collected: x^2 by twos."""
    steps: dict[int, int] = {}
    atoms: list[int] = []
    for name in names:
        base, step = name, 1
        if name.op == "pow" and isinstance(name.args[1].value, int) and name.args[1].value > 0:
            base, step = name.args[0], name.args[1].value
        if base.op in _NUMBERS:
            continue
        steps[base.id] = step
        if base.op != "symbol":
            atoms.append(base.id)
    return atoms, steps
