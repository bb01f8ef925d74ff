"""From a tape to LLVM IR: the body, and the functions around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alkahest.extend import CompileError, CompileOptions, Tape

from alkahest_llvm.builder import Builder, Value, fma
from alkahest_llvm.fusing import Fused, plan
from alkahest_llvm.lowering import RULES, register
from alkahest_llvm.module_text import KernelStyle, ModuleText
from alkahest_llvm.targets import named_target
from alkahest_llvm.vecmath.integer_power import factors, plain_power
from alkahest_llvm.vecmath.registry import HOST_FUNCTIONS

REAL = {"f64": "double", "f32": "float"}
BULK, SCALAR = "alkahest_bulk", "alkahest_scalar"


@dataclass(frozen=True)
class ScalarFunction:
    """IR text of one scalar function of a tape and of all it needs; see `emit_scalar_function`."""

    text: str
    name: str
    n_inputs: int
    n_outputs: int


def write_body(
    builder: Builder, tape: Tape, inputs: Sequence[Value], split: tuple[str, str] | None = None
) -> list[Value]:
    """Write the instructions of a tape and return its outputs; `split` tells how long blocks may be broken up."""
    table = register()
    slots: list[Any] = [*inputs, *[builder.constant(c) for c in tape.consts]]
    readers: dict[int, set[str]] = {}
    for instr in tape.instrs:
        for a in instr.args:
            readers.setdefault(a, set()).add(instr.op)
    for k, value in enumerate(slots):
        builder.note_consumers(value, frozenset(readers.get(k, ())))
    products = plan(tape) if builder.contract and _own_arithmetic(table) else None
    for at, instr in enumerate(tape.instrs, len(slots)):
        if products is not None and at in products.absorbed:
            slots.append(None)
            continue
        fused = products.fused.get(at) if products is not None else None
        if fused is not None:
            value = _multiply_add(slots, fused)
        else:
            value = table.by_name(instr.op)(builder, *[slots[a] for a in instr.args], **dict(instr.params))
        builder.note_consumers(value, frozenset(readers.get(at, ())))
        slots.append(value)
        if split is not None:
            builder.split_block(*split)
    return [slots[k] for k in tape.outputs]


def _own_arithmetic(table: Any) -> bool:
    """Return whether sums and products still mean what fusing takes them for."""
    return all(table.by_name(op) is RULES[op] for op in ("add", "sub", "mul", "pow"))


def _multiply_add(slots: Sequence[Any], fused: Fused) -> Value:
    a, b = (slots[k] for k in fused.product.args)
    if fused.product.op == "pow":
        big, small = factors(int(b.number))
        a, b = plain_power(a, big), plain_power(a, small)
    other = slots[fused.other]
    return fma(-a if fused.negate_product else a, b, -other if fused.negate_other else other)


def missing_ops(tape: Tape) -> tuple[str, ...]:
    """Return the ops of a tape that have no lowering rule for LLVM."""
    table = register()
    return tuple(sorted({instr.op for instr in tape.instrs if instr.op not in table}))


def host_only_ops(tape: Tape, target: str = "nvptx") -> tuple[str, ...]:
    """Return the ops of a tape that cannot be emitted for `target`: no lowering rule, or only the host's C library.

    >>> from alkahest.extend import Instr, Tape
    >>> host_only_ops(Tape(("x",), (), (Instr("lgamma", (0,)), Instr("sin", (1,))), (2,)))
    ('lgamma',)
    """
    host = set() if named_target(target).host else {i.op for i in tape.instrs if i.op in HOST_FUNCTIONS}
    return tuple(sorted(host | set(missing_ops(tape))))


def emit_scalar_function(
    tape: Tape, options: CompileOptions, *, name: str = "alkahest_eval", target: str = "nvptx"
) -> ScalarFunction:
    """Return IR text that defines one internal, always inlined scalar function of a tape, math kernels included.

    The text holds declarations of LLVM intrinsics, constant tables and kernels named `alkahest_…`, and last
    `define internal double @name(double %x0, …)`. With several outputs, or none, the function returns
    `[k x double]`; with `options.dtype == "f32"` it takes and returns `float`. Inputs that the tape ignores are still
    parameters. There is no target triple in it: the caller puts that, and its own functions, into the same module,
    and runs LLVM's optimisation passes. Raises `CompileError` where `host_only_ops` names an op.

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
    refused = host_only_ops(tape, target)
    if refused:
        raise CompileError(
            f"{', '.join(refused)} cannot be emitted for {target}.", remedy="Use a CPU tier for this function."
        )
    module = ModuleText("define")
    module.define(scalar_function_text(module, tape, options, name))
    return ScalarFunction(str(module), name, len(tape.inputs), len(tape.outputs))


