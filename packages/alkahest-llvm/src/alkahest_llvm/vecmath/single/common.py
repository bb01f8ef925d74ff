"""What the families of float kernels share; see `vecmath.common`, whose functions of any type serve here too."""

from __future__ import annotations

from collections.abc import Callable

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, fma, from_bits

SMALLEST_NORMAL = 2.0**-126
LARGEST = (2.0 - 2.0**-23) * 2.0**127

# Adding SHIFT to |x| < 2^22 rounds x to an integer, which then stands in the low bits of the sum.
SHIFT = 1.5 * 2.0**23
# With the bias of the exponent added, those low bits are the exponent field of 2^x.
EXPONENT_SHIFT = SHIFT + 127.0


def power_of_two(shifted: Value) -> Value:
    """Return 2^k, where `shifted` is `k + EXPONENT_SHIFT` and -126 <= k <= 127."""
    return from_bits(bits(shifted) << 23)


def scale(v: Value, k: Value) -> Value:
    """Return `v * 2^k` for |k| < 250 and a `v` of the order of one, rounded once even where the result is subnormal."""
    first = fma(k, 0.5, SHIFT) - SHIFT
    return (v * power_of_two(first + EXPONENT_SHIFT)) * power_of_two((k - first) + EXPONENT_SHIFT)


def in_doubles(formula: Callable[..., Value], *args: Value) -> Value:
    """Return what `formula` gives for `args` in double precision, rounded to a float."""
    b = args[0].builder
    return b.convert("fptrunc", formula(*[b.as_double(a) for a in args]), "float")
