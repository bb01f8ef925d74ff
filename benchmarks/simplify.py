"""`simplify` beside SymPy's: forms and times, what a node costs at any size, and second derivatives of NIST's models.

Each section is a table; `--write docs/simplifier.md` puts them into the documentation. Times are the least of several
rounds, which alternate; both sides begin each round without what they remember of the one before.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simplify_cases import CASES, TRIVIAL, Case, chain
from tables import machine, markdown, replace_section

MODELS = Path(__file__).parent.parent / "examples" / "nist_strd"


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds a call takes, and what it returns."""
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def ours(case: Case) -> tuple[Any, Any]:
    """Return a case as an expression of a new pool."""
    import alkahest as ak

    pool = ak.ExprPool()
    for name in "xyz":
        pool.symbol(name, "positive" if name in case.positive.split() else "real")
    return ak.parse(case.text, pool), pool


def is_wanted(case: Case, found: Any, pool: Any) -> bool:
    """Return whether a result is one of the forms that are wanted, whatever its terms' order."""
    import alkahest as ak

    return any(
        [found is w or found.id == w.id for w in [ak.simplify(ak.parse(t, pool), rules=()) for t in case.wanted]]
    )


def theirs(case: Case) -> Any:
    """Return a case as SymPy's expression, unevaluated as far as it goes."""
    import sympy

    names = {n: sympy.Symbol(n, real=True, positive=n in case.positive.split() or None) for n in "xyz"}
    return sympy.parse_expr(case.text.replace("^", "**"), local_dict=names, evaluate=False)


