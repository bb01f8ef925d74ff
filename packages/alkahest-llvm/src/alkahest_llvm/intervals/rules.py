"""The native interval rules in one table, and how one is added for a primitive of a third party.

A rule is `rule(builder, *pairs, **params) -> (lo, hi)`; see `bounds` for what a pair means. It is given with
`lower={"llvm-interval": rule}` in `scalar_p`. What has no rule may be anything: pictures come out right, only slower.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from alkahest.extend import load_lowerings, lowering_rules
from alkahest_llvm.blocks.forms import Arithmetic
from alkahest_llvm.emitting.builder import Builder
from alkahest_llvm.intervals import arithmetic, functions
from alkahest_llvm.intervals.bounds import Pair, PairRule, anything
from alkahest_llvm.intervals.choosing import choosing

TARGET = "llvm-interval"
RULES: dict[str, PairRule] = {**arithmetic.RULES, **functions.RULES}


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


CHOOSING = Arithmetic("interval that chooses", 2, choosing_rule_of)


def _unknown(b: Builder, *_: Any, **__: Any) -> Pair:
    return anything(b)
