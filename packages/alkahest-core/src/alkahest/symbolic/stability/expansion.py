"""Truncated series of formulas in one small positive variable t, with rational exponents.

x is t, -t, 1/t, -1/t or c + t: at 0, infinity, and near another point, from either side. Terms with log t count as
coefficients: t changes them slowly. What has no such series (exp(1/t)) gives None.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from alkahest.expr.expression import Expr
from alkahest.symbolic.stability.coefficients import Coefficient, Coefficients, is_number

Terms = dict[Fraction, Coefficient]
ZERO, ONE, HALF = Fraction(0), Fraction(1), Fraction(1, 2)


class Series(NamedTuple):
    """Σ c t^e over the exponents e < `end`; nothing is known of the others."""

    terms: Terms
    end: Fraction

    @property
    def leading(self) -> Fraction | None:
        """The least exponent; None where all known terms vanish."""
        return min(self.terms, default=None)


class SeriesRing:
    """Arithmetic and functions of truncated series, `width` exponents each."""

    def __init__(self, coefs: Coefficients, width: int, log_t: Expr | None) -> None:
        self.coefs = coefs
        self.width = width
        self._log_t = log_t
        self.has_logs = False

    def constant(self, c: Coefficient) -> Series:
        """Return a constant."""
        return Series({} if is_number(c, 0) else {ZERO: c}, Fraction(self.width))

    def variable(self, exponent: int, factor: Fraction) -> Series:
        """Return `factor` t^`exponent`."""
        return Series({Fraction(exponent): factor}, Fraction(exponent + self.width))

    def add(self, a: Series, b: Series) -> Series:
        """Return the sum."""
        end = min(a.end, b.end)
        out = {e: c for e, c in a.terms.items() if e < end}
        for e, c in b.terms.items():
            if e < end:
                out[e] = self.coefs.add(out[e], c) if e in out else c
        return self._trimmed(out, end)

    def scale(self, a: Series, c: Coefficient) -> Series:
        """Return a multiple."""
        return self._trimmed({e: self.coefs.mul(v, c) for e, v in a.terms.items()}, a.end)

    def sub(self, a: Series, b: Series) -> Series:
        """Return the difference."""
        return self.add(a, self.scale(b, -ONE))

    def mul(self, a: Series, b: Series) -> Series:
        """Return the product."""
        la, lb = a.leading, b.leading
        end = min(a.end + (b.end if lb is None else lb), b.end + (a.end if la is None else la))
        out: Terms = {}
        for e, c in a.terms.items():
            for f, d in b.terms.items():
                if e + f < end:
                    product = self.coefs.mul(c, d)
                    out[e + f] = self.coefs.add(out[e + f], product) if e + f in out else product
        return self._trimmed(out, end)

    def _trimmed(self, terms: Terms, end: Fraction) -> Series:
        kept = {e: c for e, c in terms.items() if not is_number(c, 0)}
        if kept:
            end = min(end, min(kept) + self.width)
            kept = {e: c for e, c in kept.items() if e < end}
        return Series(kept, end)

    def shifted(self, a: Series, by: Fraction) -> Series:
        """Return t^`by` times a series."""
        return Series({e + by: c for e, c in a.terms.items()}, a.end + by)

    def _split(self, a: Series) -> tuple[Fraction, Coefficient, Series] | None:
        """Return (v, c, w) with a = c t^v (1 + w)."""
        v = a.leading
        if v is None:
            return None
        c = a.terms[v]
        inverse = self.coefs.power(c, -ONE)
        if inverse is None:
            return None
        rest = Series({e: k for e, k in a.terms.items() if e != v}, a.end)
        return v, c, self.shifted(self.scale(rest, inverse), -v)

    def power(self, a: Series, p: Fraction) -> Series | None:
        """Return a power, by the binomial series."""
        if p == 0:
            return self.constant(ONE)
        split = self._split(a)
        if split is None:
            return None
        v, c, w = split
        factor = self.coefs.power(c, p)
        if factor is None:
            return None
        out = self.composed(w, lambda k, last: last * (p - k + 1) / k)
        return self.shifted(self.scale(out, factor), v * p)

    def composed(self, w: Series, next_factor: Callable[[int, Fraction], Fraction], first: Fraction = ONE) -> Series:
        """Return Σ f_k w^k for a `w` that vanishes at 0, f_k by recurrence."""
        total = self.constant(first)
        power = self.constant(ONE)
        factor, k = ONE, 0
        step = w.leading
        if step is None:
            return Series(total.terms, min(total.end, w.end))
        total = Series(total.terms, min(total.end, w.end))
        while (k + 1) * step < self.width and k < 4 * self.width:
            k += 1
            factor = next_factor(k, factor)
            power = self.mul(power, w)
            if factor:
                total = self.add(total, self.scale(power, factor))
        return total

    def around(self, a: Series) -> tuple[Coefficient, Series] | None:
        """Return (u0, w) with a = u0 + w and w vanishing at 0; None where a is infinite there."""
        if a.leading is not None and a.leading < 0:
            return None
        if a.end <= 0:
            return None
        return a.terms.get(ZERO, ZERO), Series({e: c for e, c in a.terms.items() if e > 0}, a.end)

    def exp(self, a: Series) -> Series | None:
        """Return the exponential."""
        parts = self.around(a)
        if parts is None:
            return None
        out = self.composed(parts[1], lambda k, last: last / k)
        return out if is_number(parts[0], 0) else self.scale(out, self.coefs.apply("exp", parts[0]))

    def log(self, a: Series) -> Series | None:
        """Return the logarithm; of a multiple of t^v with v log t as a coefficient."""
        split = self._split(a)
        if split is None:
            return None
        v, c, w = split
        if isinstance(c, Fraction) and c < 0:
            return None
        out = self.composed(w, lambda k, last: ONE if k == 1 else last * (1 - k) / k, ZERO)
        constant: Coefficient = ZERO if is_number(c, 1) else self.coefs.apply("log", c)
        if v:
            if self._log_t is None:
                return None
            self.has_logs = True
            constant = self.coefs.add(constant, self.coefs.mul(v, self._log_t))
        return self.add(out, self.constant(constant))

    def sin_cos(self, a: Series) -> tuple[Series, Series] | None:
        """Return sine and cosine."""
        parts = self.around(a)
        if parts is None:
            return None
        u, w = parts
        s = self.composed(w, lambda k, last: ONE if k == 1 else self._alternate(k, 1), ZERO)
        c = self.composed(w, lambda k, last: self._alternate(k, 0))
        if is_number(u, 0):
            return s, c
        su, cu = self.coefs.apply("sin", u), self.coefs.apply("cos", u)
        sine = self.add(self.scale(c, su), self.scale(s, cu))
        return sine, self.sub(self.scale(c, cu), self.scale(s, su))

    @staticmethod
    def _alternate(k: int, parity: int) -> Fraction:
        from math import factorial

        return ZERO if k % 2 != parity else Fraction((-1) ** (k // 2), factorial(k))

    def integral(self, a: Series, inner: Callable[[Series], Series | None], op: str) -> Series | None:
        """Return a function of `a` whose derivative at a is `inner(a)`, by integrating inner(a) a'."""
        parts = self.around(a)
        slope = inner(a)
        if parts is None or slope is None or self.has_logs:
            return None
        rate = Series({e - 1: self.coefs.mul(c, e) for e, c in a.terms.items() if e}, a.end - 1)
        product = self.mul(slope, rate)
        if product.leading is not None and product.leading <= -1:
            return None
        grown = {e + 1: self.coefs.mul(c, ONE / (e + 1)) for e, c in product.terms.items()}
        start = ZERO if is_number(parts[0], 0) and op != "acos" else self.coefs.apply(op, parts[0])
        return self.add(Series(grown, product.end + 1), self.constant(start))
