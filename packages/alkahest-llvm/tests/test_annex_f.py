"""Special values as C's Annex F lists them (F.9 in C99, clauses numbered as in C11), on every way to run a function.

Batches hold ordinary points between the special ones, so that both share a block of lanes.
"""

import math
import shutil
from functools import cache

import numpy as np
import pytest

import alkahest
from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.corpus import op_domain, sample
from alkahest.testing.suites import run
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend

TIERS = {"llvm": LLVMBackend, "llvm-fast": LLVMFastBackend}
TYPES = {"f64": np.float64, "f32": np.float32}

# Arguments = result; ± stands for two entries, the upper and the lower sign throughout. `huge` is the largest double,
# `tiny` the least. What the clauses leave to the mathematics is here as well: exact cases, overflow, underflow, and
# functions that are their argument where that is tiny.
TEXT = """
F.10.1.1 acos: 1 = 0; -1 = pi; ±1.5 = nan; ±inf = nan; nan = nan
F.10.1.2 asin: ±0 = ±0; ±1 = ±pi/2; ±1.5 = nan; ±inf = nan; ±tiny = ±tiny; nan = nan
F.10.1.3 atan: ±0 = ±0; ±inf = ±pi/2; ±tiny = ±tiny; ±huge = ±pi/2; nan = nan
F.10.1.4 atan2:
    ±0 -0 = ±pi; ±0 0 = ±0; ±0 -2 = ±pi; ±0 -tiny = ±pi; ±0 2 = ±0; ±0 tiny = ±0; ±0 inf = ±0; ±0 -inf = ±pi
    ±2 0 = ±pi/2; ±2 -0 = ±pi/2; ±tiny 0 = ±pi/2; ±2 -inf = ±pi; ±2 inf = ±0; ±huge inf = ±0; ±tiny -inf = ±pi
    ±inf 2 = ±pi/2; ±inf -2 = ±pi/2; ±inf 0 = ±pi/2; ±inf huge = ±pi/2; ±inf -inf = ±3pi/4; ±inf inf = ±pi/4
    nan 1 = nan; 1 nan = nan; nan inf = nan; ±inf nan = nan; nan nan = nan; nan 0 = nan; ±0 nan = nan
    ±huge tiny = ±pi/2; ±tiny huge = ±0; ±tiny -huge = ±pi; ±tiny tiny = ±pi/4; ±huge huge = ±pi/4
    ±tiny -tiny = ±3pi/4; ±tiny 1 = ±tiny
F.10.1.5 cos: ±0 = 1; ±inf = nan; ±tiny = 1; ±1e-300 = 1; nan = nan
F.10.1.6 sin: ±0 = ±0; ±inf = nan; ±tiny = ±tiny; ±1e-300 = ±1e-300; nan = nan
F.10.1.7 tan: ±0 = ±0; ±inf = nan; ±tiny = ±tiny; ±1e-300 = ±1e-300; nan = nan
F.10.2.1 acosh: 1 = 0; 0.5 = nan; ±0 = nan; -2 = nan; -inf = nan; inf = inf; nan = nan
F.10.2.2 asinh: ±0 = ±0; ±inf = ±inf; ±tiny = ±tiny; ±1e-300 = ±1e-300; nan = nan
F.10.2.3 atanh: ±0 = ±0; ±1 = ±inf; ±1.5 = nan; ±inf = nan; ±tiny = ±tiny; nan = nan
F.10.2.4 cosh: ±0 = 1; ±inf = inf; ±711 = inf; ±huge = inf; ±tiny = 1; nan = nan
F.10.2.5 sinh: ±0 = ±0; ±inf = ±inf; ±711 = ±inf; ±huge = ±inf; ±tiny = ±tiny; nan = nan
F.10.2.6 tanh: ±0 = ±0; ±inf = ±1; ±huge = ±1; ±30 = ±1; ±tiny = ±tiny; nan = nan
F.10.3.1 exp: ±0 = 1; -inf = 0; inf = inf; nan = nan; 710 = inf; -746 = 0; huge = inf; -huge = 0; ±tiny = 1
F.10.3.3 expm1: ±0 = ±0; -inf = -1; inf = inf; nan = nan; -100 = -1; -huge = -1; 710 = inf; huge = inf; ±tiny = ±tiny
F.10.3.7 log: ±0 = -inf; 1 = 0; -1 = nan; -tiny = nan; -inf = nan; inf = inf; nan = nan
F.10.3.8 log10:
    ±0 = -inf; 1 = 0; -1 = nan; -tiny = nan; -inf = nan; inf = inf; nan = nan
    10 = 1; 100 = 2; 1e3 = 3; 1e5 = 5; 1e10 = 10; 1e15 = 15; 1e21 = 21; 1e22 = 22
F.10.3.9 log1p: ±0 = ±0; -1 = -inf; -1.5 = nan; -inf = nan; inf = inf; ±tiny = ±tiny; ±1e-300 = ±1e-300; nan = nan
F.10.3.10 log2:
    ±0 = -inf; 1 = 0; -1 = nan; -tiny = nan; -inf = nan; inf = inf; nan = nan; tiny = -1074; 0x1p-1022 = -1022
    0x1p-149 = -149; 0x1p-126 = -126; 0.5 = -1; 2 = 1; 4 = 2; 0x1p127 = 127; 0x1p1023 = 1023
F.10.4.1 cbrt: ±0 = ±0; ±inf = ±inf; nan = nan; ±27 = ±3; ±1e-15 = ±1e-5; ±tiny = ±0x1p-358
F.10.4.2 abs: ±0 = 0; ±inf = inf; ±tiny = tiny; nan = nan
F.10.4.3 hypot:
    ±inf nan = inf; nan ±inf = inf; ±inf 1 = inf; 1 ±inf = inf; ±inf -inf = inf; nan 1 = nan; 1 nan = nan; nan nan = nan
    ±0 0 = 0; ±0 -0 = 0; ±2.5 0 = 2.5; ±2.5 -0 = 2.5; ±0 -2.5 = 2.5; ±tiny 0 = tiny; ±0 huge = huge; ±3 -4 = 5
    ±huge huge = inf; ±1.5e-323 2e-323 = 2.5e-323; ±3e307 4e307 = 5e307
F.10.4.4 pow:
    ±0 -3 = ±inf; ±0 -1 = ±inf; ±0 -4 = inf; ±0 -2.5 = inf; ±0 -0.5 = inf; ±0 -0x1p53 = inf; ±0 -inf = inf
    ±0 3 = ±0; ±0 1 = ±0; ±0 4 = 0; ±0 2.5 = 0; ±0 1.5 = 0; ±0 0.5 = 0; ±0 0x1p53 = 0; ±0 inf = 0
    -1 ±inf = 1; -1 3 = -1; -1 4 = 1; -1 9007199254740991 = -1; -1 0x1p53 = 1; -1 huge = 1
    1 nan = 1; 1 ±inf = 1; 1 ±0 = 1; 1 2.5 = 1; 1 -3 = 1; 1 huge = 1
    nan ±0 = 1; inf ±0 = 1; -inf ±0 = 1; 0 ±0 = 1; -0 ±0 = 1; -2.5 ±0 = 1; tiny ±0 = 1; huge ±0 = 1
    -1 ±0.5 = nan; -tiny ±0.5 = nan; -2 ±2.5 = nan; -2 ±0.3333333333333333 = nan; -huge ±1.5 = nan; -2 tiny = nan
    ±0.5 -inf = inf; ±tiny -inf = inf; ±0 -inf = inf; ±2 -inf = 0; ±huge -inf = 0
    ±0.5 inf = 0; ±tiny inf = 0; ±2 inf = inf; ±huge inf = inf
    -inf -3 = -0; -inf -1 = -0; -inf -4 = 0; -inf -2.5 = 0; -inf -0.5 = 0; -inf -1.5 = 0; -inf -tiny = 0; -inf -inf = 0
    -inf 3 = -inf; -inf 1 = -inf; -inf 4 = inf; -inf 2.5 = inf; -inf 0.5 = inf; -inf 1.5 = inf; -inf tiny = inf
    -inf inf = inf; -inf 0x1p53 = inf; -inf -0x1p53 = 0
    inf -3 = 0; inf -1 = 0; inf -0.5 = 0; inf -1.5 = 0; inf -2.5 = 0; inf -tiny = 0; inf -inf = 0
    -inf 7 = -inf; -inf -7 = -0; inf -7 = 0; ±0 7 = ±0; ±0 -7 = ±inf; ±0 -1.5 = inf; 4 -1.5 = 0.125; ±tiny 7 = ±0
    inf 3 = inf; inf 1 = inf; inf 0.5 = inf; inf 1.5 = inf; inf 2.5 = inf; inf tiny = inf; inf inf = inf
    nan 1 = nan; nan -1 = nan; nan 2 = nan; nan ±0.5 = nan; nan 1.5 = nan; nan 2.5 = nan; nan 3 = nan; nan ±inf = nan
    ±0 nan = nan; -1 nan = nan; ±2 nan = nan; ±inf nan = nan; tiny nan = nan; nan nan = nan
    2 1024 = inf; -2 1025 = -inf; 2 -1076 = 0; -2 -1077 = -0; 10 1e9 = inf; -2 1023 = -0x1p1023; 2 -1074 = tiny
    -2 -1073 = -1e-323; 10 2 = 100; 4 0.5 = 2; 4 -0.5 = 0.5; 4 1.5 = 8; 4 2.5 = 32; -3 3 = -27; 2 -1 = 0.5
F.10.4.5 sqrt: ±0 = ±0; inf = inf; -inf = nan; -1 = nan; -tiny = nan; nan = nan; 4 = 2; tiny = 0x1p-537
F.10.5.1 erf: ±0 = ±0; ±inf = ±1; ±30 = ±1; ±huge = ±1; ±tiny = ±tiny; nan = nan
F.10.5.2 erfc: -inf = 2; inf = 0; nan = nan; ±0 = 1; ±tiny = 1; 28 = 0; -30 = 2; huge = 0; -huge = 2
F.10.5.3 lgamma: 1 = 0; 2 = 0; ±0 = inf; -1 = inf; -2 = inf; -0x1p52 = inf; ±inf = inf; ±huge = inf; nan = nan
F.10.5.4 gamma:
    ±0 = ±inf; ±tiny = ±inf; -1 = nan; -2 = nan; -170 = nan; -200 = nan; -inf = nan; -huge = nan; nan = nan; inf = inf
    172 = inf; huge = inf; -190.5 = -0; -191.5 = 0; 1 = 1; 2 = 1; 5 = 24
F.10.6.1 ceil: ±0 = ±0; ±inf = ±inf; -0.5 = -0; tiny = 1; -tiny = -0; nan = nan
F.10.6.2 floor: ±0 = ±0; ±inf = ±inf; 0.5 = 0; tiny = 0; -tiny = -1; nan = nan
F.10.6.4 round: ±0 = ±0; ±inf = ±inf; ±0.5 = ±0; ±1.5 = ±2; ±2.5 = ±2; ±tiny = ±0; nan = nan
F.10.6.6 round_away: ±0 = ±0; ±inf = ±inf; ±0.5 = ±1; ±2.5 = ±3; ±0.49999999999999994 = ±0; nan = nan
F.10.6.8 trunc: ±0 = ±0; ±inf = ±inf; ±0.5 = ±0; ±1.5 = ±1; ±tiny = ±0; nan = nan
F.10.7.1 fmod:
    ±0 1 = ±0; ±0 -tiny = ±0; ±0 inf = ±0; ±inf 1 = nan; ±1 0 = nan; ±0 0 = nan; ±1 -0 = nan; ±inf inf = nan
    ±1 inf = ±1; ±1 -inf = ±1; ±huge inf = ±huge; nan 1 = nan; 1 nan = nan; nan nan = nan
    ±6 3 = ±0; ±7 -3 = ±1; ±5.5 2 = ±1.5; ±huge tiny = ±0; ±tiny huge = ±tiny; ±5 5 = ±0; ±1e22 7 = ±4
F.10.7.2 remainder:
    ±0 1 = ±0; ±0 -tiny = ±0; ±0 inf = ±0; ±inf 1 = nan; ±1 0 = nan; ±0 0 = nan; ±1 -0 = nan; ±inf inf = nan
    ±1 inf = ±1; ±1 -inf = ±1; ±huge inf = ±huge; nan 1 = nan; 1 nan = nan; nan nan = nan
    ±6 3 = ±0; ±8 -3 = -±1; ±5 2 = ±1; ±7 2 = -±1; ±3 2 = -±1; ±huge tiny = ±0; ±tiny huge = ±tiny; ±1e22 7 = -±3
F.10.8.1 copysign: ±1 -0 = -1; ±inf -1 = -inf; ±0 -inf = -0; ±2 0 = 2
F.10.9.2 fmax: nan 1 = 1; 1 nan = 1; nan nan = nan; inf nan = inf; nan -inf = -inf; inf 1 = inf
F.10.9.3 fmin: nan 1 = 1; 1 nan = 1; nan nan = nan; inf nan = inf; nan -inf = -inf; -inf 1 = -inf
F.10.10.1 fma:
    ±0 inf 1 = nan; ±inf 0 nan = nan; ±inf 1 -±inf = nan; ±inf 1 ±inf = ±inf; 1 1 nan = nan; 1 -1 1 = 0; 0 -1 -0 = -0
    ±huge 2 -±huge = ±huge; ±tiny 0.5 ±tiny = ±1e-323
"""
NUMBERS = {"huge": 1.7976931348623157e308, "tiny": 5e-324, "pi": math.pi, "pi/2": math.pi / 2, "pi/4": math.pi / 4}
NUMBERS["3pi/4"] = 3 * math.pi / 4


