"""Where functions are measured: samplers `draw(rng, n)`, each returning one column of doubles per argument.

The doubles in order are the integers in order (`key`): drawing those uniformly draws random bit patterns between two
numbers, and adding to them steps from a number to its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import gmpy2
import numpy as np

Array = Any
Draw = Callable[[np.random.Generator, int], Array]
Draws = Callable[[np.random.Generator, int], tuple[Array, Array]]

LARGEST = 1.7976931348623157e308
TINY = 5e-324


def key(x: Array) -> Array:
    """Return the place of each double among all doubles in order; both zeros have place 0."""
    bits = np.asarray(x, np.float64).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def from_key(k: Array) -> Array:
    """Return the doubles at these places."""
    return np.where(k < 0, np.int64(-(2**63)) - k, k).view(np.float64)


# -- one argument


def any_bits(low: float, high: float) -> Draw:
    """Return random bit patterns from `low` to `high`: every exponent as often, subnormal numbers among them."""
    first, last = int(key(low)), int(key(high))
    return lambda rng, n: from_key(rng.integers(first, last, n, endpoint=True))


def uniform(low: float, high: float) -> Draw:
    """Return numbers spread evenly."""
    return lambda rng, n: rng.uniform(low, high, n)


def powers(low: float, high: float, *, signs: bool = False) -> Draw:
    """Return numbers whose decimal logarithms are spread evenly from `low` to `high`."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        x = 10.0 ** rng.uniform(low, high, n)
        return x * rng.choice([-1.0, 1.0], n) if signs else x

    return draw


def around(points: Sequence[float]) -> Draw:
    """Return neighbours of `points` on both sides, from the next double to some 2^46 doubles away."""
    keys = key(np.array(points, np.float64))

    def draw(rng: np.random.Generator, n: int) -> Array:
        steps = np.exp2(rng.uniform(0, 46, n)).astype(np.int64) - (rng.random(n) < 0.05)
        k = rng.choice(keys, n) + steps * rng.choice([-1, 1], n)
        return from_key(np.clip(k, key(-LARGEST), key(LARGEST)))

    return draw


def beside(points: Sequence[float]) -> Draw:
    """Return numbers at absolute distances of every order from `points`."""
    at = np.array(points)
    return lambda rng, n: rng.choice(at, n) + 10.0 ** rng.uniform(-17, -0.3, n) * rng.choice([-1.0, 1.0], n)


def listed(points: Sequence[float]) -> Draw:
    """Return `points` themselves, no more than there are."""
    at = np.array(points)
    return lambda rng, n: at if len(at) <= n else rng.choice(at, n)


@cache
def landmarks() -> tuple[float, ...]:
    """Return where kernels usually change method: powers of two, halves of multiples of ln 2 and of pi, and others."""
    found = {2.0**k * m for k in range(-60, 61) for m in (1.0, math.sqrt(2.0))}
    found |= {n / 16 for n in range(1, 513)}
    found |= {n * math.log(2.0) / 2 for n in range(1, 2100)}
    found |= {n * math.pi / 4 for n in range(1, 130)}
    found |= {math.tan(n * math.pi / 16) for n in range(1, 8)}
    found |= {10.0**k for k in range(-30, 31)}
    return tuple(sorted(found | {-x for x in found}))


