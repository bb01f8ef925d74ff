"""The forms that most programs are made of: their kernels are compiled at one go, and loaded as one object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from alkahest.extend import Instr
from alkahest_llvm.blocks.forms import REALS, Arithmetic, Form
from alkahest_llvm.blocks.grouping import LONGEST_CHAIN, chain_steps

# With any operands but constants alone, which no tape has that was optimised. No rule of these looks at a constant.
_ARITHMETIC = {
    **dict.fromkeys(("neg", "abs", "sqrt"), 1),
    **dict.fromkeys(("add", "sub", "mul", "div"), 2),
    **dict.fromkeys(("fma", "fma.sub", "fma.neg"), 3),
}


def usual_ops(arithmetic: Arithmetic) -> list[str]:
    """Return the ops of usual arithmetic that have this package's own rules; `usual_forms` depends on nothing else."""
    return [op for op in _ARITHMETIC if REALS.is_own(op, REALS.rule_of(op))] if arithmetic is REALS else []


def usual_forms(arithmetic: Arithmetic) -> list[Form]:
    """Return the forms of usual arithmetic, chains of multiply-adds among them, that have this package's own rules.

    For any other arithmetic than that of real numbers there are none.
    """
    if arithmetic is not REALS:
        return []
    return [f for f in (*_single(), *_chains()) if all(map(REALS.is_own, [step.op for step in f.steps], f.rules))]


def _single() -> Iterator[Form]:
    yield Form((), (), (False,), (0,))  # a copy
    for op, count in _ARITHMETIC.items():
        step, rule = Instr(op, tuple(range(count))), REALS.rule_of(op)
        for constant in product((False, True), repeat=count):
            if not all(constant):
                yield Form((step,), (rule,), constant, (count,))


def _chains() -> Iterator[Form]:
    rule = REALS.rule_of("fma")
    for length in range(2, LONGEST_CHAIN + 1):
        steps, result = chain_steps(length)
        for first in (False, True):
            yield Form(steps, (rule,) * length, (first, False, *[True] * length), (result,))
