"""Programs of the block machine: places, groups, and arithmetics of several numbers."""

import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.assembler import assemble
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.blocks.forms import Arithmetic, Setting
from alkahest_llvm.blocks.kernels import kernel_set
from alkahest_llvm.blocks.running import block_code
from alkahest_llvm.loading.batch_entry import driver
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.targets import host_target


def assembled(tape):
    return assemble(tape, kernel_set(Setting(CompileOptions(), host_target().lanes)))


def temporaries(program):
    return program.n_places - program.n_columns


def chain(n, first=1):
    return tuple([Instr("sin", (first + k - 1 if k else 0,)) for k in range(n)])


# -- places


def test_places_are_used_again():
    program = assembled(Tape(("x",), (), chain(500), (500,)))
    assert temporaries(program) == 1
    assert str(program).count("\n") == 500


def test_as_many_places_as_values_alive():
    n = 30
    instrs = [Instr("sin", (k,)) for k in range(n)]
    instrs += [Instr("add", (2 * n - 1 + k if k else n, n + 1 + k)) for k in range(n - 1)]
    tape = Tape(tuple([f"x{k}" for k in range(n)]), (), tuple(instrs), (n + len(instrs) - 1,))
    assert temporaries(assembled(tape)) == n


def test_what_no_output_needs_is_left_out():
    tape = Tape(
        ("x", "y"), (2.0,), (Instr("sin", (0,)), Instr("exp", (3,)), Instr("mul", (1, 2)), Instr("cos", (4,))), (5,)
    )
    assert str(assembled(tape)) == "out0 = mul in1, #4000000000000000\nhalt"


def test_an_output_that_is_read_on_stays_in_its_column():
    tape = Tape(("x",), (), (Instr("sin", (0,)), Instr("neg", (1,)), Instr("add", (1, 2))), (1, 3, 1))
    assert str(assembled(tape)).splitlines() == [
        "out0 = sin in0",
        "t0 = neg out0",
        "out1 = add out0, t0",
        "out2 = copy out0",
        "halt",
    ]


def test_nothing_to_do():
    assert str(assembled(Tape(("x",), (), (), ()))) == "halt"


# -- groups


def test_sine_and_cosine_of_one_argument_are_one_record():
    instrs = (Instr("sin", (0,)), Instr("neg", (0,)), Instr("cos", (0,)), Instr("cos", (3,)), Instr("sin", (3,)))
    tape = Tape(("x", "y"), (), (*instrs, Instr("cos", (1,))), (2, 3, 4, 5, 6, 7))
    program = assembled(optimise(tape, CompileOptions()))
    assert [line.split(" = ")[1] for line in str(program).splitlines()[:-1]] == [
        *("sin.pair cos.pair in0", "neg in0", "cos.pair sin.pair out1", "cos in1")
    ]
    x, y = np.linspace(-9, 9, 200), np.linspace(0, 5, 200)
    x[60] = 1e30
    slow, fast = [run(tier().compile(tape, CompileOptions()), [x, y], 200) for tier in (LLVMBackend, LLVMFastBackend)]
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_allclose(
        fast, [np.sin(x), -x, np.cos(x), np.cos(x), -np.sin(x), np.cos(y)], rtol=1e-15, atol=1e-16
    )


def test_a_sine_or_cosine_that_nothing_needs_makes_no_pair():
    tape = Tape(("x",), (), (Instr("sin", (0,)), Instr("cos", (0,)), Instr("cos", (0,))), (2, 3))
    assert str(assembled(tape)) == "out0 = cos in0\nout1 = cos in0\nhalt"


