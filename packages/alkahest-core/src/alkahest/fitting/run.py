"""One problem, one start: from a file's problem to a result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from alkahest.compile.points import number as as_number
from alkahest.errors import FitError
from alkahest.fitting.model import FitModel, build_model
from alkahest.fitting.results import Figure, FitResult
from alkahest.fitting.solve import Solution, scipy_least_squares, solve
from alkahest.fitting.strd import StrdProblem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def fit_problem(
    problem: StrdProblem,
    start: int | Sequence[float] = 1,
    *,
    model: FitModel | None = None,
    backend: str | None = None,
) -> FitResult:
    """Fit a problem's model to its data by least squares and compare with the certified values, if it has any.

    `start` is the number of a published start, from 1, or starting values of one's own. `model` is what `build_model`
    returned for the problem, to share it between starts; without it the model is built here, on the tier `backend` if
    one is named. The method, `alkahest.fitting.solve.solve`, and its settings are the same for all problems.

    Raises `FitError` for a start that the file does not have, the wrong number of values, fewer observations than
    parameters, or a model that is not finite at the start; `DataFileError` for a model that does not parse;
    `MissingPackageError` without SciPy.

    >>> import pathlib, tempfile
    >>> from alkahest.fitting import read_strd
    >>> text = '''File Format:   ASCII
    ...                Starting Values   (lines 9 to 10)
    ...                Data              (lines 12 to 15)
    ... Model:
    ...                2 Parameters (b1 and b2)
    ...                y = b1*exp[-b2*x]  +  e
    ...           Starting values
    ...         Start 1
    ...   b1 =   1
    ...   b2 =   1
    ... Data:   y      x
    ...         8      0
    ...         4      1
    ...         2      2
    ...         1      3
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "halving.dat"
    ...     _ = file.write_text(text)
    ...     result = fit_problem(read_strd(file))
    >>> [round(v, 9) for v in result.values]  # 8 and log(2)
    [8.0, 0.693147181]
    """
    import numpy as np

    number, values = _start(problem, start)
    if problem.data.shape[1] < len(values):
        raise FitError(
            f"{problem.name}: {problem.data.shape[1]} observation(s) do not determine {len(values)} parameters.",
            remedy="Fit at least as many observations as parameters.",
        )
    scipy_least_squares()
    model = model or build_model(problem, backend=backend)
    first = np.array(values)
    _check_start(model, first)
    began = time.perf_counter()
    found = solve(model.residuals, model.derivatives, first)
    return _result(model, number, values, found, time.perf_counter() - began)


def _start(problem: StrdProblem, start: int | Sequence[float]) -> tuple[int, tuple[float, ...]]:
    if isinstance(start, int | Integral):
        if not 1 <= start <= len(problem.starts):
            raise FitError(
                f"{problem.name} has no start {start}.",
                remedy=f"Choose one from 1 to {len(problem.starts)}, or give starting values.",
            )
        return int(start), problem.starts[int(start) - 1]
    values = tuple([as_number(v) for v in start])
    if len(values) != len(problem.parameters):
        raise FitError(
            f"{problem.name} has {len(problem.parameters)} parameters and {len(values)} starting value(s) were given.",
            remedy=f"Give one value for each of {', '.join(problem.parameters)}.",
        )
    return 0, values


def _check_start(model: FitModel, first: NDArray[np.float64]) -> None:
    import numpy as np

    bad = np.flatnonzero(~np.isfinite(model.residuals(first)))
    if bad.size:
        problem = model.problem
        raise FitError(
            f"{problem.name}: the model is not finite at the starting values, first for the data on line "
            f"{problem.first_data_line + int(bad[0])}.",
            remedy="Start where the model is finite at all observations.",
        )


def _result(model: FitModel, start: int, values: tuple[float, ...], found: Solution, seconds: float) -> FitResult:
    problem, certified = model.problem, model.problem.certified
    dof = problem.data.shape[1] - len(values)
    estimates = [float(v) for v in found.values]
    sds = [float(v) for v in found.sds]
    nothing = [None] * len(values)
    return FitResult(
        problem=problem,
        start=start,
        start_values=values,
        parameters=_figures(problem.parameters, estimates, certified.values if certified else nothing),
        sds=_figures(problem.parameters, sds, certified.sds if certified else nothing),
        rss=Figure("residual sum of squares", found.rss, certified.rss if certified else None),
        residual_sd=Figure(
            "residual standard deviation",
            (found.rss / dof) ** 0.5 if dof else float("nan"),
            certified.residual_sd if certified else None,
        ),
        dof=dof,
        method=found.method,
        evaluations=found.evaluations,
        tier=model.tier,
        compile_seconds=model.seconds,
        seconds=seconds,
        doubt=found.doubt,
    )


def _figures(names: Sequence[str], values: Sequence[float], certified: Sequence[float | None]) -> tuple[Figure, ...]:
    return tuple([Figure(*figure) for figure in zip(names, values, certified, strict=True)])
