"""log and pow of floats.

log: x = 2^k m with sqrt(1/2) <= m < sqrt 2, f = m - 1 and log m = f - f^2/2 + f^3 p(f).

pow: 2^(y log2 x) in doubles, with polynomials that are as long as floats need: the logarithm wants ten bits more than a
float has, and sums of two floats would cost as much. Overflow and subnormal results come out right as the result is
rounded.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, equal, fma, from_bits, horner, select
from alkahest_llvm.vecmath.common import EXPONENT_SHIFT, INF, NAN, outside, patch, power_of_two
from alkahest_llvm.vecmath.logarithm import exponent_and_fraction
from alkahest_llvm.vecmath.registry import single_kernel
from alkahest_llvm.vecmath.single.coefficients import EXP2, LN2, LOG, LOG2
from alkahest_llvm.vecmath.single.common import LARGEST, SMALLEST_NORMAL, in_doubles

_SQRT_HALF = 0x3F3504F3
_EXPONENT_FIELD = 0xFF800000
_TWO_TO_23 = 0x4B000000
_SUBNORMAL_SCALE = 2.0**25
_LARGEST_EXPONENT = 1000.0  # of the double that pow rounds


def _exponent_and_fraction(x: Value) -> tuple[Value, Value]:
    """Return k and m, where x = 2^k m and sqrt(1/2) <= m < sqrt 2, for positive normal x."""
    ix = bits(x)
    above = ix - _SQRT_HALF
    field = (above + (1 << 30)) >> 23  # k + 128, never negative
    k = from_bits(field | _TWO_TO_23) - (2.0**23 + 128.0)
    return k, from_bits(ix - (above & _EXPONENT_FIELD))


def _log(k: Value, m: Value) -> Value:
    f = m - 1.0
    square = f * f
    h = square * 0.5
    t = fma(square * f, horner(f, LOG), k * LN2[1])
    return fma(k, LN2[0], f - (h - t))


@single_kernel("logf", serves=("log",))
def log(x: Value) -> Value:
    """Return the natural logarithm. Error below 0.9 ulp."""
    y = _log(*_exponent_and_fraction(x))
    return patch(~((x >= SMALLEST_NORMAL) & (x <= LARGEST)), y, lambda: x.builder.kernel("logf_any", x))


@single_kernel("logf_any", inline=False)
def log_any(x: Value) -> Value:
    """Return the natural logarithm of any x."""
    small = x < SMALLEST_NORMAL
    k, m = _exponent_and_fraction(select(small, x * _SUBNORMAL_SCALE, x))
    y = _log(select(small, k - 25.0, k), m)
    y = select(x < 0.0, NAN, select(equal(x, 0.0), -INF, y))
    return select(x < INF, y, x)


@single_kernel("powf", serves=("pow",))
def power(x: Value, y: Value) -> Value:
    """Return x^y. Error below 0.55 ulp."""
    b = x.builder
    k, m = exponent_and_fraction(b.as_double(x))
    f = m - 1.0
    z = b.as_double(y) * fma(f, horner(f, LOG2), k)
    shifted = z + EXPONENT_SHIFT
    v = horner(z - (shifted - EXPONENT_SHIFT), EXP2) * power_of_two(shifted)
    usual = b.convert("fptrunc", v, "float")
    unusual = ~((x > 0.0) & (x < INF)) | outside(z, _LARGEST_EXPONENT)
    return patch(unusual, usual, lambda: b.kernel("powf_any", x, y))


@single_kernel("powf_any", inline=False)
def power_any(x: Value, y: Value) -> Value:
    """Return x^y for any two numbers, by the kernel of doubles."""
    return in_doubles(lambda x, y: x.builder.kernel("pow", x, y), x, y)
