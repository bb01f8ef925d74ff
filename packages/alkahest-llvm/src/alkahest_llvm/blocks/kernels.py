"""The kernels of this process: made when first needed, and kept on disk for the next process."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from alkahest_llvm.blocks.forms import Form, Setting
from alkahest_llvm.blocks.usual import usual_forms
from alkahest_llvm.blocks.writing import LookedAtError, write_kernel
from alkahest_llvm.emitting.module_text import KernelStyle, ModuleText
from alkahest_llvm.loading import engine, library
from alkahest_llvm.loading.units import Unit, kept, sources

LEVEL = 2
_MOST_SPECIAL = 10_000  # forms with special constants that are remembered


class _Loaded(NamedTuple):
    address: int
    code: engine.Code  # keeps the address valid


class KernelSet:
    """The kernels of one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._loaded: dict[str, _Loaded] = {}
        self._symbols: dict[Form, str] = {}
        self._open: set[Form] = set()  # whose rules look at no constant
        self._special: dict[tuple[Form, tuple[str | None, ...]], Form] = {}
        self._usual: dict[str, Form] | None = None  # by symbol, once they are asked for

    def addresses(self, forms: Sequence[Form]) -> list[int]:
        """Return the addresses of kernels; those that are not in this process yet are loaded at one go."""
        with engine.lock:
            symbols = [self._symbol(form) for form in forms]
            missing = {symbol: form for symbol, form in zip(symbols, forms, strict=True) if symbol not in self._loaded}
            if missing:
                self._load(missing)
            return [self._loaded[symbol].address for symbol in symbols]

    def settled(self, form: Form, constants: Sequence[float | None]) -> Form:
        """Return the form with those constants fixed that its rules look at.

        `constants` are the values of the operands, None for those that are places. Raises what a rule raises.
        """
        if form in self._open:
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
        """Return the name of a kernel: all that has a part in its code is in it, but for the sources of this package.

        For constants that a rule looks at that is the code itself: many of them lead to the same.
        """
        found = self._symbols.get(form)
        if found is None:
            is_own = self.setting.arithmetic.is_own
            own = all(is_own(step.op, rule) for step, rule in zip(form.steps, form.rules, strict=True))
            told = f"{self.setting} {form._replace(rules=())!r}" if own and not form.numbers else self._code(form)
            found = f"alkahest_block_{sha256(told.encode()).hexdigest()[:32]}"
            if len(self._symbols) >= _MOST_SPECIAL:
                self._symbols.clear()
            self._symbols[form] = found
        return found

    @property
    def _style(self) -> KernelStyle:
        # In a loop over a block the constants of a math kernel stay in registers; alone it is as fast when called.
        return "inline" if self.setting.blocks else "call"

    def _load(self, missing: dict[str, Form]) -> None:
        if self._usual is None:
            self._usual = {self._symbol(form): form for form in usual_forms(self.setting.arithmetic)}
        wanted: dict[str, Form] = {}
        units: list[Unit] = []
        if not self._usual.keys().isdisjoint(missing):
            units.append(self._unit(self._usual))
            wanted.update(self._usual)
        others = {symbol: form for symbol, form in missing.items() if symbol not in wanted}
        units += [self._unit({symbol: form}) for symbol, form in others.items()]
        imports = library.addresses({kernel for unit in units for kernel in unit.imports})
        code = engine.link([unit.code for unit in units], [*wanted, *others], imports)
        self._loaded.update({symbol: _Loaded(code[symbol], code) for symbol in (*wanted, *others)})

    def _unit(self, forms: dict[str, Form]) -> Unit:
        """Return kernels by symbol as one object."""

        def compile_now() -> Unit:
            module = ModuleText(self._style)
            for symbol, form in forms.items():
                write_kernel(module, symbol, form, self.setting)
            code = engine.compile_object(str(module), LEVEL)
            return Unit(code, imports=tuple(sorted(module.imports)))

        return kept(f"{' '.join(forms)} machine {engine.machine()} sources {sources()}", compile_now)


def kernel_set(setting: Setting) -> KernelSet:
    """Return the kernels of a setting for this processor; there is one set of each."""
    key = (setting, engine.machine())
    found = _sets.get(key)
    return _sets.setdefault(key, KernelSet(setting)) if found is None else found


_sets: dict[tuple[Setting, str], KernelSet] = {}
