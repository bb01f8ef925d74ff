"""What is measured: formulas in Python's syntax over x and y, with the range of both inputs."""

from __future__ import annotations

import random


def _polynomial(degree: int) -> str:
    rng = random.Random(0)
    return " + ".join(f"({round(rng.uniform(-1, 1), 6)})*x**{k}" for k in range(degree + 1))


# The third derivative by x of sin(x**2)*exp(cos(y))/(1 + x**2), as SymPy 1.14 prints it.
_D3 = (
    "4*x*(-2*x**2*cos(x**2) - 3*sin(x**2) + 3*(4*x**2/(x**2 + 1) - 1)*cos(x**2)/(x**2 + 1) + "
    "3*(2*x**2*sin(x**2) - cos(x**2))/(x**2 + 1) - 6*(2*x**2/(x**2 + 1) - 1)*sin(x**2)/(x**2 + "
    "1)**2)*exp(cos(y))/(x**2 + 1)"
)

EXPRESSIONS: dict[str, tuple[str, float, float]] = {
    "sincos": ("sin(x)*cos(x)", -3, 3),
    "x2siny": ("x**2+sin(y)", -3, 3),
    "poly20": (_polynomial(20), -1, 1),
    "mixed": ("exp(-x**2/2)*sin(3*x*y)+log(1+x**2*y**2)/sqrt(1+x*y)", 0.1, 2),
    "axpy": ("2.5*x+y", -3, 3),
    "pow": ("x**1.5*y**1.7", 0.1, 3),
    "d3": (_D3, -2, 2),
    "tanhmix": ("tanh(x*y)+atan(x)*log(1+exp(y))", -3, 3),
    "widesin": ("sin(x)*cos(y)", -1e6, 1e6),
}

FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt", "tanh", "atan")


def horner_text(formula: str) -> str:
    """Return a plain polynomial in x as nested multiplications, as a careful user of a peer writes it."""
    if formula.count("x**") <= 10 or any(f in formula for f in FUNCTIONS):
        return formula
    coefficients = [term.split("*")[0] for term in formula.split(" + ")]
    text = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        text = f"({text})*x+{c}"
    return text
