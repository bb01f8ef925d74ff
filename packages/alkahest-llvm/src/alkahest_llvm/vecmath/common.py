"""What the families share: powers of two, exact sums and products, and the split into usual and rare arguments."""

from __future__ import annotations

from collections.abc import Callable

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, fabs, fma, from_bits, select

INF = float("inf")
NAN = float("nan")
SMALLEST_NORMAL = 2.0**-1022
LARGEST = 1.7976931348623157e308

# Adding SHIFT to |x| < 2^51 rounds x to an integer, which then stands in the low bits of the sum.
SHIFT = 1.5 * 2.0**52
# With the bias of the exponent added, those low bits are the exponent field of 2^x.
EXPONENT_SHIFT = SHIFT + 1023.0


def power_of_two(shifted: Value) -> Value:
    """Return 2^k, where `shifted` is `k + EXPONENT_SHIFT` and -1022 <= k <= 1023."""
    return from_bits(bits(shifted) << 52)


def scale(v: Value, k: Value) -> Value:
    """Return `v * 2^k` for |k| < 2000, rounded once even where the result is subnormal.

    `v` must be of the order of one: the first of the two factors then keeps the product normal.
    """
    first = fma(k, 0.5, SHIFT) - SHIFT
    return (v * power_of_two(first + EXPONENT_SHIFT)) * power_of_two((k - first) + EXPONENT_SHIFT)


def fast_two_sum(a: Value, b: Value) -> tuple[Value, Value]:
    """Return `a + b` and its rounding error, for |a| >= |b| (Dekker 1971)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Value, b: Value | float) -> tuple[Value, Value]:
    """Return `a * b` and its rounding error."""
    product = a * b
    return product, fma(a, b, -product)


def rough_reciprocal(x: Value) -> Value:
    """Return 1/x to about six bits for positive normal x: enough for a correction term, and far cheaper than division.

    Subtracting the bit pattern from a constant interpolates the reciprocal linearly; one Newton step follows.
    """
    guess = from_bits(x.builder.constant(0x7FDE623822FC16E6, "i64") - bits(x))
    return fma(guess, fma(-x, guess, 1.0), guess)


def outside(x: Value, limit: float) -> Value:
    """Return whether |x| < limit fails: true for nan."""
    return fabs(x).compare("uge", limit)


def not_normal_positive(x: Value) -> Value:
    """Return whether `x` is anything but a positive normal number."""
    return ~((x >= SMALLEST_NORMAL) & (x <= LARGEST))


def patch(unusual: Value, usual: Value, rare: Callable[[], Value]) -> Value:
    """Return `usual`, and the value of `rare()` in the lanes where `unusual` holds; it is skipped if there are none."""
    return usual.builder.if_any(unusual, lambda: [select(unusual, rare(), usual)], [usual])[0]
