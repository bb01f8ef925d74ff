"""The IR of kernels.

A kernel is `ptr kernel(ptr at, ptr places, i64 bytes)`. It reads its operands from the record at `at`, computes over
`bytes` of every place, and returns where the next record is.
"""

from __future__ import annotations

from typing import Any

from alkahest_llvm.blocks.forms import Form, Setting
from alkahest_llvm.blocks.program import WORD
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.module_text import ModuleText


class LookedAtError(Exception):
    """A rule asked for the value of a constant operand which the form leaves open."""

    def __init__(self, operand: int) -> None:
        super().__init__(operand)
        self.operand = operand


class Constant(Value):
    """A constant operand. Its value stands in the program; a rule that asks for it makes the kernel a special one."""

    __slots__ = ("known", "operand")

    def __init__(self, builder: Builder, kind: str, ref: str, operand: int, known: str | None) -> None:
        self.operand, self.known = operand, known
        super().__init__(builder, kind, ref)

    @property
    def number(self) -> float:  # type: ignore[override]
        """The value, where the form gives it."""
        if self.known is None:
            raise LookedAtError(self.operand)
        return float.fromhex(self.known)

    @number.setter
    def number(self, _: Any) -> None:
        pass


class _Builder(Builder):
    """Converts a constant operand as any other value: converting is no reason to make a kernel special."""

    def as_double(self, value: Value) -> Value:
        return self.convert("fpext", value, "double") if isinstance(value, Constant) else super().as_double(value)


def write_kernel(module: ModuleText, name: str, form: Form, setting: Setting, linkage: str = "") -> None:
    """Define the kernel of a form in `module`; `linkage` may be "internal ".

    Raises `LookedAtError` where a rule asks for the value of a constant which `form.numbers` does not give.
    """
    writer = _Writer(module, form, setting)
    values = setting.arithmetic.values
    targets = [writer.pointers() for _ in form.results]
    slots = [writer.operand(k) for k in range(len(form.constant))]
    writer.steps(slots)
    for pointers, slot in zip(targets, form.results, strict=True):
        result = slots[slot]
        for pointer, number in zip(pointers, result if values > 1 else (result,), strict=True):
            writer.store(pointer, number)
    module.define(writer.text(name, linkage))


class _Writer:
    """Collects the lines of one kernel: `head` runs once, the builder's lines for each group of lanes."""

    def __init__(self, module: ModuleText, form: Form, setting: Setting) -> None:
        options = setting.options
        builder = _Builder(
            module, setting.lanes, real=setting.real, accuracy=options.accuracy, contract=options.contract
        )
        builder.block = "loop" if setting.blocks else "entry"
        self.builder, self.form, self.setting = builder, form, setting
        self.vector = builder.types[setting.real]
        self.head: list[str] = []
        self.words = 1  # words of the record so far; the first is the kernel's own number

    def pointers(self) -> list[str]:
        """Read the next word as a place and return the pointers to the numbers of its slot."""
        w, word = self.words, self._word()
        self.head.append(f"  %o{w} = load i64, ptr {word}")
        pointers: list[str] = []
        for j in range(self.setting.arithmetic.values):
            base, offset = ("%places", f"%o{w}") if j == 0 else (pointers[0], str(WORD * j))
            pointers.append(f"%p{w}.{j}")
            self.head.append(f"  {pointers[j]} = getelementptr i8, ptr {base}, i64 {offset}")
        if not self.setting.blocks:
            return pointers
        self.head += [f"  %b{name[2:]} = load ptr, ptr {name}" for name in pointers]
        return [f"%b{name[2:]}" for name in pointers]

    def operand(self, k: int) -> Any:
        """Read the operand `k` and return it: a value, or a tuple of them."""
        values = self.setting.arithmetic.values
        if self.form.constant[k]:
            numbers: list[Value] = [self._constant(k)] * values
        else:
            numbers = [self._load(pointer) for pointer in self.pointers()]
        return numbers[0] if values == 1 else tuple(numbers)

    def steps(self, slots: list[Any]) -> None:
        """Write the steps and append what they compute to the slots."""
        form, builder = self.form, self.builder
        for step, rule in zip(form.steps, form.rules, strict=True):
            slots.append(rule(builder, *[slots[a] for a in step.args], **dict(step.params)))

    def store(self, target: str, value: Value) -> None:
        """Store a result."""
        self.builder.lines.append(f"  store {self.vector} {value.ref}, ptr {self._current(target)}, align {self.align}")

    def text(self, name: str, linkage: str) -> str:
        """Return the definition of the kernel."""
        lines = [f"define {linkage}ptr @{name}(ptr %at, ptr %places, i64 %bytes) nounwind {{", "entry:", *self.head]
        if self.setting.blocks:
            step = self.setting.group_bytes
            lines += ["  br label %loop", "loop:", f"  %i = phi i64 [0, %entry], [%i.next, %{self.builder.block}]"]
            lines += [*self.builder.lines, f"  %i.next = add i64 %i, {step}", "  %more = icmp ult i64 %i.next, %bytes"]
            lines += ["  br i1 %more, label %loop, label %done", "done:"]
        else:
            lines += self.builder.lines
        lines += [f"  %next = getelementptr i8, ptr %at, i64 {WORD * self.words}", "  ret ptr %next", "}"]
        return "\n".join(lines)

    @property
    def align(self) -> int:
        """What is known of the alignment: columns are where the user put them."""
        return 1 if self.setting.blocks else WORD

    def _word(self) -> str:
        name = f"%w{self.words}"
        self.head.append(f"  {name} = getelementptr i8, ptr %at, i64 {WORD * self.words}")
        self.words += 1
        return name

    def _current(self, pointer: str) -> str:
        """Return the pointer to the numbers at hand of a place."""
        if not self.setting.blocks:
            return pointer
        name = self.builder.new_label("%at")
        self.builder.lines.append(f"  {name} = getelementptr i8, ptr {pointer}, i64 %i")
        return name

    def _load(self, pointer: str) -> Value:
        at = self._current(pointer)
        return self.builder.emit(self.setting.real, f"load {self.vector}, ptr {at}, align {self.align}")

    def _constant(self, k: int) -> Constant:
        w, real, lanes = self.words, self.setting.real, self.setting.lanes
        self.head.append(f"  %c{w} = load {real}, ptr {self._word()}")
        ref = f"%c{w}"
        if lanes > 1:
            self.head += [
                f"  %e{w} = insertelement {self.vector} poison, {real} {ref}, i64 0",
                f"  %s{w} = shufflevector {self.vector} %e{w}, {self.vector} poison, <{lanes} x i32> zeroinitializer",
            ]
            ref = f"%s{w}"
        numbers = self.form.numbers
        return Constant(self.builder, real, ref, k, numbers[k] if numbers else None)