def multiples(unit: str, limit: int) -> Draw:
    """Return the doubles nearest to multiples, up to the `limit`th, of "pi/2" or "pi", and their next neighbours."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        with gmpy2.context(precision=200):
            step = gmpy2.const_pi() / 2 if unit == "pi/2" else gmpy2.const_pi()
            count = max(n // 8, 1)
            size = np.exp2(rng.uniform(0, math.log2(limit), count)).astype(np.int64)
            at = np.array([float(step * k) for k in size.tolist()])
        k = np.repeat(key(at), 8)[:n] + rng.integers(-3, 4, n)[: 8 * count]
        return from_key(k) * rng.choice([-1.0, 1.0], len(k))

    return draw


@cache
def closest_to_multiples() -> tuple[float, ...]:
    """Return, for every exponent, the doubles that come closest to a multiple of pi/2.

    With x = M 2^e, M/N is near pi/2 2^-e: the candidates are the convergents of its continued fraction (W. Kahan,
    "Minimizing q m - n", 1983; J.-M. Muller, "Elementary Functions", 2016, section 11.3.2).
    """
    found: set[float] = set()
    with gmpy2.context(precision=1400):
        half_pi = gmpy2.const_pi() / 2
        for e in range(-52, 972):
            ratio = gmpy2.mul_2exp(half_pi, -e) if e < 0 else gmpy2.div_2exp(half_pi, e)
            p0, p1, q0, q1 = 1, int(gmpy2.floor(ratio)), 0, 1
            rest = ratio - p1
            while p1 < 2**53 and rest:
                if p1 >= 2**50 and q1:
                    found.add(math.ldexp(p1, e))
                ratio = 1 / rest
                whole = int(gmpy2.floor(ratio))
                rest = ratio - whole
                p0, p1, q0, q1 = p1, whole * p1 + p0, q1, whole * q1 + q0
    return tuple(sorted(found | {-x for x in found}))


@cache
def lgamma_zeros() -> tuple[float, ...]:
    """Return the doubles nearest to the zeros of lgamma from -2 to -17: on both sides of a pole, |gamma| falls to 1."""
    found: list[float] = []
    with gmpy2.context(precision=200):
        for pole in range(2, 18):
            # On the right of -2 gamma stays above 1; on the left of it, it falls until -2.61, on all others beyond 1/4.
            for far in (-0.6,) if pole == 2 else (0.35 if pole == 3 else 0.25, -0.25):
                near, end = gmpy2.mpfr(0), gmpy2.mpfr(far)
                for _ in range(180):
                    middle = (near + end) / 2
                    near, end = (middle, end) if gmpy2.lgamma(middle - pole)[0] > 0 else (near, middle)
                found.append(float(near - pole))
    return tuple(found)


def mixed(draws: Sequence[Draw]) -> Draw:
    """Return one draw from all of `draws`, in equal parts."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        with np.errstate(all="ignore"):
            return np.concatenate([one(rng, -(-n // len(draws))) for one in draws])

    return draw


# -- two arguments


def pairs(x: Draw, y: Draw) -> Draws:
    """Return pairs drawn independently."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            a, b = x(rng, n), y(rng, n)
        m = min(len(a), len(b))
        return rng.permutation(a)[:m], rng.permutation(b)[:m]

    return draw


def of_one_size(x: Draw, orders: float) -> Draws:
    """Return pairs whose quotient is of any size up to 10^orders either way."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        a = x(rng, n)
        with np.errstate(all="ignore"):
            b = a * 10.0 ** rng.uniform(-orders, orders, len(a)) * rng.choice([-1.0, 1.0], len(a))
        return (a, b) if rng.random() < 0.5 else (b, a)

    return draw


def with_power(x: Draw, logs: Sequence[float]) -> Draws:
    """Return x > 0 and y such that log2(x^y) is next to one of `logs`: the borders of overflow and of underflow."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        a = x(rng, n)
        at = rng.choice(np.array(logs), len(a)) + 10.0 ** rng.uniform(-12, 1, len(a)) * rng.choice([-1.0, 1.0], len(a))
        with np.errstate(all="ignore"):
            return a, at / np.log2(a)

    return draw


def mixed_pairs(draws: Sequence[Draws]) -> Draws:
    """Return one draw of pairs from all of `draws`, in equal parts."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            drawn = [one(rng, -(-n // len(draws))) for one in draws]
        return np.concatenate([d[0] for d in drawn]), np.concatenate([d[1] for d in drawn])

    return draw


# -- around the worst found so far


def nearby(rng: np.random.Generator, worst: Sequence[Sequence[float]], n: int) -> tuple[Array, ...]:
    """Return points at relative distances of every order from the points `worst`, one column per argument."""
    at = np.array(worst)[rng.integers(0, len(worst), n)]
    columns = []
    for column in at.T:
        steps = np.exp2(rng.uniform(0, 50, n)).astype(np.int64) * rng.choice([-1, 0, 1], n, p=[0.45, 0.1, 0.45])
        columns.append(from_key(np.clip(key(column) + steps, key(-LARGEST), key(LARGEST))))
    return tuple(columns)
