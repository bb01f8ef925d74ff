"""The descent through tiles, as LLVM IR: decide what intervals can, cut the tape down, go into what is left.

A tile of level n is 4^n leaves wide and high, a leaf 8 pixels. `descend(context, level, tx, ty, begin, end)`
evaluates the records over the 16 tiles of the level below that lie in tile (tx, ty): one lane each, in rows. Where the
result is surely below zero the pixels are set, where it is surely not they stay as they are; in others the records are
specialised, and it goes on there. In a leaf the pixels are computed as they would be anywhere else.
"""

from __future__ import annotations

from alkahest_llvm.blocks.machine import RUN
from alkahest_llvm.blocks.program import WORD
from alkahest_llvm.intervals.choosing import LANES
from alkahest_llvm.intervals.records import PLACE, RECORD, X, Y
from alkahest_llvm.intervals.specialising import loaded

SIDE = 4  # tiles of a level in a row of a tile of the level above
LEAF = 8  # pixels in a row of a leaf
PIXELS = LEAF * LEAF

# Words of a level: bounds of the coordinates of its tiles by column and row, how many of those there are, where the
# records of its tiles end, and the pixels in a row of a tile.
LEVEL = ("x_lo", "x_hi", "y_lo", "y_hi", "columns", "rows", "end", "size")
LEVEL_BYTES = WORD * len(LEVEL)

_DOUBLES = f"<{LANES} x double>"
_COLUMNS = ", ".join(f"i32 {lane % SIDE}" for lane in range(LANES))
_ROWS = ", ".join(f"i32 {lane // SIDE}" for lane in range(LANES))


def _of_level(name: str, word: str, kind: str = "ptr") -> str:
    return (
        f"  {name}.at = getelementptr i64, ptr %level.record, i64 {LEVEL.index(word)}\n"
        f"  {name} = load {kind}, ptr {name}.at"
    )


def _spread(bound: str, first: str, mask: str, place: int) -> str:
    """Return the lines that give one bound of an input to all lanes."""
    name = f"%{bound}"
    return f"""{_of_level(f"{name}.all", bound)}
  {name}.here = getelementptr double, ptr {name}.all, i64 {first}
  {name}.four = load <{SIDE} x double>, ptr {name}.here, align 8
  {name}.lanes = shufflevector <{SIDE} x double> {name}.four, <{SIDE} x double> poison, <{LANES} x i32> <{mask}>
  {name}.place = getelementptr i8, ptr %places, i64 {place}
  {name}.block = load ptr, ptr {name}.place
  store {_DOUBLES} {name}.lanes, ptr {name}.block, align 8"""


def _leaf_rows() -> str:
    row = f"<{LEAF} x double>"
    lines: list[str] = []
    for r in range(LEAF):
        lines += [
            f"  %x{r}.to = getelementptr {row}, ptr %x.block, i64 {r}",
            f"  store {row} %x, ptr %x{r}.to, align 8",
            f"  %y{r} = shufflevector {row} %y, {row} poison, <{LEAF} x i32> <{', '.join([f'i32 {r}'] * LEAF)}>",
            f"  %y{r}.to = getelementptr {row}, ptr %y.block, i64 {r}",
            f"  store {row} %y{r}, ptr %y{r}.to, align 8",
        ]
    return "\n".join(lines)


def _leaf_signs() -> str:
    row = f"<{LEAF} x double>"
    lines: list[str] = []
    for r in range(LEAF):
        lines += [
            f"  %z{r}.from = getelementptr {row}, ptr %z.block, i64 {r}",
            f"  %z{r} = load {row}, ptr %z{r}.from, align 8",
            f"  %n{r} = fcmp olt {row} %z{r}, zeroinitializer",
            f"  %b{r} = zext <{LEAF} x i1> %n{r} to <{LEAF} x i8>",
            f"  %m{r}.row = add i64 %first.row, {r}",
            f"  %m{r}.offset = mul i64 %m{r}.row, %row.bytes",
            f"  %m{r}.line = getelementptr i8, ptr %image, i64 %m{r}.offset",
            f"  %m{r} = getelementptr i8, ptr %m{r}.line, i64 %first.column",
            f"  store <{LEAF} x i8> %b{r}, ptr %m{r}, align 1",
        ]
    return "\n".join(lines)


_LEAF = f"""
define internal void @leaf(ptr %context, i64 %tx, i64 %ty, ptr %begin, ptr %end) nounwind {{
{loaded("%kernels", word="number_kernels")}
{loaded("%places", word="number_places")}
{loaded("%xs", word="xs")}
{loaded("%ys", word="ys")}
{loaded("%image", word="image")}
{loaded("%row.bytes", "i64", word="row_bytes")}
  %first.column = mul i64 %tx, {LEAF}
  %first.row = mul i64 %ty, {LEAF}
  %x.from = getelementptr double, ptr %xs, i64 %first.column
  %y.from = getelementptr double, ptr %ys, i64 %first.row
  %x = load <{LEAF} x double>, ptr %x.from, align 8
  %y = load <{LEAF} x double>, ptr %y.from, align 8
  %x.place = getelementptr i8, ptr %places, i64 {X * PLACE}
  %x.block = load ptr, ptr %x.place
  %y.place = getelementptr i8, ptr %places, i64 {Y * PLACE}
  %y.block = load ptr, ptr %y.place
{_leaf_rows()}
  call void @run(ptr %begin, ptr %kernels, ptr %places, i64 {PIXELS * WORD})
  %out.at = getelementptr i8, ptr %end, i64 {WORD - RECORD}
  %out = load i64, ptr %out.at
  %z.place = getelementptr i8, ptr %places, i64 %out
  %z.block = load ptr, ptr %z.place
{_leaf_signs()}
  ret void
}}
"""

