"""PTX for a tape: its scalar function from alkahest-llvm, a kernel around it, and LLVM's NVPTX code generator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from alkahest.extend import (
    CompileOptions,
    ConfigError,
    EmitError,
    Expr,
    IdentifierError,
    Tape,
    linearize,
    load_lowerings,
)
from alkahest_llvm.emitting.codegen import emit_scalar_function
from alkahest_llvm.emitting.lowering import missing_ops

TRIPLE = "nvptx64-nvidia-cuda"

# The architecture and the oldest version of PTX that knows it, so that every driver which knows the device reads it.
ARCHITECTURES = {
    "sm_75": "ptx63",
    "sm_80": "ptx70",
    "sm_86": "ptx71",
    "sm_89": "ptx78",
    "sm_90": "ptx78",
    "sm_100": "ptx86",
    "sm_120": "ptx87",
}
DEFAULT_NAME = "alkahest_kernel"
MAX_INSTRUCTIONS = 10_000
MAX_COLUMNS = 511  # a kernel takes 4,096 bytes of parameters: 8 a column, and 8 for the number of points
INLINED_KERNELS = 12  # above so many uses, math kernels are called: inlined, thousands of them take minutes to compile

_POINT = "point"
_REAL = {"f64": ("double", 8), "f32": ("float", 4)}
_RESERVED = frozenset({"_", "WARP_SZ", _POINT})
_CALLS = re.compile(r"= call (?:double|float) @alkahest_")
_INLINED = re.compile(r"^(define internal .*@alkahest_\w+\(.*\)) alwaysinline", re.M)
_REGISTERS = ("tid", "ctaid", "ntid", "nctaid")


def refusal(tape: Tape) -> str:
    """Return "" where the tape can become a kernel, else the reason it cannot."""
    if len(tape.instrs) > MAX_INSTRUCTIONS:
        return f"has {len(tape.instrs):,} operations; LLVM takes {MAX_INSTRUCTIONS:,} in one kernel"
    columns = len(tape.inputs) + len(tape.outputs)
    if columns > MAX_COLUMNS:
        return f"has {columns:,} inputs and outputs; a kernel's parameters hold {MAX_COLUMNS}"
    missing = missing_ops(tape)
    return f"has no LLVM lowering for {', '.join(missing)}" if missing else ""


def emit_ptx(
    tape: Tape, *, arch: str = "sm_80", name: str = DEFAULT_NAME, dtype: str = "f64", contract: bool = True
) -> str:
    """Return PTX text of one kernel that evaluates `tape` over columns. Neither a GPU nor a driver is needed.

    The kernel `name` takes one global pointer per input, one per output, and the number of points as a 64-bit integer;
    columns are contiguous, of `dtype` "f64" or "f32", and outputs must not overlap inputs. Any grid of one dimension
    computes all points. `arch` is one of `ARCHITECTURES`; the text runs on later devices too. With `contract=False` no
    product is fused into a sum.

    Raises `EmitError` where GPU code lacks a function, `IdentifierError` for a name that PTX does not take, and
    `ConfigError` for an unknown `arch` or `dtype`.

    >>> from alkahest.extend import Instr, Tape
    >>> square = Tape(("x",), (), (Instr("mul", (0, 0)),), (1,))
    >>> print(emit_ptx(square, arch="sm_90", name="square"))
    //
    ...
    .version 7.8
    .target sm_90
    ...
    .visible .entry square(
    ...
    """
    return assemble(kernel_ir(tape, CompileOptions(dtype=dtype, contract=contract), name), arch)


def emit(
    expr: Any,
    inputs: Expr | Sequence[Expr],
    *,
    arch: str = "sm_80",
    name: str = DEFAULT_NAME,
    dtype: str = "f64",
    contract: bool = True,
) -> str:
    """Return `expr`, one expression or a list, as a PTX kernel over columns: the format "ptx" of `alkahest.emit`.

    The options, the kernel and the errors are those of `emit_ptx`.

    >>> from alkahest import ExprPool, emit, sin
    >>> x = ExprPool().symbol("x")
    >>> ".visible .entry wave(" in emit(sin(x), [x], format="ptx", name="wave")
    True
    """
    symbols = [inputs] if isinstance(inputs, Expr) else list(inputs)
    values = list(expr) if isinstance(expr, list | tuple) else [expr]
    pools = [v.pool for v in [*values, *symbols] if isinstance(v, Expr)]
    if not values or not pools:
        raise EmitError(
            "there is nothing to write: no expression was given.", remedy="Pass an Expr, or a list of them."
        )
    tape = linearize([pools[0].expr(v) for v in values], symbols)
    load_lowerings("llvm")
    return emit_ptx(tape, arch=arch, name=name, dtype=dtype, contract=contract)


def kernel_ir(tape: Tape, options: CompileOptions, name: str = DEFAULT_NAME) -> str:
    """Return LLVM IR text of the kernel: a loop over the points, strided by the grid, around the tape's function."""
    why = refusal(tape)
    if why:
        raise EmitError(f"the function {why}.", remedy="Use a CPU tier, or rewrite it without these.")
    function = emit_scalar_function(tape, options, name=_POINT).text
    _check_name(name, function)
    if len(_CALLS.findall(function.split(f"@{_POINT}(")[-1])) > INLINED_KERNELS:
        function = _INLINED.sub(r"\1 noinline", function)
    real, size = _REAL[options.dtype]
    n_in, n_out = len(tape.inputs), len(tape.outputs)
    columns = [f"ptr addrspace(1) noalias readonly align {size} %in{k}" for k in range(n_in)]
    columns += [f"ptr addrspace(1) noalias writeonly align {size} %out{k}" for k in range(n_out)]
    reads = [f"llvm.nvvm.read.ptx.sreg.{r}.x" for r in _REGISTERS]
    lines = [f'target triple = "{TRIPLE}"', function]
    lines += [f"declare i32 @{r}()" for r in reads]
    lines += [f"define ptx_kernel void @{name}({', '.join([*columns, 'i64 %n'])}) {{", "entry:"]
    for short, read in zip(_REGISTERS, reads, strict=True):
        lines += [f"  %{short}32 = call i32 @{read}()", f"  %{short} = zext i32 %{short}32 to i64"]
    lines += [
        "  %before = mul i64 %ctaid, %ntid",
        "  %first = add i64 %before, %tid",
        "  %stride = mul i64 %ntid, %nctaid",
        "  %any = icmp slt i64 %first, %n",
        "  br i1 %any, label %loop, label %done",
        "loop:",
        "  %i = phi i64 [ %first, %entry ], [ %next, %loop ]",
        *_body(real, size, n_in, n_out),
        "  %next = add i64 %i, %stride",
        "  %more = icmp slt i64 %next, %n",
        "  br i1 %more, label %loop, label %done",
        "done:",
        "  ret void",
        "}",
        "",
    ]
    return "\n".join(lines)


def _body(real: str, size: int, n_in: int, n_out: int) -> list[str]:
    """Return the lines that read point %i, evaluate it and write the results."""
    lines: list[str] = []
    for k in range(n_in):
        lines.append(f"  %p{k} = getelementptr {real}, ptr addrspace(1) %in{k}, i64 %i")
        lines.append(f"  %x{k} = load {real}, ptr addrspace(1) %p{k}, align {size}")
    returned = real if n_out == 1 else f"[{n_out} x {real}]"
    lines.append(f"  %y = call {returned} @{_POINT}({', '.join([f'{real} %x{k}' for k in range(n_in)])})")
    for k in range(n_out):
        value = "%y" if n_out == 1 else f"%y{k}"
        if n_out != 1:
            lines.append(f"  {value} = extractvalue {returned} %y, {k}")
        lines.append(f"  %q{k} = getelementptr {real}, ptr addrspace(1) %out{k}, i64 %i")
        lines.append(f"  store {real} {value}, ptr addrspace(1) %q{k}, align {size}")
    return lines


def _check_name(name: str, text: str) -> None:
    free = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None and name not in _RESERVED
    if not free or f"@{name}(" in text:
        raise IdentifierError(
            f"{name!r} cannot name a kernel.",
            remedy="Use letters, digits and underscores, not beginning with a digit or with alkahest_.",
        )


def assemble(ir: str, arch: str) -> str:
    """Return the PTX that LLVM makes of a module's IR text, for one of `ARCHITECTURES`."""
    if arch not in ARCHITECTURES:
        raise ConfigError(f"architecture {arch!r} is not known.", remedy=f"Use one of {', '.join(ARCHITECTURES)}.")
    from alkahest_llvm.loading.engine import lock

    with lock:
        llvm, target = _nvptx()
        machine = target.create_target_machine(cpu=arch, features=f"+{ARCHITECTURES[arch]}", opt=3)
        module = llvm.parse_assembly(ir)
        module.data_layout = str(machine.target_data)
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
        builder.getModulePassManager().run(module, builder)
        return machine.emit_assembly(module)


@cache
def _nvptx() -> tuple[Any, Any]:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm, llvm.Target.from_triple(TRIPLE)
