"""Checks of the limits that `lm_client` is given."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from alkahest.errors import ClientError

Prices = Mapping["str | re.Pattern[str]", tuple[float, float]]


def whole(name: str, value: Any, least: int) -> int | None:
    """Return a whole number of at least `least`, or None; raises `ClientError`."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
        return value
    raise ClientError(
        f"{name}={value!r} is no whole number of at least {least}.", remedy=f"Give {name}={least} or more."
    )


def number(name: str, value: Any, *, positive: bool = False) -> float:
    """Return a finite number of at least or, if `positive`, above 0; raises `ClientError`."""
    finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if finite and (value > 0 or (value == 0 and not positive)):
        return float(value)
    raise ClientError(
        f"{name}={value!r} is no number {'above' if positive else 'of at least'} 0.",
        remedy=f"Give {name} as a finite number.",
    )


def checked_backoff(backoff: Any) -> tuple[float, float]:
    """Return the first and the longest wait, from both or from the first alone."""
    first, longest = cast("tuple[Any, Any]", backoff) if _is_pair(backoff) else (backoff, 60.0)
    first = number("backoff", first)
    return first, max(first, number("backoff", longest))


def checked_prices(prices: Prices) -> tuple[tuple[str | re.Pattern[str], tuple[float, float]], ...]:
    """Return patterns and prices, in order."""
    checked: list[tuple[str | re.Pattern[str], tuple[float, float]]] = []
    for pattern, price in prices.items():
        if not isinstance(pattern, str | re.Pattern) or not _is_pair(price):
            raise ClientError(
                f"{pattern!r}: {price!r} is no price.",
                remedy="Give {model: (dollars per million prompt tokens, dollars per million tokens of answers)}.",
            )
        prompt, completion = price
        checked.append((pattern, (number("a price", prompt), number("a price", completion))))
    return tuple(checked)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(cast("Sequence[Any]", value)) == 2
