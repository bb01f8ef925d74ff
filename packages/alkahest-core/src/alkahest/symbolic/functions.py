"""Functions of canonical arguments: values at exact points, parity, known signs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from alkahest.symbolic.choices import CHOICES, ordered
from alkahest.symbolic.exact import Exact, exact_call
from alkahest.symbolic.facts.arithmetic import power as power_of_fact
from alkahest.symbolic.facts.fact import ANY, exactly
from alkahest.symbolic.forms import Form, Product, Sum, Undefined, Workspace, atom
from alkahest.symbolic.forms import is_exact as is_number
from alkahest.symbolic.parity import opposite, unsigned
from alkahest.symbolic.products import multiply, power
from alkahest.symbolic.signs import fact_of_atom, fact_of_form, fact_of_items, may_drop, sign_of
from alkahest.symbolic.sums import add, negated, scale, simple
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
    if turns is None:
        return 0 if _half_turns(space, x) else None
    return _SINES.get(turns % 2)


def _cos(space: Workspace, x: Form) -> Form | None:
    turns = _multiple(space, x, "pi")
    if turns is None:
        return 1 if isinstance(x, Product) and x.coef % 2 == 0 and _half_turns(space, x) else None
    return _SINES.get((turns + _HALF) % 2)


def _tan(space: Workspace, x: Form) -> Form | None:
    turns = _multiple(space, x, "pi")
    if turns is None:
        return 0 if _half_turns(space, x) else None
    if turns % 1 == _HALF:
        raise Undefined
    return _TANGENTS.get(turns % 1)


def _half_turns(space: Workspace, x: Form) -> bool:
    """Tell whether `x` is pi times what is known to be an integer, and may be left out."""
    if not isinstance(x, Product) or x.coef.denominator != 1 or len(x.items) < 2:
        return False
    pi = space.intern(("const", "pi"))
    others = {base: exponent for base, exponent in x.items.items() if base != pi}
    return x.items.get(pi) == 1 and fact_of_items(space, others).integer and may_drop(space, *others)


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
        known, x = _parted(space, x)
        if isinstance(x, int | Fraction):
            return scale(space, x, known)
        coef, x = (x.coef, simple(space, Product(1, x.items, x.key, shared=True))) if isinstance(x, Product) else (1, x)
        x = unsigned(space, x) if isinstance(x, Sum) else x
    else:
        known = Product(1, {})
    return multiply(space, known, scale(space, coef, _abs_of_rest(space, x)))


def _abs_of_rest(space: Workspace, x: Form) -> Form:
    if isinstance(x, Sum):
        fact = fact_of_form(space, x)
        if fact.nonnegative or fact.nonpositive:
            return x if fact.nonnegative else negated(x)
    out = _node(space, "abs", [x])
    space.special[space.key_of(out)] = _shared(x)
    return out


def _parted(space: Workspace, x: Product) -> tuple[Form, Form]:
    """Return the absolute value of the factors of known sign, and the other ones."""
    known = Product(1, {})
    rest: dict[int, Exact] = {}
    for base, exponent in x.items.items():
        fact = ANY if exponent.denominator != 1 or exponent.numerator % 2 == 0 else fact_of_atom(space, base)
        if exponent.denominator != 1 or exponent.numerator % 2 == 0 or fact.nonnegative or fact.nonpositive:
            known.items[base] = exponent
            known.coef = known.coef if fact.nonnegative or not fact.nonpositive else -known.coef
        else:
            rest[base] = exponent
    if not known.items:
        return 1, x
    return simple(space, known), simple(space, Product(x.coef, rest)) if rest else x.coef


def _shared(form: Form) -> Form:
    if isinstance(form, Product | Sum):
        form.shared = True
    return form


def _sign(space: Workspace, x: Form) -> Form | None:
    if isinstance(x, Sum):
        known = sign_of(fact_of_form(space, x))
        return known if known is not None and may_drop(space, write(space, x)) else None
    if not isinstance(x, Product):
        return None
    sign = 1 if x.coef > 0 else -1
    rest: dict[int, Exact] = {}
    for base, exponent in x.items.items():
        known = sign_of(power_of_fact(fact_of_atom(space, base), exactly(exponent)))
        if not known or not may_drop(space, base):
            rest[base] = exponent
        else:
            sign *= known
    if not rest:
        return sign
    if len(rest) == len(x.items) and x.coef in (1, -1):
        return None
    return call(space, "sign", [Product(sign, rest)])


def _hypot(space: Workspace, x: Form, y: Form) -> Form | None:
    if x == 0:
        return _abs(space, y)
    if y == 0:
        return _abs(space, x)
    if isinstance(x, Product | Sum) or isinstance(y, Product | Sum):
        return ordered(space, "hypot", x, y)
    return None


def _fma(space: Workspace, a: Form, b: Form, c: Form) -> Form | None:
    if c == 0:
        return multiply(space, a, b)
    if a in (-1, 0, 1) or b in (-1, 0, 1):
        return add(space, multiply(space, a, b), c)
    return None


def _polygamma(space: Workspace, n: Form, x: Form) -> Form | None:
    return call(space, "digamma", [x]) if n == 0 else None


def _copysign(space: Workspace, a: Form, b: Form) -> Form | None:
    if is_number(b) and b == 0:
        return None
    sign = sign_of(fact_of_form(space, b))
    if not sign or (not is_number(b) and not may_drop(space, write(space, b))):
        return None
    return scale(space, sign, _abs(space, a))


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
    "copysign": _copysign,
    **CHOICES,
}
