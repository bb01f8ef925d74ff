"""A program of the machine: a tape as it is run."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from alkahest_llvm.blocks.forms import Form

WORD = 8  # bytes of a word, and of an entry of the machine's tables
HALT = 0  # the number of the kernel that ends a program


@dataclass(frozen=True)
class Program:
    """Records of words of eight bytes, one after the other.

    A record is the number of its kernel, the places that it stores to, then its operands: places, or constants as they
    are in memory. Kernels and places are counted in steps of 8: they are offsets into tables. Kernel 0 halts, and is
    the last record; the others are those of `forms`. Places are the input columns, then the output columns, then
    temporaries. Where an arithmetic has several numbers to a slot, they are in adjacent places, the first of which
    stands in the record.
    """

    words: array[int]
    forms: tuple[Form, ...]
    n_inputs: int
    n_outputs: int
    n_places: int

    def __str__(self) -> str:
        return "\n".join([*self._records(), "halt"])

    def _records(self) -> Iterator[str]:
        at = 0
        while self.words[at] != HALT:
            form = self.forms[self.words[at] // WORD - 1]
            places, operands = at + 1, at + 1 + len(form.results)
            at = operands + len(form.constant)
            stored = [self._place(word) for word in self.words[places:operands]]
            read = [
                f"#{word & 0xFFFFFFFFFFFFFFFF:x}" if constant else self._place(word)
                for word, constant in zip(self.words[operands:at], form.constant, strict=True)
            ]
            yield f"{', '.join(stored)} = {' '.join([step.op for step in form.steps]) or 'copy'} {', '.join(read)}"

    def _place(self, word: int) -> str:
        k = word // WORD
        if k < self.n_inputs:
            return f"in{k}"
        return f"out{k - self.n_inputs}" if k < self.n_columns else f"t{k - self.n_columns}"

    @property
    def n_columns(self) -> int:
        """How many places are columns."""
        return self.n_inputs + self.n_outputs
