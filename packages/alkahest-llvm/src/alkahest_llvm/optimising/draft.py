"""A tape while it is being rewritten.

Slots keep their numbers from the first step to the last: an instruction is replaced where it stands, new ones get
numbers of their own and a place before an old one, and what nobody reads any more is dropped. So a step that changes
three instructions of ten thousand costs three changes, and the tape is numbered anew only once, at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import repeat
from typing import TypeAlias

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest_llvm.emitting.builder import round_to_single
from alkahest_llvm.emitting.lowering import ARITHMETIC, own_ops

_instruction = partial(tuple.__new__, Instr)  # from (op, args, params), in half the time of Instr(op, args, params)


class Draft:
    """The slots of a tape: what computes each, and how often it is read.

    Lists by slot, which are faster to read than instructions: `op[slot]` is the name of the op that computes a slot, ""
    for inputs, constants and what was dropped, and `args[slot]` are the slots it reads. The few static parameters are
    in `params`. `uses[slot]` counts the readers; an output counts as one. `numbers` holds the constants by slot,
    rounded as the code will hold them, `ops` the names of all ops that occur.
    """

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        self.tape = tape
        self.options = options
        self.first = first = len(tape.inputs) + len(tape.consts)
        self.op = [*[""] * first, *[i[0] for i in tape.instrs]]
        self.args: list[tuple[int, ...]] = [*[()] * first, *[i[1] for i in tape.instrs]]
        has_params = any([i[2] for i in tape.instrs])
        self.params = {slot: i[2] for slot, i in enumerate(tape.instrs, first) if i[2]} if has_params else {}
        consts = tape.consts if options.dtype == "f64" else map(round_to_single, tape.consts)
        self.numbers = dict(enumerate(consts, len(tape.inputs)))
        self.outputs = list(tape.outputs)
        self.ops = set(tape.ops)
        self.changed = False
        self._end = len(self.op)
        self._order: Sequence[int] | None = range(first, self._end)
        self._ahead: dict[int, list[int]] = {}
        self._host: dict[int, int] = {}  # the old slot that a new one comes before
        self._same: dict[int, int] = {}
        self._slots: dict[tuple[float, float], int] = {}
        self.uses = uses = [0] * self._end
        for args in self.args:
            for a in args:
                uses[a] += 1
        for out in tape.outputs:
            uses[out] += 1
        self._drop_unread()

    def _drop_unread(self) -> None:
        uses = self.uses
        if 0 in uses[self.first :]:
            for slot in range(self._end - 1, self.first - 1, -1):
                if not uses[slot]:
                    self.changed = True
                    for a in self.args[slot]:
                        uses[a] -= 1
                    self.erase(slot)

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
            op = self.op
            self._order = [slot for slot in [*order, *range(done, self._end)] if op[slot]]
        return self._order

    def having(self, op: str) -> list[int]:
        """Return the slots that an op computes, in an order of evaluation."""
        ops = self.op
        return [slot for slot in self.order() if ops[slot] == op] if op in self.ops else []

    def readers(self, slots: Collection[int]) -> list[int]:
        """Return the slots of the instructions that read one of `slots`, in an order of evaluation."""
        args = self.args
        if len(slots) == 1:
            (one,) = slots
            return [slot for slot in self.order() if one in args[slot]]
        is_apart = frozenset(slots).isdisjoint
        return [slot for slot in self.order() if not is_apart(args[slot])]

    def own_ops(self) -> frozenset[str]:
        """Return those ops of the tape, and of arithmetic, that have this package's own rules."""
        return own_ops(self.tape.ops) | ARITHMETIC

    # writing

    def put(self, slot: int, op: str, *args: int) -> None:
        """Let a slot be computed by another op; what only the old one read is dropped."""
        self.op[slot] = op
        self.ops.add(op)
        if self.params:
            self.params.pop(slot, None)
        self._read(slot, args)

    def _read(self, slot: int, args: tuple[int, ...]) -> None:
        """Let an instruction read other slots."""
        uses, old = self.uses, self.args[slot]
        self.args[slot] = args
        self.changed = True
        for a in args:
            uses[a] += 1
        for a in old:
            uses[a] -= 1
            if not uses[a]:
                self._drop(a)

    def add_before(self, slot: int, op: str, *args: int) -> int:
        """Add an instruction that is computed before `slot` and return its own slot."""
        uses, new = self.uses, len(self.op)
        self.op.append(op)
        self.ops.add(op)
        self.args.append(args)
        uses.append(0)
        for a in args:
            uses[a] += 1
        self.changed = True
        self._order = None
        old = self._host[new] = self._host.get(slot, slot)
        others = self._ahead.get(old)
        if others is None:
            self._ahead[old] = [new]
        elif slot == old:
            others.append(new)
        else:
            others.insert(others.index(slot), new)
        return new

    def move(self, new: int, slot: int) -> None:
        """Let `slot` be computed as `new` is, which nothing reads; `new` is dropped."""
        params = self.params.get(new)
        self.put(slot, self.op[new], *self.args[new])
        if params:
            self.params[slot] = params
        self._drop(new)

    def constant(self, number: float) -> int:
        """Return the slot of a constant."""
        if not self._slots:
            self._slots = {(c, math.copysign(1.0, c)): s for s, c in reversed(self.numbers.items())}
        key = (number, math.copysign(1.0, number))
        if key not in self._slots:
            self._slots[key] = len(self.op)
            self.numbers[len(self.op)] = number
            self.op.append("")
            self.args.append(())
            self.uses.append(0)
        return self._slots[key]

    def _drop(self, slot: int) -> None:
        """Drop an instruction without readers, and what only it read."""
        uses = self.uses
        unread = [slot]
        while unread:
            s = unread.pop()
            for a in self.args[s]:
                uses[a] -= 1
                if not uses[a]:
                    unread.append(a)
            self.erase(s)

    def erase(self, slot: int) -> None:
        """Let nothing compute a slot. The counts of what it read stay as they are."""
        self.op[slot] = ""
        self.args[slot] = ()

    def merge(self, slot: int, into: int) -> None:
        """Let the readers of `slot` read `into`, which is computed before it; call `settle` after the last merge."""
        self._same[slot] = self._same.get(into, into)

    def settle(self) -> None:
        """Carry out the merges."""
        same, self._same = self._same, {}
        if same:
            for slot in self.readers(same):
                self.redirect(slot, same)
            self.redirect_outputs(same)

    def redirect(self, slot: int, same: dict[int, int]) -> tuple[int, ...]:
        """Let an instruction read `same[a]` for each argument `a` that is in `same`, and return its arguments."""
        args = tuple([same.get(a, a) for a in self.args[slot]])
        self._read(slot, args)
        return args

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
        op, uses, inputs = self.op, self.uses, self.tape.inputs
        moved = list(range(len(op)))
        consts: list[float] = []
        for slot, number in self.numbers.items():
            if uses[slot]:
                moved[slot] = len(inputs) + len(consts)
                consts.append(number)
        order = [slot for slot in self.order() if op[slot]]
        args = self._moved_args(order, moved, len(inputs) + len(consts))
        params = [self.params.get(slot, ()) for slot in order] if self.params else repeat(())
        instrs = tuple(map(_instruction, zip([op[slot] for slot in order], args, params, strict=False)))
        return Tape(inputs, tuple(consts), instrs, tuple([moved[o] for o in self.outputs]))

    def _moved_args(self, order: Sequence[int], moved: list[int], first: int) -> list[tuple[int, ...]]:
        """Return the arguments of instructions that are numbered anew from `first` on; `moved` takes their numbers."""
        found: list[tuple[int, ...]] = []
        append, old = found.append, self.args
        for at, slot in enumerate(order, first):
            args = old[slot]
            if len(args) == 2:  # the general way takes twice as long
                a, b = args
                append((moved[a], moved[b]))
            elif len(args) == 3:
                a, b, c = args
                append((moved[a], moved[b], moved[c]))
            else:
                append(tuple([moved[a] for a in args]))
            moved[slot] = at
        return found


Step: TypeAlias = Callable[[Draft], None]


def rewritten(tape: Tape, options: CompileOptions, steps: Sequence[Step]) -> Tape:
    """Return the tape after these steps, one after the other."""
    draft = Draft(tape, options)
    for step in steps:
        step(draft)
    return draft.finish()
