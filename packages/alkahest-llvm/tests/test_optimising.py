"""The steps of the tape optimiser: what they write, and that nothing is lost."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import ExprPool, cos, sin, sqrt
from alkahest.extend import CompileOptions, Instr, Tape, linearize, lowering_rules
from alkahest.testing import strategies
from alkahest.testing.corpus import SPECIALS, corpus
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.optimising.draft import Draft, rewritten
from alkahest_llvm.optimising.optimiser import STEPS, optimise
from alkahest_llvm.optimising.powers import expand_powers
from alkahest_llvm.optimising.ranges import Ranges
from alkahest_llvm.optimising.reciprocals import share_reciprocals
from alkahest_llvm.optimising.sharing import share
from alkahest_llvm.optimising.simplifying import simplify
from alkahest_llvm.targets import host_target

DEFAULT = CompileOptions()
AS_WRITTEN = CompileOptions(contract=False)


def tape_of(build):
    """Return the tape of a function of symbols, which gives an expression or a list of them."""
    pool = ExprPool()
    symbols = pool.symbols("x y z")[: build.__code__.co_argcount]
    outputs = build(*symbols)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return linearize([pool.expr(o) for o in outputs], symbols)


def values(tape, *columns, options=AS_WRITTEN):
    """Return a tape's outputs, one row each; by default exactly what its instructions say."""
    kernel = LLVMBackend().compile(tape, options)
    columns = [np.asarray(c, {"f64": np.float64, "f32": np.float32}[options.dtype]) for c in columns]
    return np.array(run(kernel, columns, len(columns[0]), options.dtype))


def ops(tape):
    return [instr.op for instr in tape.instrs]


def bits(array):
    """Return the bits of numbers, all nan alike."""
    array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return array.view({4: np.uint32, 8: np.uint64}[array.itemsize])


WRITTEN = {
    "dense polynomial": lambda x: 4 + 3 * x + 2 * x**2 - x**3,
    "even polynomial": lambda x: 1 - x**2 / 2 + x**4 / 24,
    "odd polynomial": lambda x: x - x**3 / 6 + x**5 / 120,
    "products of x": lambda x: 3 * x * x * x + 2 * x * x + 5 * x,
    "sparse, no power by itself": lambda x: 3 * x * x * x * x + 2 * x * x + 1,
    "computed coefficients": lambda x, y, z: y * x**2 + z * x + 1,
    "a rest": lambda x, y: sin(y) + 2 * x + 3 * x**2,
    "two variables": lambda x, y: x**3 + 2 * x**2 + x + y**3 - y**2 - y,
    "value and slope": lambda x: [1 + x + x**2 + x**3, 1 + 2 * x + 3 * x**2],
    "nested by hand": lambda x: 4 + x * (3 + x * (2 + x)),
    "not worth it": lambda x: x**2 + x,
    "many even terms": lambda x: 1 + x**2 + 2 * x**4 + 3 * x**6 + 4 * x**8 + 5 * x**10,
    "negations": lambda x, y: [-x - y, x - (-y), (-x) * (-y), (-x) * 3.0, (-x) ** 2, -(x - y)],
    "powers": lambda x: [x**3, x**2, x**4, x**7],
    "half powers": lambda x: [x**1.5, x**-0.5, x**-1.5, x**2.5],
    "sine and cosine": lambda x, y: [sin(x) * cos(x), sin(y), cos(x + y) + sin(x + y)],
    "quotients": lambda x, y, z: [x / sqrt(1 + z**2), y / sqrt(1 + z**2)],
    "quotients by what may be huge": lambda x, y: [x / (1 + x**2), 2 / (1 + x**2), y / (1 + x**2)],
    "quotients by what may be zero": lambda x, y, z: [x / z, y / z],
    "x - x y": lambda x, y: x - x * y,
}


def test_what_is_written(golden):
    parts = []
    for name, build in WRITTEN.items():
        parts += [f"# {name}", str(optimise(tape_of(build), DEFAULT)), ""]
    golden("optimised_tapes.txt", "\n".join(parts))


def test_nothing_is_done_where_every_operation_is_to_be_rounded():
    for build in WRITTEN.values():
        tape = tape_of(build)
        assert optimise(tape, AS_WRITTEN) is tape


def test_a_tape_with_nothing_to_do_is_returned_itself():
    tape = tape_of(lambda x, y: [sin(x), cos(y) + x, sqrt(x) / y])
    assert optimise(tape, DEFAULT) is tape


