"""Least squares: where it ends, and what it says of an end that is none."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from alkahest.errors import MissingPackageError
from alkahest.fitting import agreement
from alkahest.fitting.solve import scipy_least_squares, solve

needs_scipy = pytest.mark.skipif(find_spec("scipy") is None, reason="fits need SciPy, an optional package")

X = np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0])
# NIST StRD, BoxBOD: y = b1*(1 - exp(-b2*x)).
BOD = np.array([109.0, 149.0, 149.0, 191.0, 213.0, 224.0])


def bod(b):
    return b[0] * (1 - np.exp(-b[1] * X)) - BOD


def bod_jacobian(b):
    return np.stack([1 - np.exp(-b[1] * X), b[0] * X * np.exp(-b[1] * X)], axis=1)


@needs_scipy
def test_a_line_is_fitted_as_numpy_fits_it():
    y = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.5])
    found = solve(lambda b: b[0] + b[1] * X - y, lambda b: np.stack([np.ones(6), X], axis=1), np.zeros(2))
    coefficients, covariance = np.polyfit(X, y, 1, cov="unscaled")
    np.testing.assert_allclose(found.values, coefficients[::-1], rtol=1e-13)
    variance = found.rss / 4
    np.testing.assert_allclose(found.sds, np.sqrt(np.diag(covariance)[::-1] * variance), rtol=1e-12)
    assert found.doubt == ""


@needs_scipy
def test_an_exact_fit():
    found = solve(
        lambda b: np.exp(b[0] * X) - np.exp(0.25 * X), lambda b: (X * np.exp(b[0] * X)).reshape(-1, 1), np.ones(1)
    )
    assert found.values[0] == pytest.approx(0.25, rel=1e-14)
    assert found.doubt == ""


@needs_scipy
def test_steps_out_of_the_domain_are_refused():
    # The first Gauss-Newton step from b = 5 leads to b < 0, where log is nan.
    target = np.log(0.01 * X)
    with np.errstate(all="ignore"):
        found = solve(lambda b: np.log(b[0] * X) - target, lambda b: np.full((6, 1), 1 / b[0]), np.array([5.0]))
    assert found.values[0] == pytest.approx(0.01, rel=1e-12)


@needs_scipy
def test_a_plateau_is_left_by_the_second_method():
    # Levenberg-Marquardt runs from here to large b2, where every one fits alike; the certified minimum is found anyway.
    found = solve(bod, bod_jacobian, np.array([1.0, 1.1]))
    np.testing.assert_allclose(found.values, [2.1380940889e02, 5.4723748542e-01], rtol=1e-10)
    np.testing.assert_allclose(found.sds, [1.2354515176e01, 1.0455993237e-01], rtol=1e-9)
    assert found.doubt == ""


@needs_scipy
def test_parameters_that_the_data_do_not_determine():
    found = solve(lambda b: b[0] * b[1] * X - X, lambda b: np.stack([b[1] * X, b[0] * X], axis=1), np.array([2.0, 2.0]))
    assert found.values[0] * found.values[1] == pytest.approx(1.0)
    assert "do not determine" in found.doubt
    assert np.isnan(found.sds).all()


@needs_scipy
def test_no_degrees_of_freedom_leave_no_standard_deviation():
    found = solve(lambda b: b * 3.0 - 6.0, lambda b: np.array([[3.0]]), np.ones(1))
    assert found.values[0] == 2.0
    assert np.isnan(found.sds).all()


def test_without_scipy_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingPackageError, match="pip install 'scipy"):
        scipy_least_squares()


def test_digits_of_agreement():
    assert agreement(1.0, 1.0) == 11.0
    assert agreement(1.0 + 1e-5, 1.0) == pytest.approx(5.0)
    assert agreement(-1e-7, 0.0) == pytest.approx(7.0)
    assert agreement(2.0, 1.0) == 0.0
    assert agreement(-1.0, 1.0) == 0.0
    assert agreement(float("nan"), 1.0) == 0.0
    assert agreement(float("inf"), 1.0) == 0.0
    assert agreement(3.0, 1e-300) == 0.0
