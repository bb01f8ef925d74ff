"""Horner's form of polynomials in one or several symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from alkahest.errors import NotASymbolError
from alkahest.expr.expression import Expr
from alkahest.symbolic.canonical import read_form
from alkahest.symbolic.forms import Form, Product, Sum, Workspace, atom
from alkahest.symbolic.polynomials.coefficients import coefficient_forms, poly_coefficients
from alkahest.symbolic.products import multiply, power
from alkahest.symbolic.sums import scale
from alkahest.symbolic.writing import write, write_after


def horner(expr: Expr, x: Expr | Sequence[Expr]) -> Expr:
    """Return `expr`, a polynomial in the symbol `x`, in Horner's form: as few multiplications as it has degrees.

    Coefficients may be exact numbers, floats, or expressions of other symbols; sums, products and powers are
    expanded first, and powers that are missing are stepped over: x^10 + 1 stays. For several symbols the coefficients
    by the first are in turn in Horner's form by the others, in that order. Raises `PolynomialError` where `expr` is
    no polynomial in `x` or its expansion is too large, and `NotASymbolError` where `x` is no symbol.

    On rounding (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 5.1): for degree n and unit
    roundoff u the computed value differs from p(x) by at most 2n·u·Σ|c_k||x|^k, so the relative error is small unless
    the condition number Σ|c_k||x|^k / |p(x)| is large. That number needs no roots: both sums are polynomials, and it is
    exact where the coefficients and x are. For (x - 1)^3 at x = 11/10 it is (1 + x)^3 / |x - 1|^3 = 9261. It is large
    near multiple or clustered roots and wherever large terms cancel. Where `expr` is given as a product of its
    roots or in powers of (x - c), that form is the more accurate one near them: expanding it loses what Horner's
    scheme cannot bring back.

    >>> from alkahest import ExprPool
    >>> x, y, a = ExprPool().symbols("x y a")
    >>> horner(x**3 + 2 * x**2 + 3 * x + 4, x)
    x*(x*(x + 2) + 3) + 4
    >>> horner((a * x + 1) ** 2 * x**5, x)
    x^5*(x*(a^2*x + 2*a) + 1)
    >>> horner((x + y + 1) ** 2, [x, y])
    x*(x + 2*y + 2) + y*(y + 2) + 1
    """
    if isinstance(x, Expr):
        space, coefs = coefficient_forms(expr, x)
        return Expr(x.pool, _nested(space, x.id, coefs))
    return _in_several(expr, _symbols(x))


def _symbols(names: Sequence[Expr]) -> list[Expr]:
    try:
        found = list(names)
    except TypeError:
        found = []
    if not found:
        raise NotASymbolError(
            f"{names!r} is no symbol, so there are no polynomials in it.",
            remedy="Pass a symbol, or a list of at least one.",
        )
    return found


def _in_several(expr: Expr, names: Sequence[Expr]) -> Expr:
    """Return Horner's form by the first symbol, its coefficients in Horner's form by the others."""
    parts: dict[tuple[int, ...], Expr] = {(): expr}
    for x in names:
        parts = {(*key, degree): c for key, e in parts.items() for degree, c in poly_coefficients(e, x).items()}
    for x in reversed(names):
        groups: dict[tuple[int, ...], dict[int, Expr]] = {}
        for (*key, degree), c in parts.items():
            groups.setdefault(tuple(key), {})[degree] = c
        for key, coefs in groups.items():
            space = Workspace(x.pool, reuses=False)
            forms = {degree: read_form(space, c.id) for degree, c in coefs.items()}
            groups[key] = {0: Expr(x.pool, _nested(space, x.id, forms))}
        parts = {key: coefs[0] for key, coefs in groups.items()}
    return parts[()] if parts else names[0].pool.integer(0)


def _nested(space: Workspace, x: int, coefs: Mapping[int, Form]) -> int:
    if not coefs:
        return space.number(0)
    degrees = sorted(coefs, reverse=True)
    gaps = [high - low for high, low in pairwise([*degrees, 0])]
    total = write(space, multiply(space, coefs[degrees[0]], power(space, atom(x), gaps[0])))
    for degree, gap in zip(degrees[1:], gaps[1:], strict=True):
        total = plus(space, total, coefs[degree])
        if gap:
            total = space.intern(("mul", write(space, power(space, atom(x), gap)), total))
    return total


def plus(space: Workspace, total: int, c: Form) -> int:
    """Return the id of `total + c`, written with as few signs as it can be."""
    if isinstance(c, Sum):
        return write_after(space, total, c)
    node = space.nodes[total]
    if (c.coef if isinstance(c, Product) else c) < 0:
        return space.intern(("sub", total, write(space, scale(space, -1, c))))
    if node[0] == "neg":
        return space.intern(("sub", write(space, c), node[1]))
    return space.intern(("add", total, write(space, c)))
