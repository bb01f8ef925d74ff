"""Arrays of other libraries enter without a copy where dtype and layout allow, and results are NumPy arrays."""

import numpy as np
import pytest

import alkahest as ak
from alkahest import ExprPool, compile_expr, jit, numpy_eval, trace_fn
from alkahest.compile.columns import import_array

F64 = np.dtype(np.float64)


@pytest.fixture(scope="module")
def f():
    return trace_fn(lambda x, y: x**2 + ak.sin(y), ExprPool())


def check(f, make, shares=None):
    plain = np.linspace(0.0, 3.0, 7)
    given = make(plain)
    expected = plain**2 + np.sin(plain)
    for run in (f, jit(f), lambda x, y: numpy_eval(f.compiled, x, y), lambda x, y: f.compiled.call_batch([x, y])):
        out = run(given, given)
        assert isinstance(out, np.ndarray)
        np.testing.assert_allclose(out, expected, rtol=1e-14)
    if shares is not None:
        assert np.shares_memory(import_array(given, F64), shares(given))


def test_numpy_and_memory_maps(f, tmp_path):
    def mapped(values):
        out = np.memmap(tmp_path / "column.bin", dtype=np.float64, mode="w+", shape=values.shape)
        out[:] = values
        out.flush()
        return np.memmap(tmp_path / "column.bin", dtype=np.float64, mode="r")

    check(f, np.asarray, shares=lambda a: a)
    check(f, mapped, shares=lambda a: a)


def test_torch(f):
    torch = pytest.importorskip("torch", reason="torch is not installed on this Python")
    check(f, torch.from_numpy, shares=lambda t: t.numpy())
    check(f, lambda v: torch.tensor(v, requires_grad=True), shares=lambda t: t.detach().numpy())
    check(f, lambda v: torch.tensor(np.repeat(v, 2))[::2], shares=lambda t: t.numpy())
    single = torch.ones(3, dtype=torch.float32)
    assert numpy_eval(f, single, single).dtype == np.float64


def test_jax(f):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    check(f, lambda v: _jax64(jax, v), shares=np.asarray)


def _jax64(jax, values):
    with jax.enable_x64(True):
        return jax.numpy.asarray(values)


def test_pandas_and_polars(f):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    check(f, pandas.Series, shares=lambda s: s.to_numpy())
    check(f, polars.Series)
    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": [0.0, 0.0]})
    np.testing.assert_array_equal(f(frame["x"], frame["y"]), [1.0, 4.0])


def test_mixed_kinds_broadcast(f):
    torch = pytest.importorskip("torch", reason="torch is not installed on this Python")
    out = f(torch.ones(3, 1, dtype=torch.float64), np.zeros(4, dtype=np.float32))
    np.testing.assert_array_equal(out, np.ones((3, 4)))


def test_a_device_exporter_is_copied_to_the_host(f):
    class OnDevice:
        """Speaks DLPack for a device that NumPy cannot read, and can copy itself to the host, as CuPy's arrays can."""

        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **kwargs):
            raise BufferError("not host memory")

        def get(self):
            return np.ones(2)

    np.testing.assert_array_equal(f(OnDevice(), 0.0), [1.0, 1.0])


def test_complex_tensors_are_refused(f):
    torch = pytest.importorskip("torch", reason="torch is not installed on this Python")
    with pytest.raises(ak.AlkahestError, match="complex"):
        f(torch.ones(2, dtype=torch.complex128), 0.0)


def test_compile_with_several_outputs_takes_foreign_columns():
    torch = pytest.importorskip("torch", reason="torch is not installed on this Python")
    x, y = ExprPool().symbols("x y")
    g = compile_expr([x + y, x * y], [x, y])
    np.testing.assert_array_equal(
        g.call_batch([torch.full((2,), 2.0, dtype=torch.float64), [3.0, 4.0]]), [[5, 6], [6, 8]]
    )
