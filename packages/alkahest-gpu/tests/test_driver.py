"""The tier and the driver: where there is no driver, where one fails, and where it works (the stand-in)."""

import ctypes.util
import gc
import os
import subprocess
import sys

import numpy as np
import pytest

from alkahest import CompileConfig, ExprPool, compile_expr, exp, numpy_eval, sin
from alkahest.compile.driver import forget_backends
from alkahest.extend import AlkahestError, BackendUnavailableError, CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_gpu import CudaError, backend, driver
from alkahest_gpu.backend import CudaBackend
from alkahest_gpu.driver import Driver, open_driver

SQUARE = Tape(("x",), (), (Instr("mul", (0, 0)),), (1,))
ON_CUDA = CompileConfig(target="cuda", fallback=False)


@pytest.fixture
def formula():
    x, y = ExprPool().symbols("x y")
    return x**2 + sin(y) * exp(-x), [x, y]


@pytest.fixture(autouse=True)
def _fresh_backends():
    forget_backends()
    yield
    forget_backends()


def compiled(tape):
    return CudaBackend().compile(tape, CompileOptions())


# -- no driver


@pytest.fixture
def no_driver(monkeypatch):
    monkeypatch.setattr(driver, "LIBRARY", "libcuda-that-is-not-there.so.1")


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_the_tier_says_so():
    why = CudaBackend().unavailable()
    assert why.startswith("no CUDA driver: ")
    assert "libcuda-that-is-not-there.so.1" in why


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_asking_for_cuda_is_an_error_with_the_reason(formula):
    with pytest.raises(BackendUnavailableError, match="no CUDA driver: libcuda-that-is-not-there"):
        compile_expr(*formula, config=ON_CUDA)


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_a_function_falls_back_and_says_so(formula):
    f = compile_expr(*formula, config=CompileConfig(target="cuda"))
    assert f.tier != "cuda"
    assert f([3.0, 0.0]) == 9.0
    assert "no CUDA driver" in str(f.explain())


def test_this_machine_has_a_device_or_the_reason_why_not():
    why = CudaBackend().unavailable()
    if why:
        with pytest.raises(CudaError) as caught:
            open_driver()
        assert caught.value.message == why
        assert isinstance(caught.value, AlkahestError)
    else:
        assert open_driver().capability >= (7, 5)


def test_a_library_that_is_no_driver(monkeypatch):
    monkeypatch.setattr(driver, "LIBRARY", ctypes.util.find_library("m") or "libm.so.6")
    assert "cuInit" in CudaBackend().unavailable()


# -- a driver without a device


def test_no_device(standin):
    standin.device(count=0)
    why = CudaBackend().unavailable()
    assert "cuInit failed: CUDA_ERROR_NO_DEVICE, no CUDA-capable device is detected" in why


def test_a_device_that_is_too_old(standin):
    standin.device(capability=(6, 1))
    assert CudaBackend().unavailable() == "Stand-in has compute capability 6.1; 7.5 or later is needed"


def test_a_driver_that_starts_later_is_found(standin):
    standin.device(count=0)
    tier = CudaBackend()
    assert tier.unavailable()
    standin.device()
    assert tier.unavailable() == ""


# -- a driver that works


def test_a_formula_on_the_device(standin, formula):
    f = compile_expr(*formula, config=ON_CUDA)
    assert f.tier == "cuda"
    x, y = np.linspace(0, 1, 1000), np.linspace(-3, 3, 1000)
    np.testing.assert_allclose(numpy_eval(f, x, y), x**2 + np.sin(y) * np.exp(-x), rtol=1e-14, atol=1e-15)
    assert f([3.0, 0.0]) == 9.0
    assert ".target sm_86" in f.artifacts["ptx"]
    assert "define ptx_kernel" in f.artifacts["llvm-ir"]
    assert standin.allocations == 0


def test_long_columns_go_in_chunks(standin, monkeypatch):
    monkeypatch.setattr(backend, "CHUNK", 100)
    tape = Tape(("x", "y"), (), (Instr("sub", (0, 1)),), (2, 0))
    x, y = np.arange(1050.0), np.arange(2100.0)[::-2]
    out = np.zeros((2, 1050))
    run(compiled(tape), [x, y], 1050, out=list(out))
    np.testing.assert_array_equal(out, [x - y, x])
    assert len(standin.grids) == 11
    assert standin.allocations == 0


