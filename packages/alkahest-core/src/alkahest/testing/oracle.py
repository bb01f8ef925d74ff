"""What a tape must give: the interpreter's value of each output, and how far a backend may be from it.

The allowance is a running error bound (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section
3.3), with the propagation of errors through an operation measured at the corners of the box its arguments may
lie in. It holds through cancellation, branches and steps, where a fixed tolerance is too tight or empty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from alkahest.base.rules import impl_rules
from alkahest.expr.tape import Tape

# These choose or step: no rounding of their own.
SELECTIONS = frozenset(
    {"neg", "abs", "sign", "floor", "ceil", "trunc", "round", "round_away", "copysign", "where"}
    | {"min", "max", "fmin", "fmax", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"}
)
# IEEE 754 asks for the correctly rounded result, so that two implementations agree in every bit.
CORRECTLY_ROUNDED = frozenset({"add", "sub", "mul", "div", "sqrt", "fma", "fmod", "remainder"})
# A zero of theirs lies inside the sampled interval: near it errors are measured against 1.
CROSS_ZERO = frozenset({"lgamma", "digamma", "polygamma"})
# Functions for which the interpreter (Python's math, SciPy) is off by several ulps itself; a test holds it to half
# of this against mpmath.
HARD = {"gamma": 16.0, "lgamma": 16.0, "digamma": 24.0, "polygamma": 16.0, "erf": 8.0, "erfc": 24.0}
# Which zero comes out of (0.0, -0.0) is not specified by IEEE 754 (2008) or C.
_EITHER_ZERO = frozenset({"min", "max", "fmin", "fmax"})
SMALLEST_NORMAL = {"f64": 2.2250738585072014e-308, "f32": 1.1754943508222875e-38}
_LARGEST_F32 = 3.4028234663852886e38


class Expected(NamedTuple):
    """A value, and the absolute difference that is allowed: infinite where nothing can be said."""

    value: float
    allowed: float

    def admits(self, got: float) -> bool:
        """Tell whether `got` agrees: nan with nan, an infinity with itself, a number within the allowance."""
        if self.allowed == math.inf:
            return True
        if math.isnan(self.value) or math.isinf(self.value):
            return same(self.value, got)
        return abs(got - self.value) <= self.allowed


def same(a: float, b: float) -> bool:
    """Tell whether two floats are equal, nan counting as equal to nan."""
    return a == b or (math.isnan(a) and math.isnan(b))


def spacing(value: float, dtype: str) -> float:
    """Return the distance between floats of `dtype` next to `value`: one ulp.

    >>> spacing(1.0, "f64") == 2.0**-52, spacing(1.0, "f32") == 2.0**-23
    (True, True)
    """
    if dtype == "f64" or not math.isfinite(value):
        return math.ulp(value)
    return math.ldexp(1.0, max(math.frexp(value)[1] - 24, -149))


def expected(
    tape: Tape,
    point: Sequence[float],
    ulps: Callable[[str], float],
    dtype: str = "f64",
    *,
    flushes: bool = False,
) -> list[Expected]:
    """Return what each output of `tape` is at `point`; `ulps(op)` is how inexact one operation may be.

    `flushes=True` lets denormal numbers be zero.

    >>> from alkahest.expr.tape import Instr
    >>> cancels = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("sub", (2, 1))), (3,))
    >>> expected(cancels, [1.0, 0.3], lambda op: 1.0)[0].allowed >= 2.0**-54
    True
    """
    tiny = SMALLEST_NORMAL[dtype] if flushes else 0.0
    slots = [Expected(float(x), tiny if abs(x) < tiny else 0.0) for x in point]
    slots += [Expected(c, 0.0 if dtype == "f64" else spacing(c, dtype)) for c in tape.consts]
    for op, args, _ in tape.instrs:
        value, allowed = _step(op, [slots[a] for a in args], ulps(op), dtype)
        slots.append(Expected(value, allowed + tiny if abs(value) < tiny else allowed))
    return [slots[o] for o in tape.outputs]


def _step(op: str, args: list[Expected], ulps: float, dtype: str) -> Expected:
    run: Callable[..., float] = impl_rules.by_name(op).number
    values = [a.value for a in args]
    value = run(*values)
    allowed = 0.0
    if any(a.allowed for a in args):
        allowed = max(_distance(value, run(*corner)) for corner in _corners(args))
    if op == "copysign" and math.isnan(values[1]):
        allowed = math.inf  # IEEE 754 does not say which sign a nan has
    if op in _EITHER_ZERO and value == 0.0 and all(v == 0.0 for v in values):
        allowed = max(allowed, math.ulp(0.0))
    if math.isfinite(value) and ulps:
        allowed += ulps * spacing(max(abs(value), 1.0 if op in CROSS_ZERO else 0.0), dtype)
    if dtype == "f32" and _LARGEST_F32 < abs(value) < math.inf:
        allowed = math.inf
    return Expected(value, allowed)


def _corners(args: list[Expected]) -> Iterable[tuple[float, ...]]:
    """Return points of the box the arguments may lie in: corners, zeros inside it, where two are equal."""
    yield from itertools.product(*[_ends(a) for a in args])
    if len(args) == 2:
        low = max(a.value - a.allowed for a in args)
        high = min(a.value + a.allowed for a in args)
        if low <= high:
            yield (low, low)


def _ends(arg: Expected) -> list[float]:
    value, allowed = arg
    if not allowed:
        return [value]
    ends = [value, value - allowed, value + allowed]
    if abs(value) <= allowed:
        ends += [0.0, -0.0]
    return [*ends, math.nan] if allowed == math.inf else ends


def _distance(a: float, b: float) -> float:
    if same(a, b):
        return 0.0
    distance = abs(a - b)
    return math.inf if math.isnan(distance) else distance
