"""Write `coefficients.py`: run `python generate_coefficients.py` beside it, with mpmath installed.

Each polynomial interpolates its function at Chebyshev nodes, which is within a small factor of the best possible
(L. N. Trefethen, "Approximation Theory and Approximation Practice", SIAM 2013, chapters 4 and 16), in 60 digits, and
is rounded to doubles. Where the constant term is known it is fixed first, so that small arguments lose nothing, and
the others are fitted to what it leaves. Nothing imports this file at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpmath import MPContext

mp: Any = MPContext()  # of its own, so that nobody else's precision changes; its functions have no declared types
mp.dps = 60
mpf = mp.mpf
Function = Callable[[Any], Any]


@dataclass
class Fit:
    """A polynomial of `n` coefficients for `g` on [low, high]; `in_square` means in the square of g's argument."""

    name: str
    meaning: str
    g: Function
    low: Any
    high: Any
    n: int
    first: Any = None
    in_square: bool = False

    def coefficients(self) -> list[float]:
        """Return the coefficients, the constant term first."""
        low, high = self.interval()
        if self.first is None:
            return [float(c) for c in interpolate(self.target, chebyshev_nodes(low, high, self.n))]
        c0 = float(self.first)
        # The interval is stretched so that the lowest node falls on zero, where fixing c0 puts one.
        cosine = mp.cos(mp.pi / (2 * self.n))
        nodes = chebyshev_nodes(high * (cosine - 1) / (cosine + 1), high, self.n)[:-1]
        rest = interpolate(lambda x: (self.target(x) - mpf(c0)) / x, nodes)
        return [c0, *[float(c) for c in rest]]

    def target(self, x: Any) -> Any:
        """Return the function that the polynomial stands for."""
        return self.g(mp.sqrt(x)) if self.in_square else self.g(x)

    def interval(self) -> tuple[Any, Any]:
        """Return where it is fitted; squares start just above zero, where quotients are still defined."""
        return (mpf(10) ** -14, mpf(self.high) ** 2) if self.in_square else (mpf(self.low), mpf(self.high))

    def error(self) -> Any:
        """Return the largest absolute error on a grid."""
        a, b = self.interval()
        rounded = self.coefficients()
        grid = [a + (b - a) * (mpf(i) + mpf("0.3")) / 200 for i in range(200)]
        return max(abs(sum(c * x**j for j, c in enumerate(rounded)) - self.target(x)) for x in grid)


