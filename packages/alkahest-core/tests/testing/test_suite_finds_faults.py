"""The conformance suite is itself tested: each kind of fault in a backend makes the test that is about it fail."""

import math

import numpy as np
import pytest

from alkahest import builtin
from alkahest.compile.columns import column_view
from alkahest.compile.interpreter import InterpreterBackend
from alkahest.compile.protocols import CompileOptions
from alkahest.expr.tape import Instr, Tape
from alkahest.testing import BackendSuite, NullBackend
from alkahest.testing.oracle import Expected, expected
from alkahest.testing.suites import run

(INTERPRETER,) = builtin.alkahest_backends()


class Wrapped:
    """The interpreter's kernel with one fault."""

    releases_gil = False

    def __init__(self, kernel):
        self.kernel = kernel
        self.n_inputs, self.n_outputs, self.artifacts = kernel.n_inputs, kernel.n_outputs, kernel.artifacts

    def call_columns(self, n, columns, out):
        self.kernel.call_columns(n, columns, out)


def suite(kernel=Wrapped, **attributes):
    """Return a suite on a backend whose kernels are `kernel`."""

    class Backend(InterpreterBackend):
        def compile(self, tape, options):
            return kernel(super().compile(tape, options))

    class Suite(BackendSuite):
        info = INTERPRETER

        def make_backend(self):
            return Backend()

    for name, value in attributes.items():
        setattr(Suite, name, value)
    return Suite()


def test_without_a_fault_the_tests_below_pass():
    whole = suite()
    for n in (0, 1, 1023):
        whole.test_batch_lengths(n, "f64")
    for step in (0, 2, -1):
        whole.test_strides(step, "f32")
    whole.test_special_values_of_a_primitive("copysign")
    whole.test_primitive_agrees_with_the_interpreter("sin", "f64")
    whole.test_kernel_describes_itself()
    whole.test_the_same_twice()
    whole.test_other_threads()
    whole.test_refuses_a_primitive_that_nobody_declared()


def test_a_byte_too_many():
    class Overruns(Wrapped):
        def call_columns(self, n, columns, out):
            super().call_columns(n, columns, out)
            column_view(out[0][0] + n * 8, 8, 1)[...] = 0.0

    with pytest.raises(AssertionError):
        suite(Overruns).test_batch_lengths(3, "f64")


def test_inputs_overwritten():
    class Scribbles(Wrapped):
        def call_columns(self, n, columns, out):
            super().call_columns(n, columns, out)
            column_view(*columns[0], n)[...] = 0.0

    with pytest.raises(AssertionError, match="inputs are read only"):
        suite(Scribbles).test_batch_lengths(3, "f64")


def test_a_stride_ignored():
    class Contiguous(Wrapped):
        def call_columns(self, n, columns, out):
            super().call_columns(n, [(address, 8) for address, _ in columns], out)

    with pytest.raises(AssertionError):
        suite(Contiguous).test_strides(2, "f64")


def test_an_address_taken_for_aligned():
    class Aligned(Wrapped):
        def call_columns(self, n, columns, out):
            super().call_columns(n, [(address & ~7, stride) for address, stride in columns], out)

    suite(Aligned).test_batch_lengths(3, "f64")
    with pytest.raises(AssertionError):
        suite(Aligned).test_columns_at_any_address("f64")


def test_a_wrong_digit():
    class Off(Wrapped):
        def call_columns(self, n, columns, out):
            super().call_columns(n, columns, out)
            column_view(*out[0], n)[...] *= 1 + 2e-15

    with pytest.raises(AssertionError, match="sin at"):
        suite(Off).test_primitive_agrees_with_the_interpreter("sin", "f64")


def test_a_lost_sign_of_zero():
    class Unsigned(Wrapped):
        def call_columns(self, n, columns, out):
            super().call_columns(n, columns, out)
            column_view(*out[0], n)[...] += 0.0

    with pytest.raises(AssertionError, match="copysign at"):
        suite(Unsigned).test_special_values_of_a_primitive("copysign")
    excused = suite(Unsigned, deviations={"copysign": "adds zero"})
    with pytest.raises(pytest.xfail.Exception, match="adds zero"):
        excused.test_special_values_of_a_primitive("copysign")


def test_a_deviation_that_is_none():
    with pytest.raises(pytest.fail.Exception, match="does not deviate"):
        suite(deviations={"copysign": "no longer"}).test_special_values_of_a_primitive("copysign")


def test_bits_that_change():
    class Drifts(Wrapped):
        calls = 0

        def call_columns(self, n, columns, out):
            super().call_columns(n, columns, out)
            Drifts.calls += 1
            column_view(*out[0], n)[...] += Drifts.calls * 1e-16

    with pytest.raises(AssertionError):
        suite(Drifts).test_the_same_twice()


