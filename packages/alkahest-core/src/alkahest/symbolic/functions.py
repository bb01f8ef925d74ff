"""Functions of canonical arguments: values at exact points, parity, conditions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from alkahest.symbolic.exact import Exact, exact_call
from alkahest.symbolic.forms import Form, Product, Sum, Undefined, Workspace, atom
from alkahest.symbolic.ordering import text_of
from alkahest.symbolic.parity import opposite, unsigned
from alkahest.symbolic.products import multiply, power
from alkahest.symbolic.signs import is_nonnegative, is_truth
from alkahest.symbolic.sums import add, scale, simple
from alkahest.symbolic.writing import write

_HALF = Fraction(1, 2)
_ODD = frozenset(
    {"sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf", "cbrt", "sign", "trunc", "round"}
    | {"round_away"}
)
_EVEN = frozenset({"cos", "cosh"})


def _is_pole(x: Exact) -> bool:
    return x.__class__ is int and x <= 0


# Where a function of exact numbers has no value, so that the call is kept and nothing is concluded from it.
_OUTSIDE: dict[str, Callable[..., bool]] = {
    "log": lambda x: x <= 0,
    "log2": lambda x: x <= 0,
    "log10": lambda x: x <= 0,
    "log1p": lambda x: x <= -1,
    "asin": lambda x: abs(x) > 1,
    "acos": lambda x: abs(x) > 1,
    "acosh": lambda x: x < 1,
    "atanh": lambda x: abs(x) >= 1,
    "gamma": _is_pole,
    "lgamma": _is_pole,
    "digamma": _is_pole,
    "fmod": lambda a, b: b == 0,
    "remainder": lambda a, b: b == 0,
}
# sin(pi*r) for r in [0, 2) where it is rational (Niven's theorem: there are no others); tan for r in [0, 1).
_SINES: dict[Exact, Exact] = {
    0: 0,
    Fraction(1, 6): _HALF,
    _HALF: 1,
    Fraction(5, 6): _HALF,
    1: 0,
    Fraction(7, 6): -_HALF,
    Fraction(3, 2): -1,
    Fraction(11, 6): -_HALF,
}
_TANGENTS: dict[Exact, Exact] = {0: 0, Fraction(1, 4): 1, Fraction(3, 4): -1}


def call(space: Workspace, op: str, args: list[Form]) -> Form:
    """Return the form of `op(*args)`; raises `Undefined` where it has no value."""
    rule = _RULES.get(op)
    if rule is not None:
        found = rule(space, *args)
        if found is not None:
            return found
    numbers = [a for a in args if isinstance(a, int | Fraction)]
    if len(numbers) == len(args):
        value = exact_call(op, numbers)
        if value is not None:
            return value
        if op in _OUTSIDE and _OUTSIDE[op](*numbers):
            raise Undefined
    if op in _ODD:
        inner = opposite(space, args[0])
        if inner is not None:
            return scale(space, -1, _node(space, op, [inner]))
    elif op in _EVEN:
        args = [unsigned(space, args[0])]
    return _node(space, op, args)


def _node(space: Workspace, op: str, args: list[Form]) -> Product:
    return atom(space.intern((op, *[write(space, a) for a in args])))


def _multiple(space: Workspace, form: Form, constant: str) -> Exact | None:
    """Return r where `form` is r times a constant, None where it is something else."""
    if isinstance(form, Product) and len(form.items) == 1:
        [(base, exponent)] = form.items.items()
        if exponent == 1 and space.nodes[base] == ("const", constant):
            return form.coef
    return None


def _sin(space: Workspace, x: Form) -> Form | None:
    turns = _multiple(space, x, "pi")
    return None if turns is None else _SINES.get(turns % 2)


def _cos(space: Workspace, x: Form) -> Form | None:
    turns = _multiple(space, x, "pi")
    return None if turns is None else _SINES.get((turns + _HALF) % 2)


def _tan(space: Workspace, x: Form) -> Form | None:
    turns = _multiple(space, x, "pi")
    return None if turns is None else _TANGENTS.get(turns % 1)


def _exp(space: Workspace, x: Form) -> Form | None:
    if isinstance(x, Product | Sum):
        return None
    return power(space, atom(space.intern(("const", "e"))), x)


def _log(space: Workspace, x: Form) -> Form | None:
    if isinstance(x, Product) and x.coef == 1 and len(x.items) == 1:
        [(base, exponent)] = x.items.items()
        if space.nodes[base] == ("const", "e"):
            return exponent
    return None


def _sqrt(space: Workspace, x: Form) -> Form:
    return power(space, x, _HALF)


def _cbrt(space: Workspace, x: Form) -> Form | None:
    value = exact_call("cbrt", [x]) if isinstance(x, int | Fraction) else None
    if value is not None:
        return value
    inner = opposite(space, x)
    root = _node(space, "cbrt", [x if inner is None else inner])
    space.special[space.key_of(root)] = _shared(x if inner is None else inner)
    return root if inner is None else scale(space, -1, root)


def _abs(space: Workspace, x: Form) -> Form:
    x = unsigned(space, x)
    if isinstance(x, int | Fraction):
        return x
    coef: Exact = 1
    if isinstance(x, Product):
        if all([_never_negative(space, base, exponent) for base, exponent in x.items.items()]):
            return x
        coef = x.coef
        x = simple(space, Product(1, x.items, x.key, shared=True))
        x = unsigned(space, x) if isinstance(x, Sum) else x
    out = _node(space, "abs", [x])
    space.special[space.key_of(out)] = _shared(x)
    return scale(space, coef, out)


def _shared(form: Form) -> Form:
    if isinstance(form, Product | Sum):
        form.shared = True
    return form


def _never_negative(space: Workspace, base: int, exponent: Exact) -> bool:
    if exponent.denominator != 1 or exponent.numerator % 2 == 0:
        return True
    return is_nonnegative(space, base)


def _sign(space: Workspace, x: Form) -> Form | None:
    if isinstance(x, Product) and x.coef not in (1, -1):
        return call(space, "sign", [Product(1 if x.coef > 0 else -1, x.items, x.key, shared=True)])
    return None


def _hypot(space: Workspace, x: Form, y: Form) -> Form | None:
    if x == 0:
        return _abs(space, y)
    if y == 0:
        return _abs(space, x)
    if isinstance(x, Product | Sum) or isinstance(y, Product | Sum):
        return _ordered(space, "hypot", x, y)
    return None


def _fma(space: Workspace, a: Form, b: Form, c: Form) -> Form | None:
    if c == 0:
        return multiply(space, a, b)
    if a in (-1, 0, 1) or b in (-1, 0, 1):
        return add(space, multiply(space, a, b), c)
    return None


def _polygamma(space: Workspace, n: Form, x: Form) -> Form | None:
    return call(space, "digamma", [x]) if n == 0 else None


# -- conditions and choices


def _is_exact(form: Form) -> bool:
    return form.__class__ is int or form.__class__ is Fraction


def _ordered(space: Workspace, op: str, a: Form, b: Form) -> Form:
    """Return a commutative call with its arguments in their order, numbers last."""
    i, j = write(space, a), write(space, b)
    if _after(space, i, j):
        i, j = j, i
    return atom(space.intern((op, i, j)))


def _after(space: Workspace, i: int, j: int) -> bool:
    p, q = text_of(space, i), text_of(space, j)
    return (p[0] < "2", p) > (q[0] < "2", q)


def _extremum(op: str) -> Callable[..., Form | None]:
    def rule(space: Workspace, a: Form, b: Form) -> Form | None:
        if _is_exact(a) and _is_exact(b):
            return None
        return a if write(space, a) == write(space, b) else _ordered(space, op, a, b)

    return rule


def _comparison(op: str, flipped: str, reflexive: int) -> Callable[..., Form | None]:
    def rule(space: Workspace, a: Form, b: Form) -> Form | None:
        if _is_exact(a) and _is_exact(b):
            return None
        i, j = write(space, a), write(space, b)
        if i == j:
            return reflexive
        return atom(space.intern((flipped, j, i) if _after(space, i, j) else (op, i, j)))

    return rule


def _truth(space: Workspace, form: Form) -> bool:
    """Tell whether a form is a condition: 0 or 1."""
    if isinstance(form, Product):
        key = space.key_of(form)
        return form.coef == 1 and key >= 0 and is_truth(space, key)
    return form in (0, 1)


def _connective(op: str, absorbing: bool) -> Callable[..., Form | None]:
    """`and` is settled by one false operand and ignores true ones; `or` the other way round."""

    def rule(space: Workspace, a: Form, b: Form) -> Form | None:
        if _is_exact(a):
            a, b = b, a
        if _is_exact(b):
            if (b != 0) == absorbing:
                return int(absorbing)
            return a if _truth(space, a) else None
        if write(space, a) == write(space, b) and _truth(space, a):
            return a
        return _ordered(space, op, a, b)

    return rule


def _not(space: Workspace, a: Form) -> Form | None:
    if isinstance(a, Product) and a.coef == 1:
        node = space.nodes[write(space, a)]
        if node[0] == "not" and is_truth(space, node[1]):
            return atom(node[1])
    return None


def _where(space: Workspace, condition: Form, a: Form, b: Form) -> Form | None:
    if _is_exact(condition):
        return b if condition == 0 else a
    return a if write(space, a) == write(space, b) else None


_RULES: dict[str, Callable[..., Form | None]] = {
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "cbrt": _cbrt,
    "abs": _abs,
    "sign": _sign,
    "hypot": _hypot,
    "fma": _fma,
    "polygamma": _polygamma,
    "min": _extremum("min"),
    "max": _extremum("max"),
    "fmin": _extremum("fmin"),
    "fmax": _extremum("fmax"),
    "lt": _comparison("lt", "gt", 0),
    "gt": _comparison("gt", "lt", 0),
    "le": _comparison("le", "ge", 1),
    "ge": _comparison("ge", "le", 1),
    "eq": _comparison("eq", "eq", 1),
    "ne": _comparison("ne", "ne", 0),
    "and": _connective("and", False),
    "or": _connective("or", True),
    "not": _not,
    "where": _where,
}
