"""The functions that are measured: how each is written, what is exact, and where it is sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import accuracy_reference as reference
import gmpy2
import numpy as np
from accuracy_points import (
    LARGEST,
    TINY,
    any_bits,
    around,
    beside,
    closest_to_multiples,
    landmarks,
    lgamma_zeros,
    listed,
    mixed,
    mixed_pairs,
    multiples,
    of_one_size,
    pairs,
    powers,
    uniform,
    with_power,
)
from accuracy_published import published
from accuracy_reference import Exact, Screen, numpy_screen

import alkahest

Array = Any
BELOW_ONE = 1.0 - 2.0**-53


@dataclass(frozen=True)
class Case:
    """One row of the report.

    `build` makes the expression from its arguments, `draw(rng, n)` the columns, `keep` tells which points lie where the
    function is defined and does not overflow, `exact` gives MPFR's value, `screen` an 80-bit one where there is any.
    """

    name: str
    where: str
    build: Callable[..., Any]
    exact: Exact
    screen: Screen | None
    draw: Callable[[np.random.Generator, int], tuple[Array, ...]]
    keep: Callable[..., Array]
    arity: int = 1
    output: int = 0

    def points(self, rng: np.random.Generator, n: int) -> tuple[Array, ...]:
        """Return about `n` points."""
        return self.inside(self.draw(rng, n))

    def inside(self, columns: Sequence[Array]) -> tuple[Array, ...]:
        """Return those points for which the function is defined."""
        with np.errstate(all="ignore"):
            kept = self.keep(*columns)
        return tuple(c[kept] for c in columns)


def _of_one(
    name: str,
    where: str,
    low: float,
    high: float,
    draws: Sequence[Any],
    *,
    build: Callable[..., Any] | None = None,
    exact: Exact | None = None,
    screen: Screen | None = None,
    hard: Sequence[float] = (),
    keep: Callable[[Array], Array] | None = None,
) -> Case:
    """Return the case of a function of one argument from `low` to `high`.

    Random bit patterns of that whole range and the neighbourhoods of landmarks, of the range's ends, of zero and of
    `hard` points are sampled for each; `draws` come on top.
    """
    if screen is None and hasattr(np, name):
        screen = numpy_screen(name)
    ends = (low, high, 0.0, *hard)
    everywhere = any_bits(max(low, -LARGEST), min(high, LARGEST))
    sampler = mixed(
        [everywhere, everywhere, around(landmarks()), around(ends), listed([*hard, *published(name)]), *draws]
    )
    return Case(
        name,
        where,
        build or getattr(alkahest, name),
        exact or getattr(gmpy2, name),
        screen,
        lambda rng, n: (sampler(rng, n),),
        lambda x: (x >= low) & (x <= high) & (True if keep is None else keep(x)),
    )


def _angles(name: str) -> Case:
    return _of_one(
        name,
        "all doubles",
        -LARGEST,
        LARGEST,
        [
            uniform(-4, 4),
            uniform(-1000, 1000),
            uniform(-(2.0**26), 2.0**26),
            powers(-10, 22, signs=True),
            multiples("pi/2", 2**30),
            multiples("pi/2", 2**62),
            listed(closest_to_multiples()),
            around(closest_to_multiples()),
            around([2.0**30, -(2.0**30), np.pi / 4, np.pi / 2, -np.pi / 4]),
        ],
    )


def _pair() -> list[Case]:
    """Return the cases of sine and cosine where both are computed of one argument."""

    def both(x: Any) -> list[Any]:
        return [alkahest.sin(x), alkahest.cos(x)]

    names = ("sin", "sin beside cos"), ("cos", "cos beside sin")
    return [replace(_angles(alone), name=name, build=both, output=k) for k, (alone, name) in enumerate(names)]


def _inverse(name: str, where: str, low: float, high: float, draws: Sequence[Any]) -> Case:
    return _of_one(name, where, low, high, draws, screen=numpy_screen("arc" + name[1:]))


def _log(name: str) -> Case:
    draws = [uniform(0, 4), beside([1.0]), around([1.0]), powers(-20, 20)]
    return _of_one(name, "x > 0", TINY, LARGEST, draws, hard=(1.0, 2.0**-1022))


def _power(exponent: float) -> Case:
    whole = exponent == int(exponent)
    low = 0.0 if exponent > 0 else TINY
    high = LARGEST
    if abs(exponent) > 1:
        # Beyond these the result overflows; on the other side it is subnormal or zero, which is sampled too.
        border = 2.0 ** (1024 / abs(exponent))
        low, high = (2.0 ** (-1080 / exponent), border) if exponent > 0 else (1 / border, 2.0 ** (1080 / -exponent))
    draws = [uniform(0.01, 4), powers(-4, 4), beside([1.0])]
    if whole:
        draws = [*draws, uniform(-4, -0.01)]
    return _of_one(
        f"x^{exponent:g}",
        "results from overflow to underflow",
        -high if whole else low,
        high,
        draws,
        build=lambda x: x ** (int(exponent) if whole else exponent),
        exact=reference.exact_power(exponent),
        screen=reference.power_screen(exponent),
        keep=(lambda x: np.abs(x) >= low) if whole else None,
    )


def _gamma_family() -> list[Case]:
    poles = tuple(float(-k) for k in range(1, 184))
    library = reference.library_screen
    return [
        _of_one(
            "gamma",
            "-185 < x < 171.63",
            -185.0,
            171.6243769563027,
            [
                uniform(-20, 20),
                uniform(-185, 171.6),
                uniform(0, 3),
                beside(poles[:30]),
                around(poles),
                powers(-308, -1),
            ],
            screen=library("tgammal"),
            keep=lambda x: (x > 0) | (np.floor(x) != x),
        ),
        _of_one(
            "lgamma",
            "x > 0",
            TINY,
            2.55e305,
            [uniform(0, 3), uniform(0, 30), uniform(0, 1000), beside([1.0, 2.0]), around([1.0, 2.0]), powers(-30, 30)],
            exact=reference.exact_lgamma,
            screen=library("lgammal"),
        ),
        _of_one(
            "lgamma, x < 0",
            "-1e15 < x < 0",
            -1e15,
            -TINY,
            [
                uniform(-20, 0),
                uniform(-3, -2),
                uniform(-200, 0),
                beside(poles[:30]),
                around(poles[:60]),
                around(lgamma_zeros()),
                beside(lgamma_zeros()),
            ],
            build=alkahest.lgamma,
            hard=lgamma_zeros(),
            exact=reference.exact_lgamma,
            screen=library("lgammal"),
            keep=lambda x: np.floor(x) != x,
        ),
        _of_one(
            "digamma",
            "x > 0",
            1e-308,
            LARGEST,
            [uniform(0, 3), uniform(1.4, 1.5), uniform(0, 30), around([1.4616321449683622]), powers(-30, 30)],
            screen=reference.digamma_screen,
        ),
        _of_one(
            "digamma, x < 0",
            "-1000 < x < 0",
            -1000.0,
            -1e-307,
            [uniform(-3, 0), uniform(-40, 0), uniform(-1000, 0), beside(poles[:30])],
            build=alkahest.digamma,
            exact=gmpy2.digamma,
            screen=reference.digamma_screen,
            keep=lambda x: np.floor(x) != x,
        ),
    ]


def _polygamma(order: int) -> Case:
    small = 10.0 ** (-307 / (order + 1))
    return _of_one(
        f"polygamma {order}",
        "x > 0",
        small,
        1e300 if order == 1 else 10.0 ** (300 / order),
        [uniform(0, 3), uniform(0, 30), powers(-10, 10)],
        build=lambda x: alkahest.polygamma(order, x),
        exact=reference.exact_polygamma(order),
        screen=reference.polygamma_screen(order),
    )


FINITE = any_bits(-LARGEST, LARGEST)


def _of_two(name: str, where: str, draws: Sequence[Any], keep: Callable[..., Array], screen: Screen | None) -> Case:
    return Case(name, where, getattr(alkahest, name), getattr(gmpy2, name), screen, mixed_pairs(draws), keep, 2)


def _plane(name: str, screen: Screen) -> Case:
    pythagorean = np.array([[2.0 * a * b, a * a - b * b] for a in range(2, 60) for b in range(1, a)]).T
    limit = LARGEST if name == "atan2" else LARGEST / 1.5

    def triples(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        k = rng.integers(0, pythagorean.shape[1], n // 100)
        scale = 2.0 ** rng.integers(-1000, 1000, n // 100)
        return pythagorean[0][k] * scale, pythagorean[1][k] * scale

    draws = [
        pairs(uniform(-2, 2), uniform(-2, 2)),
        pairs(FINITE, FINITE),
        pairs(powers(-20, 20, signs=True), powers(-20, 20, signs=True)),
        pairs(uniform(0.99, 1.01), uniform(0.99, 1.01)),
        of_one_size(FINITE, 1.0),
        of_one_size(FINITE, 17.0),
        pairs(around([1.0, -1.0, 0.4142135623730951, 2.414213562373095]), listed([1.0])),
        pairs(any_bits(-1e-300, 1e-300), any_bits(-1e-300, 1e-300)),
        pairs(any_bits(1e290, LARGEST), any_bits(1e290, LARGEST)),
        triples,
    ]
    return _of_two(name, "all doubles", draws, lambda x, y: (np.abs(x) <= limit) & (np.abs(y) <= limit), screen)


def _general_power() -> Case:
    borders = (1024.0, -1022.0, -1074.0, -1075.0)
    integers = lambda rng, n: rng.integers(-40, 40, n).astype(np.float64)  # noqa: E731
    positive = any_bits(TINY, LARGEST)
    draws = [
        pairs(uniform(0, 10), uniform(-10, 10)),
        pairs(uniform(0.5, 2), uniform(-700, 700)),
        pairs(beside([1.0]), powers(0, 18, signs=True)),
        pairs(positive, uniform(-1.05, 1.05)),
        pairs(positive, powers(-20, 3, signs=True)),
        pairs(any_bits(TINY, 1e-305), uniform(-1.02, 1.02)),
        pairs(uniform(-10, 10), integers),
        pairs(uniform(0, 4), listed([0.5, -0.5, 1.5, 1 / 3, 0.1, 0.25, 3.0, -1.0, 2.0])),
        with_power(positive, borders),
        with_power(beside([1.0]), borders),
        with_power(uniform(0, 20), borders),
        pairs(around([1.0, 0.7071067811865476, 1.4142135623730951, 2.0]), uniform(-20, 20)),
    ]

    def keep(x: Array, y: Array) -> Array:
        size = np.abs(y * np.log2(np.abs(x)))
        return np.isfinite(x) & np.isfinite(y) & (size < 1090) & ((x > 0) | (np.rint(y) == y))

    return Case(
        *("pow", "results from overflow to underflow", lambda x, y: x**y, lambda x, y: x**y),
        *(numpy_screen("power"), mixed_pairs(draws), keep, 2),
    )


def _division_rest(name: str, screen: Screen | None) -> Case:
    draws = [
        pairs(uniform(-100, 100), uniform(-5, 5)),
        of_one_size(FINITE, 3.0),
        of_one_size(FINITE, 30.0),
        pairs(FINITE, FINITE),
        pairs(around(landmarks()), listed([0.1, 0.25, 1.0, 3.0, 1e-300])),
        pairs(any_bits(-1e-300, 1e-300), any_bits(-1e-300, 1e-300)),
    ]
    return _of_two(name, "all doubles, y ≠ 0", draws, lambda x, y: np.isfinite(x) & np.isfinite(y) & (y != 0), screen)


EXPONENTS = (2.0, 3.0, 4.0, 7.0, 20.0, 64.0, -1.0, -2.0, -3.0, -7.0, 0.5, -0.5, 1.5, -1.5, 2.5, 1.7)


def cases() -> dict[str, Case]:
    """Return every row of the report by its name."""
    library = reference.library_screen
    small = [uniform(-1, 1), uniform(-3, 3), powers(-20, 0, signs=True)]
    one = uniform(-1, 1), powers(-20, 0, signs=True), around([0.5, -0.5, 1.0, -1.0]), beside([1.0, -1.0, 0.5])
    found = [
        _of_one(
            "exp",
            "-746 ≤ x ≤ 709.79",
            -746,
            709.79,
            [*small, uniform(-708, 709.8), uniform(-746, -707)],
            hard=(709.782712893384, -745.1332191019412, -708.3964185322641),
        ),
        _of_one(
            "expm1",
            "x ≤ 709.79",
            -LARGEST,
            709.79,
            [*small, uniform(-50, 709.8)],
            hard=(709.782712893384, -37.42994775023705),
        ),
        _log("log"),
        _of_one(
            "log1p",
            "x > -1",
            -BELOW_ONE,
            LARGEST,
            [*small, uniform(-1, 4), beside([-1.0]), around([-1.0]), powers(-20, 20)],
        ),
        _log("log2"),
        _log("log10"),
        *[_angles(name) for name in ("sin", "cos", "tan")],
        *_pair(),
        *[_inverse(name, "-1 ≤ x ≤ 1", -1.0, 1.0, one) for name in ("asin", "acos")],
        _inverse("atan", "all doubles", -LARGEST, LARGEST, [uniform(-3, 3), powers(-20, 20, signs=True)]),
        _plane("atan2", numpy_screen("arctan2")),
        *[
            _of_one(
                name,
                "-710.48 ≤ x ≤ 710.48",
                -710.48,
                710.48,
                [*small, uniform(-710.48, 710.48), uniform(708, 710.48)],
                hard=(710.4758600739439, -710.4758600739439),
            )
            for name in ("sinh", "cosh")
        ],
        _of_one("tanh", "all doubles", -LARGEST, LARGEST, [*small, uniform(-25, 25)], hard=(22.0, 19.06154746539849)),
        _inverse("asinh", "all doubles", -LARGEST, LARGEST, [*small, powers(-20, 20, signs=True)]),
        _inverse("acosh", "x ≥ 1", 1.0, LARGEST, [uniform(1, 4), beside([1.0]), around([1.0]), powers(0, 20)]),
        _inverse("atanh", "-1 < x < 1", -BELOW_ONE, BELOW_ONE, one),
        _general_power(),
        *[_power(exponent) for exponent in EXPONENTS],
        _of_one(
            "sqrt", "x ≥ 0", 0.0, LARGEST, [uniform(0, 4), beside([1.0])], screen=reference.processor_screen(np.sqrt)
        ),
        _of_one("cbrt", "all doubles", -LARGEST, LARGEST, [uniform(-8, 8), beside([1.0, -1.0])]),
        _plane("hypot", numpy_screen("hypot")),
        _of_one(
            "erf",
            "all doubles",
            -LARGEST,
            LARGEST,
            [*small, uniform(-6.5, 6.5)],
            screen=library("erfl"),
            hard=(5.9215871957945083,),
        ),
        _of_one(
            "erfc",
            "x ≤ 27.3",
            -LARGEST,
            27.3,
            [*small, uniform(-6.5, 27.3), uniform(25.5, 27.3)],
            screen=library("erfcl"),
            hard=(26.543258454250983,),
        ),
        *_gamma_family(),
        *[_polygamma(order) for order in (1, 2, 3, 12, 30)],
        _division_rest("fmod", library("fmodl", 2)),
        _division_rest("remainder", library("remainderl", 2)),
    ]
    return {case.name: case for case in found}
