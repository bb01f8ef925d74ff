"""From a tape to a program."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from alkahest.extend import Instr, Tape
from alkahest_llvm.blocks.forms import Form, Rule
from alkahest_llvm.blocks.grouping import Group, find_groups
from alkahest_llvm.blocks.kernels import KernelSet
from alkahest_llvm.blocks.program import HALT, WORD, Program
from alkahest_llvm.emitting.builder import round_to_single

_TO_THE_END = 1 << 62  # when an input, a constant or an output is read last


def assemble(tape: Tape, kernels: KernelSet) -> Program:
    """Return the program that computes a tape with these kernels, in time linear in the length of the tape.

    The tape may hold ops of `alkahest_llvm.optimising`. What no output needs is left out.

    >>> from alkahest.extend import CompileOptions, Instr
    >>> from alkahest_llvm.blocks.forms import Setting
    >>> from alkahest_llvm.blocks.kernels import kernel_set
    >>> tape = Tape(("x",), (2.0,), (Instr("sin", (0,)), Instr("mul", (2, 1))), (3,))
    >>> print(assemble(tape, kernel_set(Setting(CompileOptions(), lanes=8))))
    t0 = sin in0
    out0 = mul t0, #4000000000000000
    halt
    """
    return _Assembler(tape, kernels).program()


class _Assembler:
    """What is known of slots and places while the records are written."""

    def __init__(self, tape: Tape, kernels: KernelSet) -> None:
        self.tape, self.kernels = tape, kernels
        self.values = kernels.setting.arithmetic.values
        self.step = WORD * self.values
        n_in, n_consts, n_instrs = len(tape.inputs), len(tape.consts), len(tape.instrs)
        self.base = n_in + n_consts
        self.constant = [False] * n_in + [True] * n_consts + [False] * n_instrs
        # What stands for a slot in a record: its place, or the bits of a constant.
        bits = constant_words(tape.consts, kernels.setting.real)
        self.words = [self.step * k for k in range(n_in)] + bits + [0] * n_instrs
        self.columns = {slot: self.step * (n_in + k) for k, slot in reversed([*enumerate(tape.outputs)])}
        self.unused = self.step * (n_in + len(tape.outputs))  # from here on no place was used yet
        self.free: list[int] = []
        self.last = _last_reads(tape)
        self.groups = find_groups(tape, self.last)
        self.records: list[int] = []
        self.codes: dict[Any, int] = {}
        self.forms: dict[Form, int] = {}

    def program(self) -> Program:
        """Write all records."""
        records, words, constant, codes = self.records, self.words, self.constant, self.codes
        last, free, columns, groups = self.last, self.free, self.columns, self.groups.at
        for at, instr in enumerate(self.tape.instrs, self.base):
            if last[at] < 0:
                continue
            op, args, params = instr
            if len(args) == 2 and not params:  # most instructions; this is `_write` for them, in half the time
                a, b = args
                code = codes.get((op, constant[a], constant[b])) or self._code(instr)
                one, two = words[a], words[b]
                if last[a] == at:
                    last[a] = 0
                    free.append(one)
                if last[b] == at:
                    free.append(two)
                words[at] = place = columns[at] if at in columns else free.pop() if free else self._new_place()
                records += (code, place, one, two)
            elif len(args) == 3 and not params and at not in groups:  # the same for multiply-adds
                a, b, c = args
                code = codes.get((op, constant[a], constant[b], constant[c])) or self._code(instr)
                one, two, three = words[a], words[b], words[c]
                if last[a] == at:
                    last[a] = 0
                    free.append(one)
                if last[b] == at:
                    last[b] = 0
                    free.append(two)
                if last[c] == at:
                    free.append(three)
                words[at] = place = columns[at] if at in columns else free.pop() if free else self._new_place()
                records += (code, place, one, two, three)
            else:
                self._write(at, instr)
        self._copy_outputs()
        records.append(HALT)
        n_in, n_out = len(self.tape.inputs) * self.values, len(self.tape.outputs) * self.values
        return Program(array("q", records), tuple(self.forms), n_in, n_out, self.unused // WORD)

    def _write(self, at: int, instr: Instr) -> None:
        """Write the record of an instruction, or of its group where that is complete."""
        group = self.groups.at.get(at)
        if group is not None:
            self._write_group(at, group)
        elif at in self.groups.done:
            self._release(at, instr.args)
        else:
            words, args = self.words, instr.args
            record = [self._code(instr), 0, *[words[a] for a in args]]
            self._release(at, args)
            words[at] = record[1] = self._place(at)
            self.records += record

    def _write_group(self, at: int, group: Group) -> None:
        constant = tuple([self.constant[a] for a in group.args])
        form = Form(group.steps, self._rules(group.steps), constant, group.results)
        code = self._number(self._settled(form, group.args))
        operands = [self.words[a] for a in group.args]
        self._release(at, group.args)
        for slot in group.slots:
            self.words[slot] = self._place(slot)
        self.records += (code, *[self.words[slot] for slot in group.slots], *operands)

    def _release(self, at: int, args: Sequence[int]) -> None:
        """Give up the places of the slots that are read here for the last time."""
        last = self.last
        for a in args:
            if last[a] == at:
                last[a] = 0
                self.free.append(self.words[a])

    def _place(self, slot: int) -> int:
        if slot in self.columns:
            return self.columns[slot]
        return self.free.pop() if self.free else self._new_place()

    def _code(self, instr: Instr) -> int:
        """Return the number of the kernel of one instruction."""
        op, args, params = instr
        constant = [self.constant[a] for a in args]
        key = (op, *constant, params) if params else (op, *constant)
        return self.codes.get(key) or self._new_code(key, instr, tuple(constant))

    def _new_code(self, key: tuple[Any, ...], instr: Instr, constant: tuple[bool, ...]) -> int:
        step = Instr(instr.op, tuple(range(len(constant))), instr.params)
        form = Form((step,), self._rules((step,)), constant, (len(constant),))
        settled = self._settled(form, instr.args)
        code = self._number(settled)
        if settled is form:
            self.codes[key] = code
        return code

    def _rules(self, steps: Sequence[Instr]) -> tuple[Rule, ...]:
        return tuple([self.kernels.setting.arithmetic.rule_of(step.op) for step in steps])

    def _settled(self, form: Form, args: Sequence[int]) -> Form:
        """Return the form for these arguments: special where a rule looks at the value of a constant."""
        if True not in form.constant:
            return form
        consts, n_in = self.tape.consts, len(self.tape.inputs)
        values = [consts[a - n_in] if self.constant[a] else None for a in args]
        return self.kernels.settled(form, values)

    def _number(self, form: Form) -> int:
        return self.forms.setdefault(form, WORD * (len(self.forms) + 1))

    def _new_place(self) -> int:
        place = self.unused
        self.unused += self.step
        return place

    def _copy_outputs(self) -> None:
        """Write the records of outputs that no instruction has stored: inputs, constants, and what is there already."""
        for k, slot in enumerate(self.tape.outputs, len(self.tape.inputs)):
            place = self.step * k
            if self.words[slot] != place or self.constant[slot]:
                form = Form((), (), (self.constant[slot],), (0,))
                self.records += (self._number(form), place, self.words[slot])


def _last_reads(tape: Tape) -> list[int]:
    """Return for each slot where it is read last, as the slot of the instruction, -1 where nothing needs it."""
    last = [-1] * tape.n_slots
    for slot in tape.outputs:
        last[slot] = _TO_THE_END
    n = len(tape.inputs) + len(tape.consts)
    for at, instr in zip(range(tape.n_slots - 1, n - 1, -1), reversed(tape.instrs), strict=True):
        if last[at] >= 0:
            for a in instr[1]:
                if last[a] < 0:
                    last[a] = at
    last[:n] = [_TO_THE_END] * n
    return last


def constant_words(consts: Sequence[float], real: str) -> list[int]:
    """Return constants as they stand in a program: as in memory, in words of eight bytes."""
    if real == "double":
        numbers = array("d", consts)
    else:
        numbers = array("f", [half for c in consts for half in (round_to_single(c), 0.0)])
    words = array("q")
    words.frombytes(numbers.tobytes())
    return words.tolist()
