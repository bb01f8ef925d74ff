"""Latency, side by side: time to the first result, calls on one point, nodes built, tapes differentiated."""

from __future__ import annotations

import json
import math
import timeit
from typing import Any

import numpy as np
from peers import PEERS


def best(run: Any, number: int = 1, repeat: int = 7) -> float:
    """Return the least seconds of one call."""
    return min(timeit.repeat(run, number=number, repeat=repeat)) / number


def first_result(formula: str) -> dict[str, float]:
    """Return, per peer, milliseconds to the first result over four points, imports not counted."""
    x = np.linspace(0.5, 1.0, 4)
    out: dict[str, float] = {}
    for name, make in PEERS.items():
        try:
            make(formula)(x, x)
        except ImportError:
            continue
        out[name] = 1e3 * best(lambda make=make: make(formula)(x, x), repeat=3)
    return out


def scalar_calls(formula: str) -> dict[str, float]:
    """Return nanoseconds of one call on one point."""
    import alkahest as ak

    pool = ak.ExprPool()
    x, y = pool.symbols("x y")
    expr = ak.parse(formula, pool)
    point = [0.5, 0.25]
    by_numpy = PEERS["numpy"](formula)
    plain = eval(f"lambda x, y: {formula}", {"sin": math.sin})  # noqa: S307 - a formula of this file
    calls = {
        "python": lambda: plain(0.5, 0.25),
        "numpy": lambda: by_numpy(0.5, 0.25),
    }
    for tier in ("interpreter", "llvm"):
        f = ak.compile_expr(expr, [x, y], backend=tier)
        if f.tier == tier:
            scalar = f.scalar
            calls[f"{tier}: f.scalar(list)"] = lambda scalar=scalar: scalar(point)
            calls[f"{tier}: f(list)"] = lambda f=f: f(point)
    return {name: 1e9 * best(call, 20_000) for name, call in calls.items()}


def building(nodes: int = 200_000) -> dict[str, float]:
    """Return microseconds per node of building a chain, beside SymPy's where it is installed."""
    import alkahest as ak

    def ours() -> None:
        x, y = ak.ExprPool().symbols("x y")
        e = x
        for _ in range(nodes // 2):
            e = e * x + y

    out = {"alkahest": 1e6 * best(ours, repeat=3) / nodes}
    try:
        import sympy
    except ImportError:
        return out

    def theirs() -> None:
        x, y = sympy.symbols("x y")
        e = x
        for _ in range(500):
            e = sympy.sin(e) + y

    out["sympy"] = 1e6 * best(theirs, repeat=1) / 1000
    return out


def main() -> None:
    """Print all tables."""
    formula = "x**2+sin(y)"
    rows = {
        "first result, ms": first_result(formula),
        "one point, ns": scalar_calls(formula),
        "building, us a node": building(),
    }
    for title, row in rows.items():
        print(title)
        for name, value in row.items():
            print(f"  {name:32s} {value:10.2f}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
