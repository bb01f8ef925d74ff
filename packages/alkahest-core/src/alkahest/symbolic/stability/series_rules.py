"""Series of expressions, node by node, and their partial sums as expressions."""

# Operators of expressions are made by functions, and the rules are methods with open signatures.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.coefficients import Coefficient, Coefficients, TooLarge
from alkahest.symbolic.stability.expansion import HALF, ONE, ZERO, Series, SeriesRing


class Place(NamedTuple):
    """Where a series is taken: at 0 or infinity, from the side of a sign, or near another point."""

    kind: str  # "zero", "infinity", or "point"
    sign: int = 1
    point: Fraction = ZERO

    def __str__(self) -> str:
        if self.kind == "point":
            return str(self.point)
        return "0" if self.kind == "zero" else "infinity" if self.sign > 0 else "-infinity"


def expand_at(expr: Expr, x: Expr, place: Place, width: int, deadline: Deadline) -> Series | None:
    """Return the series of an expression in t, where x is t, -t, 1/t, -1/t or point + t; None where it has none."""
    coefs = Coefficients(expr.pool)
    log_t = None
    if place.kind != "point":
        magnitude = x if place.sign > 0 else -x
        log_t = expr.pool.apply("log", magnitude)
        log_t = log_t if place.kind == "zero" else -log_t
    ring = SeriesRing(coefs, width, log_t)
    nodes = expr.pool._nodes
    found: dict[int, Series] = {}
    depends = _dependents(expr, x)
    try:
        for i in reachable(expr.pool, [expr.id]):
            if deadline.expired:
                return None
            node = nodes[i]
            if i not in depends:
                needed = Expr(expr.pool, i)
                found[i] = ring.constant(coefs.of(needed))
                continue
            series = _at(ring, place) if i == x.id else _node(ring, node[0], [found[a] for a in node[1:]])
            if series is None:
                return None
            found[i] = series
    except (TooLarge, ZeroDivisionError):
        return None
    return found[expr.id]


def _at(ring: SeriesRing, place: Place) -> Series:
    if place.kind == "point":
        return ring.add(ring.constant(place.point), ring.variable(1, ONE))
    return ring.variable(1 if place.kind == "zero" else -1, Fraction(place.sign))


def _dependents(expr: Expr, x: Expr) -> set[int]:
    nodes = expr.pool._nodes
    out = {x.id}
    for i in reachable(expr.pool, [expr.id]):
        if nodes[i][0] not in LEAVES and any(a in out for a in nodes[i][1:]):
            out.add(i)
    return out


def _node(ring: SeriesRing, op: str, args: list[Series]) -> Series | None:
    rule = _RULES.get(op)
    return None if rule is None else rule(ring, *args)


def _power(ring: SeriesRing, a: Series, b: Series) -> Series | None:
    constant = b.terms.get(ZERO, ZERO) if set(b.terms) <= {ZERO} else None
    if isinstance(constant, Fraction) and abs(constant) <= 64:
        return ring.power(a, constant)
    log = ring.log(a)
    return None if log is None else ring.exp(ring.mul(b, log))


def _div(ring: SeriesRing, a: Series, b: Series) -> Series | None:
    inverse = ring.power(b, -ONE)
    return None if inverse is None else ring.mul(a, inverse)


def _tan(ring: SeriesRing, a: Series) -> Series | None:
    both = ring.sin_cos(a)
    return None if both is None else _div(ring, both[0], both[1])


def _hyperbolic(ring: SeriesRing, a: Series) -> tuple[Series, Series] | None:
    up, down = ring.exp(a), ring.exp(ring.scale(a, -ONE))
    if up is None or down is None:
        return None
    return ring.scale(ring.sub(up, down), HALF), ring.scale(ring.add(up, down), HALF)


def _tanh(ring: SeriesRing, a: Series) -> Series | None:
    both = _hyperbolic(ring, a)
    return None if both is None else _div(ring, both[0], both[1])


def _abs(ring: SeriesRing, a: Series) -> Series | None:
    leading = None if a.leading is None else a.terms[a.leading]
    if not isinstance(leading, Fraction):
        return None
    return a if leading > 0 else ring.scale(a, -ONE)


def _one_plus_square(sign: int, power: Fraction) -> Callable[[SeriesRing, Series], Series | None]:
    """Return (1 + sign a^2)^power as a function of a."""
    return lambda ring, a: ring.power(ring.add(ring.constant(ONE), ring.scale(ring.mul(a, a), Fraction(sign))), power)


def _by_integral(op: str, sign: int, power: Fraction, factor: int = 1) -> Callable[[SeriesRing, Series], Series | None]:
    slope = _one_plus_square(sign, power)

    def inner(ring: SeriesRing, a: Series) -> Series | None:
        out = slope(ring, a)
        return None if out is None else ring.scale(out, Fraction(factor))

    return lambda ring, a: ring.integral(a, lambda b: inner(ring, b), op)


_finite_atan = _by_integral("atan", 1, -ONE)


