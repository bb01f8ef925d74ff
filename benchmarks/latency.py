"""Latency, side by side: time to the first result, calls on one point, small batches, nodes built.

Rounds are interleaved, the least time of each counts. Run it pinned to one core. `--write docs/performance.md` puts the
tables of points and of small batches into the documentation.
"""

from __future__ import annotations

import argparse
import json
import math
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS
from tables import machine, markdown, replace_section

FORMULA = "x**2+sin(y)"
BATCHES = (1, 10, 1000)
ROUNDS = 60

Call = Callable[[], Any]


def fastest(calls: dict[str, Call], seconds: float = 2e-4) -> dict[str, float]:
    """Return the least nanoseconds of one call of each, over interleaved rounds of about that many seconds."""
    timers = {name: timeit.Timer(call) for name, call in calls.items()}
    numbers = {name: max(1, int(seconds / (timer.timeit(20) / 20))) for name, timer in timers.items()}
    best = dict.fromkeys(calls, math.inf)
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(numbers[name]) / numbers[name])
    # A call of nothing costs what calling the function under the clock costs.
    nothing = min(timeit.repeat(lambda: None, number=1000, repeat=ROUNDS)) / 1000
    return {name: 1e9 * (t - nothing) for name, t in best.items()}


def first_result() -> dict[str, float]:
    """Return, per peer, milliseconds to the first result over four points, imports not counted."""
    x = np.linspace(0.5, 1.0, 4)
    out: dict[str, float] = {}
    for name, make in PEERS.items():
        try:
            make(FORMULA)(x, x)
        except ImportError:
            continue
        out[name] = 1e3 * min(timeit.repeat(lambda make=make: make(FORMULA)(x, x), number=1, repeat=3))
    return out


def ours() -> dict[str, Any]:
    """Return the compiled function on each native tier that is here, and the traced one."""
    import alkahest as ak

    pool = ak.ExprPool()
    x, y = pool.symbols("x y")
    expr = ak.parse(FORMULA, pool)
    tiers = [ak.compile_expr(expr, [x, y], backend=tier) for tier in ("interpreter", "llvm-fast", "llvm")]
    found = {f.tier: f for f in tiers}
    return {**found, "jit": ak.jit(ak.trace_fn(lambda x, y: x**2 + ak.sin(y), ak.ExprPool()))}


def _numba() -> Call:
    import numba as nb

    return nb.njit(lambda x, y: x**2 + math.sin(y))


def _sympy(module: str) -> Call:
    import sympy

    x, y = sympy.symbols("x y")
    return sympy.lambdify((x, y), x**2 + sympy.sin(y), module)


def _heyoka() -> Call:
    import heyoka as hy

    hy.set_nthreads(1)
    x, y = hy.make_vars("x", "y")
    return hy.cfunc([x**2 + hy.sin(y)], [x, y])


def _found(makers: dict[str, Callable[[], Call]]) -> dict[str, Call]:
    """Return what each maker makes, without those whose package is not here."""
    out: dict[str, Call] = {}
    for name, make in makers.items():
        try:
            out[name] = make()
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return out


def points() -> dict[str, float]:
    """Return nanoseconds of a call on one point."""
    point = [0.5, 0.25]
    calls: dict[str, Call] = {}
    for tier, f in ours().items():
        if tier == "jit":
            calls["alkahest jit: f(x, y)"] = lambda f=f: f(0.5, 0.25)
            continue
        f(point)
        scalar = f.scalar
        calls[f"alkahest {tier}: f.scalar([x, y])"] = lambda scalar=scalar: scalar(point)
        calls[f"alkahest {tier}: f.scalar(x, y)"] = lambda scalar=scalar: scalar(0.5, 0.25)
        calls[f"alkahest {tier}: f([x, y])"] = lambda f=f: f(point)
    makers: dict[str, Callable[[], Call]] = {
        "numba: njit": _numba,
        "SymPy: lambdify to math": lambda: _sympy("math"),
        "SymPy: lambdify to NumPy": lambda: _sympy("numpy"),
    }
    plain = eval(f"lambda x, y: {FORMULA}", {"sin": math.sin})  # noqa: S307 - a formula of this file
    peers = {"Python": plain, **_found(makers)}
    calls |= {name: lambda call=call: call(0.5, 0.25) for name, call in peers.items()}
    array, out = np.array(point), np.empty(1)
    for name, cfunc in _found({"heyoka: cfunc": _heyoka}).items():
        calls[name] = lambda cfunc=cfunc: cfunc(array, outputs=out)
    for call in calls.values():
        if not math.isclose(float(np.asarray(call()).ravel()[0]), 0.25 + math.sin(0.25), rel_tol=1e-14):
            raise SystemExit("a peer computes something else.")
    return fastest(calls)


