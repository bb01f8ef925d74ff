"""The square root by multiplication, on processors with AVX-512.

It is computed from the instruction `vrsqrt14pd`, an inverse root good to 14 bits, by two steps of Goldschmidt's
iteration and one correction with the exact residual (P. Markstein, IA-64 and Elementary Functions, 2000, chapter 9),
and is correctly rounded: some 20 operations of units of which there are two, against 24 cycles of the one divider.

That the last step rounds correctly follows from an error bound for all but those few mantissas whose root lies within
2^-50 ulp of the middle between two doubles. These are tried one by one in `tests/test_roots.py`, on the processor that
runs it; all of Intel's processors agree on every bit of `vrsqrt14pd`.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Builder, Value

LANES = 8  # of the instructions

_TYPE = f"<{LANES} x double>"


def multiplied_root(x: Value) -> Value:
    """Return the square root of doubles, correctly rounded, in code of a multiple of `LANES` lanes."""
    return x.builder.in_pieces(LANES, _root, x)


def _root(given: Value) -> Value:
    b = given.builder
    x = given + 0.0  # of -0 the instructions would make nan
    mantissa = _instruction(b, "mask.getmant.pd.512", x, "i32 1")  # x without an even power of two: 1/2 <= m < 2
    exponent = _instruction(b, "mask.getexp.pd.512", x)
    inverse = _instruction(b, "rsqrt14.pd.512", mantissa)
    half = b.constant(0.5)
    root, inverse = mantissa * inverse, inverse * half
    for _ in range(2):
        off = b.intrinsic("fma", -root, inverse, half)
        root, inverse = b.intrinsic("fma", root, off, root), b.intrinsic("fma", inverse, off, inverse)
    root = b.intrinsic("fma", b.intrinsic("fma", -root, root, mantissa), inverse, root)
    power = b.intrinsic("fma", exponent, half, half)  # of which the instruction takes the floor
    scaled = _instruction(b, "mask.scalef.pd.512", root, f"{_TYPE} {power.ref}")
    total = b.intrinsic("fma", root, b.constant(0.0), scaled)  # scaled by infinity even nan is infinite
    sign = b.convert("bitcast", given, "i64") & (-(2**63))
    return b.convert("bitcast", b.convert("bitcast", total, "i64") | sign, "double")


def _instruction(b: Builder, name: str, x: Value, *more: str) -> Value:
    """Write an instruction of AVX-512 on all lanes, in the current mode of rounding."""
    masked = [f"{_TYPE} zeroinitializer", "i8 -1", *(["i32 4"] if name.startswith("mask.") else [])]
    arguments = [f"{_TYPE} {x.ref}", *more, *masked]
    full = f"@llvm.x86.avx512.{name}"
    types = ", ".join([a[: a.index(">") + 1] if a.startswith("<") else a.split()[0] for a in arguments])
    b.module.declare(full, f"{_TYPE} {full}({types})")
    return b.emit("double", f"call {_TYPE} {full}({', '.join(arguments)})")
