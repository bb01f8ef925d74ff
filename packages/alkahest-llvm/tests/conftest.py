"""Tools for the tests of alkahest-llvm."""

import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend


@pytest.fixture
def one_op():
    """Return a function that makes the tape of one op; a float among the arguments becomes a constant."""

    def make(op, *args):
        inputs = tuple(a for a in args if isinstance(a, str))
        consts = tuple(a for a in args if isinstance(a, float))
        slots = tuple(inputs.index(a) if isinstance(a, str) else len(inputs) + consts.index(a) for a in args)
        return Tape(inputs, consts, (Instr(op, slots),), (len(inputs) + len(consts),))

    return make


@pytest.fixture
def evaluate():
    """Return a function that compiles a tape and evaluates it on columns; the result has one row per output."""

    def call(tape, *columns, backend=None, dtype="f64", contract=True, accuracy="1ulp"):
        options = CompileOptions(dtype=dtype, contract=contract, accuracy=accuracy)
        kernel = (backend or LLVMBackend()).compile(tape, options)
        arrays = [np.asarray(c, {"f64": "float64", "f32": "float32"}[dtype]) for c in columns]
        return np.array(run(kernel, arrays, len(arrays[0]) if arrays else 1, dtype))

    return call
