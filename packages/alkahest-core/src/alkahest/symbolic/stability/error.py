"""Bits of error: how many of the last binary digits of a computed number are wrong."""

# NumPy's functions on arrays of any type say nothing of theirs.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
from __future__ import annotations

from typing import Any

WORST = 64.0


def ordinals(x: Any) -> Any:
    """Return floats as integers in their order: neighbouring floats have neighbouring integers, both zeros 0."""
    import numpy as np

    bits = np.asarray(x, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def from_ordinals(i: Any) -> Any:
    """Return the floats of which `ordinals` gives these integers."""
    import numpy as np

    i = np.asarray(i, dtype=np.int64)
    bits = np.where(i < 0, np.int64(-(2**63)) - i, i)
    return bits.view(np.float64)


def bits_of_error(computed: Any, true: Any) -> Any:
    """Return log2(1 + ulps between computed and true floats), the measure of Herbie (Panchekha and others, 2015).

    It is 64 where the computed number is nan, or infinite and the true one finite. Where the true one is nan, nothing
    is known and it is 0.
    """
    import numpy as np

    a, b = ordinals(computed), ordinals(true)
    far = np.abs(a.astype(np.float64) - b.astype(np.float64))
    with np.errstate(over="ignore"):
        ulps = np.where(far < 2.0**52, np.abs(a - b).astype(np.float64), far)
    bits = np.minimum(np.log2(1.0 + ulps), WORST)
    bits = np.where(np.isnan(computed) | (np.isinf(computed) & np.isfinite(true)), WORST, bits)
    return np.where(np.isnan(true), 0.0, bits)
