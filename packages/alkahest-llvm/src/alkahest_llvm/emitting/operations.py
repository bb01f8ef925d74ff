"""Operations on values that Python has no operator for: what rules and kernels import beside the operators."""

from __future__ import annotations

from collections.abc import Sequence

from alkahest_llvm.emitting.builder import Builder, Number, Value
from alkahest_llvm.emitting.multiplied_root import multiplied_root


def _builder(*args: Number) -> Builder:
    for a in args:
        if isinstance(a, Value):
            return a.builder
    raise TypeError("at least one argument must be a Value")


def _kind(*args: Number) -> str:
    for a in args:
        if isinstance(a, Value):
            return a.kind
    raise TypeError("at least one argument must be a Value")


def fma(a: Number, b: Number, c: Number) -> Value:
    """Return `a * b + c`, rounded once."""
    return _builder(a, b, c).intrinsic("fma", a, b, c)


def sqrt(a: Value) -> Value:
    """Return the square root, correctly rounded."""
    multiplies = a.builder.multiplies_root
    if multiplies is not None and a.kind == "double" and multiplies():
        return multiplied_root(a)
    return a.builder.intrinsic("sqrt", a)


def fabs(a: Value) -> Value:
    """Return the absolute value."""
    return a.builder.intrinsic("fabs", a)


def rint(a: Value) -> Value:
    """Return `a` rounded to an integer, halves to even."""
    return a.builder.intrinsic("rint", a)


def floor(a: Value) -> Value:
    """Return the largest integer not above `a`."""
    return a.builder.intrinsic("floor", a)


def ceil(a: Value) -> Value:
    """Return the smallest integer not below `a`."""
    return a.builder.intrinsic("ceil", a)


def trunc(a: Value) -> Value:
    """Return `a` without its fraction."""
    return a.builder.intrinsic("trunc", a)


def copysign(magnitude: Number, sign: Value) -> Value:
    """Return `magnitude` with the sign of `sign`."""
    return sign.builder.intrinsic("copysign", magnitude, sign)


def select(condition: Value, a: Number, b: Number) -> Value:
    """Return `a` where `condition` is true, else `b`, lane by lane. One of the two must be a Value."""
    builder, kind = condition.builder, _kind(a, b)
    first, second = builder.lift(a, kind), builder.lift(b, kind)
    types = builder.types
    return builder.emit(
        kind,
        f"select {types['i1']} {condition.ref}, {types[kind]} {first.ref}, {types[kind]} {second.ref}",
    )


def equal(a: Value, b: Number) -> Value:
    """Return the truth value of `a == b`, false where a nan takes part."""
    return a.compare("eq", b)


def unequal(a: Value, b: Number) -> Value:
    """Return the truth value of `a != b`, true where a nan takes part."""
    return a.compare("ne", b)


def is_nan(a: Value) -> Value:
    """Return whether `a` is nan."""
    return a.compare("uno", 0.0)


def bits(a: Value) -> Value:
    """Return the bits of a number as an integer: 64 of a double, 32 of a float."""
    return a.builder.convert("bitcast", a, "i32" if a.kind == "float" else "i64")


def from_bits(a: Value) -> Value:
    """Return the double that has these 64 bits, or the float that has these 32."""
    return a.builder.convert("bitcast", a, "float" if a.kind == "i32" else "double")


def horner(x: Value, coefficients: Sequence[float]) -> Value:
    """Return the polynomial `c[0] + c[1] x + …` by Horner's rule, one fused multiply-add a coefficient."""
    total = x.builder.lift(coefficients[-1], x.kind)
    for c in reversed(coefficients[:-1]):
        total = fma(total, x, c)
    return total