def chebyshev_nodes(a: Any, b: Any, n: int) -> list[Any]:
    """Return the `n` Chebyshev nodes of [a, b], from the highest down."""
    nodes = [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    return [x if abs(x) > mpf(10) ** -12 else mpf(10) ** -12 for x in nodes]  # quotients are undefined at zero


def interpolate(g: Function, nodes: list[Any]) -> list[Any]:
    """Return the coefficients of the polynomial through `g` at the nodes."""
    matrix = mp.matrix(len(nodes), len(nodes))
    for i, x in enumerate(nodes):
        for j in range(len(nodes)):
            matrix[i, j] = x**j
    return list(mp.lu_solve(matrix, mp.matrix([g(x) for x in nodes])))


def pieces(value: Any, n: int, bits: int = 53) -> list[float]:
    """Return `value` as an unevaluated sum of `n` doubles; all but the last have at most `bits` significant bits."""
    out: list[float] = []
    for k in range(n):
        kept = 53 if k == n - 1 else bits
        _, exponent = mp.frexp(value)
        scale = mpf(2) ** (kept - exponent)
        out.append(float(mp.nint(value * scale) / scale))
        value -= mpf(out[-1])
    return out


def even_fit(name: str, meaning: str, g: Function, high: Any, n: int, first: Any) -> Fit:
    """Return a fit in the square of the argument, which runs from 0 to `high`."""
    return Fit(name, meaning, g, 0, high, n, first, in_square=True)


EDGE = mpf("1.001")  # intervals are a little wider than the reduced arguments
R = mp.log(2) / 2 * EDGE
Q = mp.pi / 4 * EDGE
S = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * EDGE
T = mp.tan(mp.pi / 8) * EDGE
ROOT = mp.findroot(mp.digamma, mpf("1.4616"))

FITS = [
    Fit("EXP", "(exp r - 1 - r) / r^2, |r| <= ln(2)/2", lambda r: (mp.exp(r) - 1 - r) / r**2, -R, R, 10),
    Fit("EXPM1", "the same with a smaller error", lambda r: (mp.exp(r) - 1 - r) / r**2, -R, R, 11),
    even_fit("COSH", "(cosh r - 1 - r^2/2) / r^4", lambda r: (mp.cosh(r) - 1 - r * r / 2) / r**4, R, 5, mpf(1) / 24),
    even_fit("SINH", "(sinh r - r) / r^3", lambda r: (mp.sinh(r) - r) / r**3, R, 5, mpf(1) / 6),
    even_fit("SIN", "(sin r - r) / r^3", lambda r: (mp.sin(r) - r) / r**3, Q, 6, mpf(-1) / 6),
    even_fit("SIN_WIDE", "(sin r - r) / r^3", lambda r: (mp.sin(r) - r) / r**3, 2 * Q, 8, mpf(-1) / 6),
    even_fit("COS", "(cos r - 1 + r^2/2) / r^4", lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4, Q, 6, mpf(1) / 24),
    even_fit("LOG", "(2 atanh s - 2 s) / s^3", lambda s: (2 * mp.atanh(s) - 2 * s) / s**3, S, 7, mpf(2) / 3),
    even_fit(
        "LOG_TAIL",
        "(2 atanh s - 2 s - 2/3 s^3) / s^5",
        lambda s: (2 * mp.atanh(s) - 2 * s - 2 * s**3 / 3) / s**5,
        S,
        8,
        mpf(2) / 5,
    ),
    even_fit("ATAN", "(atan t - t) / t^3", lambda t: (mp.atan(t) - t) / t**3, T, 11, mpf(-1) / 3),
    even_fit("ASIN", "(asin s - s) / s^3", lambda s: (mp.asin(s) - s) / s**3, mpf("0.5001"), 13, mpf(1) / 6),
    Fit("INVERSE_CBRT", "m^(-1/3)", lambda m: m ** (mpf(-1) / 3), mpf("0.5"), mpf(4), 7),
    Fit(
        "DIGAMMA",
        "digamma(1.5 + t) / (1.5 + t - root)",
        lambda t: mp.digamma(mpf("1.5") + t) / (mpf("1.5") + t - ROOT),
        mpf("-0.5001"),
        mpf("0.5001"),
        21,
    ),
]

CONSTANTS: list[tuple[str, str, Any, int, int]] = [
    ("PI", "pi", mp.pi, 3, 53),
    ("HALF_PI", "pi / 2", mp.pi / 2, 3, 53),
    ("QUARTER_PI", "pi / 4", mp.pi / 4, 2, 53),
    ("THREE_QUARTERS_PI", "3 pi / 4", 3 * mp.pi / 4, 2, 53),
    ("LN2", "ln 2 (multiples of the first piece by exponents are exact)", mp.log(2), 2, 33),
    ("LOG10_2", "log10 2 (multiples of the first piece by exponents are exact)", mp.log10(2), 2, 33),
    ("LOG2_E", "log2 e", 1 / mp.log(2), 2, 53),
    ("LOG10_E", "log10 e", mp.log10(mp.e), 2, 53),
    ("TWO_THIRDS", "2 / 3", mpf(2) / 3, 2, 53),
    ("DIGAMMA_ROOT", "the positive root of digamma", ROOT, 2, 53),
]
TWO_OVER_PI_WORDS = 20


def two_over_pi_words() -> list[int]:
    """Return the bits of 2/pi after the binary point, 64 a word."""
    with mp.workprec(64 * TWO_OVER_PI_WORDS + 64):
        whole = int(mp.floor(2 / mp.pi * mpf(2) ** (64 * TWO_OVER_PI_WORDS)))
    return [(whole >> (64 * (TWO_OVER_PI_WORDS - 1 - k))) & ((1 << 64) - 1) for k in range(TWO_OVER_PI_WORDS)]


def main() -> None:
    """Write the data module next to this script."""
    lines = [
        '"""Coefficients and constants; written by generate_coefficients.py, which tells how. Do not edit."""',
        "",
    ]
    for name, meaning, value, n, bits in CONSTANTS:
        listed = ", ".join(repr(p) for p in pieces(value, n, bits))
        lines += [f"# {meaning}, as an unevaluated sum", f"{name} = ({listed})"]
    lines.append("")
    for fit in FITS:
        lines += [
            f"# {fit.meaning}{' in the square' if fit.in_square else ''}; argument up to {mp.nstr(fit.high, 4)}, "
            f"absolute error {mp.nstr(fit.error(), 2)}",
            f"{fit.name} = (",
        ]
        lines += [f"    {c!r}," for c in fit.coefficients()] + [")"]
    lines += [
        "",
        "# Bits of 2/pi after the binary point, 64 a word, most significant first",
        "TWO_OVER_PI = (",
    ]
    lines += [f"    0x{w:016X}," for w in two_over_pi_words()] + [")", ""]
    Path(__file__).with_name("coefficients.py").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
