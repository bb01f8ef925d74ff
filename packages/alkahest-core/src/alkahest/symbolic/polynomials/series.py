"""`series`: Taylor polynomials with exact coefficients."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

from alkahest.errors import DomainError, NotASymbolError, OperandError, PolynomialError, PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.symbolic.canonical import canonical, read_form
from alkahest.symbolic.exact import exact_of, normal
from alkahest.symbolic.forms import Product, Workspace
from alkahest.symbolic.sums import scale
from alkahest.symbolic.writing import write

# How many more powers than asked for are looked at before a denominator counts as zero.
_MORE = 64
_MAX_ORDER = 20_000
Coefficient: TypeAlias = "int | Fraction | Expr"


def series(expr: Expr, x: Expr, point: Any = 0, order: int = 6) -> Expr:
    """Return the Taylor polynomial of `expr` in the symbol `x` around `point`: all terms below (x - point)**order.

    So `order` is the number of terms, zeros counted, and the error is O((x - point)**order). Coefficients are exact:
    numbers where the values of `expr` and its derivatives are, else constants such as exp(2) and sin(a); `point` may
    be an expression. Floats are taken as constants of their own.

    Coefficients come from recurrences of power series (Knuth, The Art of Computer Programming 2, section 4.7; Brent &
    Kung 1978 for long ones), so that the time is polynomial in `order`. Removable singularities are removed. Raises
    `DomainError` where there is no Taylor series at the point, `PolynomialError` where it takes too much work, and
    `NotASymbolError` where `x` is no symbol.

    >>> from alkahest import ExprPool, exp, sin
    >>> x = ExprPool().symbol("x")
    >>> series(sin(x), x, order=6)
    x^5/120 - x^3/6 + x
    >>> series(exp(x), x, 2, 3)
    exp(2) + exp(2)*(x - 2) + exp(2)*(x - 2)^2/2
    >>> series((exp(x) - 1) / x, x, 0, 4)
    x^3/24 + x^2/6 + x/2 + 1
    """
    coefs = taylor_coefficients(expr, x, point, order)
    pool = x.pool
    center = canonical([pool.expr(point)])[0]
    if exact_of(pool._nodes[center.id]) == 0:
        terms: list[Expr] = [pool.expr(c) * x**k for k, c in enumerate(coefs) if not _is_zero(c)]
        return canonical([sum(terms, pool.integer(0))])[0]
    return _shifted(x, center, coefs)


def taylor_coefficients(expr: Expr, x: Expr, point: Any = 0, order: int = 6) -> list[Coefficient]:
    """Return the first `order` Taylor coefficients of `expr` in `x` around `point`: numbers, or exact constants.

    Errors are those of `series`.

    >>> from alkahest import ExprPool, exp, log
    >>> x = ExprPool().symbol("x")
    >>> taylor_coefficients(log(1 + x), x, 0, 4)
    [0, 1, Fraction(-1, 2), Fraction(1, 3)]
    >>> taylor_coefficients(exp(x), x, 1, 2)
    [E, E]
    """
    low, coefs = laurent_coefficients(expr, x, point, order)
    if low < 0:
        raise _no_series(expr, x, point)
    return [*[0] * min(low, order), *coefs][:order]


def laurent_coefficients(expr: Expr, x: Expr, point: Any = 0, order: int = 6) -> tuple[int, list[Coefficient]]:
    """Return (low, coefficients) of all powers of (x - point) from `low` on and below `order`; the first is not zero.

    For an expression that is zero as far as it is known, `low` is `order` and the list is empty. Errors are those of
    `series`, but for poles.

    >>> from alkahest import ExprPool, sin
    >>> x = ExprPool().symbol("x")
    >>> laurent_coefficients(1 / sin(x) ** 2, x, 0, 3)
    (-2, [1, 0, Fraction(1, 3), 0, Fraction(1, 15)])
    """
    pool = _checked(expr, x, order)
    from alkahest.symbolic.polynomials.expanding import Expander, Series, Singular, Vanishing, stripped
    from alkahest.symbolic.rational.flint_ring import TooLarge

    center = pool.expr(point)
    if x in center.free_symbols:
        raise OperandError(f"the point {center} depends on {x} itself.", remedy="Use another symbol for the point.")
    root = canonical([expr])[0]
    terms = max(order, 1)
    while True:
        expander = Expander(root, x, center, terms)
        found = Series(0, [])
        try:
            found = stripped(expander.run(root.id))
            missing = order - found.known
        except Vanishing:
            missing = max(4, terms)
        except Singular:
            raise _no_series(expr, x, point) from None
        except TooLarge:
            raise _too_large(expr, order) from None
        if missing <= 0:
            coefs = found.coefs[: max(0, order - found.low)]
            return min(found.low, order), [_python(expander.constants.expr(c)) for c in coefs]
        if terms + missing > 2 * order + _MORE:
            raise _no_series(expr, x, point)
        terms += missing


def _checked(expr: Expr, x: Expr, order: int) -> Any:
    if not isinstance(expr, Expr):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(
            f"a value of type {type(expr).__name__} is no expression.",
            remedy="Pass an Expr; pool.expr(value) makes one of a number.",
        )
    if not isinstance(x, Expr) or x.op != "symbol":  # pyright: ignore[reportUnnecessaryIsInstance]
        raise NotASymbolError(
            f"{x!r} is no symbol, so there are no series in it.",
            remedy="Pass a symbol; substitute one for a sub-expression with subs first.",
        )
    if x.pool is not expr.pool:
        raise PoolMismatchError(f"the symbol {x.name} is of another pool.", remedy="Use the pool of the expression.")
    if not isinstance(order, int) or order < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(f"there are no series of order {order!r}.", remedy="Pass a whole number of terms.")
    if order > _MAX_ORDER:
        raise _too_large(expr, order)
    return expr.pool


def _no_series(expr: Expr, x: Expr, point: Any) -> DomainError:
    return DomainError(
        f"{expr.to_string(60)} has no Taylor series in {x} at {x} = {point}.",
        remedy="Expand around a point where it is smooth, or take the singular part out as a factor.",
    )


def _too_large(expr: Expr, order: int) -> PolynomialError:
    return PolynomialError(
        f"the series of {expr.to_string(60)} to order {order:,} takes too much work.",
        remedy=f"Ask for fewer terms (at most {_MAX_ORDER:,}), or expand parts of the expression.",
    )


def _python(c: Expr) -> Coefficient:
    value = exact_of(c.pool._nodes[c.id])
    return c if value is None else normal(value)


def _is_zero(c: Coefficient) -> bool:
    return not isinstance(c, Expr) and c == 0


def _shifted(x: Expr, center: Expr, coefs: list[Coefficient]) -> Expr:
    """Return the sum of c * (x - center)**k, lowest powers first."""
    pool = x.pool
    step = canonical([x - center])[0]
    space = Workspace(pool, reuses=False)
    total: int | None = None
    for k, c in enumerate(coefs):
        if _is_zero(c):
            continue
        term = pool.expr(c) if k == 0 else canonical([pool.expr(c) * step**k])[0]
        form = read_form(space, term.id)
        if total is None:
            total = term.id
        elif isinstance(form, Product) and form.coef < 0:
            total = pool._intern(("sub", total, write(space, scale(space, -1, form))))
        else:
            total = pool._intern(("add", total, term.id))
    return Expr(pool, total) if total is not None else pool.integer(0)
