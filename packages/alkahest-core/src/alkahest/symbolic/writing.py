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
    order = _reading_order(space, form)
    if order[0] is None:
        total = space.number(form.const)
    else:
        total = _write_term(space, terms[order[0]], order[0])
    for key in order[1:]:
        if key is None:
            total = _write_constant(space, total, form.const)
        elif terms[key] < 0:
            total = space.intern(("sub", total, _write_term(space, -terms[key], key)))
        else:
            total = space.intern(("add", total, _write_term(space, terms[key], key)))
    form.id = total
    form.shared = True
    space.sums[total] = form
    return total


def _reading_order(space: Workspace, form: Sum) -> list[int | None]:
    """Return the keys of a sum in the order in which they are written, None for its constant.

    The order is that of `sort_key`, but where that begins with a minus sign, a term of the same degree or the only
    positive one goes first: `z - x - y`, `1 - x^2`.
    """
    terms = form.terms
    order: list[int | None] = list(sorted(terms, key=lambda key: sort_key(space, key)))
    if form.const != 0:
        order.append(None)
    values = [form.const if key is None else terms[key] for key in order]
    if values[0] < 0:
        positive = [k for k, c in enumerate(values) if c > 0]
        if positive and (len(positive) == 1 or _same_degree(space, order[0], order[positive[0]])):
            order.insert(0, order.pop(positive[0]))
    return order


def _same_degree(space: Workspace, a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and sort_key(space, a)[:2] == sort_key(space, b)[:2]


def _write_constant(space: Workspace, total: int, const: Exact) -> int:
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
