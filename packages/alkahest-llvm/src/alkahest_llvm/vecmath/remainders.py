"""fmod and remainder, exact for all arguments, as both results always are numbers of the same precision.

Method: q is x/y, rounded once by the division and once to an integer. For |x/y| < 2^51 it is within 1/4 + 1/2 of the
quotient, so that |x - q y| <= 3/4 |y|. That difference is a multiple of the last places of x and of y, of the smaller
one; with its size, and since q is 0 where |y| >= 2 |x|, it fits a double: one fused multiply-add gives it exactly. What
is left to add or subtract is one y, exact for the same reason. Larger quotients are divided by y 2^(49 n) first, n
falling to 0: at most 43 such steps, of which all but the last take even multiples of y away.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, ceil, copysign, equal, fabs, fma, from_bits, is_nan, select, unequal
from alkahest_llvm.vecmath.common import (
    EXPONENT_SHIFT,
    INF,
    LARGEST,
    NAN,
    SHIFT,
    SMALLEST_NORMAL,
    patch,
    power_of_two,
)
from alkahest_llvm.vecmath.registry import kernel

_STEP = 49.0  # bits of the quotient that a step takes
_LARGEST_QUOTIENT = 2.0**51
_TWO_TO_52 = 0x4330000000000000


@kernel("fmod")
def fmod(x: Value, y: Value) -> Value:
    """Return x - n y, n being x/y without its fraction: exact, with the sign of x."""
    a, b = fabs(x), fabs(y)
    quotient, r, _ = _step(a, b)
    return patch(_unusual(quotient, b), copysign(_truncated(r, b), x), lambda: x.builder.kernel("fmod_any", x, y))


@kernel("remainder")
def remainder(x: Value, y: Value) -> Value:
    """Return x - n y, n being the integer nearest to x/y, of two such the even one: exact; a zero has the sign of x."""
    a, b = fabs(x), fabs(y)
    quotient, r, odd = _step(a, b)
    usual = _with_sign(_nearest(r, b, odd), x)
    return patch(_unusual(quotient, b), usual, lambda: x.builder.kernel("remainder_any", x, y))


@kernel("fmod_any", inline=False)
def fmod_any(x: Value, y: Value) -> Value:
    """Return fmod(x, y) for any two numbers."""
    b = fabs(y)
    r, _ = _by_steps(fabs(x), b)
    return _special(copysign(_truncated(r, b), x), x, y)


@kernel("remainder_any", inline=False)
def remainder_any(x: Value, y: Value) -> Value:
    """Return remainder(x, y) for any two numbers."""
    b = fabs(y)
    r, odd = _by_steps(fabs(x), b)
    return _special(_with_sign(_nearest(r, b, unequal(odd, 0)), x), x, y)


def _unusual(quotient: Value, b: Value) -> Value:
    return ~((quotient < _LARGEST_QUOTIENT) & (b <= LARGEST))


def _step(a: Value, b: Value) -> tuple[Value, Value, Value]:
    """Return a/b rounded, a - q b, and whether q is odd, where q is a/b rounded to an integer."""
    quotient = a / b
    shifted = quotient + SHIFT
    return quotient, fma(SHIFT - shifted, b, a), unequal(bits(shifted) & 1, 0)


def _truncated(r: Value, b: Value) -> Value:
    return select(r < 0.0, r + b, r)


def _nearest(r: Value, b: Value, odd: Value) -> Value:
    size = fabs(r)
    twice = size + size
    beyond = (twice > b) | (equal(twice, b) & odd)
    return select(beyond, r - copysign(b, r), r)


def _with_sign(r: Value, x: Value) -> Value:
    """Return r with its sign changed where x is negative."""
    return from_bits(bits(r) ^ (bits(x) & (1 << 63)))


def _by_steps(a: Value, b: Value) -> tuple[Value, Value]:
    """Return a - q b, not above 3/4 b, and 1 where q is odd, for finite a >= 0 and finite b > 0."""
    builder = a.builder
    defined = (a < INF) & (b > 0.0) & (b < INF)
    a, b = select(defined, a, 0.0), select(defined, b, 1.0)
    k_a, _ = _exponent(a)
    k_b, normal = _exponent(b)
    n = ceil((k_a - k_b - _STEP) * (1.0 / _STEP))
    n = select(n < 0.0, 0.0, n)
    k = n * _STEP - select(b < SMALLEST_NORMAL, 54.0, builder.constant(0.0, "double"))
    half = fma(k, 0.5, SHIFT) - SHIFT
    divisor = (normal * power_of_two(half + EXPONENT_SHIFT)) * power_of_two((k - half) + EXPONENT_SHIFT)
    divisor = select(equal(n, 0.0), b, divisor)

    def step(n: Value, r: Value, divisor: Value, odd: Value) -> list[Value]:
        going = n >= 0.0
        _, rest, is_odd = _step(r, divisor)
        zero = builder.constant(0, "i64")
        return [
            n - 1.0,
            select(going, rest, r),
            select(n > 0.0, divisor * 2.0**-_STEP, divisor),
            select(going, select(is_odd, 1, zero), odd),
        ]

    start = [n, a, divisor, builder.constant(0, "i64")]
    _, r, _, odd = builder.while_any(lambda n, *_: n >= 0.0, step, start)
    return r, odd


def _exponent(x: Value) -> tuple[Value, Value]:
    """Return k with 2^k <= x < 2^(k + 1), for x > 0, and x itself, times 2^54 where it is subnormal."""
    small = x < SMALLEST_NORMAL
    normal = select(small, x * 2.0**54, x)
    k = from_bits((bits(normal) >> 52) | _TWO_TO_52) - (2.0**52 + 1023.0)
    return select(small, k - 54.0, k), normal


def _special(r: Value, x: Value, y: Value) -> Value:
    """Return r, but x where y is infinite, and nan where x is infinite or y is zero."""
    r = select(equal(fabs(y), INF), x, r)
    r = select(equal(fabs(x), INF) | equal(y, 0.0), NAN, r)
    return select(is_nan(x) | is_nan(y), x + y, r)
