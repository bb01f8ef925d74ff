"""How each peer does the same work: from a case to a function of its arrays, one thread.

A single output is allocated by each call, as people write it; several go to memory that is kept, where the peer takes
it (JAX and NumPy do not): their size would otherwise measure the operating system.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMEXPR_MAX_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from cases import Case, case_of

Function = Callable[..., Any]


class _Buffers:
    """The memory that a function of several outputs writes to, kept between calls, for peers that take one."""

    def __init__(self, outputs: int) -> None:
        self._outputs = outputs
        self._array = np.empty((outputs, 0))

    def of(self, arrays: Sequence[Any]) -> Any:
        """Return an array of one row for each output."""
        if self._array.shape[1] != len(arrays[0]):
            self._array = np.empty((self._outputs, len(arrays[0])))
        return self._array


def alkahest(formula: str | Case) -> Function:
    """This project: traced, compiled by `jit`."""
    version("alkahest-core")  # not another distribution of the same import name
    import alkahest as ak

    case = case_of(formula)
    traced = ak.jit(ak.trace_fn(case.function(ak), ak.ExprPool()))
    if len(case.outputs) == 1:
        return traced
    buffers = _Buffers(len(case.outputs))
    return lambda *arrays: ak.numpy_eval(traced, *arrays, out=buffers.of(arrays))


def numpy(formula: str | Case) -> Function:
    """NumPy, as people write it."""
    return case_of(formula).function(np, {"atan": "arctan"})


def numexpr(formula: str | Case) -> Function:
    """numexpr with one thread, one expression for each output; the polynomial nested by hand."""
    import numexpr as ne

    ne.set_num_threads(1)
    case = case_of(formula).nested()
    texts = [_substituted(case, o).replace("atan", "arctan") for o in case.outputs]

    buffers = _Buffers(len(case.outputs))

    def run(*arrays: Any) -> Any:
        columns = dict(zip(case.variables, arrays, strict=True))
        if len(texts) == 1:
            return ne.evaluate(texts[0], columns)
        out = buffers.of(arrays)
        for text, row in zip(texts, out, strict=True):
            ne.evaluate(text, columns, out=row)
        return out

    return run


def _substituted(case: Case, formula: str) -> str:
    """Return a formula with the steps put in: numexpr knows no names of its own."""
    for name, text in reversed(case.steps):
        formula = formula.replace(name, f"({text})")
    return formula


def numba(formula: str | Case) -> Function:
    """numba with fast math: `vectorize` for one output, a loop over the points for several; polynomials nested."""
    import numba as nb

    case = case_of(formula).nested()
    body = case.function(math)
    count = len(case.variables)
    if len(case.outputs) == 1:
        return nb.vectorize([f"float64({','.join(['float64'] * count)})"], fastmath=True)(body)
    scope = {"f": nb.njit(fastmath=True)(body)}
    names = ", ".join(case.variables)
    targets = ", ".join([f"out[{k}, i]" for k in range(len(case.outputs))])
    points = ", ".join([f"{v}[i]" for v in case.variables])
    exec(f"def loop(out, {names}):\n for i in range(out.shape[1]):\n  {targets} = f({points})\n", scope)
    loop = nb.njit(fastmath=True)(scope["loop"])

    buffers = _Buffers(len(case.outputs))

    def run(*arrays: Any) -> Any:
        out = buffers.of(arrays)
        loop(out, *arrays)
        return out

    return run


def jax(formula: str | Case) -> Function:
    """JAX on the CPU in float64, under jit."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    run = jax.jit(case_of(formula).function(jnp, {"atan": "arctan"}))
    return lambda *arrays: jax.block_until_ready(run(*arrays))


def heyoka(formula: str | Case) -> Function:
    """heyoka's cfunc with one thread, its inputs stacked beforehand."""
    import heyoka as hy

    hy.set_nthreads(1)
    case = case_of(formula)
    variables = hy.make_vars(*case.variables)
    outputs = case.function(hy)(*variables)
    compiled = hy.cfunc(list(outputs) if isinstance(outputs, tuple) else [outputs], vars=list(variables))
    stacked: dict[tuple[int, ...], Any] = {}
    buffers = _Buffers(len(case.outputs))

    def run(*arrays: Any) -> Any:
        key = tuple([id(a) for a in arrays])
        if key not in stacked:
            stacked.clear()
            stacked[key] = np.stack(arrays)
        if len(case.outputs) == 1:
            return compiled(stacked[key])
        return compiled(stacked[key], outputs=buffers.of(arrays))

    return run


PEERS: dict[str, Callable[[str | Case], Function]] = {
    "alkahest": alkahest,
    "heyoka": heyoka,
    "numba": numba,
    "numexpr": numexpr,
    "jax": jax,
    "numpy": numpy,
}
