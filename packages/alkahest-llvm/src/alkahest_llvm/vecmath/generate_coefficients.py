"""Write `coefficients.py`: run `python generate_coefficients.py` beside it, with mpmath installed.

How polynomials are fitted stands in `generate_special_coefficients.py`: least largest weighted error, coefficients
rounded one after another. The weights make it a relative error of the function that the polynomial serves. Nothing
imports this file at run time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alkahest_llvm.vecmath.generate_special_coefficients import Fit, Function, mp, mpf

EDGE = mpf("1.0003")  # intervals are a little wider than the reduced arguments
R = mp.log(2) / 2 * EDGE
Q = mp.pi / 4 * EDGE
S = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * EDGE
ROOT = mp.findroot(mp.digamma, mpf("1.4616"))
NEAR = mpf("0.951")  # up to here tanh has a quotient of polynomials of its own


def in_square(name: str, meaning: str, g: Function, high: Any, n: int, relative_to: Function) -> Fit:
    """Return a fit of g(x) in the square of x, 0 <= x <= high; `relative_to(x)` turns its error into a relative one."""
    meaning = f"{meaning} in the square of the argument, which goes up to {mp.nstr(high, 4)}"
    square = mpf(high) ** 2
    return Fit(name, meaning, lambda u: g(mp.sqrt(u)), 0, square, n, lambda u: relative_to(mp.sqrt(u)), n - 1)


def odd(name: str, function: Function, high: Any, n: int) -> Fit:
    """Return a fit of (f(x) - x) / x^3."""
    label = name.split("_")[0].lower()
    return in_square(
        name, f"({label} x - x) / x^3", lambda x: (function(x) - x) / x**3, high, n, lambda x: x**3 / function(x)
    )


def tanh_quotient() -> list[Fit]:
    """Return fits of p and q, where tanh x = x + x^3 p(x^2) / q(x^2) and p(0) = -1/4.

    Interpolation at Chebyshev nodes gives q (4 coefficients), which is rounded; p is fitted to what that asks for.
    """
    high, n_top, n_bottom = NEAR**2, 4, 3
    nodes = [high / 2 * (1 + mp.cos(mp.pi * (2 * i + 1) / (2 * (n_top + n_bottom)))) for i in range(n_top + n_bottom)]

    def g(u: Any) -> Any:
        x = mp.sqrt(u)
        return (mp.tanh(x) - x) / x**3

    matrix = mp.matrix([[u**j for j in range(n_top)] + [-g(u) * u ** (j + 1) for j in range(n_bottom)] for u in nodes])
    solution = mp.lu_solve(matrix, mp.matrix([g(u) for u in nodes]))
    bottom = [mpf(float(c * 3 / 4)) for c in [mpf(1), *solution[n_top:]]]

    def q(u: Any) -> Any:
        return mp.polyval(bottom[::-1], u)

    def relative(x: Any) -> Any:
        return x**3 / q(x * x) / mp.tanh(x)

    top = in_square("TANH_TOP", "p: q (tanh x - x) / x^3", lambda x: q(x * x) * g(x * x), NEAR, n_top, relative)
    return [top, in_square("TANH_BOTTOM", "q: a quarter of 3 + …", lambda x: q(x * x), NEAR, n_bottom + 1, abs)]


FITS = [
    Fit(
        "EXP",
        "(exp r - 1 - r) / r^2, |r| <= ln(2)/2",
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        -R,
        R,
        10,
        lambda r: r**2 / mp.exp(r),
        9,
    ),
    Fit(
        "EXPM1",
        "the same, relative to exp r - 1",
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        -R,
        R,
        11,
        lambda r: abs(r**2 / mp.expm1(r)),
        10,
    ),
    in_square(
        "COSH", "(cosh r - 1 - r^2/2) / r^4", lambda r: (mp.cosh(r) - 1 - r * r / 2) / r**4, R, 4, lambda r: r**4
    ),
    odd("SINH", mp.sinh, R, 5),
    odd("SIN", mp.sin, Q, 6),
    in_square(
        "SIN_WIDE",
        "(sin r / r - 1 + r^2/8) / r^2",
        lambda r: (mp.sin(r) / r - 1 + r * r / 8) / r**2,
        2 * Q,
        8,
        lambda r: r**3 / mp.sin(r),
    ),
    in_square(
        "SIN_ROUGH",
        "the same, but closest near pi/2,",
        lambda r: (mp.sin(r) / r - 1 + r * r / 8) / r**2,
        mp.pi / 2 * mpf("1.00001"),
        7,
        lambda r: r**3 / mp.sin(r) * (1 + 8 * mp.exp(250 * (r * r - mp.pi**2 / 4))),
    ),
    in_square(
        "COS",
        "(cos r - 1 + r^2/2) / r^4",
        lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4,
        Q,
        6,
        lambda r: r**4 / mp.cos(r),
    ),
    in_square(
        "TAN",
        "(tan r / r - 1 - r^2/4) / r^2",
        lambda r: (mp.tan(r) / r - 1 - r * r / 4) / r**2,
        Q,
        15,
        lambda r: r**3 / mp.tan(r),
    ),
    in_square(
        "LOG",
        "(2 atanh s - 2 s) / s^3",
        lambda s: (2 * mp.atanh(s) - 2 * s) / s**3,
        S,
        7,
        lambda s: s**3 / (2 * mp.atanh(s)),
    ),
    in_square(
        "LOG_TAIL",
        "(2 atanh s - 2 s - 2/3 s^3) / s^5",
        lambda s: (2 * mp.atanh(s) - 2 * s - 2 * s**3 / 3) / s**5,
        S,
        8,
        lambda s: s**5 / (2 * mp.atanh(s)),
    ),
    odd("ATAN", mp.atan, mpf("0.6401"), 14),
    odd("ASIN", mp.asin, mpf("0.50001"), 12),
    *tanh_quotient(),
    Fit(
        "INVERSE_CBRT",
        "m^(-1/3), 1/2 <= m <= 4",
        lambda m: m ** (mpf(-1) / 3),
        mpf("0.5"),
        mpf(4),
        7,
        lambda m: m ** (mpf(1) / 3),
    ),
    Fit(
        "DIGAMMA",
        "digamma(1.5 + t) / (1.5 + t - root), |t| <= 1/2",
        lambda t: mp.digamma(mpf("1.5") + t) / (mpf("1.5") + t - ROOT),
        mpf("-0.5001"),
        mpf("0.5001"),
        21,
    ),
]

LOGARITHM_BITS = [33, 53]  # the product of the first piece and an exponent is exact

# name, meaning, value, significant bits of the pieces
CONSTANTS: list[tuple[str, str, Any, list[int]]] = [
    ("PI", "pi", mp.pi, [53, 53, 53]),
    ("HALF_PI", "pi / 2", mp.pi / 2, [53, 53, 53]),
    ("HALF_PI_EXACT", "pi / 2, the second piece times an integer of 26 bits is exact", mp.pi / 2, [53, 27, 53]),
    ("QUARTER_PI", "pi / 4", mp.pi / 4, [53, 53]),
    ("THREE_QUARTERS_PI", "3 pi / 4", 3 * mp.pi / 4, [53, 53]),
    ("LN2", "ln 2, the first piece times an exponent is exact", mp.log(2), LOGARITHM_BITS),
    ("LOG10_2", "log10 2, the first piece times an exponent is exact", mp.log10(2), LOGARITHM_BITS),
    ("LOG2_E", "log2 e", 1 / mp.log(2), [53, 53]),
    ("LOG10_E", "log10 e", mp.log10(mp.e), [53, 53]),
    ("TWO_THIRDS", "2 / 3", mpf(2) / 3, [53, 53]),
    ("DIGAMMA_ROOT", "the positive root of digamma", ROOT, [53, 53]),
]
TWO_OVER_PI_WORDS = 20


def pieces(value: Any, bits: list[int]) -> list[float]:
    """Return `value` as an unevaluated sum of doubles that have so many significant bits, all of its sign."""
    out: list[float] = []
    for kept in bits[:-1]:
        unit = mpf(2) ** (mp.frexp(value)[1] - kept)
        out.append(float(mp.floor(value / unit) * unit))
        value -= mpf(out[-1])
    return [*out, float(value)]


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
    for name, meaning, value, bits in CONSTANTS:
        lines += [f"# {meaning}, as an unevaluated sum", f"{name} = ({', '.join(map(repr, pieces(value, bits)))})"]
    lines.append("")
    for fit in FITS:
        found = fit.coefficients()
        lines += [f"# {fit.meaning}; error {mp.nstr(fit.error(found), 2)}", f"{fit.name} = ("]
        lines += [f"    {c!r}," for (c,) in found] + [")"]
    lines += [
        "",
        "# Bits of 2/pi after the binary point, 64 a word, most significant first",
        "TWO_OVER_PI = (",
    ]
    lines += [f"    0x{w:016X}," for w in two_over_pi_words()] + [")", ""]
    Path(__file__).with_name("coefficients.py").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
