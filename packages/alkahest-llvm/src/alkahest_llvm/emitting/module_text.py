"""The text of one LLVM module: declarations, tables, definitions, and how math kernels get into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from alkahest_llvm.emitting.builder import RARELY, STREAMED, Builder, Value, literal
from alkahest_llvm.vecmath.registry import Kernel, find

if TYPE_CHECKING:
    from collections.abc import Sequence

KernelStyle: TypeAlias = Literal["inline", "call", "define"]


def symbol(name: str, width: int) -> str:
    """Return the linker's name of a kernel at a width."""
    return f"alkahest_{name}_x{width}"


class ModuleText:
    """Collects what a module consists of.

    `style` says what becomes of math kernels: "inline" writes their instructions where they are used, "call" calls
    the library that every module of the process shares, "define" defines them in this module, so that it stands alone.
    `imports` names the (kernel, width) pairs the module calls and does not define.
    """

    def __init__(self, style: KernelStyle = "inline") -> None:
        self.style: KernelStyle = style
        self.imports: set[tuple[str, int]] = set()
        self.uses_rare_branches = False
        self.uses_streams = False
        self._declarations: dict[str, str] = {}
        self._tables: dict[str, str] = {}
        self._definitions: list[str] = []
        self._defined: set[str] = set()

    def __str__(self) -> str:
        declared = [text for name, text in self._declarations.items() if name not in self._defined]
        parts = [*declared, *self._tables.values(), *self._definitions]
        if self.uses_rare_branches:
            parts.append(f'!{RARELY} = !{{!"branch_weights", i32 1, i32 1000000}}')
        if self.uses_streams:
            parts.append(f"!{STREAMED} = !{{i32 1}}")
        return "\n".join([*parts, ""])

    def declare(self, name: str, signature: str) -> None:
        """Declare an external function once."""
        if name not in self._declarations:
            self._declarations[name] = f"declare {signature}"

    def define(self, text: str, name: str = "") -> None:
        """Append the text of a definition; `name` is given where the module may also declare it."""
        self._definitions.append(text)
        self._defined.add(name)

    def table(self, name: str, kind: str, entries: Sequence[float | int]) -> str:
        """Add a constant table once and return its name."""
        if name not in self._tables:
            listed = ", ".join([f"{kind} {literal(e, kind)}" for e in entries])
            self._tables[name] = f"@{name} = internal constant [{len(entries)} x {kind}] [{listed}]"
        return name

    def apply_kernel(self, builder: Builder, name: str, args: Sequence[Value]) -> tuple[Value, ...]:
        """Return the results of a kernel at `args`, which have its type, in this module's style."""
        kernel = find(name)
        if self.style == "inline" and kernel.inline:
            return _tuple(kernel.body(*args))
        if self.style == "define":
            self._define_kernel(kernel)
        else:
            self.imports.add((name, builder.width))
        return self._call(builder, kernel, args)

    def _call(self, builder: Builder, kernel: Kernel, args: Sequence[Value]) -> tuple[Value, ...]:
        real = kernel.real
        name, vector = f"@{symbol(kernel.name, builder.width)}", builder.types[real]
        result = result_type(kernel, vector)
        self.declare(name, f"{result} {name}({', '.join([vector] * kernel.arity)}) nounwind memory(none) willreturn")
        listed = ", ".join([f"{vector} {a.ref}" for a in args])
        out = builder.emit(real, f"call {result} {name}({listed})")
        if kernel.results == 1:
            return (out,)
        return tuple([builder.emit(real, f"extractvalue {result} {out.ref}, {k}") for k in range(kernel.results)])

    def _define_kernel(self, kernel: Kernel) -> None:
        name = f"@{symbol(kernel.name, 1)}"
        if name not in self._defined:
            self._defined.add(name)
            text = kernel_text(self, kernel, 1, linkage="internal ", attributes="alwaysinline nounwind")
            self.define(text, name)


def result_type(kernel: Kernel, vector: str) -> str:
    """Return the LLVM type a kernel returns: one value, or a structure of several."""
    return vector if kernel.results == 1 else f"{{ {', '.join([vector] * kernel.results)} }}"


