"""Exact arithmetic on literals, bounded in size, and the values of functions at exact points.

A value is an `int`, or a `Fraction` that is no integer. A result is None where it is no such value, does not exist,
or would be larger than the bounds allow; the caller then keeps the operation as it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

Exact: TypeAlias = int | Fraction

MAX_BITS = 16_384  # of sums and products; literals above it stay as they are written
POWER_BITS = 4_096  # of powers, which grow fastest
_LIMIT = 1 << MAX_BITS
_MAX_FACTORIAL = 500
_PRIMES = [p for p in range(2, 1000) if all([p % d for d in range(2, math.isqrt(p) + 1)])]


def exact_of(node: tuple[Any, ...]) -> Exact | None:
    """Return the value of an integer or rational node, None for any other."""
    head = node[0]
    if head == "integer":
        return node[1]
    return Fraction(node[1], node[2]) if head == "rational" else None


def exact_node(value: Exact) -> tuple[Any, ...]:
    """Return the node of an exact value."""
    if value.__class__ is int or value.denominator == 1:
        return ("integer", int(value))
    return ("rational", value.numerator, value.denominator)


def normal(value: Exact) -> Exact:
    """Return an integral `Fraction` as an int, anything else unchanged."""
    return value.numerator if value.denominator == 1 else value


def fits(value: Exact) -> bool:
    """Tell whether a sum or product may be as large as `value`."""
    if value.__class__ is int:
        return -_LIMIT < value < _LIMIT
    return -_LIMIT < value.numerator < _LIMIT and value.denominator < _LIMIT


def bounded(value: Exact) -> Exact | None:
    """Return `value` in its normal form, or None where it is too large to be worth folding."""
    if value.__class__ is int:
        return value if -_LIMIT < value < _LIMIT else None
    value = normal(value)
    return value if fits(value) else None


def divide(a: Exact, b: Exact) -> Exact | None:
    """Return the exact quotient; None where `b` is zero or the quotient too large."""
    if b == 0:
        return None
    return bounded(Fraction(a) / b)


def power(base: Exact, exponent: Exact) -> Exact | None:
    """Return `base` to an exact power where that is exact: integer powers, and roots of perfect powers."""
    if exponent.__class__ is int:
        return _integer_power(base, int(exponent))
    if base < 0 or (base == 0 and exponent < 0):
        return None
    if base in (0, 1):
        return base
    if not fits(base):
        return None
    above = integer_root(base.numerator, exponent.denominator)
    below = integer_root(base.denominator, exponent.denominator)
    if above is None or below is None:
        return None
    return _integer_power(normal(Fraction(above, below)), exponent.numerator)


def _integer_power(base: Exact, n: int) -> Exact | None:
    if base == 0 and n < 0:
        return None
    if base in (0, 1, -1) or n in (0, 1):
        return base**n if n >= 0 else base ** (n % 2)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if n != -1 and bits * abs(n) > POWER_BITS:
        return None
    return normal(Fraction(base) ** n) if n < 0 or base.__class__ is not int else base**n


def integer_root(n: int, k: int) -> int | None:
    """Return the `k`-th root of `n >= 0` where `n` is a perfect power (Newton's method on integers)."""
    if n in (0, 1):
        return n
    if k == 2:
        root = math.isqrt(n)
    elif k >= n.bit_length():
        return None
    else:
        root = 1 << -(-n.bit_length() // k)
        while True:
            step = ((k - 1) * root + n // root ** (k - 1)) // k
            if step >= root:
                break
            root = step
    return root if root**k == n else None


def small_factors(n: int) -> list[tuple[int, int]]:
    """Return small primes of `n >= 1` with their exponents, and what is left of it as if it were one.

    >>> small_factors(360), small_factors(10**9 + 7)
    ([(2, 3), (3, 2), (5, 1)], [(1000000007, 1)])
    """
    out: list[tuple[int, int]] = []
    for prime in _PRIMES:
        if prime * prime > n:
            break
        count = 0
        while n % prime == 0:
            n //= prime
            count += 1
        if count:
            out.append((prime, count))
    if n > 1:
        out.append((n, 1))
    return out


# -- values of functions


def _sign(x: Exact) -> int:
    return (x > 0) - (x < 0)


def round_away(x: Exact) -> int:
    """Return `x` rounded to the nearest integer, halves away from zero."""
    return _sign(x) * math.floor(abs(x) + Fraction(1, 2))


def _cbrt(x: Exact) -> Exact | None:
    root = power(abs(x), Fraction(1, 3))
    return None if root is None else _sign(x) * root


def _log2(x: Exact) -> int | None:
    n, d = x.numerator, x.denominator
    if x <= 0 or n & (n - 1) or d & (d - 1):
        return None
    return n.bit_length() - d.bit_length()


def _log10(x: Exact) -> int | None:
    n, d = x.numerator, x.denominator
    if x <= 0 or not fits(x) or (n != 1 and d != 1):
        return None
    # A power of ten is a power of two times one of five: its trailing zero bits are its exponent.
    large = max(n, d)
    k = (large & -large).bit_length() - 1
    if 10**k != large:
        return None
    return k if d == 1 else -k


def _gamma(x: Exact) -> int | None:
    return math.factorial(int(x) - 1) if x.__class__ is int and 1 <= x <= _MAX_FACTORIAL else None


def _hypot(x: Exact, y: Exact) -> Exact | None:
    square = bounded(x * x + y * y)
    return None if square is None else power(square, Fraction(1, 2))


def _fmod(a: Exact, b: Exact) -> Exact | None:
    return None if b == 0 else normal(a - b * math.trunc(Fraction(a) / b))


def _remainder(a: Exact, b: Exact) -> Exact | None:
    return None if b == 0 else normal(a - b * round(Fraction(a) / b))


def _copysign(a: Exact, b: Exact) -> Exact:
    return -abs(a) if b < 0 else abs(a)


def _fma(a: Exact, b: Exact, c: Exact) -> Exact | None:
    return bounded(a * b + c)


_RULES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: bounded(a + b),
    "sub": lambda a, b: bounded(a - b),
    "mul": lambda a, b: bounded(a * b),
    "div": divide,
    "neg": lambda a: -a,
    "pow": power,
    "fma": _fma,
    "sqrt": lambda x: power(x, Fraction(1, 2)),
    "cbrt": _cbrt,
    "hypot": _hypot,
    "abs": abs,
    "sign": _sign,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
    "round_away": round_away,
    "min": min,
    "max": max,
    "fmin": min,
    "fmax": max,
    "copysign": _copysign,
    "fmod": _fmod,
    "remainder": _remainder,
    "lt": lambda a, b: int(a < b),
    "le": lambda a, b: int(a <= b),
    "gt": lambda a, b: int(a > b),
    "ge": lambda a, b: int(a >= b),
    "eq": lambda a, b: int(a == b),
    "ne": lambda a, b: int(a != b),
    "and": lambda a, b: int(a != 0 and b != 0),
    "or": lambda a, b: int(a != 0 or b != 0),
    "not": lambda a: int(a == 0),
    "where": lambda c, a, b: a if c != 0 else b,
    "log2": _log2,
    "log10": _log10,
    "gamma": _gamma,
    "atan2": lambda y, x: 0 if y == 0 and x > 0 else None,
    "exp": {0: 1}.get,
    "expm1": {0: 0}.get,
    "log": {1: 0}.get,
    "log1p": {0: 0}.get,
    "sin": {0: 0}.get,
    "cos": {0: 1}.get,
    "tan": {0: 0}.get,
    "asin": {0: 0}.get,
    "acos": {1: 0}.get,
    "atan": {0: 0}.get,
    "sinh": {0: 0}.get,
    "cosh": {0: 1}.get,
    "tanh": {0: 0}.get,
    "asinh": {0: 0}.get,
    "acosh": {1: 0}.get,
    "atanh": {0: 0}.get,
    "erf": {0: 0}.get,
    "erfc": {0: 1}.get,
    "lgamma": {1: 0, 2: 0}.get,
}


def exact_call(op: str, values: list[Exact]) -> Exact | None:
    """Return the value of the primitive `op` at exact values, None where it is not exact."""
    rule = _RULES.get(op)
    return None if rule is None else rule(*values)
