"""How far each function may be from the exact value, in ulps: what the documentation promises and the tests assert.

`benchmarks/accuracy.py` measures the errors, `docs/accuracy.md` shows both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """The largest error, in double precision unless said otherwise.

    `ulps` holds where the result is a normal number, `subnormal` where it is below 2^-1022 and was rounded twice;
    `fast` holds with `accuracy="4ulp"`, where that differs. `single` holds for results of single precision, in ulps of
    that: most functions are computed in double precision and rounded once, those with a larger bound are not. Errors of
    results below `unit` count in ulps of `unit`.
    """

    ulps: float
    fast: float | None = None
    subnormal: float = 1.0
    single: float = 0.501
    unit: float = 0.0

    def largest(self, *, normal: bool = True, accuracy: str = "1ulp", dtype: str = "f64") -> float:
        """Return the bound for normal or subnormal results in a mode of accuracy and a precision."""
        if dtype == "f32":
            return self.single
        ulps = self.fast if accuracy == "4ulp" and self.fast is not None else self.ulps
        return ulps if normal else max(ulps, self.subnormal)


BOUNDS: dict[str, Bound] = {
    "exp": Bound(0.95, single=0.9),
    "expm1": Bound(0.95, fast=2.2),
    "log": Bound(0.95, single=0.9),
    "log1p": Bound(0.95),
    "log2": Bound(0.95, fast=2.0),
    "log10": Bound(0.95, fast=2.0),
    "sin": Bound(0.95, fast=4.0, single=0.85),
    "cos": Bound(0.95, fast=4.0, single=0.85),
    "tan": Bound(0.95, fast=3.8, single=0.9),
    "sin beside cos": Bound(0.85, fast=4.0, single=0.85),
    "cos beside sin": Bound(0.85, fast=4.0, single=0.85),
    "asin": Bound(0.85),
    "acos": Bound(0.85),
    "atan": Bound(0.95, single=0.85),
    "atan2": Bound(0.95),
    "sinh": Bound(0.95, fast=2.4),
    "cosh": Bound(0.95),
    "tanh": Bound(0.97, fast=3.8, single=0.95),
    "asinh": Bound(0.95),
    "acosh": Bound(0.95),
    "atanh": Bound(0.95),
    "pow": Bound(0.95, single=0.55),
    "x^2": Bound(0.5),
    "x^3": Bound(1.5, single=1.5),
    "x^4": Bound(2.0, single=2.0),
    "x^7": Bound(1.0),
    "x^20": Bound(1.0),
    "x^64": Bound(1.0),
    "x^-1": Bound(0.5),
    "x^-2": Bound(1.0, fast=2.0),
    "x^-3": Bound(1.0, fast=4.0),
    "x^-7": Bound(1.0),
    "x^0.5": Bound(0.5),
    "x^-0.5": Bound(1.5, single=1.5),
    "x^1.5": Bound(1.5, single=1.5),
    "x^2.5": Bound(1.05, single=2.0),
    "x^-1.5": Bound(1.0, single=1.0),
    "x^1.7": Bound(0.95),
    "sqrt": Bound(0.5),
    "cbrt": Bound(0.51),
    "hypot": Bound(0.51),
    "erf": Bound(0.95, single=0.9),
    "erfc": Bound(0.9),
    "gamma": Bound(0.8),
    "lgamma": Bound(0.7),
    "lgamma, x < 0": Bound(0.7),
    "digamma": Bound(5.0),
    "digamma, x < 0": Bound(4.0, unit=8.0),
    "polygamma 1": Bound(4.0),
    "polygamma 2": Bound(4.0),
    "polygamma 3": Bound(4.0),
    "polygamma 12": Bound(4.0),
    "polygamma 30": Bound(4.0),
    "fmod": Bound(0.0, subnormal=0.0, single=0.0),
    "remainder": Bound(0.0, subnormal=0.0, single=0.0),
}