def number(word):
    """Return the number a word stands for.

    >>> number("-tiny"), number("--pi/2"), number("0x1p-3")
    (-5e-324, 1.5707963267948966, 0.125)
    """
    digits = word.lstrip("-")
    value = NUMBERS.get(digits)
    if value is None:
        value = float.fromhex(digits) if digits.startswith("0x") else float(digits)
    return -value if (len(word) - len(digits)) % 2 else value


def read(text):
    """Return the clauses of a text, each with its function and its points: arguments, then the result."""
    clauses = {}
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            name, _, line = line.partition(":")
            clause, op = name.split()
            clauses[clause] = op, []
        for entry in filter(None, (part.strip() for part in line.split(";"))):
            for sign in ("", "-")[: 1 + ("±" in entry)]:
                words = entry.replace("±", sign).replace("=", " ").split()
                clauses[clause][1].append([number(word) for word in words])
    return clauses


TABLE = read(TEXT)
CLAUSES = [pytest.param(clause, id=f"{clause} {op}") for clause, (op, _) in TABLE.items()]


@cache
def kernel(tier, tape, dtype="f64", accuracy="1ulp"):
    return TIERS[tier]().compile(tape, CompileOptions(dtype=dtype, accuracy=accuracy))


def op_tape(op, arity):
    return Tape(tuple(f"x{k}" for k in range(arity)), (), (Instr(op, tuple(range(arity))),), (arity,))


