"""x^n for a constant integer n by repeated squaring, with and without the rounding errors of the products.

Powers of one base share their squares: they are kept in the builder's memo, so that a polynomial written with powers
costs one product a term.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from alkahest_llvm.emitting.builder import Value
from alkahest_llvm.emitting.operations import copysign, fabs, fma, select

Twofold: TypeAlias = tuple[Value, Value | None]  # a value and its rounding error, None for none


LARGEST_PRODUCT = 4  # up to this exponent powers are products, each rounded


def integer_power(x: Value, n: int) -> Value:
    """Return x^n: error below n/2 ulp for 1 <= n <= 4, for others as `twofold_power` has it."""
    b = x.builder
    if n == 0:
        return b.constant(1.0)
    if n == -1:
        return 1.0 / x
    if 1 <= n <= LARGEST_PRODUCT:
        return plain_power(x, n)
    if b.real == "double":
        return twofold_power(x, n)
    wide = b.as_double(x)  # the products' errors vanish when the result is rounded to single precision
    return b.as_real(plain_power(wide if n > 0 else 1.0 / wide, abs(n)))


def factors(n: int) -> tuple[int, int]:
    """Return the two exponents whose powers are multiplied for x^n."""
    return n - n // 2, n // 2


def plain_power(x: Value, n: int) -> Value:
    """Return x^n for n >= 1, each product rounded: the error grows to about n/2 ulp."""
    return _power(x, ("power", x.ref), n, lambda a, b: a * b)


def twofold_power(x: Value, n: int) -> Value:
    """Return x^n for |n| > 1 with an error below 0.6 ulp for |n| <= 64, 1 ulp where the result is below 1e-290.

    The products' errors are carried along. Negative powers are powers of 1/x, so that they neither overflow nor
    underflow before the result does. The last product is a square, or one with the base, whose error is known
    relatively: then only two operations are of the result's size, where an error may be too small to be represented.
    """
    inverse, off = _reciprocal(x) if n < 0 else (x, None)
    base = inverse, None if off is None else off * inverse
    odd = n % 2
    high, low = _power(base, ("twofold power", inverse.ref), abs(n) - 1 if odd else abs(n) // 2, _twofold_product)
    other = inverse if odd else high
    if low is None:
        return high * other
    if not odd:
        low = low + low
    elif off is not None:
        low = fma(high, off, low)
    product = high * other
    total = fma(high, other, low * other)
    # At zero, infinity and overflow the error is no number, or an infinity of either sign.
    total = select(total.compare("ord", 0.0), total, product)
    return copysign(total, product) if odd else fabs(total)


def _reciprocal(x: Value) -> Twofold:
    """Return 1/x and its relative error."""
    memo = x.builder.memo
    if ("reciprocal", x.ref) not in memo:
        r = 1.0 / x
        memo["reciprocal", x.ref] = r, fma(-r, x, 1.0)
    return memo["reciprocal", x.ref]


def _power(base: Any, key: tuple[Any, ...], n: int, product: Callable[[Any, Any], Any]) -> Any:
    """Return the nth power of `base`; the powers on the way are kept under `key`."""
    memo = (base if isinstance(base, Value) else base[0]).builder.memo
    memo[key, 1] = base
    for k in _chain(n):
        if (key, k) not in memo:
            a, b = factors(k)
            memo[key, k] = product(memo[key, a], memo[key, b])
    return memo[key, n]


def _twofold_product(a: Twofold, b: Twofold) -> Twofold:
    (ah, al), (bh, bl) = a, b
    high = ah * bh
    low = fma(ah, bh, -high)
    if ah is bh and al is not None:
        return high, fma(ah + ah, al, low)
    if bl is not None:
        low = fma(ah, bl, low)
    if al is not None:
        low = fma(al, bh, low)
    return high, low


def _chain(n: int) -> list[int]:
    """Return the exponents above 1 that x^n goes through, in increasing order.

    >>> _chain(20)
    [2, 3, 5, 10, 20]
    """
    need: set[int] = set()
    work = [n]
    while work:
        k = work.pop()
        if k > 1 and k not in need:
            need.add(k)
            work.extend(factors(k))
    return sorted(need)
