"""Native enclosures hold exact and computed values, and are as narrow as core's."""

import ctypes
import itertools
from fractions import Fraction

import numpy as np
import pytest

from alkahest.base.rules import impl_rules
from alkahest.extend import CompileOptions, Instr, Tape, prim_names
from alkahest.intervals.evaluation import evaluate
from alkahest.prims.scalar import declarations
from alkahest.testing.corpus import corpus, op_tape
from alkahest.testing.suites import run
from alkahest_llvm.blocks.assembler import assemble
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.blocks.forms import Arithmetic, Setting
from alkahest_llvm.blocks.kernels import kernel_set
from alkahest_llvm.blocks.running import block_code
from alkahest_llvm.emitting.lowering import INTERNAL, missing_ops
from alkahest_llvm.intervals.rules import RULES, interval_rule_of
from alkahest_llvm.loading.batch_entry import driver
from alkahest_llvm.optimising.optimiser import optimise
from alkahest_llvm.targets import host_target

# Products whose factors are one slot: a program of the machine would forget that, records for pruning do not.
SQUARES = {op: f"{op}.square" for op in ("mul", "fma", "fma.sub", "fma.neg")}
SQUARE_RULES = {square: lambda b, x, *others, op=op: RULES[op](b, x, x, *others) for op, square in SQUARES.items()}


def rule_of(op):
    return SQUARE_RULES.get(op) or interval_rule_of(op)


def with_squares(tape):
    """Return a tape whose products of a slot with itself are ops of their own."""

    def squared(instr):
        if instr.op in SQUARES and instr.args[0] == instr.args[1]:
            return Instr(SQUARES[instr.op], instr.args[1:], instr.params)
        return instr

    return Tape(tape.inputs, tape.consts, tuple([squared(i) for i in tape.instrs]), tape.outputs)


class IntervalKernel:
    """A tape as native code over boxes, for enclosures: the block machine with intervals in its slots."""

    def __init__(self, tape, options):
        setting = Setting(options, host_target().lanes, arithmetic=Arithmetic("interval", 2, rule_of))
        self._program = assemble(with_squares(optimise(tape, options)), kernel_set(setting))
        self._code = block_code(self._program, setting)
        self._lanes, self._drive = setting.lanes, driver(setting.real).call

    def enclosures(self, boxes):
        """Return bounds (lo, hi) for each output over `n` boxes, given as arrays (lo, hi) of length n for each input.

        They hold the exact value at every point of a box and what any LLVM tier computes there. Bounds of (-inf, inf)
        say nothing: the value may also be nan; any other bounds say that there is no nan.
        """
        columns = [np.ascontiguousarray(end, np.float64) for pair in boxes for end in pair]
        lengths = {c.shape for c in columns} or {(1,)}
        program, code = self._program, self._code
        ((n,),) = lengths
        results = np.empty((program.n_outputs, n))
        pairs = [(c.ctypes.data, c.itemsize) for c in (*columns, *results)]
        table = (ctypes.c_int64 * (2 * len(pairs)))(*[word for pair in pairs for word in pair])
        counts = program.n_inputs, program.n_outputs
        assert self._drive(n, table, *counts, code.address, self._lanes, code.frame_bytes, code.context) == 0
        return [(results[k], results[k + 1]) for k in range(0, program.n_outputs, 2)]


# Primitives whose native enclosure says nothing.
UNKNOWN = {"fmod", "remainder", "gamma", "lgamma", "digamma"}
# Known for fewer boxes than in core: where an argument leaves the domain nothing is said, and powers need a base > 0.
PARTIAL = {"pow", "atan2", "hypot", "copysign"}
OPS = [op for op in prim_names() if not missing_ops(op_tape(op)) and not op.startswith(("doc_", "test_"))]
SCALES = (1e-300, 1e-8, 0.1, 1.0, 4.0, 30.0, 1e3, 1e8, 1e17, 1e300)


