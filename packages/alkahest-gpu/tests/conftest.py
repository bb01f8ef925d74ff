"""Oracles without a GPU: ptxas, the kernels' IR run on the host, and a stand-in for the CUDA driver."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from alkahest.extend import CompileOptions
from alkahest_gpu import backend, driver, nvptx
from alkahest_llvm.loading import engine


def find_ptxas():
    """Return ptxas of the machine, else that of the wheel nvidia-cuda-nvcc-cu12, else None."""
    found = shutil.which("ptxas")
    if found:
        return found
    try:
        spec = importlib.util.find_spec("nvidia.cuda_nvcc")
    except ModuleNotFoundError:
        return None
    places = [Path(p) / "bin" / "ptxas" for p in (spec.submodule_search_locations or [])] if spec else []
    return next((str(p) for p in places if p.exists()), None)


@pytest.fixture(scope="session")
def assembles(tmp_path_factory):
    """Return a function that has ptxas assemble PTX, and gives what ptxas says of the kernel."""
    ptxas = find_ptxas()
    if ptxas is None:
        pytest.skip("ptxas: not on PATH and not in the wheel nvidia-cuda-nvcc-cu12")
    folder = tmp_path_factory.mktemp("ptx")

    def run(ptx, arch):
        (folder / "kernel.ptx").write_text(ptx)
        command = [ptxas, f"-arch={arch}", "-v", "-o", str(folder / "kernel.cubin"), str(folder / "kernel.ptx")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr + done.stdout

    return run


REGISTERS = "thread_registers"


class HostKernel:
    """The IR of a kernel compiled for the host: the same text but for address spaces and the thread's registers."""

    def __init__(self, ir, name, n_columns):
        text = ir.replace("ptx_kernel ", "").replace(" addrspace(1)", "").split("\n", 1)[1]
        for k, register in enumerate(("tid", "ctaid", "ntid", "nctaid")):
            old = f"@llvm.nvvm.read.ptx.sreg.{register}.x"
            assert f"declare i32 {old}()" in text
            body = f"  %p = getelementptr i32, ptr @{REGISTERS}, i64 {k}\n  %v = load i32, ptr %p\n  ret i32 %v"
            text = text.replace(f"declare i32 {old}()", f"define internal i32 @{register}() {{\n{body}\n}}")
            text = text.replace(old, f"@{register}")
        text += f"@{REGISTERS} = global [4 x i32] zeroinitializer\n"
        self._code = engine.load(text, [name, REGISTERS], {}, 2)
        self._registers = (ctypes.c_uint32 * 4).from_address(self._code[REGISTERS])
        self._call = ctypes.CFUNCTYPE(None, *[ctypes.c_uint64] * n_columns, ctypes.c_int64)(self._code[name])

    def launch(self, blocks, threads, columns, n):
        """Run every thread of the grid, one after another."""
        self._registers[2], self._registers[3] = threads, blocks
        for block in range(blocks):
            self._registers[1] = block
            for thread in range(threads):
                self._registers[0] = thread
                self._call(*columns, n)


@pytest.fixture
def host_kernel():
    """Return a function that makes a `HostKernel` of a tape."""

    def make(tape, **options):
        ir = nvptx.kernel_ir(tape, CompileOptions(**options), "kernel")
        return HostKernel(ir, "kernel", len(tape.inputs) + len(tape.outputs))

    return make


class StandIn:
    """The stand-in driver with what tests ask of it; it runs the IR from which the loaded PTX was made."""

    LAUNCH = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_uint), ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
    )
    LOAD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)

    def __init__(self, path, sources):
        self.path = path
        self.streams = []
        self.grids = []
        self._sources = sources
        self._kernels = {}
        self._library = ctypes.CDLL(path)
        self._callbacks = self.LAUNCH(self._launch), self.LOAD(self._load)
        self.reset()

    def reset(self):
        self._library.standin_reset(*self._callbacks)

    def fail(self, function, status, *, forever=False):
        """Have the next call of a driver's function fail; `forever` has all later ones fail too."""
        self._library.standin_fail(function.encode(), status, forever)

    def device(self, count=1, capability=(8, 6)):
        self._library.standin_device(count, *capability)

    @property
    def allocations(self):
        return self._library.standin_allocated()

    @property
    def contexts(self):
        return self._library.standin_depth()

    @property
    def modules(self):
        return self._library.standin_modules()

    def _load(self, ptx, name):
        ir = self._sources.get(ptx.decode())
        if ir is None or f"@{name.decode()}(" not in ir:
            return 0
        kernel_line = next(line for line in ir.splitlines() if line.startswith("define ptx_kernel"))
        columns = kernel_line.count("ptr addrspace(1)")
        handle = len(self._kernels) + 1
        self._kernels[handle] = HostKernel(ir, name.decode(), columns), columns
        return handle

    def _launch(self, handle, shape, stream, parameters):
        kernel, columns = self._kernels[handle]
        addresses = [ctypes.c_uint64.from_address(parameters[k]).value for k in range(columns)]
        n = ctypes.c_int64.from_address(parameters[columns]).value
        self.streams.append(stream or 0)
        self.grids.append((shape[0], shape[3]))
        kernel.launch(shape[0], shape[3], addresses, n)
        return 0


@pytest.fixture(scope="session")
def standin_library(tmp_path_factory):
    """Return the path of the stand-in, compiled by the machine's C compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("stand-in for the CUDA driver: no C compiler")
    path = tmp_path_factory.mktemp("cuda") / "libcuda-standin.so"
    source = Path(__file__).with_name("standin.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
    return str(path)


_sources = {}
_standins = []


@pytest.fixture
def standin(standin_library, monkeypatch):
    """Put the stand-in in the place of the CUDA driver."""
    if not _standins:
        _standins.append(StandIn(standin_library, _sources))
    found = _standins[0]
    found.reset()
    found.streams.clear()
    found.grids.clear()

    def remembered(ir, arch):
        ptx = nvptx.assemble(ir, arch)
        _sources[ptx] = ir
        return ptx

    monkeypatch.setattr(backend, "assemble", remembered)
    monkeypatch.setattr(driver, "LIBRARY", standin_library)
    monkeypatch.setattr(driver, "_drivers", {})
    yield found
    assert found.contexts == 0
