"""The kernels that compiled functions call, each compiled once per process and vector width, when first needed."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache

from alkahest_llvm import engine
from alkahest_llvm.module_text import ModuleText, kernel_text, symbol
from alkahest_llvm.vecmath.registry import HOST_FUNCTIONS, find

LEVEL = 2
_ATTRIBUTES = "nounwind"
_loaded: dict[tuple[str, int], engine.Code] = {}


def addresses(wanted: set[tuple[str, int]]) -> dict[str, int]:
    """Return the addresses of kernels, given as (name, width), by symbol; those not loaded yet are compiled."""
    with engine.lock:
        return {symbol(name, width): _code(name, width)[symbol(name, width)] for name, width in sorted(wanted)}


def _code(name: str, width: int) -> engine.Code:
    found = _loaded.get((name, width))
    if found is None:
        found = _loaded[name, width] = _compile(name, width)
    return found


def _compile(name: str, width: int) -> engine.Code:
    kernel = find(name)
    module = ModuleText("call")
    module.define(kernel_text(module, kernel, width, attributes=_ATTRIBUTES))
    imports = addresses(module.imports)
    if kernel.body is None:
        imports[kernel.host_symbol] = host_address(HOST_FUNCTIONS[name][0])
    return engine.load(str(module), [symbol(name, width)], imports, LEVEL)


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
    path = ctypes.util.find_library("m")
    return ctypes.CDLL(path) if path else ctypes.CDLL(None)
