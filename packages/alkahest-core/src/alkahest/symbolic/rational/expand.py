"""`expand`: products and whole powers of sums, multiplied out."""

from __future__ import annotations

from alkahest.expr.expression import Expr
from alkahest.symbolic.rational.expansion import Expansion
from alkahest.symbolic.rational.inputs import canonical_now, checked
from alkahest.symbolic.writing import write


def expand(expr: Expr) -> Expr:
    """Return `expr` with products and whole powers of sums multiplied out, inside function arguments too.

    The result is in canonical form: terms collected, coefficients exact, floats as they are. A sum below a fraction
    bar is multiplied out but stays there. Sharing is used and not written out; where the result would have too many
    terms, or take more than 500,000 products of coefficients, `PolynomialError` is raised.

    >>> from alkahest import ExprPool, sin
    >>> x, y = ExprPool().symbols("x y")
    >>> expand((x + 1) ** 2 * (x - y))
    x^3 - x^2*y + 2*x^2 - 2*x*y + x - y
    >>> expand(sin((x + y) ** 2) / (x * (x + 1)))
    sin(x^2 + 2*x*y + y^2)/(x^2 + x)
    """
    root = canonical_now([checked(expr)])[0]
    expansion = Expansion(root.pool)
    [terms] = expansion.run([root.id])
    return canonical_now([Expr(root.pool, write(expansion.space, expansion.form(terms)))])[0]
