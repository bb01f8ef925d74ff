"""Flat sums: like terms collected, coefficients exact.

A sum remembers its *parts*: the sums that came in with a factor, `(x + y)/4`, and the large ones that are used
elsewhere too. Their terms are collected with all others; those left as they came are written as they came.
"""

from __future__ import annotations

from alkahest.symbolic.exact import Exact, bounded, normal
from alkahest.symbolic.forms import REUSED, SMALL, Form, Product, Sum, Workspace, is_exact
from alkahest.symbolic.signs import is_total
from alkahest.symbolic.strictness import is_nothing, nothing_of
from alkahest.symbolic.writing import is_intact, write, write_product


def add(space: Workspace, f: Form, g: Form, sign: int = 1) -> Form:
    """Return `f + g`, or `f - g` where `sign` is -1."""
    if isinstance(f, Sum) and isinstance(g, Product) and len(f.terms) > SMALL and f.is_free:
        _accumulate(space, f, g, sign)  # one more term of a long sum
        return f if len(f.terms) > SMALL else _finished(space, f)
    if is_exact(g):
        if g == 0:
            return f
        if is_exact(f):
            number = bounded(f + sign * g)
            if number is not None:
                return number
    elif is_exact(f) and f == 0:
        return scale(space, sign, g)
    elif isinstance(g, Sum) and (not isinstance(f, Sum) or len(f.terms) < len(g.terms)):
        if sign == -1 and g.is_free:
            g.flipped = not g.flipped
            sign = 1
        if sign == 1:
            f, g = g, f
    total = _owned(space, f)
    _accumulate(space, total, g, sign)
    return _finished(space, total)


def scale(space: Workspace, c: Exact, f: Form) -> Form:
    """Return the number `c` times `f`."""
    if c == 1:
        return f
    if c == 0:
        return nothing_of(space, f)
    if isinstance(f, Sum):
        whole = _scaled_sum(space, c, f)
        if whole is not None:
            return whole
        f = factor(space, f)
    elif not isinstance(f, Product):
        number = bounded(c * f)
        if number is not None:
            return number
        f = as_base(space, f)
    coef = bounded(c * f.coef)
    if coef is None:
        return _scaled_apart(space, c, f)
    if f.shared:
        return simple(space, Product(coef, f.items, f.key, shared=True))
    f.coef = coef
    f.id = None
    return simple(space, f)


def _scaled_sum(space: Workspace, c: Exact, f: Sum) -> Sum | None:
    """Return a multiple of a sum that is a sum: its negation; None for others, which are products."""
    if space.strict and is_nothing(f):
        return f
    if c != -1:
        return None
    if f.is_free:
        f.flipped = not f.flipped
        return f.settle() if len(f.terms) <= SMALL else f
    return negated(f) if len(f.terms) <= SMALL else None


def _scaled_apart(space: Workspace, c: Exact, f: Product) -> Product:
    """Return `c` times `f` with `c` as one more base, because the product of the numbers is too large."""
    base = space.key_of(as_base(space, c))
    f = owned_product(space, f).settle()
    f.items[base] = f.items.get(base, 0) + 1
    return f


def as_base(space: Workspace, value: Exact) -> Product:
    """Return a number as a base, for where it cannot be folded."""
    ident = space.number(value)
    space.special[ident] = value
    return Product(1, {ident: 1}, ident)


def owned_product(space: Workspace, f: Product) -> Product:
    """Return a product of value `f` that may be changed."""
    if not f.shared:
        f.key = f.id = None
        return f
    if len(f.items) <= space.max_factors:
        return Product(f.coef, dict(f.items))
    return closed_product(space, f)


def closed_product(space: Workspace, f: Product) -> Product:
    """Return a product that is too large to be copied, as its coefficient times an atom."""
    ident = write_product(space, Product(1, f.settle().items, f.key, shared=True))
    if f.shared:
        space.closed.add(ident)
    return Product(f.coef, {ident: 1})


def simple(space: Workspace, product: Product) -> Form:
    """Return a product as what it is: a number, a sum that stands alone, or a product."""
    items = product.items
    if len(items) > 1:
        return product if len(items) > SMALL else product.settle()
    if not items:
        return product.coef
    alone = space.sums.get(space.key_of(product))
    if alone is not None:
        if product.coef == 1:
            return alone
        if product.coef == -1 and len(alone.terms) <= SMALL:
            return negated(alone)
    return product


