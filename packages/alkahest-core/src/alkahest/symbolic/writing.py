"""From forms back to nodes of the pool, arranged as a person would write them: `x - y`, `2*x/3`, `x/(y*z)`."""

from __future__ import annotations

from fractions import Fraction

from alkahest.symbolic.exact import Exact, normal
from alkahest.symbolic.forms import REUSED, Form, Product, Sum, Workspace
from alkahest.symbolic.ordering import factor_order, sort_key, text_of

_HALF = Fraction(1, 2)
_SUMS = frozenset({"add", "sub"})


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
    if form.id is None:
        form.settle()
        terms, const = _with_parts(space, form) if form.parts else (form.terms, form.const)
        form.id = _write_terms(space, terms, const)
        space.sums[form.id] = form
    return form.id


def is_intact(part: Sum, c: Exact, terms: dict[int, Exact], const: Exact) -> bool:
    """Tell whether `c` times a part is still to be found among the terms of a sum."""
    if part.const != 0 and const != c * part.const:
        return False
    if c == 1:
        return all([terms.get(key) == coef for key, coef in part.terms.items()])
    return all([terms.get(key, 0) == c * coef for key, coef in part.terms.items()])


def _with_parts(space: Workspace, form: Sum) -> tuple[dict[int, Exact], Exact]:
    """Return the terms and the constant of a sum, with its intact parts as terms."""
    terms, const = dict(form.terms), form.const
    found: dict[int, Exact] = {}
    parts = [(part, c) for part, c in form.parts if is_intact(part, c, terms, const)]
    if len(parts) > 1:
        parts.sort(key=lambda p: (-len(p[0].terms), text_of(space, write(space, p[0]))))
    for part, c in parts:
        inside = len(part.terms) < len(form.terms) or form.const != c * part.const
        if inside and is_intact(part, c, terms, const):
            for key in part.terms:
                terms.pop(key, None)
            const = normal(const - c * part.const)
            ident = write(space, part)
            found[ident] = c
            if c in (1, -1):
                space.closed.add(ident)
    return terms | found, const


def _write_terms(space: Workspace, terms: dict[int, Exact], const: Exact) -> int:
    first, *rest = _reading_order(space, terms, const)
    total = space.number(const) if first is None else _write_term(space, terms[first], first)
    return _continue(space, total, rest, terms, const)


def write_after(space: Workspace, total: int, form: Sum) -> int:
    """Return the id of `total + form`, the terms of the sum written one after the other."""
    terms, const = _with_parts(space, form.settle())
    return _continue(space, total, _in_order(space, terms, const), terms, const)


def _continue(space: Workspace, total: int, keys: list[int | None], terms: dict[int, Exact], const: Exact) -> int:
    for key in keys:
        coef = const if key is None else terms[key]
        if key is None:
            term = space.number(abs(coef))
        else:
            term = key if key >= 0 and coef in (1, -1) else _write_term(space, abs(coef), key)
        total = space.intern(("sub" if coef < 0 else "add", total, term))
    return total


def _in_order(space: Workspace, terms: dict[int, Exact], const: Exact) -> list[int | None]:
    """Return the keys of a sum in order, None for its constant, which is last."""
    keys = [(sort_key(space, key), key) for key in terms]
    keys.sort()
    order: list[int | None] = [key for _, key in keys]
    return [*order, None] if const != 0 else order


def _reading_order(space: Workspace, terms: dict[int, Exact], const: Exact) -> list[int | None]:
    """Return the keys of a sum in the order in which they are written, None for its constant.

    The order is that of `_in_order`, with whole sums in front: the start of a long sum may be one. Where that begins
    with a minus sign, a term of the same degree or the only positive one goes first: `z - x - y`, `1 - x^2`.
    """
    order = _in_order(space, terms, const)
    whole = [k for k in order if k is not None and k >= 0 and terms[k] == 1 and space.nodes[k][0] in _SUMS]
    if whole:
        order = [*whole, *[k for k in order if k not in set(whole)]]
    values = [const if key is None else terms[key] for key in order]
    if values[0] < 0:
        positive = [k for k, c in enumerate(values) if c > 0]
        if positive and (len(positive) == 1 or _same_degree(space, order[0], order[positive[0]])):
            order.insert(0, order.pop(positive[0]))
    return order