def random_boxes(op, rng, n):
    """Return bounds of shape (arity, 2, n): near the domain and far from it, thin, whole and with zeros."""
    boxes = []
    for low, high in declarations[op].domain:
        scale = rng.choice(SCALES, n)
        ends = rng.standard_normal((2, n)) * scale
        near = rng.uniform(low, high, n) + rng.standard_normal((2, n)) * 10.0 ** rng.uniform(-15, 0.5, n)
        ends = np.where(rng.random(n) < 0.5, near, ends)
        kind = rng.integers(0, 10, n)
        ends[1] = np.where(kind == 0, ends[0], ends[1])
        ends = np.where(kind == 1, np.round(np.clip(ends, -1e6, 1e6)), ends)
        ends[0] = np.where(kind == 2, 0.0, ends[0])
        ends[1] = np.where(kind == 3, np.inf, ends[1])
        boxes.append(np.sort(ends, axis=0))
    return np.array(boxes)


def points_inside(boxes, rng, n):
    yield boxes[:, 0]
    yield boxes[:, 1]
    yield np.clip(0.0, boxes[:, 0], boxes[:, 1])
    finite = np.clip(boxes, -1e308, 1e308)
    for _ in range(n):
        t = rng.random(boxes[:, 0].shape)
        yield np.clip(finite[:, 0] * (1 - t) + finite[:, 1] * t, boxes[:, 0], boxes[:, 1])


def anything(lo, hi):
    return (lo == -np.inf) & (hi == np.inf)


def test_every_op_has_a_rule_or_is_known_to_lack_one():
    assert {op for op in OPS if op not in RULES} == UNKNOWN
    assert set(INTERNAL) <= set(RULES)


@pytest.mark.parametrize("op", [op for op in OPS if op not in UNKNOWN])
def test_values_lie_in_their_enclosure(op):
    rng = np.random.default_rng(sum(map(ord, op)))
    boxes = random_boxes(op, rng, 1500)
    [(lo, hi)] = IntervalKernel(op_tape(op), CompileOptions(contract=False)).enclosures(boxes)
    assert not np.isnan(lo).any()
    assert not np.isnan(hi).any()
    number = impl_rules.by_name(op).number
    kernel = LLVMFastBackend().compile(op_tape(op), CompileOptions(contract=False))
    for point in points_inside(boxes, rng, 12):
        exact = np.array([number(*p) for p in point.T.tolist()])
        for value in (exact, run(kernel, list(point), len(lo))[0]):
            outside = ~((lo <= value) & (value <= hi)) & ~(np.isnan(value) & anything(lo, hi))
            assert not outside.any(), (op, point[:, outside][:, 0], lo[outside][0], hi[outside][0], value[outside][0])


RATIONAL = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "fma": lambda a, b, c: a * b + c,
}


@pytest.mark.parametrize("op", RATIONAL)
def test_exact_values_lie_in_their_enclosure(op):
    """Exact values at the bounds, where what is computed lies inside however it is rounded."""
    rng = np.random.default_rng(5)
    boxes = np.array(random_boxes(op, rng, 3000))
    boxes = np.clip(boxes, -1e300, 1e300)
    boxes[:, :, :1000] *= 1e-160  # products are subnormal
    [(lo, hi)] = IntervalKernel(op_tape(op), CompileOptions(contract=False)).enclosures(boxes)
    known = ~anything(lo, hi)
    assert known.mean() > 0.3
    for k in np.nonzero(known)[0]:
        for corner in itertools.product(*boxes[:, :, k].tolist()):
            assert float(lo[k]) <= RATIONAL[op](*map(Fraction, corner)) <= float(hi[k]), (op, corner)


