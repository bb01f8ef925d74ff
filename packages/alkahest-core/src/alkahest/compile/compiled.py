"""`CompiledFn`: one class around any kernel, with everything a user sees."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from alkahest.compile import driver, own_class
from alkahest.compile.batches import Batch
from alkahest.compile.columns import as_array
from alkahest.compile.direct import DirectPath
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.points import one_list, real_numbers, wrong_count
from alkahest.compile.protocols import Kernel
from alkahest.errors import ArityError, ArrayError, ConfigError, ShapeError
from alkahest.expr.tape import Tape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alkahest.compile.driver import Explanation

Progress = bool | Callable[[int, int], None]

DTYPE_NAMES = {"f64": "float64", "f32": "float32"}
ADAPT_FROM = 256  # below this many evaluations no tier that must be compiled can pay
MOST_EVALS = 2**60  # for a counter of 64 bits


class CompiledFn:
    """A compiled function of `n_inputs` real inputs with `n_outputs` outputs.

    It holds neither pool nor expressions, may be used from any thread, and pickles by its tape. Arithmetic follows
    IEEE 754: nan and infinities, no warnings. Results are NumPy arrays or Python floats.

    A call takes one list or tuple of real numbers, or a one-dimensional array, and raises `ArityError` for another
    number of them, `ArrayError` for what is no number, `DtypeError` for complex ones, `NumberOverflowError` for
    integers beyond the range of floats.

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
        self._lock = threading.RLock()
        self._adapts = config.adapt and config.backend is None
        # How many evaluations this tier was meant for, and how many of them are left; C functions count down too.
        self._meant = max(ADAPT_FROM, int(min(2 * (config.expected_evals or 1.0), MOST_EVALS)))
        self._left = ctypes.c_int64(self._meant if self._adapts else 2**62)
        self._own_classes: list[weakref.ref[type]] = []
        self._use(compilation or driver.compile_tape(tape, config))

    def _use(self, compilation: driver.Compilation) -> None:
        self._compilation = compilation
        self._kernel: Kernel = compilation.kernel
        # Both looked up when first wanted: a kernel may compile them then.
        self._scalar: Callable[..., Any] | None = None
        self._make_entry: Callable[..., Any] | None = None
        self._direct: DirectPath | None = None
        for own in self._own_classes:
            kind = own()
            if kind is not None:
                own_class.empty(kind)
        self._own_classes = []

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

    def __call__(self, *values: Any, **named: Any) -> float | list[float]:
        """Return the value at one point, given as one list: `f([3.0, 0.0])`; a list of floats for several outputs."""
        out = self._at(*values, **named)
        self.enter_c(self, self._at)
        return out

    def _at(self, *values: Any, **named: Any) -> float | list[float]:
        if named:
            raise ArityError(f"a point is given by no name such as {next(iter(named))}.", remedy="Write f([x, y]).")
        at = real_numbers(one_list(values, self.inputs), self.inputs)
        if self._adapts:
            self._note(1)
        return (self._scalar or self._find_scalar())(at)

    @property
    def scalar(self) -> Callable[..., Any]:
        """A callable for one point, of a list or of the values themselves; C-level where the tier has one."""
        found = self._scalar or self._find_scalar()
        if not self._adapts:
            return found
        if self._make_entry is None:
            return self._scalar_now  # moves on to a tier that has better
        self._note(1)
        return self._scalar or self._find_scalar()

    def _scalar_now(self, *xs: Any) -> float | list[float]:
        self._note(1)
        return (self._scalar or self._find_scalar())(*xs)

    def _find_scalar(self) -> Callable[..., Any]:
        kernel = self._kernel
        found: Callable[..., Any] = getattr(kernel, "scalar", None) or self._scalar_by_columns
        with self._lock:
            if self._kernel is kernel:
                self._make_entry = getattr(getattr(found, "__self__", None), "call_entry", None)
                self._scalar = found
        return found

    def _scalar_by_columns(self, *xs: Any) -> float | list[float]:
        alone = len(xs) == 1 and isinstance(xs[0], list | tuple)
        out = Batch(real_numbers(xs[0] if alone else xs, self.inputs), self.dtype).run(self._kernel)
        return float(out) if self.n_outputs == 1 else [float(v) for v in out]

    def enter_c(self, thing: Any, otherwise: Callable[..., Any], **form: bool) -> None:
        """Let calls of `thing`, this function or one around it, be calls of the kernel's C function, if it has one.

        `otherwise` is the method of `thing` for calls that the C function does not take; `form` is what its
        `call_entry` takes (see `protocols.Kernel`). Nothing happens before a point was evaluated.
        """
        make = self._make_entry
        if make is None or not own_class.may_be_given(thing):
            return
        with self._lock:
            call = make(getattr(own_class.twin(thing), otherwise.__name__), self._left, **form)
            if call is None or self._make_entry is not make:
                return
            members: dict[str, Any] = {"__call__": call}
            if thing is self and not self._adapts:
                members["scalar"] = self._scalar
            self._own_classes.append(weakref.ref(own_class.give(thing, members)))

    # -- many points

    def call_batch(self, columns: Any, *, out: NDArray[Any] | None = None, progress: Progress = False) -> NDArray[Any]:
        """Evaluate many points: `columns` is a list of `n_inputs` columns, or an array of shape (n_inputs, n).

        Returns shape (n,), or (n_outputs, n) for several outputs. A column may be anything with DLPack or `__array__`,
        or one number. `out` is a writable array of the result's shape and dtype; `progress` as in `numpy_eval`.
        """
        import numpy as np

        try:
            columns = list(columns)
        except TypeError:
            raise wrong_count(self.inputs, "value that is no list of columns,", 1) from None
        if len(columns) != self.n_inputs:
            raise wrong_count(self.inputs, "columns", len(columns))
        arrays = [c if c.__class__ is np.ndarray else as_array(c) for c in columns]
        axes = {a.ndim for a in arrays}
        if axes == {0}:
            arrays[0] = arrays[0].reshape(1)
        elif not axes <= {0, 1}:
            name, shape = next((n, a.shape) for n, a in zip(self.inputs, arrays, strict=True) if a.ndim > 1)
            raise ShapeError(f"column {name} has shape {shape}.", remedy="Pass flat columns, or use numpy_eval.")
        return self.evaluate(arrays, out=out, progress=progress)

    def call_bulk(self, columns: Any, *, out: NDArray[Any] | None = None, progress: Progress = False) -> NDArray[Any]:
        """Do what `call_batch` does; the name that the C entry point has in generated code."""
        return self.call_batch(columns, out=out, progress=progress)

    def call_batch_raw(self, flat: Any, n_vars: int, n_points: int) -> NDArray[Any]:
        """Evaluate points from one flat buffer in which the columns stand one after another."""
        array = as_array(flat).reshape(-1)
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
        self,
        arrays: Sequence[Any],
        *,
        out: NDArray[Any] | None = None,
        threads: int = 1,
        progress: Progress = False,
    ) -> NDArray[Any]:
        """Evaluate array-like arguments, one per input, broadcast; the work behind `numpy_eval`.

        Returns the common shape, behind a first axis of length n_outputs where there are several outputs.
        """
        if len(arrays) != self.n_inputs:
            raise wrong_count(self.inputs, "arguments", len(arrays))
        direct = self._direct or self._find_direct()
        result = None if progress else direct.evaluate(arrays, out, threads)
        if result is not None:
            if self._adapts:
                self._note(result.size // self.n_outputs)
            return result
        batch = Batch(arrays, self.dtype)
        if self._adapts:
            self._note(batch.size)
        run = partial(batch.run, self._kernel, operations=len(self.tape.instrs), out=out, threads=threads)
        if not progress:
            return run()
        if progress is not True and not callable(progress):
            raise ConfigError(
                f"progress is {progress!r}.",
                remedy="Pass True for a bar, or a function of two numbers: done and total.",
            )
        from alkahest.machine.progress import reporting

        with reporting("points" if progress is True else progress) as report:
            return run(report=report)

    def _find_direct(self) -> DirectPath:
        kernel = self._kernel
        found = DirectPath(kernel, self.dtype, len(self.tape.instrs))
        with self._lock:
            if self._kernel is kernel:
                self._direct = found
        return found

    # -- moving to a faster tier

    def _note(self, n: int) -> None:
        left = self._left
        left.value -= n
        if left.value <= 0:
            with self._lock:
                if left.value <= 0:
                    self._adapt()

    def _adapt(self) -> None:
        """Hold the auction again for what was evaluated so far, counting on as much again; keep a tier that wins."""
        evals = self._meant - self._left.value
        self._meant = min(4 * evals, MOST_EVALS)
        self._left.value = self._meant - evals
        config = self.config.with_evals(float(evals))
        best = next((c.name for c in driver.candidates_for(self.tape, config) if c.usable), self.tier)
        if best != self.tier:
            self._use(driver.compile_tape(self.tape, config))
