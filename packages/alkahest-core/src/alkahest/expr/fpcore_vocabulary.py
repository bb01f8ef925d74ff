"""FPCore's names and what they stand for here."""

from __future__ import annotations

from fractions import Fraction

DTYPES = {"binary64": "f64", "binary32": "f32", "real": "f64"}

# The largest finite and the smallest normal number: what the tests of classification compare with.
RANGES = {
    "f64": {"largest": (2**53 - 1) * 2**971, "smallest": Fraction(1, 2**1022)},
    "f32": {"largest": (2**24 - 1) * 2**104, "smallest": Fraction(1, 2**126)},
}

# In our own text form.
CONSTANTS = {
    "TRUE": "1",
    "FALSE": "0",
    "PI": "pi",
    "PI_2": "pi/2",
    "PI_4": "pi/4",
    "M_1_PI": "1/pi",
    "M_2_PI": "2/pi",
    "M_2_SQRTPI": "2/sqrt(pi)",
    "E": "E",
    "LOG2E": "log2(E)",
    "LOG10E": "log10(E)",
    "LN2": "log(2)",
    "LN10": "log(10)",
    "SQRT2": "sqrt(2)",
    "SQRT1_2": "sqrt(1/2)",
}

# FPCore's names of our primitives, by number of arguments.
UNARY = {
    "-": "neg",
    "fabs": "abs",
    "tgamma": "gamma",
    "round": "round_away",
    "nearbyint": "round",
    "not": "not",
    **{
        f: f
        for f in (
            *("exp", "expm1", "log", "log10", "log2", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "asin"),
            *("acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "lgamma"),
            *("ceil", "floor", "trunc"),
        )
    },
}
BINARY = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    **{f: f for f in ("pow", "hypot", "atan2", "fmod", "remainder", "fmax", "fmin", "copysign")},
}
TERNARY = {"fma": "fma", "if": "where"}
COMPARISONS = {"<": "lt", ">": "gt", "<=": "le", ">=": "ge", "==": "eq", "!=": "ne"}
LOGIC = {"and": "and", "or": "or"}

# The others, by name and number of arguments, in our own text form.
COMPOSED = {
    ("exp2", 1): "2^a",
    ("fdim", 2): "where(a <= b, 0, a - b)",
    ("isfinite", 1): "abs(a) <= largest",
    ("isinf", 1): "abs(a) > largest",
    ("isnan", 1): "~(abs(a) >= 0)",
    ("isnormal", 1): "(abs(a) >= smallest) & (abs(a) <= largest)",
    ("signbit", 1): "copysign(1, a) < 0",
    ("=>", 2): "~a | b",  # implication: no part of FPCore 2.0, used in its benchmarks
    ("cast", 1): "a",  # all of a core is in one precision: rounding to it again changes nothing
}
REFUSED = {
    **dict.fromkeys(("while", "while*", "for", "for*"), "loops are not supported"),
    **dict.fromkeys(("tensor", "tensor*", "array", "ref", "dim", "size"), "tensors are not supported"),
    "!": "annotations (!) are not supported",
}


def is_operation(name: str) -> bool:
    """Tell whether FPCore has an operation of that name, whatever its arguments."""
    tables = (UNARY, BINARY, TERNARY, COMPARISONS, LOGIC)
    return any(name in table for table in tables) or any(name == composed for composed, _ in COMPOSED)
