"""The lowering rules of the built-in primitives: how each op of a tape is written with the builder.

A rule is `rule(builder, *values, **params) -> Value`. A third party adds one for its primitive with
`lower={"llvm": rule}` in `scalar_p`, or with `lowering_rules("llvm").set(prim, rule)` in the hook `alkahest_lowerings`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import cache

from alkahest.extend import CompileError, RuleTable, Tape, lowering_rules, prim_by_name
from alkahest_llvm.emitting import operations as ir
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.operations import select
from alkahest_llvm.vecmath import LARGEST_POLYGAMMA_ORDER
from alkahest_llvm.vecmath.fast import FAST_KERNELS

Rule = Callable[..., Value]
_lock = threading.Lock()

LARGEST_SQUARED_POWER = 64  # up to here repeated squaring, beyond the general power


def _relation(name: str) -> Rule:
    return lambda b, x, y: b.boolean(x.compare(name, y))


def _kernel(name: str) -> Rule:
    """Return the rule of a function: its kernel, or the faster one where that is exact enough."""
    fast = FAST_KERNELS.get(name, name)
    return lambda b, *xs: b.kernel(fast if _fast_will_do(b) else name, *xs)


def _fast_will_do(b: Builder) -> bool:
    """Return whether 4 ulp of a double are enough: rounded to single precision they vanish."""
    return b.accuracy == "4ulp" or b.real == "float"


def _pair(result: int) -> Rule:
    return lambda b, x: b.kernels("sincos_pair", x)[result]


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
    from alkahest_llvm.vecmath import integer_power, root_power  # code that is loaded from disk needs neither

    if exponent == int(exponent):
        return integer_power.integer_power(x, int(exponent))
    if exponent in root_power.EXPONENTS:
        return root_power.root_power(x, exponent)
    return b.kernel("pow", x, y)


def _has_polygamma(order: float | None) -> bool:
    return order is not None and 0 <= order <= LARGEST_POLYGAMMA_ORDER and order == int(order)


def _polygamma(b: Builder, order: Value, x: Value) -> Value:
    if not _has_polygamma(order.number):
        raise CompileError(
            f"polygamma has native code for constant orders from 0 to {LARGEST_POLYGAMMA_ORDER} only.",
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
    "min": lambda b, x, y: select(x.compare("ord", 0.0), select(x < y, x, y), x),
    "max": lambda b, x, y: select(x.compare("ord", 0.0), select(x > y, x, y), x),
    "fmin": lambda b, x, y: select(y.compare("ord", 0.0), select(x < y, x, y), x),
    "fmax": lambda b, x, y: select(y.compare("ord", 0.0), select(x > y, x, y), x),
    "copysign": lambda b, x, y: ir.copysign(x, y),
    "sqrt": lambda b, x: ir.sqrt(x),
    "polygamma": _polygamma,
    "and": lambda b, x, y: b.boolean(b.truth(x) & b.truth(y)),
    "or": lambda b, x, y: b.boolean(b.truth(x) | b.truth(y)),
    "not": lambda b, x: b.boolean(~b.truth(x)),
    "where": lambda b, c, x, y: select(b.truth(c), x, y),
    **{name: _relation(name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{
        name: _kernel(name)
        for name in (
            *("exp", "expm1", "log", "log1p", "log2", "log10", "cbrt", "sin", "cos", "tan"),
            *("asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
            *("erf", "erfc", "gamma", "lgamma", "digamma", "fmod", "remainder", "hypot", "atan2"),
        )
    },
}


# Ops that are no primitives: `alkahest_llvm.optimising` puts them into tapes.
INTERNAL: dict[str, Rule] = {
    "fma.sub": lambda b, x, y, z: ir.fma(x, y, -z),
    "fma.neg": lambda b, x, y, z: ir.fma(-x, y, z),
    "sin.pair": _pair(0),  # of an argument whose cosine is wanted too
    "cos.pair": _pair(1),
}


def rule_of(op: str) -> Rule:
    """Return the rule of a primitive or of an internal op."""
    return INTERNAL.get(op) or register().by_name(op)


def missing_ops(tape: Tape) -> tuple[str, ...]:
    """Return the ops of a tape that have no lowering rule for LLVM."""
    table = register()
    missing = {op for op in tape.ops if op not in table}
    if "polygamma" in tape.ops and not all(
        _has_polygamma(_constant(tape, args[0])) for op, args, _ in tape.instrs if op == "polygamma"
    ):
        missing.add(f"polygamma of an order that is no constant from 0 to {LARGEST_POLYGAMMA_ORDER}")
    return tuple(sorted(missing))


def _constant(tape: Tape, slot: int) -> float | None:
    """Return the value of a constant's slot, None for any other slot."""
    k = slot - len(tape.inputs)
    return tape.consts[k] if 0 <= k < len(tape.consts) else None


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
