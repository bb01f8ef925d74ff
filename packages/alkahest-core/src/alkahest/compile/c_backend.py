"""The tier `c`: the text that `emit_c` writes, compiled by the C compiler of the machine and loaded by ctypes."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alkahest.compile.protocols import Column, CompileOptions
from alkahest.emitting.c_writer import REALS, CFunction, unwritable, write_function
from alkahest.errors import ArityError, BackendUnavailableError, CompileError
from alkahest.expr.tape import Tape

COMPILERS = ("cc", "gcc", "clang")
# No contraction, also where `contract` would permit it: every operation is rounded by itself, as written, on every
# machine. errno is read by nobody here, and without it sqrt is one instruction.
FLAGS = (
    *("-std=c99", "-Werror=implicit-function-declaration", "-fPIC", "-shared"),
    *("-O2", "-ffp-contract=off", "-fno-math-errno"),
)
MAX_INSTRS = 100_000  # for so many, GCC works tens of seconds
MAX_COLUMNS = 2_000  # each is a parameter

_DRIVER = """\
static void point(const {real} *x, {real} *y) {{
    {call}
}}

/* One point: inputs from x, outputs to y. */
void alkahest_point(const {real} *x, {real} *y) {{
    point(x, y);
}}

/* Many points: per column an address and a stride in bytes, of any alignment. */
void alkahest_columns(size_t n, char *const *columns, const ptrdiff_t *strides,
                      char *const *outs, const ptrdiff_t *out_strides) {{
    {real} x[{width}], y[{height}];
    ptrdiff_t i;
    int k;
    for (i = 0; i < (ptrdiff_t)n; i++) {{
        for (k = 0; k < {n_inputs}; k++) memcpy(&x[k], columns[k] + i * strides[k], sizeof x[k]);
        point(x, y);
        for (k = 0; k < {n_outputs}; k++) memcpy(outs[k] + i * out_strides[k], &y[k], sizeof y[k]);
    }}
}}
"""


def find_compiler() -> tuple[str, ...]:
    """Return the command of a C compiler: what the environment variable CC says, else cc, gcc or clang; or nothing."""
    named = os.environ.get("CC", "")
    try:
        command = tuple(shlex.split(named))
    except ValueError:  # an open quote
        command = (named,)
    for name in command[:1] or COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return (path, *command[1:])
    return ()


class CBackend:
    """Compiles tapes with the C compiler of the machine; used where `backend="c"` asks for it."""

    def unavailable(self) -> str:
        """Return "" where a C compiler is found, else what to install."""
        if find_compiler():
            return ""
        named = os.environ.get("CC")
        missing = f"CC names {named!r}, which is not on the PATH" if named else "no C compiler is on the PATH"
        return f"{missing}: install one (apt install gcc, dnf install gcc, xcode-select --install)"

    def refuses(self, tape: Tape) -> str:
        """Return "", or what in the tape cannot be written as C or is too large for a C compiler."""
        missing = unwritable(tape)
        if missing:
            return f"has no C for {', '.join(missing)}"
        if len(tape.instrs) > MAX_INSTRS:
            return f"takes at most {MAX_INSTRS} operations, and there are {len(tape.instrs)}"
        columns = len(tape.inputs) + len(tape.outputs)
        if columns > MAX_COLUMNS:
            return f"takes at most {MAX_COLUMNS} inputs and outputs, and there are {columns}"
        return ""

    def compile(self, tape: Tape, options: CompileOptions) -> CKernel:
        """Return the kernel of `tape`.

        Raises `BackendUnavailableError` without a compiler, and `CompileError` with the compiler's message where it
        fails. `options.contract` and `options.accuracy` change nothing: operations are never fused, and functions
        are those of the machine's libm.
        """
        command = find_compiler()
        if not command:
            raise BackendUnavailableError(
                f"the tier 'c' cannot be used: {self.unavailable()}.", remedy="Install one, or use another tier."
            )
        source = kernel_source(tape, options.dtype)
        return CKernel(_build(command, source), tape, options.dtype, source)


def kernel_source(tape: Tape, dtype: str) -> str:
    """Return the text that is compiled: the function as `emit_c` writes it, and loops over points."""
    names = [f"x{k}" for k in range(len(tape.inputs))]
    single = len(tape.outputs) == 1
    function = write_function(tape, names, "alkahest_f", dtype, returns=single, static=True)
    headers = ("stddef.h", "string.h", *function.headers)
    arguments = [f"x[{k}]" for k in range(len(tape.inputs))]
    if not single:
        arguments += [f"&y[{k}]" for k in range(len(tape.outputs))]
    call = f"alkahest_f({', '.join(arguments)});"
    driver = _DRIVER.format(
        real=REALS[dtype],
        call=f"y[0] = {call}" if single else call,
        width=max(1, len(tape.inputs)),
        height=max(1, len(tape.outputs)),
        n_inputs=len(tape.inputs),
        n_outputs=len(tape.outputs),
    )
    return f"{CFunction(headers, function.helpers, function.text)}\n{driver}"


def _build(command: Sequence[str], source: str) -> ctypes.CDLL:
    """Compile and load `source`; nothing stays on disk. The library stays mapped until the process ends."""
    with tempfile.TemporaryDirectory(prefix="alkahest-c-", ignore_cleanup_errors=True) as folder:
        text, library = Path(folder, "kernel.c"), Path(folder, "kernel.so")
        text.write_text(source, encoding="utf-8")
        environment = {**os.environ, "LC_ALL": "C"}  # messages in English: errors are found by that word
        line = [*command, *FLAGS, "-o", str(library), str(text), "-lm"]
        try:
            done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False, env=environment)
        except OSError as error:
            raise _failed(command, str(error)) from error
        if done.returncode:
            raise _failed(command, _first_error(done.stderr) or f"exit status {done.returncode}")
        try:
            return ctypes.CDLL(str(library))
        except OSError as error:
            raise _failed(command, f"the library cannot be loaded: {error}") from error


def _failed(command: Sequence[str], why: str) -> CompileError:
    return CompileError(
        f"the C compiler {command[0]} failed: {why}.",
        remedy="Check the compiler, name another one in the environment variable CC, or use another tier.",
    )


def _first_error(message: str) -> str:
    """Return the first line of a compiler's message that tells of an error, else its first line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [""])[0]


