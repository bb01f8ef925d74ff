"""Write `lgamma_zero_coefficients.py`; mpmath must be installed. Run by hand.

The polynomials are fitted as those of `generate_special_coefficients.py`. Nothing imports this file at run time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alkahest_llvm.vecmath.generate_special_coefficients import Fit, Function, mp, mpf, pieces, written

mp.dps = 70  # next to poles, to which some zeros come as near as 1e-14

FIRST_POLE, LAST_POLE = 3, 16  # next to -17 no double has |lgamma| below 0.2
BESIDE, BESIDE_FROM_8 = mpf("0.063"), mpf("0.126")  # fits hold where |lgamma| is less; the second from the pole -8 on
CENTRE, REACH = mpf("-2.578125"), mpf("0.21875")  # the two zeros above -3 and the stretch between them
TERMS_BETWEEN, TERMS_BESIDE = 32, 15


def log_gamma(x: Any) -> Any:
    """Return log |gamma(x)|."""
    return mp.log(abs(mp.gamma(x)))


def crossing(f: Function, a: Any, b: Any) -> Any:
    """Return where the monotonic f changes its sign between a and b."""
    rising = f(b) > f(a)
    for _ in range(4 * mp.dps):
        middle = (a + b) / 2
        if (f(middle) > 0) == rising:
            b = middle
        else:
            a = middle
    return (a + b) / 2


def level_beside(pole: int, side: int, level: Any) -> Any:
    """Return the distance from -pole, on the side of this sign, where lgamma falls to `level`."""
    return crossing(lambda d: log_gamma(side * d - pole) - level, mpf(1) / mp.factorial(pole) / 8, mpf("0.3"))


def beside_pole(pole: int, side: int) -> tuple[list[float], Any]:
    """Return the zero z next to -pole as three doubles and the coefficients of lgamma(z + t) / t, and their error."""
    level = BESIDE if pole < 8 else BESIDE_FROM_8
    near, at, far = (side * level_beside(pole, side, y) for y in (level, 0, -level))
    zero, unit = at - pole, mpf(2) ** mp.frexp(at)[1]  # t is counted in units of the distance to the pole

    def without_zero(u: Any) -> Any:
        return log_gamma(zero + u * unit) / u

    low, high = sorted(((near - at) / unit, (far - at) / unit))
    fit = Fit("", "", without_zero, low, high, TERMS_BESIDE, lambda u: 1 / without_zero(u), 2, twofold=True)
    coefficients = fit.coefficients()
    scaled = [float(c / unit ** (k + 1)) for k, parts in enumerate(coefficients) for c in parts]
    return [*pieces(zero, 3), *scaled], fit.error(coefficients)


def between_zeros(first: Any, second: Any) -> Fit:
    """Return the fit of lgamma without its two zeros above -3."""

    def without_zeros(s: Any) -> Any:
        x = CENTRE + s
        return log_gamma(x) / ((x - first) * (x - second))

    return Fit(
        "BETWEEN",
        "lgamma(x) / ((x - first zero) (x - second zero)), |x - centre| <= 7/32, in x - centre",
        without_zeros,
        -REACH,
        REACH,
        TERMS_BETWEEN,
        lambda s: 1 / without_zeros(s),
        3,
        twofold=True,
    )


def table() -> str:
    """Return the text of the table of zeros beside poles."""
    places = [(pole, side) for pole in range(FIRST_POLE, LAST_POLE + 1) for side in (1, -1)]
    rows, errors = zip(*[beside_pole(*place) for place in places[1:]], strict=True)  # the first is above -3
    lines = [
        f"# Zeros z below -3, on both sides of each pole down to -{LAST_POLE}, as sums of three doubles, and the",
        f"# coefficients of lgamma(z + t) / t, the first a sum of two; weighted error {mp.nstr(max(errors), 2)}",
        "BESIDE = (",
    ]
    for row in rows:
        groups = [row[k : k + 4] for k in range(0, len(row), 4)]
        lines += ["    (", *[f"        *({', '.join(map(repr, group))})," for group in groups], "    ),"]
    return "\n".join([*lines, ")", ""]).replace("e+", "e")


def main() -> None:
    """Write the data module."""
    first = crossing(log_gamma, mpf("-2.6"), mpf("-2.3"))
    second = crossing(log_gamma, mpf("-2.9"), mpf("-2.65"))
    constants = [
        ("CENTRE", "the middle of the stretch with the first two zeros", pieces(CENTRE, 1)),
        ("FIRST_ZERO", "the zero of lgamma that is largest on the negative axis", pieces(first, 3)),
        ("SECOND_ZERO", "the next zero", pieces(second, 3)),
    ]
    text = written([between_zeros(first, second)], constants) + table()
    text = text.replace("generate_special_coefficients.py", Path(__file__).name)
    (Path(__file__).parent / "lgamma_zero_coefficients.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
