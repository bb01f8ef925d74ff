"""digamma, the derivative of the logarithm of gamma."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, fma, horner, rint, select, trunc
from alkahest_llvm.vecmath.coefficients import DIGAMMA, DIGAMMA_ROOT, PI
from alkahest_llvm.vecmath.common import INF, NAN
from alkahest_llvm.vecmath.registry import kernel

_ASYMPTOTIC_FROM = 10.0
# -B(2n) / (2n), n = 1, 2, …: the asymptotic series of digamma in 1/x^2 (Abramowitz and Stegun, 6.3.18)
_SERIES = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12, 3617 / 8160)


@kernel("digamma", inline=False)
def digamma(x: Value) -> Value:
    """Return digamma(x): -inf at 0, inf at -0, nan at negative integers, as C libraries and SciPy have poles.

    Positive arguments below 10 are brought to [1, 2) by the recurrence and a polynomial takes over, written around
    the root 1.4616… so that it keeps its sign and relative accuracy; from 10 on the asymptotic series. Negative
    arguments are reflected. Error below 4 ulp for positive arguments, below 4e-15 (1 + |digamma(x)|) for negative.
    """
    b = x.builder
    negative = x < 0.0
    z = select(negative, 1.0 - x, x)
    y = select(z < _ASYMPTOTIC_FROM, _near(z), _far(z))
    fraction = x - rint(x)
    sine, cosine = b.kernels("sincos", fraction * PI[0])
    y = select(negative, y - (cosine * PI[0]) / sine, y)
    y = select((x < 0.0) & equal(fraction, 0.0), NAN, y)
    y = select(equal(x, 0.0), -1.0 / x, y)
    return select(equal(x, INF), x, y)


def _near(z: Value) -> Value:
    """Return digamma for 0 < z < 10, by 1/z below 1 and by the sum of 1/(z - k) from 2 on."""
    low = z < 1.0
    steps = trunc(z) - 1.0
    start = select(low, z + 1.0, z - steps)
    total = (start - DIGAMMA_ROOT[0] - DIGAMMA_ROOT[1]) * horner(start - 1.5, DIGAMMA)
    for k in range(int(_ASYMPTOTIC_FROM) - 2, -1, -1):
        term = start + float(k)
        total = select((term < z) & ~low, total + 1.0 / term, total)
    return select(low, total - 1.0 / z, total)


def _far(z: Value) -> Value:
    """Return digamma for z >= 10 by its asymptotic series."""
    inverse = 1.0 / z
    square = inverse * inverse
    return z.builder.kernel("log", z) - fma(horner(square, _SERIES), -square, inverse * 0.5)
