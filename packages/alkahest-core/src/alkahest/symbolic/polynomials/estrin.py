"""Estrin's form of a polynomial: pairs of terms, then pairs of pairs, by powers that are squares of each other."""

from __future__ import annotations

from alkahest.expr.expression import Expr
from alkahest.symbolic.forms import Form, Workspace, atom
from alkahest.symbolic.polynomials.coefficients import coefficient_forms
from alkahest.symbolic.polynomials.horner import plus
from alkahest.symbolic.products import multiply, power
from alkahest.symbolic.writing import write


def estrin(expr: Expr, x: Expr) -> Expr:
    """Return `expr`, a polynomial in the symbol `x`, in Estrin's form, whose depth is logarithmic in the degree.

    Neighbouring terms are joined by x, their results by x^2, and so on by x^4, x^8, each of which is the square of the
    one before and is shared. It takes some multiplications more than Horner's form, but most of its operations do not
    wait for each other (Estrin 1960; Knuth, The Art of Computer Programming 2, section 4.6.4). What `horner` says of
    coefficients and of rounding holds here too: the error is at most about 2·log2(n)·u·Σ|c_k||x|^k. Errors raised are
    those of `horner`.

    >>> from alkahest import ExprPool
    >>> x = ExprPool().symbol("x")
    >>> estrin(1 + 2 * x + 3 * x**2 + 4 * x**3 + 5 * x**4, x)
    5*(x^2)^2 + (x^2*(4*x + 3) + (2*x + 1))
    """
    space, coefs = coefficient_forms(expr, x)
    if not coefs:
        return x.pool.integer(0)
    single: dict[int, tuple[Form, int]] = {k: (c, 0) for k, c in coefs.items()}  # a term: coefficient, power of x
    joined: dict[int, int] = {}  # the node of several terms
    step, size = x.id, 1  # x^size
    while max([*single, *joined]):
        terms: dict[int, tuple[Form, int]] = {}
        nodes: dict[int, int] = {}
        for k in sorted({k >> 1 for k in [*single, *joined]}):
            low, high = 2 * k, 2 * k + 1
            if high in joined:
                nodes[k] = _sum(
                    space, x.id, space.intern(("mul", step, joined[high])), single.get(low), joined.get(low)
                )
            elif high in single:
                c, power_of_x = single[high]
                if low not in single and low not in joined:
                    terms[k] = c, power_of_x + size
                    continue
                above = _times(space, x.id, c, power_of_x + size, step if power_of_x == 0 else None)
                nodes[k] = _sum(space, x.id, above, single.get(low), joined.get(low))
            elif low in joined:
                nodes[k] = joined[low]
            else:
                terms[k] = single[low]
        single, joined = terms, nodes
        if max([*single, *joined]):
            step, size = space.intern(("pow", step, space.number(2))), 2 * size
    return Expr(x.pool, joined[0] if joined else _times(space, x.id, *single[0], None))


def _times(space: Workspace, x: int, c: Form, exponent: int, step: int | None) -> int:
    """Return the node of a coefficient times a power of x, for which `step` is the node to be shared."""
    return write(space, multiply(space, c, power(space, atom(x), exponent) if step is None else atom(step)))


def _sum(space: Workspace, x: int, above: int, term: tuple[Form, int] | None, node: int | None) -> int:
    """Return the node of a sum of what is above and a single term or several."""
    if term is not None:
        c, exponent = term
        return plus(space, above, multiply(space, c, power(space, atom(x), exponent)))
    return above if node is None else space.intern(("add", above, node))