def test_addresses_on_the_device_are_used_as_they_are(standin):
    kernel = compiled(SQUARE)
    x, y = np.arange(600.0), np.empty(600)
    kernel.call_device_ptrs(600, [x.ctypes.data], [y.ctypes.data], stream=0x5EED)
    np.testing.assert_array_equal(y, x * x)
    assert standin.streams == [0x5EED]
    assert standin.grids == [(3, 256)]
    kernel.call_device_ptrs(0, [0], [0])
    assert len(standin.grids) == 1


def test_nothing_to_do_launches_nothing(standin):
    run(compiled(SQUARE), [np.empty(0)], 0)
    run(compiled(Tape(("x",), (), (), ())), [np.ones(3)], 3)
    assert standin.grids == []


def test_modules_are_unloaded_with_their_kernels(standin):
    gc.collect()
    before = standin.modules
    kernel = compiled(SQUARE)
    assert standin.modules == before + 1
    del kernel
    gc.collect()
    assert standin.modules == before


# -- a driver that fails


@pytest.mark.parametrize("call", ["cuMemcpyHtoD_v2", "cuLaunchKernel", "cuMemcpyDtoH_v2"])
def test_memory_is_freed_where_a_call_fails(standin, call):
    kernel = compiled(SQUARE)
    standin.fail(call, 700)
    with pytest.raises(CudaError, match=f"{call} failed: error 700") as caught:
        run(kernel, [np.ones(10)], 10)
    assert (caught.value.code, caught.value.details["status"]) == ("E-CUDA-001", 700)
    assert standin.allocations == 0
    assert standin.contexts == 0


def test_the_first_of_many_errors_is_reported(standin):
    """After an illegal access all calls of a driver fail, the freeing of memory too."""
    kernel = compiled(SQUARE)
    standin.fail("cuLaunchKernel", 700, forever=True)
    with pytest.raises(CudaError, match="cuLaunchKernel failed"):
        run(kernel, [np.ones(10)], 10)
    standin.reset()


def test_out_of_memory(standin):
    kernel = compiled(SQUARE)
    standin.fail("cuMemAlloc_v2", 2)
    with pytest.raises(CudaError, match="CUDA_ERROR_OUT_OF_MEMORY, out of memory"):
        run(kernel, [np.ones(10)], 10)
    np.testing.assert_array_equal(run(kernel, [np.full(10, 3.0)], 10)[0], 9.0)


def test_what_the_compiler_of_the_driver_says_is_in_the_error(standin):
    found = Driver(standin.path)
    with found.current(), pytest.raises(CudaError, match=r"CUDA_ERROR_INVALID_PTX.*ptxas fatal : no kernel"):
        found.load("garbage", "kernel")


def test_a_failing_compilation_falls_back_visibly(standin, formula):
    standin.fail("cuModuleLoadDataEx", 218)
    f = compile_expr(*formula, config=CompileConfig(target="cuda"))
    assert f.tier != "cuda"
    assert "CUDA_ERROR_INVALID_PTX" in str(f.explain())


def test_where_no_driver_is_the_ptx_can_still_be_read():
    code = """
from alkahest import ExprPool, emit
x = ExprPool().symbol("x")
print(emit(x * x, [x], format="ptx", name="square"))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    assert ".visible .entry square(" in done.stdout


# -- a real device


@pytest.fixture
def device():
    why = CudaBackend().unavailable()
    if why:
        pytest.skip(f"cuda: {why}")


@pytest.mark.gpu
@pytest.mark.usefixtures("device")
def test_a_formula_on_a_real_device(formula):
    f = compile_expr(*formula, config=ON_CUDA)
    x, y = np.linspace(0, 1, 5_000_000), np.linspace(-3, 3, 5_000_000)
    np.testing.assert_allclose(numpy_eval(f, x, y), x**2 + np.sin(y) * np.exp(-x), rtol=1e-14, atol=1e-15)


@pytest.mark.gpu
@pytest.mark.usefixtures("device")
def test_many_called_functions_on_a_real_device():
    tape = Tape(("x",), (), tuple([Instr(("sin", "exp")[k % 2], (k,)) for k in range(100)]), (100,))
    x = np.linspace(-2, 2, 1000)
    want = x
    for k in range(100):
        want = (np.sin, np.exp)[k % 2](want)
    np.testing.assert_allclose(run(compiled(tape), [x], 1000)[0], want, rtol=1e-12)
