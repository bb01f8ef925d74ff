"""What a fit gives, and how it compares with certified values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from alkahest.base.once import once
from alkahest.fitting.strd import StrdProblem

CERTIFIED_DIGITS = 11.0
ELSEWHERE = 4.0  # fewer agreeing digits than this mean another minimum
_EPSILON = 2.0**-52


def agreement(value: float, certified: float) -> float:
    """Return the log relative error: how many digits of `value` agree with `certified`, from 0 to 11.

    It is -log10(|value - certified| / |certified|), or -log10(|value|) where the certified value is 0; certified values
    have 11 digits, so more than 11 cannot be told (McCullough, The American Statistician 52, 1998).

    >>> round(agreement(3.1416, 3.14159265359), 1)
    5.6
    >>> agreement(2.0, 2.0)
    11.0
    """
    error = abs(value - certified) / (abs(certified) or 1.0)
    if not math.isfinite(error):
        return 0.0
    return CERTIFIED_DIGITS if error == 0 else min(CERTIFIED_DIGITS, max(0.0, -math.log10(error)))


@dataclass(frozen=True)
class Figure:
    """One fitted figure: its `value` and the `certified` one, None where the file has none."""

    name: str
    value: float
    certified: float | None = None

    @property
    def digits(self) -> float | None:
        """How many digits agree; None without a certified value."""
        return None if self.certified is None else agreement(self.value, self.certified)


@dataclass(frozen=True)
class FitResult:
    """One fit of one problem from one start.

    `start` is the number of the published start, 0 for one's own; `start_values` are its values. `parameters` and `sds`
    hold one `Figure` per parameter: estimate and standard deviation; `rss` and `residual_sd` those of the residuals,
    over `dof` degrees of freedom. `method` names what found the minimum ("lm", "trf"), `evaluations` counts residual
    vectors and Jacobians, `tier` names what computed them, `compile_seconds` and `seconds` are the times for reading
    and compiling the model, which the starts share, and for the fit. `doubt` is "" at a proper minimum.
    """

    problem: StrdProblem
    start: int
    start_values: tuple[float, ...]
    parameters: tuple[Figure, ...]
    sds: tuple[Figure, ...]
    rss: Figure
    residual_sd: Figure
    dof: int
    method: str
    evaluations: int
    tier: str
    compile_seconds: float
    seconds: float
    doubt: str

    @property
    def values(self) -> tuple[float, ...]:
        """The estimates, in the order of the problem's parameters."""
        return tuple([p.value for p in self.parameters])

    @once
    def worst(self) -> Figure | None:
        """The parameter with the fewest agreeing digits; None without certified values."""
        judged = [p for p in self.parameters if p.digits is not None]
        return min(judged, key=lambda p: p.digits or 0.0) if judged else None

    @property
    def digits(self) -> float | None:
        """The agreeing digits of the worst parameter; None without certified values."""
        return self.worst.digits if self.worst else None

    def reaches(self, digits: float) -> bool:
        """Tell whether every parameter agrees to so many digits; without certified values: is there no doubt."""
        return not self.doubt if self.digits is None else self.digits >= digits

    @property
    def remark(self) -> str:
        """One sentence where something needs saying: a doubt, another minimum, residuals as small as rounding."""
        if self.doubt:
            return f"{self.doubt}."
        best = self.rss.certified
        if best is not None and self.digits is not None and self.digits < ELSEWHERE:
            ratio = self.rss.value / best if best else math.inf
            if ratio > 1 + 10**-ELSEWHERE:
                return f"another minimum: its sum of squares is {ratio:.4g} times the certified one."
            return "another minimum, as good as the certified one, as when terms of a sum change places."
        scale = float(abs(self.problem.data[0]).max()) * _EPSILON
        if self.residual_sd.value < 1000 * scale:
            return (
                f"the residuals are about {self.residual_sd.value / scale:.0f} roundings of float64 "
                "in size, so their sum of squares and the standard deviations have few digits."
            )
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the data as plain values, for JSON; figures that are not finite become None."""
        return {
            "problem": self.problem.name,
            "file": self.problem.path,
            "model": self.problem.model_text,
            "start": self.start,
            "start_values": list(self.start_values),
            "parameters": [
                {**_figure(p), "sd": _plain(s.value), "certified_sd": s.certified, "sd_digits": s.digits}
                for p, s in zip(self.parameters, self.sds, strict=True)
            ],
            "residual_sum_of_squares": _figure(self.rss),
            "residual_sd": _figure(self.residual_sd),
            "degrees_of_freedom": self.dof,
            "digits": self.digits,
            "method": self.method,
            "evaluations": self.evaluations,
            "tier": self.tier,
            "compile_seconds": self.compile_seconds,
            "seconds": self.seconds,
            "doubt": self.doubt,
            "remark": self.remark,
        }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "value": _plain(figure.value),
        "certified": figure.certified,
        "digits": figure.digits,
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