def _atan(ring: SeriesRing, a: Series) -> Series | None:
    if a.leading is None or a.leading >= 0:
        return _finite_atan(ring, a)
    leading = a.terms[a.leading]
    inverse = ring.power(a, -ONE)
    if inverse is None or not isinstance(leading, Fraction):
        return None
    inner = _finite_atan(ring, inverse)
    limit = ring.coefs.of(ring.coefs.pool.pi / (2 if leading > 0 else -2))
    return None if inner is None else ring.sub(ring.constant(limit), inner)


def _asinh(ring: SeriesRing, a: Series) -> Series | None:
    if a.leading is None or a.leading >= 0:
        return _by_integral("asinh", 1, -HALF)(ring, a)
    root = _one_plus_square(1, HALF)(ring, a)
    return None if root is None else ring.log(ring.add(a, root))


def _acosh(ring: SeriesRing, a: Series) -> Series | None:
    root = ring.power(ring.sub(ring.mul(a, a), ring.constant(ONE)), HALF)
    return None if root is None else ring.log(ring.add(a, root))


def _pick(pair: tuple[Series, Series] | None, which: int) -> Series | None:
    return None if pair is None else pair[which]


def _then(a: Series | None, f: Callable[[Series], Series | None]) -> Series | None:
    return None if a is None else f(a)


_RULES: dict[str, Callable[..., Series | None]] = {
    "add": SeriesRing.add,
    "sub": SeriesRing.sub,
    "mul": SeriesRing.mul,
    "div": _div,
    "neg": lambda ring, a: ring.scale(a, -ONE),
    "fma": lambda ring, a, b, c: ring.add(ring.mul(a, b), c),
    "pow": _power,
    "sqrt": lambda ring, a: ring.power(a, HALF),
    "cbrt": lambda ring, a: ring.power(a, Fraction(1, 3)),
    "hypot": lambda ring, a, b: ring.power(ring.add(ring.mul(a, a), ring.mul(b, b)), HALF),
    "abs": _abs,
    "exp": SeriesRing.exp,
    "expm1": lambda ring, a: _then(ring.exp(a), lambda e: ring.sub(e, ring.constant(ONE))),
    "log": SeriesRing.log,
    "log1p": lambda ring, a: ring.log(ring.add(a, ring.constant(ONE))),
    "sin": lambda ring, a: _pick(ring.sin_cos(a), 0),
    "cos": lambda ring, a: _pick(ring.sin_cos(a), 1),
    "tan": _tan,
    "sinh": lambda ring, a: _pick(_hyperbolic(ring, a), 0),
    "cosh": lambda ring, a: _pick(_hyperbolic(ring, a), 1),
    "tanh": _tanh,
    "atan": _atan,
    "asin": _by_integral("asin", -1, -HALF),
    "acos": _by_integral("acos", -1, -HALF, -1),
    "atanh": _by_integral("atanh", -1, -ONE),
    "asinh": _asinh,
    "acosh": _acosh,
}


def partial_sum(series: Series, x: Expr, place: Place, terms: int) -> Expr | None:
    """Return the first terms of a series as an expression: the leading power times a polynomial in Horner's form."""
    exponents = sorted(series.terms)[:terms]
    if not exponents:
        return None
    whole = all(e.denominator == 1 for e in exponents)
    writer = _Writer(x, place, mirrored=place.sign < 0 and not whole)
    flips = place.sign < 0 and whole
    values = {e: _signed(series.terms[e], flips and e % 2 == 1, x) for e in exponents}
    total = values[exponents[-1]]
    for lower, upper in zip(reversed(exponents[:-1]), reversed(exponents[1:]), strict=True):
        total = values[lower] + writer.times(total, upper - lower)
    return writer.times(total, exponents[0])


def _signed(c: Coefficient, negative: bool, x: Expr) -> Expr:
    value = c if isinstance(c, Expr) else x.pool.number(c)
    if not negative:
        return value
    return -value if isinstance(c, Expr) else x.pool.number(-c)


class _Writer:
    """Writes powers of t in terms of x."""

    def __init__(self, x: Expr, place: Place, *, mirrored: bool) -> None:
        self._pool = x.pool
        base = x - x.pool.number(place.point) if place.kind == "point" and place.point else x
        self._base = -base if mirrored else base
        self._inverse = place.kind == "infinity"

    def _power(self, exponent: Fraction) -> Expr:
        whole, rest = divmod(exponent, 1)
        roots = {HALF: "sqrt", Fraction(1, 3): "cbrt"}
        if rest and rest not in roots:
            return self._base ** self._pool.number(exponent)
        power = self._base if whole == 1 else self._base ** self._pool.integer(int(whole))
        if not rest:
            return power
        root = self._pool.apply(roots[rest], self._base)
        return root if whole == 0 else root * power

    def times(self, expr: Expr, exponent: Fraction) -> Expr:
        """Return expr * t^exponent."""
        if exponent == 0:
            return expr
        power = self._power(abs(exponent))
        if self._inverse == (exponent > 0):
            return expr / power
        return power if expr.op == "integer" and expr.value == 1 else power * expr
