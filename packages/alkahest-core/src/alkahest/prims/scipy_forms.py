"""Array forms that SciPy implements but for a few special values; importing this module needs SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln


def lgamma(x: Any) -> Any:
    """Return log|gamma(x)|: SciPy's, but +inf at -inf and -log|x| near 0, where SciPy's overflows.

    >>> lgamma(np.array([1.0, -np.inf]))
    array([ 0., inf])
    """
    x = np.asarray(x)
    tiny = np.abs(x) < 1e-300
    near_zero = -np.log(np.abs(np.where(tiny, x, 1.0)))
    return np.where(tiny, near_zero, np.where(np.isneginf(x), np.inf, gammaln(x)))
