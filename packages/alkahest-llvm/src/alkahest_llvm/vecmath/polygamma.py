"""The first three derivatives of digamma, which gradients of the gamma family need."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, floor, horner, rint, select
from alkahest_llvm.vecmath.coefficients import PI
from alkahest_llvm.vecmath.common import INF, NAN
from alkahest_llvm.vecmath.registry import kernel

ORDERS = (1, 2, 3)
_ASYMPTOTIC_FROM = 18
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_FACTORIAL = (1.0, 1.0, 2.0, 6.0)
_TINY = 1e-100  # the pole at 0 hides all else below it


def _series(n: int) -> tuple[float, ...]:
    """Return B(2k) (2k + n - 1)! / (2k)!, k = 1, 2, …: the asymptotic series of |psi_n| (DLMF 5.15.9)."""
    out: list[float] = []
    for k, b in enumerate(_BERNOULLI, start=1):
        factor = b
        for j in range(2 * k + 1, 2 * k + n):
            factor *= j
        out.append(factor)
    return tuple(out)


def _power(x: Value, n: int) -> Value:
    out = x
    for _ in range(n - 1):
        out = out * x
    return out


def _size(x: Value, n: int) -> Value:
    """Return |psi_n(x)| for x > 0: recurrence up to 18 (DLMF 5.15.5), then the asymptotic series."""
    shift = select(x < float(_ASYMPTOTIC_FROM), float(_ASYMPTOTIC_FROM) - floor(x), 0.0)
    z = x + shift
    inverse = 1.0 / z
    square = inverse * inverse
    tail = horner(square, _series(n)) * square
    head = _FACTORIAL[n - 1] + inverse * (0.5 * _FACTORIAL[n])
    total = (head + tail) * _power(inverse, n)
    for k in range(_ASYMPTOTIC_FROM - 1, -1, -1):  # the small terms first
        at = x + float(k)
        total = select(at < z, total + _FACTORIAL[n] / _power(at, n + 1), total)
    return select(x < _TINY, _FACTORIAL[n] / _power(x, n + 1), total)


def _of_order(x: Value, n: int) -> Value:
    """Return psi_n(x); negative arguments are reflected (DLMF 5.15.6), poles are inf for odd n and nan for even n."""
    negative = x < 0.0
    y = _size(select(negative, 1.0 - x, x), n)
    fraction = x - rint(x)
    sine, cosine = x.builder.kernels("sincos", fraction * PI[0])
    inverse = PI[0] / sine
    square = inverse * inverse
    if n == 1:
        reflected = square - y
    elif n == 2:
        y = -y
        reflected = y - (2.0 * cosine) * (square * inverse)
    else:
        reflected = 2.0 * (square * square) * (1.0 + 2.0 * (cosine * cosine)) - y
    y = select(negative, reflected, y)
    pole = equal(fraction, 0.0) & (x <= 0.0)
    y = select(pole, INF if n % 2 else NAN, y)
    y = select(equal(x, INF), 0.0, y)
    return select(equal(x, -INF), NAN, y)


@kernel("polygamma1", inline=False)
def polygamma1(x: Value) -> Value:
    """Return trigamma(x); relative error below 4 ulp for x > 0."""
    return _of_order(x, 1)


@kernel("polygamma2", inline=False)
def polygamma2(x: Value) -> Value:
    """Return the second derivative of digamma; relative error below 4 ulp for x > 0."""
    return _of_order(x, 2)


@kernel("polygamma3", inline=False)
def polygamma3(x: Value) -> Value:
    """Return the third derivative of digamma; relative error below 4 ulp for x > 0."""
    return _of_order(x, 3)
