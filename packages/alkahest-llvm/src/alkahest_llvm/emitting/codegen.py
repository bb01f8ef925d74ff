"""From a tape to LLVM IR: the functions around its body."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alkahest.extend import CompileError, CompileOptions, Tape
from alkahest_llvm.emitting.body import (
    FRAME_ALIGNMENT,
    LONGEST_BODY,
    LONGEST_WHOLE,
    Parts,
    PartsWriter,
    bytes_of,
    frames_at_once,
    load_place,
    new_builder,
    place_stored,
    write_body,
)
from alkahest_llvm.emitting.builder import STREAMED, Builder, Value
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.emitting.module_text import KernelStyle, ModuleText
from alkahest_llvm.emitting.roots import roots_to_multiply
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.targets import PREFETCH_DISTANCE

BULK, SCALAR = "alkahest_eval_bulk", "alkahest_eval"

_CACHE_LINE = 64
_MOST_PREFETCHED = 64  # columns


@dataclass(frozen=True)
class ScalarFunction:
    """IR text of one scalar function of a tape and of all it needs; see `emit_scalar_function`."""

    text: str
    name: str
    n_inputs: int
    n_outputs: int


def emit_scalar_function(tape: Tape, options: CompileOptions, *, name: str = "alkahest_eval") -> ScalarFunction:
    """Return IR text that defines one internal, always inlined scalar function of a tape, math kernels included.

    The text holds declarations of LLVM intrinsics, constant tables and kernels named `alkahest_…`, and last
    `define internal double @name(double %x0, …)`. With several outputs, or none, the function returns
    `[k x double]`; with `options.dtype == "f32"` it takes and returns `float`. Inputs that the tape ignores are still
    parameters. There is no target triple in it, and its one metadata node has the number `builder.RARELY`: the caller
    puts the triple and its own functions into the same module, and runs LLVM's optimisation passes. Raises
    `CompileError` where `missing_ops` names an op.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> square = Tape(("x",), (), (Instr("mul", (0, 0)),), (1,))
    >>> print(emit_scalar_function(square, CompileOptions(), name="f").text)
    define internal double @f(double %x0) alwaysinline nounwind {
    entry:
      %v1 = fmul double %x0, %x0
      ret double %v1
    }
    <BLANKLINE>
    """
    missing = missing_ops(tape)
    if missing:
        raise CompileError(
            f"there is no LLVM lowering for {', '.join(missing)}.", remedy="Leave the function to another tier."
        )
    tape = optimise(tape, options)
    module = ModuleText("define")
    builder = new_builder(module, 1, options)
    real, k = builder.real, len(tape.outputs)
    outputs = write_body(builder, tape, [Value(builder, real, f"%x{i}") for i in range(len(tape.inputs))])
    returned, value = (real, outputs[0].ref) if k == 1 else (f"[{k} x {real}]", "undef")
    if k != 1:
        for i, out in enumerate(outputs):
            value = builder.emit(real, f"insertvalue {returned} {value}, {real} {out.ref}, {i}").ref
    params = ", ".join([f"{real} %x{i}" for i in range(len(tape.inputs))])
    head = f"define internal {returned} @{name}({params}) alwaysinline nounwind {{\nentry:"
    module.define("\n".join([head, *builder.lines, f"  ret {returned} {value}", "}"]))
    return ScalarFunction(str(module), name, len(tape.inputs), k)


@dataclass(frozen=True)
class Emitted:
    """A module, and how many bytes of frame memory its batch function wants."""

    module: ModuleText
    frame_bytes: int = 0


def bulk_module(tape: Tape, options: CompileOptions, *, width: int, style: KernelStyle) -> Emitted:
    """Return a module with `void alkahest_eval_bulk(i64 blocks, ptr columns, ptr frame, ptr context)`.

    `columns` holds an address and a stride in bytes for each input, then for each output. A block is `width` numbers;
    `blocks` is not 0. An input of stride 0 is the same block again. Outputs are contiguous; in place of the first one's
    stride, 0 has them all written past the caches, for which they begin with a cache line. The driver in `batch_entry`
    brings any other layout into this form.
    """
    if len(tape.instrs) <= LONGEST_WHOLE:
        module = ModuleText(style)
        builder = new_builder(module, width, options)
        builder.multiplies_root = roots_to_multiply(tape, options, width)
        builder.block = "loop"
        outputs = write_body(builder, tape, _loaded_columns(builder, tape))
        if len(builder.lines) <= LONGEST_BODY:
            module.define(_loop(module, builder, tape, outputs))
            return Emitted(module)
    module = ModuleText(style)
    parts = PartsWriter(module, tape, width, options, looped=True).write()
    builder = new_builder(module, width, options)
    size = parts.frame_size * bytes_of(builder)
    frames = frames_at_once(size)
    module.define(_loop_over_frames(module, builder, tape, parts, frames))
    return Emitted(module, frames * size + FRAME_ALIGNMENT)


def _loaded_columns(builder: Builder, tape: Tape) -> list[Value]:
    """Write the loads of all inputs and return them."""
    real = builder.real
    values = [Value(builder, real, f"%x{k}") for k in range(len(tape.inputs))]
    builder.lines += [f"  {v.ref} = load {builder.types[real]}, ptr %p{k}, align 1" for k, v in enumerate(values)]
    return values


def _loop_over_frames(module: ModuleText, builder: Builder, tape: Tape, parts: Parts, frames: int) -> str:
    """Return the text of the batch function: it brings so many blocks into frames and calls the parts for them."""
    vector, n_in = builder.types[builder.real], len(tape.inputs)
    module.declare("@llvm.ptrmask.p0.i64", "ptr @llvm.ptrmask.p0.i64(ptr, i64)")
    lines = [f"define void @{BULK}(i64 %blocks, ptr %columns, ptr %memory, ptr %context) nounwind {{", "entry:"]
    lines += _columns(builder, n_in, n_in + len(tape.outputs))
    lines += [
        f"  %beyond = getelementptr i8, ptr %memory, i64 {FRAME_ALIGNMENT - 1}",
        f"  %frames = call ptr @llvm.ptrmask.p0.i64(ptr %beyond, i64 {-FRAME_ALIGNMENT})",
        "  br label %loop",
        "loop:",
        "  %begin = phi i64 [0, %entry], [%end, %next]",
        "  %left = sub i64 %blocks, %begin",
        f"  %last = icmp ule i64 %left, {frames}",
        f"  %count = select i1 %last, i64 %left, i64 {frames}",
        "  %end = add i64 %begin, %count",
        "  br label %in",
    ]
    for k, place in parts.inputs.items():
        value = builder.emit(builder.real, f"load {vector}, ptr {_block_pointer(builder, k)}, align 1")
        builder.lines += place_stored(builder, place, value)
    lines += _each_block(builder, parts, "in", before="loop", after="run")
    lines += ["run:", *[f"  call void @{name}(ptr %frames, i64 %count)" for name in parts.names], "  br label %out"]
    builder.lines = []
    for k, value in enumerate(_outputs(builder, tape, parts), n_in):
        builder.lines.append(f"  store {vector} {value.ref}, ptr {_block_pointer(builder, k)}, align 1")
    lines += _each_block(builder, parts, "out", before="run", after="next")
    lines += ["next:", "  br i1 %last, label %done, label %loop", "done:", "  ret void", "}"]
    return "\n".join(lines)


def _block_pointer(builder: Builder, column: int) -> str:
    """Write the address of the block at hand in a column and return its name."""
    offset, name = builder.new_label("%offset"), builder.new_label("%block")
    builder.lines.append(f"  {offset} = mul i64 %at, %step{column}")
    builder.lines.append(f"  {name} = getelementptr i8, ptr %start{column}, i64 {offset}")
    return name


def _each_block(builder: Builder, parts: Parts, label: str, *, before: str, after: str) -> list[str]:
    """Return a loop of the builder's lines over blocks and their frames."""
    lines = [
        f"{label}:",
        f"  %at = phi i64 [%begin, %{before}], [%at.next, %{label}]",
        f"  %frame = phi ptr [%frames, %{before}], [%frame.next, %{label}]",
        *builder.lines,
        f"  %frame.next = getelementptr {builder.types[builder.real]}, ptr %frame, i64 {parts.frame_size}",
        "  %at.next = add i64 %at, 1",
        "  %at.more = icmp ult i64 %at.next, %end",
        f"  br i1 %at.more, label %{label}, label %{after}",
    ]
    return [re.sub(r"%(at|frame)\b", rf"%{label}.\1", line) for line in lines]


