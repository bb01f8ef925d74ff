"""sin, cos and tan, exact argument reduction included.

Method: x = q pi/2 + r + r', polynomials for sin and cos on |r| <= pi/4, and the quadrant q picks one and its sign; the
second term r' of the reduced argument and the rounding error of 1 - r^2/2 are carried (FreeBSD's k_sin.c and k_cos.c,
Sun Microsystems, 1993).
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import bits, equal, fabs, fma, from_bits, horner, select, unequal
from alkahest_llvm.vecmath.argument_reduction import FAST_LIMIT, quadrant
from alkahest_llvm.vecmath.coefficients import COS, HALF_PI, PI, SIN, SIN_WIDE
from alkahest_llvm.vecmath.common import SHIFT, patch
from alkahest_llvm.vecmath.registry import kernel


def _sine(r: Value, u: Value, low: Value) -> Value:
    return fma(u * r, horner(u, SIN), low * fma(u, -0.5, 1.0))


def _near(x: Value) -> tuple[Value, Value, Value]:
    """Return the quadrant and the sine and cosine of the reduced argument."""
    b = x.builder
    found = b.memo.get(("sine and cosine", x.ref))
    if found is not None:
        return found
    q, r, low = quadrant(x)
    u = r * r
    sine = r + _sine(r, u, low)
    half = u * 0.5
    w = 1.0 - half
    cosine = w + (((1.0 - w) - half) + fma(u * u, horner(u, COS), -(r * low)))
    result = q, sine, cosine
    b.memo["sine and cosine", x.ref] = result
    return result


def _is_odd(q: Value) -> Value:
    return unequal(q & 1, 0)


def _flip(v: Value, q: Value) -> Value:
    """Return v with its sign changed where bit 1 of q is set."""
    return from_bits(bits(v) ^ ((q >> 1) << 63))


@kernel("sin")
def sin(x: Value) -> Value:
    """Return sin x. Error below 0.8 ulp for every finite x."""
    q, sine, cosine = _near(x)
    y = _flip(select(_is_odd(q), cosine, sine), q)
    return select(equal(x, 0.0), x, y)


@kernel("cos")
def cos(x: Value) -> Value:
    """Return cos x. Error below 0.8 ulp for every finite x."""
    q, sine, cosine = _near(x)
    return _flip(select(_is_odd(q), sine, cosine), q + 1)


@kernel("sincos", results=2)
def sincos(x: Value) -> tuple[Value, Value]:
    """Return sin x and cos x, the same bits as either alone, for little more than one of them."""
    return sin(x), cos(x)


@kernel("tan")
def tan(x: Value) -> Value:
    """Return tan x. Error below 0.9 ulp for every finite x.

    Sine and cosine of the reduced argument are kept as sums of two, and the quotient is corrected.
    """
    q, r, low = quadrant(x)
    u = r * r
    sine_rest = _sine(r, u, low)
    s = r + sine_rest
    s_low = sine_rest - (s - r)
    half = u * 0.5
    w = 1.0 - half
    cosine_rest = ((1.0 - w) - half) + fma(u * u, horner(u, COS), -fma(r, low, fma(r, r, -u) * 0.5))
    c = w + cosine_rest
    c_low = cosine_rest - (c - w)
    odd = _is_odd(q)
    n, n_low = select(odd, c, s), select(odd, c_low, s_low)
    d, d_low = select(odd, -s, c), select(odd, -s_low, c_low)
    inverse = 1.0 / d
    y = n * inverse
    y = y + (fma(-y, d_low, fma(-y, d, n)) + n_low) * inverse
    return select(equal(x, 0.0), x, y)


@kernel("sin_fast")
def sin_fast(x: Value) -> Value:
    """Return sin x in about half the time of `sin`, with an error below 2.2 ulp: one polynomial on |r| <= pi/2."""
    shifted = fma(x, 1.0 / PI[0], SHIFT)
    k = shifted - SHIFT
    r = fma(-k, PI[2], fma(-k, PI[1], fma(-k, PI[0], x)))
    y = select(equal(x, 0.0), x, _wide_sine(r, bits(shifted)))
    return patch(_beyond(x), y, lambda: x.builder.kernel("sin", x))


@kernel("cos_fast")
def cos_fast(x: Value) -> Value:
    """Return cos x in about half the time of `cos`, with an error below 2.2 ulp: a sine beside an odd multiple."""
    shifted = fma(x, 1.0 / PI[0], -0.5) + SHIFT
    k = fma(shifted - SHIFT, 2.0, 1.0)
    r = fma(-k, HALF_PI[2], fma(-k, HALF_PI[1], fma(-k, HALF_PI[0], x)))
    y = _wide_sine(r, bits(shifted) ^ 1)
    return patch(_beyond(x), y, lambda: x.builder.kernel("cos", x))


def _wide_sine(r: Value, half_turns: Value) -> Value:
    u = r * r
    return from_bits(bits(fma(u * r, horner(u, SIN_WIDE), r)) ^ (half_turns << 63))


def _beyond(x: Value) -> Value:
    return fabs(x) > FAST_LIMIT
