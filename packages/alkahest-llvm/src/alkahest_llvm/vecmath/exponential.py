"""exp and expm1.

Method: x = k ln 2 + r with |r| <= ln(2)/2 (W. J. Cody and W. Waite, "Software Manual for the Elementary Functions",
1980, chapter 6), a polynomial for (e^r - 1 - r) / r^2, and a product with 2^k.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import equal, fma, horner, is_nan, select
from alkahest_llvm.vecmath.coefficients import EXP, EXPM1, LN2, LOG2_E
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    INF,
    even_odd,
    outside,
    power_of_two,
    scale,
    signed,
    unless,
)
from alkahest_llvm.vecmath.registry import kernel

# |x| below this: 2^k and the result are normal numbers.
USUAL = 708.0


def reduced(x: Value, shift: float = EXPONENT_SHIFT) -> tuple[Value, Value, Value]:
    """Return `k + shift`, k and r, where x = k ln 2 + r to half an ulp of r."""
    shifted = fma(x, LOG2_E[0], shift)
    k = shifted - shift
    return shifted, k, fma(k, -LN2[1], fma(k, -LN2[0], x))


def reduced_twofold(x: Value, shift: float = EXPONENT_SHIFT) -> tuple[Value, Value, Value, Value]:
    """Return `k + shift`, k, and r as a sum of two, where x = k ln 2 + r to about 2^-85."""
    shifted = fma(x, LOG2_E[0], shift)
    k = shifted - shift
    exact = fma(k, -LN2[0], x)
    r = fma(k, -LN2[1], exact)
    return shifted, k, r, fma(k, -LN2[1], exact - r)


def near_one(r: Value) -> Value:
    """Return e^r for a reduced r as 1 + r (1 + r p(r)): r is so small that but a third of the errors inside is seen."""
    return fma(r, fma(r, even_odd(r, EXP), 1.0), 1.0)


def _exp_usual(x: Value) -> Value:
    """Return e^x for |x| <= 708 or nan, and nothing of meaning for other x."""
    shifted, _, r = reduced(x)
    return near_one(r) * power_of_two(shifted)


@kernel("exp")
def exp(x: Value) -> Value:
    """Return e^x. Error below 0.95 ulp, also of subnormal results."""
    return unless(outside(x, USUAL), lambda: _exp_usual(x), lambda: x.builder.kernel("exp_any", x))


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
    """Return e^x - 1. Error below 0.95 ulp."""
    return unless(outside(x, USUAL), lambda: _expm1(x), lambda: x.builder.kernel("expm1_any", x))


def _expm1(x: Value) -> Value:
    """Return e^x - 1 for |x| < 708.

    With s = 2^k it is ((s - 1) + s r) + s r^2 p(r); what the first two sums and the reduction lose is added to the last
    term.
    """
    shifted, _, r, r_low = reduced_twofold(x)
    s = power_of_two(shifted)
    below = s - 1.0
    high = fma(s, r, below)
    lost = fma(s, r, below - high) + fma(r_low, high + 1.0, (s - below) - 1.0)
    return signed(high + fma((s * r) * r, horner(r, EXPM1), lost), x)


@kernel("expm1_any", inline=False)
def expm1_any(x: Value) -> Value:
    """Return e^x - 1 for any x: large ones give e^x, -1 or nan."""
    y = select(x > 0.0, x.builder.kernel("exp_any", x), -1.0)
    y = select(is_nan(x), x, select(equal(x, INF), INF, y))
    return select(outside(x, USUAL), y, _expm1(x))


@kernel("expm1_fast")
def expm1_fast(x: Value) -> Value:
    """Return e^x - 1 with an error below 2.2 ulp: (s - 1) + s (e^r - 1) with s = 2^k, nothing carried."""
    return unless(outside(x, USUAL), lambda: _expm1_fast(x), lambda: x.builder.kernel("expm1_fast_any", x))


def _expm1_fast(x: Value) -> Value:
    shifted, _, r = reduced(x)
    s = power_of_two(shifted)
    return signed(fma(s * r, horner(r, (1.0, *EXP)), s - 1.0), x)


@kernel("expm1_fast_any", inline=False)
def expm1_fast_any(x: Value) -> Value:
    """Return e^x - 1 for any x."""
    return select(outside(x, USUAL), x.builder.kernel("expm1_any", x), _expm1_fast(x))
