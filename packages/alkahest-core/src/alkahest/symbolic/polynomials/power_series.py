"""Truncated power series by recurrences: coefficients from the lowest on, exact, of any kind that can be computed with.

A coefficient is a rational of FLINT or a `Constant`. Recurrences are those of Knuth, The Art of Computer Programming 2,
section 4.7; they skip coefficients that are zero. Long series of rationals go to FLINT, by Newton's method.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from alkahest.symbolic.rational.constants import Constant
from alkahest.symbolic.rational.flint_ring import fmpq, fmpq_poly

Coefficient: TypeAlias = "fmpq | Constant"
Coefficients: TypeAlias = "list[Any]"  # of Coefficient

ZERO = fmpq(0)
ONE = fmpq(1)
_LONG = 48  # from here on rationals go to FLINT


def is_zero(c: Coefficient) -> bool:
    """Tell whether a coefficient is zero; constants that are zero are numbers."""
    return c.__class__ is fmpq and not c


def _polys(n: int, *series: Coefficients) -> list[fmpq_poly] | None:
    """Return series as polynomials of FLINT, where all are long, dense and rational."""
    if n < _LONG:
        return None
    for a in series:
        if len(a) < _LONG or not all([c.__class__ is fmpq for c in a]):
            return None
    return [fmpq_poly(a[:n]) for a in series]


def _filled(p: fmpq_poly, n: int) -> Coefficients:
    out: Coefficients = list(p.coeffs())[:n]
    return out + [ZERO] * (n - len(out))


def _nonzero(a: Coefficients) -> list[tuple[int, Any]]:
    return [(k, c) for k, c in enumerate(a) if not is_zero(c)]


def multiply(a: Coefficients, b: Coefficients, n: int) -> Coefficients:
    """Return the first n coefficients of a product."""
    p, q = _nonzero(a[:n]), _nonzero(b[:n])
    if len(p) > 8 and len(q) > 8:
        found = _polys(n, a, b)
        if found is not None:
            return _filled(found[0].mul_low(found[1], n), n)
    out: Coefficients = [ZERO] * n
    for k, c in p:
        for j, d in q:
            if j + k >= n:
                break
            out[j + k] = out[j + k] + c * d
    return out


def scaled(a: Coefficients, c: Coefficient) -> Coefficients:
    """Return a series times a constant."""
    return [d if is_zero(d) else d * c for d in a]


def inverse(a: Coefficients, n: int) -> Coefficients:
    """Return 1/a, where the constant term is not zero."""
    known = _nonzero(a[1:n])
    found = _polys(n, a) if len(known) > 8 else None
    if found is not None:
        return _filled(_inverse(found[0], n), n)
    first = ONE / a[0]
    out: Coefficients = [first]
    for k in range(1, n):
        total: Any = ZERO
        for j, c in known:
            if j + 1 > k:
                break
            if not is_zero(out[k - 1 - j]):
                total = total + c * out[k - 1 - j]
        out.append(-total * first)
    return out


def derivative(a: Coefficients) -> Coefficients:
    """Return the derivative, one term shorter."""
    return [c * k for k, c in enumerate(a)][1:]


def integral(a: Coefficients, first: Coefficient = ZERO) -> Coefficients:
    """Return the integral with a given constant term, one term longer."""
    return [first, *[c / (k + 1) for k, c in enumerate(a)]]


def exponential(h: Coefficients, n: int) -> Coefficients:
    """Return exp(h), where the constant term is zero."""
    known = [(k, c * k) for k, c in _nonzero(h[:n])]
    found = _polys(n, h) if len(known) > 8 else None
    if found is not None:
        return _filled(_exponential(found[0], n), n)
    out: Coefficients = [ONE]
    for k in range(1, n):
        out.append(_convolved(known, out, k) / k)
    return out


def logarithm(h: Coefficients, n: int) -> Coefficients:
    """Return log(1 + h), where the constant term is zero."""
    if n < 2:
        return [ZERO] * n
    return integral(multiply(derivative(h[:n]), inverse([ONE, *h[1:]], n - 1), n - 1))


def power(h: Coefficients, exponent: Coefficient, n: int) -> Coefficients:
    """Return (1 + h)**exponent, where the constant term is zero."""
    known = _nonzero(h[:n])
    if len(known) > 8 and exponent.__class__ is fmpq and _polys(n, h) is not None:
        return exponential(scaled(logarithm(h, n), exponent), n)
    out: Coefficients = [ONE]
    for k in range(1, n):
        total: Any = ZERO
        for j, c in known:
            if j > k:
                break
            if not is_zero(out[k - j]):
                total = total + (exponent * j - (k - j)) * c * out[k - j]
        out.append(total / k)
    return out


def sine_cosine(h: Coefficients, n: int, sign: int = -1) -> tuple[Coefficients, Coefficients]:
    """Return sin(h) and cos(h), or sinh(h) and cosh(h) where `sign` is 1, where the constant term is zero."""
    known = [(k, c * k) for k, c in _nonzero(h[:n])]
    if len(known) > 8 and _polys(n, h) is not None:
        return _sine_cosine(h, n, sign)
    sine: Coefficients = [ZERO]
    cosine: Coefficients = [ONE]
    for k in range(1, n):
        s, c = _convolved(known, cosine, k) / k, _convolved(known, sine, k) / k
        sine.append(s)
        cosine.append(-c if sign < 0 else c)
    return sine, cosine


def _convolved(known: list[tuple[int, Any]], other: Coefficients, k: int) -> Any:
    total: Any = ZERO
    for j, c in known:
        if j > k:
            break
        if not is_zero(other[k - j]):
            total = total + c * other[k - j]
    return total


def tangent(u: Coefficients, first: Coefficient, n: int, sign: int = 1) -> Coefficients:
    """Return tan(u), or tanh(u) where `sign` is -1; `first` is its constant term. It solves t' = (1 + sign*t^2)*u'."""
    rest = [ZERO, *u[1:n]]
    if is_zero(first) and _polys(n, rest) is not None:
        sine, cosine = sine_cosine(rest, n, -sign)
        return multiply(sine, inverse(cosine, n), n)
    slope = _nonzero(derivative(u[:n]))
    out: Coefficients = [first]
    squares: Coefficients = []  # 1 + sign*t^2
    for k in range(n - 1):
        square: Any = ZERO
        for j in range(k // 2 + 1):
            if is_zero(out[j]) or is_zero(out[k - j]):
                continue
            square = square + out[j] * out[k - j] * (1 if 2 * j == k else 2)
        squares.append(square * sign + (1 if k == 0 else 0))
        out.append(_convolved(slope, squares, k) / (k + 1))
    return out


# -- Newton's method on polynomials of FLINT (Brent & Kung 1978)


def _lengths(n: int) -> list[int]:
    """Return 1, 2, 3, 6, …, n: each at most twice the one before."""
    out = [n]
    while out[-1] > 1:
        out.append((out[-1] + 1) // 2)
    return out[::-1]


def _inverse(p: fmpq_poly, n: int) -> fmpq_poly:
    out = fmpq_poly([1 / p[0]])
    for m in _lengths(n)[1:]:
        out = out * 2 - p.truncate(m).mul_low(out.mul_low(out, m), m)
    return out.truncate(n)


def _logarithm(p: fmpq_poly, n: int) -> fmpq_poly:
    return p.derivative().mul_low(_inverse(p, n), n - 1).integral() if n > 1 else fmpq_poly([0])


def _exponential(p: fmpq_poly, n: int) -> fmpq_poly:
    out = fmpq_poly([1])
    for m in _lengths(n)[1:]:
        out = out.mul_low(p.truncate(m) - _logarithm(out, m) + 1, m)
    return out


def _sine_cosine(h: Coefficients, n: int, sign: int) -> tuple[Coefficients, Coefficients]:
    """By t = tan(h/2): sin = 2*t/(1 + t^2), cos = (1 - t^2)/(1 + t^2); hyperbolic ones by the exponential."""
    p = fmpq_poly(h[:n])
    if sign > 0:
        up = _exponential(p, n)
        down = _inverse(up, n)
        return _filled((up - down) / 2, n), _filled((up + down) / 2, n)
    half = p / 2
    t = fmpq_poly([0])
    for m in _lengths(n)[1:]:
        square = t.mul_low(t, m) + 1
        angle = t.derivative().mul_low(_inverse(square, m), m).integral()
        t = (t - square.mul_low(angle.truncate(m) - half.truncate(m), m)).truncate(m)
    square = t.mul_low(t, n)
    below = _inverse(square + 1, n)
    return _filled((t * 2).mul_low(below, n), n), _filled((1 - square).mul_low(below, n), n)
