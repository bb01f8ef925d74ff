"""The scalar entry: a C function object that reads Python numbers, evaluates a tape and returns Python numbers.

One function written in IR serves all tapes: it unpacks the arguments into an array of doubles, calls the tape's code,
and packs what comes back. It uses functions of CPython's stable interface only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

from alkahest.extend import ArityError
from alkahest_llvm.loading import engine

_METH_FASTCALL = 0x0080
_NUMBERS_ON_STACK = 64

# `alkahest_call(self, args, nargs)`, a METH_FASTCALL function. `self` is a tuple: the address of a record as an int,
# and a Python function that raises for a wrong number of arguments, given the number. The record holds the address of
# the code, the number of inputs, the number of outputs, and the context that the code is handed.
#
# An item of a list is held while it is converted, and the list is asked for every item anew: a conversion runs
# Python code, which may change the list.
_ENTRY = """
declare ptr @PyTuple_GetItem(ptr, i64)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare i64 @PyList_Size(ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromSsize_t(i64)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyErr_Occurred()
declare ptr @PyErr_NoMemory()
declare ptr @PyObject_Type(ptr)
declare i32 @PyType_IsSubtype(ptr, ptr)
declare ptr @PyObject_CallFunctionObjArgs(ptr, ...)
declare ptr @PyMem_Malloc(i64)
declare void @PyMem_Free(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)

@PyList_Type = external global i8
@PyTuple_Type = external global i8

; 0: neither, 1: list, 2: tuple; subclasses count.
define internal i32 @kind(ptr %object) nounwind {
entry:
  %type = call ptr @PyObject_Type(ptr %object)
  %is.list = icmp eq ptr %type, @PyList_Type
  br i1 %is.list, label %done, label %not.list
not.list:
  %is.tuple = icmp eq ptr %type, @PyTuple_Type
  br i1 %is.tuple, label %done, label %derived
derived:
  %l = call i32 @PyType_IsSubtype(ptr %type, ptr @PyList_Type)
  %t = call i32 @PyType_IsSubtype(ptr %type, ptr @PyTuple_Type)
  %sub.list = icmp ne i32 %l, 0
  %sub.tuple = icmp ne i32 %t, 0
  %t2 = select i1 %sub.tuple, i32 2, i32 0
  %either = select i1 %sub.list, i32 1, i32 %t2
  br label %done
done:
  %result = phi i32 [1, %entry], [2, %not.list], [%either, %derived]
  call void @Py_DecRef(ptr %type)
  ret i32 %result
}

; Convert one number, held while it is converted; returns false with the error set where it is none.
define internal i1 @convert(ptr %object, ptr %to) nounwind {
entry:
  %x = call double @PyFloat_AsDouble(ptr %object)
  store double %x, ptr %to
  %suspect = fcmp oeq double %x, -1.0
  br i1 %suspect, label %ask, label %good
ask:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  ret i1 %fine
good:
  ret i1 true
}

define internal i1 @from_list(ptr %list, i64 %n, ptr %to) nounwind {
entry:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %good, label %next
next:
  %i = phi i64 [0, %entry], [%i1, %item]
  %object = call ptr @PyList_GetItem(ptr %list, i64 %i)
  %gone = icmp eq ptr %object, null
  br i1 %gone, label %bad, label %item
item:
  call void @Py_IncRef(ptr %object)
  %place = getelementptr double, ptr %to, i64 %i
  %ok = call i1 @convert(ptr %object, ptr %place)
  call void @Py_DecRef(ptr %object)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n
  %again = and i1 %ok, %more
  br i1 %again, label %next, label %out
out:
  ret i1 %ok
good:
  ret i1 true
bad:
  ret i1 false
}

define internal i1 @from_tuple(ptr %tuple, i64 %n, ptr %to) nounwind {
entry:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %good, label %next
next:
  %i = phi i64 [0, %entry], [%i1, %next]
  %object = call ptr @PyTuple_GetItem(ptr %tuple, i64 %i)
  %place = getelementptr double, ptr %to, i64 %i
  %ok = call i1 @convert(ptr %object, ptr %place)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n
  %again = and i1 %ok, %more
  br i1 %again, label %next, label %out
out:
  ret i1 %ok
good:
  ret i1 true
}

define internal i1 @from_arguments(ptr %args, i64 %n, ptr %to) nounwind {
entry:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %good, label %next
next:
  %i = phi i64 [0, %entry], [%i1, %next]
  %at = getelementptr ptr, ptr %args, i64 %i
  %object = load ptr, ptr %at
  %place = getelementptr double, ptr %to, i64 %i
  %ok = call i1 @convert(ptr %object, ptr %place)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n
  %again = and i1 %ok, %more
  br i1 %again, label %next, label %out
out:
  ret i1 %ok
good:
  ret i1 true
}

define internal ptr @wrong_number(ptr %self, i64 %given) nounwind {
  %raise = call ptr @PyTuple_GetItem(ptr %self, i64 1)
  %number = call ptr @PyLong_FromSsize_t(i64 %given)
  %failed = icmp eq ptr %number, null
  br i1 %failed, label %done, label %call
call:
  %result = call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr %raise, ptr %number, ptr null)
  call void @Py_DecRef(ptr %number)
  br label %done
done:
  ret ptr null
}