def test_the_same_tape_every_time():
    for case in corpus():
        assert optimise(case.tape(), DEFAULT).digest == optimise(case.tape(), DEFAULT).digest


def test_what_nobody_reads_is_dropped():
    unread = Tape(("x",), (7.0, 2.0), (Instr("mul", (0, 1)), Instr("sin", (0,)), Instr("exp", (3,))), (4,))
    assert optimise(unread, DEFAULT) == Tape(("x",), (), (Instr("sin", (0,)),), (1,))


def test_equal_instructions_are_computed_once():
    instrs = [("add", 0, 1), ("add", 1, 0), ("sub", 0, 1), ("sub", 1, 0), ("sin", 2), ("sin", 3), ("div", 6, 7)]
    tape = Tape(("x", "y"), (), tuple(Instr(op, tuple(args)) for op, *args in instrs), (8, 4, 5, 3))
    got = rewritten(tape, DEFAULT, [share])
    assert ops(got) == ["add", "sub", "sub", "sin", "div"]
    assert got.instrs[-1].args == (5, 5)
    assert got.outputs == (6, 3, 4, 2)


EXACT_OPS = ["add", "sub", "neg", "mul", "div", "abs", "min"]


@given(tape=strategies.tapes(ops=EXACT_OPS, max_ops=14), points=st.lists(strategies.points(), min_size=1, max_size=4))
def test_simplifying_and_sharing_change_no_bit(tape, points):
    points = [*points, *itertools.product(SPECIALS[:9], repeat=2)]
    columns = [np.array(c) for c in zip(*points, strict=True)]
    simpler = rewritten(tape, DEFAULT, [simplify, share])
    assert len(simpler.instrs) <= len(tape.instrs)
    np.testing.assert_array_equal(bits(values(simpler, *columns)), bits(values(tape, *columns)))


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("divisor", [2.0, -0.25, 2.0**40, 3.0, 1e-310, math.inf, 0.0])
def test_division_by_a_constant_keeps_its_bits(divisor, dtype):
    tape = Tape(("x",), (divisor,), (Instr("div", (0, 1)),), (2,))
    options = CompileOptions(dtype=dtype, contract=False)
    x = [*SPECIALS, *np.random.default_rng(0).standard_normal(50) * 10.0 ** np.arange(-300, 300, 12)]
    with np.errstate(over="ignore"):
        x = np.array(x).astype({"f64": np.float64, "f32": np.float32}[dtype])
    simpler = rewritten(tape, CompileOptions(dtype=dtype), [simplify])
    assert (ops(simpler) == ["mul"]) == (divisor in (2.0, -0.25, 2.0**40))
    got, want = values(simpler, x, options=options), values(tape, x, options=options)
    np.testing.assert_array_equal(bits(got), bits(want))


# powers


def largest_error(tape, exact, x, **options):
    got = values(optimise(tape, CompileOptions(**options)), x, options=CompileOptions(contract=False, **options))[0]
    with mpmath.workprec(150):
        errors = [abs(mpmath.mpf(g) - exact(mpmath.mpf(v))) for g, v in zip(got.tolist(), x.tolist(), strict=True)]
        return max(float(e / math.ulp(float(exact(mpmath.mpf(v))))) for e, v in zip(errors, x.tolist(), strict=True))


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("exponent", [*range(-6, 9), 1.5, 2.5, -0.5, -1.5, 40, -40])
def test_powers_against_mpmath(exponent, accuracy):
    tape = Tape(("x",), (float(exponent),), (Instr("pow", (0, 1)),), (2,))
    x = np.random.default_rng(1).uniform(1, 4, 3000)
    error = largest_error(tape, lambda v: v ** mpmath.mpf(exponent), x, accuracy=accuracy)
    assert error <= (2.0 if accuracy == "1ulp" else 4.0)


@pytest.mark.parametrize("exponent", [2, 3, 4, 5, 7, 20, -1, -3, -20, 0.5, -1.5])
def test_powers_in_single_precision(exponent):
    tape = Tape(("x",), (float(exponent),), (Instr("pow", (0, 1)),), (2,))
    x = np.random.default_rng(1).uniform(0.5, 4, 3000).astype(np.float32)
    options = {"dtype": "f32", "contract": False}
    got = values(optimise(tape, CompileOptions(dtype="f32")), x, options=CompileOptions(**options))[0]
    exact = x.astype(np.longdouble) ** np.longdouble(exponent)
    assert (np.abs(got - exact) <= 2 * np.spacing(np.abs(exact).astype(np.float32))).all()


