"""What is done to expressions before they are compiled, by the settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alkahest.compile.dispatch import CompileConfig
from alkahest.expr.expression import Expr
from alkahest.expr.tape import Tape, linearize
from alkahest.symbolic.constants import fold_constants


def tape_of(outputs: Sequence[Expr], inputs: Iterable[Any], config: CompileConfig) -> Tape:
    """Return the tape that is compiled for `outputs`.

    By default exact constants are folded, which keeps where results are defined and rounds once instead of several
    times; `contract=False` leaves that out. With `simplify=True` the outputs are simplified together, with
    `stable=True` each is rearranged by `stabilize` on the domains of its symbols and what is assumed of them. Raises
    what `linearize` raises.
    """
    inputs = list(inputs)
    if config.simplify:
        from alkahest.symbolic.egraph.costs import OpCost
        from alkahest.symbolic.simplification import simplified

        target = "gpu" if config.target == "cuda" else "cpu"
        outputs = simplified(outputs, cost=OpCost(target))
    if config.stable:
        from alkahest.symbolic.stability.stabilize import stabilize

        outputs = [stabilize(output, {}).expr for output in outputs]
    tape = linearize(outputs, inputs)
    if config.contract and _has_constant_operation(tape):
        return linearize(fold_constants(outputs), inputs)
    return tape


def _has_constant_operation(tape: Tape) -> bool:
    """Tell whether an instruction reads constants alone."""
    first, end = len(tape.inputs), len(tape.inputs) + len(tape.consts)
    leaves = [args for _, args, _ in tape.instrs if args and args[0] < end > args[-1]]
    return any([min(args) >= first and max(args) < end for args in leaves])