_FILL = f"""
define internal void @fill(ptr %context, i64 %size, i64 %tx, i64 %ty) nounwind {{
entry:
{loaded("%image", word="image")}
{loaded("%row.bytes", "i64", word="row_bytes")}
{loaded("%rows", "i64", word="rows")}
  %first.column = mul i64 %tx, %size
  %first.row = mul i64 %ty, %size
  %columns.left = sub i64 %row.bytes, %first.column
  %narrow = icmp ult i64 %columns.left, %size
  %width = select i1 %narrow, i64 %columns.left, i64 %size
  %rows.left = sub i64 %rows, %first.row
  %low = icmp ult i64 %rows.left, %size
  %height = select i1 %low, i64 %rows.left, i64 %size
  %offset = mul i64 %first.row, %row.bytes
  %line.0 = getelementptr i8, ptr %image, i64 %offset
  %first = getelementptr i8, ptr %line.0, i64 %first.column
  br label %row
row:
  %r = phi i64 [0, %entry], [%r1, %row]
  %line = phi ptr [%first, %entry], [%line1, %row]
  call void @llvm.memset.p0.i64(ptr %line, i8 1, i64 %width, i1 false)
  %line1 = getelementptr i8, ptr %line, i64 %row.bytes
  %r1 = add i64 %r, 1
  %more = icmp ult i64 %r1, %height
  br i1 %more, label %row, label %done
done:
  ret void
}}
"""

_DESCEND = f"""
define void @alkahest_descend(ptr %context, i64 %level, i64 %tx, i64 %ty, ptr %begin, ptr %end) nounwind {{
entry:
{loaded("%kernels", word="interval_kernels")}
{loaded("%places", word="interval_places")}
{loaded("%levels", word="levels")}
  %below = sub i64 %level, 1
  %level.offset = mul i64 %below, {LEVEL_BYTES}
  %level.record = getelementptr i8, ptr %levels, i64 %level.offset
  %first.column = mul i64 %tx, {SIDE}
  %first.row = mul i64 %ty, {SIDE}
{_spread("x_lo", "%first.column", _COLUMNS, X * PLACE)}
{_spread("x_hi", "%first.column", _COLUMNS, X * PLACE + WORD)}
{_spread("y_lo", "%first.row", _ROWS, Y * PLACE)}
{_spread("y_hi", "%first.row", _ROWS, Y * PLACE + WORD)}
{_of_level("%columns", "columns", "i64")}
{_of_level("%rows", "rows", "i64")}
{_of_level("%buffer.end", "end")}
{_of_level("%size", "size", "i64")}
  call void @run(ptr %begin, ptr %kernels, ptr %places, i64 {LANES * WORD})
  %out.at = getelementptr i8, ptr %end, i64 {WORD - RECORD}
  %out = load i64, ptr %out.at
  %lo.place = getelementptr i8, ptr %places, i64 %out
  %hi.place = getelementptr i8, ptr %lo.place, i64 {WORD}
  %lo.block = load ptr, ptr %lo.place
  %hi.block = load ptr, ptr %hi.place
  %lo = load {_DOUBLES}, ptr %lo.block, align 8
  %hi = load {_DOUBLES}, ptr %hi.block, align 8
  %negative = fcmp olt {_DOUBLES} %hi, zeroinitializer
  %nonnegative = fcmp oge {_DOUBLES} %lo, zeroinitializer
  %inside.bits = bitcast <{LANES} x i1> %negative to i{LANES}
  %outside.bits = bitcast <{LANES} x i1> %nonnegative to i{LANES}
  %inside = zext i{LANES} %inside.bits to i64
  %outside = zext i{LANES} %outside.bits to i64
  %leaves = icmp eq i64 %below, 0
  br label %lane

lane:
  %k = phi i64 [0, %entry], [%k1, %next]
  %c = urem i64 %k, {SIDE}
  %r = udiv i64 %k, {SIDE}
  %cx = add i64 %first.column, %c
  %cy = add i64 %first.row, %r
  %x.fits = icmp ult i64 %cx, %columns
  %y.fits = icmp ult i64 %cy, %rows
  %fits = and i1 %x.fits, %y.fits
  %outside.shifted = lshr i64 %outside, %k
  %is.outside = trunc i64 %outside.shifted to i1
  %is.not.outside = xor i1 %is.outside, true
  %matters = and i1 %fits, %is.not.outside
  br i1 %matters, label %look, label %next
look:
  %inside.shifted = lshr i64 %inside, %k
  %is.inside = trunc i64 %inside.shifted to i1
  br i1 %is.inside, label %whole, label %undecided
whole:
  call void @fill(ptr %context, i64 %size, i64 %cx, i64 %cy)
  br label %next
undecided:
  %cut.begin = call ptr @alkahest_specialise(ptr %context, ptr %begin, ptr %end, ptr %buffer.end, i64 %k)
  br i1 %leaves, label %pixels, label %deeper
pixels:
  call void @leaf(ptr %context, i64 %cx, i64 %cy, ptr %cut.begin, ptr %buffer.end)
  br label %next
deeper:
  call void @alkahest_link(ptr %context, ptr %cut.begin, ptr %buffer.end)
  call void @alkahest_descend(ptr %context, i64 %below, i64 %cx, i64 %cy, ptr %cut.begin,
                              ptr %buffer.end)
  br label %next

next:
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, {LANES}
  br i1 %more, label %lane, label %done
done:
  ret void
}}
"""

TEXT = RUN + _LEAF + _FILL + _DESCEND
