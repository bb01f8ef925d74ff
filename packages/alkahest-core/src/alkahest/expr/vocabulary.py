"""Names and precedences of the text form, shared by what writes it and what reads it."""

from __future__ import annotations

import importlib

from alkahest.base.prim import arity_of, prim_names

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

LOGIC = frozenset({"and", "or", "not"})
TRUTHS = LOGIC | {"lt", "le", "gt", "ge", "eq", "ne"}  # their values are true and false

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


# Functions that are read and have no primitive, by name and number of arguments; a and b stand for these.
COMPOSED = {
    ("log", 2): "log(a)/log(b)",
    ("exp2", 1): "2^a",
    ("Mod", 2): "a - b*floor(a/b)",
    ("frac", 1): "a - floor(a)",
    ("factorial", 1): "gamma(a + 1)",
    ("trigamma", 1): "polygamma(1, a)",
    ("sec", 1): "1/cos(a)",
    ("csc", 1): "1/sin(a)",
    ("cot", 1): "1/tan(a)",
    ("sech", 1): "1/cosh(a)",
    ("csch", 1): "1/sinh(a)",
    ("coth", 1): "1/tanh(a)",
    ("asec", 1): "acos(1/a)",
    ("acsc", 1): "asin(1/a)",
    ("acot", 1): "atan(1/a)",
    ("asech", 1): "acosh(1/a)",
    ("acsch", 1): "asinh(1/a)",
    ("acoth", 1): "atanh(1/a)",
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
