"""A tape cut down to what matters in one lane: LLVM IR that turns records into fewer records.

`link(context, begin, end)` goes through records once, forwards, and notes of each operand which record it comes from.
`specialise(context, begin, end, to, lane)` then takes them from the last to the first, writes what matters of them
backwards from `to`, and returns where that begins.

A record that nobody reads is not looked at: `live` has a bit for each that somebody reads, and the bit nearest to the
end is taken next. A record that chooses, and for which only one operand matters in the lane, is that operand: whoever
read the result reads it, or a copy, where the operand has a place already. Places are given out anew on the way, from a
stack that is full again at the end; a result's place is free before its record, that is for its operands. `places` has
the place of each record that is live and not written yet, 0 for others.

Records are numbered from the end, beginning with 64; 1 and 2 are the inputs x and y, with places and numbers of their
own for ever. Operands that are constants, or not there, count as x.
"""

from __future__ import annotations

from alkahest_llvm.blocks.program import WORD
from alkahest_llvm.intervals.choosing import LANES
from alkahest_llvm.intervals.records import ALWAYS_FIRST, NOTE, OPERANDS, ORIGINS, PLACE, RECORD, X

CHUNK = 64  # records whose bits are one word

# Words of the context, which every function here is given.
CONTEXT = (
    *("interval_kernels", "number_kernels", "facts", "interval_places", "number_places"),
    *("live", "places", "free", "free_count", "writers", "image", "row_bytes", "rows", "xs", "ys", "levels"),
)


def loaded(name: str, kind: str = "ptr", *, word: str) -> str:
    """Return the lines that load a word of the context as `name`."""
    return (
        f"  {name}.at = getelementptr i64, ptr %context, i64 {CONTEXT.index(word)}\n"
        f"  {name} = load {kind}, ptr {name}.at"
    )


def _link(k: int) -> str:
    return f"""
  %origin{k}.at = getelementptr i32, ptr %record, i64 {ORIGINS + k}
  %number{k} = load i32, ptr %origin{k}.at
  %from{k}.at = getelementptr i32, ptr %writers, i32 %number{k}
  %from{k} = load i32, ptr %from{k}.at
  store i32 %from{k}, ptr %origin{k}.at"""


def _mark(k: str, current: str) -> str:
    """Return the lines that look up the place of the operand that comes from `%id…`, and make that live.

    The bits at hand, `current`, are not read from memory, where what comes next would have to wait for them.
    """
    return f"""
  %place{k}.at = getelementptr i64, ptr %places, i64 %id{k}
  %given{k} = load i64, ptr %place{k}.at
  %new{k} = icmp eq i64 %given{k}, 0
  %chunk{k} = lshr i64 %id{k}, 6
  %chunk{k}.at = getelementptr i64, ptr %live, i64 %chunk{k}
  %bits{k} = load i64, ptr %chunk{k}.at
  %low{k} = and i64 %id{k}, 63
  %bit{k} = shl i64 1, %low{k}
  %marked{k} = or i64 %bits{k}, %bit{k}
  store i64 %marked{k}, ptr %chunk{k}.at
  %same{k} = icmp eq i64 %chunk{k}, %chunk
  %same.1{k} = zext i1 %same{k} to i64
  %here{k} = shl i64 %same.1{k}, %low{k}
  %current{k} = or i64 {current}, %here{k}"""


