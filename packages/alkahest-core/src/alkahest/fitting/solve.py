"""Least squares: Levenberg-Marquardt to the valley, Gauss-Newton to the last digit."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alkahest.errors import MissingPackageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

# One set for all problems. The tolerances are close to the rounding of float64; MINPACK stops at the first it meets.
TOLERANCE = 1e-15
MAX_EVALUATIONS = 2000
MAX_POLISHING = 100
# A trial step into nan or overflow costs this much, so that it is refused and a shorter one is tried. Its square
# does not overflow for any number of observations that fits in memory.
REFUSED = 1e100
# A stationary point to half of float64's digits, and columns that are independent to as many.
STATIONARY = 1e-7
INDEPENDENT = 1e-9
# A standard deviation so many times the parameter and its starting value says that any value fits.
UNDETERMINED = 1e4


@dataclass(frozen=True, eq=False)
class Solution:
    """A least-squares solution.

    `values` are the parameters, `sds` their standard deviations by the linear theory (nan where the data leave no
    degrees of freedom or do not determine a parameter), `rss` is the residual sum of squares. `method` names what found
    it, `evaluations` counts residual vectors and Jacobians. `doubt` is "" at a proper minimum, else why it may be none.
    """

    values: Vector
    sds: Vector
    rss: float
    method: str
    evaluations: int
    doubt: str


def solve(residual: Callable[[Vector], Vector], jacobian: Callable[[Vector], Matrix], start: Vector) -> Solution:
    """Minimise the sum of squares of `residual` from `start`; `jacobian` has shape (observations, parameters).

    Levenberg-Marquardt of MINPACK (Moré 1978) with its own scaling comes first: trial steps that overflow or leave the
    model's domain count as uphill. Its tests stop it where the sum of squares is flat to rounding, which leaves half
    of the digits of the parameters open; Gauss-Newton steps by a scaled QR factorisation then go on while the
    gradient falls (Björck, Numerical Methods for Least Squares Problems, 1996, section 9.2). Where that ends in no
    proper minimum the trust-region method of Branch, Coleman and Li (1999) is tried from the same start, and the
    better of the two is kept. Nothing depends on the problem. The residual must be finite at `start`, and not shorter.
    Raises `MissingPackageError` without SciPy.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> found = solve(
    ...     lambda b: b[0] * np.exp(b[1] * x) - 2 * np.exp(0.5 * x),
    ...     lambda b: np.stack([np.exp(b[1] * x), b[0] * x * np.exp(b[1] * x)], axis=1),
    ...     np.array([1.0, 0.1]),
    ... )
    >>> bool(np.allclose(found.values, [2.0, 0.5]))
    True
    """
    system = _System(residual, jacobian)
    best = _attempt(system, start, "lm")
    if best.doubt:
        best = min(best, _attempt(system, start, "trf"), key=lambda found: found.rss)
    return Solution(best.values, best.sds, best.rss, best.method, system.evaluations, best.doubt)


class _System:
    """The residual and Jacobian as the methods may see them: finite everywhere, and counted."""

    def __init__(self, residual: Callable[[Vector], Vector], jacobian: Callable[[Vector], Matrix]) -> None:
        self._residual = residual
        self._jacobian = jacobian
        self.evaluations = 0

    def residual(self, b: Vector) -> Vector:
        import numpy as np

        self.evaluations += 1
        r = self._residual(b)
        return np.where(np.abs(r) < REFUSED, r, REFUSED)  # nan compares false

    def jacobian(self, b: Vector) -> Matrix:
        import numpy as np

        self.evaluations += 1
        j = self._jacobian(b)
        # An entry such as x**b * log(x) at x = 0 is nan, and its limit is 0.
        return np.where(np.abs(j) < REFUSED, j, 0.0)

    def step(self, b: Vector) -> _Step:
        """Return the Gauss-Newton step at `b`, by QR with the columns scaled to length one."""
        import numpy as np

        r, j = self.residual(b), self.jacobian(b)
        lengths = np.linalg.norm(j, axis=0)
        lengths[lengths == 0] = 1.0
        q, upper = np.linalg.qr(j / lengths)
        along = q.T @ r
        return _Step(r, upper, lengths, along)


class _Step:
    """What one linearisation gives: `slope` is the length of the residual's part that a step can remove."""

    def __init__(self, r: Vector, upper: Matrix, lengths: Vector, along: Vector) -> None:
        import numpy as np

        self.rss = float(r @ r)
        self.slope = float(np.linalg.norm(along))
        self.upper = upper
        self.lengths = lengths
        self.along = along
        singular = np.linalg.svd(upper, compute_uv=False)
        self.independent = bool(singular[-1] > INDEPENDENT * singular[0])

    def move(self) -> Vector:
        import numpy as np

        return -np.linalg.solve(self.upper, self.along) / self.lengths

    def sds(self, dof: int) -> Vector:
        import numpy as np

        if dof < 1 or not self.independent:
            return np.full(self.lengths.size, np.nan)
        inverse = np.linalg.inv(self.upper)
        return np.sqrt(self.rss / dof) * np.linalg.norm(inverse, axis=1) / self.lengths


def _attempt(system: _System, start: Vector, method: str) -> Solution:
    import numpy as np

    least_squares = scipy_least_squares()
    with np.errstate(all="ignore"):  # a wild trial step may overflow
        found = least_squares(
            system.residual,
            start,
            system.jacobian,
            method=method,
            x_scale="jac",
            ftol=TOLERANCE,
            xtol=TOLERANCE,
            gtol=TOLERANCE,
            max_nfev=MAX_EVALUATIONS,
        )
        values, step = _polish(system, found.x)
    sds = step.sds(found.fun.size - values.size)
    loose = bool(np.any(sds > UNDETERMINED * np.maximum(np.abs(values), np.abs(start))))
    return Solution(values, sds, step.rss, method, 0, _doubt(found.status, step, loose))


def _polish(system: _System, values: Vector) -> tuple[Vector, _Step]:
    """Take Gauss-Newton steps while each makes the slope smaller, which ends at the rounding of the residuals."""
    import numpy as np

    step = system.step(values)
    for _ in range(MAX_POLISHING):
        if not step.independent:
            break
        trial = values + step.move()
        following = system.step(trial) if np.all(np.isfinite(trial)) else step
        uphill = following.rss > step.rss * (1 + STATIONARY)
        if uphill or not following.independent or not following.slope < step.slope:
            break
        values, step = trial, following
    return values, step


def _doubt(status: int, step: _Step, loose: bool) -> str:
    if loose or not step.independent:
        return "the data do not determine all parameters here"
    if step.slope > STATIONARY * step.rss**0.5 and status <= 0:
        return f"not converged after {MAX_EVALUATIONS} evaluations"
    return ""


def scipy_least_squares() -> Any:
    """Return `scipy.optimize.least_squares`, or raise `MissingPackageError`."""
    try:
        return importlib.import_module("scipy.optimize").least_squares
    except ImportError:
        raise MissingPackageError(
            "fitting needs SciPy, which is not installed.",
            remedy="Install it: pip install 'scipy>=1.14'.",
        ) from None
