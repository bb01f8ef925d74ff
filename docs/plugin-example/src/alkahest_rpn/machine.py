"""The language, and a stack machine that runs it on NumPy columns."""

from collections import Counter

import numpy as np

import alkahest_rpn.words  # noqa: F401 - sets the rules
from alkahest.extend import Expr, IdentifierError, column_view, linearize, lowering_rules


def program(tape):
    """Return a tape as steps (text, action, what), which leave the outputs on the stack.

    "push" pushes a slot, "call" replaces arguments by a function's value, "keep" stores the top of the stack in a
    slot: a value that is used again is kept as `=t5` and pushed as `t5` from then on.
    """
    leaves = [*tape.inputs, *(repr(c).removesuffix(".0") for c in tape.consts)]
    uses = Counter([a for i in tape.instrs for a in i.args]) + Counter(tape.outputs)
    steps, kept, todo = [], set(), list(reversed(tape.outputs))
    while todo:  # a loop, not a recursion: formulas may be very deep
        slot = todo.pop()
        if isinstance(slot, tuple):
            steps.append(slot)
        elif slot < len(leaves):
            steps.append((leaves[slot], "push", slot))
        elif slot in kept:
            steps.append((f"t{slot}", "push", slot))
        else:
            instr = tape.instrs[slot - len(leaves)]
            word, function = lowering_rules("rpn").by_name(instr.op)
            if uses[slot] > 1:
                kept.add(slot)
                todo.append((f"=t{slot}", "keep", slot))
            todo.append((word, "call", (function, len(instr.args))))
            todo.extend(reversed(instr.args))
    return steps


def emit(expr, inputs):
    """Return one expression, or several, as a program."""
    outputs = [expr] if isinstance(expr, Expr) else expr
    tape = linearize(outputs, [inputs] if isinstance(inputs, Expr) else inputs)
    steps = program(tape)
    words = {text for text, action, what in steps if action != "push" or what >= len(tape.inputs)}
    for name in tape.inputs:
        if name in words:
            raise IdentifierError(f"the input {name} is also a word.", remedy="Give it another name.")
    return " ".join(text for text, _, _ in steps)


class RpnBackend:
    """The tier `rpn`."""

    def unavailable(self):
        """Return "": NumPy is everywhere Alkahest is."""
        return ""

    def refuses(self, tape):
        """Return which primitives have no word."""
        missing = sorted(op for op in tape.ops if op not in lowering_rules("rpn"))
        return f"has no word for {', '.join(missing)}" if missing else ""

    def compile(self, tape, options):
        """Return the kernel of `tape`; of the options, dtype can only be "f64"."""
        return RpnKernel(tape)


class RpnKernel:
    """A program and the machine that runs it."""

    def __init__(self, tape):
        self.n_inputs, self.n_outputs = len(tape.inputs), len(tape.outputs)
        self._consts, self._steps = [np.float64(c) for c in tape.consts], program(tape)
        self.artifacts = {"rpn": " ".join(text for text, _, _ in self._steps)}

    def call_columns(self, n, columns, out):
        """Run the program on `n` points at once; columns are addresses and strides."""
        slots = dict(enumerate([*(column_view(*column, n) for column in columns), *self._consts]))
        stack = []
        with np.errstate(all="ignore"):  # nan and infinities by IEEE 754, without warnings
            for _, action, what in self._steps:
                if action == "push":
                    stack.append(slots[what])
                elif action == "keep":
                    slots[what] = stack[-1]
                else:
                    function, arity = what
                    stack[-arity:] = [np.asarray(function(*stack[-arity:]), dtype=float)]
        for column, value in zip(out, stack, strict=True):
            column_view(*column, n)[...] = value
