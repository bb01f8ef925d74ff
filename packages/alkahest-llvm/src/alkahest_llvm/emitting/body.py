"""The body of a tape: its instructions written in order, whole or in parts.

Code generation takes more than linear time and stack in the length of a basic block, so a long tape is written as a
chain of functions of moderate length; values that one leaves to a later one pass through a frame in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.lowering import rule_of
from alkahest_llvm.emitting.module_text import ModuleText

REAL = {"f64": "double", "f32": "float"}
LONGEST_BODY = 3000  # lines written into one function
LONGEST_PART = 800  # lines after which a part ends, where a tape is written in parts
_ALWAYS = 1 << 62


def new_builder(module: ModuleText, width: int, options: CompileOptions) -> Builder:
    """Return a builder for a function body under these options."""
    return Builder(module, width, real=REAL[options.dtype], accuracy=options.accuracy, contract=options.contract)


class Body:
    """What is known of a tape before any of it is written: the rules, and who reads which slot."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.rules = {op: rule_of(op) for op in tape.ops}
        self.n_inputs = len(tape.inputs)
        self.first = self.n_inputs + len(tape.consts)
        self.readers: dict[int, set[str]] = {}
        for instr in tape.instrs:
            for a in instr.args:
                self.readers.setdefault(a, set()).add(instr.op)

    def write(self, builder: Builder, at: int, slots: dict[int, Value]) -> None:
        """Write the instruction of slot `at`."""
        op, args, params = self.tape.instrs[at - self.first]
        value = self.rules[op](builder, *[slots[a] for a in args], **dict(params))
        self.note(builder, at, value)
        slots[at] = value

    def note(self, builder: Builder, slot: int, value: Value) -> None:
        """Tell the builder who reads a slot."""
        builder.note_consumers(value, frozenset(self.readers.get(slot, ())))

    def constants(self, builder: Builder) -> dict[int, Value]:
        """Return the constants' slots."""
        return {k: builder.constant(c) for k, c in enumerate(self.tape.consts, self.n_inputs)}


def write_body(builder: Builder, tape: Tape, inputs: Sequence[Value]) -> list[Value]:
    """Write the instructions of a tape in one piece and return its outputs."""
    body = Body(tape)
    slots = dict(enumerate(inputs)) | body.constants(builder)
    for slot, value in slots.items():
        body.note(builder, slot, value)
    for at in range(body.first, tape.n_slots):
        body.write(builder, at, slots)
    return [slots[k] for k in tape.outputs]


@dataclass
class Parts:
    """A tape written as functions `void name(ptr frame)`: their names, and where values stand in the frame."""

    names: list[str] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    frame_size: int = 0
    inputs: dict[int, int] = field(default_factory=dict)


class _LazySlots(dict[int, Any]):
    """Slots of one part: what it has not computed itself is loaded from the frame when it is first read."""

    def __init__(self, writer: PartsWriter, known: dict[int, Value]) -> None:
        super().__init__(known)
        self._writer = writer

    def __missing__(self, slot: int) -> Value:
        value = self[slot] = self._writer.load(slot)
        return value


class PartsWriter:
    """Writes a tape as parts into a module."""

    def __init__(self, module: ModuleText, tape: Tape, width: int, options: CompileOptions) -> None:
        self.module, self.tape, self.width, self.options = module, tape, width, options
        self.body = Body(tape)
        self.parts = Parts()
        self._free: list[int] = []
        self._last = self._last_reads()
        self._begin()

    def write(self) -> Parts:
        """Write all parts and return what the caller needs to run them."""
        for k in range(self.body.n_inputs):
            if k in self._last:
                self.parts.inputs[k] = self._take_place(k)
        for at in range(self.body.first, self.tape.n_slots):
            self.body.write(self._builder, at, self._slots)
            self._computed.append(at)
            if len(self._builder.lines) > LONGEST_PART or at == self.tape.n_slots - 1:
                self._end(at)
        return self.parts

    def load(self, slot: int) -> Value:
        """Load a value that an earlier part, or the caller, left in the frame."""
        builder = self._builder
        pointer = frame_pointer(builder, self.parts.places[slot])
        value = builder.emit(builder.real, f"load {builder.types[builder.real]}, ptr {pointer}, align 4")
        self.body.note(builder, slot, value)
        return value

    def _last_reads(self) -> dict[int, int]:
        last: dict[int, int] = {}
        for at in range(self.body.first, self.tape.n_slots):
            for slot in self.tape.instrs[at - self.body.first].args:
                last[slot] = at
        for slot in self.tape.outputs:
            last[slot] = _ALWAYS
        return last

    def _begin(self) -> None:
        self._builder = new_builder(self.module, self.width, self.options)
        self._slots = _LazySlots(self, self.body.constants(self._builder))
        self._computed: list[int] = []

    def _end(self, at: int) -> None:
        places, builder = self.parts.places, self._builder
        for slot in [s for s in places if self._last[s] <= at]:
            self._free.append(places.pop(slot))
        for slot in self._computed:
            if self._last.get(slot, -1) > at:
                pointer = frame_pointer(builder, self._take_place(slot))
                vector = builder.types[builder.real]
                builder.lines.append(f"  store {vector} {self._slots[slot].ref}, ptr {pointer}, align 4")
        name = f"alkahest_part{len(self.parts.names)}"
        self.parts.names.append(name)
        head = f"define internal void @{name}(ptr %frame) nounwind {{\nentry:"
        self.module.define("\n".join([head, *builder.lines, "  ret void", "}"]))
        self._begin()

    def _take_place(self, slot: int) -> int:
        if not self._free:
            self._free.append(self.parts.frame_size)
            self.parts.frame_size += 1
        place = self.parts.places[slot] = self._free.pop()
        return place


def frame_pointer(builder: Builder, place: int) -> str:
    """Write the address of a place in the frame and return its name."""
    name = builder.new_label("%at")
    builder.lines.append(f"  {name} = getelementptr {builder.types[builder.real]}, ptr %frame, i64 {place}")
    return name
