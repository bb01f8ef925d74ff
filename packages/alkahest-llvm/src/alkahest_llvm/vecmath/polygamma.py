"""polygamma of constant orders: the derivatives of digamma, which gradients of the gamma family need."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import comb, factorial, pi

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, fabs, floor, fma, horner, select
from alkahest_llvm.vecmath import LARGEST_POLYGAMMA_ORDER
from alkahest_llvm.vecmath.common import INF, NAN, patch
from alkahest_llvm.vecmath.reflection import cotangent_of_pi, fraction
from alkahest_llvm.vecmath.registry import kernel
from alkahest_llvm.vecmath.twofold import Twofold, times

_RELATIVE_ERROR = 2.0**-58  # of the asymptotic series
_MOST_TERMS = 40


@cache
def _bernoulli(n: int) -> tuple[Fraction, ...]:
    """Return the Bernoulli numbers B(0) to B(n)."""
    numbers: list[Fraction] = []
    for m in range(n + 1):
        total = sum((comb(m + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(Fraction(1) if m == 0 else -total / (m + 1))
    return tuple(numbers)


@cache
def _series(n: int) -> tuple[int, tuple[float, ...]]:
    """Return from which argument, and with which terms, the asymptotic series of order n is good enough.

    |psi_n(x)| x^n / (n - 1)! is 1 + n / (2 x) + the sum of B(2k) (2k + n - 1)! / ((2k)! (n - 1)!) x^-2k (DLMF 5.15.9);
    the error is below the first term left out. The terms are those of k = 1, 2, ….
    """
    b = _bernoulli(2 * _MOST_TERMS)
    terms = [b[2 * k] * comb(2 * k + n - 1, 2 * k) for k in range(1, _MOST_TERMS + 1)]
    for start in range(4, 100):
        for k, term in enumerate(terms):
            if abs(term) / start ** (2 * k + 2) < _RELATIVE_ERROR:
                return start, tuple([float(t) for t in terms[:k]])
    raise ValueError(f"the asymptotic series of order {n} does not serve")


@cache
def _derivative_of_cotangent(n: int) -> tuple[float, ...]:
    """Return the coefficients in c^2 of (-d/dt)^n cot t, divided by c = cot t where n is even.

    The derivative of c is -(1 + c^2), so that each polynomial Q is followed by (1 + c^2) Q'.
    """
    q = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(q)][1:]
        q = [a + b for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return tuple([float(c) for c in q[(n + 1) % 2 :: 2]])


def _inverse(x: Value, low: Value) -> Twofold:
    """Return 1 / (x + low)."""
    inverse = 1.0 / x
    return inverse, fma(-inverse, low, fma(-inverse, x, 1.0)) * inverse


def _power(a: Twofold, n: int) -> Twofold:
    """Return a^n by repeated squaring."""
    result: Twofold | None = None
    while True:
        if n & 1:
            result = a if result is None else times(result, a)
        n >>= 1
        if n == 0 and result is not None:
            return result
        a = times(a, a)


def _whole(a: Twofold) -> Value:
    """Return a as one number; where it has overflown, its second part means nothing."""
    total = a[0] + a[1]
    return select(total.compare("ord", 0.0), total, a[0])


def _factorial_times_power(a: Twofold, n: int) -> tuple[Value, float]:
    """Return (n - 1)! a^n as a product of a value and of a constant from 1 to 2.

    Powers of two go into the factors, so that no power underflows before the product does.
    """
    each, rest = divmod(factorial(n - 1).bit_length() - 1, n)
    scaled = _times_power_of_two(a, each)
    product = _times_power_of_two(a, each + rest)
    if n > 1:
        product = times(_power(scaled, n - 1), product)
    return _whole(product), factorial(n - 1) / 2.0 ** (each * n + rest)


def _times_power_of_two(a: Twofold, exponent: int) -> Twofold:
    return (a[0] * 2.0**exponent, a[1] * 2.0**exponent) if exponent else a


def _size(x: Value, n: int, first: Value) -> Value:
    """Return |psi_n(x + first)| for x > 0 and `first` 0 or 1: recurrence (DLMF 5.15.5) up to the asymptotic series."""
    b = x.builder
    start, series = _series(n)
    shift = float(start) - floor(x)
    shift = select(shift > first, shift, first)
    z = x + shift
    inverse = _inverse(z, x - (z - shift))
    power, c = _factorial_times_power(inverse, n)
    near_c = fma(inverse[0], 0.5 * n * c, fma(horner(inverse[0] * inverse[0], (0.0, *series)), c, c))
    total = power * near_c

    def add(k: Value, total: Value) -> list[Value]:
        at = x + k
        term = _whole(_power(_inverse(at, x - (at - k)), n + 1)) * float(factorial(n))
        return [k - 1.0, select(k >= first, total + term, total)]

    return b.while_any(lambda k, _: k >= first, add, [shift - 1.0, total])[1]  # the small terms first


def _reflected(x: Value, n: int) -> Value:
    """Return psi_n(x) for x < 0 (DLMF 5.15.6): the derivative of a cotangent and psi_n(1 - x)."""
    f = fraction(x)
    c = cotangent_of_pi(f)
    y = horner(c * c, _derivative_of_cotangent(n)) * pi ** (n + 1)
    y = (y if n % 2 else -(y * c)) - _size(fabs(x), n, x.builder.constant(1.0, "double"))
    return select(equal(f, 0.0), INF if n % 2 else NAN, y)


def _of_order(n: int) -> Callable[[Value], Value]:
    def polygamma(x: Value) -> Value:
        """Return psi_n(x); poles are inf for odd n and nan for even n.

        Error below 4 ulp for x > 0; for x < 0 below 2 n + 4 ulp of the larger of the two parts, which may cancel.
        """
        y = _size(fabs(x), n, x.builder.constant(0.0, "double"))
        y = patch(x < 0.0, y if n % 2 else -y, lambda: _reflected(x, n))
        y = select(equal(x, 0.0), INF if n % 2 else NAN, y)
        y = select(equal(x, INF), 0.0, y)
        return select(equal(x, -INF), NAN, y)

    return polygamma


for _n in range(1, LARGEST_POLYGAMMA_ORDER + 1):
    kernel(f"polygamma{_n}", inline=False)(_of_order(_n))