def kernel_text(module: ModuleText, kernel: Kernel, width: int, *, linkage: str = "", attributes: str) -> str:
    """Return the definition of a kernel at `width` as IR text; what it needs is added to `module`."""
    if kernel.lanewise and width > 1:
        return lanewise_text(module, kernel, width, attributes)
    builder = Builder(module, width, real=kernel.real)
    vector = builder.types[kernel.real]
    args = [Value(builder, kernel.real, f"%x{k}") for k in range(kernel.arity)]
    results = _tuple(kernel.body(*args))
    returned = result_type(kernel, vector)
    value = results[0].ref
    if kernel.results > 1:
        value = "undef"
        for k, r in enumerate(results):
            value = builder.emit(kernel.real, f"insertvalue {returned} {value}, {vector} {r.ref}, {k}").ref
    listed = ", ".join([f"{vector} {a.ref}" for a in args])
    body = "\n".join(builder.lines)
    return (
        f"define {linkage}{returned} @{symbol(kernel.name, width)}({listed}) {attributes} {{\nentry:\n{body}\n"
        f"  ret {returned} {value}\n}}"
    )


def lanewise_text(module: ModuleText, kernel: Kernel, width: int, attributes: str) -> str:
    """Return the definition of a kernel that applies the same kernel at width 1 to each lane in turn."""
    callee = f"@{symbol(kernel.name, 1)}"
    module.imports.add((kernel.name, 1))
    scalar, vector = result_type(kernel, "double"), f"<{width} x double>"
    module.declare(callee, f"{scalar} {callee}({', '.join(['double'] * kernel.arity)})")
    params = ", ".join([f"{vector} %x{k}" for k in range(kernel.arity)])
    head = f"define {result_type(kernel, vector)} @{symbol(kernel.name, width)}({params}) {attributes} {{\nentry:"
    return "\n".join([head, *_lane_loop(kernel, callee, scalar, vector, width), "}"])


def _lane_loop(kernel: Kernel, callee: str, scalar: str, vector: str, width: int) -> list[str]:
    lines = [f"  %in{k} = alloca {vector}" for k in range(kernel.arity)]
    lines += [f"  %out{k} = alloca {vector}" for k in range(kernel.results)]
    lines += [f"  store {vector} %x{k}, ptr %in{k}" for k in range(kernel.arity)]
    lines += ["  br label %lane", "lane:", "  %i = phi i64 [0, %entry], [%next, %lane]"]
    for k in range(kernel.arity):
        lines += [f"  %p{k} = getelementptr double, ptr %in{k}, i64 %i", f"  %a{k} = load double, ptr %p{k}"]
    lines.append(f"  %y = call {scalar} {callee}({', '.join([f'double %a{k}' for k in range(kernel.arity)])})")
    for k in range(kernel.results):
        value = "%y" if kernel.results == 1 else f"%y{k}"
        if kernel.results > 1:
            lines.append(f"  {value} = extractvalue {scalar} %y, {k}")
        lines += [f"  %q{k} = getelementptr double, ptr %out{k}, i64 %i", f"  store double {value}, ptr %q{k}"]
    lines += [
        "  %next = add i64 %i, 1",
        f"  %more = icmp ult i64 %next, {width}",
        "  br i1 %more, label %lane, label %done",
        "done:",
    ]
    lines += [f"  %r{k} = load {vector}, ptr %out{k}" for k in range(kernel.results)]
    if kernel.results == 1:
        return [*lines, f"  ret {vector} %r0"]
    returned, value = result_type(kernel, vector), "undef"
    for k in range(kernel.results):
        lines.append(f"  %s{k} = insertvalue {returned} {value}, {vector} %r{k}, {k}")
        value = f"%s{k}"
    return [*lines, f"  ret {returned} {value}"]


def _tuple(results: Value | tuple[Value, ...]) -> tuple[Value, ...]:
    return (results,) if isinstance(results, Value) else results
