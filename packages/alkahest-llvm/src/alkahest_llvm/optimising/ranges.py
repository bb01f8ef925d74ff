"""Between which numbers the slots of a tape lie, whatever the inputs are.

Bounds follow from those of the operands (R. E. Moore, Interval Analysis, 1966). An interval says nothing of nan: a slot
holds a number of its interval, or nan. Each is widened by more than its computation can be off, so that it holds for
single precision and for multiply-adds as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from alkahest_llvm.optimising.draft import Draft

Interval: TypeAlias = tuple[float, float]

INF = math.inf
EVERYTHING = (-INF, INF)
_SLACK = 1e-6  # relative; an operation in single precision is off by a tenth of it
# Beyond these magnitudes a bound is taken for an infinity or for zero.
_LIMITS = {"f64": (2.0**-1000, 2.0**1020), "f32": (2.0**-120, 2.0**124)}


class Ranges:
    """The intervals of a draft's slots, each found when it is first asked for.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> tape = Tape(("x",), (1.0,), (Instr("mul", (0, 0)), Instr("add", (2, 1)), Instr("neg", (0,))), (3, 4))
    >>> ranges = Ranges(Draft(tape, CompileOptions()))
    >>> [f"{low:.3f} to {high:.3f}" for low, high in map(ranges.of, range(5))]
    ['-inf to inf', '1.000 to 1.000', '0.000 to inf', '1.000 to inf', '-inf to inf']
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._ours = draft.own_ops()
        self._tiny, self._huge = _LIMITS[draft.options.dtype]
        self._known: dict[int, Interval] = {}

    def of(self, slot: int) -> Interval:
        """Return the interval of a slot."""
        known, draft = self._known, self._draft
        work = [slot]
        while work:
            s = work[-1]
            if s not in known:
                op, args = draft.op[s], draft.args[s]
                missing = self._operand(op, args)
                if missing is None:
                    known[s] = self._bounds(s, op, args)
                else:
                    work.append(missing)
            else:
                work.pop()
        return known[slot]

    def _operand(self, op: str, args: tuple[int, ...]) -> int | None:
        """Return an operand whose interval is needed before that of an operation."""
        known = self._known
        if op in _HOPELESS:
            first = known.get(args[0])
            if first is None:
                return args[0]
            if first is EVERYTHING and (args[0] != args[1] or op not in _PRODUCTS):
                return None
        elif op not in _BOUNDS:
            return None
        for a in args:
            if a not in known:
                return a
        return None

    def _bounds(self, slot: int, op: str, args: tuple[int, ...]) -> Interval:
        """Return the interval of a slot from those of its operands; one that is not known has no influence."""
        if op in _BOUNDS and op in self._ours:
            operands = [self._known.get(a, EVERYTHING) for a in args]
            if op in _PRODUCTS and args[0] == args[1]:
                operands[:2] = _square(operands[0]), (1.0, 1.0)
            elif op in _HOPELESS and EVERYTHING in operands:
                return EVERYTHING
            return self._widened(_BOUNDS[op](*operands))
        number = self._draft.numbers.get(slot, INF)
        if math.isfinite(number):
            return self._widened((number, number))
        return _FIXED[op] if op in _FIXED and op in self._ours else EVERYTHING

    def _widened(self, interval: Interval) -> Interval:
        low, high = interval
        low *= 1.0 - _SLACK if low > 0.0 else 1.0 + _SLACK
        high *= 1.0 + _SLACK if high > 0.0 else 1.0 - _SLACK
        if 0.0 < low < self._tiny:
            low = 0.0
        if -self._tiny < high < 0.0:
            high = 0.0
        huge = self._huge
        low, high = -INF if low < -huge else min(low, huge), INF if high > huge else max(high, -huge)
        return EVERYTHING if low == -high == -INF else (low, high)


# What follows gives the bounds of each operation before rounding.


def _add(a: Interval, b: Interval) -> Interval:
    return a[0] + b[0], a[1] + b[1]


def _negative(a: Interval) -> Interval:
    return -a[1], -a[0]


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y if x and y else 0.0 for x in a for y in b]  # 0 times infinity is nan, of which nothing is said
    return min(ends), max(ends)


def _quotient(a: Interval, b: Interval) -> Interval:
    return _product(a, (1.0 / b[1], 1.0 / b[0])) if b[0] > 0.0 or b[1] < 0.0 else EVERYTHING


def _square(a: Interval) -> Interval:
    low, high = _absolute(a)
    return low * low, high * high


def _absolute(a: Interval) -> Interval:
    low, high = sorted(map(abs, a))
    return 0.0 if a[0] <= 0.0 <= a[1] else low, high


def _root(a: Interval) -> Interval:
    return math.sqrt(max(a[0], 0.0)), math.sqrt(max(a[1], 0.0))


def _exponential(a: Interval) -> Interval:
    return math.exp(min(a[0], 700.0)) if a[0] > -700.0 else 0.0, math.exp(a[1]) if a[1] < 700.0 else INF


def _logarithm(a: Interval) -> Interval:
    return math.log(a[0]) if a[0] > 0.0 else -INF, math.log(a[1]) if a[1] > 0.0 else INF


def _power(a: Interval, b: Interval) -> Interval:
    """Only an odd exponent makes a negative power, of a negative number or of -0."""
    has_odd = not math.isfinite(b[0]) or 2.0 * math.ceil((b[0] - 1.0) / 2.0) + 1.0 <= b[1]
    return EVERYTHING if has_odd and a[0] <= 0.0 else (0.0, INF)


def _hull(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


_UNIT = (-1.0 - _SLACK, 1.0 + _SLACK)
_FIXED: dict[str, Interval] = {
    **dict.fromkeys(("sin", "cos", "tanh", "erf", "sign"), _UNIT),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"), (0.0, 1.0)),
    **dict.fromkeys(("atan", "asin"), (-1.5708, 1.5708)),
    **dict.fromkeys(("hypot", "acosh"), (0.0, INF)),
    "acos": (0.0, 3.1416),
    "erfc": (0.0, 2.0 + _SLACK),
    "cosh": (1.0 - _SLACK, INF),
    "expm1": (-1.0 - _SLACK, INF),
}
_BOUNDS: dict[str, Callable[..., Interval]] = {
    "add": _add,
    "sub": lambda a, b: _add(a, _negative(b)),
    "mul": _product,
    "div": _quotient,
    "fma": lambda a, b, c: _add(_product(a, b), c),
    "fma.sub": lambda a, b, c: _add(_product(a, b), _negative(c)),
    "fma.neg": lambda a, b, c: _add(c, _negative(_product(a, b))),
    "neg": _negative,
    "abs": _absolute,
    "sqrt": _root,
    "exp": _exponential,
    "log": _logarithm,
    "pow": _power,
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "fmin": _hull,
    "fmax": _hull,
    "where": lambda _, a, b: _hull(a, b),
}
_PRODUCTS = frozenset(("mul", "fma", "fma.sub", "fma.neg"))
_HOPELESS = frozenset(("add", "sub", "div", *_PRODUCTS))  # where one operand has no bounds, nor has the result