@pytest.mark.parametrize(("n", "bound"), [(4, 2.0), (6, 4.0)])
def test_products_for_powers_cannot_be_further_off(n, bound):
    """To first order each rounding counts half an ulp of its own result, as often as that enters the power."""
    entering = {4: {2: 2, 4: 1}, 6: {2: 2, 3: 2, 6: 1}}[n]
    x = np.linspace(1, 2, 100_001)
    fraction = {k: x**k / 2.0 ** np.floor(k * np.log2(x)) for k in entering}
    assert max(sum(0.5 * times * fraction[n] / fraction[k] for k, times in entering.items())) < bound


def test_squares_are_shared_between_powers():
    tape = rewritten(tape_of(lambda x: [x**4, x**3, x**2]), DEFAULT, [expand_powers])
    assert sorted(tape.instrs) == [Instr("mul", (0, 0)), Instr("mul", (1, 0)), Instr("mul", (1, 1))]
    many = Tape(("x",), (3.0, 4.0), tuple(Instr("pow", (0, k)) for k in (1, 2, 1)), (3, 4, 5))
    assert ops(rewritten(many, DEFAULT, [expand_powers])) == ["mul", "mul", "mul"]


def test_negative_powers_share_one_reciprocal():
    tape = tape_of(lambda x: [x**-1, x**-2, x**-3, 5 * x**-2])
    assert ops(optimise(tape, CompileOptions(accuracy="4ulp"))) == ["div", "mul", "mul", "mul"]
    kernel = LLVMBackend().compile(tape, DEFAULT)
    assert kernel.artifacts["llvm-ir"].count("fdiv") <= 2  # 1/x itself, and the one that the others start from


def test_half_powers_share_one_root():
    tape = tape_of(lambda x: [x**0.5, x**1.5, x**2.5, x**-0.5, x**-1.5])
    shared = optimise(tape, DEFAULT)
    assert ops(shared) == ["pow", "abs", "mul", "pow", "div", "pow"]
    code = LLVMBackend().compile(tape, DEFAULT).artifacts["llvm-ir"]
    multiplied = code.count("= call <8 x double> @llvm.x86.avx512.rsqrt14")
    divided = len([line for line in code.splitlines() if "= call" in line and "@llvm.sqrt" in line])
    assert divided + multiplied * 8 // host_target().lanes == 1
    x = [*SPECIALS, *np.random.default_rng(2).uniform(0, 9, 40)]
    np.testing.assert_array_equal(bits(values(shared, x)), bits(values(tape, x)))


# ranges


RANGED = ["add", "sub", "mul", "div", "neg", "abs", "sqrt", "exp", "log", "sin", "tanh", "min", "max", "fmax", "where"]
RANGED += ["pow", "cosh", "acos", "hypot", "lt", "sign", "expm1", "erfc", "fma"]


@given(
    tape=strategies.tapes(ops=RANGED, max_ops=14),
    points=st.lists(strategies.points(), min_size=1, max_size=4),
    dtype=st.sampled_from(["f64", "f32"]),
)
def test_slots_hold_numbers_of_their_ranges(tape, points, dtype):
    every_slot = Tape(tape.inputs, tape.consts, tape.instrs, tuple(range(tape.n_slots)))
    ranges = Ranges(Draft(every_slot, CompileOptions(dtype=dtype)))
    points = [*points, *itertools.product(SPECIALS[:13], repeat=2)]
    options = CompileOptions(dtype=dtype, contract=False)
    found = values(every_slot, *zip(*points, strict=True), options=options)
    for slot, row in enumerate(found):
        low, high = ranges.of(slot)
        row = row[~np.isnan(row)]
        assert ((low <= row) & (row <= high)).all(), (slot, low, high, row)


def test_ranges_do_not_rely_on_a_rule_of_a_third_party(monkeypatch):
    LLVMBackend().refuses(Tape((), (), (), ()))
    table = lowering_rules("llvm")
    tape = tape_of(lambda x, y: [x / (2 + cos(y)), y / (2 + cos(y))])
    assert ops(optimise(tape, DEFAULT)).count("div") == 1
    monkeypatch.setattr(table, "_by_name", {**table._by_name, "cos": lambda b, x: x * 1000.0})
    assert optimise(tape, DEFAULT) is tape


