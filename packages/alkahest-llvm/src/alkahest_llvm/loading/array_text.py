"""The IR of the array entry; `entries` fills in its words in capitals."""

# `alkahest_arrays(self, args, nargs)`, a METH_FASTCALL function of the result and the inputs. `self` is a tuple that
# begins with a record in a bytes object, of the words that `_Record` names. `alkahest_share` has an argument before
# these: the address, as an int, of three words that all threads of a batch share: the point to go on from, how many
# points to take at a time, and how many are done. `alkahest_linger` has the address of a word, and lets other threads
# run until the word is not zero, or for the time of LINGER cycles.
#
# It takes objects of one type exactly (a subclass may mean something else by its memory), of one element type, and
# floats. The result is contiguous. An input has the result's shape and is contiguous or has one axis; or it is one
# number. It returns the result, or None where something is otherwise, with nothing written. It calls the driver, which
# stands in the same module.
ENTRY = """
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyObject_Type(ptr)
declare ptr @PyLong_AsVoidPtr(ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare i32 @PyBuffer_IsContiguous(ptr, i8)
declare void @PyBuffer_Release(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare double @PyFloat_AsDouble(ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_NoMemory()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare i64 @llvm.readcyclecounter()
PAUSE.DECLARED

@_Py_NoneStruct = external global i8
@PyFloat_Type = external global i8

; Get the buffer of an object of the type, with elements of the format: writable where flags say so. A buffer is
; buf, obj, len, itemsize, readonly and ndim, format, shape, strides, suboffsets, internal.
define internal i1 @open(ptr %object, ptr %type, i8 %letter, i32 %flags, ptr %view) nounwind {
entry:
  %its.type = call ptr @PyObject_Type(ptr %object)
  call void @Py_DecRef(ptr %its.type)
  %right = icmp eq ptr %its.type, %type
  br i1 %right, label %ask, label %no
ask:
  %status = call i32 @PyObject_GetBuffer(ptr %object, ptr %view, i32 %flags)
  %refused = icmp ne i32 %status, 0
  br i1 %refused, label %clear, label %look
clear:
  call void @PyErr_Clear()
  ret i1 false
look:
  %format.at = getelementptr i8, ptr %view, i64 40
  %format = load ptr, ptr %format.at
  %unknown = icmp eq ptr %format, null
  br i1 %unknown, label %wrong, label %spell
spell:
  %first = load i8, ptr %format
  %is.letter = icmp eq i8 %first, %letter
  br i1 %is.letter, label %end, label %wrong
end:
  %second.at = getelementptr i8, ptr %format, i64 1
  %second = load i8, ptr %second.at
  %is.end = icmp eq i8 %second, 0
  br i1 %is.end, label %good, label %wrong
good:
  ret i1 true
wrong:
  call void @PyBuffer_Release(ptr %view)
  br label %no
no:
  ret i1 false
}

; Make the buffer of a float: one number, at %number, which nobody has to give back.
define internal i1 @open_float(ptr %object, ptr %number, ptr %view, i64 %itemsize) nounwind {
entry:
  %type = call ptr @PyObject_Type(ptr %object)
  call void @Py_DecRef(ptr %type)
  %right = icmp eq ptr %type, @PyFloat_Type
  br i1 %right, label %fill, label %no
fill:
  %value = call double @PyFloat_AsDouble(ptr %object)
  %real = ROUND double %value to REAL
  store REAL %real, ptr %number
  store ptr %number, ptr %view
  %owner.at = getelementptr i8, ptr %view, i64 8
  store ptr null, ptr %owner.at
  %len.at = getelementptr i8, ptr %view, i64 16
  store i64 %itemsize, ptr %len.at
  %ndim.at = getelementptr i8, ptr %view, i64 36
  store i32 0, ptr %ndim.at
  ret i1 true
no:
  ret i1 false
}

define internal i1 @same_shape(ptr %one, ptr %other, i64 %ndim) nounwind {
entry:
  %none = icmp eq i64 %ndim, 0
  br i1 %none, label %yes, label %next
next:
  %i = phi i64 [0, %entry], [%i1, %equal]
  %one.at = getelementptr i64, ptr %one, i64 %i
  %other.at = getelementptr i64, ptr %other, i64 %i
  %one.length = load i64, ptr %one.at
  %other.length = load i64, ptr %other.at
  %same = icmp eq i64 %one.length, %other.length
  br i1 %same, label %equal, label %no
equal:
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %ndim
  br i1 %more, label %next, label %yes
yes:
  ret i1 true
no:
  ret i1 false
}

define internal i64 @ndim(ptr %view) nounwind {
  %at = getelementptr i8, ptr %view, i64 36
  %ndim = load i32, ptr %at
  %wide = sext i32 %ndim to i64
  ret i64 %wide
}

; The byte stride that walks an input over a result of %ndim axes and lengths %shape; -1, which no array of numbers
; has, where there is none. %whole is set where the input has the result's shape.
define internal i64 @stride(ptr %view, i64 %ndim, ptr %shape, i64 %itemsize, ptr %whole) nounwind {
entry:
  %own.ndim = call i64 @ndim(ptr %view)
  %shape.at = getelementptr i8, ptr %view, i64 48
  %own.shape = load ptr, ptr %shape.at
  %len.at = getelementptr i8, ptr %view, i64 16
  %len = load i64, ptr %len.at
  %same.ndim = icmp eq i64 %own.ndim, %ndim
  br i1 %same.ndim, label %compare, label %one
compare:
  %same = call i1 @same_shape(ptr %own.shape, ptr %shape, i64 %ndim)
  br i1 %same, label %full, label %one
full:
  store i1 true, ptr %whole
  %contiguous = call i32 @PyBuffer_IsContiguous(ptr %view, i8 67)
  %adjacent = icmp ne i32 %contiguous, 0
  br i1 %adjacent, label %step, label %strided
step:
  ret i64 %itemsize
strided:
  %flat = icmp eq i64 %ndim, 1
  br i1 %flat, label %given, label %none
given:
  %strides.at = getelementptr i8, ptr %view, i64 56
  %strides = load ptr, ptr %strides.at
  %stride = load i64, ptr %strides
  ret i64 %stride
one:
  %single = icmp eq i64 %len, %itemsize
  %fewer = icmp ule i64 %own.ndim, %ndim
  %repeats = and i1 %single, %fewer
  br i1 %repeats, label %repeated, label %none
repeated:
  ret i64 0
none:
  ret i64 -1
}

; Evaluate part after part of a batch, as long as there are any that no other thread has taken. Then stay for the time
; of a few more, until the other threads are done as well: whoever is told that need not ask them through Python.
define internal i32 @drive_parts(ptr %shared, i64 %n, ptr %table, i64 %n_in, i64 %n_out, ptr %code, i64 %lanes,
                                 i64 %frame, ptr %context) nounwind {
entry:
  %moved = alloca [MOST_COLUMNS x [2 x i64]], align 8
  %total = add i64 %n_in, %n_out
  %step.at = getelementptr i64, ptr %shared, i64 1
  %step = load i64, ptr %step.at
  %done.at = getelementptr i64, ptr %shared, i64 2
  br label %take
take:
  %first = atomicrmw add ptr %shared, i64 %step monotonic
  %left = sub i64 %n, %first
  %none = icmp sle i64 %left, 0
  br i1 %none, label %stay, label %part
part:
  %last = icmp slt i64 %left, %step
  %count = select i1 %last, i64 %left, i64 %step
  br label %move
move:
  %k = phi i64 [0, %part], [%k1, %move]
  %from = getelementptr [2 x i64], ptr %table, i64 %k
  %address = load i64, ptr %from
  %from.stride = getelementptr i64, ptr %from, i64 1
  %stride = load i64, ptr %from.stride
  %skip = mul i64 %stride, %first
  %start = add i64 %address, %skip
  %to = getelementptr [2 x i64], ptr %moved, i64 %k
  store i64 %start, ptr %to
  %to.stride = getelementptr i64, ptr %to, i64 1
  store i64 %stride, ptr %to.stride
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %total
  br i1 %more, label %move, label %run
run:
  %status = call i32 @alkahest_drive_part(i64 %count, i64 %n, ptr %moved, i64 %n_in, i64 %n_out, ptr %code,
                                          i64 %lanes, i64 %frame, ptr %context)
  %good = icmp eq i32 %status, 0
  br i1 %good, label %count.done, label %fail
count.done:
  %before = atomicrmw add ptr %done.at, i64 %count release
  br label %take
stay:
  %look = phi i64 [0, %take], [%look1, %again]
  %done = load atomic i64, ptr %done.at acquire, align 8
  %missing = icmp slt i64 %done, %n
  br i1 %missing, label %again, label %leave
again:
  %look1 = add i64 %look, 1
  %patient = icmp ult i64 %look1, LOOKS
  br i1 %patient, label %stay, label %leave
leave:
  ret i32 0
fail:
  ret i32 %status
}

define ptr @alkahest_linger(ptr %self, ptr %args, i64 %nargs) nounwind {
entry:
  %boxed = load ptr, ptr %args
  %word = call ptr @PyLong_AsVoidPtr(ptr %boxed)
  %thread = call ptr @PyEval_SaveThread()
  %begin = call i64 @llvm.readcyclecounter()
  br label %look
look:
  %value = load atomic i64, ptr %word acquire, align 8
  %called = icmp ne i64 %value, 0
  %now = call i64 @llvm.readcyclecounter()
  %waited = sub i64 %now, %begin
  %late = icmp uge i64 %waited, LINGER
  %over = or i1 %called, %late
  br i1 %over, label %done, label %pause
pause:
  PAUSE
  br label %look
done:
  call void @PyEval_RestoreThread(ptr %thread)
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
}

define ptr @alkahest_share(ptr %self, ptr %args, i64 %nargs) nounwind {
entry:
  %some = icmp ugt i64 %nargs, 0
  br i1 %some, label %share, label %nothing
share:
  %boxed = load ptr, ptr %args
  %shared = call ptr @PyLong_AsVoidPtr(ptr %boxed)
  %rest = getelementptr ptr, ptr %args, i64 1
  %fewer = sub i64 %nargs, 1
  %result = call ptr @evaluate(ptr %self, ptr %rest, i64 %fewer, ptr %shared)
  ret ptr %result
nothing:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
}

define ptr @alkahest_arrays(ptr %self, ptr %args, i64 %nargs) nounwind {
  %result = call ptr @evaluate(ptr %self, ptr %args, i64 %nargs, ptr null)
  ret ptr %result
}

define internal ptr @evaluate(ptr %self, ptr %args, i64 %nargs, ptr %shared) nounwind {
entry:
  %views = alloca [MOST_ARRAYS x [80 x i8]], align 8
  %table = alloca [MOST_COLUMNS x [2 x i64]], align 8
  %floats = alloca [MOST_ARRAYS x REAL], align 8
  %whole = alloca i1
  store i1 false, ptr %whole
  %boxed = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %record = call ptr @PyBytes_AsString(ptr %boxed)
  %code = load ptr, ptr %record
  %n_in.at = getelementptr i8, ptr %record, i64 8
  %n_in = load i64, ptr %n_in.at
  %n_out.at = getelementptr i8, ptr %record, i64 16
  %n_out = load i64, ptr %n_out.at
  %context.at = getelementptr i8, ptr %record, i64 24
  %context = load ptr, ptr %context.at
  %lanes.at = getelementptr i8, ptr %record, i64 32
  %lanes = load i64, ptr %lanes.at
  %frame.at = getelementptr i8, ptr %record, i64 40
  %frame = load i64, ptr %frame.at
  %letter.at = getelementptr i8, ptr %record, i64 48
  %letter = load i8, ptr %letter.at
  %itemsize.at = getelementptr i8, ptr %record, i64 56
  %itemsize = load i64, ptr %itemsize.at
  %short.at = getelementptr i8, ptr %record, i64 64
  %short = load i64, ptr %short.at
  %type.at = getelementptr i8, ptr %record, i64 72
  %type = load ptr, ptr %type.at
  %wanted = add i64 %n_in, 1
  %complete = icmp eq i64 %nargs, %wanted
  br i1 %complete, label %result, label %not.these
result:
  %out = load ptr, ptr %args
  %out.open = call i1 @open(ptr %out, ptr %type, i8 %letter, i32 29, ptr %views)
  br i1 %out.open, label %measure, label %not.these
measure:
  %out.ndim = call i64 @ndim(ptr %views)
  %out.shape.at = getelementptr i8, ptr %views, i64 48
  %out.shape = load ptr, ptr %out.shape.at
  %out.len.at = getelementptr i8, ptr %views, i64 16
  %out.len = load i64, ptr %out.len.at
  %out.contiguous = call i32 @PyBuffer_IsContiguous(ptr %views, i8 67)
  %out.adjacent = icmp ne i32 %out.contiguous, 0
  br i1 %out.adjacent, label %outputs, label %undo
outputs:
  %one.output = icmp eq i64 %n_out, 1
  br i1 %one.output, label %shaped, label %rows
rows:
  %has.rows = icmp ugt i64 %out.ndim, 0
  br i1 %has.rows, label %count.rows, label %undo
count.rows:
  %row.count = load i64, ptr %out.shape
  %right.rows = icmp eq i64 %row.count, %n_out
  br i1 %right.rows, label %inner, label %undo
inner:
  %inner.ndim = sub i64 %out.ndim, 1
  %inner.shape = getelementptr i64, ptr %out.shape, i64 1
  br label %shaped
shaped:
  %ndim = phi i64 [%out.ndim, %outputs], [%inner.ndim, %inner]
  %shape = phi ptr [%out.shape, %outputs], [%inner.shape, %inner]
  %row.bytes = udiv i64 %out.len, %n_out
  %n = udiv i64 %row.bytes, %itemsize
  br label %next
next:
  %k = phi i64 [1, %shaped], [%k1, %fits]
  %arg.at = getelementptr ptr, ptr %args, i64 %k
  %arg = load ptr, ptr %arg.at
  %view = getelementptr [80 x i8], ptr %views, i64 %k
  %arg.open = call i1 @open(ptr %arg, ptr %type, i8 %letter, i32 28, ptr %view)
  br i1 %arg.open, label %walk, label %number
number:
  %float.at = getelementptr REAL, ptr %floats, i64 %k
  %float.open = call i1 @open_float(ptr %arg, ptr %float.at, ptr %view, i64 %itemsize)
  br i1 %float.open, label %walk, label %undo
walk:
  %stride = call i64 @stride(ptr %view, i64 %ndim, ptr %shape, i64 %itemsize, ptr %whole)
  %k1 = add i64 %k, 1
  %strays = icmp eq i64 %stride, -1
  br i1 %strays, label %undo, label %fits
fits:
  %column = sub i64 %k, 1
  %pair = getelementptr [2 x i64], ptr %table, i64 %column
  %address = load ptr, ptr %view
  store ptr %address, ptr %pair
  %pair.stride = getelementptr i64, ptr %pair, i64 1
  store i64 %stride, ptr %pair.stride
  %more = icmp ule i64 %k1, %n_in
  br i1 %more, label %next, label %opened
opened:
  %any.whole = load i1, ptr %whole
  br i1 %any.whole, label %place, label %undo
place:
  %o = phi i64 [0, %opened], [%o1, %place]
  %out.address = load ptr, ptr %views
  %row.start = mul i64 %o, %row.bytes
  %row = getelementptr i8, ptr %out.address, i64 %row.start
  %out.column = add i64 %n_in, %o
  %out.pair = getelementptr [2 x i64], ptr %table, i64 %out.column
  store ptr %row, ptr %out.pair
  %out.pair.stride = getelementptr i64, ptr %out.pair, i64 1
  store i64 %itemsize, ptr %out.pair.stride
  %o1 = add i64 %o, 1
  %more.rows = icmp ult i64 %o1, %n_out
  br i1 %more.rows, label %place, label %run
run:
  %long = icmp ugt i64 %n, %short
  %in.parts = icmp ne ptr %shared, null
  %frees = or i1 %long, %in.parts
  br i1 %frees, label %free, label %held
free:
  %thread = call ptr @PyEval_SaveThread()
  br i1 %in.parts, label %parts, label %whole.batch
parts:
  %parts.status = call i32 @drive_parts(ptr %shared, i64 %n, ptr %table, i64 %n_in, i64 %n_out, ptr %code, i64 %lanes,
                                        i64 %frame, ptr %context)
  br label %freed
whole.batch:
  %free.status = call i32 @alkahest_drive(i64 %n, ptr %table, i64 %n_in, i64 %n_out, ptr %code, i64 %lanes,
                                          i64 %frame, ptr %context)
  br label %freed
freed:
  %freed.status = phi i32 [%parts.status, %parts], [%free.status, %whole.batch]
  call void @PyEval_RestoreThread(ptr %thread)
  br label %ran
held:
  %held.status = call i32 @alkahest_drive(i64 %n, ptr %table, i64 %n_in, i64 %n_out, ptr %code, i64 %lanes,
                                          i64 %frame, ptr %context)
  br label %ran
ran:
  %status = phi i32 [%freed.status, %freed], [%held.status, %held]
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %memory.error, label %give
memory.error:
  %ignored = call ptr @PyErr_NoMemory()
  br label %close
give:
  call void @Py_IncRef(ptr %out)
  br label %close
undo:
  %opened.so.far = phi i64 [1, %measure], [1, %rows], [1, %count.rows], [%k, %number], [%k1, %walk], [%k1, %opened]
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  br label %close
not.these:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
close:
  %answer = phi ptr [null, %memory.error], [%out, %give], [@_Py_NoneStruct, %undo]
  %open = phi i64 [%wanted, %memory.error], [%wanted, %give], [%opened.so.far, %undo]
  br label %release
release:
  %v = phi i64 [0, %close], [%v1, %release]
  %done.view = getelementptr [80 x i8], ptr %views, i64 %v
  call void @PyBuffer_Release(ptr %done.view)
  %v1 = add i64 %v, 1
  %more.views = icmp ult i64 %v1, %open
  br i1 %more.views, label %release, label %return
return:
  ret ptr %answer
}
"""
