"""Which products of a tape become part of a fused multiply-add.

With `contract=True` a product that one sum or difference alone reads is computed inside it, rounded once with it. The
choice is made on the tape, so that every tier, width and entry point makes the same one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alkahest.extend import Instr, Tape

_POWERS = (2.0, 3.0, 4.0)


@dataclass(frozen=True)
class Fused:
    """One multiply-add: `product` is the instruction taken in, `other` the slot of the other operand."""

    product: Instr
    other: int
    negate_product: bool = False
    negate_other: bool = False


@dataclass
class Plan:
    """What to do instead of the plain rules: `fused` by the slot of a sum, `absorbed` slots are never computed."""

    fused: dict[int, Fused] = field(default_factory=dict)
    absorbed: set[int] = field(default_factory=set)


def plan(tape: Tape) -> Plan:
    """Return the multiply-adds of a tape.

    >>> from alkahest.extend import Instr, Tape
    >>> axpy = Tape(("x", "y"), (2.5,), (Instr("mul", (2, 0)), Instr("add", (3, 1))), (4,))
    >>> plan(axpy).fused[4].other
    1
    """
    base = len(tape.inputs) + len(tape.consts)
    uses = Counter(a for instr in tape.instrs for a in instr.args)
    uses.update(tape.outputs)
    result = Plan()
    products: dict[int, Instr] = {}
    for at, instr in enumerate(tape.instrs, base):
        if instr.op in ("add", "sub"):
            _fuse(result, products, at, instr)
        elif uses[at] == 1 and _is_product(tape, instr):
            products[at] = instr
    return result


def _fuse(result: Plan, products: dict[int, Instr], at: int, instr: Instr) -> None:
    first, second = instr.args
    minus = instr.op == "sub"
    if second in products:
        result.fused[at] = Fused(products[second], first, negate_product=minus)
        result.absorbed.add(second)
    elif first in products:
        result.fused[at] = Fused(products[first], second, negate_other=minus)
        result.absorbed.add(first)


def _is_product(tape: Tape, instr: Instr) -> bool:
    if instr.op == "mul":
        return True
    exponent = instr.args[-1] - len(tape.inputs)
    return instr.op == "pow" and 0 <= exponent < len(tape.consts) and tape.consts[exponent] in _POWERS