def test_an_op_of_a_third_party_passes_untouched():
    strange = Instr("strange", (1, 0), (("by", 2.5), ("how", "well")))
    tape = Tape(("x", "y"), (2.0,), (Instr("pow", (0, 2)), strange, Instr("add", (3, 4))), (5,))
    assert strange in optimise(tape, DEFAULT).instrs


# reciprocals


QUOTIENTS = {
    "huge": lambda x, y: [x / (1 + y**2), y / (1 + y**2), 3 / (1 + y**2), 1 / (1 + y**2)],
    "bounded": lambda x, y: [x / sqrt(1 + y**2), y / sqrt(1 + y**2), 1 / sqrt(1 + y**2)],
    "negative": lambda x, y: [x / (sin(y) - 2), y / (sin(y) - 2)],
    "constant": lambda x, y: [x / 3, y / 3, x * y / 3],
}
LARGE = [1.2e154, 7e153, 1.3e154, 1e100, -1e154, 1e-200, 5e-324, 1e-310, 1.7e308, -1e308]


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("name", QUOTIENTS)
def test_shared_reciprocals_are_safe(name, dtype):
    """Within 1.5 ulp of the exact quotient, so within 2 of the rounded one; infinities and nan where they were."""
    tape = rewritten(tape_of(QUOTIENTS[name]), DEFAULT, [expand_powers])
    fewer = rewritten(tape, CompileOptions(dtype=dtype), [share_reciprocals])
    assert ops(fewer).count("div") == (name != "constant")
    rng = np.random.default_rng(4)
    points = [*itertools.product([*SPECIALS, *LARGE], repeat=2), *(10.0 ** rng.uniform(-40, 40, (400, 2))).tolist()]
    with np.errstate(over="ignore"):
        columns = np.array(points).T.astype({"f64": np.float64, "f32": np.float32}[dtype])
    options = CompileOptions(dtype=dtype, contract=False)
    got, want = values(fewer, *columns, options=options), values(tape, *columns, options=options)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    assert np.isfinite(got[finite]).all()
    got, want = got[finite], want[finite]
    assert (np.abs(got - want) <= 2 * np.spacing(np.abs(want))).all()
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize("build", [lambda x, y, z: [x / z, y / z], lambda x, y, z: [x / z**2, y / z**2]])
def test_no_reciprocal_of_what_may_be_tiny(build):
    tape = rewritten(tape_of(build), DEFAULT, [expand_powers])
    assert rewritten(tape, DEFAULT, [share_reciprocals]) is tape


# all together


TOGETHER = {**WRITTEN, **QUOTIENTS}


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
def test_every_tier_and_width_gives_the_same_bits(dtype, accuracy):
    options = CompileOptions(dtype=dtype, accuracy=accuracy)
    rng = np.random.default_rng(6)
    columns = list(rng.uniform(0.1, 3, (3, 37)).astype({"f64": np.float64, "f32": np.float32}[dtype]))
    for name, build in TOGETHER.items():
        tape = tape_of(build)
        inputs = columns[: len(tape.inputs)]
        kernels = [LLVMBackend().compile(tape, options), LLVMFastBackend().compile(tape, options)]
        kernels += [LLVMKernel(tape, options, level=1, style="call", width=w) for w in (1, 4)]
        results = [bits(np.array(run(k, inputs, 37, dtype))) for k in kernels]
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0], name)


def test_the_time_it_takes_grows_with_the_length_of_the_tape_alone():
    """Long runs of sums, terms and powers in all shapes are no worse than linear: this would take minutes."""
    n = 20_000
    pool = ExprPool()
    x, y = pool.symbols("x y")
    total = x
    for k in range(n):
        total = total + [x**2 * (k + 0.5), y**3, x * k, -(y**2), x / (k + 3)][k % 5]
    nested = x
    for _ in range(n):
        nested = (nested + x**2) * x
    for out in (total, nested):
        assert optimise(linearize([out], [x, y]), DEFAULT).outputs


def test_steps_are_functions_of_tapes():
    tape = tape_of(WRITTEN["dense polynomial"])
    before = tape.digest
    assert rewritten(tape, DEFAULT, STEPS) == rewritten(tape, DEFAULT, STEPS)
    assert tape.digest == before
