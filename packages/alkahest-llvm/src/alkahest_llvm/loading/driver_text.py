"""The IR of the batch driver; `driver_text` fills in its words in capitals."""

from __future__ import annotations

from alkahest_llvm.targets import writes_past_caches

# Numbers of one column that are gathered at a time: all columns together should stay in the first-level cache.
_SCRATCH_BYTES = 32768
_LONGEST_CHUNK = 512

# `alkahest_drive(n, columns, n_in, n_out, kernel, lanes, frame_bytes, context)`; columns holds (address, stride) pairs,
# inputs first; the kernel wants frame_bytes of memory of its own, and is handed context as it is.
#
# Where every stride is the element size (inputs: or 0), the kernel runs in place over n / lanes blocks, reading a
# repeated value from a block filled with it. What is left of n, or all of it with other strides, goes through scratch
# columns in chunks: gathered, padded with its last number so that nothing outside is read, evaluated, scattered.
# Inputs of a chunk are all read before an output is written, so an output may be an input's memory.
# Returns 0, or 1 where no memory for scratch could be had. `alkahest_drive_part(n, all, …)` does so for n points of a
# batch of `all`.
_DRIVER = """
DECLARE_FENCE
declare ptr @malloc(i64)
declare void @free(ptr)
COPIES

; The place of column k in scratch, and its address and stride in the table of pairs.
define internal ptr @place(ptr %scratch, i64 %k, i64 %chunk) alwaysinline {
  %at = mul i64 %k, %chunk
  %p = getelementptr REAL, ptr %scratch, i64 %at
  ret ptr %p
}

; Fill the kernel's table for running in place from point `first` on: columns themselves, repeated values as a filled
; block of stride 0; outputs have %mark in place of a stride.
define internal void @table_in_place(ptr %table, ptr %columns, i64 %n_in, i64 %total, ptr %scratch, i64 %lanes,
                                     i64 %first, i64 %mark) nounwind {
entry:
  br label %next
next:
  %k = phi i64 [0, %entry], [%k1, %filled]
  %pair = mul i64 %k, 16
  %from = getelementptr i8, ptr %columns, i64 %pair
  %address = load ptr, ptr %from
  %from.stride = getelementptr i8, ptr %from, i64 8
  %stride = load i64, ptr %from.stride
  %to = getelementptr i8, ptr %table, i64 %pair
  %to.stride = getelementptr i8, ptr %to, i64 8
  %is.input = icmp ult i64 %k, %n_in
  %told = select i1 %is.input, i64 %stride, i64 %mark
  store i64 %told, ptr %to.stride
  %repeated = icmp eq i64 %stride, 0
  br i1 %repeated, label %fill, label %plain
fill:
  %block = call ptr @place(ptr %scratch, i64 %k, i64 %lanes)
  call void @gather(ptr %block, ptr %address, i64 0, i64 %lanes, i64 %lanes)
  br label %filled
plain:
  %skip = mul i64 %stride, %first
  %moved = getelementptr i8, ptr %address, i64 %skip
  br label %filled
filled:
  %where = phi ptr [%block, %fill], [%moved, %plain]
  store ptr %where, ptr %to
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %total
  br i1 %more, label %next, label %done
done:
  ret void
}

; Evaluate `count` points from `first` on through scratch columns of `chunk` numbers.
define internal void @through_scratch(i64 %first, i64 %count, ptr %columns, i64 %n_in, i64 %total, ptr %kernel,
                                      i64 %lanes, ptr %table, ptr %scratch, i64 %chunk, ptr %frame,
                                      ptr %context) nounwind {
entry:
  %up = add i64 %count, %lanes
  %up1 = sub i64 %up, 1
  %blocks = udiv i64 %up1, %lanes
  %padded = mul i64 %blocks, %lanes
  br label %in
in:
  %k = phi i64 [0, %entry], [%k1, %in.next]
  %pair = mul i64 %k, 16
  %to = getelementptr i8, ptr %table, i64 %pair
  %to.stride = getelementptr i8, ptr %to, i64 8
  %place = call ptr @place(ptr %scratch, i64 %k, i64 %chunk)
  store ptr %place, ptr %to
  store i64 SIZE, ptr %to.stride
  %is.input = icmp ult i64 %k, %n_in
  br i1 %is.input, label %collect, label %in.next
collect:
  %from = getelementptr i8, ptr %columns, i64 %pair
  %address = load ptr, ptr %from
  %from.stride = getelementptr i8, ptr %from, i64 8
  %stride = load i64, ptr %from.stride
  %skip = mul i64 %stride, %first
  %source = getelementptr i8, ptr %address, i64 %skip
  call void @gather(ptr %place, ptr %source, i64 %stride, i64 %count, i64 %padded)
  br label %in.next
in.next:
  %k1 = add i64 %k, 1
  %in.more = icmp ult i64 %k1, %total
  br i1 %in.more, label %in, label %run
run:
  call void %kernel(i64 %blocks, ptr %table, ptr %frame, ptr %context)
  %any.out = icmp ult i64 %n_in, %total
  br i1 %any.out, label %out, label %done
out:
  %m = phi i64 [%n_in, %run], [%m1, %out]
  %o.pair = mul i64 %m, 16
  %o.from = getelementptr i8, ptr %columns, i64 %o.pair
  %o.address = load ptr, ptr %o.from
  %o.from.stride = getelementptr i8, ptr %o.from, i64 8
  %o.stride = load i64, ptr %o.from.stride
  %o.skip = mul i64 %o.stride, %first
  %o.target = getelementptr i8, ptr %o.address, i64 %o.skip
  %o.place = call ptr @place(ptr %scratch, i64 %m, i64 %chunk)
  call void @scatter(ptr %o.target, ptr %o.place, i64 %o.stride, i64 %count)
  %m1 = add i64 %m, 1
  %out.more = icmp ult i64 %m1, %total
  br i1 %out.more, label %out, label %done
done:
  ret void
}

define i32 @alkahest_drive(i64 %n, ptr %columns, i64 %n_in, i64 %n_out, ptr %kernel, i64 %lanes,
                           i64 %frame.bytes, ptr %context) nounwind {
  %status = call i32 @alkahest_drive_part(i64 %n, i64 %n, ptr %columns, i64 %n_in, i64 %n_out, ptr %kernel,
                                          i64 %lanes, i64 %frame.bytes, ptr %context)
  ret i32 %status
}

define i32 @alkahest_drive_part(i64 %n, i64 %all, ptr %columns, i64 %n_in, i64 %n_out, ptr %kernel, i64 %lanes,
                                i64 %frame.bytes, ptr %context) nounwind {
entry:
  %total = add i64 %n_in, %n_out
  %has.work = icmp sgt i64 %n, 0
  %has.columns = icmp ugt i64 %n_out, 0
  %go = and i1 %has.work, %has.columns
  br i1 %go, label %scan, label %finished
scan:
  %k = phi i64 [0, %entry], [%k1, %scan]
  %in.place.so.far = phi i1 [true, %entry], [%in.place, %scan]
  %repeats.so.far = phi i1 [false, %entry], [%repeats, %scan]
  %output.so.far = phi i64 [0, %entry], [%output, %scan]
  %differing.so.far = phi i64 [0, %entry], [%differing, %scan]
  %pair = mul i64 %k, 16
  %at = getelementptr i8, ptr %columns, i64 %pair
  %address = load i64, ptr %at
  %is.input = icmp ult i64 %k, %n_in
  %is.first.output = icmp eq i64 %k, %n_in
  %output = select i1 %is.first.output, i64 %address, i64 %output.so.far
  %other.bits = xor i64 %address, %output
  %differs = select i1 %is.input, i64 0, i64 %other.bits
  %differing = or i64 %differing.so.far, %differs
  %offset = add i64 %pair, 8
  %p = getelementptr i8, ptr %columns, i64 %offset
  %stride = load i64, ptr %p
  %contiguous = icmp eq i64 %stride, SIZE
  %repeated = icmp eq i64 %stride, 0
  %fits = or i1 %contiguous, %repeated
  %in.place = and i1 %in.place.so.far, %fits
  %repeats = or i1 %repeats.so.far, %repeated
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %total
  br i1 %more, label %scan, label %scanned
scanned:
  ; Outputs that fill no cache line together with what is there, and that are too large for a cache anyway, are written
  ; past it, which spares reading them first. The points before the first whole line go through scratch.
  %row = mul i64 %total, SIZE
  %footprint = mul i64 %all, %row
  %block.bytes = mul i64 %lanes, SIZE
  %to.line = sub i64 0, %output
  %head.bytes = and i64 %to.line, 63
  %head.odd = and i64 %head.bytes, ODD
  %differing.in.line = and i64 %differing, 63
  %unfit = or i64 %head.odd, %differing.in.line
  %large = icmp uge i64 %footprint, STREAMED
  %lines = icmp eq i64 %unfit, 0
  %wide = icmp uge i64 %block.bytes, 64
  %past1 = and i1 %large, %lines
  %past2 = and i1 %past1, %wide
  %past = and i1 %past2, %in.place
  %head.points = udiv i64 %head.bytes, SIZE
  %head.there = icmp ult i64 %head.points, %n
  %head.capped = select i1 %head.there, i64 %head.points, i64 %n
  %head = select i1 %past, i64 %head.capped, i64 0
  %mark = select i1 %past, i64 0, i64 SIZE
  %body = sub i64 %n, %head
  %left = urem i64 %body, %lanes
  %ragged = icmp ne i64 %left, 0
  %not.in.place = xor i1 %in.place, true
  %or1 = or i1 %ragged, %not.in.place
  %or2 = or i1 %or1, %repeats
  %framed = icmp ne i64 %frame.bytes, 0
  %or3 = or i1 %or2, %past
  %needs.scratch = or i1 %or3, %framed
  br i1 %needs.scratch, label %prepare, label %whole
whole:
  %whole.blocks = udiv i64 %n, %lanes
  call void %kernel(i64 %whole.blocks, ptr %columns, ptr null, ptr %context)
  br label %finished
prepare:
  ; A chunk is a multiple of lanes: one block where columns are used in place, else what suits the cache.
  %fitting = udiv i64 SCRATCH, %row
  %over = icmp ugt i64 %fitting, LONGEST
  %capped = select i1 %over, i64 LONGEST, i64 %fitting
  %uneven = urem i64 %capped, %lanes
  %even = sub i64 %capped, %uneven
  %small = icmp ult i64 %even, %lanes
  %one.block = or i1 %small, %in.place
  %chunk = select i1 %one.block, i64 %lanes, i64 %even
  %table.bytes = mul i64 %total, 16
  %scratch.bytes = mul i64 %row, %chunk
  %table.and.scratch = add i64 %table.bytes, %scratch.bytes
  %bytes = add i64 %table.and.scratch, %frame.bytes
  %memory = call ptr @malloc(i64 %bytes)
  %none = icmp eq ptr %memory, null
  br i1 %none, label %failed, label %start
start:
  %scratch = getelementptr i8, ptr %memory, i64 %table.bytes
  %frame = getelementptr i8, ptr %memory, i64 %table.and.scratch
  br i1 %in.place, label %in.lines, label %chunks
in.lines:
  %some.head = icmp ne i64 %head, 0
  br i1 %some.head, label %before.line, label %direct
before.line:
  call void @through_scratch(i64 0, i64 %head, ptr %columns, i64 %n_in, i64 %total, ptr %kernel, i64 %lanes,
                             ptr %memory, ptr %scratch, i64 %chunk, ptr %frame, ptr %context)
  br label %direct
direct:
  %blocks = udiv i64 %body, %lanes
  %some = icmp ne i64 %blocks, 0
  br i1 %some, label %run, label %direct.done
run:
  call void @table_in_place(ptr %memory, ptr %columns, i64 %n_in, i64 %total, ptr %scratch, i64 %lanes, i64 %head,
                            i64 %mark)
  call void %kernel(i64 %blocks, ptr %memory, ptr %frame, ptr %context)
  br i1 %past, label %fence, label %direct.done
fence:
  FENCE
  br label %direct.done
direct.done:
  %done = sub i64 %n, %left
  br i1 %ragged, label %chunks, label %release
chunks:
  %first = phi i64 [0, %start], [%done, %direct.done], [%next, %chunks]
  %rest = sub i64 %n, %first
  %long = icmp ugt i64 %rest, %chunk
  %count = select i1 %long, i64 %chunk, i64 %rest
  call void @through_scratch(i64 %first, i64 %count, ptr %columns, i64 %n_in, i64 %total, ptr %kernel, i64 %lanes,
                             ptr %memory, ptr %scratch, i64 %chunk, ptr %frame, ptr %context)
  %next = add i64 %first, %count
  %unfinished = icmp ult i64 %next, %n
  br i1 %unfinished, label %chunks, label %release
release:
  call void @free(ptr %memory)
  br label %finished
finished:
  ret i32 0
failed:
  ret i32 1
}
"""

