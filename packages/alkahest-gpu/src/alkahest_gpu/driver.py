"""The CUDA driver through ctypes: the few C functions needed here have had this interface since CUDA 7."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from alkahest.extend import AlkahestError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
THREADS = 256  # per block
BLOCKS_PER_PROCESSOR = 32

_INT, _UINT, _SIZE, _ADDRESS, _POINTER = (
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_size_t,
    ctypes.c_uint64,
    ctypes.c_void_p,
)
_FUNCTIONS: dict[str, list[Any]] = {
    "cuInit": [_UINT],
    "cuDeviceGet": [_POINTER, _INT],
    "cuDeviceGetName": [_POINTER, _INT, _INT],
    "cuDeviceGetAttribute": [_POINTER, _INT, _INT],
    "cuDevicePrimaryCtxRetain": [_POINTER, _INT],
    "cuCtxPushCurrent_v2": [_POINTER],
    "cuCtxPopCurrent_v2": [_POINTER],
    "cuModuleLoadDataEx": [_POINTER, _POINTER, _UINT, _POINTER, _POINTER],
    "cuModuleUnload": [_POINTER],
    "cuModuleGetFunction": [_POINTER, _POINTER, ctypes.c_char_p],
    "cuMemAlloc_v2": [_POINTER, _SIZE],
    "cuMemFree_v2": [_ADDRESS],
    "cuMemcpyHtoD_v2": [_ADDRESS, _POINTER, _SIZE],
    "cuMemcpyDtoH_v2": [_POINTER, _ADDRESS, _SIZE],
    "cuLaunchKernel": [_POINTER, *[_UINT] * 7, _POINTER, _POINTER, _POINTER],
    "cuGetErrorName": [_INT, _POINTER],
    "cuGetErrorString": [_INT, _POINTER],
}
# Members of enumerations in cuda.h.
_MULTIPROCESSOR_COUNT, _CAPABILITY_MAJOR, _CAPABILITY_MINOR = 16, 75, 76
_JIT_ERROR_LOG, _JIT_ERROR_LOG_SIZE = 5, 6


class CudaError(AlkahestError, RuntimeError):
    """The CUDA driver is missing, or reported an error."""

    code = "E-CUDA-001"


class Driver:
    """The driver with the first visible device in its primary context, which other CUDA libraries share.

    Raises `CudaError` where there is no driver, or no device that it can use.
    """

    def __init__(self, library: str) -> None:
        try:
            self._library = ctypes.CDLL(library)
            for name, arguments in _FUNCTIONS.items():
                getattr(self._library, name).argtypes = arguments
        except (OSError, AttributeError) as error:
            raise CudaError(f"no CUDA driver: {error}", remedy="Install NVIDIA's driver, or use a CPU tier.") from None
        self._call("cuInit", 0)
        device = _INT()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), device)
        self.device_name = name.value.decode(errors="replace")
        self.capability = (self._attribute(_CAPABILITY_MAJOR, device), self._attribute(_CAPABILITY_MINOR, device))
        self._max_blocks = BLOCKS_PER_PROCESSOR * self._attribute(_MULTIPROCESSOR_COUNT, device)
        self._context = _POINTER()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)

    def _attribute(self, which: int, device: ctypes.c_int) -> int:
        value = _INT()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), which, device)
        return value.value

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise CudaError(
                f"the CUDA driver's {function} failed: {self._describe(status)}",
                remedy="Check that the device works, with nvidia-smi for one.",
                status=status,
            )

    def _describe(self, status: int) -> str:
        name, text = ctypes.c_char_p(), ctypes.c_char_p()
        self._library.cuGetErrorName(status, ctypes.byref(name))
        self._library.cuGetErrorString(status, ctypes.byref(text))
        parts = [p.decode() for p in (name.value, text.value) if p]
        return ", ".join(parts) or f"error {status}"

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current for this thread, and restore the one before."""
        self._call("cuCtxPushCurrent_v2", self._context)
        with self._finally("cuCtxPopCurrent_v2", ctypes.byref(_POINTER())):
            yield

    @contextmanager
    def _finally(self, function: str, argument: Any) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # An error on the device makes all later calls fail too: the first one is to be reported.
            with suppress(CudaError):
                self._call(function, argument)
            raise
        self._call(function, argument)

    # What follows needs the context to be current.

    def load(self, ptx: str, name: str) -> tuple[Any, Any]:
        """Compile PTX for the device and return the module and its kernel `name`."""
        module, function = _POINTER(), _POINTER()
        log = ctypes.create_string_buffer(4096)
        options = (_INT * 2)(_JIT_ERROR_LOG, _JIT_ERROR_LOG_SIZE)
        values = (_POINTER * 2)(ctypes.addressof(log), len(log))
        try:
            self._call("cuModuleLoadDataEx", ctypes.byref(module), ptx.encode() + b"\0", 2, options, values)
        except CudaError as error:
            said = log.value.decode(errors="replace").strip()
            raise CudaError(f"{error.message} {said}".strip(), remedy=error.remedy, **error.details) from None
        self._call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return module, function

    def unload(self, module: Any) -> None:
        """Unload a module."""
        self._call("cuModuleUnload", module)

    @contextmanager
    def memory(self, size: int) -> Iterator[int]:
        """Give the address of `size` bytes on the device, freed at the end."""
        address = _ADDRESS()
        self._call("cuMemAlloc_v2", ctypes.byref(address), size)
        with self._finally("cuMemFree_v2", address):
            yield address.value

    def copy_in(self, device: int, host: int, size: int) -> None:
        """Copy bytes from the host to the device."""
        self._call("cuMemcpyHtoD_v2", device, host, size)

    def copy_out(self, host: int, device: int, size: int) -> None:
        """Copy bytes from the device to the host, after all that was launched before."""
        self._call("cuMemcpyDtoH_v2", host, device, size)

    def launch(self, function: Any, n: int, columns: Sequence[int], stream: int = 0) -> None:
        """Enqueue a kernel of columns over `n` points on `stream`; 0 is the default stream."""
        arguments = [*[_ADDRESS(c) for c in columns], ctypes.c_int64(n)]
        pointers = (_POINTER * len(arguments))(*[ctypes.addressof(a) for a in arguments])
        blocks = min((n + THREADS - 1) // THREADS, self._max_blocks)
        self._call("cuLaunchKernel", function, blocks, 1, 1, THREADS, 1, 1, 0, stream, pointers, None)


_drivers: dict[str, Driver] = {}
_lock = threading.Lock()


def open_driver() -> Driver:
    """Return this process's driver, opened at the first call that succeeds; raises `CudaError`."""
    with _lock:
        if LIBRARY not in _drivers:
            _drivers[LIBRARY] = Driver(LIBRARY)
        return _drivers[LIBRARY]
