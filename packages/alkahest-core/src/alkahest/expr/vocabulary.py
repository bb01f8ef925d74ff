"""Names and precedences of the text form, shared by what writes it and what reads it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alkahest.base.prim import arity_of, prim_names

if TYPE_CHECKING:
    from alkahest.expr.pool import ExprPool

# How tightly each form binds, loosest first. `~` and the sign of a number bind as unary minus does.
OR, AND, NOT, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 10)

INFIX = {
    "or": ("|", OR),
    "and": ("&", AND),
    "lt": ("<", COMPARISON),
    "le": ("<=", COMPARISON),
    "gt": (">", COMPARISON),
    "ge": (">=", COMPARISON),
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "pow": ("^", POWER),
}
LEVELS = {op: level for op, (_, level) in INFIX.items()} | {"neg": SIGN, "not": SIGN}

KEYWORDS = frozenset({"and", "or", "not", "True", "False"})
CONSTANT_NAMES = {"pi": "pi", "E": "e"}
NON_FINITE = frozenset({"nan", "inf", "oo", "zoo"})

# Functions that are written under another name than their primitive's: those by which SymPy knows them, or which it
# does not take for something else, as it does `round` and `trunc`.
PRINTED = {
    "ceil": "ceiling",
    "round": "rint",
    "trunc": "truncate",
    "eq": "Eq",
    "ne": "Ne",
    "where": "Piecewise",
}

# Other names of primitives: SymPy's, NumPy's, C's.
ALIASES = {
    "Abs": "abs",
    "fabs": "abs",
    "absolute": "abs",
    "Max": "max",
    "maximum": "max",
    "Min": "min",
    "minimum": "min",
    "ceiling": "ceil",
    "fix": "trunc",
    "truncate": "trunc",
    "rint": "round",
    "nearbyint": "round",
    "roundeven": "round",
    "sgn": "sign",
    "signum": "sign",
    "Pow": "pow",
    "power": "pow",
    "ln": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "tgamma": "gamma",
    "loggamma": "lgamma",
    "gammaln": "lgamma",
    "psi": "digamma",
    "Eq": "eq",
    "Equality": "eq",
    "Ne": "ne",
    "Unequality": "ne",
    "Lt": "lt",
    "StrictLessThan": "lt",
    "Le": "le",
    "LessThan": "le",
    "Gt": "gt",
    "StrictGreaterThan": "gt",
    "Ge": "ge",
    "GreaterThan": "ge",
    "And": "and",
    "Or": "or",
    "Not": "not",
    "ITE": "where",
}
FOLDED = frozenset({"max", "min", "fmax", "fmin", "and", "or"})  # taken with any number of arguments from two on


class Build:
    """Makes nodes by their ids: what the composed functions below and the readers are written with."""

    def __init__(self, pool: ExprPool) -> None:
        self.pool = pool

    def __call__(self, op: str, *args: int) -> int:
        """Return the node `op(*args)`."""
        return self.pool._build(op, args).id

    def number(self, value: Any) -> int:
        """Return the literal `value`."""
        return self.pool._id(value)

    def fold(self, op: str, args: list[int]) -> int:
        """Return `op` over one or more arguments, from the left."""
        out = args[0]
        for arg in args[1:]:
            out = self(op, out, arg)
        return out


def _log_to_base(b: Build, x: int, base: int) -> int:
    return b("div", b("log", x), b("log", base))


def _mod(b: Build, x: int, y: int) -> int:
    return b("sub", x, b("mul", y, b("floor", b("div", x, y))))


def _over_one(op: str) -> Callable[..., int]:
    return lambda b, x: b("div", b.number(1), b(op, x))


def _of_inverse(op: str) -> Callable[..., int]:
    return lambda b, x: b(op, b("div", b.number(1), x))


# Functions that are read and have no primitive, by name and number of arguments.
COMPOSED: dict[tuple[str, int], Callable[..., int]] = {
    ("log", 2): _log_to_base,
    ("exp2", 1): lambda b, x: b("pow", b.number(2), x),
    ("Mod", 2): _mod,
    ("frac", 1): lambda b, x: b("sub", x, b("floor", x)),
    ("factorial", 1): lambda b, x: b("gamma", b("add", x, b.number(1))),
    ("trigamma", 1): lambda b, x: b("polygamma", b.number(1), x),
    ("sec", 1): _over_one("cos"),
    ("csc", 1): _over_one("sin"),
    ("cot", 1): _over_one("tan"),
    ("sech", 1): _over_one("cosh"),
    ("csch", 1): _over_one("sinh"),
    ("coth", 1): _over_one("tanh"),
    ("asec", 1): _of_inverse("acos"),
    ("acsc", 1): _of_inverse("asin"),
    ("acot", 1): _of_inverse("atan"),
    ("asech", 1): _of_inverse("acosh"),
    ("acsch", 1): _of_inverse("asinh"),
    ("acoth", 1): _of_inverse("atanh"),
}
PIECEWISE = "Piecewise"


def known_arity(op: str) -> int | None:
    """Return how many arguments the primitive `op` takes, None where there is none.

    At an unknown name, core's own primitives and then the plugins' are declared first.
    """
    if arity_of(op) is None:
        for module in ("arithmetic", "comparison", "elementary", "special"):
            importlib.import_module(f"alkahest.prims.{module}")  # by name: primitives are a layer above this one
    if arity_of(op) is None:
        from alkahest.plugins.manager import plugins

        plugins().load_primitives()
    return arity_of(op)


def meaning(name: str, count: int) -> str | None:
    """Return which primitive a call of `name` with `count` arguments is, None where it is no primitive's."""
    if (name, count) in COMPOSED or name == PIECEWISE or (name in CONSTANT_NAMES and not count):
        return None
    return ALIASES.get(name, name)


def call_names() -> list[str]:
    """Return every name that can be called in text, for suggestions."""
    return sorted({*prim_names(), *ALIASES, *(name for name, _ in COMPOSED), PIECEWISE})
