"""The machine itself: brings columns, places and a program together, and runs the program over block after block."""

from __future__ import annotations

from alkahest_llvm.blocks.forms import Setting
from alkahest_llvm.targets import PREFETCH_DISTANCE

# The machine's functions: one runs a program over blocks, one over cells, and one is the kernel that ends a program.
BLOCKS, CELLS, HALT = "alkahest_blocks", "alkahest_cells", "alkahest_halt"

LARGEST_CELLS = 8192  # places of the largest program that runs over cells, in memory of the caller's stack

_MOST_PREFETCHED = 16  # columns

RUN = """
; Runs a program once: each kernel returns the place of the next record.
define internal void @run(ptr %program, ptr %kernels, ptr %places, i64 %bytes) alwaysinline nounwind {
entry:
  br label %record
record:
  %at = phi ptr [%program, %entry], [%next, %record]
  %number = load i64, ptr %at
  %kernel.at = getelementptr i8, ptr %kernels, i64 %number
  %kernel = load ptr, ptr %kernel.at
  %next = call ptr %kernel(ptr %at, ptr %places, i64 %bytes)
  %halted = icmp eq ptr %next, null
  br i1 %halted, label %done, label %record
done:
  ret void
}
"""

# The record of both functions, in words: the program, its table of kernels, the number of input columns, of all
# columns, of places; for blocks also the bytes of a block, and where in the frame the blocks of temporaries and of
# inputs begin.
_HALT_TEXT = """
define ptr @alkahest_halt(ptr %at, ptr %places, i64 %bytes) nounwind {
  ret ptr null
}
"""

