"""x modulo pi/2 and pi for the trigonometric functions: fast for |x| < 2^26, exact beyond.

Fast: three pieces of pi/2 and fused multiply-adds (Cody and Waite). Beyond: the bits of 2/pi that matter are multiplied
by the significand in integers (M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric functions", SIGNUM
Newsletter 18, 1983), lane by lane.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import bits, copysign, fabs, fma, from_bits, select
from alkahest_llvm.vecmath.coefficients import HALF_PI, HALF_PI_EXACT, TWO_OVER_PI
from alkahest_llvm.vecmath.common import SHIFT, fast_two_sum, two_product
from alkahest_llvm.vecmath.registry import kernel

FAST_LIMIT = 2.0**26
_INVERSE_HALF_PI = 0.6366197723675814
_INVERSE_PI = _INVERSE_HALF_PI / 2.0
_PI_EXACT = tuple([2.0 * p for p in HALF_PI_EXACT])
_LEAST_EXPONENT = -26  # of numbers above FAST_LIMIT, written as an integer of 53 bits times a power of two
_FRACTION_BITS = 10
_FLOOR_SHIFT = 1.5 * 2.0 ** (52 - _FRACTION_BITS)


def quadrant(x: Value) -> tuple[Value, Value, Value]:
    """Return q, r, r', where x = q pi/2 + r - r' and |r| <= pi/4: q modulo 4 in the low bits of an integer."""
    shifted = fma(x, _INVERSE_HALF_PI, SHIFT)
    k = shifted - SHIFT
    near = fma(k, -HALF_PI_EXACT[0], x)  # exact
    r = fma(k, -HALF_PI_EXACT[1], near)
    # near - r is exact, or r is: so no bit is lost where near and its subtrahend, which is a double, cancel.
    return bits(shifted), r, fma(k, HALF_PI_EXACT[2], fma(k, HALF_PI_EXACT[1], r - near))


def quadrant_roughly(x: Value) -> tuple[Value, Value]:
    """Return q and r as above, r in one double."""
    shifted = fma(x, _INVERSE_HALF_PI, SHIFT)
    k = shifted - SHIFT
    near = fma(k, -HALF_PI_EXACT[0], x)
    return bits(shifted), fma(k, -HALF_PI_EXACT[2], fma(k, -HALF_PI_EXACT[1], near))


def half_turns(x: Value) -> tuple[Value, Value, Value]:
    """Return n, r, r', where x = n pi + r - r' and |r| <= pi/2: the parity of n in the sign bit of an integer.

    For x = -0, r is -0 and r' is +0.
    """
    sign, k, near = _half_turn(x)
    r = fma(k, -_PI_EXACT[1], near)
    return sign, r, fma(k, _PI_EXACT[2], fma(k, _PI_EXACT[1], r - near))


def half_turns_roughly(x: Value) -> tuple[Value, Value]:
    """Return n and r as above, r in one double."""
    sign, k, near = _half_turn(x)
    return sign, fma(k, -_PI_EXACT[2], fma(k, -_PI_EXACT[1], near))


def _half_turn(x: Value) -> tuple[Value, Value, Value]:
    """Return the parity of n as above, n itself, and x less n times the first piece of pi."""
    shifted = fma(x, _INVERSE_PI, SHIFT)
    k = shifted - SHIFT
    return bits(shifted) << 63, k, fma(k, -_PI_EXACT[0], x)


def odd_quarter_turns(x: Value) -> tuple[Value, Value, Value]:
    """Return n, r, r', where x = (n + 1/2) pi - r + r' and |r| <= pi/2, for x >= 0: n as in `half_turns`."""
    sign, k, near = _odd_quarter(x)
    lost = fma(k, _PI_EXACT[0], -near) - x  # by the rounding of near, for small x
    r = fma(k, _PI_EXACT[1], near)
    low = fma(k, -_PI_EXACT[1], r - near) - fma(k, _PI_EXACT[2], lost)
    return sign, r, low


def odd_quarter_turns_roughly(x: Value) -> tuple[Value, Value]:
    """Return n and r as above, r in one double, which for small x is off by up to half an ulp of pi/2."""
    sign, k, near = _odd_quarter(x)
    return sign, fma(k, _PI_EXACT[2], fma(k, _PI_EXACT[1], near))


def _odd_quarter(x: Value) -> tuple[Value, Value, Value]:
    """Return the parity of n as above, k = n + 1/2, and k times the first piece of pi, less x.

    x/pi is rounded to ten bits after the point, which are then cleared.
    """
    shifted = bits(fma(x, _INVERSE_PI, _FLOOR_SHIFT)) & -(1 << _FRACTION_BITS)
    k = from_bits(shifted) - (_FLOOR_SHIFT - 0.5)
    return shifted << (63 - _FRACTION_BITS), k, fma(k, _PI_EXACT[0], -x)


@kernel("reduce_large", results=3, lanewise=True, inline=False)
def reduce_large(x: Value) -> tuple[Value, Value, Value]:
    """Return `q + 1.5 2^52`, q modulo 4, and x - q pi/2 as a difference of two, for |x| >= 2^26; nan for infinities.

    With |x| = M 2^e, bits of 2/pi whose product with M 2^e is a multiple of 4 are skipped; the next 192 give
    |x| 2/pi modulo 4 to 2^-126. Doubles come no closer to a multiple of pi/2 than about 2^-62.
    """
    b = x.builder
    ix = bits(fabs(x))
    exponent = (ix >> 52) - 1075
    exponent = select(exponent.compare("lt", _LEAST_EXPONENT), _LEAST_EXPONENT, exponent)
    significand = (ix & 0xFFFFFFFFFFFFF) | (1 << 52)
    w0, w1, w2 = _bits_of_two_over_pi(exponent + 62)
    middle_high, middle_low = _wide_product(b, significand, w1)
    tail, _ = _wide_product(b, significand, w2)
    low = middle_low + tail
    carry = b.convert("zext", low.compare("ult", tail), "i64")
    high = significand * w0 + middle_high + carry
    # The two leading bits of high are the quadrant; the rest, read as a signed fraction, is rounded to the nearest.
    q = b.convert("uitofp", (high + (1 << 61)) >> 62, "double")
    fraction, fraction_low = _twofold(b, b.intrinsic("fshl", high, low, 2), low << 2)
    r, r_low = two_product(fraction, HALF_PI[0] * 2.0**-64)
    r, r_low = fast_two_sum(r, fma(fraction, HALF_PI[1] * 2.0**-64, fma(fraction_low, HALF_PI[0] * 2.0**-64, r_low)))
    sign = copysign(1.0, x)
    return fma(q, sign, SHIFT), fma(r, sign, x - x), -r_low * sign


def _bits_of_two_over_pi(start: Value) -> tuple[Value, Value, Value]:
    """Return 192 bits of 64 zeros followed by the fraction of 2/pi, from the bit numbered `start`."""
    b = start.builder
    table = b.module.table("alkahest_two_over_pi", "i64", (0, *TWO_OVER_PI))
    word, offset = start >> 6, start & 63
    w = [b.element(table, "i64", word + k) for k in range(4)]
    a0, a1, a2 = (b.intrinsic("fshl", w[k], w[k + 1], offset) for k in range(3))
    return a0, a1, a2


def _wide_product(b: Builder, x: Value, y: Value) -> tuple[Value, Value]:
    """Return the high and the low word of the product of two words."""
    product = b.convert("zext", x, "i128") * b.convert("zext", y, "i128")
    return b.convert("trunc", product >> 64, "i64"), b.convert("trunc", product, "i64")


def _twofold(b: Builder, high: Value, low: Value) -> tuple[Value, Value]:
    """Return `high + low / 2^64`, high signed and low unsigned, as a sum of two doubles."""
    top = b.convert("sitofp", high & ~0xFFF, "double")
    rest = b.convert("sitofp", high & 0xFFF, "double")
    tail = b.convert("uitofp", low, "double") * 2.0**-64
    rest_sum = rest + tail
    rest_error = (rest - rest_sum) + tail
    total = top + rest_sum
    return fast_two_sum(total, (rest_sum - (total - top)) + rest_error)
