"""digamma, the derivative of the logarithm of gamma."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, fabs, fma, horner, select, trunc
from alkahest_llvm.vecmath.coefficients import DIGAMMA, DIGAMMA_ROOT, PI
from alkahest_llvm.vecmath.common import INF, NAN, patch
from alkahest_llvm.vecmath.reflection import cotangent_of_pi, fraction
from alkahest_llvm.vecmath.registry import kernel
from alkahest_llvm.vecmath.special_coefficients import DIGAMMA_TAIL

_ASYMPTOTIC_FROM = 8.0
_TINY = 2.0**-60  # the pole at 0 hides all else below it


@kernel("digamma", inline=False)
def digamma(x: Value) -> Value:
    """Return digamma(x): -inf at 0, inf at -0, nan at negative integers, as C libraries and SciPy have poles.

    Positive arguments below 8 are brought to [1, 2) by the recurrence (DLMF 5.5.2) and a polynomial takes over, written
    around the root 1.4616… so that it keeps its sign and relative accuracy; from 8 on the asymptotic series (5.11.2),
    its coefficients fitted. Negative arguments are reflected (5.5.4 and 5.5.2): digamma(x) = digamma(-x) - 1/x -
    pi cot(pi x). Error below 4 ulp for positive arguments; for negative ones below 4 ulp of the largest of these three
    parts, which may cancel.
    """
    size = fabs(x)
    y = patch(~(size < _ASYMPTOTIC_FROM), _near(size), lambda: _far(size))
    y = patch(x < 0.0, y, lambda: _reflected(x, y))
    return select(size < _TINY, -1.0 / x, y)


def _near(z: Value) -> Value:
    """Return digamma for 0 < z < 8, by 1/z below 1 and by the sum of 1/(z - k) from 2 on."""
    low = z < 1.0
    whole = trunc(z)
    start = select(low, z + 1.0, (z - whole) + 1.0)
    total = (start - DIGAMMA_ROOT[0] - DIGAMMA_ROOT[1]) * horner(start - 1.5, DIGAMMA)

    def with_terms() -> list[Value]:
        """Add the terms, -1/z or 1/(z - 1) + 1/(z - 2) + …, over their common denominator."""
        n = z.builder.constant(1.0, "double")
        n, d = select(low, -n, n), select(low, z, z - 1.0)
        for k in range(2, int(_ASYMPTOTIC_FROM) - 1):
            more = whole > k + 0.5
            term = z - float(k)
            n, d = select(more, fma(n, term, d), n), select(more, d * term, d)
        return [select(low | (z >= 2.0), total + n / d, total)]

    return z.builder.if_any(low | (z >= 2.0), with_terms, [total])[0]


def _far(z: Value) -> Value:
    """Return digamma for z >= 8 by its asymptotic series."""
    inverse = 1.0 / z
    y = z.builder.kernel("log", z) - fma(horner(inverse * inverse, DIGAMMA_TAIL), inverse * inverse, inverse * 0.5)
    return select(equal(z, INF), z, y)


def _reflected(x: Value, y: Value) -> Value:
    """Return digamma(x) for x < 0 from that of -x."""
    f = fraction(x)
    y = (y - 1.0 / x) - cotangent_of_pi(f) * PI[0]
    return select(equal(f, 0.0) | equal(x, -INF), NAN, y)
