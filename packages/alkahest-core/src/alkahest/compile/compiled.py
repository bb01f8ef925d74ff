"""`CompiledFn`: one class around any kernel, with everything a user sees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence, Set
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any

from alkahest.compile import driver
from alkahest.compile.columns import as_column, broadcast_columns, import_array
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.protocols import Kernel
from alkahest.errors import ArityError, ArrayError, DtypeError, NumberOverflowError, ShapeError
from alkahest.expr.tape import Tape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alkahest.compile.driver import Explanation

DTYPE_NAMES = {"f64": "float64", "f32": "float32"}
ADAPT_FROM = 256.0  # below this many evaluations no tier that must be compiled can pay


class CompiledFn:
    """A compiled function of `n_inputs` real inputs with `n_outputs` outputs.

    It holds neither pool nor expressions, may be used from any thread, and pickles by its tape. Arithmetic follows
    IEEE 754: nan and infinities, no warnings. Results are NumPy arrays or Python floats.

    >>> from alkahest import ExprPool, compile_expr, sin
    >>> pool = ExprPool()
    >>> x, y = pool.symbols("x y")
    >>> f = compile_expr(x**2 + sin(y), [x, y])
    >>> f([3.0, 0.0])
    9.0
    >>> f.call_batch([[1.0, 2.0], [0.0, 0.0]])
    array([1., 4.])
    """

    def __init__(self, tape: Tape, config: CompileConfig, compilation: driver.Compilation | None = None) -> None:
        self.tape = tape
        self.config = config
        self.n_inputs = len(tape.inputs)
        self.n_outputs = len(tape.outputs)
        self._lock = threading.Lock()
        self._evals = 0.0
        self._adapt_at = max(ADAPT_FROM, 2 * (config.expected_evals or 1.0))
        self._adapts = config.adapt and config.backend is None
        self._use(compilation or driver.compile_tape(tape, config))

    def _use(self, compilation: driver.Compilation) -> None:
        self._compilation = compilation
        self._kernel: Kernel = compilation.kernel
        self._scalar: Callable[..., Any] | None = None  # looked up when first wanted: a kernel may compile it then

    # -- what it is

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return self.tape.inputs

    @property
    def tier(self) -> str:
        """The tier that runs now."""
        return self._compilation.tier

    @property
    def artifacts(self) -> dict[str, str]:
        """The texts behind the kernel, such as {"llvm-ir": …}."""
        return dict(self._kernel.artifacts)

    def explain(self) -> Explanation:
        """Return why this tier runs, what the others bid, and what failed on the way; print it for a table."""
        return self._compilation.explanation

    def __repr__(self) -> str:
        return f"<CompiledFn n_inputs={self.n_inputs} n_outputs={self.n_outputs} tier={self.tier}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledFn, (self.tape, self.config)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the value of a function without inputs as an array; others raise and name `numpy_eval`."""
        import numpy as np

        if self.n_inputs:
            raise ArrayError(
                f"a function of {self.n_inputs} input(s) is no array.",
                remedy="Evaluate it with numpy_eval(f, *arrays).",
            )
        return np.asarray(self.scalar(), dtype=dtype)

    # -- one point

    def __call__(self, *values: Any) -> float | list[float]:
        """Return the value at one point, given as one list: `f([3.0, 0.0])`; a list of floats for several outputs."""
        if len(values) != 1:
            if values or self.n_inputs:
                raise ArityError(
                    f"this function takes one list of {self.n_inputs} value(s) and was called with {len(values)} "
                    "argument(s).",
                    remedy="Write f([x, y]) for a point, numpy_eval(f, x, y) for arrays.",
                )
            values = ([],)
        return self.scalar(self._point(values[0]))

    def _point(self, values: Any) -> list[float]:
        try:
            if isinstance(values, Set | str | bytes):
                raise TypeError
            point: list[Any] = list(values)
        except TypeError:
            raise ArityError(
                f"this function takes one list of {self.n_inputs} value(s) and was given a {type(values).__name__}.",
                remedy="Write f([x, y]).",
            ) from None
        if len(point) != self.n_inputs:
            raise self._arity("values", len(point))
        return [v if v.__class__ is float else number(v) for v in point]

    def _arity(self, what: str, count: int) -> ArityError:
        names = ", ".join(self.inputs)
        return ArityError(
            f"this compiled function takes {self.n_inputs} input(s) ({names}) and was called with {count} {what}.",
            remedy=f"Pass {self.n_inputs}, one per symbol, in the order given when it was compiled.",
        )

    @property
    def scalar(self) -> Callable[..., Any]:
        """A callable for one point, of a list or of the values themselves; C-level where the tier has one."""
        if self._adapts:
            self._note(1.0)
        found = self._scalar
        if found is None:
            kernel_s: Callable[..., Any] | None = getattr(self._kernel, "scalar", None)
            found = self._scalar = kernel_s or self._scalar_by_columns
        return found

    def _scalar_by_columns(self, *xs: Any) -> float | list[float]:
        import numpy as np

        alone = len(xs) == 1 and isinstance(xs[0], list | tuple)
        point = np.array(self._point(xs[0] if alone else xs), dtype=DTYPE_NAMES[self.config.dtype])
        out = self._run(1, [point[k : k + 1] for k in range(self.n_inputs)], None)
        return float(out[0]) if self.n_outputs == 1 else [float(v) for v in out[:, 0]]

    # -- many points

    def call_batch(self, columns: Any, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Evaluate many points: `columns` is a list of `n_inputs` columns, or an array of shape (n_inputs, n).

        Returns shape (n,), or (n_outputs, n) for several outputs. A column may be anything with DLPack or `__array__`,
        or one number. `out` is a writable array of the result's shape and dtype.
        """
        try:
            columns = list(columns)
        except TypeError:
            raise self._arity("value that is no list of columns,", 1) from None
        if len(columns) != self.n_inputs:
            raise self._arity("columns", len(columns))
        arrays = [import_array(c, self.dtype) for c in columns]
        for k, a in enumerate(arrays):
            if a.ndim > 1:
                raise ShapeError(
                    f"column {self.inputs[k]} has shape {a.shape}.",
                    remedy="Pass flat columns, or use numpy_eval.",
                )
        if arrays and all(a.ndim == 0 for a in arrays):
            arrays[0] = arrays[0].reshape(1)
        return self.evaluate(arrays, out=out)

    def call_bulk(self, columns: Any, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Do what `call_batch` does; the name that the C entry point has in generated code."""
        return self.call_batch(columns, out=out)

    def call_batch_raw(self, flat: Any, n_vars: int, n_points: int) -> NDArray[Any]:
        """Evaluate points from one flat buffer in which the columns stand one after another."""
        array = import_array(flat, self.dtype).reshape(-1)
        if n_vars != self.n_inputs:
            raise ArityError(
                f"this compiled function takes {self.n_inputs} input(s) and n_vars is {n_vars}.",
                remedy="Pass n_vars=f.n_inputs.",
            )
        if array.size != n_vars * n_points:
            raise ShapeError(
                f"the buffer holds {array.size} number(s), not {n_vars} * {n_points}.",
                remedy="Pass n_vars columns of n_points each, one after another.",
            )
        return self.call_batch(array.reshape(n_vars, n_points))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of inputs and results: float64, or float32 where it was compiled so."""
        import numpy as np

        return np.dtype(DTYPE_NAMES[self.config.dtype])

    def evaluate(
        self, arrays: Sequence[NDArray[Any]], *, out: NDArray[Any] | None = None, threads: int = 1
    ) -> NDArray[Any]:
        """Evaluate arrays of this function's dtype, broadcast; the work behind `numpy_eval`.

        Returns the common shape, behind a first axis of length n_outputs where there are several outputs.
        """
        if len(arrays) != self.n_inputs:
            raise self._arity("arguments", len(arrays))
        shape, columns = broadcast_columns(arrays)
        n = 1
        for length in shape:
            n *= length
        if self._adapts:
            self._note(float(n))
        full = shape if self.n_outputs == 1 else (self.n_outputs, *shape)
        result = self._result(full, out, columns)
        flat = result.reshape(n) if self.n_outputs == 1 else result.reshape(self.n_outputs, n)
        if n:
            self._run(n, columns, flat, threads)
        return self._deliver(result, out)

    def _result(self, shape: tuple[int, ...], out: NDArray[Any] | None, columns: list[NDArray[Any]]) -> NDArray[Any]:
        import numpy as np

        if out is None:
            return np.empty(shape, self.dtype)
        if not isinstance(out, np.ndarray):
            raise ShapeError(f"out is a {type(out).__name__}.", remedy="Pass a NumPy array to write to.")
        if out.shape != shape or out.dtype != self.dtype or not out.flags.writeable:
            raise ShapeError(
                f"out has shape {out.shape} and dtype {out.dtype}{'' if out.flags.writeable else ', read-only'}; "
                f"a writable array of shape {shape} and dtype {self.dtype} is needed.",
                remedy=f"Pass numpy.empty({shape}, numpy.{self.dtype}).",
            )
        # A kernel may write a point before it reads the next: results go elsewhere first where memory is shared.
        shared = any(np.may_share_memory(out, c) for c in columns)
        return np.empty(shape, self.dtype) if shared or not out.flags.c_contiguous else out

    @staticmethod
    def _deliver(result: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        if out is None or out is result:
            return result
        out[...] = result
        return out

    def _run(self, n: int, arrays: list[NDArray[Any]], flat: NDArray[Any] | None, threads: int = 1) -> NDArray[Any]:
        import numpy as np

        kernel = self._kernel
        if flat is None:
            flat = np.empty(n if self.n_outputs == 1 else (self.n_outputs, n), self.dtype)
        if getattr(kernel, "contiguous", False):
            arrays = [
                np.ascontiguousarray(np.broadcast_to(a.reshape(-1) if a.size == n else a.reshape(()), (n,)))
                for a in arrays
            ]
        columns = [as_column(a) for a in arrays]
        rows = [flat] if self.n_outputs == 1 else list(flat)
        results = [(r.ctypes.data, r.itemsize) for r in rows]
        if threads > 1 and getattr(kernel, "releases_gil", False):
            from alkahest.compile.threads import call_in_chunks

            call_in_chunks(kernel, n, columns, results, threads)
        else:
            kernel.call_columns(n, columns, results)
        return flat

    # -- moving to a faster tier

    def _note(self, n: float) -> None:
        self._evals += n
        if self._evals >= self._adapt_at:
            with self._lock:
                if self._evals >= self._adapt_at:
                    self._adapt()

    def _adapt(self) -> None:
        """Hold the auction again for what was evaluated so far, counting on as much again; keep a tier that wins."""
        config = self.config.with_evals(self._evals)
        self._adapt_at = 4.0 * self._evals
        best = next((c.name for c in driver.candidates_for(self.tape, config) if c.usable), self.tier)
        if best != self.tier:
            self._use(driver.compile_tape(self.tape, config))


def number(value: Any) -> float:
    """Return one real number as a float; anything else raises `ArrayError`, `DtypeError` or `NumberOverflowError`."""
    if isinstance(value, Complex) and not isinstance(value, Real):
        raise DtypeError(f"the value {value!r} is complex.", remedy="Pass real and imaginary parts as two inputs.")
    if isinstance(value, str | bytes):
        raise ArrayError(f"the value {value!r} is no number.", remedy="Pass a real number.")
    try:
        return float(value)
    except OverflowError:
        raise NumberOverflowError(
            "a value does not fit a float.", remedy="Scale it so that it stays below 1.8e308."
        ) from None
    except (TypeError, ValueError):
        raise ArrayError(
            f"a value of type {type(value).__name__} is no number.",
            remedy="Pass one real number per symbol; numpy_eval and call_batch take arrays.",
        ) from None
