"""exp and expm1.

Method: x = k ln 2 + r with |r| <= ln(2)/2 (W. J. Cody and W. Waite, "Software Manual for the Elementary Functions",
1980, chapter 6), a polynomial for (e^r - 1 - r) / r^2, and a product with 2^k.
"""

from __future__ import annotations

from alkahest_llvm.builder import Value, copysign, fma, horner, is_nan, select
from alkahest_llvm.vecmath.coefficients import EXP, EXPM1, LN2, LOG2_E
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, INF, outside, patch, power_of_two, scale
from alkahest_llvm.vecmath.registry import kernel

# |x| below this: 2^k and the result are normal numbers.
USUAL = 708.0


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


@kernel("exp")
def exp(x: Value) -> Value:
    """Return e^x. Error below 0.87 ulp on [-708, 708], 0.93 ulp with subnormal results."""
    shifted, _, r = reduced(x)
    y = near_one(r) * power_of_two(shifted)
    return patch(outside(x, USUAL), y, lambda: x.builder.kernel("exp_any", x))


@kernel("exp_any", inline=False)
def exp_any(x: Value) -> Value:
    """Return e^x for any x: infinities, nan, overflow and subnormal results."""
    clamped = select(x > 710.0, 710.0, x)
    clamped = select(clamped < -750.0, -750.0, clamped)
    _, k, r = reduced(clamped)
    return scale(near_one(r), k)


@kernel("expm1")
def expm1(x: Value) -> Value:
    """Return e^x - 1. Error below 0.8 ulp.

    2^k (1 + r + p) - 1 is summed as (2^k - 1) + 2^k r, whose rounding error is kept, + 2^k p.
    """
    s, h, hl, r, p = expm1_parts(x)
    a = s * r
    total = h + a
    y = total + fma(s, p, ((h - total) + a) + hl)
    return patch(outside(x, USUAL), copysign(y, x), lambda: x.builder.kernel("expm1_any", x))


def expm1_parts(x: Value) -> tuple[Value, Value, Value, Value, Value]:
    """Return 2^k, 2^k - 1 and its rounding error, r, and p, where e^x = 2^k (1 + r + p) and p = O(r^2)."""
    shifted, _, r, r_low = reduced_twofold(x)
    s = power_of_two(shifted)
    h = s - 1.0
    return s, h, (s - h) - 1.0, r, fma(r * r, horner(r, EXPM1), r_low)


@kernel("expm1_any", inline=False)
def expm1_any(x: Value) -> Value:
    """Return e^x - 1 where |x| is large or not finite: e^x, -1 or nan."""
    y = select(x > 0.0, x.builder.kernel("exp_any", x), -1.0)
    y = select(is_nan(x), x, y)
    return select(x.compare("eq", INF), INF, y)
