"""Where a formula is meant: ranges of its symbols and a condition, and points of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from alkahest.errors import PoolMismatchError, StabilityError
from alkahest.expr.expression import Expr
from alkahest.expr.fpcore import FPCore
from alkahest.symbolic.facts.analysis import facts_of
from alkahest.symbolic.facts.fact import ANY, POSITIVE, Fact, both
from alkahest.symbolic.stability.error import from_ordinals, ordinals
from alkahest.symbolic.stability.program import program_of

LARGEST = math.ldexp(2**53 - 1, 971)
_SHORT = 2.0**-100  # bounds nearer to 0, or beyond its inverse, would have many digits
_BATCH = 1 << 13
_BATCHES = 200  # of points tried for those that meet the condition
_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}
_DOMAINS = {"positive": (math.ulp(0.0), LARGEST), "nonnegative": (0.0, LARGEST)}

Range = tuple[float, float]


@dataclass(frozen=True)
class Domain:
    """The symbols of a formula, the range of each, and a condition on them or None."""

    symbols: tuple[Expr, ...]
    ranges: tuple[Range, ...]
    condition: Expr | None = None

    @property
    def inputs(self) -> dict[int, int]:
        """The number of each symbol by its id."""
        return {s.id: k for k, s in enumerate(self.symbols)}

    def facts(self) -> dict[int, Fact]:
        """Return what the ranges and the symbols' domains say of the symbols, by id."""
        out: dict[int, Fact] = {}
        for symbol, (low, high) in zip(self.symbols, self.ranges, strict=True):
            known = facts_of(symbol.pool, [symbol.id])[symbol.id]
            out[symbol.id] = both(known, both(_from(low), _negated(_from(-high))))
        return out

    def sample(self, count: int, rng: Any) -> list[Any]:
        """Return columns of up to `count` points: floats uniform by bit pattern, of those that meet the condition."""
        import numpy as np

        found: list[Any] = []
        total = 0
        for _ in range(_BATCHES):
            columns = self._draw(count if self.condition is None else max(count, _BATCH), rng)
            kept = self._meets(columns)
            found.append([c[kept] for c in columns])
            total += int(np.count_nonzero(kept))
            if total >= count:
                break
        return [np.concatenate([part[k] for part in found])[:count] for k in range(len(self.symbols))]

    def ordinary(self, count: int, rng: Any) -> list[Any]:
        """Return columns of points uniform by value, of sizes about 1 to 1000: few of `sample`'s are such."""
        import numpy as np

        columns: list[Any] = []
        scale = 10.0 ** rng.integers(0, 4, size=count)
        for symbol, (low, high), drawn in zip(self.symbols, self.ranges, self._draw(count, rng), strict=True):
            below, above = np.clip(-scale, low, high), np.clip(scale, low, high)
            value = below + (above - below) * rng.random(count)
            columns.append(drawn if symbol.domain == "integer" else np.where(above > below, value, drawn))
        kept = self._meets(columns)
        return [c[kept] for c in columns]

    def _draw(self, count: int, rng: Any) -> list[Any]:
        import numpy as np

        columns: list[Any] = []
        for symbol, (low, high) in zip(self.symbols, self.ranges, strict=True):
            ends = ordinals(np.array([low, high]))
            column = from_ordinals(rng.integers(ends[0], ends[1], size=count, endpoint=True))
            if symbol.domain == "integer":
                column = np.clip(np.rint(column), math.ceil(low), math.floor(high))
            elif symbol.domain == "nonzero":
                column = np.where(column == 0, math.ulp(0.0), column)
            columns.append(column)
        return columns

    def _meets(self, columns: list[Any]) -> Any:
        import numpy as np

        size = len(columns[0]) if columns else 1
        if self.condition is None:
            return np.ones(size, dtype=bool)
        program, where = program_of([self.condition], self.inputs)
        return np.asarray(program.floats(columns)[where[self.condition.id]]) != 0


def _from(low: float) -> Fact:
    """Return what is known of values from a bound on, in numbers of few digits."""
    if low <= -LARGEST:  # the end of all floats is no bound: the symbol stands for real numbers
        return ANY
    if 0 < low < _SHORT:
        return POSITIVE
    return Fact(low=Fraction(min(max(low, -1 / _SHORT), 1 / _SHORT)), low_open=False) if low >= -1 / _SHORT else ANY


def _negated(fact: Fact) -> Fact:
    return Fact(-fact.high, -fact.low, fact.high_open, fact.low_open, fact.integer, fact.nonzero)