def points_of(clause, dtype="f64"):
    """Return the function, its special arguments as columns, and the results; only what `dtype` can represent."""
    op, rows = TABLE[clause]
    points = np.array(rows, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        narrow = points[:, :-1].astype(TYPES[dtype])
        kept = np.all((narrow == points[:, :-1]) | np.isnan(narrow), axis=1)
        return op, list(narrow[kept].T.copy()), points[kept, -1].astype(TYPES[dtype])


def ordinary(op, n, dtype="f64"):
    """Return ordinary arguments, as columns."""
    return [np.array(c, TYPES[dtype]) for c in zip(*sample(op_domain(op), n), strict=True)]


def same(got, want):
    """Return where numbers are the same: nan as nan, and zeros of the same sign."""
    return (np.isnan(got) & np.isnan(want)) | ((got == want) & (np.signbit(got) == np.signbit(want)))


def check(columns, got, want):
    wrong = np.flatnonzero(~same(got, want))
    assert not wrong.size, [([float(c[k]) for c in columns], float(got[k]), float(want[k])) for k in wrong]


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("clause", CLAUSES)
def test_special_values_beside_ordinary_ones(clause, tier, dtype, accuracy):
    op, special, want = points_of(clause, dtype)
    usual = ordinary(op, 2 * len(want) + 5, dtype)
    order = np.random.default_rng(3).permutation(len(want) + len(usual[0]))
    columns = [np.concatenate(pair)[order] for pair in zip(special, usual, strict=True)]
    code = kernel(tier, op_tape(op, len(columns)), dtype, accuracy)
    got = np.empty(len(order), TYPES[dtype])
    got[order] = run(code, columns, len(order), dtype)[0]
    check(special, got[: len(want)], want)
    np.testing.assert_array_equal(got[len(want) :], run(code, usual, len(usual[0]), dtype)[0])


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("tier", TIERS)
def test_special_values_of_sine_and_cosine_together(tier, dtype, accuracy):
    both = Tape(("x",), (), (Instr("sin", (0,)), Instr("cos", (0,))), (1, 2))
    code = kernel(tier, both, dtype, accuracy)
    for k, clause in enumerate(("F.10.1.6", "F.10.1.5")):
        _, (special,), want = points_of(clause, dtype)
        (usual,) = ordinary("sin", 2 * len(want) + 5, dtype)
        x = np.concatenate([usual, special])
        check([special], run(code, [x], len(x), dtype)[k][len(usual) :], want)
        if dtype == "f64":
            check([special], np.array([code.scalar([at])[k] for at in special.tolist()]), want)


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("clause", CLAUSES)
def test_special_values_of_the_scalar_entry(clause, tier, accuracy):
    op, columns, want = points_of(clause)
    scalar = kernel(tier, op_tape(op, len(columns)), accuracy=accuracy).scalar
    got = np.array([scalar(list(at)) for at in zip(*[c.tolist() for c in columns], strict=True)])
    check(columns, got, want)


@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("tier", TIERS)
def test_special_values_of_constant_exponents(tier, dtype, accuracy):
    _, (x, y), want = points_of("F.10.4.4", dtype)
    for exponent in {repr(e): e for e in y.tolist() if math.isfinite(e)}.values():
        chosen = same(y, np.array(exponent))
        code = kernel(tier, Tape(("x",), (exponent,), (Instr("pow", (0, 1)),), (2,)), dtype, accuracy)
        check([x[chosen], y[chosen]], run(code, [x[chosen]], int(chosen.sum()), dtype)[0], want[chosen])


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("clause", CLAUSES)
def test_a_nan_that_comes_out_is_quiet(clause, tier):
    op, columns, want = points_of(clause)
    got = run(kernel(tier, op_tape(op, len(columns))), columns, len(want))[0]
    bits = got[np.isnan(got)].view(np.uint64)
    assert np.all(bits & (1 << 51))


# The C library's cube root is no exact one of cubes.
DEVIATIONS = {("c", "cbrt")}


@pytest.mark.parametrize("tier", ["interpreter", "c"])
@pytest.mark.parametrize("clause", CLAUSES)
def test_other_tiers_agree(clause, tier):
    op, columns, want = points_of(clause)
    if tier == "c" and shutil.which("cc") is None:
        pytest.skip("no C compiler")
    pool = alkahest.ExprPool()
    symbols = [pool.symbol(name) for name in "xyz"[: len(columns)]]
    function = {"abs": abs, "pow": pow, "round": round}.get(op) or getattr(alkahest, op)
    f = alkahest.compile_expr(function(*symbols), symbols, backend=tier)
    got = np.asarray(alkahest.numpy_eval(f, *columns))
    exempt = np.isfinite(want) & (want != 0) if (tier, op) in DEVIATIONS else np.zeros(len(want), bool)
    check([c[~exempt] for c in columns], got[~exempt], want[~exempt])
