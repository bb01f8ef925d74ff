"""Native enclosures hold what core's do, and pictures made with them are those of every pixel computed."""

import numpy as np
import pytest

from alkahest.base.rules import impl_rules
from alkahest.extend import CompileOptions, prim_names
from alkahest.intervals.evaluation import evaluate
from alkahest.prims.scalar import declarations
from alkahest.testing.corpus import op_tape
from alkahest.testing.suites import run
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting.codegen import missing_ops
from alkahest_llvm.emitting.lowering import INTERNAL
from alkahest_llvm.intervals.evaluation import IntervalKernel
from alkahest_llvm.intervals.rules import RULES

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
