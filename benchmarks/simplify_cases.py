"""What `simplify` is asked for: expressions with the form that is wanted, and expressions of any size."""

from __future__ import annotations

import random
from typing import Any, NamedTuple


class Case(NamedTuple):
    """An expression as text, the symbols that are positive, and the forms that are as good as one can wish."""

    name: str
    text: str
    positive: str
    wanted: tuple[str, ...]


_MONOMIALS = " + ".join(f"{(i * 7) % 13 + 1}*x^{i % 20 + 1}*y^{i // 20}" for i in range(200))

CASES = (
    Case("pyth", "sin(x)^2 + cos(x)^2", "", ("1",)),
    Case("pyth_scaled", "3*y*sin(x*z)^2 + 3*y*cos(x*z)^2 + 1", "", ("3*y + 1",)),
    Case("explog", "exp(log(x))", "x", ("x",)),
    Case("logexp", "log(exp(x))", "", ("x",)),
    Case("cancel", "(x + 1)^2 - (x^2 + 2*x + 1)", "", ("0",)),
    Case("xoverx", "x/x", "", ("1",)),
    Case("ratio", "(x^2 - 1)/(x - 1)", "", ("x + 1",)),
    Case("deriv", "2*x*1 + 0", "", ("2*x",)),
    Case("dsinx2", "cos(x^2)*2*x*1 + 0*sin(x)", "", ("2*x*cos(x^2)",)),
    Case("dprod", "exp(x)*sin(x) + exp(x)*cos(x)*1", "", ("exp(x)*(sin(x) + cos(x))",)),
    Case("tanh", "(exp(x) - exp(-x))/(exp(x) + exp(-x))", "", ("tanh(x)",)),
    Case("tanh2", "sinh(x)/cosh(x)", "", ("tanh(x)",)),
    Case("hyp", "cosh(x)^2 - sinh(x)^2", "", ("1",)),
    Case("sqrtx2", "sqrt(x^2)", "x", ("x",)),
    Case("sqrtx2r", "sqrt(x^2)", "", ("abs(x)",)),
    Case("sqrt8", "sqrt(8)*sqrt(2)", "", ("4",)),
    Case("logs", "log(x) + log(y) - log(x*y)", "x y", ("0",)),
    Case("exps", "exp(x)*exp(y)*exp(-x - y)", "", ("1",)),
    Case("sincos", "2*sin(x)*cos(x)", "", ("sin(2*x)",)),
    Case("sum200", f"{_MONOMIALS} - ({_MONOMIALS}) + x", "", ("x",)),
    Case("sum200k", _MONOMIALS, "", (_MONOMIALS,)),
    Case("tan", "sin(x)/cos(x)*cos(x)", "", ("sin(x)",)),
    Case("nest", "log(exp(sin(x)^2 + cos(x)^2)*exp(y)) - 1", "", ("y",)),
    Case("exp_pow", "exp(x)^3*exp(-2*x)", "", ("exp(x)",)),
)

# What the canonical form alone settles.
TRIVIAL = ("xoverx", "deriv", "sqrtx2", "sqrt8")


def chain(pool: Any, nodes: int, seed: int = 0) -> Any:
    """Return the sum of expressions of about `nodes` nodes in all that share operands, some of them functions."""
    import alkahest as ak

    rng = random.Random(seed)
    values = list(pool.symbols("x y z"))
    while len(pool) < nodes:
        a, b = (values[-1 - min(int(rng.expovariate(0.2)), len(values) - 1)] for _ in range(2))
        kind = rng.random()
        if kind < 0.2:
            values.append(rng.choice((ak.sin, ak.cos, ak.exp))(a))
        elif kind < 0.6:
            values.append(a + b * rng.randint(-3, 3))
        else:
            values.append(a * b - a / rng.randint(2, 5))
    return sum(values[3:], values[0])
