"""From a tape to LLVM IR: the functions around its body."""

from __future__ import annotations

from dataclasses import dataclass

from alkahest.extend import CompileError, CompileOptions, Tape
from alkahest_llvm.emitting.body import (
    LONGEST_BODY,
    LONGEST_WHOLE,
    Parts,
    PartsWriter,
    frame_pointer,
    new_builder,
    write_body,
)
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.lowering import POLYGAMMA_ORDERS, register
from alkahest_llvm.emitting.module_text import KernelStyle, ModuleText
from alkahest_llvm.optimising.optimiser import optimise

BULK, SCALAR = "alkahest_eval_bulk", "alkahest_eval"

_CACHE_LINE = 64
_PREFETCH_DISTANCE = 2048  # bytes: from 1024 to 4096 made little difference
_MOST_PREFETCHED = 64  # columns


@dataclass(frozen=True)
class ScalarFunction:
    """IR text of one scalar function of a tape and of all it needs; see `emit_scalar_function`."""

    text: str
    name: str
    n_inputs: int
    n_outputs: int


def missing_ops(tape: Tape) -> tuple[str, ...]:
    """Return the ops of a tape that have no lowering rule for LLVM."""
    table = register()
    missing = {instr.op for instr in tape.instrs if instr.op not in table}
    if any(instr.op == "polygamma" and _constant(tape, instr.args[0]) not in POLYGAMMA_ORDERS for instr in tape.instrs):
        missing.add("polygamma of an order that is no constant from 0 to 3")
    return tuple(sorted(missing))


def _constant(tape: Tape, slot: int) -> float | None:
    """Return the value of a constant's slot, None for any other slot."""
    k = slot - len(tape.inputs)
    return tape.consts[k] if 0 <= k < len(tape.consts) else None


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
    a stride of 0 reads the same block again; `blocks` is not 0. The driver in `batch_entry` brings any other layout
    into this form.
    """
    if len(tape.instrs) <= LONGEST_WHOLE:
        module = ModuleText(style)
        builder = new_builder(module, width, options)
        builder.block = "loop"
        outputs = write_body(builder, tape, _loaded_columns(builder, tape))
        if len(builder.lines) <= LONGEST_BODY:
            module.define(_loop(module, builder, tape, outputs))
            return Emitted(module)
    module = ModuleText(style)
    parts = PartsWriter(module, tape, width, options).write()
    builder = new_builder(module, width, options)
    outputs = _run_parts(builder, tape, parts, _loaded_columns(builder, tape))
    module.define(_loop(module, builder, tape, outputs))
    size = 8 if builder.real == "double" else 4
    return Emitted(module, parts.frame_size * width * size)


def _loaded_columns(builder: Builder, tape: Tape) -> list[Value]:
    """Write the loads of all inputs and return them."""
    real = builder.real
    values = [Value(builder, real, f"%x{k}") for k in range(len(tape.inputs))]
    builder.lines += [f"  {v.ref} = load {builder.types[real]}, ptr %p{k}, align 1" for k, v in enumerate(values)]
    return values


def _run_parts(builder: Builder, tape: Tape, parts: Parts, inputs: list[Value]) -> list[Value]:
    """Write the calls of all parts and return the outputs."""
    vector = builder.types[builder.real]
    for k, place in parts.inputs.items():
        pointer = frame_pointer(builder, place)
        builder.lines.append(f"  store {vector} {inputs[k].ref}, ptr {pointer}, align 4")
    builder.lines += [f"  call void @{name}(ptr %frame)" for name in parts.names]
    outputs: list[Value] = []
    for slot in tape.outputs:
        if slot in parts.places:
            pointer = frame_pointer(builder, parts.places[slot])
            outputs.append(builder.emit(builder.real, f"load {vector}, ptr {pointer}, align 4"))
        else:
            outputs.append(builder.constant(tape.consts[slot - len(tape.inputs)]))
    return outputs


def _loop(module: ModuleText, builder: Builder, tape: Tape, outputs: list[Value]) -> str:
    """Return the text of the batch function around the lines of `builder`."""
    vector, n_in = builder.types[builder.real], len(tape.inputs)
    columns = range(n_in + len(tape.outputs))
    lines = [f"define void @{BULK}(i64 %blocks, ptr %columns, ptr %frame, ptr %context) nounwind {{", "entry:"]
    for k in columns:
        lines += [
            f"  %a{k} = getelementptr i8, ptr %columns, i64 {16 * k}",
            f"  %start{k} = load ptr, ptr %a{k}",
            f"  %b{k} = getelementptr i8, ptr %columns, i64 {16 * k + 8}",
            f"  %stride{k} = load i64, ptr %b{k}",
            f"  %step{k} = mul i64 %stride{k}, {builder.width}",
        ]
    lines += ["  br label %loop", "loop:", "  %left = phi i64 [%blocks, %entry], [%fewer, %latch]"]
    lines += [f"  %p{k} = phi ptr [%start{k}, %entry], [%next{k}, %latch]" for k in columns]
    if len(columns) <= _MOST_PREFETCHED:
        module.declare("@llvm.prefetch.p0", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        lines += [line for k in columns for line in _prefetch(builder, k, write=k >= n_in)]
    lines += builder.lines
    lines += [f"  store {vector} {out.ref}, ptr %p{n_in + k}, align 1" for k, out in enumerate(outputs)]
    lines += ["  br label %latch", "latch:"]
    lines += [f"  %next{k} = getelementptr i8, ptr %p{k}, i64 %step{k}" for k in columns]
    lines += ["  %fewer = sub i64 %left, 1", "  %more = icmp ne i64 %fewer, 0"]
    lines += ["  br i1 %more, label %loop, label %done", "done:", "  ret void", "}"]
    return "\n".join(lines)


def _prefetch(builder: Builder, column: int, *, write: bool) -> list[str]:
    """Write requests for the memory that a column comes to soon.

    The processor's own prefetching stops at the end of each page; with these, columns that are in no cache are read
    and written at nearly the speed of cached ones.
    """
    size = builder.width * (8 if builder.real == "double" else 4)
    lines: list[str] = []
    for line in range(0, size, _CACHE_LINE):
        at = f"%ahead{column}.{line}"
        lines += [
            f"  {at} = getelementptr i8, ptr %p{column}, i64 {_PREFETCH_DISTANCE + line}",
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
        parts = PartsWriter(module, tape, 1, options).write()
        builder = new_builder(module, 1, options)
        builder.lines.append(f"  %frame = alloca [{max(parts.frame_size, 1)} x {builder.real}]")
        outputs = _run_parts(builder, tape, parts, _loaded_numbers(builder, tape))
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