def _outputs(builder: Builder, tape: Tape, parts: Parts) -> list[Value]:
    """Write the loads of all outputs from a frame and return them."""
    places, n_inputs = parts.places, len(tape.inputs)
    return [
        load_place(builder, places[slot]) if slot in places else builder.constant(tape.consts[slot - n_inputs])
        for slot in tape.outputs
    ]


def _columns(builder: Builder, n_in: int, n: int) -> list[str]:
    """Return lines that read where the columns start, and how many bytes it is from block to block."""
    lines: list[str] = []
    for k in range(n):
        step = f"mul i64 %stride{k}, {builder.width}" if k < n_in else f"add i64 {bytes_of(builder)}, 0"
        lines += [
            f"  %a{k} = getelementptr i8, ptr %columns, i64 {16 * k}",
            f"  %start{k} = load ptr, ptr %a{k}",
            f"  %b{k} = getelementptr i8, ptr %columns, i64 {16 * k + 8}",
            f"  %stride{k} = load i64, ptr %b{k}",
            f"  %step{k} = {step}",
        ]
    return lines


def _loop(module: ModuleText, builder: Builder, tape: Tape, outputs: list[Value]) -> str:
    """Return the text of the batch function around the lines of `builder`."""
    n_in = len(tape.inputs)
    columns = range(n_in + len(tape.outputs))
    lines = [f"define void @{BULK}(i64 %blocks, ptr %columns, ptr %frame, ptr %context) nounwind {{", "entry:"]
    lines += _columns(builder, n_in, len(columns))
    lines += ["  br label %loop", "loop:", "  %left = phi i64 [%blocks, %entry], [%fewer, %latch]"]
    lines += [f"  %p{k} = phi ptr [%start{k}, %entry], [%next{k}, %latch]" for k in columns]
    if len(columns) <= _MOST_PREFETCHED:
        module.declare("@llvm.prefetch.p0", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        read = {a for instr in tape.instrs for a in instr.args}.union(tape.outputs)
        lines += [line for k in range(n_in) if k in read for line in _prefetch(builder, k, write=False)]
    lines += [*builder.lines, *_stores(module, builder, n_in, outputs), "latch:"]
    lines += [f"  %next{k} = getelementptr i8, ptr %p{k}, i64 %step{k}" for k in columns]
    lines += ["  %fewer = sub i64 %left, 1", "  %more = icmp ne i64 %fewer, 0"]
    lines += ["  br i1 %more, label %loop, label %done", "done:", "  ret void", "}"]
    return "\n".join(lines)


def _stores(module: ModuleText, builder: Builder, n_in: int, outputs: list[Value]) -> list[str]:
    """Write the outputs: through the caches or, where the driver tells so, past them, which needs whole cache lines."""
    columns = range(n_in, n_in + len(outputs))
    stores = [f"  store {builder.types[o.kind]} {o.ref}, ptr %p{k}" for k, o in zip(columns, outputs, strict=True)]
    lines = [f"{store}, align 1" for store in stores]
    if n_in + len(outputs) <= _MOST_PREFETCHED:
        lines = [*[line for k in columns for line in _prefetch(builder, k, write=True)], *lines]
    lines.append("  br label %latch")
    if not outputs or bytes_of(builder) < _CACHE_LINE:
        return lines
    module.uses_streams = True
    return [
        f"  %past = icmp eq i64 %stride{n_in}, 0",
        "  br i1 %past, label %stream, label %keep",
        "stream:",
        *[f"{store}, align {_CACHE_LINE}, !nontemporal !{STREAMED}" for store in stores],
        "  br label %latch",
        "keep:",
        *lines,
    ]


def _prefetch(builder: Builder, column: int, *, write: bool) -> list[str]:
    """Write requests for the memory that a column comes to soon.

    The processor's own prefetching stops at the end of each page; with these, columns that are in no cache are read
    and written at nearly the speed of cached ones.
    """
    lines: list[str] = []
    for line in range(0, bytes_of(builder), _CACHE_LINE):
        at = f"%ahead{column}.{line}"
        lines += [
            f"  {at} = getelementptr i8, ptr %p{column}, i64 {PREFETCH_DISTANCE + line}",
            f"  call void @llvm.prefetch.p0(ptr {at}, i32 {int(write)}, i32 3, i32 1)",
        ]
    return lines


def scalar_module(tape: Tape, options: CompileOptions) -> ModuleText:
    """Return a module with `void alkahest_eval(ptr in, ptr out, ptr context)` over arrays of doubles.

    That is so whatever the tape's type. It calls math kernels: inlined scalar ones run no faster.
    """
    module = ModuleText("call")
    builder = new_builder(module, 1, options)
    short = len(tape.instrs) <= LONGEST_WHOLE
    outputs = write_body(builder, tape, _loaded_numbers(builder, tape)) if short else []
    if not short or len(builder.lines) > LONGEST_BODY:
        module = ModuleText("call")
        parts = PartsWriter(module, tape, 1, options, looped=False).write()
        builder = new_builder(module, 1, options)
        builder.lines.append(f"  %frame = alloca [{parts.frame_size} x {builder.real}]")
        inputs = _loaded_numbers(builder, tape)
        for k, place in parts.inputs.items():
            builder.lines += place_stored(builder, place, inputs[k])
        builder.lines += [f"  call void @{name}(ptr %frame)" for name in parts.names]
        outputs = _outputs(builder, tape, parts)
    for k, out in enumerate(outputs):
        wide = builder.as_double(out)
        builder.lines += [
            f"  %out{k} = getelementptr double, ptr %out, i64 {k}",
            f"  store double {wide.ref}, ptr %out{k}",
        ]
    head = f"define void @{SCALAR}(ptr %in, ptr %out, ptr %context) nounwind {{\nentry:"
    module.define("\n".join([head, *builder.lines, "  ret void", "}"]))
    return module


def _loaded_numbers(builder: Builder, tape: Tape) -> list[Value]:
    values: list[Value] = []
    for k in range(len(tape.inputs)):
        builder.lines.append(f"  %in{k} = getelementptr double, ptr %in, i64 {k}")
        values.append(builder.as_real(builder.emit("double", f"load double, ptr %in{k}")))
    return values
