"""IR of the scalar entry: one function that serves all tapes; `scalar_short_text` has a shorter way for floats.

`self` of a function is a tuple: a record, a Python function that raises for a wrong number of arguments, given the
number, and a Python function that takes the calls which the code does not. The record, in a bytes
object, holds six words: the address of the tape's code, the numbers of inputs and of outputs, the context that the
code is handed, what the function does (below), and the address of a counter, or 0.
"""

from __future__ import annotations

TAKES_LIST = 1  # one list or tuple of numbers
TAKES_NUMBERS = 2  # the numbers themselves
GIVES_LIST = 4  # a list even of one output
FALLS_BACK = 8  # every other call goes to the Python function

NUMBERS_ON_STACK = 256

# `alkahest_any(self, args, nargs)`, a METH_FASTCALL function, through CPython's stable interface.
#
# An item of a list is held while it is converted, and the list is asked for every item anew: a conversion runs
# Python code, which may change the list.
GENERAL = """
declare ptr @PyTuple_GetItem(ptr, i64)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyBytes_AsString(ptr)
declare i64 @PyList_Size(ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyLong_FromSsize_t(i64)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyErr_Occurred()
declare ptr @PyErr_NoMemory()
declare i32 @PyErr_ExceptionMatches(ptr)
declare void @PyErr_Clear()
declare ptr @PyObject_Type(ptr)
declare i32 @PyType_IsSubtype(ptr, ptr)
declare ptr @PyObject_CallFunctionObjArgs(ptr, ...)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyMem_Malloc(i64)
declare void @PyMem_Free(ptr)
declare void @Py_DecRef(ptr)

@PyList_Type = external global i8
@PyTuple_Type = external global i8
@PyFloat_Type = external global i8
@PyLong_Type = external global i8
@PyExc_TypeError = external global ptr
@PyExc_OverflowError = external global ptr

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

; Convert one number, held while it is converted; returns false where it is no float or integer, or, with the error set,
; where it cannot be converted. NumPy's complex numbers would convert as well, without their imaginary parts.
define internal i1 @convert(ptr %object, ptr %to) nounwind {
entry:
  %type = call ptr @PyObject_Type(ptr %object)
  %is.float = call i32 @PyType_IsSubtype(ptr %type, ptr @PyFloat_Type)
  %is.integer = call i32 @PyType_IsSubtype(ptr %type, ptr @PyLong_Type)
  call void @Py_DecRef(ptr %type)
  %is.either = or i32 %is.float, %is.integer
  %plain = icmp ne i32 %is.either, 0
  br i1 %plain, label %read, label %other
other:
  ret i1 false
read:
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
  %object = call ptr @PyList_GetItemRef(ptr %list, i64 %i)
  %gone = icmp eq ptr %object, null
  br i1 %gone, label %bad, label %item
item:
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

define ptr @alkahest_any(ptr %self, ptr %args, i64 %nargs) nounwind {
entry:
  %stack = alloca [ON_STACK x double]
  %boxed = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %record = call ptr @PyBytes_AsString(ptr %boxed)
  %does.at = getelementptr i8, ptr %record, i64 32
  %does = load i64, ptr %does.at
  %back = and i64 %does, FALLS_BACK
  %falls.back = icmp ne i64 %back, 0
  br i1 %falls.back, label %hand.over, label %here
hand.over:
  %fallback = call ptr @PyTuple_GetItem(ptr %self, i64 2)
  %handed = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %nargs, ptr null)
  ret ptr %handed
here:
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
  %in = phi ptr [%stack, %here], [%heap, %allocate]
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
  br i1 %ok, label %evaluate, label %no.number
no.number:
  %error = call ptr @PyErr_Occurred()
  %unread = icmp eq ptr %error, null
  br i1 %unread, label %ask, label %match
match:
  %type.error = load ptr, ptr @PyExc_TypeError
  %is.type.error = call i32 @PyErr_ExceptionMatches(ptr %type.error)
  %overflow = load ptr, ptr @PyExc_OverflowError
  %is.overflow = call i32 @PyErr_ExceptionMatches(ptr %overflow)
  %of.either = or i32 %is.type.error, %is.overflow
  %is.either = icmp ne i32 %of.either, 0
  br i1 %is.either, label %tell, label %finish
tell:
  call void @PyErr_Clear()
  br label %ask
ask:
  %careful = call ptr @PyTuple_GetItem(ptr %self, i64 2)
  %told = call ptr @PyObject_Vectorcall(ptr %careful, ptr %args, i64 %nargs, ptr null)
  br label %finish
evaluate:
  call void %code(ptr %in, ptr %out, ptr %context)
  %packed = call ptr @pack(ptr %out, i64 %n_out)
  br label %finish
finish:
  %result = phi ptr [null, %arity], [null, %match], [%told, %ask], [%packed, %evaluate]
  br i1 %many, label %release, label %return
release:
  call void @PyMem_Free(ptr %in)
  br label %return
return:
  ret ptr %result
}
""".replace("ON_STACK", str(NUMBERS_ON_STACK)).replace("FALLS_BACK", str(FALLS_BACK))

# Before 3.13 nothing but the global lock keeps an item alive until it is held; from then on this is Python's own.
GET_ITEM = "declare ptr @PyList_GetItemRef(ptr, i64)"
GET_ITEM_HERE = """
declare ptr @PyList_GetItem(ptr, i64)
declare void @Py_IncRef(ptr)

define internal ptr @PyList_GetItemRef(ptr %list, i64 %i) nounwind {
entry:
  %object = call ptr @PyList_GetItem(ptr %list, i64 %i)
  %gone = icmp eq ptr %object, null
  br i1 %gone, label %done, label %hold
hold:
  call void @Py_IncRef(ptr %object)
  br label %done
done:
  ret ptr %object
}
"""