def _operand(k: int) -> str:
    """Return the lines that give the operand `k` a place.

    Nobody can predict what comes out, so that branches would cost more than all the rest, and LLVM makes branches of
    `select`; hence the arithmetic. A kind is 1 for a place and 0 for a constant.
    """
    top, current = ("%freed.top", "%others") if k == 0 else (f"%top{k - 1}", f"%current{k - 1}")
    return f"""
  %word{k}.at = getelementptr i64, ptr %record, i64 {2 + k}
  %word{k} = load i64, ptr %word{k}.at
  %origin{k}.at = getelementptr i32, ptr %record, i64 {ORIGINS + k}
  %origin{k} = load i32, ptr %origin{k}.at
  %id{k} = zext i32 %origin{k} to i64
{_mark(str(k), current)}
  %new.1{k} = zext i1 %new{k} to i64
  %last{k} = sub i64 {top}, 1
  %free{k}.at = getelementptr i64, ptr %free, i64 %last{k}
  %free{k} = load i64, ptr %free{k}.at
  %taken{k} = mul i64 %free{k}, %new.1{k}
  %chosen{k} = or i64 %given{k}, %taken{k}
  %top{k} = sub i64 {top}, %new.1{k}
  store i64 %chosen{k}, ptr %place{k}.at
  %kind.bits{k} = lshr i64 %facts, {k}
  %kind{k} = and i64 %kind.bits{k}, 1
  %other{k} = sub i64 %kind{k}, 1
  %difference{k} = xor i64 %word{k}, %chosen{k}
  %change{k} = and i64 %difference{k}, %other{k}
  %operand{k} = xor i64 %chosen{k}, %change{k}
  %to{k}.at = getelementptr i64, ptr %target, i64 {2 + k}
  store i64 %operand{k}, ptr %to{k}.at
  %number{k}.64 = udiv i64 %chosen{k}, {PLACE}
  %number{k} = trunc i64 %number{k}.64 to i32
  %to.number{k}.at = getelementptr i32, ptr %target, i64 {ORIGINS + k}
  store i32 %number{k}, ptr %to.number{k}.at"""


_LINKS = "\n".join([_link(k) for k in range(OPERANDS)])

_LINK = f"""
define void @alkahest_link(ptr %context, ptr %begin, ptr %end) nounwind {{
entry:
{loaded("%writers", word="writers")}
  %bytes.begin = ptrtoint ptr %begin to i64
  %bytes.end = ptrtoint ptr %end to i64
  %bytes = sub i64 %bytes.end, %bytes.begin
  %count.64 = udiv i64 %bytes, {RECORD}
  %count = trunc i64 %count.64 to i32
  %first = add i32 %count, {CHUNK - 1}
  br label %next
next:
  %record = phi ptr [%begin, %entry], [%record1, %next]
  %id = phi i32 [%first, %entry], [%id1, %next]
{_LINKS}
  %out.at = getelementptr i64, ptr %record, i64 1
  %out = load i64, ptr %out.at
  %number = udiv i64 %out, {PLACE}
  %writer.at = getelementptr i32, ptr %writers, i64 %number
  store i32 %id, ptr %writer.at
  %record1 = getelementptr i8, ptr %record, i64 {RECORD}
  %id1 = sub i32 %id, 1
  %more = icmp ne ptr %record1, %end
  br i1 %more, label %next, label %done
done:
  ret void
}}
"""

_SPECIALISE = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.cttz.i64(i64, i1)

