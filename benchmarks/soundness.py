"""Soundness of the simplifier: random expressions under random assumptions, against mpmath.

    python benchmarks/soundness.py                              # 100,000 expressions through every variant
    python benchmarks/soundness.py --count 2000 --only canonical,strict --seed 7

Wherever an expression has a value, its simplified form must have the same value; with `strict` it must have none where
the expression has none. Prints how much was checked and what was wrong; the exit code is 1 if anything was. Needs
mpmath (with gmpy2 it is twice as fast).
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from soundness_cases import Case, random_case
from soundness_values import DIGITS, NONE, UNKNOWN, agree, value
from tables import markdown, replace_section

from alkahest import Expr, simplify
from alkahest.expr.building import building
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical, canonical_node
from alkahest.symbolic.facts.assumptions import assumed_facts
from alkahest.symbolic.facts.harvest import harvested

CHUNK = 500
FINER = 3 * DIGITS


class Variant(NamedTuple):
    """A way of simplifying: `run(expr, conditions)`; `strict` ones keep the domain exactly."""

    run: Callable[[Expr, list[Expr]], Expr]
    strict: bool = False


def _canonical(expr: Expr, conditions: list[Expr], *, strict: bool = False) -> Expr:
    return canonical([expr], assumed=assumed_facts(conditions, expr.pool), strict=strict)[0]


def _harvested(expr: Expr, conditions: list[Expr]) -> Expr:
    facts = harvested(expr.pool, expr.id, assumed_facts(conditions, expr.pool))
    return canonical([expr], assumed=facts)[0]


def _built(expr: Expr, _: list[Expr]) -> Expr:
    """Return the expression as `context(simplify=True)` builds it."""
    pool = expr.pool
    found: dict[int, Expr] = {}
    with building(canonical_node):
        for i in reachable(pool, [expr.id]):
            op, *args = pool.node(i)
            found[i] = Expr(pool, i) if op in LEAVES else pool.apply(op, *[found[a] for a in args])
    return found[expr.id]


VARIANTS: dict[str, Variant] = {
    "canonical": Variant(_canonical),
    "strict": Variant(lambda e, c: _canonical(e, c, strict=True), strict=True),
    "harvested": Variant(_harvested),
    "built": Variant(_built),
    "simplify": Variant(lambda e, c: simplify(e, assumptions=c)),
    "simplify-strict": Variant(lambda e, c: simplify(e, assumptions=c, strict=True), strict=True),
}


class Outcome(NamedTuple):
    """What was checked: expressions through a variant, points with a value, what was wrong."""

    expressions: int
    points: int
    wrong: list[str]


def check(case: Case, variant: Variant, name: str = "") -> tuple[int, list[str]]:
    """Return at how many points a case that changed was judged, and what was wrong: at most one point of it."""
    expr, conditions, points = case
    told = f"{name}: {expr}" + (f"  assuming {', '.join(map(str, conditions))}" if conditions else "")
    try:
        result = variant.run(expr, conditions)
    except Exception as error:  # whatever it is, it is a finding
        return 0, [f"{told}: {type(error).__name__}: {error}"]
    if result == expr:
        return 0, []
    judged = 0
    for at in points:
        verdict = judge(expr, result, at, variant.strict)
        judged += verdict is not None
        if verdict:
            where = ", ".join([f"{k} = {v}" for k, v in at.items()])
            return judged, [f"{told}\n    gives {result}\n    at {where}: {verdict}"]
    return judged, []


def judge(expr: Expr, result: Expr, at: dict[str, Fraction], strict: bool) -> str | None:
    """Return what is wrong at a point, "" if nothing is, None if it cannot be told."""
    wanted = value(expr, at)
    if wanted is UNKNOWN or (wanted is NONE and not strict):
        return None
    found = value(result, at)
    if found is UNKNOWN:
        return None
    if same(wanted, found):
        return ""
    wanted, found = value(expr, at, FINER), value(result, at, FINER)
    if wanted is UNKNOWN or found is UNKNOWN or same(wanted, found):
        return None
    return f"{shown(wanted)} became {shown(found)}"


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are the same, or both are none."""
    if a is NONE or b is NONE:
        return a is b
    return agree(a, b)


def shown(v: Any) -> str:
    """Return a value as a short text."""
    return str(v)[:30]


def run_chunk(seed: int, count: int, names: Sequence[str]) -> dict[str, Outcome]:
    """Return the outcome of `count` random cases, by variant."""
    rng = random.Random(seed)
    judged = dict.fromkeys(names, 0)
    wrong: dict[str, list[str]] = {name: [] for name in names}
    for _ in range(count):
        case = random_case(rng)
        for name in names:
            points, found = check(case, VARIANTS[name], name)
            judged[name] += points
            wrong[name] += found
    return {name: Outcome(count, judged[name], wrong[name]) for name in names}


def _work(args: tuple[int, int, Sequence[str]]) -> dict[str, Outcome]:
    return run_chunk(*args)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="random expressions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(VARIANTS), help="variants, by comma")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--write", type=Path, help="the page whose section `soundness` is replaced")
    options = parser.parse_args()
    names = options.only.split(",")
    sizes = [min(CHUNK, options.count - start) for start in range(0, options.count, CHUNK)]
    jobs = [(options.seed * 1_000_003 + k, size, names) for k, size in enumerate(sizes)]
    start = time.perf_counter()
    totals = {name: [0, 0, 0] for name in names}
    with multiprocessing.Pool(options.processes) as workers:
        for outcomes in workers.imap_unordered(_work, jobs):
            for name, outcome in outcomes.items():
                for text in outcome.wrong:
                    print(text, flush=True)
                for k, more in enumerate((outcome.expressions, outcome.points, len(outcome.wrong))):
                    totals[name][k] += more
    for name, (expressions, points, wrong) in totals.items():
        print(f"{name}: {expressions:,} expressions, {points:,} points judged, {wrong} wrong")
    print(f"{time.perf_counter() - start:.0f} s, seed {options.seed}")
    if options.write:
        rows = [[f"`{n}`", *[f"{k:,}" for k in totals[n]]] for n in names]
        table = markdown(["variant", "expressions", "points judged", "wrong"], rows)
        replace_section(options.write, "soundness", f"Seed {options.seed}.\n\n{table}")
    return 1 if any([wrong for _, _, wrong in totals.values()]) else 0


if __name__ == "__main__":
    sys.exit(main())
