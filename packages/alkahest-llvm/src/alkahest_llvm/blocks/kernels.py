"""The machine and its kernels in this process: made when first needed, and kept on disk for the next process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from alkahest.extend import once
from alkahest_llvm.blocks.forms import Form, Setting, form_name
from alkahest_llvm.blocks.machine import BLOCKS, CELLS, HALT, machine_text
from alkahest_llvm.blocks.usual import usual_forms, usual_ops
from alkahest_llvm.blocks.writing import LookedAtError, write_kernel
from alkahest_llvm.emitting.module_text import KernelStyle, ModuleText
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.batch_entry import load_with_driver
from alkahest_llvm.loading.units import Unit, kept, sources

LEVEL = 2
_TABLE, _PREFIX = "alkahest_usual", "alkahest_block_"
_MOST_SPECIAL = 10_000  # forms with special constants that are remembered


class _Loaded(NamedTuple):
    address: int
    code: engine.Code  # keeps the address valid


class KernelSet:
    """The kernels of one setting, and the machine that runs them."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._loaded: dict[str, _Loaded] = {}  # by symbol
        self._symbols: dict[Form, str] = {}
        self._open: set[Form] = set()  # whose rules look at no constant
        self._special: dict[tuple[Form, tuple[str | None, ...]], Form] = {}

    def addresses(self, forms: Sequence[Form]) -> list[int]:
        """Return the addresses of kernels; those that are not in this process yet are loaded at one go."""
        with engine.lock:
            symbols = [self._symbol(form) for form in forms]
            missing = {symbol: form for symbol, form in zip(symbols, forms, strict=True) if symbol not in self._loaded}
            if missing:
                self._load(missing)
            return [self._loaded[symbol].address for symbol in symbols]

    def machine(self, name: str) -> int:
        """Return the address of one of the machine's functions."""
        with engine.lock:
            if name not in self._loaded:
                self._load({})
            return self._loaded[name].address

    def settled(self, form: Form, constants: Sequence[float | None]) -> Form:
        """Return the form with those constants fixed that its rules look at.

        `constants` are the values of the operands, None for those that are places. Raises what a rule raises.
        """
        if form in self._open:
            return form
        if self._own_symbol(form) in self._basis.listed:
            self._open.add(form)
            return form
        key = (form, tuple([None if c is None else c.hex() for c in constants]))
        found = self._special.get(key)
        if found is None:
            found = self._settle(*key)
            if found is form:
                self._open.add(form)
            else:
                if len(self._special) >= _MOST_SPECIAL:
                    self._special.clear()
                self._special[key] = found
        return found

    def text(self, forms: Sequence[Form]) -> str:
        """Return the IR of kernels as one module."""
        module = ModuleText(self._style)
        for symbol, form in {self._symbol(form): form for form in forms}.items():
            write_kernel(module, symbol, form, self.setting)
        return str(module)

    def _settle(self, form: Form, constants: Sequence[str | None]) -> Form:
        numbers: list[str | None] = [None] * len(constants)
        while True:
            try:
                self._code(form)
            except LookedAtError as error:
                numbers[error.operand] = constants[error.operand]
                form = form._replace(numbers=tuple(numbers))
            else:
                return form

    def _code(self, form: Form) -> str:
        """Return the IR of a kernel, with math kernels called."""
        module = ModuleText("call")
        write_kernel(module, "kernel", form, self.setting)
        return str(module)

    def _symbol(self, form: Form) -> str:
        """Return the name of a kernel: all that has a part in its code is in it, but for the setting and the sources.

        For constants that a rule looks at that is the code itself: many of them lead to the same.
        """
        found = self._symbols.get(form)
        if found is None:
            found = self._own_symbol(form) or _PREFIX + sha256(self._code(form).encode()).hexdigest()[:32]
            if len(self._symbols) >= _MOST_SPECIAL:
                self._symbols.clear()
            self._symbols[form] = found
        return found

    def _own_symbol(self, form: Form) -> str:
        """Return the name of a kernel that this package's own rules make, "" for any other."""
        is_own = self.setting.arithmetic.is_own
        own = all([is_own(step.op, rule) for step, rule in zip(form.steps, form.rules, strict=True)])
        name = form_name(form) if own else ""
        return name and _PREFIX + name

    @property
    def _style(self) -> KernelStyle:
        # In a loop over a block the constants of a math kernel stay in registers; alone it is as fast when called.
        return "inline" if self.setting.blocks else "call"

    def _load(self, missing: dict[str, Form]) -> None:
        """Load kernels by symbol; with the first of them the machine, the usual ones, and the driver."""
        units = [] if HALT in self._loaded else [self._basis]
        usual = self._basis.listed
        units += [self._unit(symbol, form) for symbol, form in missing.items() if symbol not in usual]
        code = load_with_driver(units, self.setting.real)[0] if self.setting.blocks else library.load(units)
        for unit in units:
            self._loaded.update({name: _Loaded(code[name], code) for name in unit.exports})
            if unit.listed:
                table = (ctypes.c_int64 * len(unit.listed)).from_address(code[unit.exports[0]])
                self._loaded.update({name: _Loaded(at, code) for name, at in zip(unit.listed, table, strict=True)})

    @once
    def _basis(self) -> Unit:
        """The machine and the kernels of usual forms, as one object."""
        return self._kept(f"basis with {' '.join(usual_ops(self.setting.arithmetic))}", self._compile_basis)

    def _compile_basis(self) -> Unit:
        module = ModuleText(self._style)
        forms = {self._symbol(form): form for form in usual_forms(self.setting.arithmetic)}
        for symbol, form in forms.items():
            write_kernel(module, symbol, form, self.setting, "internal ")
        addresses = ", ".join([f"ptr @{symbol}" for symbol in forms])
        table = f"@{_TABLE} = constant [{len(forms)} x ptr] [{addresses}]\n"
        code = engine.compile_object(f"{machine_text(self.setting)}{table}{module}", LEVEL)
        exports = (_TABLE, BLOCKS if self.setting.blocks else CELLS, HALT)
        return Unit(code, exports, tuple(forms), tuple(sorted(module.imports)))

    def _unit(self, symbol: str, form: Form) -> Unit:
        """Return one kernel as an object."""

        def compile_now() -> Unit:
            module = ModuleText(self._style)
            write_kernel(module, symbol, form, self.setting)
            code = engine.compile_object(str(module), LEVEL)
            return Unit(code, (symbol,), imports=tuple(sorted(module.imports)))

        return self._kept(symbol, compile_now)

    def _kept(self, what: str, make: Callable[[], Unit]) -> Unit:
        return kept(f"{what} of {self.setting} machine {engine.machine()} sources {sources()}", make)


def kernel_set(setting: Setting) -> KernelSet:
    """Return the kernels of a setting for this processor; there is one set of each."""
    key = (setting, engine.machine())
    found = _sets.get(key)
    return _sets.setdefault(key, KernelSet(setting)) if found is None else found


_sets: dict[tuple[Setting, str], KernelSet] = {}