define ptr @alkahest_specialise(ptr %context, ptr %begin, ptr %end, ptr %to, i64 %lane) nounwind {{
entry:
{loaded("%live", word="live")}
{loaded("%places", word="places")}
{loaded("%free", word="free")}
{loaded("%free.count", "i64", word="free_count")}
{loaded("%all.facts", word="facts")}
  %bytes.begin = ptrtoint ptr %begin to i64
  %bytes.end = ptrtoint ptr %end to i64
  %bytes = sub i64 %bytes.end, %bytes.begin
  %chunks = udiv i64 %bytes, {RECORD * CHUNK}
  %last.chunk = add i64 %chunks, 1
  %second.lane = add i64 %lane, {LANES}
  %start.top = sub i64 %free.count, 1
  %start.free.at = getelementptr i64, ptr %free, i64 %start.top
  %start.free = load i64, ptr %start.free.at
  %start.place.at = getelementptr i64, ptr %places, i64 {CHUNK}
  store i64 %start.free, ptr %start.place.at
  br label %next

next:
  %chunk = phi i64 [1, %entry], [%chunk, %latch], [%following, %empty]
  %current = phi i64 [1, %entry], [%current.next, %latch], [%stored, %empty]
  %write = phi ptr [%to, %entry], [%write.next, %latch], [%write, %empty]
  %top = phi i64 [%start.top, %entry], [%top.next, %latch], [%top, %empty]
  %nobody = icmp eq i64 %current, 0
  br i1 %nobody, label %empty, label %found
empty:
  %chunk.at = getelementptr i64, ptr %live, i64 %chunk
  store i64 0, ptr %chunk.at
  %following = add i64 %chunk, 1
  %following.at = getelementptr i64, ptr %live, i64 %following
  %stored = load i64, ptr %following.at
  %more = icmp ule i64 %following, %last.chunk
  br i1 %more, label %next, label %done

found:
  %low = call i64 @llvm.cttz.i64(i64 %current, i1 true)
  %less = sub i64 %current, 1
  %others = and i64 %current, %less
  %chunk.first = shl i64 %chunk, 6
  %id = or i64 %chunk.first, %low
  %from.end = sub i64 {CHUNK - 1}, %id
  %offset = mul i64 %from.end, {RECORD}
  %record = getelementptr i8, ptr %end, i64 %offset
  %place.at = getelementptr i64, ptr %places, i64 %id
  %result = load i64, ptr %place.at
  store i64 0, ptr %place.at
  %freed.at = getelementptr i64, ptr %free, i64 %top
  store i64 %result, ptr %freed.at
  %freed.top = add i64 %top, 1
  %target = getelementptr i8, ptr %write, i64 -{RECORD}
  %target.out = getelementptr i64, ptr %target, i64 1
  store i64 %result, ptr %target.out
  %code = load i64, ptr %record
  %facts.at = getelementptr i8, ptr %all.facts, i64 %code
  %facts = load i64, ptr %facts.at
  %note.at = getelementptr i64, ptr %record, i64 {NOTE}
  %note = load i64, ptr %note.at
  %first.bits = lshr i64 %note, %lane
  %second.bits = lshr i64 %note, %second.lane
  %either.bits = or i64 %first.bits, %second.bits
  %chooses = lshr i64 %facts, 8
  %decided.bits = and i64 %either.bits, %chooses
  %decided = trunc i64 %decided.bits to i1
  br i1 %decided, label %operand, label %kept

operand:
  %second = and i64 %second.bits, 1
  %shift2 = shl i64 %second, 1
  %shift = add i64 %shift2, 4
  %index.bits = lshr i64 %facts, %shift
  %index = and i64 %index.bits, 3
  %origin.index = add i64 %index, {ORIGINS}
  %origin.at = getelementptr i32, ptr %record, i64 %origin.index
  %origin = load i32, ptr %origin.at
  %id.w = zext i32 %origin to i64
{_mark(".w", "%others")}
  br i1 %new.w, label %renamed, label %copied
renamed:
  store i64 %result, ptr %place.w.at
  br label %latch
copied:
  %word.index = add i64 %index, 2
  %word.at = getelementptr i64, ptr %record, i64 %word.index
  %word = load i64, ptr %word.at
  %kind.bits = lshr i64 %facts, %index
  %is.place = trunc i64 %kind.bits to i1
  %copy = select i1 %is.place, i64 {WORD}, i64 {2 * WORD}
  %source = select i1 %is.place, i64 %given.w, i64 %word
  store i64 %copy, ptr %target
  %copy.from = getelementptr i64, ptr %target, i64 2
  store i64 %source, ptr %copy.from
  %copy.note = getelementptr i64, ptr %target, i64 {NOTE}
  store i64 {ALWAYS_FIRST}, ptr %copy.note
  %copy.number = udiv i64 %given.w, {PLACE}
  %copy.pair = or i64 %copy.number, {X << 32}
  %copy.numbers = getelementptr i32, ptr %target, i64 {ORIGINS}
  store i64 %copy.pair, ptr %copy.numbers
  %copy.last = getelementptr i32, ptr %target, i64 {ORIGINS + 2}
  store i32 {X}, ptr %copy.last
  br label %latch

kept:
  store i64 %code, ptr %target
{_operand(0)}
{_operand(1)}
  %third.used = and i64 %facts, 4
  %third = icmp ne i64 %third.used, 0
  br i1 %third, label %three, label %two
two:
  %word2.two.at = getelementptr i64, ptr %record, i64 4
  %word2.two = load i64, ptr %word2.two.at
  %to2.two.at = getelementptr i64, ptr %target, i64 4
  store i64 %word2.two, ptr %to2.two.at
  %number2.two.at = getelementptr i32, ptr %target, i64 {ORIGINS + 2}
  store i32 {X}, ptr %number2.two.at
  br label %latch
three:
{_operand(2)}
  br label %latch

latch:
  %current.next = phi i64 [%current.w, %renamed], [%current.w, %copied], [%current1, %two], [%current2, %three]
  %write.next = phi ptr [%write, %renamed], [%target, %copied], [%target, %two], [%target, %three]
  %top.next = phi i64 [%top, %renamed], [%freed.top, %copied], [%top1, %two], [%top2, %three]
  br label %next

done:
  ret ptr %write
}}
"""

TEXT = _LINK + _SPECIALISE
