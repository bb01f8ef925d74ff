"""What must come out exact: rounding half away from zero, the IEEE remainder, and the fused multiply-add."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

Array = Any


def round_away(x: Array) -> Array:
    """Return the nearest integer, halves away from zero."""
    whole = jnp.trunc(x)
    return jnp.where(jnp.abs(x - whole) >= 0.5, whole + jnp.copysign(jnp.ones_like(x), x), whole)


def remainder(x: Array, y: Array) -> Array:
    """Return `x` less the nearest multiple of `y`, halves to the even multiple.

    Method: fdlibm, `e_remainder.c` (Sun Microsystems 1993): fmod by 2|y|, then |y| is subtracted up to twice; each
    step is exact.
    """
    a, b = jnp.abs(x), jnp.abs(y)
    r = jnp.where(b <= jnp.finfo(b.dtype).max / 2, lax.rem(a, b + b), a)
    more = jnp.where(b < 1, r + r > b, r > b * 0.5)
    r = jnp.where(more, r - b, r)
    again = more & jnp.where(b < 1, r + r >= b, r >= b * 0.5)
    r = jnp.where(again, r - b, r)
    r = jnp.where(jnp.isfinite(x) & (b > 0), r, jnp.nan)
    return jnp.where(jnp.signbit(x), -r, r)


def fma(x: Array, y: Array, z: Array) -> Array:
    """Return `x*y + z` rounded once.

    XLA has no such operation: whether it fuses a product into a sum is its own choice. Single precision goes through
    double, double precision through 128-bit integers.
    """
    x, y, z = jnp.broadcast_arrays(x, y, z)
    return _fma32(x, y, z) if z.dtype == jnp.float32 else _fma64(x, y, z)


def _fma32(x: Array, y: Array, z: Array) -> Array:
    """Sum in double rounded to odd, so that the second rounding does no harm (Boldo and Melquiond, 2008)."""
    x, y, z = [v.astype(jnp.float64) for v in (x, y, z)]
    product = x * y  # exact: twice 24 bits; so a fused sum would be the same
    total = product + z
    back = total - product
    error = (product - (total - back)) + (z - back)
    bits = lax.bitcast_convert_type(total, jnp.int64)
    away = jnp.where((error > 0) == (total > 0), 1, -1)
    inexact = (error != 0) & jnp.isfinite(error) & (bits & 1 == 0)
    odd = lax.bitcast_convert_type(jnp.where(inexact, bits + away, bits), jnp.float64)
    return odd.astype(jnp.float32)


# Double precision, after musl libc's `src/math/fma.c` (2018): significands as integers, the lost bits as one sticky
# bit. A shift by 64 or more gives 0 in XLA, which C leaves undefined; the code below relies on it.


def _fma64(x: Array, y: Array, z: Array) -> Array:
    (mx, ex, x_negative), (my, ey, y_negative), (mz, ez, z_negative) = _parts(x), _parts(y), _parts(z)
    negative = x_negative ^ y_negative
    high, low = _product(mx, my)
    high, low, z_high, z_low, exponent = _aligned(high, low, mz, ex + ey, ez)
    sum_low, difference_low = low + z_low, low - z_low
    sum_high = high + z_high + (sum_low < low)
    difference_high = high - z_high - (low < z_low)
    same = negative == z_negative
    crossed = ~same & (difference_high >> 63 != 0)
    low = jnp.where(same, sum_low, jnp.where(crossed, -difference_low, difference_low))
    high = jnp.where(same, sum_high, jnp.where(crossed, ~difference_high + (low == 0), difference_high))
    result = _rounded(high, low, exponent, negative ^ crossed)
    # An argument that is 0, a sum that is exactly 0: no rounding is involved, only the rules for signs.
    plain = (mx == 0) | (my == 0) | (mz == 0) | ((high == 0) & (low == 0))
    product_finite = jnp.isfinite(x) & jnp.isfinite(y)
    result = jnp.where(plain | ~product_finite, x * y + z, result)
    return jnp.where(product_finite & ~jnp.isfinite(z), z, result)


def _parts(x: Array) -> tuple[Array, Array, Array]:
    """Return (m, e, negative) with |x| = m * 2^e, m of 54 bits, the last one 0; m = 0 where x is zero or subnormal."""
    bits = lax.bitcast_convert_type(x, jnp.uint64)
    biased = (bits >> 52) & 0x7FF
    m = ((bits & ((1 << 52) - 1)) | (1 << 52)) << 1
    return jnp.where(biased == 0, 0, m), biased.astype(jnp.int64) - 1076, bits >> 63 != 0


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the product of two integers below 2^54 as its upper and lower 64 bits."""
    mask = (1 << 32) - 1
    a0, a1, b0, b1 = a & mask, a >> 32, b & mask, b >> 32
    lowest, middle = a0 * b0, a1 * b0 + a0 * b1
    low = lowest + (middle << 32)
    return a1 * b1 + (middle >> 32) + (low < lowest), low


def _aligned(high: Array, low: Array, m: Array, e: Array, e_z: Array) -> tuple[Array, ...]:
    """Return product and addend, two halves each, with one exponent.

    An addend above the product moves left, by 64 at most, and the product right by the rest; one below moves right.
    """
    distance = e_z - e
    up, u = distance > 0, jnp.abs(distance).astype(jnp.uint64)
    beyond = up & (u >= 64)
    rest = jnp.where(beyond, u - 64, 0)
    sticky = (low << (64 - rest) != 0) | (rest > 64)
    moved = (high << (64 - rest)) | (low >> rest) | sticky
    z_high = jnp.where(up, jnp.where(beyond, m, m >> (64 - u)), 0)
    z_right = (m >> u) | (m << (64 - u) != 0) | ((u > 64) & (m != 0))
    z_low = jnp.where(up, jnp.where(beyond, 0, m << u), z_right)
    return (
        jnp.where(beyond, high >> rest, high),
        jnp.where(beyond, moved, low),
        z_high,
        z_low,
        jnp.where(beyond, e_z - 64, e),
    )


def _rounded(high: Array, low: Array, exponent: Array, negative: Array) -> Array:
    """Return (high * 2^64 + low) * 2^exponent as the nearest double; the lowest bit of `low` may be sticky."""
    wide = high != 0
    shift = lax.clz(jnp.where(wide, high, low)).astype(jnp.int64) - 1
    left = jnp.maximum(shift, 0).astype(jnp.uint64)
    top = (high << left) | (low >> (64 - left)) | (low << left != 0)
    narrow = jnp.where(shift < 0, (low >> 1) | (low & 1), low << left)
    # 63 bits with the sticky one: the conversion is the only rounding
    value = jnp.where(wide, top, narrow).astype(jnp.int64).astype(jnp.float64)
    exponent = jnp.clip(jnp.where(wide, exponent + 64, exponent) - shift, -1400, 1100)
    half = exponent >> 1
    value = value * _power_of_two(half) * _power_of_two(exponent - half)
    return jnp.where(negative, -value, value)


def _power_of_two(k: Array) -> Array:
    return lax.bitcast_convert_type((k + 1023) << 52, jnp.float64)
