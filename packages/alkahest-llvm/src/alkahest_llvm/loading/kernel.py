"""A compiled tape: what dispatch gets from either tier."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from alkahest.extend import CompileOptions, Tape, once
from alkahest_llvm.emitting.builder import REAL
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.array_entry import array_functions
from alkahest_llvm.loading.batch_entry import flat_columns, load_with_driver
from alkahest_llvm.loading.units import Unit, kept, sources

if TYPE_CHECKING:
    from alkahest_llvm.emitting.module_text import KernelStyle
    from alkahest_llvm.loading.generating import Generated


class Artifacts(Mapping[str, str]):
    """The generated code as text, "llvm-ir" and "asm", each made when it is asked for."""

    def __init__(self, make: Callable[[], str], level: int) -> None:
        self._make = make
        self._level = level

    def __getitem__(self, key: str) -> str:
        if key == "llvm-ir":
            return self._text
        if key == "asm":
            return self._assembly
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("llvm-ir", "asm"))

    def __len__(self) -> int:
        return 2

    @once
    def _text(self) -> str:
        return self._make()

    @once
    def _assembly(self) -> str:
        return engine.assembly(self._text, self._level)


class _Batch(NamedTuple):
    """The loaded batch code: the driver, what it is told at each call beside the columns, and who owns the code."""

    drive: Any
    constants: tuple[Any, ...]
    keep: tuple[Any, ...]


class LLVMKernel:
    """Machine code for one tape. It may be called from several threads at once.

    `level` is LLVM's code generation level and `width` how many points the batch code takes at a time. `style` says
    what becomes of math kernels there; a number stands for "inline" where the tape has so many of them at most, else
    "call". `origin` is "loaded" where the batch code was found on disk, else "compiled".
    """

    releases_gil = True

    def __init__(
        self, tape: Tape, options: CompileOptions, *, level: int, style: KernelStyle | int, width: int
    ) -> None:
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        generate = partial(_generate_batch, tape, options, style, width)
        self.artifacts: Mapping[str, str] = Artifacts(lambda: generate().text, level)
        self._tape = tape
        self._options = options
        self._level = level
        self._width = width
        self._unit = self._made(f"batch {style} x{width}", generate)
        self._table = ctypes.c_int64 * (2 * (self.n_inputs + self.n_outputs))

    @property
    def origin(self) -> str:
        """Whether this process "compiled" the batch code or "loaded" what another had compiled."""
        return self._unit.origin

    def call_columns(self, n: int, columns: Sequence[tuple[int, int]], out: Sequence[tuple[int, int]]) -> None:
        """Evaluate `n` points: (address, byte stride) per input column and per output column; stride 0 repeats."""
        table = self._table(*flat_columns(self.n_inputs, self.n_outputs, columns, out))
        batch = self._batch
        if batch.drive(n, table, *batch.constants):
            raise MemoryError("no memory for the scratch columns of a batch")

    @once
    def scalar(self) -> Any:
        """A C function that takes a list or tuple of numbers, or the numbers; made the first time it is read."""
        from alkahest_llvm.loading.scalar_entry import scalar_function

        unit = self._made("scalar", self._generate_scalar)
        code = library.load([unit])
        return scalar_function(code[unit.exports[0]], self._tape.inputs, self.n_outputs, code)

    @once
    def arrays(self) -> Any:
        """C functions of a result and inputs that are NumPy arrays; see `array_functions`."""
        batch = self._batch
        n_in, n_out, code, lanes, frame_bytes, _ = batch.constants
        return array_functions(
            code,
            n_in,
            n_out,
            batch,
            real=REAL[self._options.dtype],
            lanes=lanes,
            operations=len(self._tape.instrs),
            frame_bytes=frame_bytes,
        )

    @once
    def _batch(self) -> _Batch:
        unit = self._unit
        code, drive = load_with_driver([unit], REAL[self._options.dtype])
        constants = (self.n_inputs, self.n_outputs, code[unit.exports[0]], self._width, unit.frame_bytes, None)
        return _Batch(drive.call, constants, (drive, code))

    def _made(self, what: str, generate: Callable[[], Generated]) -> Unit:
        """Return code of the tape, from disk or compiled now.

        It is kept by what the tape is, so that it is found without writing any IR; or, where others than this package
        have a part in the code, by its IR.
        """

        def compile_now() -> Unit:
            made = generate()
            return _unit(engine.compile_object(made.text, self._level), made)

        if _is_all_ours(self._tape):
            named = f"{what} tape {self._tape.digest} {self._options!r} level {self._level}"
            return kept(f"{named} machine {engine.machine()} sources {sources()}", compile_now)
        made = generate()
        unit = engine.compile_text(made.text, self._level)
        return _unit(unit.code, made)._replace(origin=unit.origin)

    def _generate_scalar(self) -> Generated:
        from alkahest_llvm.loading.generating import scalar_code

        return scalar_code(self._tape, self._options)


def _unit(code: bytes, made: Generated) -> Unit:
    return Unit(code, (made.entry,), imports=made.imports, frame_bytes=made.frame_bytes)


def _generate_batch(tape: Tape, options: CompileOptions, style: KernelStyle | int, width: int) -> Generated:
    from alkahest_llvm.loading.generating import batch_code

    return batch_code(tape, options, style, width)


def _is_all_ours(tape: Tape) -> bool:
    """Return whether this package's own rules, and no others, make the code of a tape."""
    from alkahest_llvm.emitting.lowering import RULES, register

    table = register()
    return tape.ops <= RULES.keys() and all(table.by_name(op) is rule for op, rule in RULES.items())
