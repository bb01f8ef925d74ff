"""The interpreter: runs a tape instruction by instruction, over floats or over NumPy columns; always available."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import alkahest.prims.standard  # noqa: F401  # pyright: ignore[reportUnusedImport] - declares the rules of core
from alkahest.base.rules import impl_rules
from alkahest.compile.columns import column_view
from alkahest.compile.points import real_numbers
from alkahest.compile.protocols import DTYPES, Column, CompileOptions
from alkahest.expr.tape import Tape
from alkahest.plugins.manager import load_primitives
from alkahest.prims.scalar import Implementation

BLOCK_BYTES = 1 << 17  # a block of one column stays in the second-level cache


class InterpreterBackend:
    """The tier of last resort and the oracle of all others."""

    def unavailable(self) -> str:
        """Return "": it runs everywhere."""
        return ""

    def refuses(self, tape: Tape) -> str:
        """Return "", or the primitives that have no implementation."""
        missing = _missing(tape)
        if missing:
            load_primitives()  # a plugin may declare them, and nobody has asked for it yet
            missing = _missing(tape)
        return f"has no implementation of {', '.join(missing)}" if missing else ""

    def compile(self, tape: Tape, options: CompileOptions) -> InterpreterKernel:
        """Return a kernel that walks the tape."""
        return InterpreterKernel(tape, options)


def _missing(tape: Tape) -> list[str]:
    return sorted([op for op in tape.ops if op not in impl_rules])


class InterpreterKernel:
    """Walks a tape, dropping each value after its last use."""

    releases_gil = False

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self._tape = tape
        self._dtype = "float64" if options.dtype == "f64" else "float32"
        self._itemsize = DTYPES[options.dtype]
        rules: dict[str, Implementation] = {op: impl_rules.by_name(op) for op in tape.ops}
        self._numbers = [rules[i.op].number for i in tape.instrs]
        self._rules = rules
        self._plan: list[tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]] | None = None

    @property
    def artifacts(self) -> Mapping[str, str]:
        """The tape as text."""
        return {"tape": str(self._tape)}

    def scalar(self, *xs: Any) -> float | list[float]:
        """Evaluate one point given as one list or as numbers."""
        alone = len(xs) == 1 and isinstance(xs[0], list | tuple)
        out = self.point(real_numbers(xs[0] if alone else xs, self._tape.inputs))
        return out[0] if len(out) == 1 else out

    def point(self, values: Sequence[float]) -> list[float]:
        """Return the outputs at one point, of as many floats as there are inputs."""
        if self._itemsize == 4:
            return self._point_in_single_precision(values)
        slots = [*values, *self._tape.consts]
        for run, instr in zip(self._numbers, self._tape.instrs, strict=True):
            slots.append(run(*[slots[a] for a in instr.args]))
        return [float(slots[o]) for o in self._tape.outputs]

    def _point_in_single_precision(self, values: Sequence[float]) -> list[float]:
        import numpy as np

        with np.errstate(all="ignore"):  # beyond single precision: infinite
            point = np.array(values, dtype=np.float32)
        out = np.empty(self.n_outputs, dtype=np.float32)
        columns = [(point.ctypes.data + 4 * k, 0) for k in range(self.n_inputs)]
        self.call_columns(1, columns, [(out.ctypes.data + 4 * k, 4) for k in range(self.n_outputs)])
        return [float(v) for v in out]

    def call_columns(self, n: int, columns: Sequence[Column], out: Sequence[Column]) -> None:
        """Evaluate `n` points block by block, so that memory does not grow with `n`."""
        import numpy as np

        plan = self._plan or self._make_plan()
        block = BLOCK_BYTES // self._itemsize
        consts = [np.asarray(c, dtype=self._dtype) for c in self._tape.consts]
        with np.errstate(all="ignore"):
            for start in range(0, n, block):
                m = min(block, n - start)
                slots: list[Any] = [column_view(a + start * s, s, m, self._dtype) for a, s in columns]
                slots += consts
                for run, args, dead in plan:
                    slots.append(run(*[slots[a] for a in args]))
                    for d in dead:
                        slots[d] = None
                for (address, stride), o in zip(out, self._tape.outputs, strict=True):
                    column_view(address + start * stride, stride, m, self._dtype)[...] = slots[o]

    def _make_plan(self) -> list[tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]]:
        first = self.n_inputs + len(self._tape.consts)
        last = {a: k for k, instr in enumerate(self._tape.instrs) for a in instr.args if a >= first}
        for o in self._tape.outputs:
            last.pop(o, None)
        dead: dict[int, list[int]] = {}
        for slot, k in last.items():
            dead.setdefault(k, []).append(slot)
        arrays = {op: rule.array_function() for op, rule in self._rules.items()}
        self._plan = [(arrays[i.op], i.args, tuple(dead.get(k, ()))) for k, i in enumerate(self._tape.instrs)]
        return self._plan
