"""The lowering rules of the built-in primitives: how each op of a tape is written with the builder.

A rule is `rule(builder, *values, **params) -> Value`. A third party adds one for its primitive with
`lower={"llvm": rule}` in `scalar_p`, or with `lowering_rules("llvm").set(prim, rule)` in the hook `alkahest_lowerings`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import cache

from alkahest.extend import CompileError, RuleTable, lowering_rules, prim_by_name
from alkahest_llvm.emitting import operations as ir
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import select
from alkahest_llvm.vecmath.integer_power import plain_power, twofold_power

Rule = Callable[..., Value]
_lock = threading.Lock()

LARGEST_PRODUCT_POWER = 4  # up to here powers are products, each rounded
POLYGAMMA_ORDERS = (0, 1, 2, 3)
LARGEST_SQUARED_POWER = 64  # up to here repeated squaring, beyond the general power


def _relation(name: str) -> Rule:
    return lambda b, x, y: b.boolean(x.compare(name, y))


def _kernel(name: str) -> Rule:
    return lambda b, *xs: b.kernel(name, *xs)


def _sin(b: Builder, x: Value) -> Value:
    if _fast_will_do(b):
        return b.kernel("sin_fast", x)
    return b.kernels("sincos", x)[0] if "cos" in b.consumers(x) else b.kernel("sin", x)


def _cos(b: Builder, x: Value) -> Value:
    if _fast_will_do(b):
        return b.kernel("cos_fast", x)
    return b.kernels("sincos", x)[1] if "sin" in b.consumers(x) else b.kernel("cos", x)


def _fast_will_do(b: Builder) -> bool:
    """Return whether 2 ulp of a double are enough: rounded to single precision they vanish."""
    return b.accuracy == "4ulp" or b.real == "float"


def _sign(b: Builder, x: Value) -> Value:
    one = b.constant(1.0)
    return select(x > 0.0, one, select(x < 0.0, -1.0, select(ir.equal(x, 0.0), 0.0, x)))


def _round_away(b: Builder, x: Value) -> Value:
    size = ir.fabs(x)
    whole = ir.trunc(size)
    return ir.copysign(select(size - whole >= 0.5, whole + 1.0, whole), x)


def _power(b: Builder, x: Value, y: Value) -> Value:
    exponent = y.number
    if exponent is None or not abs(exponent) <= LARGEST_SQUARED_POWER:
        return b.kernel("pow", x, y)
    if exponent == int(exponent):
        return _integer_power(b, x, int(exponent))
    if exponent in (0.5, 1.5, 2.5, -0.5, -1.5):
        return _half_integer_power(b, x, exponent)
    return b.kernel("pow", x, y)


def _integer_power(b: Builder, x: Value, n: int) -> Value:
    """Return x^n: n/2 ulp at most for 1 <= n <= 4, beyond and for negative n below 0.6 ulp."""
    if n == 0:
        return b.constant(1.0)
    if n == -1:
        return 1.0 / x
    if 1 <= n <= LARGEST_PRODUCT_POWER:
        return plain_power(x, n)
    if b.real == "double":
        return twofold_power(x, n)
    wide = b.as_double(x)  # the products' errors vanish when the result is rounded to single precision
    return b.as_real(plain_power(wide if n > 0 else 1.0 / wide, abs(n)))


def _half_integer_power(b: Builder, x: Value, exponent: float) -> Value:
    """Return x^(n + 1/2) from the square root, with what pow makes of -0 and of -inf; error below 2 ulp."""
    root = select(ir.equal(x, float("-inf")), float("inf"), ir.sqrt(x) + 0.0)
    if exponent == 0.5:
        return root
    if exponent == -0.5:
        return 1.0 / root
    if exponent == -1.5:
        return ir.fabs(1.0 / x) / root  # neither part leaves the range of normal numbers before the result does
    return root * (ir.fabs(x) if exponent == 1.5 else plain_power(x, 2))


def _polygamma(b: Builder, order: Value, x: Value) -> Value:
    if order.number not in POLYGAMMA_ORDERS:
        raise CompileError(
            "polygamma has native code for constant orders from 0 to 3 only.",
            remedy="Leave the function to the interpreter, or to the tier c.",
        )
    return b.kernel(f"polygamma{int(order.number)}" if order.number else "digamma", x)


RULES: dict[str, Rule] = {
    "add": lambda b, x, y: x + y,
    "sub": lambda b, x, y: x - y,
    "mul": lambda b, x, y: x * y,
    "div": lambda b, x, y: x / y,
    "neg": lambda b, x: -x,
    "fma": lambda b, x, y, z: ir.fma(x, y, z),
    "pow": _power,
    "abs": lambda b, x: ir.fabs(x),
    "sign": _sign,
    "floor": lambda b, x: ir.floor(x),
    "ceil": lambda b, x: ir.ceil(x),
    "trunc": lambda b, x: ir.trunc(x),
    "round": lambda b, x: ir.rint(x),
    "round_away": _round_away,
    "min": lambda b, x, y: select(ir.is_nan(x), x, select(x < y, x, y)),
    "max": lambda b, x, y: select(ir.is_nan(x), x, select(x > y, x, y)),
    "fmin": lambda b, x, y: select(ir.is_nan(y), x, select(x < y, x, y)),
    "fmax": lambda b, x, y: select(ir.is_nan(y), x, select(x > y, x, y)),
    "copysign": lambda b, x, y: ir.copysign(x, y),
    "sqrt": lambda b, x: ir.sqrt(x),
    "polygamma": _polygamma,
    "sin": _sin,
    "cos": _cos,
    "and": lambda b, x, y: b.boolean(b.truth(x) & b.truth(y)),
    "or": lambda b, x, y: b.boolean(b.truth(x) | b.truth(y)),
    "not": lambda b, x: b.boolean(~b.truth(x)),
    "where": lambda b, c, x, y: select(b.truth(c), x, y),
    **{name: _relation(name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{
        name: _kernel(name)
        for name in (
            *("exp", "expm1", "log", "log1p", "log2", "log10", "cbrt", "tan", "asin", "acos", "atan"),
            *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "gamma", "lgamma", "digamma"),
            *("fmod", "remainder", "hypot", "atan2"),
        )
    },
}


# Ops that are no primitives: `alkahest_llvm.optimising` puts them into tapes.
INTERNAL: dict[str, Rule] = {
    "fma.sub": lambda b, x, y, z: ir.fma(x, y, -z),
    "fma.neg": lambda b, x, y, z: ir.fma(-x, y, z),
}


def rule_of(op: str) -> Rule:
    """Return the rule of a primitive or of an internal op."""
    return INTERNAL.get(op) or register().by_name(op)


# What optimising writes, and takes apart.
ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "abs", "pow", "fma"))


def own_ops(ops: Iterable[str]) -> frozenset[str]:
    """Return those of the ops that have this package's own rules: it knows what they compute."""
    table = register()
    return frozenset([op for op in ops if op in INTERNAL or (op in RULES and table.by_name(op) is RULES[op])])


def own_arithmetic() -> bool:
    """Return whether sums, products and powers still mean what optimising takes them for."""
    return own_ops(ARITHMETIC) == ARITHMETIC


def register() -> RuleTable:
    """Set the rules of the built-in primitives where none is set yet, and return the table."""
    _set_rules()
    return lowering_rules("llvm")


@cache
def _set_rules() -> None:
    table = lowering_rules("llvm")
    with _lock:
        for name, rule in RULES.items():
            if name not in table:
                table.set(prim_by_name(name), rule)
