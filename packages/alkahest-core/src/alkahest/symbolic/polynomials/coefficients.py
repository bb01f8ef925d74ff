"""The coefficients of a polynomial in one symbol, exact, floats or expressions: the expansion of its expression."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from fractions import Fraction

from alkahest.errors import NotASymbolError, OperandError, PolynomialError, PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical, mark_shared, read_form
from alkahest.symbolic.forms import Form, Workspace
from alkahest.symbolic.products import divide, multiply, power
from alkahest.symbolic.sums import add
from alkahest.symbolic.writing import write

# How many products of coefficients an expansion may take.
MAX_PRODUCTS = 500_000


def poly_coefficients(expr: Expr, x: Expr) -> dict[int, Expr]:
    """Return the nonzero coefficients of `expr` as a polynomial in the symbol `x`, by degree upwards.

    Errors are those of `horner`.

    >>> x, a = ExprPool().symbols("x a")
    >>> poly_coefficients((x + a) ** 2 - 1, x)
    {0: a^2 - 1, 1: 2*a, 2: 1}
    """
    space, coefs = coefficient_forms(expr, x)
    return {degree: Expr(x.pool, write(space, coefs[degree])) for degree in sorted(coefs)}


class _Polynomial:
    """Coefficients by degree, the degrees counted from `shift`: times x is one addition."""

    __slots__ = ("coefs", "shift")

    def __init__(self, coefs: dict[int, Form], shift: int = 0) -> None:
        self.coefs = coefs
        self.shift = shift


def coefficient_forms(expr: Expr, x: Expr) -> tuple[Workspace, dict[int, Form]]:
    """Return the nonzero coefficients by degree as forms, and the workspace they belong to."""
    _check(expr, x)
    root = canonical([expr])[0]
    expansion = _Expansion(root.pool, x)
    return expansion.space, expansion.run(root.id)


def _check(expr: Expr, x: Expr) -> None:
    if not isinstance(expr, Expr):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(
            f"a value of type {type(expr).__name__} is no expression.",
            remedy="Pass an Expr; pool.expr(value) makes one of a number.",
        )
    if not isinstance(x, Expr) or x.op != "symbol":  # pyright: ignore[reportUnnecessaryIsInstance]
        raise NotASymbolError(
            f"{x!r} is no symbol, so there are no polynomials in it.",
            remedy="Pass a symbol; substitute one for a sub-expression with subs first.",
        )
    if x.pool is not expr.pool:
        raise PoolMismatchError(f"the symbol {x.name} is of another pool.", remedy="Use the pool of the expression.")


class _Expansion:
    """The expansion of a canonical expression, node by node; what does not depend on `x` is a coefficient."""

    def __init__(self, pool: ExprPool, x: Expr) -> None:
        self.pool = pool
        self.x = x
        self.space = Workspace(pool, reuses=False)
        self.budget = MAX_PRODUCTS
        self.found: dict[int, _Polynomial] = {x.id: _Polynomial({1: 1})}
        self.uses: dict[int, int] = {}

    def run(self, root: int) -> dict[int, Form]:
        """Return the coefficients of a node by degree."""
        nodes = self.pool._nodes
        order = self._dependents(root)
        for i in order:
            self.found[i] = self._expanded(i, nodes[i])
        out = self._of(root)
        coefs = {degree + out.shift: c for degree, c in out.coefs.items()}
        if coefs and min(coefs) < 0:
            raise self._refusal(root)
        return coefs

    def _dependents(self, root: int) -> list[int]:
        """Return the nodes that depend on `x`, and count how often each is used by such."""
        nodes = self.pool._nodes
        uses = self.uses = {self.x.id: 2}
        order: list[int] = []
        for i in reachable(self.pool, [root]):
            node = nodes[i]
            inner = [] if node[0] in LEAVES else [c for c in node[1:] if c in uses]
            if inner:
                order.append(i)
                uses[i] = 0
                for c in inner:
                    uses[c] += 1
        return order

    def _of(self, ident: int) -> _Polynomial:
        """Return the polynomial of a node, to be changed at will."""
        own = self.found.get(ident)
        if own is None:
            form = read_form(self.space, ident)
            return _Polynomial({} if form == 0 else {0: form})
        if self.uses[ident] == 1:
            del self.found[ident]
            return own
        self._spend(len(own.coefs), ident)
        for c in own.coefs.values():
            mark_shared(self.space, c)
        return _Polynomial(dict(own.coefs), own.shift)

    def _expanded(self, ident: int, node: tuple[str, int, int]) -> _Polynomial:
        op = node[0]
        if op == "neg":
            return self._scaled(self._of(node[1]), -1, ident)
        if op in ("add", "sub"):
            return self._sum(self._of(node[1]), self._of(node[2]), -1 if op == "sub" else 1, ident)
        if op == "mul":
            return self._product(self._of(node[1]), self._of(node[2]), ident)
        if op == "div":
            return self._quotient(self._of(node[1]), self._of(node[2]), ident)
        exponent = self.pool._nodes[node[2]] if op == "pow" else ()
        if exponent and exponent[0] == "integer" and exponent[1] > 0:
            return self._power(self._of(node[1]), exponent[1], ident)
        raise self._refusal(ident)

    def _refusal(self, ident: int) -> PolynomialError:
        name = self.x.name
        return PolynomialError(
            f"{Expr(self.pool, ident).to_string(60)} is no polynomial in {name}.",
            remedy=f"Use sums, products and integer powers of {name}, or substitute a symbol for that part.",
        )

    def _spend(self, products: int, ident: int) -> None:
        self.budget -= products
        if self.budget < 0:
            text = Expr(self.pool, ident).to_string(60)
            raise PolynomialError(
                f"expanding {text} takes more than {MAX_PRODUCTS:,} products of coefficients.",
                remedy="Keep the factored form, or substitute a symbol for a factor.",
            )

    def _scaled(self, p: _Polynomial, c: Form, ident: int) -> _Polynomial:
        if isinstance(c, int | Fraction) and c == 1:
            return p
        self._spend(len(p.coefs), ident)
        mark_shared(self.space, c)
        return _Polynomial({k: multiply(self.space, c, f) for k, f in p.coefs.items()}, p.shift)

    def _sum(self, p: _Polynomial, q: _Polynomial, sign: int, ident: int) -> _Polynomial:
        if sign == 1 and len(p.coefs) < len(q.coefs):
            p, q = q, p
        self._spend(len(q.coefs), ident)
        coefs = p.coefs
        for k, c in q.coefs.items():
            degree = k + q.shift - p.shift
            total = add(self.space, coefs.get(degree, 0), c, sign)
            if isinstance(total, int) and total == 0:
                coefs.pop(degree, None)
            else:
                coefs[degree] = total
        return p

    def _product(self, p: _Polynomial, q: _Polynomial, ident: int) -> _Polynomial:
        if len(p.coefs) < len(q.coefs):
            p, q = q, p
        if len(q.coefs) == 1:
            [(k, c)] = q.coefs.items()
            out = self._scaled(p, c, ident)
            out.shift += k + q.shift
            return out
        self._spend(len(p.coefs) * len(q.coefs), ident)
        for f in [*p.coefs.values(), *q.coefs.values()]:
            mark_shared(self.space, f)
        coefs: dict[int, Form] = {}
        for k, f in q.coefs.items():
            for j, g in p.coefs.items():
                coefs[j + k] = add(self.space, coefs.get(j + k, 0), multiply(self.space, f, g))
        nonzero = {k: c for k, c in coefs.items() if not (isinstance(c, int) and c == 0)}
        return _Polynomial(nonzero, p.shift + q.shift)

    def _quotient(self, p: _Polynomial, q: _Polynomial, ident: int) -> _Polynomial:
        """Division by one term; powers below zero may cancel later."""
        if len(q.coefs) != 1:
            raise self._refusal(ident)
        [(k, c)] = q.coefs.items()
        out = self._scaled(p, divide(self.space, 1, c), ident)
        out.shift -= k + q.shift
        return out

    def _power(self, p: _Polynomial, n: int, ident: int) -> _Polynomial:
        """Powers by repeated squaring; of one term, directly."""
        if len(p.coefs) == 1:
            [(k, c)] = p.coefs.items()
            return _Polynomial({0: power(self.space, c, n)}, (k + p.shift) * n)
        if n * n // 4 > self.budget:  # what the last multiplication takes, at n + 1 terms
            self._spend(n * n // 4, ident)
        out: _Polynomial | None = None
        while True:
            if n & 1:
                out = p if out is None else self._product(out, p, ident)
            n >>= 1
            if not n:
                return out or _Polynomial({0: 1})
            p = self._product(p, p, ident)
