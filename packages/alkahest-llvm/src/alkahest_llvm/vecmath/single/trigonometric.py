"""sin, cos, tan and atan of floats.

sin, cos, tan: x = q pi/2 + r + r' by three pieces of pi/2 and the polynomials of `vecmath.trigonometric`, shorter;
beyond 2^17 by the kernels of doubles, which are exact in their reduction. atan: as in `vecmath.inverse_trigonometric`.
"""

from __future__ import annotations

import math

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, copysign, equal, fabs, fma, from_bits, horner, select, unequal
from alkahest_llvm.vecmath.common import fast_two_sum, patch
from alkahest_llvm.vecmath.registry import single_kernel
from alkahest_llvm.vecmath.single.coefficients import ATAN, COS, HALF_PI, QUARTER_PI, SIN, TWO_OVER_PI
from alkahest_llvm.vecmath.single.common import LARGEST, SHIFT, in_doubles

TAN_EIGHTH, TAN_THREE_EIGHTHS = math.sqrt(2.0) - 1.0, math.sqrt(2.0) + 1.0
_FAR = 2.0**17  # from here on the kernels of doubles compute


def _reduced(x: Value) -> tuple[Value, Value, Value]:
    """Return q, r and r': see `vecmath.argument_reduction.quadrant`."""
    b = x.builder
    found = b.memo.get(("quadrant", x.ref))
    if found is None:
        shifted = fma(x, TWO_OVER_PI[0], SHIFT)
        k = shifted - SHIFT
        first = fma(-k, HALF_PI[0], x)  # exact
        r = first - k * HALF_PI[1]
        low = fma(-k, HALF_PI[2], fma(-k, HALF_PI[1], first - r))
        found = b.memo["quadrant", x.ref] = bits(shifted), r, low
    return found


def _near(x: Value) -> tuple[Value, Value, Value]:
    """Return the quadrant and the sine and cosine of the reduced argument."""
    b = x.builder
    found = b.memo.get(("sine and cosine", x.ref))
    if found is None:
        q, r, low = _reduced(x)
        u = r * r
        half = u * 0.5
        w = 1.0 - half
        sine = r + fma(u * r, horner(u, SIN), low * w)
        cosine = w + (((1.0 - w) - half) + fma(u * u, horner(u, COS), -(r * low)))
        found = b.memo["sine and cosine", x.ref] = q, sine, cosine
    return found


def _is_odd(q: Value) -> Value:
    return unequal(q & 1, 0)


def _flip(v: Value, q: Value) -> Value:
    """Return v with its sign changed where bit 1 of q is set."""
    return from_bits(bits(v) ^ ((q >> 1) << 31))


def _unless_far(x: Value, y: Value, name: str) -> Value:
    return patch(fabs(x) > _FAR, y, lambda: x.builder.kernel(name, x))


@single_kernel("sinf", serves=("sin", "sin_fast"))
def sin(x: Value) -> Value:
    """Return sin x. Error below 0.8 ulp for every finite x."""
    q, sine, cosine = _near(x)
    y = _flip(select(_is_odd(q), cosine, sine), q)
    return _unless_far(x, select(equal(x, 0.0), x, y), "sinf_far")


@single_kernel("cosf", serves=("cos", "cos_fast"))
def cos(x: Value) -> Value:
    """Return cos x. Error below 0.8 ulp for every finite x."""
    q, sine, cosine = _near(x)
    return _unless_far(x, _flip(select(_is_odd(q), sine, cosine), q + 1), "cosf_far")


@single_kernel("sincosf", serves=("sincos_pair",), results=2)
def sincos(x: Value) -> tuple[Value, Value]:
    """Return sin x and cos x, the same bits as either alone, for little more than one of them."""
    return sin(x), cos(x)


@single_kernel("tanf", serves=("tan", "tan_fast"))
def tan(x: Value) -> Value:
    """Return tan x. Error below 0.95 ulp for every finite x.

    Sine and cosine of the reduced argument are kept as sums of two, and the quotient is corrected.
    """
    q, r, low = _reduced(x)
    u = r * r
    half = u * 0.5
    w = 1.0 - half
    s, s_low = fast_two_sum(r, fma(u * r, horner(u, SIN), low * w))
    rest = ((1.0 - w) - half) + fma(u * u, horner(u, COS), -fma(r, low, fma(r, r, -u) * 0.5))
    c, c_low = fast_two_sum(w, rest)
    odd = _is_odd(q)
    n, n_low = select(odd, c, s), select(odd, c_low, s_low)
    d, d_low = select(odd, -s, c), select(odd, -s_low, c_low)
    inverse = 1.0 / d
    y = n * inverse
    y = y + (fma(-y, d_low, fma(-y, d, n)) + n_low) * inverse
    return _unless_far(x, select(equal(x, 0.0), x, y), "tanf_far")


@single_kernel("sinf_far", inline=False)
def sin_far(x: Value) -> Value:
    """Return sin x by the kernel of doubles."""
    return in_doubles(lambda x: x.builder.kernel("sin", x), x)


@single_kernel("cosf_far", inline=False)
def cos_far(x: Value) -> Value:
    """Return cos x by the kernel of doubles."""
    return in_doubles(lambda x: x.builder.kernel("cos", x), x)


@single_kernel("tanf_far", inline=False)
def tan_far(x: Value) -> Value:
    """Return tan x by the kernel of doubles."""
    return in_doubles(lambda x: x.builder.kernel("tan", x), x)


@single_kernel("atanf", serves=("atan",))
def atan(x: Value) -> Value:
    """Return the inverse tangent. Error below 0.95 ulp."""
    size = fabs(x)
    middle, high = size > TAN_EIGHTH, size > TAN_THREE_EIGHTHS
    size = select(size > LARGEST, LARGEST, size)
    above, below = size + 1.0, size - 1.0
    n = select(high, -1.0, select(middle, below, size))
    d = select(high, size, select(middle, above, 1.0))
    between = middle & ~high
    n_low = select(between, size - (below + 1.0), 0.0)
    d_low = select(between, size - (above - 1.0), 0.0)
    inverse = 1.0 / d
    t = n * inverse
    t_low = (fma(-t, d, n) + fma(-t, d_low, n_low)) * inverse
    u = t * t
    p = fma(u * t, horner(u, ATAN), t_low)
    zero = x.builder.constant(0.0)
    base = select(high, HALF_PI[0], select(middle, QUARTER_PI[0], zero))
    base_low = select(high, HALF_PI[1], select(middle, QUARTER_PI[1], zero))
    total = base + t
    return copysign(total + ((t - (total - base)) + (p + base_low)), x)
