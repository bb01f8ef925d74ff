"""Write LLVM IR by computing with values: the interface in which lowering rules and math kernels are written.

A `Builder` writes the body of one function as text; a `Value` is one result in it, with Python's operators. The same
Python code gives scalars at width 1 and explicit vectors at any other width, so a rule or kernel is written once.
No fast-math flag is ever written: what the operators say is what runs, in that order, so that every width and code
generation level gives the same bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from alkahest_llvm.vecmath.registry import in_single_precision

if TYPE_CHECKING:
    from alkahest_llvm.emitting.module_text import ModuleText

Number: TypeAlias = "Value | float | int"

REAL = {"f64": "double", "f32": "float"}  # LLVM's names of the types of tapes
_SUFFIX = {"double": "f64", "float": "f32", "i64": "i64", "i32": "i32", "i128": "i128", "i1": "i1"}
_FLOATS = ("double", "float")
_DOUBLE, _WORD = struct.Struct("<d"), struct.Struct("<Q")
# Numbers of metadata, out of the way of a caller's own: branches that are rarely taken, stores past the caches.
RARELY, STREAMED = 90001, 90002
_FLOAT_COMPARISON = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INTEGER_COMPARISON = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}


def literal(number: float | int, kind: str) -> str:
    """Return `number` as LLVM writes a constant of the element type `kind`; floats are exact hexadecimal."""
    if kind == "double":
        return f"0x{_WORD.unpack(_DOUBLE.pack(number))[0]:016X}"
    if kind == "float":
        return literal(round_to_single(float(number)), "double")
    if kind == "i1":
        return "true" if number else "false"
    size = 32 if kind == "i32" else 64
    bits = int(number) & ((1 << size) - 1)
    return str(bits - (1 << size) if bits >> (size - 1) else bits)


def _lanes_from(first: int, count: int) -> str:
    """Return as LLVM writes it which lanes a shuffle takes."""
    return f"<{count} x i32> <{', '.join([f'i32 {k}' for k in range(first, first + count)])}>"


def round_to_single(number: float) -> float:
    """Return `number` rounded to single precision, beyond its range an infinity."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


