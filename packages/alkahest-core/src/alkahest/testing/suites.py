"""The conformance suite of backends: subclass it, name your tier, and pytest checks what backends promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alkahest import extend
from alkahest.compile.protocols import Backend, CompileOptions, Kernel
from alkahest.expr.tape import Instr, Tape
from alkahest.plugins.infos import BackendInfo
from alkahest.plugins.manager import load_factory, load_lowerings, load_primitives
from alkahest.testing import strategies
from alkahest.testing.corpus import Case, corpus, op_domain, op_tape, sample, special_points
from alkahest.testing.oracle import CORRECTLY_ROUNDED, HARD, SELECTIONS, SMALLEST_NORMAL, Expected, expected, same

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]

DTYPES = {"f64": "float64", "f32": "float32"}
CANARY = -123456.75
# With `contract=True` a product may be fused and then is not rounded, sums may be added up in another order, and a
# quotient may be a product with a reciprocal, which has two roundings more.
CONTRACTED = {"mul": 1.0, "add": 1.0, "sub": 1.0, "div": 2.0}
# x*y + x and x - y: correctly rounded without contraction, so that every backend gives NumPy's bits.
EXACT = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("add", (2, 0)), Instr("sub", (0, 1))), (3, 4))


class BackendSuite:
    """What every backend promises, as tests; the interpreter is the oracle.

    Set `info` in a subclass whose name begins with `Test`; override `make_backend` where the factory alone does
    not do. What a backend refuses is skipped with its reason.

        class TestRpn(BackendSuite):
            info = plugin.alkahest_backends()[0]

    `max_ulps` is how far a function may be off; functions that are hard to compute (`oracle.HARD`) are allowed
    more, roundings and comparisons nothing, and arithmetic only what `contract=True` permits. `op_ulps` gives single
    primitives another allowance.
    `deviations` names primitives whose special values (nan, infinities, signed zeros, the largest and smallest
    numbers) differ from IEEE 754, with the reason; one that does not differ after all fails. `flushes_denormals`
    leaves denormal numbers out. `batch_invariant` asks for the same bits alone and in a batch of any length.
    """

    info: ClassVar[BackendInfo]
    max_ulps: ClassVar[float] = 4.0
    op_ulps: ClassVar[Mapping[str, float]] = {}
    deviations: ClassVar[Mapping[str, str]] = {}
    flushes_denormals: ClassVar[bool] = False
    batch_invariant: ClassVar[bool] = False
    _backends: ClassVar[list[Backend]]
    _kernels: ClassVar[dict[tuple[str, CompileOptions], Kernel]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._backends = []
        cls._kernels = {}

    def make_backend(self) -> Backend:
        """Return the backend under test; called once."""
        return load_factory(self.info.factory, self.info.install)()

    # -- tools, of use in further tests as well

    def backend(self) -> Backend:
        """Return the backend, or skip where it cannot run on this machine."""
        if not self._backends:
            if self.info.lowers:
                load_lowerings(self.info.lowers)
            self._backends.append(self.make_backend())
        backend = self._backends[0]
        why = backend.unavailable()
        if why:
            pytest.skip(f"{self.info.name}: {why}")
        return backend

    def kernel(self, tape: Tape, *, dtype: str = "f64", contract: bool = True) -> Kernel:
        """Return the kernel of `tape`, or skip where the backend refuses it."""
        backend = self.backend()
        why = backend.refuses(tape)
        if why:
            pytest.skip(f"{self.info.name}: {why}")
        options = CompileOptions(dtype=dtype, contract=contract)
        key = (tape.digest, options)
        if key not in self._kernels:
            self._kernels[key] = backend.compile(tape, options)
        return self._kernels[key]

    def ops(self) -> list[str]:
        """Return the primitives that the backend takes and that random formulas use."""
        backend = self.backend()
        return [op for op in strategies.op_names() if not backend.refuses(op_tape(op))]

    def ulps(self, *, dtype: str = "f64", contract: bool = True) -> Callable[[str], float]:
        """Return how inexact each operation may be, in ulps of `dtype`."""

        def allowance(op: str) -> float:
            if op in self.op_ulps:
                return self.op_ulps[op]
            if op in SELECTIONS:
                return 0.0
            if op in CORRECTLY_ROUNDED:
                return max(1.0 if dtype == "f32" else 0.0, CONTRACTED.get(op, 0.0) if contract else 0.0)
            return max(self.max_ulps, HARD.get(op, 0.0))

        return allowance

    def check(
        self, tape: Tape, points: Sequence[Sequence[float]], *, dtype: str = "f64", contract: bool = True
    ) -> None:
        """Compare the backend with the interpreter at `points`, within the allowance."""
        kernel = self.kernel(tape, dtype=dtype, contract=contract)
        columns = [np.array(column, DTYPES[dtype]) for column in zip(*points, strict=True)]
        got = run(kernel, columns, len(points), dtype)
        ulps = self.ulps(dtype=dtype, contract=contract)
        wrong: list[str] = []
        for k in range(len(points)):
            at = [float(column[k]) for column in columns]
            for j, want in enumerate(expected(tape, at, ulps, dtype, flushes=self.flushes_denormals)):
                if not want.admits(float(got[j][k])):
                    wrong.append(_difference(tape, j, at, float(got[j][k]), want))
        assert not wrong, f"{len(wrong)} value(s) differ:\n" + "\n".join(wrong[:10])

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run tests of one primitive for all there are, tests of one formula for the corpus."""
        if "op" in metafunc.fixturenames:
            load_primitives()
            metafunc.parametrize("op", extend.prim_names())
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", corpus(), ids=lambda case: case.name)
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", sorted(self.info.dtypes, reverse=True))

    # -- values

    def test_primitive_agrees_with_the_interpreter(self, op: str, dtype: str) -> None:
        """Each primitive by itself, where its declaration says that it is defined."""
        self.check(op_tape(op), sample(op_domain(op), 48), dtype=dtype)

    def test_special_values_of_a_primitive(self, op: str) -> None:
        """IEEE 754 and C99 Annex F: nan, infinities, signed zeros, the largest and smallest numbers."""
        tape = op_tape(op)
        points = special_points(len(tape.inputs))
        got = run(self.kernel(tape), [np.array(c) for c in zip(*points, strict=True)], len(points))[0]
        ulps = self.ulps()
        wrong: list[str] = []
        for k, point in enumerate(points):
            (want,) = expected(tape, point, ulps)
            value = float(got[k])
            if self.flushes_denormals and any(map(_is_denormal, [*point, want.value])):
                continue
            if not want.admits(value) or (value == 0.0 == want.value == want.allowed and _signs_differ(value, want)):
                wrong.append(_difference(tape, 0, point, value, want))
        if op not in self.deviations:
            assert not wrong, f"{len(wrong)} value(s) differ:\n" + "\n".join(wrong[:10])
        elif wrong:
            pytest.xfail(self.deviations[op])
        else:
            pytest.fail(f"`deviations` names {op}, which does not deviate")

    @pytest.mark.parametrize("contract", [True, False], ids=["contract", "as written"])
    def test_formula_agrees_with_the_interpreter(self, case: Case, dtype: str, contract: bool) -> None:
        """Formulas of the corpus: shared nodes, branches, outputs that name inputs and constants."""
        self.check(case.tape(), case.points(), dtype=dtype, contract=contract)

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(data=st.data())
    def test_random_formula_agrees_with_the_interpreter(self, data: st.DataObject) -> None:
        """Random formulas, with the interpreter as oracle."""
        tape = data.draw(strategies.tapes(ops=self.ops()))
        point = strategies.points(subnormal=not self.flushes_denormals)
        points = data.draw(st.lists(point, min_size=1, max_size=5))
        self.check(tape, points)

    # -- columns

    @pytest.mark.parametrize("n", [0, 1, 3, 8, 1023])
    def test_batch_lengths(self, n: int, dtype: str) -> None:
        """Any number of points, and not a byte written beside them."""
        kernel = self.kernel(EXACT, dtype=dtype, contract=False)
        x, y = _random_columns(n, dtype)
        kept = x.copy(), y.copy()
        whole = np.full((2, n + 16), CANARY, DTYPES[dtype])
        run(kernel, [x, y], n, dtype, out=[row[8 : 8 + n] for row in whole])
        np.testing.assert_array_equal([x, y], kept, "inputs are read only")
        np.testing.assert_array_equal(whole[:, 8 : 8 + n], [x * y + x, x - y])
        assert (whole[:, :8] == CANARY).all()
        assert (whole[:, 8 + n :] == CANARY).all()

    @pytest.mark.parametrize("step", [0, 2, 3, -1, -2])
    def test_strides(self, step: int, dtype: str) -> None:
        """A column with gaps, backwards, or one value for all points; results with gaps."""
        kernel = self.kernel(EXACT, dtype=dtype, contract=False)
        if getattr(kernel, "contiguous", False):
            pytest.skip(f"{self.info.name}: asks for contiguous columns")
        n = 101
        wide, y = _random_columns(n * max(1, abs(step)), dtype)
        x = wide[::step] if step else np.broadcast_to(wide[0], (n,))
        y = y[:n]
        whole = np.full((2, 2 * n), CANARY, DTYPES[dtype])
        run(kernel, [x, y], n, dtype, out=[row[::2] for row in whole])
        np.testing.assert_array_equal(whole[:, ::2], [x * y + x, x - y])
        assert (whole[:, 1::2] == CANARY).all()

    def test_columns_at_any_address(self, dtype: str) -> None:
        """A column need not be aligned to its numbers: it may be a field of a packed record, or part of a file."""
        kernel = self.kernel(EXACT, dtype=dtype, contract=False)
        n = 101
        x, y = (np.frombuffer(b"?" + c.tobytes(), DTYPES[dtype], offset=1) for c in _random_columns(n, dtype))
        got = run(kernel, [x, y], n, dtype)
        np.testing.assert_array_equal(got, [x * y + x, x - y])

    def test_the_same_twice(self) -> None:
        """A kernel gives the same bits each time, and so does compiling again."""
        tape, (x, y) = _of_corpus("elementary"), _random_columns(257, "f64", low=0.1)
        first = run(self.kernel(tape), [x, y], 257)
        again = self.backend().compile(tape, CompileOptions())
        np.testing.assert_array_equal(run(self.kernel(tape), [x, y], 257), first)
        np.testing.assert_array_equal(run(again, [x, y], 257), first)

    def test_alone_as_in_a_batch(self) -> None:
        """A point has the same bits alone and in a batch, where the backend promises it."""
        if not self.batch_invariant:
            pytest.skip(f"{self.info.name}: makes no promise of it")
        tape, (x, y) = _of_corpus("elementary"), _random_columns(67, "f64", low=0.1)
        kernel = self.kernel(tape)
        batch = run(kernel, [x, y], 67)
        alone = [run(kernel, [x[k : k + 1], y[k : k + 1]], 1)[0][0] for k in range(67)]
        np.testing.assert_array_equal(batch[0], alone)

    # -- the kernel as an object

    def test_kernel_describes_itself(self) -> None:
        """Numbers of inputs and outputs, and artifacts by kind."""
        kernel = self.kernel(EXACT)
        assert (kernel.n_inputs, kernel.n_outputs) == (2, 2)
        assert isinstance(kernel, Kernel)
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in kernel.artifacts.items())

    def test_scalar_entry(self) -> None:
        """Where there is one it takes a list, a tuple or the numbers, and agrees with columns."""
        tape = _of_corpus("elementary")
        one, two = self.kernel(tape), self.kernel(EXACT, contract=False)
        if not hasattr(one, "scalar"):
            pytest.skip(f"{self.info.name}: has no scalar entry")
        (want,) = expected(tape, [1.25, 0.5], self.ulps())
        calls: Any = one
        for got in (calls.scalar([1.25, 0.5]), calls.scalar((1.25, 0.5)), calls.scalar(1.25, 0.5)):
            assert isinstance(got, float)
            assert want.admits(got)
        calls = two
        assert list(calls.scalar([3.0, 0.5])) == [4.5, 2.5]

    def test_other_threads(self) -> None:
        """A kernel works in a thread that did not compile it; in several at once where it releases the GIL."""
        kernel = self.kernel(EXACT, contract=False)
        workers = 8 if getattr(kernel, "releases_gil", False) else 1
        batches = [_random_columns(1000 + k, "f64", seed=k) for k in range(32)]
        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(lambda xy: run(kernel, list(xy), len(xy[0])), batches))
        for (x, y), got in zip(batches, results, strict=True):
            np.testing.assert_array_equal(got, [x * y + x, x - y])

    # -- refusals

    def test_refuses_a_primitive_that_nobody_declared(self) -> None:
        """The reason is a sentence for the user, and no exception."""
        unknown = Tape(("x",), (), (Instr("no_such_primitive", (0,)),), (1,))
        why = self.backend().refuses(unknown)
        assert isinstance(why, str)
        assert "no_such_primitive" in why


