"""sin, cos and tan, exact argument reduction included.

sin and cos alone: x = n pi + r - r' (for cos a half more) and sin r = 3/4 r + r t(r^2) on |r| <= pi/2, where t lies
between -0.12 and 1/4, so that little of its rounding is seen; its largest term, -r^2/8, is rounded once.

Both together: x = q pi/2 + r - r' with |r| <= pi/4; polynomials for both, of which the quadrant q picks one and its
sign, with the rounding error of 1 - r^2/2 carried (FreeBSD's k_sin.c and k_cos.c, Sun Microsystems, 1993). tan: the
same reduction, and its own polynomial or the reciprocal of that.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, fabs, fma, from_bits, horner, select, unequal
from alkahest_llvm.vecmath.argument_reduction import (
    FAST_LIMIT,
    half_turns,
    half_turns_roughly,
    odd_quarter_turns,
    odd_quarter_turns_roughly,
    quadrant,
    quadrant_roughly,
)
from alkahest_llvm.vecmath.coefficients import COS, SIN, SIN_ROUGH, SIN_WIDE, TAN
from alkahest_llvm.vecmath.common import SIGN, even_odd, outside, unless
from alkahest_llvm.vecmath.registry import kernel

_TAN_SLOPE = 1.45  # the derivative of tan r is about 1 + 1.45 r^2 on |r| <= pi/4
_COS_SLOPE = 0.405  # cos r is about 1 - 0.405 r^2 on |r| <= pi/2, within 0.06: enough for a factor of r'

Reduced = tuple[Value, Value, Value]


def _exactly_reduced(x: Value) -> Reduced:
    """Return q, r, r' of the quadrant for |x| >= 2^26."""
    shifted, r, low = x.builder.kernels("reduce_large", x)
    return bits(shifted), r, low


# sin and cos alone


def _wide_sine(r: Value, low: Value) -> Value:
    """Return sin(r - r') for |r| <= pi/2; -0 for -0 and +0."""
    u = r * r
    t = fma(u, horner(u, SIN_WIDE), fma(r * -0.125, r, 0.25))
    return fma(r, 0.75, fma(r, t, low * fma(u, _COS_SLOPE, -1.0)))


def _sin(x: Value) -> Value:
    sign, r, low = half_turns(x)
    return from_bits(bits(_wide_sine(r, low)) ^ sign)


def _cos(size: Value) -> Value:
    sign, r, low = odd_quarter_turns(size)
    return from_bits(bits(_wide_sine(r, low)) ^ sign)


@kernel("sin")
def sin(x: Value) -> Value:
    """Return sin x. Error below 0.9 ulp for every finite x."""
    return unless(outside(x, FAST_LIMIT), lambda: _sin(x), lambda: x.builder.kernel("sin_any", x))


@kernel("sin_any", inline=False)
def sin_any(x: Value) -> Value:
    """Return sin x for any x."""
    return select(outside(x, FAST_LIMIT), _pair(*_exactly_reduced(x))[0], _sin(x))


@kernel("cos")
def cos(x: Value) -> Value:
    """Return cos x. Error below 0.9 ulp for every finite x."""
    size = fabs(x)
    return unless(outside(size, FAST_LIMIT), lambda: _cos(size), lambda: x.builder.kernel("cos_any", x))


@kernel("cos_any", inline=False)
def cos_any(x: Value) -> Value:
    """Return cos x for any x."""
    return select(outside(x, FAST_LIMIT), _pair(*_exactly_reduced(x))[1], _cos(fabs(x)))


# both together, and tan


def _is_odd(q: Value) -> Value:
    return unequal(q & 1, 0)


def _flip(v: Value, q: Value) -> Value:
    """Return v with its sign changed where bit 1 of q is set."""
    return from_bits(bits(v) ^ ((q << 62) & SIGN))


def _pair(q: Value, r: Value, low: Value) -> tuple[Value, Value]:
    """Return sin x and cos x, where x = q pi/2 + r - r'."""
    u = r * r
    w = fma(u, -0.5, 1.0)
    sine = r + fma(u * r, horner(u, SIN), low * -w)
    cosine = w + fma(u * u, horner(u, COS), fma(r, low, fma(u, -0.5, 1.0 - w)))
    odd = _is_odd(q)
    return _flip(select(odd, cosine, sine), q), _flip(select(odd, sine, cosine), q + 1)


@kernel("sincos_pair", results=2)
def sincos_pair(x: Value) -> tuple[Value, Value]:
    """Return sin x and cos x for less than both alone cost; other bits. Error below 0.8 ulp for every finite x."""
    b, size = x.builder, fabs(x)
    s, c = b.either(outside(size, FAST_LIMIT), lambda: b.kernels("sincos_pair_any", x), lambda: _pair_of_sign(size, x))
    return s, c


def _pair_of_sign(size: Value, x: Value) -> tuple[Value, Value]:
    """Return sin x and cos x from |x|."""
    s, c = _pair(*quadrant(size))
    return from_bits(bits(s) ^ (bits(x) & SIGN)), c


