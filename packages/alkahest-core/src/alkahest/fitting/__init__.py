"""Nonlinear regression on files in the layout of NIST's Statistical Reference Datasets."""

from __future__ import annotations

from alkahest.fitting.model import FitModel, build_model
from alkahest.fitting.plotting import plot_fit
from alkahest.fitting.report import fit_table, summary_table
from alkahest.fitting.results import Figure, FitResult, agreement
from alkahest.fitting.run import fit_problem
from alkahest.fitting.strd import Certified, DataFileAccessError, StrdProblem, read_strd

__all__ = [
    "read_strd",
    "StrdProblem",
    "Certified",
    "DataFileAccessError",
    "build_model",
    "FitModel",
    "fit_problem",
    "FitResult",
    "Figure",
    "agreement",
    "fit_table",
    "summary_table",
    "plot_fit",
]
