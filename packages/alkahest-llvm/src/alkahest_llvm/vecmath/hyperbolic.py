"""sinh, cosh and tanh."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import fabs, fma, horner, select
from alkahest_llvm.vecmath.coefficients import COSH, EXP, LN2, LOG2_E, SINH, TANH_BOTTOM, TANH_TOP
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, even_odd, outside, power_of_two, signed, unless
from alkahest_llvm.vecmath.exponential import USUAL, reduced, reduced_twofold
from alkahest_llvm.vecmath.registry import kernel

_HALF_SHIFT = EXPONENT_SHIFT - 1.0
_NEAR = 0.95  # up to here tanh is x + x^3 p(x^2) / q(x^2)
_ONE_FROM = 20.0  # from here on tanh is 1


def _halves(size: Value) -> tuple[Value, Value, Value, Value, Value, Value]:
    """Return a = 2^(k-1), b = 2^(-k-1), cosh(r) - 1, and sinh(r) as r, a small and a tiny term; size = k ln 2 + r.

    With them, cosh x = (a + b) cosh r + (a - b) sinh r, sinh x = (a - b) cosh r + (a + b) sinh r.
    """
    shifted, k, r, r_low = reduced_twofold(size, _HALF_SHIFT)
    u = r * r
    cosh_rest = u * fma(u, horner(u, COSH), 0.5)
    return power_of_two(shifted), power_of_two(_HALF_SHIFT - k), cosh_rest, r, (u * r) * horner(u, SINH), r_low


@kernel("cosh")
def cosh(x: Value) -> Value:
    """Return the hyperbolic cosine. Error below 0.9 ulp."""
    return unless(outside(x, USUAL), lambda: _cosh(x), lambda: x.builder.kernel("cosh_any", x))


def _cosh(x: Value) -> Value:
    a, b, c, s, s_rest, _ = _halves(fabs(x))
    difference = a - b
    high = fma(difference, s, a)
    lost = fma(difference, s, a - high)
    return high + (fma(difference, s_rest, fma(a + b, c, lost)) + b)


@kernel("cosh_any", inline=False)
def cosh_any(x: Value) -> Value:
    """Return the hyperbolic cosine of any x: e^|x| / 2 is all that is left of it where |x| is large or not finite."""
    return select(outside(x, USUAL), x.builder.kernel("half_exp", fabs(x)), _cosh(x))


@kernel("sinh")
def sinh(x: Value) -> Value:
    """Return the hyperbolic sine. Error below 0.9 ulp."""
    return unless(outside(x, USUAL), lambda: _sinh(x), lambda: x.builder.kernel("sinh_any", x))


def _sinh(x: Value) -> Value:
    a, b, c, s, s_rest, s_low = _halves(fabs(x))
    total, difference = a + b, a - b
    high = fma(total, s, difference)
    lost = fma(total, s, difference - high) + ((a - difference) - b)
    return signed(high + fma(difference, c, fma(total, s_rest + s_low, lost)), x)


@kernel("sinh_any", inline=False)
def sinh_any(x: Value) -> Value:
    """Return the hyperbolic sine of any x: ±e^|x| / 2 is all that is left where |x| is large or not finite."""
    return select(outside(x, USUAL), signed(x.builder.kernel("half_exp", fabs(x)), x), _sinh(x))


@kernel("tanh")
def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent. Error below 0.97 ulp.

    x + x q(x^2) with a quotient of polynomials q for |x| <= 0.95, else 1 - 2 / (e^2|x| + 1): one division, whichever of
    the two is wanted.
    """
    size = fabs(x)
    far = size > _NEAR
    u = size * size
    top = fma(size * TANH_TOP[0], size, (u * horner(u, TANH_TOP[1:])) * u)
    numerator = select(far, -2.0, top)
    denominator = select(far, _exp_of_twice(_limited(size), 1.0), horner(u, TANH_BOTTOM))
    base = select(far, 1.0, size)
    return signed(fma(base, numerator / denominator, base), x)


def _limited(size: Value) -> Value:
    return select(size > _ONE_FROM, _ONE_FROM, size)


def _exp_of_twice(x: Value, more: float) -> Value:
    """Return e^(2 x) + 1 or - 1: with 2 x = k ln 2 + 2 r, and the polynomial for e^(2 r) in r."""
    shifted = fma(x, 2.0 * LOG2_E[0], EXPONENT_SHIFT)
    k = shifted - EXPONENT_SHIFT
    r = fma(k, -0.5 * LN2[1], fma(k, -0.5 * LN2[0], x))
    s = power_of_two(shifted)
    coefficients = [2.0**j * c for j, c in enumerate(EXP, 2)]
    return fma(s * r, fma(r, even_odd(r, coefficients), 2.0), s + more)


# within 4 ulp


@kernel("tanh_fast")
def tanh_fast(x: Value) -> Value:
    """Return the hyperbolic tangent with an error below 3.8 ulp: e / (e + 2) with e = exp(2 |x|) - 1 in one double."""
    e = _exp_of_twice(_limited(fabs(x)), -1.0)
    return signed(e / (e + 2.0), x)


@kernel("sinh_fast")
def sinh_fast(x: Value) -> Value:
    """Return the hyperbolic sine with an error below 2.4 ulp."""
    return unless(outside(x, USUAL), lambda: _sinh_fast(x), lambda: x.builder.kernel("sinh_fast_any", x))


def _sinh_fast(x: Value) -> Value:
    shifted, k, r = reduced(fabs(x), _HALF_SHIFT)
    a, b = power_of_two(shifted), power_of_two(_HALF_SHIFT - k)
    u = r * r
    cosh_rest = u * fma(u, horner(u, COSH), 0.5)
    difference = a - b
    return signed(difference + fma(difference, cosh_rest, (a + b) * fma(u * r, horner(u, SINH), r)), x)


@kernel("sinh_fast_any", inline=False)
def sinh_fast_any(x: Value) -> Value:
    """Return the hyperbolic sine of any x."""
    return select(outside(x, USUAL), x.builder.kernel("sinh_any", x), _sinh_fast(x))
