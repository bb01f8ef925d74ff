"""The body of a tape: its instructions written in order, whole or in parts.

Code generation takes more than linear time and stack in the length of a basic block, so a long tape is written as a
chain of functions of moderate length; values that one leaves to a later one pass through a frame in memory. Over many
points each of these functions goes through several frames before the next one is called, since the code of a long tape
does not fit the processor's caches for instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.builder import REAL, Builder, Value
from alkahest_llvm.emitting.lowering import rule_of
from alkahest_llvm.emitting.module_text import ModuleText
from alkahest_llvm.emitting.roots import roots_to_multiply

LONGEST_BODY = 3000  # lines written into one function
LONGEST_WHOLE = 700  # instructions of a tape that may fit into it
# Measured by `benchmarks/parts.py`:
LONGEST_PART = 300  # lines after which a part ends, where a tape is written in parts
MOST_FRAMES = 16  # that a part goes through in turn
LARGEST_FRAMES = 1 << 18  # bytes of them: they should stay in the second-level cache
FRAME_ALIGNMENT = 64  # bytes
_ALWAYS = 1 << 62


def new_builder(module: ModuleText, width: int, options: CompileOptions) -> Builder:
    """Return a builder for a function body under these options."""
    return Builder(module, width, real=REAL[options.dtype], accuracy=options.accuracy, contract=options.contract)


class Body:
    """What is known of a tape before any of it is written: the rule of each op."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.rules = {op: rule_of(op) for op in tape.ops}
        self.n_inputs = len(tape.inputs)
        self.first = self.n_inputs + len(tape.consts)

    def write(self, builder: Builder, at: int, slots: dict[int, Value]) -> None:
        """Write the instruction of slot `at`."""
        op, args, params = self.tape.instrs[at - self.first]
        values = [slots[a] for a in args]
        value = self.rules[op](builder, *values, **dict(params)) if params else self.rules[op](builder, *values)
        slots[at] = value


class Slots(dict[int, Value]):
    """The values of the slots in one function: constants, and what comes from elsewhere, when they are first read."""

    def __init__(self, body: Body, builder: Builder, load: Callable[[int], Value]) -> None:
        super().__init__()
        self._body, self._builder, self._load = body, builder, load

    def __missing__(self, slot: int) -> Value:
        k = slot - self._body.n_inputs
        if 0 <= k < len(self._body.tape.consts):
            value = self._builder.constant(self._body.tape.consts[k])
        else:
            value = self._load(slot)
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
    """A tape written as functions, to be called in order.

    Each takes the address of a frame; or, where they are looped, that of the first of several, and their number. A
    frame is `frame_size` vectors: `places` tells where values stand, and `inputs` where the caller puts them.
    """

    names: list[str] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    inputs: dict[int, int] = field(default_factory=dict)
    frame_size: int = 0