@pytest.mark.parametrize("degree", [1, 2, 3, 8, 9, 10, 17, 25])
def test_a_horner_scheme_is_one_record_for_eight_steps(degree):
    consts = tuple([float(k) - 3.5 for k in range(degree + 1)])
    instrs = [Instr("fma", (1, 0, 2))]
    instrs += [Instr("fma", (degree + 2 + k, 0, 3 + k)) for k in range(degree - 1)]
    tape = Tape(("x",), consts, tuple(instrs), (2 * degree + 1,))
    program = assembled(tape)
    assert str(program).count("=") == -(-degree // 8)
    x = np.linspace(-1, 1, 133)
    slow, fast = [
        run(tier().compile(tape, CompileOptions(contract=False)), [x], 133) for tier in (LLVMBackend, LLVMFastBackend)
    ]
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_allclose(fast[0], np.polyval(consts, x), rtol=1e-12)


def test_a_sum_that_another_reads_ends_its_chain():
    steps = [Instr("fma", (0, 0, 1)), *[Instr("fma", (2 + k, 0, 1)) for k in range(5)], Instr("neg", (4,))]
    tape = Tape(("x",), (0.5,), tuple(steps), (7, 8))
    listing = str(assembled(tape)).splitlines()
    assert [line.split(" = ")[1].count("fma") for line in listing[:-1]] == [3, 3, 0]


def test_two_interleaved_chains_keep_their_places():
    """The sums of both are alive together, and what they begin from is given up only at their ends."""
    consts = tuple([0.25 * k for k in range(1, 13)])
    instrs = [Instr("sin", (0,)), Instr("exp", (0,))]
    first = 13
    heads = [first, first + 1]
    for k in range(10):
        instrs.append(Instr("fma", (heads[k % 2], 0, 1 + k)))
        heads[k % 2] = first + len(instrs) - 1
        instrs.append(Instr("cos", (0,)))
        instrs.append(Instr("mul", (first + len(instrs) - 1, first + len(instrs) - 1)))
    instrs.append(Instr("sub", tuple(heads)))
    tape = Tape(("x",), consts, tuple(instrs), (first + len(instrs) - 1, first + len(instrs) - 2))
    x = np.linspace(-1, 1, 100)
    slow, fast = [
        run(tier().compile(tape, CompileOptions(contract=False)), [x], 100) for tier in (LLVMBackend, LLVMFastBackend)
    ]
    np.testing.assert_array_equal(fast, slow)


# -- several numbers to a slot

COMPLEX_RULES = {
    "add": lambda b, x, y: (x[0] + y[0], x[1] + y[1]),
    "mul": lambda b, x, y: (x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]),
    "neg": lambda b, x: (-x[0], -x[1]),
}
COMPLEX = Arithmetic("complex", 2, COMPLEX_RULES.__getitem__)


@pytest.mark.parametrize("n", [1, 16, 129, 700])
def test_an_arithmetic_of_two_numbers(n):
    instrs = (
        Instr("mul", (0, 1)),
        Instr("add", (2, 0)),
        Instr("mul", (3, 3)),
        Instr("neg", (4,)),
        Instr("mul", (3, 1)),
    )
    tape = Tape(("z", "w"), (), instrs, (5, 6, 0))
    setting = Setting(CompileOptions(), host_target().lanes, arithmetic=COMPLEX)
    program = assemble(tape, kernel_set(setting))
    assert (program.n_inputs, program.n_outputs) == (4, 6)
    code = block_code(program, setting)
    z, w = np.random.default_rng(1).integers(-5, 6, (2, n, 2)).astype(float).view(complex)[..., 0]
    out = np.zeros((6, n))
    table = np.array([(c.ctypes.data, c.strides[0]) for c in (z.real, z.imag, w.real, w.imag, *out)])
    call = driver(setting.real).call
    assert not call(n, table.ctypes.data, 4, 6, code.address, setting.lanes, code.frame_bytes, code.context)
    total = z * w + z
    want = [-(total * total), total * w, z]
    np.testing.assert_array_equal(out, [part for value in want for part in (value.real, value.imag)])


def test_a_constant_stands_for_all_numbers_of_a_slot():
    tape = Tape(("z",), (3.0,), (Instr("add", (0, 1)),), (2,))
    setting = Setting(CompileOptions(), host_target().lanes, arithmetic=COMPLEX)
    program = assemble(tape, kernel_set(setting))
    code = block_code(program, setting)
    z, out = np.arange(20.0).reshape(2, 10), np.zeros((2, 10))
    table = np.array([(c.ctypes.data, 8) for c in (*z, *out)])
    driver("double").call(10, table.ctypes.data, 2, 2, code.address, setting.lanes, code.frame_bytes, code.context)
    np.testing.assert_array_equal(out, z + 3)
