"""exp and expm1.

Method: x = k ln 2 + r with |r| <= ln(2)/2 (W. J. Cody and W. Waite, "Software Manual for the Elementary Functions",
1980, chapter 6), a polynomial for (e^r - 1 - r) / r^2, and a product with 2^k.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, equal, fma, horner, is_nan, select
from alkahest_llvm.vecmath.coefficients import EXP, EXPM1, LN2, LOG2_E
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    INF,
    fast_two_sum,
    outside,
    patch,
    power_of_two,
    scale,
    two_product,
)
from alkahest_llvm.vecmath.registry import kernel

# |x| below this: 2^k and the result are normal numbers.
USUAL = 708.0

_BEYOND_SQUARE = tuple([2.0 * c for c in EXPM1[1:]])  # (e^r - 1 - r - r^2/2) / (r^3/2)


def reduced(x: Value) -> tuple[Value, Value, Value]:
    """Return `k + EXPONENT_SHIFT`, k and r, where x = k ln 2 + r to half an ulp of r."""
    shifted = fma(x, LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    return shifted, k, fma(k, -LN2[1], fma(k, -LN2[0], x))


def reduced_twofold(x: Value) -> tuple[Value, Value, Value, Value]:
    """Return `k + EXPONENT_SHIFT`, k, and r as a sum of two, where x = k ln 2 + r to about 2^-85."""
    shifted = fma(x, LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    exact = fma(k, -LN2[0], x)
    rest = k * -LN2[1]
    r = exact + rest
    return shifted, k, r, (exact - r) + rest


def near_one(r: Value) -> Value:
    """Return e^r for a reduced r: 1 + r is kept with its rounding error until the end."""
    h = 1.0 + r
    return h + fma(r * r, horner(r, EXP), (1.0 - h) + r)


@kernel("exp_usual")
def exp_usual(x: Value) -> Value:
    """Return e^x for |x| <= 708 or nan, and nothing of meaning for other x: `exp` without its test, the same bits."""
    shifted, _, r = reduced(x)
    return near_one(r) * power_of_two(shifted)


@kernel("exp")
def exp(x: Value) -> Value:
    """Return e^x. Error below 0.87 ulp on [-708, 708], 0.93 ulp with subnormal results."""
    return patch(outside(x, USUAL), exp_usual(x), lambda: x.builder.kernel("exp_any", x))


@kernel("exp_any", inline=False)
def exp_any(x: Value) -> Value:
    """Return e^x for any x: infinities, nan, overflow and subnormal results."""
    clamped = select(x > 710.0, 710.0, x)
    clamped = select(clamped < -750.0, -750.0, clamped)
    _, k, r = reduced(clamped)
    return scale(near_one(r), k)


@kernel("half_exp", inline=False)
def half_exp(x: Value) -> Value:
    """Return e^x / 2 for x >= 708 or nan; it overflows only where the result does."""
    _, k, r = reduced(select(x > 720.0, 720.0, x))
    return scale(near_one(r), k - 1.0)


@kernel("expm1")
def expm1(x: Value) -> Value:
    """Return e^x - 1. Error below 0.7 ulp.

    2^k (1 + z + w) - 1 is summed as (2^k - 1) + 2^k z, whose rounding error is kept, + 2^k w.
    """
    s, z, w = expm1_parts(x)
    h, a = s - 1.0, s * z
    total = h + a
    y = total + fma(s, w, ((h - total) + a) + ((s - h) - 1.0))
    return patch(outside(x, USUAL), copysign(y, x), lambda: x.builder.kernel("expm1_any", x))


def expm1_parts(x: Value) -> tuple[Value, Value, Value]:
    """Return s = 2^k, z and w, where e^x = s (1 + z + w) and w is small: the terms r + r^2/2 are summed exactly."""
    shifted, _, r, r_low = reduced_twofold(x)
    t, t_low = two_product(r, r * 0.5)
    z, error = fast_two_sum(r, t)
    w = (error + t_low) + fma(r_low, r, r_low)
    return power_of_two(shifted), z, fma(t * r, horner(r, _BEYOND_SQUARE), w)


@kernel("expm1_any", inline=False)
def expm1_any(x: Value) -> Value:
    """Return e^x - 1 where |x| is large or not finite: e^x, -1 or nan."""
    y = select(x > 0.0, x.builder.kernel("exp_any", x), -1.0)
    y = select(is_nan(x), x, y)
    return select(equal(x, INF), INF, y)
