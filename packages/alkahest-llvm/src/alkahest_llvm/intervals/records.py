"""A tape as records for pruning: programs of the block machine in which every record has the same length.

A record is eight words: the number of its kernel, the place of its result, three operands (a place, or the bits of a
constant), a note, and in half a word for each operand the number of its place, which `link` of `specialising` replaces
by where the operand comes from. The same records are run by two machines: over boxes, with
kernels of intervals, and over pixels, with the kernels of `alkahest_llvm.blocks`. A place is 16 bytes in the table of
places of either, room for the two pointers of an interval. Kernels of intervals that choose between operands write into
the note which of them matter in which lane, and `specialise` reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from alkahest.extend import CompileError, CompileOptions, Instr, Tape
from alkahest_llvm.blocks.forms import Form, Setting
from alkahest_llvm.blocks.kernels import KernelSet, kernel_set
from alkahest_llvm.blocks.program import WORD
from alkahest_llvm.emitting.lowering import rule_of
from alkahest_llvm.intervals.choosing import CHOICES, LANES, NOTE_BYTE
from alkahest_llvm.intervals.rules import CHOOSING, choosing_rule_of
from alkahest_llvm.targets import host_target

RECORD_WORDS = 8
RECORD = WORD * RECORD_WORDS
PLACE = 2 * WORD
OPERANDS = 3
NOTE = NOTE_BYTE // WORD  # the word of the note
ORIGINS = 2 * (NOTE + 1)  # where the numbers of the operands' places begin, in halves of words
X, Y = 1, 2  # the numbers of the inputs' places; there is no place 0
ALWAYS_FIRST = (1 << LANES) - 1  # the note of a copy: its operand is what matters

COPY = "copy"


class Operation(NamedTuple):
    """What a kernel number, from 1, stands for: the form of either machine, and the word that `specialise` reads of it.

    Bits 0 to 2 of `facts` say which operands are places, bit 8 that the op chooses, bits 4 to 5 and 6 to 7 between
    which operands.
    """

    numbers: Form
    intervals: Form
    facts: int


class Records(NamedTuple):
    """The words of all records, and the operations by number less 1; the result is that of the last record.

    The first two operations are copies, of a place and of a constant.
    """

    words: list[int]
    operations: list[Operation]
    n_places: int


def number_kernels(options: CompileOptions) -> KernelSet:
    """Return the kernels that compute pixels."""
    return kernel_set(Setting(options, host_target().lanes))


def interval_kernels(options: CompileOptions) -> KernelSet:
    """Return the kernels that compute intervals, a fixed number of boxes at a time whatever the processor."""
    return kernel_set(Setting(options, LANES, arithmetic=CHOOSING))


def records_of(tape: Tape, options: CompileOptions) -> Records:
    """Return the records of a tape of one output, with a place of its own for each instruction."""
    return _Writer(tape, options).records()


class _Writer:
    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        self.tape = tape
        self.numbers, self.intervals = number_kernels(options), interval_kernels(options)
        self.n_inputs, self.base = len(tape.inputs), len(tape.inputs) + len(tape.consts)
        self.operations: list[Operation] = []
        self.known: dict[Any, int] = {}
        self.words: list[int] = []
        for constant in (False, True):
            self._operation(Instr(COPY, (0,)), (constant,), (0.0,))

    def records(self) -> Records:
        output = self.tape.outputs[0]
        instrs = self.tape.instrs[: max(output - self.base + 1, 0)] or (Instr(COPY, (output,)),)
        for place, instr in enumerate(instrs, X + self.n_inputs):
            self._write(place, instr)
        return Records(self.words, self.operations, X + self.n_inputs + len(instrs))

    def _write(self, place: int, instr: Instr) -> None:
        slots = list(dict.fromkeys(instr.args))
        if len(slots) > OPERANDS:
            raise CompileError(
                f"{instr.op} has {len(slots)} operands, and pruning knows up to {OPERANDS}.",
                remedy="Evaluate the function at all points instead.",
            )
        step = Instr(instr.op, tuple([slots.index(a) for a in instr.args]), instr.params)
        constant = tuple([self.n_inputs <= a < self.base for a in slots])
        values = [self.tape.consts[a - self.n_inputs] if c else 0.0 for a, c in zip(slots, constant, strict=True)]
        operation = self._operation(step, constant, values)
        numbers = [X if c else self._place(a) for a, c in zip(slots, constant, strict=True)]
        words = [_bits(v) if c else PLACE * n for c, v, n in zip(constant, values, numbers, strict=True)]
        words += [0] * (OPERANDS - len(words))
        numbers += [X] * (OPERANDS - len(numbers))
        note = ALWAYS_FIRST if step.op == COPY else 0
        self.words += [WORD * operation, PLACE * place, *words, note, numbers[0] | numbers[1] << 32, numbers[2]]

    def _place(self, slot: int) -> int:
        return X + slot if slot < self.n_inputs else X + slot - self.base + self.n_inputs

    def _operation(self, step: Instr, constant: tuple[bool, ...], values: Sequence[float]) -> int:
        """Return the number of an operation; constants that a rule looks at are part of it."""
        key = (step, constant)
        fixed = self.known.get(key)
        if fixed is None:
            operation = self._settled(step, constant, values)
            looked_at = bool(operation.numbers.numbers or operation.intervals.numbers)
            self.known[key] = -1 if looked_at else len(self.operations) + 1
            if not looked_at:
                self.operations.append(operation)
                return len(self.operations)
        elif fixed >= 0:
            return fixed
        key = (step, constant, tuple(map(_bits, values)))
        if key not in self.known:
            self.operations.append(self._settled(step, constant, values))
            self.known[key] = len(self.operations)
        return self.known[key]

    def _settled(self, step: Instr, constant: tuple[bool, ...], values: Sequence[float]) -> Operation:
        padded = (*constant, *[True] * (RECORD_WORDS - 2 - len(constant)))
        numbers = [v if c else None for v, c in zip(values, constant, strict=True)]
        numbers += [0.0] * (len(padded) - len(values))
        rules = (_copy, _copy) if step.op == COPY else (rule_of(step.op), choosing_rule_of(step.op))
        forms = [
            kernels.settled(Form((step,), (rule,), padded, (len(padded),)), numbers)
            for kernels, rule in zip((self.numbers, self.intervals), rules, strict=True)
        ]
        return Operation(forms[0], forms[1], _facts(step, constant))


def _copy(_: Any, x: Any) -> Any:
    return x


def _facts(step: Instr, constant: tuple[bool, ...]) -> int:
    facts = sum(1 << k for k, c in enumerate(constant) if not c)
    choice = (0, 0) if step.op == COPY else CHOICES[step.op][0] if step.op in CHOICES else None
    if choice is not None:
        first, second = (step.args[k] for k in choice)
        facts |= 1 << 8 | first << 4 | second << 6
    return facts


def _bits(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]
