"""Numbers as digits, of any length: `int` and `str` refuse more than a few thousand of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

# Python lets a program lower the limit of int(str) and str(int) to 640 digits, not below.
_SAFE_DIGITS = 600
_SAFE_BITS = 1900
MAX_EXPONENT = 100_000  # beyond this a decimal of a few characters would take megabytes as an exact number


def int_text(value: int) -> str:
    """Return the decimal digits of an integer of any size.

    >>> len(int_text(10**5000))
    5001
    """
    return str(value) if value.bit_length() <= _SAFE_BITS else str(Decimal(value))


def int_value(digits: str) -> int:
    """Return the integer that decimal digits spell, however many.

    >>> int_value("1" + "0" * 5000) == 10**5000
    True
    """
    return int(digits) if len(digits) <= _SAFE_DIGITS else int(Decimal(digits))


def exact_decimal(text: str) -> Fraction | None:
    """Return the exact value of a decimal such as ".5" or "-3.1E-7"; None where its exponent is out of all bounds.

    >>> exact_decimal("1.25e1")
    Fraction(25, 2)
    """
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    shift = int_value(exponent or "0") - len(fraction)
    if abs(shift) > MAX_EXPONENT + len(mantissa):
        return None
    value = int_value(whole + fraction)
    return Fraction(value * 10**shift) if shift >= 0 else Fraction(value, 10**-shift)
