"""sin(pi x) and cot(pi x), which the reflection formulas of the gamma family need (DLMF 5.5.3, 5.5.4, 5.15.6)."""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import fabs, fma, horner, rint
from alkahest_llvm.vecmath.coefficients import PI
from alkahest_llvm.vecmath.special_coefficients import SIN_PI, SIN_PI_FIRST
from alkahest_llvm.vecmath.twofold import Twofold, linear, over, times, times_one


def fraction(x: Value) -> Value:
    """Return x minus the integer nearest to it, exactly."""
    return x - rint(x)


def sine_of_pi(f: Value) -> Twofold:
    """Return sin(pi f) for |f| <= 1/2, to about 2^-58 relatively."""
    u = f * f
    bent = times(linear(u, SIN_PI_FIRST, horner(u, SIN_PI)), (u, fma(f, f, -u)))
    total = PI[0] + bent[0]
    return times_one((total, ((PI[0] - total) + bent[0]) + (bent[1] + PI[1])), f)


def cotangent_of_pi(f: Value) -> Value:
    """Return cot(pi f) for |f| <= 1/2, to one ulp: the cosine is the sine of what is left to a right angle."""
    high, low = over(sine_of_pi(0.5 - fabs(f)), sine_of_pi(f))
    return high + low