@kernel("sincos_pair_any", results=2, inline=False)
def sincos_pair_any(x: Value) -> tuple[Value, Value]:
    """Return sin x and cos x for any x."""
    large = outside(x, FAST_LIMIT)
    (s, c), (fast_s, fast_c) = _pair(*_exactly_reduced(x)), _pair_of_sign(fabs(x), x)
    return select(large, s, fast_s), select(large, c, fast_c)


@kernel("tan")
def tan(x: Value) -> Value:
    """Return tan x. Error below 0.95 ulp for every finite x."""
    size = fabs(x)
    return unless(outside(size, FAST_LIMIT), lambda: _tan(quadrant(size), x), lambda: x.builder.kernel("tan_any", x))


def _tan(reduced: Reduced, x: Value | None = None) -> Value:
    """Return tan(q pi/2 + r - r'), with its sign changed where x is negative.

    tan r = 9/8 r + r t(r^2) with |t| <= 0.15; -1 / tan r where q is odd, with one step of Newton's method to the error
    of the quotient.
    """
    q, r, low = reduced
    u = r * r
    t = fma(u, even_odd(u, TAN), fma(r * 0.25, r, -0.125))
    rest = fma(r, t, low * fma(u, -_TAN_SLOPE, -1.0))
    tangent = fma(r, 1.125, rest)
    tangent_low = fma(r, 1.125, -tangent) + rest
    inverse = 1.0 / tangent
    residual = fma(-tangent_low, inverse, fma(-inverse, tangent, 1.0))
    y = select(_is_odd(q), fma(residual, inverse, inverse), tangent)
    sign = q << 63 if x is None else ((q << 63) ^ bits(x)) & SIGN
    return from_bits(bits(y) ^ sign)


@kernel("tan_any", inline=False)
def tan_any(x: Value) -> Value:
    """Return tan x for any x."""
    return select(outside(x, FAST_LIMIT), _tan(_exactly_reduced(x)), _tan(quadrant(fabs(x)), x))


# within 4 ulp

_TAN_ROUGH = (TAN[0] + 0.25, *TAN[1:])  # (tan r / r - 1) / r^2


def _rough_sine(sign: Value, r: Value) -> Value:
    """Return sin r with a sign; not above 1 where it is largest, as the polynomial is closest there."""
    u = r * r
    below = fma(u, horner(u, SIN_ROUGH), fma(r * -0.125, r, 0.0))  # +0 at 0, so that -0 gives -0
    return from_bits(bits(fma(r, below, r)) ^ sign)


@kernel("sin_fast")
def sin_fast(x: Value) -> Value:
    """Return sin x with an error below 4 ulp: the reduced argument is one double, the polynomial shorter."""
    return unless(outside(x, FAST_LIMIT), lambda: _sin_fast(x), lambda: x.builder.kernel("sin_fast_any", x))


def _sin_fast(x: Value) -> Value:
    return _rough_sine(*half_turns_roughly(x))


@kernel("sin_fast_any", inline=False)
def sin_fast_any(x: Value) -> Value:
    """Return sin x for any x."""
    return select(outside(x, FAST_LIMIT), x.builder.kernel("sin_any", x), _sin_fast(x))


@kernel("cos_fast")
def cos_fast(x: Value) -> Value:
    """Return cos x with an error below 4 ulp."""
    size = fabs(x)
    return unless(outside(size, FAST_LIMIT), lambda: _cos_fast(size), lambda: x.builder.kernel("cos_fast_any", x))


def _cos_fast(size: Value) -> Value:
    return _rough_sine(*odd_quarter_turns_roughly(size))


@kernel("cos_fast_any", inline=False)
def cos_fast_any(x: Value) -> Value:
    """Return cos x for any x."""
    return select(outside(x, FAST_LIMIT), x.builder.kernel("cos_any", x), _cos_fast(fabs(x)))


@kernel("tan_fast")
def tan_fast(x: Value) -> Value:
    """Return tan x with an error below 3.8 ulp: the reduced argument and its tangent are one double each."""
    size = fabs(x)
    return unless(outside(size, FAST_LIMIT), lambda: _tan_fast(size, x), lambda: x.builder.kernel("tan_fast_any", x))


def _tan_fast(size: Value, x: Value) -> Value:
    q, r = quadrant_roughly(size)
    u = r * r
    tangent = fma(r * u, even_odd(u, _TAN_ROUGH), r)
    y = select(_is_odd(q), 1.0 / tangent, tangent)
    return from_bits(bits(y) ^ (((q << 63) ^ bits(x)) & SIGN))


@kernel("tan_fast_any", inline=False)
def tan_fast_any(x: Value) -> Value:
    """Return tan x for any x."""
    return select(outside(x, FAST_LIMIT), x.builder.kernel("tan_any", x), _tan_fast(fabs(x), x))