def run(
    kernel: Kernel,
    columns: Sequence[Column],
    n: int,
    dtype: str = "f64",
    *,
    out: Sequence[Column] | None = None,
) -> Sequence[Column]:
    """Call a kernel on NumPy columns and return one array per output; `out` is written where given.

    >>> from alkahest.compile.interpreter import InterpreterBackend
    >>> tape = Tape(("x",), (), (Instr("neg", (0,)),), (1,))
    >>> run(InterpreterBackend().compile(tape, CompileOptions()), [np.array([1.0, -2.0])], 2)[0]
    array([-1.,  2.])
    """
    results = np.full((kernel.n_outputs, n), CANARY, DTYPES[dtype]) if out is None else out
    if getattr(kernel, "contiguous", False):
        columns = [np.ascontiguousarray(c) for c in columns]  # as core does; this aligns nothing
    kernel.call_columns(n, [_column(c) for c in columns], [_column(r) for r in results])
    return list(results)


def _column(array: Column) -> tuple[int, int]:
    return array.ctypes.data, array.strides[0]


def _random_columns(n: int, dtype: str, *, seed: int = 7, low: float = -2.0) -> tuple[Column, Column]:
    draw = np.random.default_rng(seed)
    x, y = draw.uniform(low, 2.0, (2, n)).astype(DTYPES[dtype])
    return x, y


def _of_corpus(name: str) -> Tape:
    return next(case for case in corpus() if case.name == name).tape()


def _difference(tape: Tape, output: int, point: Sequence[float], got: float, want: Expected) -> str:
    what = tape.instrs[0].op if len(tape.instrs) == 1 else f"output {output}"
    return f"  {what} at {list(point)}: {got!r}, expected {want.value!r} within {want.allowed:.3g}"


def _is_denormal(value: float) -> bool:
    return 0.0 < abs(value) < SMALLEST_NORMAL["f64"]


def _signs_differ(value: float, want: Expected) -> bool:
    return math.copysign(1.0, value) != math.copysign(1.0, want.value) and same(value, want.value)
