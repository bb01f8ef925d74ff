"""A picture of one fit, as a PNG file."""

from __future__ import annotations

import importlib
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alkahest.errors import FitError, MissingPackageError
from alkahest.fitting.model import FitModel
from alkahest.fitting.results import FitResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURVE_POINTS = 400


def plot_fit(result: FitResult, model: FitModel, folder: str | os.PathLike[str]) -> Path:
    """Draw data, fit and residuals into `folder`, which is made if need be, and return the file's path.

    With one predictor the model is drawn as a curve over it, with several the observed response over the predicted
    one. The file is named after the problem and the start. Raises `MissingPackageError` without Matplotlib, `FitError`
    where the folder cannot be written.
    """
    figure = _draw(result, model)
    name = f"{_stem(result.problem.name)}-start{result.start}.png"
    path = Path(folder) / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise FitError(
            f"the plot {path} cannot be written: {error.strerror}.", remedy="Name a directory that you may write to."
        ) from None
    return path


def _draw(result: FitResult, model: FitModel) -> Any:
    import numpy as np

    figure = figure_class()(figsize=(7, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    problem = model.problem
    observed = model.observed()
    predictors = list(problem.data[1:])
    fitted = np.broadcast_to(model.predict(result.values, predictors), observed.shape)
    if len(predictors) == 1:
        across, label = predictors[0], problem.predictors[0]
        grid = np.linspace(float(across.min()), float(across.max()), CURVE_POINTS)
        line = _finite(np.broadcast_to(model.predict(result.values, [grid]), grid.shape))
    else:
        across, label = fitted, "predicted"
        grid = line = np.array([fitted.min(), fitted.max()])
    top.plot(across, observed, ".", color="tab:blue", label="observed")
    top.plot(grid, line, "-", color="tab:red", label="fit")
    formula = textwrap.shorten(problem.model_text, 110, placeholder=" …")
    top.set_title(f"{problem.name}: {formula}", fontsize="small", parse_math=False)
    top.set_ylabel(str(model.response.expr))
    top.legend()
    bottom.axhline(0.0, color="tab:red")
    bottom.plot(across, observed - fitted, ".", color="tab:blue")
    bottom.set_xlabel(label)
    bottom.set_ylabel("residual")
    return figure


def _finite(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the curve with gaps where the model has a pole between observations."""
    import numpy as np

    return np.where(np.isfinite(line), line, np.nan)


def figure_class() -> Any:
    """Return what makes Matplotlib figures that need no display, or raise `MissingPackageError`."""
    try:
        canvas: Any = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
        figure: Any = importlib.import_module("matplotlib.figure").Figure
    except ImportError:
        raise MissingPackageError(
            "plots need Matplotlib, which is not installed.",
            remedy="Install it: pip install 'matplotlib>=3.9'.",
        ) from None

    def make(**settings: Any) -> Any:
        made = figure(**settings)
        canvas(made)
        return made

    return make


def _stem(name: str) -> str:
    """Return a dataset's name as a file name: nothing but letters, digits and a few marks."""
    return "".join([c if c.isalnum() or c in "._-" else "_" for c in name]).lstrip(".") or "fit"
