"""What core and a backend say to each other; deliberately tiny."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from alkahest.errors import ConfigError
from alkahest.expr.tape import Tape

Column = tuple[int, int]  # integer address, byte stride (0: one value for all points)

DTYPES = {"f64": 8, "f32": 4}
ACCURACIES = ("1ulp", "4ulp")


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """What a backend is told beside the tape.

    `dtype` is "f64" or "f32", for all columns alike. `contract=True` lets the emitter fuse a product used once into a
    multiply-add; False asks for every operation rounded by itself. `accuracy` is "1ulp" or "4ulp".
    """

    dtype: str = "f64"
    contract: bool = True
    accuracy: str = "1ulp"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype {self.dtype!r} is not known.", remedy="Use 'f64' or 'f32'.")
        if self.accuracy not in ACCURACIES:
            raise ConfigError(f"accuracy {self.accuracy!r} is not known.", remedy="Use '1ulp' or '4ulp'.")


@runtime_checkable
class Kernel(Protocol):
    """Code for one tape.

    Some attributes are optional. `contiguous = True` asks core for columns without gaps or broadcasts.
    `releases_gil = True` says that `call_columns` may run in several threads at once. `scalar` is a callable that
    takes one list or tuple of floats, or the floats themselves, and returns a float, or a list for several outputs.

    Where `scalar` is a C function, its `__self__` may have `call_entry(fallback, left, *, numbers=False,
    gives_list=False)`. That returns another C function, or None. It takes exactly one list or tuple of floats, with
    `numbers=True` exactly the floats; it may take other numbers that are read without running Python code. Each such
    call takes 1 from `left`, a `ctypes.c_int64`; all other calls, with their keywords, and those that find 0 there, it
    hands to `fallback`. `gives_list=True` asks for a list even of one output. Calls of a compiled function then are
    calls of that C function.

    `arrays`, which may be None, has two functions of NumPy arrays. `call(out, *inputs)` evaluates arrays of the
    kernel's dtype into `out` and returns it, or returns None, with nothing written, where they are not as it takes
    them: a contiguous `out` that shares no memory with an input, and inputs of its shape (behind a first axis of
    length n_outputs where there are several) or of one number. `share(address, out, *inputs)` does so in several
    threads at once, each of which takes parts that no other has: at the address are three 64-bit integers, the point
    to go on from, how many to take at a time, a multiple of 64, and how many points are done. `linger(address)`, which
    may be missing or None, waits, with the interpreter's lock released, for the 64-bit integer at the address to be
    other than zero, and gives up after a millisecond or so: a helper's thread that stays awake between two batches
    begins the next one at once.
    """

    n_inputs: int
    n_outputs: int

    @property
    def artifacts(self) -> Mapping[str, str]:
        """Texts that went into the kernel: {"llvm-ir": …}, {"ptx": …}."""
        ...

    def call_columns(self, n: int, columns: Sequence[Column], out: Sequence[Column]) -> None:
        """Evaluate `n` points from `columns` into `out`, one dtype for all: the one compiled for.

        Addresses and strides need not be aligned to the size of a number.
        """
        ...


class DeviceKernel(Kernel, Protocol):
    """A kernel that also takes addresses on its own device."""

    def call_device_ptrs(self, n: int, columns: Sequence[int], out: Sequence[int], stream: int = 0) -> None:
        """Enqueue `n` points on `stream`; columns are contiguous device buffers."""
        ...


class Backend(Protocol):
    """One tier. It is made once per process and may be asked from several threads.

    One method is optional: `pruner(tape, options)` returns what draws a shape by interval evaluation; see
    `alkahest.intervals.rendering`.
    """

    def unavailable(self) -> str:
        """Return "" where the tier can run on this machine, else the reason it cannot."""
        ...

    def refuses(self, tape: Tape) -> str:
        """Return "" where this tape can be compiled, else the reason it cannot."""
        ...

    def compile(self, tape: Tape, options: CompileOptions) -> Kernel:
        """Return the kernel of `tape`."""
        ...
