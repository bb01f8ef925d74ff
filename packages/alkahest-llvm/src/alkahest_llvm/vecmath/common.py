"""What the families share: powers of two, exact sums and products, and the split into usual and rare arguments."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, fabs, fma, from_bits, horner, select, sqrt

INF = float("inf")
NAN = float("nan")
SMALLEST_NORMAL = 2.0**-1022
LARGEST = 1.7976931348623157e308

# Adding SHIFT to |x| < 2^51 rounds x to an integer, which then stands in the low bits of the sum.
SHIFT = 1.5 * 2.0**52
# With the bias of the exponent added, those low bits are the exponent field of 2^x.
EXPONENT_SHIFT = SHIFT + 1023.0

SIGN = 1 << 63


def word(number: float) -> int:
    """Return the 64 bits of a number.

    >>> hex(word(1.0))
    '0x3ff0000000000000'
    """
    return int(struct.unpack("<Q", struct.pack("<d", number))[0])


_NORMALS = word(INF) - word(SMALLEST_NORMAL)  # how many positive normal numbers there are


def power_of_two(shifted: Value) -> Value:
    """Return 2^k, where `shifted` is `k + EXPONENT_SHIFT` and -1022 <= k <= 1023."""
    return from_bits(bits(shifted) << 52)


def scale(v: Value, k: Value) -> Value:
    """Return `v * 2^k` for |k| < 2000, rounded once even where the result is subnormal.

    `v` must be of the order of one: the first of the two factors then keeps the product normal.
    """
    first = fma(k, 0.5, SHIFT) - SHIFT
    return (v * power_of_two(first + EXPONENT_SHIFT)) * power_of_two((k - first) + EXPONENT_SHIFT)


def signed(size: Value, x: Value) -> Value:
    """Return `size`, which must be positive, +0 or nan, with the sign of x."""
    return from_bits(bits(size) | (bits(x) & SIGN))


def even_odd(u: Value, coefficients: Sequence[float]) -> Value:
    """Return a polynomial from its even and its odd terms: one operation more than Horner's rule, half the latency."""
    square = u * u
    return fma(horner(square, coefficients[1::2]), u, horner(square, coefficients[0::2]))


def fast_two_sum(a: Value, b: Value) -> tuple[Value, Value]:
    """Return `a + b` and its rounding error, for |a| >= |b| (Dekker 1971)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Value, b: Value | float) -> tuple[Value, Value]:
    """Return `a * b` and its rounding error."""
    product = a * b
    return product, fma(a, b, -product)


_RECIPROCAL = 0x7FDE623822FC16E6


def rough_reciprocal(x: Value) -> Value:
    """Return 1/x to about six bits for positive normal x: enough for a correction term, and far cheaper than division.

    Subtracting the bit pattern from a constant interpolates the reciprocal linearly; one Newton step follows.
    """
    guess = from_bits(x.builder.constant(_RECIPROCAL, "i64") - bits(x))
    return fma(guess, fma(-x, guess, 1.0), guess)


def rough_half_reciprocal(x: Value) -> Value:
    """Return 1/(2 x) within a twentieth for positive normal x: enough to scale a rounding error."""
    return from_bits(x.builder.constant(_RECIPROCAL - (1 << 52), "i64") - bits(x))


def twofold_root(z: Value) -> tuple[Value, Value]:
    """Return sqrt(z) and, within a twentieth, its rounding error, for normal z, 0 and nan."""
    root = sqrt(z)
    return root, fma(-root, root, z) * rough_half_reciprocal(root)


def outside(x: Value, limit: float) -> Value:
    """Return whether |x| < limit fails: true for nan."""
    if x.kind == "double":
        return bits(fabs(x)) >= word(limit)  # in integers: spares the units that multiply and add
    return fabs(x).compare("uge", limit)


def not_normal_positive(x: Value) -> Value:
    """Return whether `x` is anything but a positive normal number."""
    # The bits of positive normal numbers, made the smallest integers.
    return (bits(x) + (SIGN - word(SMALLEST_NORMAL))) >= _NORMALS - SIGN


def unless(unusual: Value, usual: Callable[[], Value], rare: Callable[[], Value]) -> Value:
    """Return `usual()`, or `rare()` for a block with a lane where `unusual` holds; only one of them is entered.

    `rare()` must be right in every lane, and give usual lanes the bits of `usual()`: what a lane gets does not depend
    on its neighbours.
    """
    return unusual.builder.either(unusual, lambda: [rare()], lambda: [usual()])[0]


def patch(unusual: Value, usual: Value, rare: Callable[[], Value]) -> Value:
    """Return `usual`, and the value of `rare()` in the lanes where `unusual` holds; it is skipped if there are none."""
    return usual.builder.if_any(unusual, lambda: [select(unusual, rare(), usual)], [usual])[0]
