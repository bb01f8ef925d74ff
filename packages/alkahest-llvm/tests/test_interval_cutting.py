"""Records cut down compute what is left of them, use no more places, and hold nothing that nobody reads."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.base.rules import impl_rules
from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing import strategies
from alkahest_llvm.blocks.program import WORD
from alkahest_llvm.intervals.choosing import LANES
from alkahest_llvm.intervals.cutting import Cutter, buffer
from alkahest_llvm.intervals.records import ALWAYS_FIRST, COPY, NOTE, PLACE, RECORD_WORDS, X, Y, records_of

OPS = "min max fmin fmax where lt add sub mul neg fma".split()


class Program:
    """A tape as records, with what is needed to cut them down and to run them in Python."""

    def __init__(self, tape):
        records = records_of(tape, CompileOptions())
        self.operations = records.operations
        facts = np.array([0, *[o.facts for o in records.operations]], np.int64)
        self.cutter = Cutter(facts, records.n_places, records.n_places)
        room = buffer(len(records.words))
        room[:-RECORD_WORDS] = records.words
        self.whole = self.cutter.cut(self.cutter.linked(room), 0)
        self.n_places = len({row[1] for row in self.rows(self.whole)})

    def rows(self, records):
        assert records[-RECORD_WORDS] == 0, "the last record halts"
        return records.reshape(-1, RECORD_WORDS)[:-1].tolist()

    def run(self, records, x, y, lane=None):
        """Return the value, where `lane` is given by the notes of that lane; every place must be written before."""
        places = {PLACE * X: x, PLACE * Y: y}
        for row in self.rows(records):
            operation = self.operations[row[0] // WORD - 1]
            [step] = operation.numbers.steps
            operands = [
                places[word] if operation.facts >> k & 1 else struct.unpack("<d", struct.pack("<q", word))[0]
                for k, word in enumerate(row[2 : 3 + max(step.args)])
            ]
            first, second = (lane is not None and row[NOTE] >> bit & 1 for bit in (lane or 0, (lane or 0) + LANES))
            if step.op == COPY:
                value = operands[0]
            elif operation.facts >> 8 and (first or second):
                value = operands[operation.facts >> (6 if second else 4) & 3]
            else:
                value = impl_rules.by_name(step.op).number(*[operands[a] for a in step.args])
            places[row[1]] = value
        return value

    def noted(self, records, draw, lane):
        """Return the records with decisions for a lane, and others for other lanes, in every note."""
        records = records.copy()
        for row in records.reshape(-1, RECORD_WORDS)[:-1]:
            operation = self.operations[row[0] // WORD - 1]
            if operation.facts >> 8 and operation.numbers.steps[0].op != COPY:
                decision = draw(st.sampled_from([0, 1, 1 << LANES]))
                others = draw(st.integers(0, (1 << 2 * LANES) - 1)) & ~(1 << lane | 1 << lane + LANES)
                row[NOTE] = decision << lane | others
        return records

    def check(self, records):
        """Assert that all results are read, copies are noted as such, and places are no more than in the whole."""
        rows = self.rows(records)
        needed = {rows[-1][1]}
        for row in reversed(rows):
            operation = self.operations[row[0] // WORD - 1]
            assert row[1] in needed
            needed.remove(row[1])
            needed |= {word for k, word in enumerate(row[2:5]) if operation.facts >> k & 1}
            assert operation.numbers.steps[0].op != COPY or row[NOTE] == ALWAYS_FIRST
        assert needed <= {PLACE * X, PLACE * Y}
        assert len({row[1] for row in rows}) <= self.n_places


def same(a, b):
    return a == b or (a != a and b != b)


@given(tape=strategies.tapes(ops=OPS, max_ops=60, max_outputs=1), data=st.data(), lane=st.integers(0, LANES - 1))
def test_three_cuts_one_after_the_other(tape, data, lane):
    program = Program(tape)
    x, y = data.draw(strategies.points())
    records = program.whole
    program.check(records)
    for _ in range(3):
        records = program.noted(records, data.draw, lane)
        expected = program.run(records, x, y, lane)
        cut = program.cutter.cut(records, lane)
        program.check(cut)
        assert same(program.run(cut, x, y), expected)
        assert len(cut) <= len(records)
        records = cut


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_the_result_may_be_an_input_or_a_constant(constant, second):
    operands = (0, 2) if constant else (0, 1)
    program = Program(Tape(("x", "y"), (7.0,), (Instr("min", operands[:: -1 if second else 1]),), (3,)))
    records = program.whole.copy()
    for taken in (0, 1):
        records[NOTE] = 1 << 5 + taken * LANES
        cut = program.cutter.cut(records, 5)
        program.check(cut)
        assert program.run(cut, 1.0, 2.0) == [1.0, 7.0 if constant else 2.0][taken != second]


def test_a_long_tape():
    instrs, last = [], 0
    for k in range(5000):
        instrs.append(Instr("add" if k % 3 else "min", (last, 1 if k % 2 else last)))
        last = 2 + k
    program = Program(Tape(("x", "y"), (), tuple(instrs), (last,)))
    records = program.whole.copy()
    assert len(program.rows(records)) == 5000
    program.check(records)
    rows = records.reshape(-1, RECORD_WORDS)
    rows[4998, NOTE] = 1 << LANES  # instruction 4998 is min(…, …) of one slot or with y: its second operand
    cut = program.cutter.cut(records, 0)
    program.check(cut)
    assert program.run(cut, 0.5, 0.25) == program.run(records, 0.5, 0.25, 0)
