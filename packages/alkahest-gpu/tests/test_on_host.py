"""The kernel's IR, run on the host: values against mpmath, and which points a grid of threads computes."""

import mpmath
import numpy as np
import pytest

from alkahest.extend import Instr, Tape

EVALUATED = {
    "exp": [(-700, 700)],
    "expm1": [(-2, 2)],
    "log": [(0, 5), (1e-300, 1e-290)],
    "log1p": [(-1, 5)],
    "sin": [(-5, 5), (-1e15, 1e15)],
    "cos": [(-5, 5), (-1e15, 1e15)],
    "tan": [(-1.5, 1.5)],
    "asin": [(-1, 1)],
    "acos": [(-1, 1)],
    "atan": [(-50, 50)],
    "sinh": [(-5, 5)],
    "cosh": [(-5, 5)],
    "tanh": [(-5, 5)],
    "sqrt": [(0, 1e10)],
}


@pytest.mark.parametrize("op", EVALUATED)
def test_functions_against_mpmath(host_kernel, op):
    kernel = host_kernel(Tape(("x",), (), (Instr(op, (0,)),), (1,)))
    draw = np.random.default_rng(1)
    for low, high in EVALUATED[op]:
        x = draw.uniform(low, high, 300)
        y = np.empty_like(x)
        kernel.launch(1, 64, [x.ctypes.data, y.ctypes.data], len(x))
        with mpmath.workprec(200):
            want = [getattr(mpmath, op)(mpmath.mpf(v)) for v in x]
            ulps = [abs(mpmath.mpf(g) - w) / float(np.spacing(abs(float(w)))) for g, w in zip(y, want, strict=True)]
        assert max(ulps) < 2


@pytest.mark.parametrize(("blocks", "threads"), [(1, 1), (1, 32), (3, 32), (7, 64)])
@pytest.mark.parametrize("n", [0, 1, 31, 100, 448, 1000])
def test_any_grid_computes_every_point_once(host_kernel, n, blocks, threads):
    """Results are counted by adding to what is there: a point computed twice, or not at all, shows."""
    kernel = host_kernel(Tape(("x", "y"), (1.0,), (Instr("add", (0, 2)), Instr("sub", (0, 1))), (3, 4)))
    x, y = np.arange(2.0 * n).reshape(2, n)
    out = np.full((2, n + 2), -7.0)
    inside = out[:, 1 : n + 1]
    kernel.launch(blocks, threads, [x.ctypes.data, y.ctypes.data, *[row.ctypes.data for row in inside]], n)
    np.testing.assert_array_equal(inside, [x + 1, x - y])
    assert (out[:, [0, -1]] == -7.0).all()


def test_outputs_that_are_inputs_and_constants(host_kernel):
    kernel = host_kernel(Tape(("x", "unused"), (2.5,), (), (2, 0, 0)))
    x = np.arange(5.0)
    out = np.empty((3, 5))
    kernel.launch(1, 2, [x.ctypes.data, x.ctypes.data, *[row.ctypes.data for row in out]], 5)
    np.testing.assert_array_equal(out, [[2.5] * 5, x, x])
