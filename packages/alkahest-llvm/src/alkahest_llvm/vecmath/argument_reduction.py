"""x modulo pi/2 for the trigonometric functions: fast for |x| <= 2^30, exact beyond.

Fast: three pieces of pi/2 and fused multiply-adds (Cody and Waite). Beyond: the bits of 2/pi that matter are multiplied
by the significand in integers (M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric functions", SIGNUM
Newsletter 18, 1983), lane by lane, in a branch that is taken only where a lane needs it.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import bits, copysign, fabs, fma, select
from alkahest_llvm.vecmath.coefficients import HALF_PI, TWO_OVER_PI
from alkahest_llvm.vecmath.common import SHIFT, fast_two_sum, two_product
from alkahest_llvm.vecmath.registry import kernel

FAST_LIMIT = 2.0**30
_INVERSE_HALF_PI = 0.6366197723675814
_LEAST_EXPONENT = -22  # of numbers above FAST_LIMIT, written as an integer of 53 bits times a power of two


def quadrant(x: Value) -> tuple[Value, Value, Value]:
    """Return q, r, r', where x = q pi/2 + r + r' and |r| <= pi/4: q modulo 4 in the low bits of an integer."""
    b = x.builder
    found = b.memo.get(("quadrant", x.ref))
    if found is not None:
        return found
    shifted = fma(x, _INVERSE_HALF_PI, SHIFT)
    k = shifted - SHIFT
    first = fma(-k, HALF_PI[0], x)  # exact
    r = first - k * HALF_PI[1]
    # first - r is exact, as first is a multiple of 2^-53: even where the subtraction cancels, no bit of r is lost.
    low = fma(-k, HALF_PI[2], fma(-k, HALF_PI[1], first - r))
    large = fabs(x) > FAST_LIMIT

    def exactly() -> list[Value]:
        exact = b.kernels("reduce_large", x)
        return [select(large, e, f) for e, f in zip(exact, (shifted, r, low), strict=True)]

    shifted, r, low = b.if_any(large, exactly, (shifted, r, low))
    result = bits(shifted), r, low
    b.memo["quadrant", x.ref] = result
    return result


@kernel("reduce_large", results=3, lanewise=True, inline=False)
def reduce_large(x: Value) -> tuple[Value, Value, Value]:
    """Return `q + 1.5 2^52`, q modulo 4, and x - q pi/2 as a sum of two, for |x| > 2^30; nan for infinities.

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
    return fma(q, sign, SHIFT), fma(r, sign, x - x), r_low * sign


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