def _same_degree(space: Workspace, a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and sort_key(space, a)[:2] == sort_key(space, b)[:2]


def _write_term(space: Workspace, coef: Exact, key: int) -> int:
    """Return the id of `coef` times what `key` names: numbers above and below, then one quotient."""
    above, below = _layout(space, key)
    p, q = coef.numerator, coef.denominator
    outside = False
    if p == -1 and above:  # the sign goes to the first factor, as it is read: (-x)*y; but -(x + y) is a sum
        p = 1
        outside = space.nodes[above[0]][0] in _SUMS
        above = above if outside else (_negated(space, above[0]), *above[1:])
    node = _chain(space, p, above)
    if below or q != 1:
        node = space.intern(("div", node, _chain(space, q, below)))
    return space.intern(("neg", node)) if outside else node


def _negated(space: Workspace, ident: int) -> int:
    node = space.nodes[ident]
    return space.intern(("float", -node[1], -node[2]) if node[0] == "float" else ("neg", ident))


def _chain(space: Workspace, number: int, factors: tuple[int, ...]) -> int:
    """Return the id of the number times the factors, from the left; a number alone, or none where it is one."""
    if not factors:
        return space.intern(("integer", number))
    # A large product is read as a whole, and so may be the start of this one: the number stays outside.
    inside = number != 1 and len(factors) <= REUSED and space.nodes[factors[0]][0] != "mul"
    total = space.intern(("mul", space.intern(("integer", number)), factors[0])) if inside else factors[0]
    for factor in factors[1:]:
        total = space.intern(("mul", total, factor))
    if number != 1 and not inside:
        total = space.intern(("mul", space.intern(("integer", number)), total))
    return total


def _layout(space: Workspace, key: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the nodes above and below the fraction bar."""
    if key >= 0:
        divisor = _divisor(space, key)
        return ((key,), ()) if divisor is None else ((), (divisor,))
    found = space.layouts.get(key)
    if found is None:
        items = _with_joint_roots(space, space.bases[-key - 1])
        above: list[int] = []
        below: list[int] = []
        for base in factor_order(space, items):
            exponent = items[base]
            if space.nodes[base] == ("const", "e"):
                above.append(base if exponent == 1 else space.intern(("exp", space.number(exponent))))
            elif exponent < 0:
                below.append(_write_power(space, base, -exponent))
            elif (divisor := _divisor(space, base)) is not None:
                below.append(_write_power(space, divisor, exponent))
            else:
                above.append(_write_power(space, base, exponent))
        found = space.layouts[key] = (tuple(above), tuple(below))
    return found


def _divisor(space: Workspace, base: int) -> int | None:
    """Return what a base divides by where it is a reciprocal, as there are where the domain is kept."""
    if space.strict and base not in space.undefined:
        head, *rest = space.nodes[base]
        if head == "div" and space.nodes[rest[0]] == ("integer", 1):
            return rest[1]
    return None


def _with_joint_roots(space: Workspace, items: dict[int, Exact]) -> dict[int, Exact]:
    """Return the factors of a product with roots of numbers put together: sqrt(2)*sqrt(3) is written sqrt(6)."""
    nodes = space.nodes
    roots = [base for base, q in items.items() if q.__class__ is not int and nodes[base][0] == "integer"]
    if len(roots) < 2:
        return items
    joint: dict[Exact, int] = {}
    for base in roots:
        joint[items[base]] = joint.get(items[base], 1) * nodes[base][1]
    rest = {base: q for base, q in items.items() if base not in roots}
    return rest | {space.number(number): q for q, number in joint.items()}


def _write_power(space: Workspace, base: int, exponent: Exact) -> int:
    if exponent == 1:
        return base
    if exponent == _HALF:
        return space.intern(("sqrt", base))
    return space.intern(("pow", base, space.number(exponent)))
