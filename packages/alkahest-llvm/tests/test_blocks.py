"""The block machine: its results, at every length and layout, for every sort of tape."""

import random
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm
import numpy as np
import pytest

import alkahest as ak
import alkahest_llvm
from alkahest.extend import CompileOptions, Instr, Tape, lowering_rules
from alkahest.testing.corpus import corpus
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.blocks.machine import LARGEST_CELLS
from alkahest_llvm.loading import engine

DTYPES = {"f64": np.float64, "f32": np.float32}
# About a group of lanes, a block of doubles, a block of floats, and what the driver takes through scratch columns.
LENGTHS = (1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 511, 513, 1000)


def bits(values):
    """Return the bits of numbers; the sign and payload of a nan mean nothing."""
    values = np.asarray(values)
    values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    return values.view({4: np.uint32, 8: np.uint64}[values.itemsize])


def both(tape, **options):
    """Return the kernels of the two native tiers, the optimised one first."""
    return [tier().compile(tape, CompileOptions(**options)) for tier in (LLVMBackend, LLVMFastBackend)]


def random_tape(length, seed):
    """Return a tape of common operations with several outputs, among them some that are read on."""
    draw = random.Random(seed)
    consts = (0.5, -1.25, 3.0, 2.0, 1.7)
    base = 3 + len(consts)
    instrs = []
    for k in range(length):
        op = draw.choice(("add", "sub", "mul", "fma", "min", "fmax", "neg", "sin", "cos", "exp", "pow", "where", "lt"))
        arity = {"fma": 3, "where": 3, "neg": 1, "sin": 1, "cos": 1, "exp": 1}.get(op, 2)
        args = [
            draw.choice((draw.randrange(base), draw.randrange(max(0, base + k - 12), base + k))) for _ in range(arity)
        ]
        instrs.append(Instr(op, tuple(args)))
    end = base + length
    outputs = (*range(end - 6, end), *draw.sample(range(end), 6), end - 1)
    return Tape(("x", "y", "z"), consts, tuple(instrs), outputs)


