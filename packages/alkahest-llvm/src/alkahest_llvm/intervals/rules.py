"""The native interval rules in one table, and how one is added for a primitive of a third party.

A rule is `rule(builder, *pairs, **params) -> (lo, hi)`; see `bounds` for what a pair means. It is given with
`lower={"llvm-interval": rule}` in `scalar_p`. What has no rule may be anything: pictures come out right, only slower.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from alkahest.extend import Instr, Tape, load_lowerings, lowering_rules
from alkahest_llvm.blocks.forms import Arithmetic
from alkahest_llvm.emitting.builder import Builder
from alkahest_llvm.intervals import arithmetic, functions
from alkahest_llvm.intervals.bounds import Pair, PairRule, anything
from alkahest_llvm.intervals.choosing import choosing

TARGET = "llvm-interval"
RULES: dict[str, PairRule] = {**arithmetic.RULES, **functions.RULES}
# Products whose factors are one slot, where a program would forget that.
SQUARES = {op: f"{op}.square" for op in ("mul", "fma", "fma.sub", "fma.neg")}


def _of_square(rule: PairRule) -> PairRule:
    return lambda b, x, *others: rule(b, x, x, *others)


RULES |= {square: _of_square(RULES[op]) for op, square in SQUARES.items()}


def with_squares(tape: Tape) -> Tape:
    """Return a tape whose products of a slot with itself are ops of their own."""

    def squared(instr: Instr) -> Instr:
        if instr.op in SQUARES and instr.args[0] == instr.args[1]:
            return Instr(SQUARES[instr.op], instr.args[1:], instr.params)
        return instr

    return Tape(tape.inputs, tape.consts, tuple([squared(i) for i in tape.instrs]), tape.outputs)


def interval_rule_of(op: str) -> PairRule:
    """Return the rule of a primitive or an internal op."""
    found = RULES.get(op)
    if found is not None:
        return found
    load_lowerings(TARGET)
    table = lowering_rules(TARGET)
    return table.by_name(op) if op in table else _unknown


@cache
def choosing_rule_of(op: str) -> PairRule:
    """Return the rule that also notes which operands matter: always the same one, as kernels are known by rules."""
    return choosing(op, interval_rule_of(op))


INTERVALS = Arithmetic("interval", 2, interval_rule_of)
CHOOSING = Arithmetic("interval that chooses", 2, choosing_rule_of)


def _unknown(b: Builder, *_: Any, **__: Any) -> Pair:
    return anything(b)