_BLOCKS_TEXT = """
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)

; Copies groups of numbers; a step of 0 repeats the first.
define internal void @copy(ptr %to, ptr %from, i64 %bytes, i64 %step) nounwind {
entry:
  br label %next
next:
  %i = phi i64 [0, %entry], [%i1, %next]
  %source = phi ptr [%from, %entry], [%source1, %next]
  %group = load GROUP, ptr %source, align 1
  %target = getelementptr i8, ptr %to, i64 %i
  store GROUP %group, ptr %target, align 1
  %i1 = add i64 %i, GROUP_BYTES
  %source1 = getelementptr i8, ptr %source, i64 %step
  %more = icmp ult i64 %i1, %bytes
  br i1 %more, label %next, label %done
done:
  ret void
}

; Where the first of the outputs begins in memory, and where the last one ends.
define internal { i64, i64 } @extent(ptr %columns, i64 %n.in, i64 %n, i64 %bytes) nounwind {
entry:
  br label %next
next:
  %k = phi i64 [%n.in, %entry], [%k1, %next]
  %low = phi i64 [-1, %entry], [%low1, %next]
  %high = phi i64 [0, %entry], [%high1, %next]
  %p = getelementptr { ptr, i64 }, ptr %columns, i64 %k
  %address = load i64, ptr %p
  %end = add i64 %address, %bytes
  %lower = icmp ult i64 %address, %low
  %low1 = select i1 %lower, i64 %address, i64 %low
  %higher = icmp ugt i64 %end, %high
  %high1 = select i1 %higher, i64 %end, i64 %high
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %next, label %done
done:
  %a = insertvalue { i64, i64 } poison, i64 %low1, 0
  %b = insertvalue { i64, i64 } %a, i64 %high1, 1
  ret { i64, i64 } %b
}

; Asks for the memory that the columns come to soon: the processor's own prefetching stops at the end of each page.
define internal void @prefetch(ptr %places, i64 %n.in, i64 %n, i64 %bytes) nounwind {
entry:
  br label %column
column:
  %k = phi i64 [0, %entry], [%k1, %column.end]
  %place = getelementptr ptr, ptr %places, i64 %k
  %here = load ptr, ptr %place
  %ahead = getelementptr i8, ptr %here, i64 DISTANCE
  %is.input = icmp ult i64 %k, %n.in
  br i1 %is.input, label %to.read, label %to.write
to.read:
  %i = phi i64 [0, %column], [%i1, %to.read]
  %line = getelementptr i8, ptr %ahead, i64 %i
  call void @llvm.prefetch.p0(ptr %line, i32 0, i32 3, i32 1)
  %i1 = add i64 %i, 64
  %i.more = icmp ult i64 %i1, %bytes
  br i1 %i.more, label %to.read, label %column.end
to.write:
  %j = phi i64 [0, %column], [%j1, %to.write]
  %own = getelementptr i8, ptr %ahead, i64 %j
  call void @llvm.prefetch.p0(ptr %own, i32 1, i32 3, i32 1)
  %j1 = add i64 %j, 64
  %j.more = icmp ult i64 %j1, %bytes
  br i1 %j.more, label %to.write, label %column.end
column.end:
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %column, label %done
done:
  ret void
}

; In the frame: for each place the pointer to its numbers, for each column the bytes by which that moves from block to
; block, for each input the column that is copied into its own block each time, or null.
;
; An input of stride 0 is one group of equal numbers: it fills its own block once. An input in the memory of the outputs
; is copied block by block, because a program may store an output before it has read all its inputs.
define void @alkahest_blocks(i64 %groups, ptr %columns, ptr %memory, ptr %record) nounwind {
entry:
  %r1 = getelementptr i64, ptr %record, i64 1
  %r2 = getelementptr i64, ptr %record, i64 2
  %r3 = getelementptr i64, ptr %record, i64 3
  %r4 = getelementptr i64, ptr %record, i64 4
  %r5 = getelementptr i64, ptr %record, i64 5
  %r6 = getelementptr i64, ptr %record, i64 6
  %r7 = getelementptr i64, ptr %record, i64 7
  %program = load ptr, ptr %record
  %kernels = load ptr, ptr %r1
  %n.in = load i64, ptr %r2
  %n = load i64, ptr %r3
  %n.places = load i64, ptr %r4
  %block = load i64, ptr %r5
  %temporaries.from = load i64, ptr %r6
  %inputs.from = load i64, ptr %r7
  %unaligned = ptrtoint ptr %memory to i64
  %raised = add i64 %unaligned, 63
  %aligned = and i64 %raised, -64
  %places = inttoptr i64 %aligned to ptr
  %steps = getelementptr i64, ptr %places, i64 %n.places
  %sources = getelementptr i64, ptr %steps, i64 %n
  %temporaries = getelementptr i8, ptr %places, i64 %temporaries.from
  %inputs = getelementptr i8, ptr %places, i64 %inputs.from
  %total = mul i64 %groups, GROUP_BYTES
  %short = icmp ult i64 %total, %block
  %first = select i1 %short, i64 %total, i64 %block
  %extent = call { i64, i64 } @extent(ptr %columns, i64 %n.in, i64 %n, i64 %total)
  %low = extractvalue { i64, i64 } %extent, 0
  %high = extractvalue { i64, i64 } %extent, 1
  br label %column
column:
  %k = phi i64 [0, %entry], [%k1, %placed]
  %copies = phi i1 [false, %entry], [%copies1, %placed]
  %p = getelementptr { ptr, i64 }, ptr %columns, i64 %k
  %p.stride = getelementptr { ptr, i64 }, ptr %p, i64 0, i32 1
  %address = load ptr, ptr %p
  %stride = load i64, ptr %p.stride
  %place = getelementptr ptr, ptr %places, i64 %k
  %step = getelementptr i64, ptr %steps, i64 %k
  %is.input = icmp ult i64 %k, %n.in
  br i1 %is.input, label %input, label %direct
input:
  %own.offset = mul i64 %k, %block
  %own = getelementptr i8, ptr %inputs, i64 %own.offset
  %source = getelementptr ptr, ptr %sources, i64 %k
  store ptr null, ptr %source
  %repeated = icmp eq i64 %stride, 0
  br i1 %repeated, label %fill, label %varies
fill:
  call void @copy(ptr %own, ptr %address, i64 %first, i64 0)
  br label %in.own
varies:
  %begin = ptrtoint ptr %address to i64
  %end = add i64 %begin, %total
  %before = icmp ult i64 %begin, %high
  %after = icmp ugt i64 %end, %low
  %shared = and i1 %before, %after
  br i1 %shared, label %copied, label %direct
copied:
  store ptr %address, ptr %source
  br label %in.own
in.own:
  %is.copied = phi i1 [false, %fill], [true, %copied]
  store ptr %own, ptr %place
  store i64 0, ptr %step
  br label %placed
direct:
  store ptr %address, ptr %place
  store i64 %block, ptr %step
  br label %placed
placed:
  %copied.here = phi i1 [%is.copied, %in.own], [false, %direct]
  %copies1 = or i1 %copies, %copied.here
  %k1 = add i64 %k, 1
  %more.columns = icmp ult i64 %k1, %n
  br i1 %more.columns, label %column, label %temporary
temporary:
  %t = phi i64 [%k1, %placed], [%t1, %temporary.one]
  %t.block = phi ptr [%temporaries, %placed], [%t.block1, %temporary.one]
  %more.places = icmp ult i64 %t, %n.places
  br i1 %more.places, label %temporary.one, label %loop
temporary.one:
  %t.place = getelementptr ptr, ptr %places, i64 %t
  store ptr %t.block, ptr %t.place
  %t.block1 = getelementptr i8, ptr %t.block, i64 %block
  %t1 = add i64 %t, 1
  br label %temporary

loop:
  %left = phi i64 [%total, %temporary], [%left1, %moved]
  %last = icmp ult i64 %left, %block
  %bytes = select i1 %last, i64 %left, i64 %block
  br i1 %copies, label %look, label %ready
look:
  %c = phi i64 [0, %loop], [%c1, %looked]
  %c.source = getelementptr ptr, ptr %sources, i64 %c
  %from = load ptr, ptr %c.source
  %none = icmp eq ptr %from, null
  br i1 %none, label %looked, label %refresh
refresh:
  %c.place = getelementptr ptr, ptr %places, i64 %c
  %to = load ptr, ptr %c.place
  call void @copy(ptr %to, ptr %from, i64 %bytes, i64 GROUP_BYTES)
  %from1 = getelementptr i8, ptr %from, i64 %bytes
  store ptr %from1, ptr %c.source
  br label %looked
looked:
  %c1 = add i64 %c, 1
  %more.inputs = icmp ult i64 %c1, %n.in
  br i1 %more.inputs, label %look, label %ready
ready:
  %few = icmp ule i64 %n, PREFETCHED
  br i1 %few, label %ask, label %start
ask:
  call void @prefetch(ptr %places, i64 %n.in, i64 %n, i64 %bytes)
  br label %start
start:
  call void @run(ptr %program, ptr %kernels, ptr %places, i64 %bytes)
  br label %move
move:
  %m = phi i64 [0, %start], [%m1, %move]
  %m.place = getelementptr i64, ptr %places, i64 %m
  %m.step = getelementptr i64, ptr %steps, i64 %m
  %here = load i64, ptr %m.place
  %by = load i64, ptr %m.step
  %there = add i64 %here, %by
  store i64 %there, ptr %m.place
  %m1 = add i64 %m, 1
  %more.moves = icmp ult i64 %m1, %n
  br i1 %more.moves, label %move, label %moved
moved:
  %left1 = sub i64 %left, %bytes
  %more = icmp ne i64 %left1, 0
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

_CELLS_TEXT = """
define void @alkahest_cells(ptr %in, ptr %out, ptr %record) nounwind {
entry:
  %r1 = getelementptr i64, ptr %record, i64 1
  %r2 = getelementptr i64, ptr %record, i64 2
  %r3 = getelementptr i64, ptr %record, i64 3
  %r4 = getelementptr i64, ptr %record, i64 4
  %program = load ptr, ptr %record
  %kernels = load ptr, ptr %r1
  %n.in = load i64, ptr %r2
  %n = load i64, ptr %r3
  %n.places = load i64, ptr %r4
  %places = alloca i64, i64 %n.places, align 16
  br label %read
read:
  %k = phi i64 [0, %entry], [%k1, %read.one]
  %more.in = icmp ult i64 %k, %n.in
  br i1 %more.in, label %read.one, label %start
read.one:
  %from = getelementptr double, ptr %in, i64 %k
  %x = load double, ptr %from
  %number = TO_REAL
  %to = getelementptr i64, ptr %places, i64 %k
  store REAL %number, ptr %to
  %k1 = add i64 %k, 1
  br label %read
start:
  call void @run(ptr %program, ptr %kernels, ptr %places, i64 0)
  br label %write
write:
  %m = phi i64 [%n.in, %start], [%m1, %write.one]
  %result.to = phi ptr [%out, %start], [%result.to1, %write.one]
  %more.out = icmp ult i64 %m, %n
  br i1 %more.out, label %write.one, label %done
write.one:
  %result.at = getelementptr i64, ptr %places, i64 %m
  %result = load REAL, ptr %result.at
  %y = FROM_REAL
  store double %y, ptr %result.to
  %m1 = add i64 %m, 1
  %result.to1 = getelementptr double, ptr %result.to, i64 1
  br label %write
done:
  ret void
}
"""


def machine_text(setting: Setting) -> str:
    """Return the IR of the machine for one setting: `HALT`, and `BLOCKS` or `CELLS`.

    The former has the signature of batch code (see `loading.batch_entry`), the latter that of scalar code; both are
    handed the address of a record as context.
    """
    double = setting.real == "double"
    words = {
        "GROUP_BYTES": str(setting.group_bytes),
        "GROUP": f"<{setting.lanes} x {setting.real}>",
        "DISTANCE": str(PREFETCH_DISTANCE),
        "PREFETCHED": str(_MOST_PREFETCHED),
        "TO_REAL": "bitcast double %x to double" if double else "fptrunc double %x to float",
        "FROM_REAL": "bitcast double %result to double" if double else "fpext float %result to double",
        "REAL": setting.real,
    }
    text = _HALT_TEXT + RUN + (_BLOCKS_TEXT if setting.blocks else _CELLS_TEXT)
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text