class Value:
    """One scalar or vector in the function being written.

    `+ - * /` and unary `-` work on numbers, `& | ^ << >>` on integers and truth values (`>>` is logical), `~` on truth
    values; `< <= > >=` compare and give truth values, false where a nan takes part. For equality there are the
    functions `equal` and `unequal` of `operations`. A Python number on either side becomes a constant of the other's
    type.
    """

    __slots__ = ("builder", "kind", "number", "ref")

    def __init__(self, builder: Builder, kind: str, ref: str, number: float | int | None = None) -> None:
        self.builder = builder
        self.kind = kind
        self.ref = ref
        self.number = number

    def __repr__(self) -> str:
        return f"Value({self.builder.types[self.kind]} {self.ref})"

    def _binary(self, opcode: str, left: Number, right: Number) -> Value:
        b, kind = self.builder, self.kind
        first, second = b.lift(left, kind), b.lift(right, kind)
        return b.emit(kind, f"{opcode} {b.types[kind]} {first.ref}, {second.ref}")

    def _arithmetic(self, name: str, left: Number, right: Number) -> Value:
        return self._binary(f"f{name}" if self.kind in _FLOATS else name, left, right)

    def __add__(self, other: Number) -> Value:
        return self._arithmetic("add", self, other)

    def __radd__(self, other: Number) -> Value:
        return self._arithmetic("add", other, self)

    def __sub__(self, other: Number) -> Value:
        return self._arithmetic("sub", self, other)

    def __rsub__(self, other: Number) -> Value:
        return self._arithmetic("sub", other, self)

    def __mul__(self, other: Number) -> Value:
        return self._arithmetic("mul", self, other)

    def __rmul__(self, other: Number) -> Value:
        return self._arithmetic("mul", other, self)

    def __truediv__(self, other: Number) -> Value:
        return self._binary("fdiv", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return self._binary("fdiv", other, self)

    def __neg__(self) -> Value:
        b = self.builder
        return b.emit(self.kind, f"fneg {b.types[self.kind]} {self.ref}")

    def __and__(self, other: Number) -> Value:
        return self._binary("and", self, other)

    def __or__(self, other: Number) -> Value:
        return self._binary("or", self, other)

    def __xor__(self, other: Number) -> Value:
        return self._binary("xor", self, other)

    def __invert__(self) -> Value:
        return self._binary("xor", self, True if self.kind == "i1" else -1)

    def __lshift__(self, other: Number) -> Value:
        return self._binary("shl", self, other)

    def __rshift__(self, other: Number) -> Value:
        return self._binary("lshr", self, other)

    def compare(self, relation: str, other: Number) -> Value:
        """Return the truth value of a relation: lt, le, gt, ge, eq, ne, or an LLVM predicate such as `ult`, `uno`."""
        b, kind = self.builder, self.kind
        second = b.lift(other, kind)
        if kind in _FLOATS:
            predicate = f"fcmp {_FLOAT_COMPARISON.get(relation, relation)}"
        else:
            predicate = f"icmp {_INTEGER_COMPARISON.get(relation, relation)}"
        return b.emit("i1", f"{predicate} {b.types[kind]} {self.ref}, {second.ref}")

    def __lt__(self, other: Number) -> Value:
        return self.compare("lt", other)

    def __le__(self, other: Number) -> Value:
        return self.compare("le", other)

    def __gt__(self, other: Number) -> Value:
        return self.compare("gt", other)

    def __ge__(self, other: Number) -> Value:
        return self.compare("ge", other)


class Builder:
    """Writes the body of one function: `width` lanes, 1 for scalars.

    `real` is the type of the tape's numbers ("double" or "float"), `accuracy` and `contract` are the options that a
    rule may look at. `memo` is free for rules to share work between instructions: `builder.memo[key] = value`.
    """

    def __init__(
        self,
        module: ModuleText,
        width: int = 1,
        *,
        real: str = "double",
        accuracy: str = "1ulp",
        contract: bool = True,
    ) -> None:
        self.module = module
        self.width = width
        self.real = real
        self.accuracy = accuracy
        self.contract = contract
        self.lines: list[str] = []
        self.memo: dict[Any, Any] = {}
        self.block = "entry"
        self.multiplies_root: Callable[[], bool] | None = None  # asked at each square root
        self._count = 0
        vector = "{}" if width == 1 else f"<{width} x {{}}>"
        self.types = {kind: vector.format(kind) for kind in _SUFFIX}
        self._suffixes = {k: s if width == 1 else f"v{width}{s}" for k, s in _SUFFIX.items()}

    # values

    def constant(self, number: float | int, kind: str = "") -> Value:
        """Return a constant of the element type `kind`, by default the tape's real type."""
        kind = kind or self.real
        text = literal(number, kind)
        return Value(self, kind, text if self.width == 1 else f"splat ({kind} {text})", number)

    def lift(self, value: Number, kind: str) -> Value:
        """Return `value` itself, or a constant of type `kind` where it is a Python number."""
        return value if isinstance(value, Value) else self.constant(value, kind)

    def emit(self, kind: str, text: str) -> Value:
        """Append the instruction `text` and return its result, of element type `kind`."""
        self._count += 1
        ref = f"%v{self._count}"
        self.lines.append(f"  {ref} = {text}")
        return Value(self, kind, ref)

    def intrinsic(self, name: str, *args: Number) -> Value:
        """Call the LLVM intrinsic `llvm.name`, whose arguments and result are all of one type."""
        kind = next(a.kind for a in args if isinstance(a, Value))
        typed = self.types[kind]
        full = f"@llvm.{name}.{self._suffixes[kind]}"
        self.module.declare(full, f"{typed} {full}({', '.join([typed] * len(args))})")
        refs = ", ".join([f"{typed} {self.lift(a, kind).ref}" for a in args])
        return self.emit(kind, f"call {typed} {full}({refs})")

    def convert(self, opcode: str, value: Value, kind: str) -> Value:
        """Convert to the element type `kind` by `bitcast`, `fpext`, `fptrunc`, `sitofp`, `uitofp`, `trunc`, `zext`."""
        if value.kind == kind:
            return value
        key = (opcode, value.ref, kind)
        found = self.memo.get(key)
        if found is None:
            text = f"{opcode} {self.types[value.kind]} {value.ref} to {self.types[kind]}"
            found = self.memo[key] = self.emit(kind, text)
        return found

    def as_double(self, value: Value) -> Value:
        """Return `value` in double precision."""
        if value.number is not None:
            number = float(value.number)
            return self.constant(round_to_single(number) if value.kind == "float" else number, "double")
        return self.convert("fpext", value, "double")

    def as_real(self, value: Value) -> Value:
        """Return `value` in the tape's real type, rounded where that is single precision."""
        return self.convert("fptrunc", value, self.real)

    def in_pieces(self, lanes: int, function: Callable[[Value], Value], x: Value) -> Value:
        """Return the values of a function that is written for `lanes` lanes, of which this builder has a multiple."""
        if self.width == lanes:
            return function(x)
        inner = Builder(self.module, lanes, real=self.real, accuracy=self.accuracy, contract=self.contract)
        inner.lines, inner._count = self.lines, self._count
        wide, kind = self.types[x.kind], x.kind
        results: list[str] = []
        for first in range(0, self.width, lanes):
            part = inner.emit(kind, f"shufflevector {wide} {x.ref}, {wide} poison, {_lanes_from(first, lanes)}")
            results.append(function(part).ref)
        while len(results) > 1:
            size = self.width // len(results)
            pairs = zip(results[::2], results[1::2], strict=True)
            typed = f"<{size} x {kind}>"
            results = [
                inner.emit(kind, f"shufflevector {typed} {a}, {typed} {b}, {_lanes_from(0, 2 * size)}").ref
                for a, b in pairs
            ]
        self._count = inner._count
        return Value(self, kind, results[0])

    # truth values

    def boolean(self, condition: Value) -> Value:
        """Return a truth value as the number 1 or 0, which is how tapes hold it."""
        one, zero, real = self.constant(1.0).ref, self.constant(0.0).ref, self.types[self.real]
        number = self.emit(self.real, f"select {self.types['i1']} {condition.ref}, {real} {one}, {real} {zero}")
        self.memo["truth", number.ref] = condition
        return number

    def truth(self, number: Value) -> Value:
        """Return whether `number` is not zero; nan counts as true."""
        found = self.memo.get(("truth", number.ref))
        return number.compare("ne", 0.0) if found is None else found

    # kernels and control flow

    def kernel(self, name: str, *args: Value) -> Value:
        """Return the value of the math kernel `name` of `alkahest_llvm.vecmath` at `args`."""
        return self.kernels(name, *args)[0]

    def kernels(self, name: str, *args: Value) -> tuple[Value, ...]:
        """Return all results of a math kernel that has several, such as `sincos`.

        Where all arguments are in single precision and there is a kernel for that, it is used. The others compute in
        double precision: arguments in single precision, and then the results, are converted.
        """
        key = ("kernel", name, tuple([a.ref for a in args]))
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = self._apply_kernel(name, args)
        return found

    def _apply_kernel(self, name: str, args: Sequence[Value]) -> tuple[Value, ...]:
        single = in_single_precision(name) if all(a.kind == "float" for a in args) else None
        if single is not None:
            return self.module.apply_kernel(self, single, args)
        results = self.module.apply_kernel(self, name, [self.as_double(a) for a in args])
        if any(a.kind == "float" for a in args):
            results = tuple([self.as_real(r) for r in results])
        return results

    def start_block(self, label: str) -> None:
        """Begin a basic block; what follows goes there."""
        self.lines.append(f"{label}:")
        self.block = label

    def new_label(self, stem: str) -> str:
        """Return a label not used before in this function."""
        self._count += 1
        return f"{stem}{self._count}"

    @contextmanager
    def _own_memo(self) -> Iterator[None]:
        saved, self.memo = self.memo, dict(self.memo)
        yield
        self.memo = saved

    def if_any(
        self, condition: Value, rare: Callable[[], Sequence[Value]], usual: Sequence[Value]
    ) -> tuple[Value, ...]:
        """Return `usual`, or what `rare()` gives where `condition` holds in any lane; `rare` runs only then."""
        before, inside, after = self.block, self.new_label("rare"), self.new_label("join")
        any_lane = condition.ref if self.width == 1 else self._any_lane(condition)
        self.lines.append(f"  br i1 {any_lane}, label %{inside}, label %{after}, !prof !{RARELY}")
        self.module.uses_rare_branches = True
        self.start_block(inside)
        with self._own_memo():
            others = rare()
        leaving = self.block
        self.lines.append(f"  br label %{after}")
        self.start_block(after)
        return tuple(
            [
                self.emit(u.kind, f"phi {self.types[u.kind]} [{u.ref}, %{before}], [{r.ref}, %{leaving}]")
                for u, r in zip(usual, others, strict=True)
            ]
        )

    def either(
        self, condition: Value, rare: Callable[[], Sequence[Value]], usual: Callable[[], Sequence[Value]]
    ) -> tuple[Value, ...]:
        """Return what `rare()` gives for all lanes where `condition` holds in any of them, else what `usual()` gives.

        Cheaper than `if_any` where `rare` has no use for the usual results: nothing is kept for it across the branch.
        """
        inside, beside, after = [self.new_label(stem) for stem in ("rare", "usual", "join")]
        any_lane = condition.ref if self.width == 1 else self._any_lane(condition)
        self.lines.append(f"  br i1 {any_lane}, label %{inside}, label %{beside}, !prof !{RARELY}")
        self.module.uses_rare_branches = True
        ends: list[str] = []
        values: list[Sequence[Value]] = []
        for label, path in ((inside, rare), (beside, usual)):
            self.start_block(label)
            with self._own_memo():
                values.append(path())
            ends.append(self.block)
            self.lines.append(f"  br label %{after}")
        self.start_block(after)
        return tuple(
            [
                self.emit(u.kind, f"phi {self.types[u.kind]} [{r.ref}, %{ends[0]}], [{u.ref}, %{ends[1]}]")
                for r, u in zip(*values, strict=True)
            ]
        )

    def while_any(
        self,
        condition: Callable[..., Value],
        step: Callable[..., Sequence[Value]],
        values: Sequence[Value],
    ) -> tuple[Value, ...]:
        """Return `values` after `values = step(*values)` for as long as `condition(*values)` holds in any lane.

        `step` itself must leave alone the lanes where the condition does not hold.
        """
        before, loop, inside, after = self.block, *[self.new_label(stem) for stem in ("loop", "inside", "after")]
        self.lines.append(f"  br label %{loop}")
        self.start_block(loop)
        first = len(self.lines)
        current = [self.emit(v.kind, "") for v in values]
        with self._own_memo():
            going = condition(*current)
            any_lane = going.ref if self.width == 1 else self._any_lane(going)
            self.lines.append(f"  br i1 {any_lane}, label %{inside}, label %{after}")
            self.start_block(inside)
            others = step(*current)
        for k, (c, v, other) in enumerate(zip(current, values, others, strict=True), first):
            self.lines[k] = f"  {c.ref} = phi {self.types[v.kind]} [{v.ref}, %{before}], [{other.ref}, %{self.block}]"
        self.lines.append(f"  br label %{loop}")
        self.start_block(after)
        return tuple(current)

    def _any_lane(self, condition: Value) -> str:
        name = f"@llvm.vector.reduce.or.v{self.width}i1"
        self.module.declare(name, f"i1 {name}({self.types['i1']})")
        return self.emit("i1", f"call i1 {name}({self.types['i1']} {condition.ref})").ref

    def element(self, table: str, kind: str, index: Value) -> Value:
        """Return an entry of a constant table of the module (scalars only)."""
        self._count += 1
        pointer = f"%v{self._count}"
        self.lines.append(f"  {pointer} = getelementptr {kind}, ptr @{table}, i64 {index.ref}")
        return self.emit(kind, f"load {kind}, ptr {pointer}")