def within(seconds: int, run: Callable[[], Any]) -> Any:
    """Return what a call returns, None where it takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        return run()
    except TimeoutError:
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def forms(rounds: int) -> tuple[str, str]:
    """Return the table of forms, and a line that sums it up."""
    import sympy

    import alkahest as ak

    rows: list[list[str]] = []
    ratios: list[float] = []
    reached = 0
    trivial = 0.0
    for case in CASES:
        mine = other = math.inf
        good, result = False, None
        for _ in range(rounds):
            expr, pool = ours(case)
            seconds, result = timed(lambda expr=expr: ak.simplify(expr))
            good = is_wanted(case, result, pool)
            mine = min(mine, seconds)
            sympy.core.cache.clear_cache()
            built = theirs(case)
            spent = within(20, lambda built=built: timed(lambda: sympy.simplify(built))[0])
            other = min(other, 20.0 if spent is None else spent)
        reached += good
        ratios.append(other / mine)
        if case.name in TRIVIAL:
            trivial = max(trivial, mine)
        text = str(result) if len(str(result)) < 40 else f"{str(result)[:37]}…"
        rows.append(
            [case.name, f"`{text}`", "yes" if good else "**no**", f"{1e3 * mine:.3f}", f"{1e3 * other:.1f}",
             f"{other / mine:.0f}"]
        )  # fmt: skip
        print(*rows[-1], flush=True)
    summary = (
        f"{reached} of {len(CASES)} reach the form that is wanted; SymPy takes {statistics.median(ratios):.0f} times "
        f"as long in the median, {min(ratios):.1f} times at least; the slowest of the trivial ones takes "
        f"{1e6 * trivial:.0f} µs."
    )
    return markdown(["expression", "result", "as wanted", "ms", "SymPy, ms", "ratio"], rows), summary


def scale(rounds: int, largest: int) -> tuple[str, str]:
    """Return what a node costs, by the size of the expression, and the time of a sum of 10,000 terms."""
    import alkahest as ak

    rows: list[list[str]] = []
    for nodes in [n for n in (100, 1_000, 10_000, 100_000) if n <= largest]:
        best: dict[str, float] = {}
        count = 0
        for seed in range(rounds if nodes < 10_000 else 1):
            for name, options in (("canonical form", {"rules": ()}), ("simplify", {})):
                pool = ak.ExprPool()
                expr = chain(pool, nodes, seed)
                count = len(pool)
                seconds, _ = timed(lambda expr=expr, options=options: ak.simplify(expr, **options))
                best[name] = min(best.get(name, math.inf), seconds / count)
        rows.append([f"{count:,}", *[f"{1e6 * best[n]:.1f}" for n in ("canonical form", "simplify")]])
        print(*rows[-1], flush=True)
    terms = math.inf
    for _ in range(rounds):
        pool = ak.ExprPool()
        x, y = pool.symbols("x y")
        rng = random.Random(1)
        total = sum([rng.randint(-9, 9) * x ** rng.randint(1, 200) * y ** rng.randint(1, 200) for _ in range(10_000)])
        terms = min(terms, timed(lambda total=total: ak.simplify(total))[0])
    return markdown(["nodes", "canonical form, µs a node", "`simplify`, µs a node"], rows), (
        f"A sum of 10,000 terms takes {1e3 * terms:.0f} ms."
    )


def operations(exprs: list[Any], symbols: list[Any]) -> int:
    """Return how many operations it takes to compute expressions, shared ones counted once."""
    from alkahest.extend import linearize

    return len(linearize(exprs, symbols).instrs)


def derivatives() -> tuple[str, str]:
    """Return the operations of each NIST model's second derivatives, all entries computed together.

    Ours are counted on the tape; SymPy's by `count_ops` over `cse` of all entries, each simplified.
    """
    import sympy

    import alkahest as ak
    from alkahest.fitting import build_model, read_strd
    from alkahest.symbolic.simplification import simplified

    rows: list[list[str]] = []
    worse: list[str] = []
    seen: set[str] = set()
    for path in sorted(MODELS.glob("*.dat")):
        problem = read_strd(str(path))
        if problem.model_text in seen:
            continue
        seen.add(problem.model_text)
        curve = build_model(problem).curve
        expr, symbols = curve.expr, list(curve.symbols)
        names = [s for s in symbols if s.name.startswith("b")]
        second = [ak.diff(ak.diff(expr, a), b) for i, a in enumerate(names) for b in names[: i + 1]]
        simple = simplified(second)
        local = {str(s.name): sympy.Symbol(str(s.name), real=True) for s in symbols}
        peer = sympy.parse_expr(str(expr).replace("^", "**"), local_dict=local)
        wanted = [sympy.diff(peer, local[a.name], local[b.name]) for i, a in enumerate(names) for b in names[: i + 1]]
        done = within(120, lambda wanted=wanted: [sympy.simplify(w) for w in wanted])
        if done is None:
            theirs = None
        else:
            shared, reduced = sympy.cse(done)
            theirs = sum([int(sympy.count_ops(e)) for _, e in shared]) + sum([int(sympy.count_ops(e)) for e in reduced])
        mine = operations(simple, symbols)
        if theirs is not None and mine > theirs:
            worse.append(path.stem)
        rows.append(
            [path.stem, str(operations(second, symbols)), str(mine), "over 120 s" if theirs is None else str(theirs)]
        )
        print(*rows[-1], flush=True)
    return markdown(["model", "as differentiated", "simplified", "SymPy"], rows), (
        "None takes more operations than SymPy's." if not worse else f"More than SymPy's: {', '.join(worse)}."
    )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="forms,scale,derivatives")
    parser.add_argument("--largest", type=int, default=100_000, help="nodes of the largest expression of `scale`")
    parser.add_argument("--write", type=Path, help="a Markdown file whose sections are replaced")
    options = parser.parse_args()
    sections = {
        "forms": lambda: forms(options.rounds),
        "scale": lambda: scale(options.rounds, options.largest),
        "derivatives": derivatives,
    }
    for name in options.only.split(","):
        table, summary = sections[name]()
        print(summary, flush=True)
        if options.write:
            replace_section(options.write, f"simplify-{name}", f"{machine()}.\n\n{table}\n\n{summary}")


if __name__ == "__main__":
    main()