def test_a_product_that_is_fused_unasked():
    fused = Tape(("x", "y"), (), (Instr("fma", (0, 1, 0)), Instr("sub", (0, 1))), (2, 3))

    class Fuses(Wrapped):
        def __init__(self, kernel):
            super().__init__(InterpreterBackend().compile(fused, CompileOptions()))

    with pytest.raises(AssertionError):
        suite(Fuses).test_batch_lengths(1023, "f64")


def test_what_a_backend_cannot_do_is_skipped_with_its_reason():
    refusing = suite(make_backend=lambda self: NullBackend(refused_ops=frozenset({"sin"})))
    with pytest.raises(pytest.skip.Exception, match="cannot lower sin"):
        refusing.test_primitive_agrees_with_the_interpreter("sin", "f64")
    assert "sin" not in refusing.ops()
    absent = suite(make_backend=lambda self: NullBackend(missing="no such device"))
    with pytest.raises(pytest.skip.Exception, match="interpreter: no such device"):
        absent.test_the_same_twice()


# -- the oracle


@pytest.mark.parametrize(("got", "admitted"), [(1.5, True), (1.50001, False), (math.nan, False), (math.inf, False)])
def test_numbers_are_admitted_within_the_allowance(got, admitted):
    assert Expected(1.5, 1e-9).admits(got) is admitted


def test_nan_and_infinities_are_admitted_as_themselves_only():
    assert Expected(math.nan, 0.0).admits(math.nan)
    assert not Expected(math.nan, 0.0).admits(0.0)
    assert Expected(math.inf, 0.0).admits(math.inf)
    assert not Expected(math.inf, 0.0).admits(-math.inf)
    assert not Expected(math.inf, 0.0).admits(1e308)


def allowance(tape, point):
    return expected(tape, point, lambda op: 4.0 if op == "sin" else 0.0)[-1].allowed


def test_allowances_follow_errors_through_the_program():
    sine = Instr("sin", (0,))
    ulp = math.ulp(math.sin(1.0))
    assert allowance(Tape(("x",), (), (sine,), (1,)), [1.0]) == 4 * ulp
    # (sin(x) - sin(x)*1) is zero to within the errors of its terms, not to within ulps of zero.
    cancelled = Tape(("x",), (1.0,), (sine, Instr("mul", (2, 1)), Instr("sub", (2, 3))), (4,))
    assert 4 * ulp <= allowance(cancelled, [1.0]) <= 16 * ulp
    # A step near its edge may go either way; far from it there is no doubt.
    for shift, doubtful in ((math.sin(1.0), True), (0.5, False)):
        step = Tape(("x",), (shift,), (sine, Instr("lt", (2, 1))), (3,))
        assert (allowance(step, [1.0]) > 0) is doubtful
    # So may equality, whose corners are all unequal.
    equal = Tape(("x",), (math.sin(1.0) + ulp,), (sine, Instr("eq", (2, 1))), (3,))
    assert allowance(equal, [1.0]) == 1.0


def test_a_denormal_may_be_zero_where_that_is_allowed():
    halved = Tape(("x",), (0.5, 0.0), (Instr("mul", (0, 1)), Instr("gt", (3, 2))), (3, 4))
    smallest = 2.2250738585072014e-308
    exact = expected(halved, [smallest], lambda op: 0.0)
    assert not exact[0].admits(0.0)
    assert not exact[1].admits(0.0)
    assert all(want.admits(0.0) for want in expected(halved, [smallest], lambda op: 0.0, flushes=True))


def test_what_is_not_chosen_does_not_count():
    # where(x > 0, x, 1/sin(0)): the branch that is not taken may be anything.
    tape = Tape(
        ("x",),
        (0.0, 1.0),
        (Instr("gt", (0, 1)), Instr("sin", (1,)), Instr("div", (2, 4)), Instr("where", (3, 0, 5))),
        (6,),
    )
    (want,) = expected(tape, [2.0], lambda op: 4.0 if op == "sin" else 0.0)
    assert want == Expected(2.0, 0.0)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_run_gives_one_array_per_output(dtype):
    kind = {"f64": np.float64, "f32": np.float32}[dtype]
    tape = Tape(("x", "y"), (), (Instr("mul", (0, 1)),), (2, 0))
    kernel = InterpreterBackend().compile(tape, CompileOptions(dtype=dtype))
    product, x = run(kernel, [np.arange(3, dtype=kind), np.full(3, 2, kind)], 3, dtype)
    np.testing.assert_array_equal(product, [0, 2, 4])
    np.testing.assert_array_equal(x, [0, 1, 2])
    assert product.dtype == kind