def scalar_function_text(module: ModuleText, tape: Tape, options: CompileOptions, name: str) -> str:
    """Return the definition of a tape as a function of scalars; see `emit_scalar_function`."""
    builder = new_builder(module, 1, options)
    real, k = builder.real, len(tape.outputs)
    outputs = write_body(builder, tape, [Value(builder, real, f"%x{i}") for i in range(len(tape.inputs))])
    returned, value = (real, outputs[0].ref) if k == 1 else (f"[{k} x {real}]", "undef")
    if k != 1:
        for i, out in enumerate(outputs):
            value = builder.emit(real, f"insertvalue {returned} {value}, {real} {out.ref}, {i}").ref
    params = ", ".join([f"{real} %x{i}" for i in range(len(tape.inputs))])
    head = f"define internal {returned} @{name}({params}) alwaysinline nounwind {{\nentry:"
    return "\n".join([head, *builder.lines, f"  ret {returned} {value}", "}"])


def new_builder(module: ModuleText, width: int, options: CompileOptions) -> Builder:
    """Return a builder for a function body under these options."""
    return Builder(
        module, width, real=REAL[options.dtype], accuracy=options.accuracy, contract=options.contract
    )


def bulk_module(tape: Tape, options: CompileOptions, *, width: int, style: KernelStyle) -> ModuleText:
    """Return a module with `void alkahest_bulk(i64 blocks, ptr columns)`.

    `columns` holds an address and a stride in bytes for each input, then for each output. A block is `width` numbers;
    a stride of 0 reads the same block again. The driver in `batch_entry` brings any other layout into this form.
    """
    module = ModuleText(style)
    builder = new_builder(module, width, options)
    vector, n_in = builder.types[builder.real], len(tape.inputs)
    columns = range(n_in + len(tape.outputs))
    builder.block = "loop"
    loads = [f"  %x{k} = load {vector}, ptr %p{k}, align 1" for k in range(n_in)]
    inputs = [Value(builder, builder.real, f"%x{k}") for k in range(n_in)]
    outputs = write_body(builder, tape, inputs, ("icmp ne i64 %left, 0", "done"))
    stores = [
        f"  store {vector} {out.ref}, ptr %p{n_in + k}, align 1" for k, out in enumerate(outputs)
    ]
    lines = [f"define void @{BULK}(i64 %blocks, ptr %columns) nounwind {{", "entry:"]
    for k in columns:
        lines += [
            f"  %a{k} = getelementptr i8, ptr %columns, i64 {16 * k}",
            f"  %start{k} = load ptr, ptr %a{k}",
            f"  %b{k} = getelementptr i8, ptr %columns, i64 {16 * k + 8}",
            f"  %stride{k} = load i64, ptr %b{k}",
            f"  %step{k} = mul i64 %stride{k}, {width}",
        ]
    lines += ["  br label %loop", "loop:", "  %left = phi i64 [%blocks, %entry], [%fewer, %latch]"]
    lines += [f"  %p{k} = phi ptr [%start{k}, %entry], [%next{k}, %latch]" for k in columns]
    lines += [*loads, *builder.lines, *stores, "  br label %latch", "latch:"]
    lines += [f"  %next{k} = getelementptr i8, ptr %p{k}, i64 %step{k}" for k in columns]
    lines += ["  %fewer = sub i64 %left, 1", "  %more = icmp ne i64 %fewer, 0"]
    lines += ["  br i1 %more, label %loop, label %done", "done:", "  ret void", "}"]
    module.define("\n".join(lines))
    return module


def scalar_module(tape: Tape, options: CompileOptions, *, style: KernelStyle) -> ModuleText:
    """Return a module with `void alkahest_scalar(ptr in, ptr out)` over arrays of doubles, whatever the tape's type."""
    module = ModuleText(style)
    builder = new_builder(module, 1, options)
    inputs: list[Value] = []
    for k in range(len(tape.inputs)):
        pointer = f"%in{k}"
        builder.lines.append(f"  {pointer} = getelementptr double, ptr %in, i64 {k}")
        inputs.append(builder.as_real(builder.emit("double", f"load double, ptr {pointer}")))
    for k, out in enumerate(write_body(builder, tape, inputs, ("icmp ne ptr %in, null", "done"))):
        wide = builder.as_double(out)
        builder.lines += [
            f"  %out{k} = getelementptr double, ptr %out, i64 {k}",
            f"  store double {wide.ref}, ptr %out{k}",
        ]
    head = f"define void @{SCALAR}(ptr %in, ptr %out) nounwind {{\nentry:"
    module.define("\n".join([head, *builder.lines, "  br label %done", "done:", "  ret void", "}"]))
    return module
