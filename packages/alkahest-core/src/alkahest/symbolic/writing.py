"""From forms back to nodes of the pool, arranged as a person would write them: `x - y`, `2*x/3`, `x/(y*z)`."""

from __future__ import annotations

from fractions import Fraction

from alkahest.symbolic.exact import Exact
from alkahest.symbolic.forms import SMALL, Form, Product, Sum, Workspace
from alkahest.symbolic.ordering import factor_order, sort_key

_HALF = Fraction(1, 2)


def write(space: Workspace, form: Form) -> int:
    """Return the id of the node that says `form`."""
    kind = form.__class__
    if kind is Product:
        return write_product(space, form)  # pyright: ignore[reportArgumentType]
    if kind is Sum:
        return write_sum(space, form)  # pyright: ignore[reportArgumentType]
    return space.number(form)  # pyright: ignore[reportArgumentType]


def write_product(space: Workspace, product: Product) -> int:
    """Return the id of a product's node."""
    ident = product.id
    if ident is None:
        key = product.key
        if product.coef == 1 and key is not None and key >= 0:
            ident = key
        else:
            ident = _write_term(space, product.coef, space.key_of(product))
        product.id = ident
    return ident


def write_sum(space: Workspace, form: Sum) -> int:
    """Return the id of a sum's node; from now on the sum must not change."""
    if form.id is not None:
        return form.id
    terms = form.terms
    order = sorted(terms, key=lambda key: sort_key(space, key))
    if len(order) + (form.const != 0) == 2:  # noqa: PLR2004 - `1 - x` rather than `-x + 1`
        total = _write_pair(space, form, order)
    else:
        total = _write_term(space, terms[order[0]], order[0])
        for key in order[1:]:
            total = _write_next(space, total, terms[key], key)
        total = _write_constant(space, total, form.const)
    form.id = total
    form.shared = True
    space.sums[total] = form
    return total


def _write_pair(space: Workspace, form: Sum, order: list[int]) -> int:
    terms = form.terms
    first = order[0]
    if len(order) == 1:
        if terms[first] < 0 and form.const > 0:
            return _write_next(space, space.number(form.const), terms[first], first)
        return _write_constant(space, _write_term(space, terms[first], first), form.const)
    second = order[1]
    if terms[first] < 0 and terms[second] > 0:
        first, second = second, first
    return _write_next(space, _write_term(space, terms[first], first), terms[second], second)


def _write_next(space: Workspace, total: int, coef: Exact, key: int) -> int:
    if coef < 0:
        return space.intern(("sub", total, _write_term(space, -coef, key)))
    return space.intern(("add", total, _write_term(space, coef, key)))


def _write_constant(space: Workspace, total: int, const: Exact) -> int:
    if const == 0:
        return total
    return space.intern(("sub" if const < 0 else "add", total, space.number(abs(const))))


def _write_term(space: Workspace, coef: Exact, key: int) -> int:
    """Return the id of `coef` times what `key` names: numbers above and below, then one quotient."""
    above, below = _layout(space, key)
    p, q = coef.numerator, coef.denominator
    negated = p == -1 and bool(above)
    if negated:
        p = 1
        first = space.nodes[above[0]]
        if first[0] == "float":  # -0.5*x, with the sign in the literal
            above = (space.intern(("float", -first[1], -first[2])), *above[1:])
            negated = False
    node = _chain(space, p, above)
    if below or q != 1:
        node = space.intern(("div", node, _chain(space, q, below)))
    return space.intern(("neg", node)) if negated else node


def _chain(space: Workspace, number: int, factors: tuple[int, ...]) -> int:
    """Return the id of the number times the factors, from the left; a number alone, or none where it is one."""
    if not factors:
        return space.intern(("integer", number))
    # Large products are read as a whole: the number stays outside.
    inside = number != 1 and len(factors) <= SMALL
    total = space.intern(("mul", space.intern(("integer", number)), factors[0])) if inside else factors[0]
    for factor in factors[1:]:
        total = space.intern(("mul", total, factor))
    if number != 1 and not inside:
        total = space.intern(("mul", space.intern(("integer", number)), total))
    return total


def _layout(space: Workspace, key: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the nodes above and below the fraction bar."""
    if key >= 0:
        return (key,), ()
    found = space.layouts.get(key)
    if found is None:
        items = space.bases[-key - 1]
        above: list[int] = []
        below: list[int] = []
        for base in factor_order(space, items):
            exponent = items[base]
            if space.nodes[base] == ("const", "e"):
                above.append(base if exponent == 1 else space.intern(("exp", space.number(exponent))))
            elif exponent < 0:
                below.append(_write_power(space, base, -exponent))
            else:
                above.append(_write_power(space, base, exponent))
        found = space.layouts[key] = (tuple(above), tuple(below))
    return found


def _write_power(space: Workspace, base: int, exponent: Exact) -> int:
    if exponent == 1:
        return base
    if exponent == _HALF:
        return space.intern(("sqrt", base))
    return space.intern(("pow", base, space.number(exponent)))
