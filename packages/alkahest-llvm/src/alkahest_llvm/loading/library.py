"""The kernels that compiled functions call, each compiled once per process and vector width, when first needed."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import cache

from alkahest_llvm.emitting.module_text import ModuleText, kernel_text, symbol
from alkahest_llvm.loading import engine
from alkahest_llvm.vecmath.registry import HOST_FUNCTIONS, find

LEVEL = 2
_loaded: dict[tuple[str, int], engine.Code] = {}


def addresses(wanted: set[tuple[str, int]]) -> dict[str, int]:
    """Return the addresses of kernels, given as (name, width), by symbol; those not loaded yet are compiled."""
    with engine.lock:
        missing = wanted - _loaded.keys()
        if missing:
            _load(missing)
        return {symbol(*kernel): _loaded[kernel][symbol(*kernel)] for kernel in wanted}


def _load(missing: set[tuple[str, int]]) -> None:
    """Compile kernels, and those that they call, as one module: a module costs as much as a kernel."""
    module = ModuleText("call")
    written: set[tuple[str, int]] = set()
    imports: dict[str, int] = {}
    while missing:
        name, width = min(missing)
        kernel = find(name)
        module.define(kernel_text(module, kernel, width, attributes="nounwind"), f"@{symbol(name, width)}")
        if kernel.body is None:
            imports[kernel.host_symbol] = host_address(HOST_FUNCTIONS[name][0])
        written.add((name, width))
        missing = (missing | module.imports) - written - _loaded.keys()
    outside = module.imports - written
    imports |= {symbol(*kernel): _loaded[kernel][symbol(*kernel)] for kernel in outside}
    code = engine.load(str(module), [symbol(*kernel) for kernel in written], imports, LEVEL)
    _loaded.update(dict.fromkeys(written, code))


@cache
def host_address(function: str) -> int:
    """Return the address of a function of the C library's mathematics."""
    found = getattr(_math_library(), function)
    address = ctypes.cast(found, ctypes.c_void_p).value
    if address is None:
        raise LookupError(f"the C library has no {function}")
    return address


@cache
def _math_library() -> ctypes.CDLL:
    path = "ucrtbase" if sys.platform == "win32" else ctypes.util.find_library("m")
    return ctypes.CDLL(path)  # None: what this process has loaded