class CKernel:
    """A loaded library with the two entries of `kernel_source`; ctypes releases the GIL while one runs."""

    releases_gil = True

    def __init__(self, library: ctypes.CDLL, tape: Tape, dtype: str, source: str) -> None:
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self.artifacts: Mapping[str, str] = {"c": source}
        real = ctypes.c_double if dtype == "f64" else ctypes.c_float
        self._point = library.alkahest_point
        self._point.restype = None
        self._columns = library.alkahest_columns
        self._columns.restype = None
        self._point_in: Any = real * self.n_inputs
        self._point_out: Any = real * self.n_outputs

    def scalar(self, *xs: Any) -> float | list[float]:
        """Evaluate one point given as one list or as numbers."""
        values: list[Any] = list(xs[0]) if len(xs) == 1 and isinstance(xs[0], list | tuple) else list(xs)
        if len(values) != self.n_inputs:
            raise ArityError(
                f"this compiled function takes {self.n_inputs} input(s) and was called with {len(values)}.",
                remedy="Pass one value per symbol.",
            )
        out = self._point_out()
        self._point(self._point_in(*values), out)
        return out[0] if self.n_outputs == 1 else list(out)

    def call_columns(self, n: int, columns: Sequence[Column], out: Sequence[Column]) -> None:
        """Evaluate `n` points."""
        self._columns(ctypes.c_size_t(n), *_pointers(columns), *_pointers(out))


def _pointers(columns: Sequence[Column]) -> tuple[Any, Any]:
    """Return the addresses and the strides of `columns` as two C arrays."""
    addresses = (ctypes.c_void_p * len(columns))(*[address for address, _ in columns])
    strides = (ctypes.c_ssize_t * len(columns))(*[stride for _, stride in columns])
    return addresses, strides
