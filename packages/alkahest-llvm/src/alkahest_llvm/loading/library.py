"""The kernels that compiled functions call, each loaded once per process and vector width, when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alkahest_llvm.loading import engine
from alkahest_llvm.loading.python_functions import python_address
from alkahest_llvm.loading.units import Unit, kept, sources

LEVEL = 2

Name = tuple[str, int]  # of a kernel, and the width of its vectors


class Loaded(NamedTuple):
    """A kernel in this process: its symbol, and the code that holds it."""

    symbol: str
    code: engine.Code


_loaded: dict[Name, Loaded] = {}


def addresses(wanted: set[Name]) -> dict[str, int]:
    """Return the addresses of kernels, given as (name, width), by symbol; those not loaded yet are loaded now."""
    with engine.lock:
        missing = wanted - _loaded.keys()
        if missing:
            _link([], missing)
        return {symbol: code[symbol] for symbol, code in [_loaded[kernel] for kernel in wanted]}


def load(units: Sequence[Unit]) -> engine.Code:
    """Load units, together with those kernels they call that are not loaded yet, which takes less than each by itself.

    The units then stay in memory as long as the kernels do.
    """
    with engine.lock:
        return _link(units, {kernel for unit in units for kernel in unit.imports})


def _link(units: Sequence[Unit], wanted: set[Name]) -> engine.Code:
    """Load units and the kernels that are wanted, with those that they call in turn."""
    kernels: dict[Name, Unit] = {}
    present: set[Name] = set()
    while wanted:
        kernel = min(wanted)
        wanted.remove(kernel)
        if kernel in _loaded:
            present.add(kernel)
        elif kernel not in kernels:
            kernels[kernel] = _unit(*kernel)
            wanted.update(kernels[kernel].imports)
    units = [*units, *kernels.values()]
    imports = {symbol: code[symbol] for symbol, code in [_loaded[kernel] for kernel in present]}
    imports |= {name: python_address(name) for unit in units for name in unit.python}
    code = engine.link([unit.code for unit in units], [name for unit in units for name in unit.exports], imports)
    _loaded.update({kernel: Loaded(unit.exports[0], code) for kernel, unit in kernels.items()})
    return code


def _unit(name: str, width: int) -> Unit:
    return kept(f"kernel {name} x{width} machine {engine.machine()} sources {sources()}", lambda: _compile(name, width))


def _compile(name: str, width: int) -> Unit:
    """Compile one kernel; what it calls is left open."""
    from alkahest_llvm.emitting.module_text import ModuleText, kernel_text, symbol
    from alkahest_llvm.vecmath.registry import find

    module, kernel, entry = ModuleText("call"), find(name), symbol(name, width)
    module.define(kernel_text(module, kernel, width, attributes="nounwind"), f"@{entry}")
    code = engine.compile_object(str(module), LEVEL)
    return Unit(code, (entry,), imports=tuple(sorted(module.imports - {(name, width)})))
