"""A tape while it is being rewritten.

Slots keep their numbers from the first step to the last: an instruction is replaced where it stands, new ones get
numbers of their own and a place before an old one, and what nobody reads any more is dropped. So a step that changes
three instructions of ten thousand costs three changes, and the tape is numbered anew only once, at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest_llvm.emitting.builder import round_to_single
from alkahest_llvm.emitting.lowering import ARITHMETIC, own_ops

_make = tuple.__new__  # half the time of Instr(...)
NOTHING = Instr("", ())  # stands where a slot is an input, a constant, or dropped


def instruction(op: str, args: tuple[int, ...], params: tuple[tuple[str, Any], ...] = ()) -> Instr:
    """Return an `Instr`."""
    return _make(Instr, (op, args, params))


class Draft:
    """The slots of a tape: what computes each, and how often it is read.

    `code[slot]` is the instruction of a slot, NOTHING for inputs, constants and what was dropped. `uses[slot]` counts
    its readers; an output counts as one. `numbers` holds the constants by slot, rounded as the code
    will hold them, `ops` the names of all ops that occur, `ours` those of them that have this package's own rules.
    """

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        self.tape = tape
        self.options = options
        self.first = first = len(tape.inputs) + len(tape.consts)
        self.code: list[Instr] = [*([NOTHING] * first), *tape.instrs]
        consts = tape.consts if options.dtype == "f64" else map(round_to_single, tape.consts)
        self.numbers = dict(enumerate(consts, len(tape.inputs)))
        self.outputs = list(tape.outputs)
        self.ops = set(tape.ops)
        self.ours = own_ops(tape.ops) | ARITHMETIC
        self.changed = False
        self._end = len(self.code)
        self._order: Sequence[int] | None = range(first, self._end)
        self._ahead: dict[int, list[int]] = {}
        self._host: dict[int, int] = {}  # the old slot that a new one comes before
        self._same: dict[int, int] = {}
        self._slots: dict[tuple[float, float], int] = {}
        self.uses = uses = [0] * self._end
        for _, args, _ in tape.instrs:
            for a in args:
                uses[a] += 1
        for out in tape.outputs:
            uses[out] += 1
        self._drop_unread()

    def _drop_unread(self) -> None:
        uses, code = self.uses, self.code
        if 0 in uses[self.first :]:
            for slot in range(self._end - 1, self.first - 1, -1):
                if not uses[slot]:
                    self.changed = True
                    for a in code[slot][1]:
                        uses[a] -= 1
                    code[slot] = NOTHING

    # reading

    def order(self) -> Sequence[int]:
        """Return the slots of instructions in an order of evaluation; dropped ones may be among them."""
        if self._order is None:
            order: list[int] = []
            done = self.first
            for slot in sorted(self._ahead):
                order += range(done, slot)
                order += self._ahead[slot]
                done = slot
            self._order = [*order, *range(done, self._end)]
        return self._order

    # writing

    def put(self, slot: int, op: str, *args: int, params: tuple[tuple[str, Any], ...] = ()) -> None:
        """Let a slot be computed by another op; what only the old one read is dropped."""
        old, uses = self.code[slot], self.uses
        self.code[slot] = _make(Instr, (op, args, params))
        self.ops.add(op)
        self.changed = True
        for a in args:
            uses[a] += 1
        for a in old[1]:
            uses[a] -= 1
            if not uses[a]:
                self._drop(a)

    def add_before(self, slot: int, op: str, *args: int) -> int:
        """Add an instruction that is computed before `slot` and return its own slot."""
        self.code.append(NOTHING)
        self.uses.append(0)
        new = len(self.code) - 1
        old = self._host.get(slot, slot)
        self._host[new] = old
        self._order = None
        others = self._ahead.setdefault(old, [])
        others.insert(len(others) if slot == old else others.index(slot), new)
        self.put(new, op, *args)
        return new

    def move(self, new: int, slot: int) -> None:
        """Let `slot` be computed as `new` is, which nothing reads; `new` is dropped."""
        op, args, params = self.code[new]
        self.put(slot, op, *args, params=params)
        self._drop(new)

    def constant(self, number: float) -> int:
        """Return the slot of a constant."""
        if not self._slots:
            self._slots = {(c, math.copysign(1.0, c)): s for s, c in reversed(self.numbers.items())}
        key = (number, math.copysign(1.0, number))
        if key not in self._slots:
            self._slots[key] = len(self.code)
            self.numbers[len(self.code)] = number
            self.code.append(NOTHING)
            self.uses.append(0)
        return self._slots[key]

    def _drop(self, slot: int) -> None:
        """Drop an instruction without readers, and what only it read."""
        uses, code = self.uses, self.code
        unread = [slot]
        while unread:
            s = unread.pop()
            for a in code[s][1]:
                uses[a] -= 1
                if not uses[a]:
                    unread.append(a)
            code[s] = NOTHING

    def merge(self, slot: int, into: int) -> None:
        """Let the readers of `slot` read `into`, which is computed before it; call `settle` after the last merge."""
        self._same[slot] = self._same.get(into, into)

    def settle(self) -> None:
        """Carry out the merges."""
        same, self._same = self._same, {}
        if same:
            merged, code = same.keys(), self.code
            for slot in self.order():
                if not merged.isdisjoint(code[slot][1]):
                    self.redirect(slot, same)
            self.redirect_outputs(same)

    def redirect(self, slot: int, same: dict[int, int]) -> None:
        """Let an instruction read `same[a]` instead of each argument `a` that is in `same`."""
        op, args, params = self.code[slot]
        self.put(slot, op, *[same.get(a, a) for a in args], params=params)

    def redirect_outputs(self, same: dict[int, int]) -> None:
        """Let the outputs name `same[slot]` instead of each `slot` that is in `same`."""
        for k, out in enumerate(self.outputs):
            if out in same:
                self.outputs[k] = same[out]
                self.changed = True
                self.uses[same[out]] += 1
                self.uses[out] -= 1
                if not self.uses[out]:
                    self._drop(out)

    # the end

    def finish(self) -> Tape:
        """Return the tape: the one begun with where nothing was changed."""
        if not self.changed:
            return self.tape
        code, uses, inputs = self.code, self.uses, self.tape.inputs
        moved = list(range(len(code)))
        consts: list[float] = []
        for slot, number in self.numbers.items():
            if uses[slot]:
                moved[slot] = len(inputs) + len(consts)
                consts.append(number)
        at = len(inputs) + len(consts)
        instrs: list[Instr] = []
        append = instrs.append
        for slot in self.order():
            op, args, params = code[slot]
            if not op:
                continue
            if len(args) == 2:
                a, b = args
                args = (moved[a], moved[b])
            else:
                args = tuple([moved[a] for a in args])
            append(_make(Instr, (op, args, params)))
            moved[slot] = at
            at += 1
        return Tape(inputs, tuple(consts), tuple(instrs), tuple([moved[o] for o in self.outputs]))


Step: TypeAlias = Callable[[Draft], None]


def rewritten(tape: Tape, options: CompileOptions, steps: Sequence[Step]) -> Tape:
    """Return the tape after these steps, one after the other."""
    draft = Draft(tape, options)
    for step in steps:
        step(draft)
    return draft.finish()
