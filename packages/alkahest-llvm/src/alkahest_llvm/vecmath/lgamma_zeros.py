"""lgamma beside its zeros on the negative axis, where the formulas for all other arguments cancel.

A zero z is known to three doubles, so that x - z loses nothing, and a polynomial without the zero does the rest.
Between the first two, -2.457 and -2.748, lgamma remains small, and one polynomial serves both. The others lie on both
sides of poles, ever closer to them; from -17 on the doubles next to a zero are too far from it to need any of this.
"""

from __future__ import annotations

from itertools import chain

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, fabs, fma, rint, select
from alkahest_llvm.vecmath.common import SHIFT, even_odd, fast_two_sum, patch
from alkahest_llvm.vecmath.lgamma_zero_coefficients import (
    BESIDE,
    BETWEEN,
    BETWEEN_FIRST,
    CENTRE,
    FIRST_ZERO,
    SECOND_ZERO,
)
from alkahest_llvm.vecmath.registry import kernel
from alkahest_llvm.vecmath.twofold import Twofold, linear, times, times_one

_REACH = 0.21875  # around the centre, where `BETWEEN` holds
# Where `BESIDE` holds, |lgamma| is less; from the pole -8 on, usual errors are larger and it takes over earlier.
_SMALL, _SMALL_FROM_8 = 0.0625, 0.125
_SUSPECT = 0.203125  # where `BETWEEN` holds, |lgamma| is less


def improved(x: Value, y: Value) -> Value:
    """Return y, which is lgamma(x) to an absolute error, improved where x < -2 is around a zero."""
    b = x.builder
    suspect = (fabs(y) < _SUSPECT) & (x < -2.0)
    # The kernel returns y itself elsewhere: so nothing must be kept across its call, and the usual path saves nothing.
    return b.if_any(suspect, lambda: [b.kernel("lgamma_around_zeros", x, y)], [y])[0]


@kernel("lgamma_around_zeros", inline=False)
def lgamma_around_zeros(x: Value, y: Value) -> Value:
    """Return y, or lgamma(x) itself where x is around a zero."""
    b = x.builder
    y = patch(fabs(x - CENTRE[0]) < _REACH, y, lambda: b.kernel("lgamma_between_zeros", x))
    return b.if_any(_is_beside_pole(x, y), lambda: [b.kernel("lgamma_beside_poles", x, y)], [y])[0]


def _is_beside_pole(x: Value, y: Value) -> Value:
    """Return whether x is around a zero below -3, where alone y, nearly lgamma(x), is as small."""
    limit = select(x < -7.5, y.builder.constant(_SMALL_FROM_8, "double"), _SMALL)
    return (fabs(y) < limit) & (x < -3.0)


@kernel("lgamma_between_zeros", inline=False)
def lgamma_between_zeros(x: Value) -> Value:
    """Return lgamma(x) around its first two zeros below 0. Error below 0.55 ulp."""
    s = x - CENTRE[0]
    square = s * s
    tail = fma(even_odd(square, BETWEEN[3::2]), s, even_odd(square, BETWEEN[2::2]))
    factor = linear(s, BETWEEN[1:2], tail)
    for coefficient in ((BETWEEN[0], 0.0), BETWEEN_FIRST):
        factor = _increased(coefficient, times_one(factor, s))
    high, low = times(times(_less(x, *FIRST_ZERO), _less(x, *SECOND_ZERO)), factor)
    return high + low


@kernel("lgamma_beside_poles", lanewise=True, inline=False)
def lgamma_beside_poles(x: Value, y: Value) -> Value:
    """Return y, or lgamma(x) itself where x is around a zero below -3. Error below 0.55 ulp."""
    return patch(_is_beside_pole(x, y), y, lambda: _beside_pole(x))


def _beside_pole(x: Value) -> Value:
    """Return lgamma(x) around a zero below -3; the zeros are numbered from there."""
    b = x.builder
    table = b.module.table("alkahest_lgamma_zeros", "double", list(chain(*BESIDE)))
    pole = rint(x)
    row = select(x > pole, b.constant(-7.0, "double"), -6.0) - (pole + pole)
    columns = len(BESIDE[0])
    first = (bits(row + SHIFT) & 63) * columns
    zero, middle, low, slope, slope_low, bend, *others = [b.element(table, "double", first + k) for k in range(columns)]
    t = _less(x, zero, middle, low)
    rest = others[-1]
    for c in reversed(others[:-1]):
        rest = fma(rest, t[0], c)
    factor = fma(rest, t[0], bend)
    factor_low = fma(rest, t[0], bend - factor)
    high, low = times(t, _increased((slope, slope_low), times((factor, factor_low), t)))
    return high + low


def _increased(coefficient: tuple[Value | float, Value | float], product: Twofold) -> Twofold:
    """Return their sum, where the coefficient is larger than the product."""
    total = coefficient[0] + product[0]
    return total, ((coefficient[0] - total) + product[0]) + (product[1] + coefficient[1])


def _less(x: Value, high: Value | float, middle: Value | float, low: Value | float) -> Twofold:
    """Return x minus a zero in its vicinity, where the first difference is exact."""
    difference = x - high
    total = difference - middle
    part = total - difference
    error = (difference - (total - part)) - (middle + part)
    return fast_two_sum(total, error - low)
