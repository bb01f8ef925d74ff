"""Lowering rules: a third party's own, what is refused, and which products are fused."""

import numpy as np
import pytest

import alkahest_llvm
from alkahest.extend import CompileError, CompileOptions, Instr, Tape, lowering_rules
from alkahest_llvm.backend import LARGEST_TAPE, LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting.codegen import emit_scalar_function
from alkahest_llvm.optimising.draft import rewritten
from alkahest_llvm.optimising.fusing import fuse

BACKENDS = [LLVMBackend, LLVMFastBackend]


def softplus(builder, x):
    """log(1 + exp(x)), written as a third party would."""
    positive = alkahest_llvm.select(x > 0.0, x, 0.0)
    return positive + builder.kernel("log1p", builder.kernel("exp", -alkahest_llvm.fabs(x)))


def shifted(builder, x, *, by):
    return x + by


@pytest.fixture
def own_rules(monkeypatch):
    """Set these rules for as long as a test runs, without declaring primitives that other tests would see."""
    LLVMBackend().refuses(Tape((), (), (), ()))
    table = lowering_rules("llvm")
    monkeypatch.setattr(table, "_by_name", {**table._by_name, "softplus": softplus, "shifted": shifted})


@pytest.mark.usefixtures("own_rules")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_a_rule_of_a_third_party(backend, dtype, one_op, evaluate):
    x = np.linspace(-40, 40, 161)
    got = evaluate(one_op("softplus", "x"), x, backend=backend(), dtype=dtype)[0]
    np.testing.assert_allclose(got, np.logaddexp(0, x), rtol={"f64": 4e-16, "f32": 3e-7}[dtype])


@pytest.mark.usefixtures("own_rules")
def test_static_parameters_reach_the_rule(evaluate):
    tape = Tape(("x",), (), (Instr("shifted", (0,), (("by", 2.5),)),), (1,))
    np.testing.assert_array_equal(evaluate(tape, [1.0, 2.0])[0], [3.5, 4.5])


@pytest.mark.usefixtures("own_rules")
def test_a_rule_of_a_third_party_serves_gpus(one_op):
    text = emit_scalar_function(one_op("softplus", "x"), CompileOptions()).text
    assert "@alkahest_log1p_x1" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_op_without_rule_is_refused_by_name(backend, one_op):
    assert "nonsense" in backend().refuses(one_op("nonsense", "x"))
    assert backend().refuses(one_op("sin", "x")) == ""


def test_gpu_text_of_an_op_without_rule_raises(one_op):
    with pytest.raises(CompileError, match="no LLVM lowering for nonsense"):
        emit_scalar_function(one_op("nonsense", "x"), CompileOptions())


def chain(n, *ops):
    """Return a tape in which each instruction reads the one before."""
    base = 5
    instrs = []
    for k in range(n):
        op, *constant = ops[k % len(ops)]
        instrs.append(Instr(op, (base + k - 1 if k else 0, *constant)))
    return Tape(("x",), (1.0000001, 7.0, 0.25, -2.0), tuple(instrs), (base + n - 1, 0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_largest_tape(backend):
    tape = chain(LARGEST_TAPE, ("mul", 1), ("add", 3), ("sub", 0), ("min", 2), ("neg",))
    assert backend().refuses(tape) == ""
    kernel = backend().compile(tape, CompileOptions(contract=False))
    x = np.linspace(-2, 2, 21)
    out = np.empty((2, 21))
    kernel.call_columns(21, [(x.ctypes.data, 8)], [(row.ctypes.data, 8) for row in out])
    want = x.copy()
    for _ in range(LARGEST_TAPE // 5):
        want = -np.minimum((want * 1.0000001 + 0.25) - x, 7.0)
    np.testing.assert_array_equal(out, [want, x])
    assert kernel.scalar(float(x[3])) == [want[3], x[3]]


def test_a_tape_written_in_parts_has_the_bits_of_one_piece(monkeypatch):
    tape = chain(
        400,
        *(("sin",), ("add", 0), ("mul", 0), ("pow", 2), ("sub", 3), ("exp",), ("cos",), ("pow", 4), ("lt", 3)),
        *(("where", 0, 1), ("mul", 1), ("add", 0)),
    )
    x = np.linspace(-1.5, 1.5, 61)
    rows = []
    for longest in (10**6, 100):
        monkeypatch.setattr("alkahest_llvm.emitting.codegen.LONGEST_BODY", longest)
        monkeypatch.setattr("alkahest_llvm.emitting.body.LONGEST_PART", 60)
        kernel = LLVMBackend().compile(tape, CompileOptions())
        assert ("alkahest_part1" in kernel.artifacts["llvm-ir"]) == (longest == 100)
        out = np.empty((2, 61))
        kernel.call_columns(61, [(x.ctypes.data, 8)], [(row.ctypes.data, 8) for row in out])
        rows.append(out)
        np.testing.assert_array_equal([kernel.scalar(v) for v in x], out.T)
    np.testing.assert_array_equal(*rows)


def test_a_longer_tape_is_refused_with_the_limit():
    tape = chain(LARGEST_TAPE + 1, ("neg",))
    assert "10,000" in LLVMBackend().refuses(tape)
    assert LLVMFastBackend().refuses(tape) == ""


def exact_axpy(op, order):
    """Return 1 op x*y in one order of the operands, whose exact and twice rounded values differ."""
    product = Instr("mul", (0, 1))
    sum_ = Instr(op, (2, 3) if order == "last" else (3, 2))
    return Tape(("x", "y"), (1.0,), (product, sum_), (4,))


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("op", ["add", "sub"])
def test_contraction_rounds_once_and_only_when_asked(op, order, evaluate):
    x = y = 1.0 + 2.0**-30
    sign = {"add": 1.0, "sub": -1.0}[op]
    exact = (x * y, 2.0**-60)  # x*y = exact[0] + exact[1], rounded to exact[0]
    tape = exact_axpy(op, order)
    rounded = (1.0 + sign * exact[0]) if order == "last" else (exact[0] + sign)
    plain = evaluate(tape, [x], [y], contract=False)[0, 0]
    fused = evaluate(tape, [x], [y], contract=True)[0, 0]
    assert plain == rounded
    assert fused == (rounded if op == "add" else rounded + (-exact[1] if order == "last" else exact[1]))


def fused(tape):
    return rewritten(tape, CompileOptions(), [fuse])


def test_a_product_read_twice_is_not_fused():
    tape = Tape(("x",), (), (Instr("mul", (0, 0)), Instr("add", (1, 0)), Instr("sub", (1, 2))), (3,))
    assert fused(tape) is tape
    for body, outputs in [(("add", (1, 1)), (2,)), (("add", (1, 0)), (2, 1))]:
        tape = Tape(("x",), (), (Instr("mul", (0, 0)), Instr(*body)), outputs)
        assert fused(tape) is tape


def test_a_replaced_rule_for_sums_is_not_bypassed(monkeypatch, evaluate):
    LLVMBackend().refuses(Tape((), (), (), ()))
    table = lowering_rules("llvm")
    mine = {**table._by_name, "add": lambda b, x, y: (x + y) * 10.0}
    monkeypatch.setattr(table, "_by_name", mine)
    tape = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("add", (2, 0))), (3,))
    assert evaluate(tape, [2.0], [3.0])[0, 0] == 80.0