def columns(n, dtype="f64", count=3, seed=1):
    return list(np.random.default_rng(seed).uniform(-2, 2, (count, n)).astype(DTYPES[dtype]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(6))
def test_random_tapes_at_every_length(seed, dtype):
    tape = random_tape(12 * 3 ** (seed % 3), seed)
    kernels = both(tape, dtype=dtype)
    for n in LENGTHS:
        given = columns(n, dtype, seed=n)
        slow, fast = [bits(run(kernel, given, n, dtype)) for kernel in kernels]
        np.testing.assert_array_equal(fast, slow, f"{n} points")


@pytest.mark.parametrize("options", [{"contract": False}, {"accuracy": "4ulp"}], ids=str)
@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_the_corpus_under_other_options(case, options):
    points = case.points(150)
    given = list(np.array(points).T)
    slow, fast = [bits(run(kernel, given, len(points))) for kernel in both(case.tape(), **options)]
    np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("n", LENGTHS)
def test_strides_and_repeated_values(n):
    tape = random_tape(40, 9)
    slow, fast = both(tape)
    x, y, z = columns(n)
    one = np.broadcast_to(np.array(0.75), n)
    wide = np.zeros((n, 4))
    wide[:, 1] = x
    for given in ([one, y, z], [x, one, one], [one, one, one], [wide[:, 1], y, one], [x[::-1], y, z]):
        want = bits(run(slow, given, n))
        np.testing.assert_array_equal(bits(run(fast, given, n)), want)
        apart = np.zeros((n, fast.n_outputs))
        run(fast, given, n, out=list(apart.T))
        np.testing.assert_array_equal(bits(apart.T), want)


@pytest.mark.parametrize("n", [16, 128, 1000])
def test_outputs_in_the_memory_of_inputs(n):
    """Every instruction here reads an input after an output was stored, whichever outputs share memory with it."""
    instrs = (Instr("add", (0, 1)), Instr("sub", (0, 1)), Instr("mul", (0, 1)), Instr("fma", (2, 0, 1)))
    tape = Tape(("x", "y"), (), instrs, (2, 3, 4, 5, 1, 0))
    kernel = LLVMFastBackend().compile(tape, CompileOptions(contract=False))
    for first, second in ((0, 1), (1, 0), (5, 4), (2, 2), (3, 0)):
        memory = np.zeros((6, n))
        x, y = np.arange(n) + 0.5, np.linspace(3, 4, n)
        want = [x + y, x - y, x * y, (x + y) * x + y, y, x]
        if first != second:
            memory[first], memory[second] = x, y
            given = [memory[first], memory[second]]
        else:
            memory[first] = x
            given = [memory[first], y]
        run(kernel, given, n, out=list(memory))
        np.testing.assert_allclose(memory, want, rtol=1e-15)


def test_one_kernel_in_many_threads():
    tape = random_tape(300, 3)
    slow, fast = both(tape)
    given = [columns(5000, seed=k) for k in range(12)]
    want = [bits(run(slow, g, 5000)) for g in given]
    with ThreadPoolExecutor(8) as pool:
        for got, expected in zip(pool.map(lambda g: bits(run(fast, g, 5000)), given), want, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_tape_of_200_000_instructions():
    n = 200_000
    steps = {0: ("add", 0), 1: ("sub", 1), 2: ("mul", 3), 3: ("add", 1)}
    instrs = [Instr("add", (2, 0))]
    instrs += [Instr(steps[k % 4][0], (3 + k, steps[k % 4][1])) for k in range(1, n)]
    tape = Tape(("x", "y"), (1.0, -1.0), tuple(instrs), (n + 3,))
    assert LLVMFastBackend().refuses(tape) == ""
    kernel = LLVMFastBackend().compile(tape, CompileOptions())
    x, y = np.arange(40.0), np.arange(40.0)[::-1] * 2
    want = 1.0 + x
    for k in range(1, n):
        want = {0: want + x, 1: want - y, 2: -want, 3: want + y}[k % 4]
    np.testing.assert_array_equal(run(kernel, [x, y], 40)[0], want)
    assert kernel.scalar([x[7], y[7]]) == want[7]


def test_more_values_alive_than_the_cache_holds():
    n = 20_000
    ups = [Instr("add", (0, 1))] + [Instr("add", (2 + k, 1)) for k in range(n - 1)]
    downs = [Instr("sub", (n + 1, n))] + [Instr("sub", (n + 2 + k, n - 1 - k)) for k in range(n - 2)]
    tape = Tape(("x", "y"), (), tuple(ups + downs), (2 * n,))
    kernel = LLVMFastBackend().compile(tape, CompileOptions())
    x, y = np.arange(200.0), np.full(200, 2.0)
    rows = x + np.cumsum(np.full((n, 200), 2.0), axis=0)
    want = rows[-1] - rows[-2::-1].sum(axis=0)
    np.testing.assert_array_equal(run(kernel, [x, y], 200)[0], want)
    assert n > LARGEST_CELLS
    assert not hasattr(kernel, "scalar")


def test_a_function_of_too_many_places_for_a_scalar_entry_is_called_all_the_same():
    pool = ak.ExprPool()
    x = pool.symbol("x")
    terms = [x + float(k) for k in range(LARGEST_CELLS + 5)]
    total = terms[0]
    for term in (*terms[1:], *reversed(terms)):
        total = total + term
    f = ak.compile_expr(total, [x], backend="llvm-fast", fallback=False)
    assert f([1.0]) == 2 * sum(range(1, len(terms) + 1))


# -- constants


@pytest.mark.parametrize(
    "exponent", [0.0, -0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, 1.5, -0.5, 7.0, 65.0, 1.7, 1e300, np.nan]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_that_a_rule_looks_at(exponent, dtype):
    tape = Tape(("x",), (exponent, 1.3), (Instr("pow", (0, 1)), Instr("pow", (0, 2)), Instr("pow", (1, 0))), (3, 4, 5))
    x = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-310, 0.3] * 3, DTYPES[dtype])
    slow, fast = [bits(run(kernel, [x], len(x), dtype)) for kernel in both(tape, dtype=dtype)]
    np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("number", [0.1, -0.0, 0.0, 1e300, 5e-324, np.inf, -np.inf, np.nan, 16777217.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_as_operands_and_as_outputs(number, dtype):
    tape = Tape(
        ("x",), (number,), tuple([Instr(op, (0, 1)) for op in ("add", "mul", "copysign", "atan2")]), (2, 3, 4, 5, 1)
    )
    x = np.linspace(-3, 3, 40, dtype=DTYPES[dtype])
    slow, fast = [bits(run(kernel, [x], 40, dtype)) for kernel in both(tape, dtype=dtype)]
    np.testing.assert_array_equal(fast, slow)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(fast[4], bits(np.full(40, number, DTYPES[dtype])))


# -- ops of others


def weighted(builder, a, b, c, d, e, *, by):
    return (a + b * 2.0) - (c * d + e) * by


def tuned(builder, x, n):
    """Another code for some values of a constant."""
    if n.number == 2.0:
        return x * x
    return builder.kernel("log", x) if n.number == -1.0 else x + n


def broken(builder, x):
    raise ValueError("this rule is broken")


@pytest.fixture
def others(monkeypatch):
    """Set rules of a third party for one test."""
    LLVMFastBackend().refuses(Tape((), (), (), ()))
    table = lowering_rules("llvm")
    rules = {"weighted": weighted, "tuned": tuned, "broken": broken}
    monkeypatch.setattr(table, "_by_name", {**table._by_name, **rules})


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_op_of_five_arguments_with_a_parameter(dtype):
    instr = Instr("weighted", (0, 2, 1, 0, 2), (("by", 0.25),))
    tape = Tape(("x", "y"), (1.5,), (instr, Instr("weighted", (3, 3, 3, 1, 3), (("by", -1.0),))), (4, 3))
    x, y = columns(300, dtype, 2)
    got = run(LLVMFastBackend().compile(tape, CompileOptions(dtype=dtype)), [x, y], 300, dtype)
    first = (x + DTYPES[dtype](1.5) * 2) - (y * x + DTYPES[dtype](1.5)) * DTYPES[dtype](0.25)
    np.testing.assert_array_equal(got[1], first)
    np.testing.assert_array_equal(got[0], (first + first * 2) - (first * y + first) * DTYPES[dtype](-1))


@pytest.mark.usefixtures("others")
def test_a_rule_of_a_third_party_that_looks_at_a_constant():
    tape = Tape(("x",), (2.0, -1.0, 5.0, 7.0), tuple([Instr("tuned", (0, k)) for k in (1, 2, 3, 4)]), (5, 6, 7, 8))
    x = np.linspace(0.5, 4, 50)
    kernel = LLVMFastBackend().compile(tape, CompileOptions())
    got = np.array(run(kernel, [x], 50))
    np.testing.assert_array_equal(got[[0, 2, 3]], [x * x, x + 5, x + 7])
    np.testing.assert_allclose(got[1], np.log(x), rtol=3e-16, atol=1e-16)
    assert kernel.scalar([0.5]) == [0.25, got[1][0], 5.5, 7.5]
    assert kernel.artifacts["llvm-ir"].count("define ptr @") == 3  # the last two share theirs


@pytest.mark.usefixtures("others")
def test_a_rule_that_is_replaced_is_not_used_any_more(monkeypatch):
    tape = Tape(("x", "y"), (), (Instr("tuned", (0, 1)),), (2,))
    x, y = columns(20, count=2)
    np.testing.assert_array_equal(run(LLVMFastBackend().compile(tape, CompileOptions()), [x, y], 20)[0], x + y)
    table = lowering_rules("llvm")
    monkeypatch.setattr(table, "_by_name", {**table._by_name, "tuned": lambda b, x, y: alkahest_llvm.fma(x, y, x)})
    got = run(LLVMFastBackend().compile(tape, CompileOptions()), [x, y], 20)[0]
    np.testing.assert_allclose(got, x * y + x, rtol=1e-14)


@pytest.mark.usefixtures("others")
def test_a_broken_rule_is_found_when_compiling():
    with pytest.raises(ValueError, match="this rule is broken"):
        LLVMFastBackend().compile(Tape(("x",), (), (Instr("broken", (0,)),), (1,)), CompileOptions())


# -- what is kept


def test_kernels_are_made_once_per_process():
    def tape(constant):
        instrs = (Instr("mul", (0, 1)), Instr("tanh", (2,)), Instr("pow", (3, 1)), Instr("add", (3, 4)))
        return Tape(("x",), (constant,), instrs, (5,))

    LLVMFastBackend().compile(tape(1.6), CompileOptions()).scalar([0.5])
    before = engine.compilations
    for k in range(5):
        LLVMFastBackend().compile(tape(1.61 + 0.01 * k), CompileOptions()).scalar([0.5])
    assert engine.compilations == before


def test_artifacts():
    tape = Tape(("x", "y"), (2.5,), (Instr("mul", (0, 2)), Instr("sin", (3,)), Instr("sub", (4, 1))), (5, 0))
    artifacts = LLVMFastBackend().compile(tape, CompileOptions()).artifacts
    assert set(artifacts) == {"llvm-ir", "bytecode"}
    assert artifacts["bytecode"] == (
        "t0 = mul in0, #4004000000000000\nt0 = sin t0\nout0 = sub t0, in1\nout1 = copy in0\nhalt"
    )
    module = llvm.parse_assembly(artifacts["llvm-ir"])
    module.verify()
    assert sum(not function.is_declaration for function in module.functions) == 4
    with pytest.raises(KeyError):
        artifacts["asm"]


def test_only_an_op_without_rule_is_refused():
    assert "nonsense" in LLVMFastBackend().refuses(Tape(("x",), (), (Instr("nonsense", (0,)),), (1,)))
    assert (
        LLVMFastBackend().refuses(Tape(("x",), (), tuple([Instr("neg", (k,)) for k in range(50_000)]), (50_000,))) == ""
    )