def test_exact_squares_and_roots():
    rng = np.random.default_rng(6)
    bounds = np.sort(rng.standard_normal((2, 2000)) * 10.0 ** rng.uniform(-170, 150, 2000), axis=0)
    square = Tape(("x",), (2.0,), (Instr("pow", (0, 1)),), (2,))
    [(lo, hi)] = IntervalKernel(square, CompileOptions()).enclosures([bounds])
    assert (lo >= 0).all()
    roots = np.sort(np.abs(bounds), axis=0)
    [(root_lo, root_hi)] = IntervalKernel(op_tape("sqrt"), CompileOptions()).enclosures([roots])
    for k, ends in enumerate(bounds.T.tolist()):
        assert max(Fraction(e) ** 2 for e in ends) <= float(hi[k])
        assert float(lo[k]) <= (0 if ends[0] < 0 < ends[1] else min(Fraction(e) ** 2 for e in ends))
        assert Fraction(root_lo[k]) ** 2 <= Fraction(roots[0, k])
        assert Fraction(root_hi[k]) ** 2 >= Fraction(roots[1, k])


@pytest.mark.parametrize("op", ["sin", "cos", "tan"])
def test_quadrants(op):
    """Boxes that end just before or behind a multiple of pi/2, where these functions have extrema, zeros and poles."""
    rng = np.random.default_rng(8)
    turn = np.round(10.0 ** rng.uniform(0, 8, 2000)) * rng.choice([-1.0, 1.0], 2000) * (np.pi / 2)
    near = 10.0 ** rng.uniform(-17, -2, 2000) * rng.choice([-1.0, 1.0], 2000)
    ends = np.sort([turn + near, turn + near + rng.uniform(-2, 2, 2000)], axis=0)
    [(lo, hi)] = IntervalKernel(op_tape(op), CompileOptions()).enclosures([ends])
    for point in (*ends, np.clip(turn, *ends)):
        value = impl_rules.by_name(op).array(point)
        assert ((lo <= value) & (value <= hi)).all()


@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_formulas_of_the_corpus(case):
    if not case.domain:
        pytest.skip("it has no input")
    tape, rng = case.tape(), np.random.default_rng(2)
    low, high = np.array(case.domain).T[:, :, None]
    start = low + (high - low) * rng.random((len(low), 300))
    width = (high - low) * 10.0 ** rng.uniform(-12, 0, 300) * (rng.random(300) < 0.9)
    boxes = np.stack([start, np.minimum(start + width, high)], axis=1)
    for options in (CompileOptions(), CompileOptions(contract=False)):
        enclosures = IntervalKernel(tape, options).enclosures(boxes)
        kernel = LLVMFastBackend().compile(tape, options)
        for point in points_inside(boxes, rng, 10):
            for value, (lo, hi) in zip(run(kernel, list(point), 300), enclosures, strict=True):
                assert (((lo <= value) & (value <= hi)) | (np.isnan(value) & anything(lo, hi))).all()


@pytest.mark.parametrize("op", [op for op in OPS if op not in UNKNOWN])
def test_enclosures_are_those_of_core(op):
    rng = np.random.default_rng(1 + sum(map(ord, op)))
    boxes = random_boxes(op, rng, 1500)
    boxes[np.isinf(boxes)] = 1e300
    [(lo, hi)] = IntervalKernel(op_tape(op), CompileOptions(contract=False)).enclosures(boxes)
    [core] = evaluate(op_tape(op), [tuple(pair) for pair in boxes])
    known = core.defined & ~np.isinf(core.lo) & ~np.isinf(core.hi)
    assert op in PARTIAL or not (known & anything(lo, hi) & ~far_out(op, boxes)).any()
    known &= ~anything(lo, hi)
    assert known.any()
    known &= ~far_out(op, boxes)
    for native, exact, side in ((lo[known], core.lo[known], 1.0), (hi[known], core.hi[known], -1.0)):
        looser = (exact - native) * side / np.spacing(np.abs(exact))
        worst = np.argmax(looser)
        assert looser[worst] <= 24, (op, boxes[..., known][..., worst], native[worst], exact[worst])


def far_out(op, boxes):
    """Return where a bound's error reaches beyond the largest number, or is one of subnormal numbers."""
    size = np.abs(boxes).max(axis=(0, 1))
    exponential = {"exp": 700.0, "expm1": 709.0, "sinh": 709.0, "cosh": 709.0, "erfc": 26.0}
    return size > exponential.get(op, 1e299)
