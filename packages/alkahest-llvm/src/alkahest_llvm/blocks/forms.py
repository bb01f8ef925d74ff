"""What a kernel of the machine computes, and for which kind of numbers it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from alkahest.extend import CompileOptions, Instr
from alkahest_llvm.emitting.builder import REAL
from alkahest_llvm.emitting.lowering import INTERNAL, RULES, rule_of

Rule = Callable[..., Any]


class Form(NamedTuple):
    """A small tape that one kernel computes: its slots are the operands, then one per step.

    `rules` are the lowering rules of the steps. `constant` says of each operand whether it is a constant of the
    program rather than a place, and `numbers` gives the values of those constants that a rule looks at, in
    hexadecimal: the kernel serves these only. `results` are the slots that the kernel stores.
    """

    steps: tuple[Instr, ...]
    rules: tuple[Rule, ...]
    constant: tuple[bool, ...]
    results: tuple[int, ...]
    numbers: tuple[str | None, ...] = ()


def form_name(form: Form) -> str:
    """Return a name that no form with other steps, constants or results has, "" where none of letters and digits does.

    >>> form_name(Form((Instr("fma", (0, 1, 2)),), (rule_of("fma"),), (False, False, True), (3,)))
    'fma.0.1.2_ppc_3'
    """
    if form.numbers or any([step.params for step in form.steps]):
        return ""
    steps = "_".join([".".join([step.op, *map(str, step.args)]) for step in form.steps])
    kinds = "".join(["c" if constant else "p" for constant in form.constant])
    return f"{steps}_{kinds}_{'.'.join(map(str, form.results))}"


@dataclass(frozen=True)
class Arithmetic:
    """What the slots of a tape hold, and how ops compute with it.

    A slot is `values` numbers. `rule_of(op)` gives the rule `rule(builder, *operands, **params)`; operands and result
    are one `Value` each where `values` is 1, else a tuple of them. `is_own(op, rule)` says whether a rule is part of
    this package, whose version then stands for its code in the key of what is kept on disk; of other rules the code
    that they write is the key.
    """

    name: str
    values: int
    rule_of: Callable[[str], Rule]
    is_own: Callable[[str, Rule], bool] = lambda op, rule: False


def _is_own(op: str, rule: Rule) -> bool:
    return INTERNAL.get(op) is rule or RULES.get(op) is rule


REALS = Arithmetic("real", 1, rule_of, _is_own)


@dataclass(frozen=True)
class Setting:
    """What kernels are made for: the options of a compilation, an arithmetic, and a layout.

    With `blocks`, a place is a pointer to a block of numbers, of which `lanes` are computed at a time. Without, it is
    one number, and `lanes` is 1.
    """

    options: CompileOptions
    lanes: int
    blocks: bool = True
    arithmetic: Arithmetic = REALS

    def __str__(self) -> str:
        """What stands for the setting in a key."""
        layout = "blocks" if self.blocks else "cells"
        return f"{self.arithmetic.name} {layout} x{self.lanes} {self.options!r}"

    @property
    def real(self) -> str:
        """LLVM's name of the type of numbers."""
        return REAL[self.options.dtype]

    @property
    def size(self) -> int:
        """The bytes of one number."""
        return 8 if self.real == "double" else 4

    @property
    def group_bytes(self) -> int:
        """The bytes of the numbers that are computed at a time."""
        return self.lanes * self.size
