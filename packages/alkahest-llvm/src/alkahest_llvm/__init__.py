"""Native CPU code for Alkahest, and the builder with which lowering rules for it are written.

A lowering rule is a function `rule(builder, *values, **params)` of values that support Python's operators:

    from alkahest_llvm import fabs, select

    def softplus(builder, x):
        positive = select(x > 0.0, x, 0.0)
        return positive + builder.kernel("log1p", builder.kernel("exp", -fabs(x)))

    softplus_p = scalar_p("softplus", …, lower={"llvm": softplus})

`builder.kernel(name, *values)` calls a math kernel of `alkahest_llvm.vecmath`. The rule serves vectors of any width,
scalars and GPUs alike. `Value` and `Builder` say what else there is.
"""

from __future__ import annotations

from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import (
    bits,
    ceil,
    copysign,
    equal,
    fabs,
    floor,
    fma,
    from_bits,
    horner,
    is_nan,
    rint,
    select,
    sqrt,
    trunc,
    unequal,
)

__all__ = [
    "Builder",
    "Value",
    "bits",
    "ceil",
    "copysign",
    "equal",
    "fabs",
    "floor",
    "fma",
    "from_bits",
    "horner",
    "is_nan",
    "rint",
    "select",
    "sqrt",
    "trunc",
    "unequal",
]
