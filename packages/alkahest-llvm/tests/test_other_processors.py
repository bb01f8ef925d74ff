"""Code for lesser processors than this one gives the same bits."""

import platform

import numpy as np
import pytest

from alkahest.extend import CompileOptions, prim_names
from alkahest.testing.corpus import op_domain, op_tape, sample, special_points
from alkahest.testing.suites import run
from alkahest_llvm import backend, targets
from alkahest_llvm.blocks import kernels
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.loading import engine, library
from alkahest_llvm.targets import Target

LESSER = {
    "sse2": Target("host", cpu="x86-64", lanes=4),
    "sse2 scalar": Target("host", cpu="x86-64", lanes=1),
    "avx2": Target("host", cpu="haswell", lanes=8),
}
OPS = [op for op in prim_names() if not missing_ops(op_tape(op))]


def columns(op):
    points = sample(op_domain(op), 24) + special_points(len(op_domain(op)))[:60]
    points += [[x] * len(op_domain(op)) for x in (1e22, 2.0**31, 709.9, -744.0, 1e-310)]
    return [np.array(c) for c in zip(*points, strict=True)]


def values():
    tiers = backend.LLVMBackend(), LLVMFastBackend()
    found = {}
    for op in OPS:
        arguments = columns(op)
        for tier in tiers:
            kernel = tier.compile(op_tape(op), CompileOptions())
            found[op, type(tier).__name__] = run(kernel, arguments, len(arguments[0]))[0]
    return found


@pytest.fixture(scope="module")
def here():
    return values()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instruction sets of x86-64")
@pytest.mark.parametrize("name", LESSER)
def test_the_same_bits(name, here, monkeypatch):
    if name == "avx2" and targets.host_target().lanes < LESSER["avx2"].lanes:
        pytest.skip("this processor lacks AVX2")
    monkeypatch.setattr(targets, "instead", LESSER[name])
    monkeypatch.setattr(engine, "_engines", [])
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(kernels, "_sets", {})
    for key, found in values().items():
        np.testing.assert_array_equal(found, here[key], str(key))
        zeros = found == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(here[key][zeros]), str(key))
