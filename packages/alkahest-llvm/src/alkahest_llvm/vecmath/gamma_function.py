"""gamma and lgamma.

Below 8, x is n + v with an integer n and |v| <= 1/2, and gamma(x) is gamma(2 + v), a polynomial, times the factors
x - 1, x - 2, … in between, or divided by x and x + 1; all of them are exact. From 8 on, Stirling's formula (DLMF
5.11.1) with a polynomial in 1/x^2. Negative arguments: gamma(x) = -pi / (|x| sin(pi |x|) gamma(|x|)) (DLMF 5.5.3 and
5.5.1), which has exact arguments again. lgamma is the sum of the logarithms. All of it is in sums of two doubles,
rounded at the end; that is also why factorials that are doubles come out exactly.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, fabs, fma, horner, rint, select
from alkahest_llvm.vecmath.coefficients import PI
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, INF, NAN, fast_two_sum, patch, rough_reciprocal, scale
from alkahest_llvm.vecmath.lgamma_zeros import improved
from alkahest_llvm.vecmath.logarithm import exponent_and_fraction
from alkahest_llvm.vecmath.power import twofold_log
from alkahest_llvm.vecmath.reflection import fraction, sine_of_pi
from alkahest_llvm.vecmath.registry import kernel
from alkahest_llvm.vecmath.special_coefficients import (
    GAMMA,
    HALF_LOG_TWO_PI,
    LGAMMA,
    LGAMMA_FIRST,
    LOG_PI,
    STIRLING,
)
from alkahest_llvm.vecmath.twofold import (
    Twofold,
    choose,
    exponential,
    magnitude,
    minus,
    over,
    plus,
    polynomial,
    times,
    times_one,
)

_STIRLING_FROM = 8.0
_TINY = 2.0**-60  # the pole at 0 hides all else below it
_FAR = 2.0**1000  # from here on lgamma(x) is x (log x - 1)
_LARGEST = 190.0  # gamma has overflowed, its reciprocal underflowed


def _reduced(x: Value) -> tuple[Value, Twofold, Value]:
    """Return v, q and whether gamma(x) is gamma(2 + v) / q, and not gamma(2 + v) q, for -1/2 <= x <= 8."""
    n = rint(x)
    down = n < 1.5
    one = x.builder.constant(1.0, "double")
    first = select(n > 2.5, x - 1.0, select(down, x, one))
    above = x + 1.0
    second = select(n > 3.5, x - 2.0, select(n < 0.5, above, one))
    q = times_one((second, select(n < 0.5, x - (above - 1.0), 0.0)), first)

    def longer() -> list[Value]:
        product = q
        for k in range(3, int(_STIRLING_FROM) - 1):
            product = times_one(product, select(n > k + 1.5, x - float(k), one))
        return list(product)

    high, low = x.builder.if_any(n > 4.5, longer, q)
    return x - n, (high, low), down


def _stirling(x: Value, log_x: Twofold) -> Twofold:
    """Return log(gamma(x)) for 8 <= x < 2^1000, given log x."""
    below = x - 0.5
    product = times(log_x, (below, (x - below) - 0.5))
    high, error = fast_two_sum(product[0], -x)
    inverse = 1.0 / x
    series = fma(horner(inverse * inverse, STIRLING), inverse, HALF_LOG_TWO_PI[1])
    total, error_2 = fast_two_sum(high, high.builder.constant(HALF_LOG_TWO_PI[0], "double"))
    return fast_two_sum(total, series + (error_2 + (error + product[1])))


def _log(a: Twofold) -> Twofold:
    """Return log a for positive normal a."""
    high, low = twofold_log(*exponent_and_fraction(a[0]))
    return high, fma(a[1], rough_reciprocal(a[0]), low)


# gamma


@kernel("gamma", inline=False)
def gamma(x: Value) -> Value:
    """Return the gamma function: ±inf at ±0, nan at negative integers and -inf.

    Error below 0.7 ulp, subnormal results 1 ulp.
    """
    b = x.builder
    high, low = _gamma_near(x)
    y = patch(x > _STIRLING_FROM, high + low, lambda: b.kernel("gamma_far", x))
    return patch(~(x >= -0.5) | (fabs(x) < _TINY), y, lambda: b.kernel("gamma_any", x))


def _gamma_near(x: Value) -> Twofold:
    """Return gamma(x) for -1/2 <= x <= 8, except within 2^-60 of 0."""
    v, q, down = _reduced(x)
    start = polynomial(v, (1.0,), GAMMA)
    high, low = times(start, q)
    high, low = x.builder.if_any(down, lambda: list(choose(down, over(start, q), (high, low))), [high, low])
    return high, low


def _gamma_far(x: Value) -> tuple[Twofold, Value]:
    """Return v and k, where gamma(x) = v 2^k, for 8 <= x < 2^1000."""
    v, v_low, shifted = exponential(_stirling(x, twofold_log(*exponent_and_fraction(x))))
    return (v, v_low), shifted - EXPONENT_SHIFT


@kernel("gamma_far", inline=False)
def gamma_far(x: Value) -> Value:
    """Return gamma(x) for x >= 8."""
    (high, low), k = _gamma_far(select(x > _LARGEST, _LARGEST, x))
    return scale(high + low, k)


@kernel("gamma_any", inline=False)
def gamma_any(x: Value) -> Value:
    """Return gamma(x) where |x| is tiny, or x is below -1/2 or nan."""
    b = x.builder
    size = fabs(x)
    a = select(size > _LARGEST, _LARGEST, select(size < 0.5, 1.0, size))
    high, low = _gamma_near(a)
    zero = b.constant(0.0, "double")

    def larger() -> list[Value]:
        far, k = _gamma_far(a)
        return [*choose(a > _STIRLING_FROM, far, (high, low)), select(a > _STIRLING_FROM, k, zero)]

    high, low, k = b.if_any(a > _STIRLING_FROM, larger, [high, low, zero])
    n = rint(size)
    bottom = times(times_one(sine_of_pi(fraction(size)), a), (high, low))
    high, low = over((b.constant(-PI[0], "double"), b.constant(-PI[1], "double")), bottom)
    y = scale(high + low, -k)
    half = n * 0.5
    y = select(equal(rint(half), half), y, -y)
    y = select(equal(n, size) | equal(x, -INF), NAN, y)
    return select(size < _TINY, 1.0 / x, y)


# lgamma


@kernel("lgamma", inline=False)
def lgamma(x: Value) -> Value:
    """Return log |gamma(x)|, inf at 0, at negative integers and at both infinities.

    Error below 0.7 ulp, beside all zeros too.
    """
    high, low = _lgamma_from_near_zero(x)
    usual = (x >= -0.5) & (x <= _FAR) & (fabs(x) >= _TINY)
    return patch(~usual, (high + low) + 0.0, lambda: x.builder.kernel("lgamma_any", x))


def _lgamma_from_near_zero(x: Value) -> Twofold:
    """Return log |gamma(x)| for -1/2 <= x <= 2^1000, except within 2^-60 of 0."""
    b = x.builder
    small = x < _STIRLING_FROM
    v, q, down = _reduced(select(small, x, 2.0))
    zero = b.constant(0.0, "double")
    log_q = _log(choose(small, magnitude(q), (x, zero)))
    log_gamma = times_one(polynomial(v, LGAMMA_FIRST, LGAMMA), v)
    high, low = plus(choose(down, minus(log_q), log_q), log_gamma)
    high, low = b.if_any(~small, lambda: list(choose(small, (high, low), _stirling(x, log_q))), [high, low])
    return high, low


@kernel("lgamma_any", inline=False)
def lgamma_any(x: Value) -> Value:
    """Return log |gamma(x)| where |x| is tiny, x is large or below -1/2."""
    b = x.builder
    size = fabs(x)
    y = patch(size < _TINY, x, lambda: -b.kernel("log", select(size < _TINY, size, 1.0)))
    y = patch(x > _FAR, y, lambda: _lgamma_far(x))

    def reflected() -> list[Value]:
        a = select((x < -0.5) & (x > -_FAR), size, 1.5)
        f = fabs(fraction(a))
        pole = equal(f, 0.0)
        bottom = _log(times_one(sine_of_pi(select(pole, 0.5, f)), a))
        pi: Twofold = b.constant(LOG_PI[0], "double"), b.constant(LOG_PI[1], "double")
        high, low = plus(plus(pi, minus(bottom)), minus(_lgamma_from_near_zero(a)))
        return [select(x < -0.5, select(pole | (x <= -_FAR), INF, high + low), y)]

    (y,) = b.if_any(x < -0.5, reflected, [y])
    return improved(x, y)


def _lgamma_far(x: Value) -> Value:
    """Return x (log x - 1), which overflows only where it must, for x > 2^1000; infinity of infinity."""
    high, low = twofold_log(*exponent_and_fraction(x))
    less = high - 1.0
    high, low = times_one((less, ((high - less) - 1.0) + low), x * 2.0**-64)
    return select(equal(x, INF), x, (high + low) * 2.0**64)