def domain_of(expr: Expr, domain: Any = None) -> Domain:
    """Return the domain of a formula as it was asked for.

    `domain` maps symbols (or their names) to pairs of bounds, or is a condition, an FPCore, or a list of such. Symbols
    of which nothing is said have all floats of their domain. Raises `StabilityError` for anything else.
    """
    ranges: dict[int, Range] = {}
    conditions: list[Expr] = []
    for part in _parts(domain):
        if isinstance(part, FPCore):
            conditions += [] if part.pre is None else [part.pre]
        elif isinstance(part, Expr):
            conditions.append(part)
        elif isinstance(part, Mapping):
            for key, bounds in cast("Mapping[Any, Any]", part).items():
                symbol = _symbol(expr, key)
                ranges[symbol.id] = _bounds(symbol, bounds)
        else:
            raise StabilityError(
                f"a {type(part).__name__} describes no domain.",
                remedy="Pass {x: (low, high)}, a condition such as x > 1, an FPCore, or a list of these.",
            )
    symbols: set[Expr] = set(expr.free_symbols)
    for condition in conditions:
        if condition.pool is not expr.pool:
            raise PoolMismatchError(
                "the condition is of another pool than the formula.", remedy="Build both in one ExprPool."
            )
        symbols |= condition.free_symbols
    for condition in conditions:
        for ident, limits in _ranges_in(condition):
            old = ranges.get(ident)
            ranges[ident] = limits if old is None else (max(old[0], limits[0]), min(old[1], limits[1]))
    ordered = sorted(symbols, key=lambda s: s.id)
    return Domain(tuple(ordered), tuple([_range(s, ranges.get(s.id)) for s in ordered]), _joined(conditions))


def _parts(domain: Any) -> list[Any]:
    if domain is None:
        return []
    several: Any = domain
    return list(several) if isinstance(domain, list | tuple) else [domain]


def _symbol(expr: Expr, key: Any) -> Expr:
    found = expr.pool.find_symbol(key) if isinstance(key, str) else key
    if not isinstance(found, Expr) or found.op != "symbol" or found.pool is not expr.pool:
        raise StabilityError(
            f"{key!r} is no symbol of the formula's pool.", remedy="Give ranges by symbol, as {x: (0, 1)}."
        )
    return found


def _bounds(symbol: Expr, bounds: Any) -> Range:
    try:
        low, high = (float(b) for b in bounds)
    except (TypeError, ValueError, OverflowError):
        raise StabilityError(
            f"the range of {symbol.name} is no pair of numbers.", remedy="Write {x: (low, high)} with two floats."
        ) from None
    if math.isnan(low) or math.isnan(high):
        raise StabilityError(f"a bound of {symbol.name} is nan.", remedy="Write {x: (low, high)} with two numbers.")
    return low, high


def _range(symbol: Expr, asked: Range | None) -> Range:
    """Return the range of a symbol: what was asked for, within its domain and within all finite floats."""
    low, high = _DOMAINS.get(str(symbol.domain), (-LARGEST, LARGEST))
    if asked is not None:
        low, high = max(low, asked[0]), min(high, asked[1])
    if low > high or (symbol.domain == "integer" and math.ceil(low) > math.floor(high)):
        raise StabilityError(
            f"the range of {symbol.name} holds no number ({low} to {high}).", remedy="Put the lower bound first."
        )
    return low, high


def _joined(conditions: list[Expr]) -> Expr | None:
    if not conditions:
        return None
    pool = conditions[0].pool
    out = conditions[0]
    for other in conditions[1:]:
        out = pool.apply("and", out, other)
    return out


def _ranges_in(condition: Expr) -> Iterable[tuple[int, Range]]:
    """Yield what the comparisons that all must hold say of single symbols."""
    work = [condition]
    while work:
        node = work.pop()
        if node.op == "and":
            work += node.args
        elif node.op in _FLIPPED:
            left, right = node.args
            for a, b, op in ((left, right, node.op), (right, left, _FLIPPED[node.op])):
                bound = None if b.free_symbols else _number(b)
                if bound is None or bound != bound:
                    continue
                if a.op == "symbol":
                    yield a.id, _limits(op, bound)
                elif a.op == "abs" and a.args[0].op == "symbol" and op in ("lt", "le"):
                    yield a.args[0].id, (-_limits(op, bound)[1], _limits(op, bound)[1])


def _number(expr: Expr) -> float:
    program, where = program_of([expr], {})
    return float(program.floats([])[where[expr.id]][0])


def _limits(op: str, bound: float) -> Range:
    if op in ("gt", "ge"):
        return (math.nextafter(bound, math.inf) if op == "gt" else bound), math.inf
    if op in ("lt", "le"):
        return -math.inf, (math.nextafter(bound, -math.inf) if op == "lt" else bound)
    return bound, bound
