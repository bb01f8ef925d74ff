"""The body of a tape: its instructions written in order, whole or in parts.

Code generation takes more than linear time and stack in the length of a basic block, so a long tape is written as a
chain of functions of moderate length; values that one leaves to a later one pass through a frame in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.lowering import rule_of
from alkahest_llvm.emitting.module_text import ModuleText

REAL = {"f64": "double", "f32": "float"}
LONGEST_BODY = 3000  # lines written into one function
LONGEST_WHOLE = 700  # instructions of a tape that may fit into it
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

    @cached_property
    def _readers(self) -> dict[int, set[str]]:
        readers: dict[int, set[str]] = {}
        for instr in self.tape.instrs:
            for a in instr.args:
                readers.setdefault(a, set()).add(instr.op)
        return readers

    def readers(self, slot: int) -> frozenset[str]:
        """Return the names of the ops that read a slot."""
        return frozenset(self._readers.get(slot, ()))

    def write(self, builder: Builder, at: int, slots: dict[int, Value]) -> None:
        """Write the instruction of slot `at`."""
        op, args, params = self.tape.instrs[at - self.first]
        values = [slots[a] for a in args]
        value = self.rules[op](builder, *values, **dict(params)) if params else self.rules[op](builder, *values)
        builder.slot_of[value.ref] = at
        slots[at] = value


class Slots(dict[int, Value]):
    """The values of the slots in one function: constants, and what comes from elsewhere, when they are first read."""

    def __init__(self, body: Body, builder: Builder, load: Callable[[int], Value]) -> None:
        super().__init__()
        self._body, self._builder, self._load = body, builder, load
        builder.readers_of = body.readers

    def __missing__(self, slot: int) -> Value:
        k = slot - self._body.n_inputs
        if 0 <= k < len(self._body.tape.consts):
            value = self._builder.constant(self._body.tape.consts[k])
        else:
            value = self._load(slot)
            self._builder.slot_of[value.ref] = slot
        self[slot] = value
        return value


def write_body(builder: Builder, tape: Tape, inputs: Sequence[Value]) -> list[Value]:
    """Write the instructions of a tape in one piece and return its outputs."""
    body = Body(tape)
    slots = Slots(body, builder, inputs.__getitem__)
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
        end = self.tape.n_slots
        for at in range(self.body.first, end):
            self.body.write(self._builder, at, self._slots)
            self._computed.append(at)
            if len(self._builder.lines) > LONGEST_PART or at == end - 1:
                self._end(at)
        return self.parts

    def load(self, slot: int) -> Value:
        """Load a value that an earlier part, or the caller, left in the frame."""
        builder = self._builder
        pointer = frame_pointer(builder, self.parts.places[slot])
        return builder.emit(builder.real, f"load {builder.types[builder.real]}, ptr {pointer}, align 4")

    def _last_reads(self) -> dict[int, int]:
        last: dict[int, int] = {}
        for at, instr in enumerate(self.tape.instrs, self.body.first):
            for slot in instr.args:
                last[slot] = at
        for slot in self.tape.outputs:
            last[slot] = _ALWAYS
        return last

    def _begin(self) -> None:
        self._builder = new_builder(self.module, self.width, self.options)
        self._slots = Slots(self.body, self._builder, self.load)
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
