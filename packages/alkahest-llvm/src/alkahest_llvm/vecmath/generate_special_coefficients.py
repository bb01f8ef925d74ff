"""Write `special_coefficients.py` and `single/coefficients.py`; mpmath must be installed. Run by hand.

Each polynomial minimises the largest weighted error on a grid, found by exchanging points (E. Ya. Remez 1934; see L. N.
Trefethen, "Approximation Theory and Approximation Practice", SIAM 2013, chapter 10), in 50 digits; the weight is what
turns an error of the polynomial into a relative error of the function that it serves. Leading coefficients are rounded
to doubles one after the other, each time with those after it fitted anew. Nothing imports this file at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpmath import MPContext

from alkahest_llvm.emitting.builder import round_to_single

mp: Any = MPContext()  # of its own, so that nobody else's precision changes; its functions have no declared types
mp.dps = 50
mpf = mp.mpf
Function = Callable[[Any], Any]
POINTS_PER_COEFFICIENT = 16


def one(_: Any) -> Any:
    """Return 1, the weight of what is wanted to an absolute error."""
    return mpf(1)


@dataclass
class Fit:
    """A polynomial of `n` coefficients for `g` on [low, high], the first `rounded` of which are rounded in turn.

    With `twofold` the constant term becomes a sum of two doubles, `NAME_FIRST`; `single` means floats.
    """

    name: str
    meaning: str
    g: Function
    low: Any
    high: Any
    n: int
    weight: Function = one
    rounded: int = 1
    twofold: bool = False
    single: bool = False

    def __post_init__(self) -> None:
        a, b, count = mpf(self.low), mpf(self.high), POINTS_PER_COEFFICIENT * self.n
        self.xs = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * mpf(i) / (count - 1)) for i in range(count)]
        self.xs = [x for x in self.xs if abs(x) > max(abs(a), abs(b)) / 1000]  # quotients by x are taken
        self.values = [self.g(x) for x in self.xs]
        self.weights = [self.weight(x) for x in self.xs]

    def coefficients(self) -> list[tuple[float, ...]]:
        """Return the coefficients, the constant term first, each as a sum of doubles."""
        done: list[tuple[float, ...]] = []
        left, weights = self.values, self.weights
        for _ in range(self.rounded):
            c = minimax(self.xs, left, weights, self.n - len(done))[0]
            kept = pieces(c, 2 if self.twofold and not done else 1, single=self.single)
            done.append(kept)
            left = [(v - sum(map(mpf, kept))) / x for v, x in zip(left, self.xs, strict=True)]
            weights = [w * abs(x) for w, x in zip(weights, self.xs, strict=True)]
        rest = minimax(self.xs, left, weights, self.n - len(done))
        return [*done, *[pieces(c, 1, single=self.single) for c in rest]]

    def error(self, coefficients: list[tuple[float, ...]]) -> Any:
        """Return the largest weighted error of the rounded polynomial on the grid."""
        exact = [sum(map(mpf, c)) for c in reversed(coefficients)]
        pairs = zip(self.xs, self.values, self.weights, strict=True)
        return max(abs(w * (mp.polyval(exact, x) - v)) for x, v, w in pairs)


def minimax(xs: list[Any], values: list[Any], weights: list[Any], n: int) -> list[Any]:
    """Return the `n` coefficients of least weighted error on the grid, to about one part in a hundred."""
    last = len(xs) - 1
    reference = [round(last * i / n) for i in range(n + 1)]
    coefficients: list[Any] = []
    for _ in range(30):
        coefficients, level = levelled(xs, values, weights, reference)
        reversed_ = coefficients[::-1]
        errors = [w * (mp.polyval(reversed_, x) - v) for x, v, w in zip(xs, values, weights, strict=True)]
        if max(abs(e) for e in errors) <= level * mpf("1.01"):
            break
        found = alternating(errors, n + 1)
        if len(found) <= n:
            break
        reference = found
    return coefficients


def levelled(xs: list[Any], values: list[Any], weights: list[Any], reference: list[int]) -> tuple[list[Any], Any]:
    """Return the coefficients whose weighted errors at the reference are equal and alternate, and that error."""
    n = len(reference) - 1
    matrix, right = mp.matrix(n + 1, n + 1), mp.matrix(n + 1, 1)
    for row, i in enumerate(reference):
        for j in range(n):
            matrix[row, j] = xs[i] ** j
        matrix[row, n] = (-1) ** row / weights[i]
        right[row] = values[i]
    solution = list(mp.lu_solve(matrix, right))
    return solution[:n], abs(solution[n])


def alternating(errors: list[Any], wanted: int) -> list[int]:
    """Return the places of the largest errors of each sign in turn, `wanted` of them where there are as many."""
    places: list[int] = []
    for i, e in enumerate(errors):
        if places and (errors[places[-1]] > 0) == (e > 0):
            places[-1] = i if abs(e) > abs(errors[places[-1]]) else places[-1]
        else:
            places.append(i)
    while len(places) > wanted:
        smallest = min(range(len(places)), key=lambda k: abs(errors[places[k]]))
        if 0 < smallest < len(places) - 1 and len(places) >= wanted + 2:
            neighbour = min(smallest - 1, smallest + 1, key=lambda k: abs(errors[places[k]]))
            del places[min(smallest, neighbour) : max(smallest, neighbour) + 1]
        elif abs(errors[places[0]]) < abs(errors[places[-1]]):
            del places[0]
        else:
            del places[-1]
    return places


def pieces(value: Any, n: int, *, single: bool = False, bits: int = 0) -> tuple[float, ...]:
    """Return `value` as an unevaluated sum of `n` doubles or floats, the first of `bits` bits if that is given."""
    out: list[float] = []
    for _ in range(n):
        kept = value
        if bits and not out:
            unit = mpf(2) ** (mp.frexp(value)[1] - bits)
            kept = mp.nint(value / unit) * unit
        out.append(round_to_single(float(kept)) if single else float(kept))
        value -= mpf(out[-1])
    return tuple(out)


# The error functions

ERFC_CENTRE, ERFC_SLOPE = 4, mpf("1.125")


def erf_tail_weight(x: Any) -> Any:
    """Return the relative change of erf x by a change of log2(erfc x) / x."""
    return mp.erfc(x) / mp.erf(x) * mp.log(2) * x


def scaled_erfc(t: Any) -> Any:
    """Return (1 + 9/8 x) exp(x^2) erfc x, where t = (x - 4) / (x + 4)."""
    x = ERFC_CENTRE * (1 + t) / (1 - t)
    return (1 + ERFC_SLOPE * x) * mp.exp(x * x) * mp.erfc(x)


# The gamma function

STIRLING_FROM = 8


def over_argument(g: Function) -> Function:
    """Return g(2 + v) / v as a function of v."""
    return lambda v: g(2 + v) / v


def stirling(z: Any) -> Any:
    """Return x (log gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2), where z = 1 / x^2."""
    x = 1 / mp.sqrt(z)
    with mp.workdps(2 * mp.dps):
        return x * (mp.loggamma(x) - (x - mpf("0.5")) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


FITS = [
    Fit(
        "ERF",
        "erf(x) / x - 1 in the square of x, |x| <= 27/32",
        lambda u: mp.erf(mp.sqrt(u)) / mp.sqrt(u) - 1,
        0,
        mpf(27) ** 2 / 32**2,
        11,
        lambda u: mp.sqrt(u) / mp.erf(mp.sqrt(u)),
        2,
    ),
    Fit(
        "ERF_TAIL",
        "log2(erfc x) / x, 27/32 <= x <= 6",
        lambda x: mp.log(mp.erfc(x), 2) / x,
        mpf(27) / 32,
        6,
        19,
        erf_tail_weight,
        6,
    ),
    Fit("EXP2", "2^r, |r| <= 1/2", lambda r: mpf(2) ** r, mpf("-0.5"), mpf("0.5"), 12),
    Fit(
        "ERFC",
        "(1 + 9/8 x) exp(x^2) erfc x, 0 <= x <= 27.5, in t = (x - 4) / (x + 4)",
        scaled_erfc,
        -1,
        (mpf("27.5") - ERFC_CENTRE) / (mpf("27.5") + ERFC_CENTRE),
        24,
        lambda t: 1 / scaled_erfc(t),
        2,
        twofold=True,
    ),
    Fit(
        "GAMMA",
        "(gamma(2 + v) - 1) / v, |v| <= 1/2",
        over_argument(lambda x: mp.gamma(x) - 1),
        mpf("-0.5"),
        mpf("0.5"),
        18,
        lambda v: abs(v) / mp.gamma(2 + v),
        2,
    ),
    Fit(
        "LGAMMA",
        "log(gamma(2 + v)) / v, |v| <= 1/2",
        over_argument(mp.loggamma),
        mpf("-0.5"),
        mpf("0.5"),
        19,
        lambda v: v / mp.loggamma(2 + v),
        2,
        twofold=True,
    ),
    Fit(
        "STIRLING",
        "x (log gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2), x >= 8, in 1 / x^2",
        stirling,
        0,
        mpf(1) / STIRLING_FROM**2,
        7,
    ),
    Fit(
        "DIGAMMA_TAIL",
        "(log x - 1 / (2 x) - digamma(x)) x^2, x >= 8, in 1 / x^2",
        lambda z: (mp.log(z) / -2 - mp.sqrt(z) / 2 - mp.digamma(1 / mp.sqrt(z))) / z,
        0,
        mpf(1) / STIRLING_FROM**2,
        7,
    ),
    Fit(
        "SIN_PI",
        "(sin(pi f) / f - pi) / f^2 in the square of f, |f| <= 1/2",
        lambda u: (mp.sin(mp.pi * mp.sqrt(u)) / mp.sqrt(u) - mp.pi) / u,
        0,
        mpf("0.25"),
        8,
        twofold=True,
    ),
]
# Single precision


def even(name: str, meaning: str, g: Function, high: Any, n: int, relative_to: Function) -> Fit:
    """Return a fit of g(x) in x^2, in floats."""
    return Fit(
        name,
        meaning,
        lambda u: g(mp.sqrt(u)),
        0,
        mpf(high) ** 2,
        n,
        lambda u: relative_to(mp.sqrt(u)),
        n - 1,
        single=True,
    )


def odd(name: str, g: Function, high: Any, n: int) -> Fit:
    """Return a fit of (g(x) - x) / x^3 in x^2, in floats."""
    meaning = f"({name.lower()} x - x) / x^3 in the square of x, |x| <= {mp.nstr(high, 4)}"
    return even(name, meaning, lambda x: (g(x) - x) / x**3, high, n, lambda x: x**3 / g(x))


R = mp.log(2) / 2 * mpf("1.001")
Q = mp.pi / 4 * mpf("1.001")
BELOW, ABOVE = mp.sqrt(mpf(1) / 2) - 1, mp.sqrt(2) - 1

SINGLE_FITS = [
    Fit(
        "EXP",
        "(exp r - 1 - r) / r^2, |r| <= ln(2)/2",
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        -R,
        R,
        5,
        lambda r: r**2 / mp.exp(r),
        4,
        single=True,
    ),
    Fit(
        "LOG",
        "(log(1 + f) - f + f^2 / 2) / f^3, 1 + f between sqrt(1/2) and sqrt 2",
        lambda f: (mp.log(1 + f) - f + f * f / 2) / f**3,
        BELOW,
        ABOVE,
        8,
        lambda f: abs(f**3 / mp.log(1 + f)),
        7,
        single=True,
    ),
    odd("SIN", mp.sin, Q, 3),
    even(
        "COS",
        "(cos r - 1 + r^2 / 2) / r^4 in the square of r, |r| <= pi/4",
        lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4,
        Q,
        3,
        lambda r: r**4,
    ),
    odd("ATAN", mp.atan, mp.tan(mp.pi / 8) * mpf("1.001"), 5),
    odd("TANH", mp.tanh, 1, 8),
    Fit(
        "ERF",
        "erf(x) / x - 1 in the square of x, |x| <= 27/32",
        lambda u: mp.erf(mp.sqrt(u)) / mp.sqrt(u) - 1,
        0,
        mpf(27) ** 2 / 32**2,
        6,
        lambda u: mp.sqrt(u) / mp.erf(mp.sqrt(u)),
        5,
        single=True,
    ),
    Fit(
        "ERF_TAIL",
        "log2(erfc x) / x, 27/32 <= x <= 4",
        lambda x: mp.log(mp.erfc(x), 2) / x,
        mpf(27) / 32,
        mpf("3.95"),
        8,
        erf_tail_weight,
        7,
        single=True,
    ),
    Fit(
        "EXP2_SHORT",
        "2^r, |r| <= 1/2",
        lambda r: mpf(2) ** r,
        mpf("-0.5"),
        mpf("0.5"),
        7,
        rounded=6,
        single=True,
    ),
    Fit(
        "LOG2",
        "log2(1 + f) / f, 1 + f between sqrt(1/2) and sqrt 2; doubles",
        lambda f: mp.log(1 + f, 2) / f,
        BELOW,
        ABOVE,
        14,
        lambda f: abs(f / mp.log(1 + f, 2)),
    ),
    Fit("EXP2", "2^r, |r| <= 1/2; doubles", lambda r: mpf(2) ** r, mpf("-0.5"), mpf("0.5"), 8),
]
SINGLE_CONSTANTS = [
    ("LN2", "ln 2 (multiples of the first piece by exponents are exact)", pieces(mp.log(2), 2, single=True, bits=15)),
    ("LOG2_E", "log2 e", pieces(1 / mp.log(2), 1, single=True)),
    ("HALF_PI", "pi / 2", pieces(mp.pi / 2, 3, single=True)),
    ("QUARTER_PI", "pi / 4", pieces(mp.pi / 4, 2, single=True)),
    ("TWO_OVER_PI", "2 / pi", pieces(2 / mp.pi, 1, single=True)),
]

CONSTANTS: list[tuple[str, str, tuple[float, ...]]] = [
    ("HALF_LOG_TWO_PI", "log(2 pi) / 2", pieces(mp.log(2 * mp.pi) / 2, 2)),
    ("LOG_PI", "log pi", pieces(mp.log(mp.pi), 2)),
]


def written(fits: list[Fit], constants: list[tuple[str, str, tuple[float, ...]]]) -> str:
    """Return the text of a data module."""
    lines = ['"""Coefficients; written by generate_special_coefficients.py, which tells how. Do not edit."""', ""]
    for name, meaning, value in constants:
        lines += [f"# {meaning}, as an unevaluated sum", f"{name} = {value!r}"]
    for fit in fits:
        coefficients = fit.coefficients()
        lines.append(f"# {fit.meaning}; weighted error {mp.nstr(fit.error(coefficients), 2)}")
        if fit.twofold:
            lines.append(f"{fit.name}_FIRST = {coefficients.pop(0)!r}  # the constant term")
        lines += [f"{fit.name} = (", *[f"    {c[0]!r}," for c in coefficients], ")"]
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the data modules."""
    here = Path(__file__).parent
    (here / "special_coefficients.py").write_text(written(FITS, CONSTANTS), encoding="utf-8")
    (here / "single" / "coefficients.py").write_text(written(SINGLE_FITS, SINGLE_CONSTANTS), encoding="utf-8")


if __name__ == "__main__":
    main()