# Copies that are written out, so that they are fast in code that is not optimised.
_AT_A_TIME = 16

# Copies `count` numbers from places `stride` bytes apart to adjacent ones, repeats the last up to `padded`; and back.
_COPIES = """
define internal void @gather(ptr %to, ptr %from, i64 %stride, i64 %count, i64 %padded) nounwind {
entry:
  %grouped = and i64 %count, -AT_A_TIME
  %step = mul i64 %stride, AT_A_TIME
  %some = icmp ne i64 %grouped, 0
  br i1 %some, label %group, label %singles
group:
  %g = phi i64 [0, %entry], [%g1, %group]
  %from.0 = phi ptr [%from, %entry], [%g.from1, %group]
  %to.0 = getelementptr REAL, ptr %to, i64 %g
GATHERED
  %g1 = add i64 %g, AT_A_TIME
  %g.from1 = getelementptr i8, ptr %from.0, i64 %step
  %g.more = icmp ult i64 %g1, %grouped
  br i1 %g.more, label %group, label %singles
singles:
  %i = phi i64 [0, %entry], [%g1, %group], [%i1, %single]
  %i.from = phi ptr [%from, %entry], [%g.from1, %group], [%i.from1, %single]
  %i.more = icmp ult i64 %i, %count
  br i1 %i.more, label %single, label %last
single:
  %value = load REAL, ptr %i.from, align 1
  %target = getelementptr REAL, ptr %to, i64 %i
  store REAL %value, ptr %target, align 1
  %i1 = add i64 %i, 1
  %i.from1 = getelementptr i8, ptr %i.from, i64 %stride
  br label %singles
last:
  %last.at = getelementptr REAL, ptr %to, i64 %count
  %before = getelementptr REAL, ptr %last.at, i64 -1
  %last.value = load REAL, ptr %before, align 1
  br label %pads
pads:
  %j = phi i64 [%count, %last], [%j1, %pad]
  %j.more = icmp ult i64 %j, %padded
  br i1 %j.more, label %pad, label %done
pad:
  %hole = getelementptr REAL, ptr %to, i64 %j
  store REAL %last.value, ptr %hole, align 1
  %j1 = add i64 %j, 1
  br label %pads
done:
  ret void
}

define internal void @scatter(ptr %to, ptr %from, i64 %stride, i64 %count) nounwind {
entry:
  %grouped = and i64 %count, -AT_A_TIME
  %step = mul i64 %stride, AT_A_TIME
  %some = icmp ne i64 %grouped, 0
  br i1 %some, label %group, label %singles
group:
  %g = phi i64 [0, %entry], [%g1, %group]
  %to.0 = phi ptr [%to, %entry], [%g.to1, %group]
  %from.0 = getelementptr REAL, ptr %from, i64 %g
SCATTERED
  %g1 = add i64 %g, AT_A_TIME
  %g.to1 = getelementptr i8, ptr %to.0, i64 %step
  %g.more = icmp ult i64 %g1, %grouped
  br i1 %g.more, label %group, label %singles
singles:
  %i = phi i64 [0, %entry], [%g1, %group], [%i1, %single]
  %i.to = phi ptr [%to, %entry], [%g.to1, %group], [%i.to1, %single]
  %i.more = icmp ult i64 %i, %count
  br i1 %i.more, label %single, label %done
single:
  %source = getelementptr REAL, ptr %from, i64 %i
  %value = load REAL, ptr %source, align 1
  store REAL %value, ptr %i.to, align 1
  %i1 = add i64 %i, 1
  %i.to1 = getelementptr i8, ptr %i.to, i64 %stride
  br label %singles
done:
  ret void
}
"""