class PartsWriter:
    """Writes a tape as parts into a module: parts over one frame, or looped over several."""

    def __init__(self, module: ModuleText, tape: Tape, width: int, options: CompileOptions, *, looped: bool) -> None:
        self.module, self.tape, self.width, self.options, self.looped = module, tape, width, options, looped
        self.body = Body(tape)
        self.parts = Parts()
        self._multiplies_root = roots_to_multiply(tape, options, width)
        self._texts: list[list[str]] = []
        self._free: list[int] = []
        self._last = self._last_reads()
        self._begin()

    def write(self) -> Parts:
        """Write all parts and return what the caller needs to run them."""
        parts = self.parts
        for k in range(self.body.n_inputs):
            if k in self._last:
                parts.inputs[k] = parts.places[k] = self._new_place()
        end = self.tape.n_slots
        for at in range(self.body.first, end):
            self.body.write(self._builder, at, self._slots)
            self._computed[at] = len(self._builder.lines)
            if len(self._builder.lines) > LONGEST_PART or at == end - 1:
                self._end(at)
        parts.frame_size |= 1  # a frame of whole pages would make the places of all frames compete in the cache
        vector = self._builder.types[self._builder.real]
        for k, lines in enumerate(self._texts):
            parts.names.append(f"alkahest_part{k}")
            if self.looped:
                parameters = "ptr %frames, i64 %n"
                lines = _for_each_frame(lines, f"{vector}, ptr %frame, i64 {parts.frame_size}")
            else:
                parameters = "ptr %frame"
                lines = ["body:", *lines, "  ret void"]
            head = f"define internal void @{parts.names[-1]}({parameters}) nounwind {{"
            self.module.define("\n".join([head, *lines, "}"]))
        return parts

    def load(self, slot: int) -> Value:
        """Load a value that an earlier part, or the caller, left in the frame."""
        value = load_place(self._builder, self.parts.places[slot])
        self._loaded[slot] = len(self._builder.lines)
        return value

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
        self._builder.multiplies_root = self._multiplies_root
        self._builder.block = "body"
        self._slots = Slots(self.body, self._builder, self.load)
        # By slot, how many lines there were when its value had been computed, or loaded.
        self._computed: dict[int, int] = {}
        self._loaded: dict[int, int] = {}

    def _end(self, at: int) -> None:
        """End a part. What later ones read is stored where it is computed, while it is in a register."""
        places, last, builder = self.parts.places, self._last, self._builder
        # Places whose values were read for the last time may be stored to after that.
        left = sorted([(line, slot) for slot, line in self._loaded.items() if last[slot] <= at], reverse=True)
        lines: list[str] = []
        begin = 0
        for slot, line in self._computed.items():
            if last.get(slot, -1) > at:
                while left and left[-1][0] <= line:
                    self._free.append(places.pop(left.pop()[1]))
                places[slot] = self._free.pop() if self._free else self._new_place()
                lines += builder.lines[begin:line]
                lines += place_stored(builder, places[slot], self._slots[slot])
                begin = line
        self._free += [places.pop(slot) for _, slot in left]
        self._texts.append(lines + builder.lines[begin:])
        self._begin()

    def _new_place(self) -> int:
        self.parts.frame_size += 1
        return self.parts.frame_size - 1


def _for_each_frame(lines: list[str], beyond: str) -> list[str]:
    """Return lines that do for `%n` frames, one after the other, what `lines` do for `%frame`."""
    return [
        "entry:",
        "  br label %body",
        "body:",
        "  %frame = phi ptr [%frames, %entry], [%next, %more]",
        "  %left = phi i64 [%n, %entry], [%fewer, %more]",
        *lines,
        "  br label %more",
        "more:",
        f"  %next = getelementptr {beyond}",
        "  %fewer = sub i64 %left, 1",
        "  %done = icmp eq i64 %fewer, 0",
        "  br i1 %done, label %end, label %body",
        "end:",
        "  ret void",
    ]


def frames_at_once(frame_bytes: int) -> int:
    """Return how many frames of this size parts go through in turn."""
    return max(1, min(MOST_FRAMES, LARGEST_FRAMES // frame_bytes))


def load_place(builder: Builder, place: int) -> Value:
    """Write the load of what stands at a place in `%frame`."""
    vector, at = builder.types[builder.real], builder.new_label("%place")
    builder.lines.append(f"  {at} = getelementptr {vector}, ptr %frame, i64 {place}")
    return builder.emit(builder.real, f"load {vector}, ptr {at}, align {_alignment(builder)}")


def place_stored(builder: Builder, place: int, value: Value) -> list[str]:
    """Return lines that store a value at a place in `%frame`."""
    vector, at = builder.types[builder.real], builder.new_label("%place")
    return [
        f"  {at} = getelementptr {vector}, ptr %frame, i64 {place}",
        f"  store {vector} {value.ref}, ptr {at}, align {_alignment(builder)}",
    ]


def _alignment(builder: Builder) -> int:
    return min(bytes_of(builder), FRAME_ALIGNMENT)


def bytes_of(builder: Builder) -> int:
    """Return how many bytes a vector of the tape's numbers has."""
    return builder.width * (8 if builder.real == "double" else 4)
