"""What keeps the domain where that is asked for: bases that are not merged, terms that stay with coefficient 0.

A power whose domain is smaller than its base's becomes a base of its own: 1/x where x may be 0, sqrt(x) where x may be
negative. Bases then have positive integer exponents only, and merging these never changes a domain.
"""

from __future__ import annotations

from fractions import Fraction

from alkahest.symbolic.exact import Exact
from alkahest.symbolic.forms import Form, Product, Sum, Workspace, is_exact
from alkahest.symbolic.signs import fact_of_atom, is_total


def split(space: Workspace, base: int, exponent: Exact) -> tuple[int, Exact]:
    """Return base**exponent as a power that may be merged with others of its base."""
    if not space.strict:
        return base, exponent
    if exponent.denominator != 1 and not fact_of_atom(space, base).nonnegative:
        root = Fraction(1, exponent.denominator)
        base = space.intern(("sqrt", base) if root.denominator == 2 else ("pow", base, space.number(root)))
        exponent = exponent.numerator
    if exponent < 0 and not (fact_of_atom(space, base).not_zero and is_total(space, base)):
        return space.intern(("div", space.number(1), base)), -exponent
    return base, exponent


def nothing_of(space: Workspace, form: Form) -> Form:
    """Return 0 times a form: 0, or terms with coefficient 0 where the form may have no value."""
    if not space.strict or is_exact(form):
        return 0
    keys = [space.key_of(form)] if isinstance(form, Product) else form.settle().terms
    left: dict[int, Exact] = {key: 0 for key in keys if not is_total(space, key)}
    return Sum(0, left) if left else 0


def is_nothing(form: Sum) -> bool:
    """Tell whether a sum is 0 wherever it has a value, by its coefficients."""
    return form.const == 0 and not any(form.terms.values())
