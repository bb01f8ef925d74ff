"""IR of the scalar entry for floats and ints, which are read where they lie."""

from __future__ import annotations

# `alkahest_call(self, args, nargs)`: the same for numbers that can be read without running Python code, of a list, a
# tuple or the arguments: floats, subclasses of float (whose value is at the same place) and ints that fit. All other
# calls, and those after the counter has run out, are `alkahest_any`'s. `alkahest_call_or_hand_over` is the same with
# keywords, which are the fallback's. Words in capitals are offsets of `ObjectLayout`.
SHORT = """
declare ptr @alkahest_any(ptr, ptr, i64)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare double @PyLong_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyList_New(i64)
declare i32 @PyType_IsSubtype(ptr, ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare void @Py_DecRef(ptr)

@PyList_Type = external global i8
@PyTuple_Type = external global i8
@PyFloat_Type = external global i8
@PyLong_Type = external global i8

define ptr @alkahest_call(ptr %self, ptr %args, i64 %nargs) nounwind {
entry:
  %numbers = alloca [ON_STACK x double]
  %boxed.at = getelementptr i8, ptr %self, i64 TUPLE_ITEMS
  %boxed = load ptr, ptr %boxed.at
  %record = getelementptr i8, ptr %boxed, i64 BYTES_START
  %n_in.at = getelementptr i8, ptr %record, i64 8
  %n_in = load i64, ptr %n_in.at
  %n_out.at = getelementptr i8, ptr %record, i64 16
  %n_out = load i64, ptr %n_out.at
  %does.at = getelementptr i8, ptr %record, i64 32
  %does = load i64, ptr %does.at
  %total = add i64 %n_in, %n_out
  %fits = icmp ule i64 %total, ON_STACK
  br i1 %fits, label %look, label %other
look:
  %lists = and i64 %does, TAKES_LIST
  %takes.list = icmp ne i64 %lists, 0
  %alone = icmp eq i64 %nargs, 1
  %may.be.list = and i1 %takes.list, %alone
  br i1 %may.be.list, label %inspect, label %loose
inspect:
  %only = load ptr, ptr %args
  %type.at = getelementptr i8, ptr %only, i64 TYPE
  %type = load ptr, ptr %type.at
  %is.list = icmp eq ptr %type, @PyList_Type
  br i1 %is.list, label %list, label %no.list
list:
  %list.at = getelementptr i8, ptr %only, i64 LIST_ITEMS
  %list.items = load ptr, ptr %list.at
  br label %sized
no.list:
  %is.tuple = icmp eq ptr %type, @PyTuple_Type
  br i1 %is.tuple, label %tuple, label %loose
tuple:
  %tuple.items = getelementptr i8, ptr %only, i64 TUPLE_ITEMS
  br label %sized
sized:
  %sized.items = phi ptr [%list.items, %list], [%tuple.items, %tuple]
  %size.at = getelementptr i8, ptr %only, i64 SIZE
  %size = load i64, ptr %size.at
  br label %count
loose:
  %loosely = and i64 %does, TAKES_NUMBERS
  %takes.numbers = icmp ne i64 %loosely, 0
  br i1 %takes.numbers, label %count, label %other
count:
  %items = phi ptr [%sized.items, %sized], [%args, %loose]
  %given = phi i64 [%size, %sized], [%nargs, %loose]
  %right = icmp eq i64 %given, %n_in
  br i1 %right, label %start, label %other
start:
  %none = icmp eq i64 %n_in, 0
  br i1 %none, label %all, label %next
next:
  %i = phi i64 [0, %start], [%i1, %store]
  %item.at = getelementptr ptr, ptr %items, i64 %i
  %item = load ptr, ptr %item.at
  %kind.at = getelementptr i8, ptr %item, i64 TYPE
  %kind = load ptr, ptr %kind.at
  %is.float = icmp eq ptr %kind, @PyFloat_Type
  br i1 %is.float, label %float, label %no.float
no.float:
  %is.int = icmp eq ptr %kind, @PyLong_Type
  br i1 %is.int, label %integer, label %derived
derived:
  %subtype = call i32 @PyType_IsSubtype(ptr %kind, ptr @PyFloat_Type)
  %is.derived = icmp ne i32 %subtype, 0
  br i1 %is.derived, label %float, label %other
float:
  %value.at = getelementptr i8, ptr %item, i64 FLOAT_VALUE
  %x = load double, ptr %value.at
  br label %store
integer:
  %whole = call double @PyLong_AsDouble(ptr %item)
  %suspect = fcmp oeq double %whole, -1.0
  br i1 %suspect, label %ask, label %store
ask:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %store, label %too.large
too.large:
  call void @PyErr_Clear()
  br label %other
store:
  %value = phi double [%x, %float], [%whole, %integer], [%whole, %ask]
  %place = getelementptr double, ptr %numbers, i64 %i
  store double %value, ptr %place
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n_in
  br i1 %more, label %next, label %all
all:
  %counter.at = getelementptr i8, ptr %record, i64 40
  %counter = load ptr, ptr %counter.at
  %uncounted = icmp eq ptr %counter, null
  br i1 %uncounted, label %evaluate, label %counted
counted:
  %left = load i64, ptr %counter
  %spent = icmp sle i64 %left, 0
  br i1 %spent, label %other, label %use
use:
  %fewer = sub i64 %left, 1
  store i64 %fewer, ptr %counter
  br label %evaluate
evaluate:
  %code = load ptr, ptr %record
  %context.at = getelementptr i8, ptr %record, i64 24
  %context = load ptr, ptr %context.at
  %out = getelementptr double, ptr %numbers, i64 %n_in
  call void %code(ptr %numbers, ptr %out, ptr %context)
  %listed = and i64 %does, GIVES_LIST
  %no.list.of.one = icmp eq i64 %listed, 0
  %one.output = icmp eq i64 %n_out, 1
  %single = and i1 %one.output, %no.list.of.one
  br i1 %single, label %one, label %several
one:
  %y = load double, ptr %out
  %result = call ptr @PyFloat_FromDouble(double %y)
  ret ptr %result
several:
  %results = call ptr @PyList_New(i64 %n_out)
  %failed = icmp eq ptr %results, null
  br i1 %failed, label %bad, label %check
check:
  %empty = icmp eq i64 %n_out, 0
  br i1 %empty, label %good, label %pack
pack:
  %m = phi i64 [0, %check], [%m1, %set]
  %out.at = getelementptr double, ptr %out, i64 %m
  %z = load double, ptr %out.at
  %boxed.z = call ptr @PyFloat_FromDouble(double %z)
  %lost = icmp eq ptr %boxed.z, null
  br i1 %lost, label %drop, label %set
set:
  %results.at = getelementptr i8, ptr %results, i64 LIST_ITEMS
  %slots = load ptr, ptr %results.at
  %slot = getelementptr ptr, ptr %slots, i64 %m
  store ptr %boxed.z, ptr %slot
  %m1 = add i64 %m, 1
  %unpacked = icmp ult i64 %m1, %n_out
  br i1 %unpacked, label %pack, label %good
good:
  ret ptr %results
drop:
  call void @Py_DecRef(ptr %results)
  br label %bad
bad:
  ret ptr null
other:
  %elsewhere = call ptr @alkahest_any(ptr %self, ptr %args, i64 %nargs)
  ret ptr %elsewhere
}

define ptr @alkahest_call_or_hand_over(ptr %self, ptr %args, i64 %nargs, ptr %keywords) nounwind {
entry:
  %plain = icmp eq ptr %keywords, null
  br i1 %plain, label %call, label %hand.over
call:
  %result = tail call ptr @alkahest_call(ptr %self, ptr %args, i64 %nargs)
  ret ptr %result
hand.over:
  %fallback.at = getelementptr i8, ptr %self, i64 FALLBACK_AT
  %fallback = load ptr, ptr %fallback.at
  %handed = tail call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %nargs, ptr %keywords)
  ret ptr %handed
}
"""