def batches(n: int) -> dict[str, float]:
    """Return nanoseconds of a call on arrays of `n` points."""
    import alkahest as ak

    x, y = np.random.default_rng(0).uniform(0.5, 1.0, (2, n))
    both, out = np.stack([x, y]), np.empty((1, n))
    calls: dict[str, Call] = {}
    for tier, f in ours().items():
        if tier == "jit":
            calls["alkahest jit: f(x, y)"] = lambda f=f: f(x, y)
        elif tier != "interpreter":
            calls[f"alkahest {tier}: numpy_eval(f, x, y)"] = lambda f=f: ak.numpy_eval(f, x, y)
            calls[f"alkahest {tier}: numpy_eval, out="] = lambda f=f: ak.numpy_eval(f, x, y, out=out[0])
            calls[f"alkahest {tier}: f.call_batch([x, y])"] = lambda f=f: f.call_batch([x, y])
    peers = _found({
        "numba: vectorize": lambda: PEERS["numba"](FORMULA),
        "SymPy: lambdify to NumPy": lambda: _sympy("numpy"),
        "NumPy": lambda: PEERS["numpy"](FORMULA),
    })  # fmt: skip
    calls |= {name: lambda call=call: call(x, y) for name, call in peers.items()}
    for name, cfunc in _found({"heyoka: cfunc, out": _heyoka}).items():
        calls[name] = lambda cfunc=cfunc: cfunc(both, outputs=out)
    return fastest(calls)


def building(nodes: int = 200_000) -> dict[str, float]:
    """Return microseconds per node of building a chain, beside SymPy's where it is installed."""
    import alkahest as ak

    def chain() -> None:
        x, y = ak.ExprPool().symbols("x y")
        e = x
        for _ in range(nodes // 2):
            e = e * x + y

    out = {"alkahest": 1e6 * min(timeit.repeat(chain, number=1, repeat=3)) / nodes}
    try:
        import sympy
    except ImportError:
        return out

    def theirs() -> None:
        x, y = sympy.symbols("x y")
        e = x
        for _ in range(500):
            e = sympy.sin(e) + y

    out["sympy"] = 1e6 * timeit.timeit(theirs, number=1) / 1000
    return out


def tables(one: dict[str, float], small: dict[int, dict[str, float]]) -> str:
    """Return calls and batches as Markdown."""
    rows = [[name, f"{ns:.0f}"] for name, ns in one.items()]
    names = list(small[BATCHES[0]])
    batch_rows = [[name, *[f"{small[n][name] / 1e3:.2f}" for n in BATCHES]] for name in names]
    heads = [f"{n:,} point{'s' if n > 1 else ''}" for n in BATCHES]
    return "\n\n".join([
        f"{machine()}, `{FORMULA}`. One point, nanoseconds:",
        markdown(["call", "ns"], rows),
        "Small arrays, microseconds:",
        markdown(["call", *heads], batch_rows),
    ])  # fmt: skip


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="a Markdown file whose section `calls` is replaced")
    options = parser.parse_args()
    one = points()
    small = {n: batches(n) for n in BATCHES}
    text = tables(one, small)
    print(text)
    if options.write:
        replace_section(options.write, "calls", text)
    rest = {"first result, ms": first_result(), "building, us a node": building()}
    for title, row in rest.items():
        print(f"\n{title}")
        for name, value in row.items():
            print(f"  {name:32s} {value:10.2f}")
    print(json.dumps({"one point, ns": one, "batches, ns": small, **rest}))


if __name__ == "__main__":
    main()
