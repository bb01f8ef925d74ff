"""Which operands of an op matter: rules that note it in the record at hand, beside computing the interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.intervals.arithmetic import truth
from alkahest_llvm.intervals.bounds import Pair, PairRule

LANES = 16  # boxes that are computed at a time, so that a note is two masks of 16 bits
NOTE_BYTE = 40  # where in its record an instruction leaves its note; see `records`


def _lesser(x: Pair, y: Pair) -> tuple[Value, Value]:
    return x[1] < y[0], y[1] < x[0]


def _greater(x: Pair, y: Pair) -> tuple[Value, Value]:
    return x[0] > y[1], y[0] > x[1]


def _branch(condition: Pair, _: Pair, __: Pair) -> tuple[Value, Value]:
    return truth(condition)


# The two operands that an op chooses between, and where the first alone matters, and where the second.
CHOICES: dict[str, tuple[tuple[int, int], Callable[..., tuple[Value, Value]]]] = {
    "min": ((0, 1), _lesser),
    "max": ((0, 1), _greater),
    "fmin": ((0, 1), _lesser),
    "fmax": ((0, 1), _greater),
    "where": ((1, 2), _branch),
}


def choosing(op: str, rule: PairRule) -> PairRule:
    """Return the rule of an op, and if it chooses one that also leaves a note."""
    if op not in CHOICES:
        return rule
    _, decide = CHOICES[op]

    def noting(b: Builder, *args: Pair, **params: Any) -> Pair:
        _note(b, *decide(*args))
        return rule(b, *args, **params)

    return noting


def _note(b: Builder, first: Value, second: Value) -> None:
    """Store in which lanes the first alternative alone matters, in the low bits, and in which the second."""
    words: list[str] = []
    for mask in (first, second):
        bits, word = b.new_label("%bits"), b.new_label("%word")
        b.lines.append(f"  {bits} = bitcast {b.types['i1']} {mask.ref} to i{LANES}")
        b.lines.append(f"  {word} = zext i{LANES} {bits} to i64")
        words.append(word)
    high, both, at = (b.new_label(stem) for stem in ("%high", "%both", "%note"))
    b.lines += [
        f"  {high} = shl i64 {words[1]}, {LANES}",
        f"  {both} = or i64 {words[0]}, {high}",
        f"  {at} = getelementptr i8, ptr %at, i64 {NOTE_BYTE}",
        f"  store i64 {both}, ptr {at}",
    ]
