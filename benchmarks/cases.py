"""What is measured: functions written once as Python text, which every peer runs in its own way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt", "tanh", "atan")


@dataclass(frozen=True)
class Case:
    """A function of several variables: `outputs` are formulas over `variables` and the `steps` before them.

    Inputs are drawn uniformly from `low` to `high`. A `polynomial` is compared with numba and JAX, which turn it into
    machine code as well as anybody; everything else with heyoka first.
    """

    variables: tuple[str, ...]
    outputs: tuple[str, ...]
    low: float
    high: float
    steps: tuple[tuple[str, str], ...] = ()
    polynomial: bool = False

    def source(self, name: str = "f") -> str:
        """Return the function as Python text."""
        lines = [f"def {name}({', '.join(self.variables)}):"]
        lines += [f"    {target} = {formula}" for target, formula in self.steps]
        returned = ", ".join(self.outputs)
        return "\n".join([*lines, f"    return {returned}", ""])

    def function(self, namespace: Any, names: dict[str, str] | None = None) -> Callable[..., Any]:
        """Return the function over a module's sin, cos, …; `names` are those that the module calls otherwise."""
        scope = {f: getattr(namespace, (names or {}).get(f, f)) for f in FUNCTIONS}
        exec(self.source(), scope)
        return scope["f"]

    def nested(self) -> Case:
        """Return a plain polynomial as nested multiplications, as a careful user of a peer writes it."""
        (formula,) = self.outputs if len(self.outputs) == 1 else ("",)
        if formula.count("x**") <= 10 or any(f in formula for f in FUNCTIONS):
            return self
        coefficients = [term.split("*")[0] for term in formula.split(" + ")]
        text = coefficients[-1]
        for c in reversed(coefficients[:-1]):
            text = f"({text})*x+{c}"
        return Case(self.variables, (text,), self.low, self.high, polynomial=True)


def case_of(formula: str | Case, low: float = 0.5, high: float = 1.0) -> Case:
    """Return one formula over x and y as a case."""
    return formula if isinstance(formula, Case) else Case(("x", "y"), (formula,), low, high)


def _polynomial(degree: int) -> str:
    rng = random.Random(0)
    return " + ".join(f"({round(rng.uniform(-1, 1), 6)})*x**{k}" for k in range(degree + 1))


# The third derivative by x of sin(x**2)*exp(cos(y))/(1 + x**2), as SymPy 1.14 prints it.
_D3 = (
    "4*x*(-2*x**2*cos(x**2) - 3*sin(x**2) + 3*(4*x**2/(x**2 + 1) - 1)*cos(x**2)/(x**2 + 1) + "
    "3*(2*x**2*sin(x**2) - cos(x**2))/(x**2 + 1) - 6*(2*x**2/(x**2 + 1) - 1)*sin(x**2)/(x**2 + "
    "1)**2)*exp(cos(y))/(x**2 + 1)"
)


def _jacobian(n: int = 12) -> Case:
    """Return the nonzero Jacobian of F_i = exp(-x_i**2)*sin(x_i*x_k) + log(1 + x_i**2), where k = i + 1."""
    names = tuple([f"x{i}" for i in range(n)])
    steps: list[tuple[str, str]] = []
    outputs: list[str] = []
    for i, x in enumerate(names):
        y = names[(i + 1) % n]
        steps += [(f"e{i}", f"exp(-{x}**2)"), (f"s{i}", f"sin({x}*{y})"), (f"c{i}", f"cos({x}*{y})")]
        outputs += [f"e{i}*({y}*c{i} - 2*{x}*s{i}) + 2*{x}/(1 + {x}**2)", f"e{i}*{x}*c{i}"]
    return Case(names, tuple(outputs), -2, 2, tuple(steps))


def _three_body() -> Case:
    """Return the right-hand side of the planar problem of three bodies, of masses 1, 2 and 3."""
    positions = [f"{c}{k}" for k in (1, 2, 3) for c in "xy"]
    velocities = [f"{c}{k}" for k in (1, 2, 3) for c in "uv"]
    steps = [(f"r{a}{b}", f"((x{b} - x{a})**2 + (y{b} - y{a})**2)**-1.5") for a, b in ((1, 2), (1, 3), (2, 3))]
    pairs = {1: ((2, "12"), (3, "13")), 2: ((1, "12"), (3, "23")), 3: ((1, "13"), (2, "23"))}
    forces = [
        " + ".join(f"{float(other)}*({c}{other} - {c}{k})*r{r}" for other, r in pairs[k])
        for k in (1, 2, 3)
        for c in "xy"
    ]
    return Case((*positions, *velocities), (*velocities, *forces), 0.1, 3, tuple(steps))


def _plain(formula: str, low: float, high: float, *, polynomial: bool = False) -> Case:
    return Case(("x", "y"), (formula,), low, high, polynomial=polynomial)


CASES: dict[str, Case] = {
    "sincos": _plain("sin(x)*cos(x)", -3, 3),
    "x2siny": _plain("x**2+sin(y)", -3, 3),
    "poly20": _plain(_polynomial(20), -1, 1, polynomial=True),
    "mixed": _plain("exp(-x**2/2)*sin(3*x*y)+log(1+x**2*y**2)/sqrt(1+x*y)", 0.1, 2),
    "axpy": _plain("2.5*x+y", -3, 3, polynomial=True),
    "pow": _plain("x**1.5*y**1.7", 0.1, 3),
    "d3": _plain(_D3, -2, 2),
    "tanhmix": _plain("tanh(x*y)+atan(x)*log(1+exp(y))", -3, 3),
    "widesin": _plain("sin(x)*cos(y)", -1e6, 1e6),
    "lorenz": Case(
        ("x", "y", "z"), ("10.0*(y-x)", "x*(28.0-z)-y", "x*y-2.6666666666666665*z"), -20, 20, polynomial=True
    ),
    "threebody": _three_body(),
    "jacobian12": _jacobian(),
}
