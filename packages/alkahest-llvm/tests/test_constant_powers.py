"""Powers with a constant exponent where the result overflows, and quotients of the smallest numbers."""

from fractions import Fraction

import numpy as np
import pytest

from alkahest import ExprPool, compile_expr, numpy_eval
from alkahest.extend import CompileOptions, Instr, Tape
from alkahest_llvm.backend import LLVMBackend

WHOLE = [2, 3, 4, 5, 6, 7, 8, 10, 16, 20, 31, 64, 65, -1, -2, -3, -4, -5, -8, -16, -64]
HALVES = [0.5, -0.5, 1.5, -1.5, 2.5, -2.5]
EXPONENTS = {"f64": (-300, 300), "f32": (-44, 38)}


@pytest.mark.parametrize("tier", ["llvm", "llvm-fast"])
@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
@pytest.mark.parametrize("contract", [True, False])
@pytest.mark.parametrize("dtype", EXPONENTS)
def test_what_overflows_is_an_infinity_of_the_right_sign(dtype, contract, accuracy, tier):
    kind = np.float64 if dtype == "f64" else np.float32
    rng = np.random.default_rng(0)
    positive = (10.0 ** rng.uniform(*EXPONENTS[dtype], 2000)).astype(kind)
    x = ExprPool().symbol("x")
    for n in (*WHOLE, *HALVES):
        values = positive * rng.choice([-1, 1], 2000).astype(kind) if n in WHOLE else positive
        options = {"dtype": dtype, "contract": contract, "accuracy": accuracy}
        f = compile_expr(x**n, [x], backend=tier, fallback=False, **options)
        with np.errstate(all="ignore"):
            exact = np.power(values.astype(np.longdouble), np.longdouble(n)).astype(kind)
        found = numpy_eval(f, values)
        over = np.isinf(exact)
        assert over.any() or abs(n) <= 1
        np.testing.assert_array_equal(found[over], exact[over], err_msg=str(n))


@pytest.mark.parametrize("dtype", EXPONENTS)
@pytest.mark.parametrize("accuracy", ["1ulp", "4ulp"])
def test_quotients_over_a_shared_divisor_lose_nothing_of_the_smallest_numerators(dtype, accuracy):
    """x/b and z/b, where b = c*cosh(y) is small, or may be as large as any number."""
    kind = np.float64 if dtype == "f64" else np.float32
    tiny = np.nextafter(kind(0), kind(1))
    for c in (1e-290, 1e-3, 1.0, 1e20) if dtype == "f64" else (1e-30, 1e-3, 1.0, 1e5):
        body = Instr("cosh", (1,)), Instr("mul", (4, 3)), Instr("div", (0, 5)), Instr("div", (2, 5))
        tape = Tape(("x", "y", "z"), (c,), body, (6, 7))
        kernel = LLVMBackend().compile(tape, CompileOptions(dtype=dtype, accuracy=accuracy))
        for k in (1, 2, 3, 5, 7, 1001):
            found, _ = kernel.scalar([float(tiny) * k, 0.0, 1.0])
            exact = Fraction(float(tiny) * k) / Fraction(float(kind(c)))
            allowed = 2 * Fraction(float(tiny)) + exact / Fraction(2) ** (51 if dtype == "f64" else 22)
            assert abs(Fraction(found) - exact) <= allowed, (c, k, found)
