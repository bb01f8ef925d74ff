"""The tier `xla`: a tape becomes one function under `jax.jit`, compiled by XLA for blocks of points."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alkahest.extend import CompileOptions, Tape, column_view, lowering_rules
from alkahest_jax.plugin import INSTALL

if TYPE_CHECKING:
    from numpy.typing import NDArray

# XLA's fusion copies what is used more than once: a tangled tape of 1,000 operations takes it 1.5 s, of this length
# 16 s, of 3,000 operations 37 s (2 cores; `python tests/compile_time.py 1000 2000 3000`).
MAX_INSTRUCTIONS = 2_000

# XLA compiles for one length at a time: these serve all of them. A block of the largest stays in the cache.
BLOCKS = (64, 256, 1_024, 4_096, 16_384, 65_536)
PADDED_UP_TO = 4_096  # points: so few take less time than another call

# XLA's algebraic simplifier turns (x + 1e16) - 1e16 into x, and x / 3 into x * (1/3): it stays off.
STRICT = {"xla_disable_hlo_passes": "algsimp"}


class XlaBackend:
    """Runs tapes on JAX's default device, in float64 or float32, whatever JAX's own flag for 64 bits says.

    Arithmetic is IEEE 754 with one exception: XLA on CPU treats subnormal numbers as zero.
    """

    def unavailable(self) -> str:
        """Return "" where JAX starts, else the reason it does not, with the line that installs it."""
        try:
            import jax
        except Exception as error:  # beside ImportError: a jaxlib of another version, a NumPy it was not built for
            return f"JAX cannot be imported: {error} ({INSTALL})"
        try:
            jax.devices()
        except Exception as error:  # what a broken plugin of JAX or a missing device raises is not documented
            return f"JAX finds no device: {error}"
        return ""

    def refuses(self, tape: Tape) -> str:
        """Return "", or why XLA should not get this tape."""
        if len(tape.instrs) > MAX_INSTRUCTIONS:
            return f"has {len(tape.instrs):,} operations; XLA compiles for too long above {MAX_INSTRUCTIONS:,}"
        table = _rules()
        missing = sorted(op for op in tape.ops if op not in table)
        if missing:
            return f"has no rule for {', '.join(missing)}"
        return _order_fault(tape)

    def compile(self, tape: Tape, options: CompileOptions) -> XlaKernel:
        """Return a kernel, compiled for whole blocks; other lengths are compiled when they first occur."""
        kernel = XlaKernel(tape, options)
        kernel.executable(BLOCKS[-1], (False,) * len(tape.inputs))
        return kernel


class XlaKernel:
    """One tape as XLA executables, one for each block length and pattern of columns that hold one value."""

    releases_gil = False  # XLA spreads a block over the cores by itself

    def __init__(self, tape: Tape, options: CompileOptions) -> None:
        import jax

        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self._dtype = "float64" if options.dtype == "f64" else "float32"
        self._function = jax.jit(_Program(tape, options, self._dtype), compiler_options=STRICT)
        self._executables: dict[tuple[int, tuple[bool, ...]], Any] = {}
        self._lock = threading.Lock()
        self._stablehlo = ""

    @property
    def artifacts(self) -> Mapping[str, str]:
        """The StableHLO text that XLA compiles, for a block of the largest length."""
        if not self._stablehlo:
            self._stablehlo = self._lower(BLOCKS[-1], (False,) * self.n_inputs).as_text()
        return {"stablehlo": self._stablehlo}

    def _lower(self, block: int, single: tuple[bool, ...]) -> Any:
        import jax
        import numpy as np

        shapes = [jax.ShapeDtypeStruct(() if one else (block,), np.dtype(self._dtype)) for one in single]
        with jax.enable_x64(True):
            return self._function.lower(jax.ShapeDtypeStruct((), np.int64), *shapes)

    def executable(self, block: int, single: tuple[bool, ...]) -> Any:
        """Return the code for blocks of `block` points; `single` tells which columns hold one value for all."""
        key = block, single
        with self._lock:
            if key not in self._executables:
                self._executables[key] = self._lower(block, single).compile()
            return self._executables[key]

    def call_columns(self, n: int, columns: Sequence[tuple[int, int]], out: Sequence[tuple[int, int]]) -> None:
        """Evaluate `n` points; contiguous blocks that JAX finds aligned go in without a copy; results are copied."""
        if n == 0:
            return
        import jax
        import numpy as np

        single = tuple([n == 1 or stride == 0 for _, stride in columns])
        block, starts = spans(1 if all(single) else n)
        views = [column_view(address, stride, n, self._dtype) for address, stride in columns]
        results = [column_view(address, stride, n, self._dtype) for address, stride in out]
        run = self.executable(0 if all(single) else block, single)
        with jax.enable_x64(True):
            for start in starts:
                m = n if all(single) else min(block, n)
                args = [v[0] if one else _block(v, start, block) for v, one in zip(views, single, strict=True)]
                for result, value in zip(results, run(np.int64(0), *args), strict=True):
                    array = np.asarray(value)
                    result[start : start + m] = array[:m] if array.ndim else array


def spans(n: int) -> tuple[int, list[int]]:
    """Return the length of the blocks that cover `n` points, and where they start.

    Few points are one block, longer than `n` and to be padded; else the last block overlaps the one before it.

    >>> spans(1000)
    (1024, [0])
    >>> spans(10_000)
    (4096, [0, 4096, 5904])
    """
    if n <= PADDED_UP_TO:
        return min([b for b in BLOCKS if b >= n]), [0]
    block = max([b for b in BLOCKS if b <= n])
    starts = list(range(0, n - block + 1, block))
    return block, starts if starts[-1] + block == n else [*starts, n - block]


def _block(column: NDArray[Any], start: int, block: int) -> NDArray[Any]:
    import numpy as np

    if len(column) >= block:
        return column[start : start + block]
    padded = np.full(block, column[0])
    padded[: len(column)] = column
    return padded


class _Program:
    """The tape as a Python function, to be traced."""

    def __init__(self, tape: Tape, options: CompileOptions, dtype: str) -> None:
        self._tape = tape
        self._contract = options.contract
        self._dtype = dtype
        self.__name__ = "alkahest"

    def __call__(self, zero: Any, *columns: Any) -> tuple[Any, ...]:
        """Return the outputs; `zero` is the integer 0, which XLA does not know."""
        import numpy as np
        from jax import lax

        tape, rules, dtype = self._tape, _rules(), np.dtype(self._dtype)
        uses = Counter([a for instr in tape.instrs for a in instr.args] + list(tape.outputs))
        slots: list[Any] = [*columns, *[dtype.type(c) for c in tape.consts]]
        for instr in tape.instrs:
            value = rules.by_name(instr.op)(*[slots[a] for a in instr.args], **dict(instr.params))
            value = lax.convert_element_type(value, dtype)
            if instr.op == "mul" and (not self._contract or uses[len(slots)] > 1):
                value = _apart(value, zero)
            slots.append(value)
        return tuple([slots[o] for o in tape.outputs])


def _apart(value: Any, zero: Any) -> Any:
    """Return `value` in a way that keeps XLA from fusing the product it is into a sum, which it does on its own."""
    import jax.numpy as jnp
    from jax import lax

    integer = jnp.int64 if value.dtype == jnp.float64 else jnp.int32
    bits = lax.bitcast_convert_type(value, integer) ^ zero.astype(integer)
    return lax.bitcast_convert_type(bits, value.dtype)


def _rules() -> Any:
    import alkahest_jax.rules  # noqa: F401 - sets the table at its first import

    return lowering_rules("jax")


def _order_fault(tape: Tape) -> str:
    """Return why a polygamma of this tape cannot be traced, or ""."""
    from alkahest_jax.functions import MAX_POLYGAMMA_ORDER

    first = len(tape.inputs)
    for instr in tape.instrs:
        if instr.op == "polygamma":
            at = instr.args[0] - first
            if not 0 <= at < len(tape.consts):
                return "has a polygamma whose order is no constant"
            if tape.consts[at] > MAX_POLYGAMMA_ORDER:
                return f"has a polygamma of an order above {MAX_POLYGAMMA_ORDER}"
    return ""