def negated(f: Sum) -> Sum:
    """Return minus a sum."""
    out = Sum(-f.const, {key: -c for key, c in f.terms.items()})
    out.parts = [(part, -c) for part, c in f.parts]
    return out


def factor(space: Workspace, f: Sum) -> Product:
    """Return a sum as a factor: `-x - y` as minus the atom `x + y`."""
    f.settle()
    if f.const <= 0 and len(f.terms) <= SMALL and all([c < 0 for c in f.terms.values()]):
        ident = write(space, negated(f))
        return Product(-1, {ident: 1}, ident)
    ident = write(space, f)
    return Product(1, {ident: 1}, ident)


def _owned(space: Workspace, f: Form) -> Sum:
    """Return a sum of value `f` that may be changed."""
    if isinstance(f, Sum) and f.is_free:
        return f
    total = Sum(0, {})
    _accumulate(space, total, f, 1)
    return total


def _accumulate(space: Workspace, total: Sum, g: Form, sign: int) -> None:
    """Add `sign` times `g` to a sum that may be changed."""
    if total.flipped:
        sign = -sign
    if isinstance(g, Product):
        key = space.key_of(g)
        coef = g.coef if sign == 1 else -g.coef
        inner = space.sums.get(key)
        if inner is None or len(inner.terms) > SMALL:
            _add_term(space, total, key, coef)
        else:
            _add_terms(space, total, inner, coef)
    elif isinstance(g, Sum):
        if len(g.terms) <= SMALL or g.is_free:
            _add_terms(space, total, g.settle(), sign)
        else:
            ident = write(space, g)
            if g.shared:
                space.closed.add(ident)
            _add_term(space, total, ident, sign)
    else:
        _add_constant(space, total, sign * g)


def _add_terms(space: Workspace, total: Sum, g: Sum, c: Exact) -> None:
    if c == 1 and not total.terms:
        total.terms = dict(g.terms)
    else:
        for key, coef in g.terms.items():
            _add_term(space, total, key, coef if c == 1 else normal(c * coef))
    if g.const != 0:
        _add_constant(space, total, normal(c * g.const))
    if c not in (1, -1) or (space.reuses and g.shared and len(g.terms) > REUSED):
        total.parts.append((g, c))
    elif g.parts:
        total.parts += [(part, normal(c * inner)) for part, inner in g.parts]
    if len(total.parts) > 2 * len(total.terms):
        del total.parts[len(total.terms) :]


def _add_term(space: Workspace, total: Sum, key: int, coef: Exact) -> None:
    terms = total.terms
    old = terms.get(key)
    if old is None:
        terms[key] = coef
        return
    new = bounded(old + coef)
    if new is None:  # kept as a product of its own, which nothing opens
        apart = write_product(space, space.product_of(key, coef))
        terms[apart] = terms.get(apart, 0) + 1
    elif new == 0 and not (space.strict and not is_total(space, key)):
        del terms[key]
    else:
        terms[key] = new


def _add_constant(space: Workspace, total: Sum, c: Exact) -> None:
    if total.const == 0:
        total.const = c
        return
    new = bounded(total.const + c)
    if new is None:
        ident = space.number(c)
        total.terms[ident] = total.terms.get(ident, 0) + 1
    else:
        total.const = new


def _finished(space: Workspace, total: Sum) -> Form:
    """Return a sum as what it is: a number, one term, a multiple of one of its parts, or a sum."""
    terms = total.terms
    if len(terms) <= SMALL:
        total.settle()
    if not terms:
        return total.const
    if len(terms) == 1 and total.const == 0:
        [(key, coef)] = terms.items()
        return total if coef == 0 else simple(space, space.product_of(key, coef))
    if total.parts and len(terms) <= SMALL:
        for part, c in total.parts:
            whole = len(part.terms) == len(terms) and total.const == c * part.const
            if whole and c not in (1, -1) and is_intact(part, c, terms, total.const):
                return space.product_of(write(space, part), c)
    return total
