"""Machine code as functions that Python calls directly, and the functions of CPython that such code calls."""

from __future__ import annotations

import ctypes
from typing import Any

from alkahest_llvm.loading import engine

_METH_FASTCALL, _METH_KEYWORDS = 0x0080, 0x0002


class PythonFunction:
    """Machine code `ptr entry(ptr self, ptr args, i64 nargs)` as a Python function.

    With `keywords=True` it has a fourth argument, a tuple of keywords or null. This object must live as long as the
    functions that it makes.
    """

    def __init__(self, code: engine.Code, entry: str, name: str, doc: str, *, keywords: bool = False) -> None:
        flags = _METH_FASTCALL | (_METH_KEYWORDS if keywords else 0)
        self._code = code
        self._definition = _MethodDef(name.encode(), code[entry], flags, doc.encode())

    def bind(self, owned: tuple[Any, ...]) -> Any:
        """Return the function with `owned` as its `self`: all that it needs, this object among it."""
        new = ctypes.pythonapi["PyCFunction_NewEx"]
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
        return new(ctypes.addressof(self._definition), owned, None)


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def python_names(text: str) -> tuple[str, ...]:
    """Return what IR text declares of CPython: functions, and types and other objects."""
    lines = text.splitlines()
    functions = [line.split("@")[1].split("(")[0] for line in lines if line.startswith("declare")]
    objects = [line[1:].split()[0] for line in lines if line.startswith("@")]
    return tuple([name for name in (*functions, *objects) if name.startswith(("Py", "_Py"))])


def python_address(name: str) -> int:
    """Return where CPython has a function or an object of that name."""
    return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name))
