"""How each peer does the same work: a function from a formula to a function of two arrays, one thread."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMEXPR_MAX_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from expressions import FUNCTIONS, horner_text

Binary = Callable[[Any, Any], Any]


def _function(formula: str, namespace: Any, names: dict[str, str] | None = None) -> Binary:
    """Return the formula, one of this folder's, as a Python function over a module's functions."""
    environment = {f: getattr(namespace, (names or {}).get(f, f)) for f in FUNCTIONS}
    return eval(f"lambda x, y: {formula}", environment)  # noqa: S307


def alkahest(formula: str) -> Binary:
    """This project: traced, compiled by `jit`."""
    version("alkahest-core")  # not another distribution of the same import name
    import alkahest as ak

    return ak.jit(ak.trace_fn(_function(formula, ak), ak.ExprPool()))


def numpy(formula: str) -> Binary:
    """NumPy, as people write it."""
    return _function(formula, np, {"atan": "arctan"})


def numexpr(formula: str) -> Binary:
    """numexpr with one thread; the polynomial nested by hand."""
    import numexpr as ne

    ne.set_num_threads(1)
    text = horner_text(formula).replace("atan", "arctan")
    return lambda x, y: ne.evaluate(text, {"x": x, "y": y})


def numba(formula: str) -> Binary:
    """numba's vectorize with fast math; the polynomial nested by hand."""
    import numba as nb

    return nb.vectorize(["float64(float64,float64)"], fastmath=True)(_function(horner_text(formula), math))


def jax(formula: str) -> Binary:
    """JAX on the CPU in float64, under jit."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    run = jax.jit(_function(formula, jnp, {"atan": "arctan"}))
    return lambda x, y: run(x, y).block_until_ready()


def heyoka(formula: str) -> Binary:
    """heyoka's cfunc with one thread, its inputs stacked beforehand."""
    import heyoka as hy

    hy.set_nthreads(1)
    x, y = hy.make_vars("x", "y")
    compiled = hy.cfunc([_function(formula, hy)(x, y)], vars=[x, y])
    stacked: dict[tuple[int, int], Any] = {}

    def run(a: Any, b: Any) -> Any:
        key = (id(a), id(b))
        if key not in stacked:
            stacked.clear()
            stacked[key] = np.stack([a, b])
        return compiled(stacked[key])

    return run


PEERS: dict[str, Callable[[str], Binary]] = {
    "alkahest": alkahest,
    "heyoka": heyoka,
    "numba": numba,
    "numexpr": numexpr,
    "jax": jax,
    "numpy": numpy,
}