define internal ptr @pack(ptr %numbers, i64 %n) nounwind {
entry:
  %single = icmp eq i64 %n, 1
  br i1 %single, label %one, label %several
one:
  %y = load double, ptr %numbers
  %float = call ptr @PyFloat_FromDouble(double %y)
  ret ptr %float
several:
  %list = call ptr @PyList_New(i64 %n)
  %failed = icmp eq ptr %list, null
  br i1 %failed, label %bad, label %check
check:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %good, label %next
next:
  %i = phi i64 [0, %check], [%i1, %set]
  %at = getelementptr double, ptr %numbers, i64 %i
  %x = load double, ptr %at
  %item = call ptr @PyFloat_FromDouble(double %x)
  %lost = icmp eq ptr %item, null
  br i1 %lost, label %drop, label %set
set:
  %status = call i32 @PyList_SetItem(ptr %list, i64 %i, ptr %item)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n
  br i1 %more, label %next, label %good
good:
  ret ptr %list
drop:
  call void @Py_DecRef(ptr %list)
  ret ptr null
bad:
  ret ptr null
}

define ptr @alkahest_call(ptr %self, ptr %args, i64 %nargs) nounwind {
entry:
  %stack = alloca [ON_STACK x double]
  %boxed = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %record = call ptr @PyLong_AsVoidPtr(ptr %boxed)
  %code = load ptr, ptr %record
  %n_in.at = getelementptr i8, ptr %record, i64 8
  %n_in = load i64, ptr %n_in.at
  %n_out.at = getelementptr i8, ptr %record, i64 16
  %n_out = load i64, ptr %n_out.at
  %context.at = getelementptr i8, ptr %record, i64 24
  %context = load ptr, ptr %context.at
  %numbers = add i64 %n_in, %n_out
  %many = icmp ugt i64 %numbers, ON_STACK
  br i1 %many, label %allocate, label %unpack
allocate:
  %bytes = mul i64 %numbers, 8
  %heap = call ptr @PyMem_Malloc(i64 %bytes)
  %no.memory = icmp eq ptr %heap, null
  br i1 %no.memory, label %memory.error, label %unpack
memory.error:
  %ignored = call ptr @PyErr_NoMemory()
  ret ptr null
unpack:
  %in = phi ptr [%stack, %entry], [%heap, %allocate]
  %out = getelementptr double, ptr %in, i64 %n_in
  %single = icmp eq i64 %nargs, 1
  br i1 %single, label %inspect, label %positional
inspect:
  %only = load ptr, ptr %args
  %kind = call i32 @kind(ptr %only)
  switch i32 %kind, label %positional [ i32 1, label %list
                                        i32 2, label %tuple ]
list:
  %list.size = call i64 @PyList_Size(ptr %only)
  %list.fits = icmp eq i64 %list.size, %n_in
  br i1 %list.fits, label %read.list, label %arity
read.list:
  %list.ok = call i1 @from_list(ptr %only, i64 %n_in, ptr %in)
  br label %converted
tuple:
  %tuple.size = call i64 @PyTuple_Size(ptr %only)
  %tuple.fits = icmp eq i64 %tuple.size, %n_in
  br i1 %tuple.fits, label %read.tuple, label %arity
read.tuple:
  %tuple.ok = call i1 @from_tuple(ptr %only, i64 %n_in, ptr %in)
  br label %converted
positional:
  %fits = icmp eq i64 %nargs, %n_in
  br i1 %fits, label %read.arguments, label %arity
read.arguments:
  %arguments.ok = call i1 @from_arguments(ptr %args, i64 %n_in, ptr %in)
  br label %converted
arity:
  %given = phi i64 [%list.size, %list], [%tuple.size, %tuple], [%nargs, %positional]
  %raised = call ptr @wrong_number(ptr %self, i64 %given)
  br label %finish
converted:
  %ok = phi i1 [%list.ok, %read.list], [%tuple.ok, %read.tuple], [%arguments.ok, %read.arguments]
  br i1 %ok, label %evaluate, label %finish
evaluate:
  call void %code(ptr %in, ptr %out, ptr %context)
  %packed = call ptr @pack(ptr %out, i64 %n_out)
  br label %finish
finish:
  %result = phi ptr [null, %arity], [null, %converted], [%packed, %evaluate]
  br i1 %many, label %release, label %return
release:
  call void @PyMem_Free(ptr %in)
  br label %return
return:
  ret ptr %result
}
"""

_PYTHON_FUNCTIONS = (
    *("PyTuple_GetItem", "PyTuple_Size", "PyList_GetItem", "PyList_Size", "PyList_New", "PyList_SetItem"),
    *("PyLong_AsVoidPtr", "PyLong_FromSsize_t", "PyFloat_AsDouble", "PyFloat_FromDouble", "PyErr_Occurred"),
    *("PyErr_NoMemory", "PyObject_Type", "PyType_IsSubtype", "PyObject_CallFunctionObjArgs"),
    *("PyMem_Malloc", "PyMem_Free", "Py_IncRef", "Py_DecRef", "PyList_Type", "PyTuple_Type"),
)


class _Record(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_void_p),
        ("n_in", ctypes.c_int64),
        ("n_out", ctypes.c_int64),
        ("context", ctypes.c_void_p),
    )


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def scalar_function(code: int, inputs: Sequence[str], n_outputs: int, keep: object, *, context: int = 0) -> Any:
    """Return the C function object around `void code(ptr in, ptr out, ptr context)`, over arrays of doubles.

    It takes a list or tuple of one number per input, or the numbers themselves, and returns a float, or a list of
    floats where there are several outputs. A wrong number of arguments raises `ArityError`, which is a `TypeError`;
    what is no number raises as `float()` does. `keep` is what must live as long as the function.
    """
    record = _Record(code, len(inputs), n_outputs, context)
    new = ctypes.pythonapi["PyCFunction_NewEx"]
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    # `self` owns all that the function needs; nothing else refers to it.
    method, entry = _method()
    bound = (ctypes.addressof(record), _arity_error(inputs), record, keep, method, entry)
    return new(ctypes.addressof(method), bound, None)


@cache
def _method() -> tuple[_MethodDef, engine.Code]:
    """Return the definition of the entry as a Python method, and its code."""
    imports = {name: _address(name) for name in _PYTHON_FUNCTIONS}
    code = engine.load(_ENTRY.replace("ON_STACK", str(_NUMBERS_ON_STACK)), ["alkahest_call"], imports, level=0)
    doc = b"Evaluate at a list or tuple of numbers, or at the numbers."
    return _MethodDef(b"compiled", code["alkahest_call"], _METH_FASTCALL, doc), code


def _address(name: str) -> int:
    return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name))


def _arity_error(names: Sequence[str]) -> Any:
    wanted = f"{len(names)} input{'' if len(names) == 1 else 's'} ({', '.join(names)})"

    def wrong_number(given: int) -> None:
        raise ArityError(
            f"this compiled function takes {wanted} and was called with {given}.",
            remedy="Pass one number per symbol, in the order given to compile_expr, or a list of them.",
        )

    return wrong_number