def driver_text(real: str, streamed_bytes: int) -> str:
    """Return the text for columns of "double" or "float"; large outputs are those of batches of so many bytes."""
    size = 8 if real == "double" else 4
    strided = ("i8", "%stride")
    adjacent = (real, "1")
    words = {
        "COPIES": _COPIES,
        "GATHERED": _copies(real, strided, adjacent),
        "SCATTERED": _copies(real, adjacent, strided),
        "AT_A_TIME": str(_AT_A_TIME),
        "SIZE": str(size),
        "ODD": str(size - 1),
        "SCRATCH": str(_SCRATCH_BYTES),
        "LONGEST": str(_LONGEST_CHUNK),
        "REAL": real,
        **_streaming(streamed_bytes),
    }
    text = _DRIVER
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _copies(real: str, source: tuple[str, str], target: tuple[str, str]) -> str:
    """Return copies of numbers one after the other; each way to go on is a type and how many of it to skip."""
    lines: list[str] = []
    for k in range(_AT_A_TIME):
        lines += [
            f"  %value.{k} = load {real}, ptr %from.{k}, align 1",
            f"  store {real} %value.{k}, ptr %to.{k}, align 1",
            f"  %from.{k + 1} = getelementptr {source[0]}, ptr %from.{k}, i64 {source[1]}",
            f"  %to.{k + 1} = getelementptr {target[0]}, ptr %to.{k}, i64 {target[1]}",
        ]
    return "\n".join(lines)


def _streaming(streamed_bytes: int) -> dict[str, str]:
    """Return what the driver needs for writing past the caches; where that is not known of, no batch is so large."""
    if not writes_past_caches():
        return {"STREAMED": str(2**63 - 1), "DECLARE_FENCE": "", "FENCE": "fence release"}
    fence = "@llvm.x86.sse.sfence()"
    return {"STREAMED": str(streamed_bytes), "DECLARE_FENCE": f"declare void {fence}", "FENCE": f"call void {fence}"}
