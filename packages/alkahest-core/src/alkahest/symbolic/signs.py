"""What is known of atoms, keys and forms: facts, and whether there is a value everywhere."""

from __future__ import annotations

from fractions import Fraction

from alkahest.symbolic.exact import Exact
from alkahest.symbolic.facts.arithmetic import add, div, mul, power
from alkahest.symbolic.facts.fact import ANY, Fact, both, exactly
from alkahest.symbolic.forms import Form, Product, Sum, Workspace
from alkahest.symbolic.writing import write

_TRUTH = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


def is_truth(space: Workspace, ident: int) -> bool:
    """Tell whether a node is a condition: 0 or 1."""
    return space.nodes[ident][0] in _TRUTH


def fact_of_atom(space: Workspace, ident: int) -> Fact:
    """Return what is known of an atom."""
    fact = space.knowledge.fact(ident)
    if space.linear and ident in space.sums:
        return both(fact, _fact_of_sum(space, space.sums[ident]))
    return fact


def fact_of_form(space: Workspace, form: Form) -> Fact:
    """Return what is known of a form, which has to be settled; nothing is written."""
    if isinstance(form, Sum):
        return _fact_of_sum(space, form)
    if isinstance(form, Product):
        return _scaled(fact_of_items(space, form.items), form.coef)
    return exactly(form)


def fact_of_items(space: Workspace, items: dict[int, Exact]) -> Fact:
    """Return what is known of a product of powers."""
    total: Fact | None = None
    for base, exponent in items.items():
        fact = fact_of_atom(space, base)
        fact = fact if exponent == 1 else power(fact, exactly(exponent))
        total = fact if total is None else mul(total, fact)
    return exactly(1) if total is None else total


def _fact_of_sum(space: Workspace, form: Sum) -> Fact:
    total = exactly(form.const)
    for key, coef in form.terms.items():
        fact = fact_of_atom(space, key) if key >= 0 else fact_of_items(space, space.bases[-key - 1])
        total = add(total, _scaled(fact, coef))
        if total == ANY:
            break
    if space.linear:
        direction, scale = _direction(form)
        assumed = space.linear.get(direction)
        if assumed is not None:
            total = both(total, add(exactly(form.const), _scaled(assumed, scale)))
    return total


def _scaled(fact: Fact, coef: Exact) -> Fact:
    return fact if coef == 1 else mul(fact, exactly(coef))


def _direction(form: Sum) -> tuple[frozenset[tuple[int, Exact]], Exact]:
    """Return the terms of a sum up to a factor, and that factor."""
    scale = form.terms[min(form.terms)]
    if scale == 0:
        return frozenset(), 1
    return frozenset([(key, Fraction(coef) / scale) for key, coef in form.terms.items()]), scale


def learn(space: Workspace, form: Form, fact: Fact) -> None:
    """Take it that a fact holds of a form, and of its multiples and shifts."""
    space.knowledge.assume(write(space, form), fact)
    values = fact._replace(integer=False)
    if isinstance(form, Sum) and form.terms:
        direction, scale = _direction(form)
        shifted = values._replace(nonzero=False) if form.const else values
        of_terms = div(add(shifted, exactly(-form.const)), exactly(scale))
        space.linear[direction] = both(space.linear.get(direction, ANY), of_terms)
        if len(form.terms) == 1:
            learn(space, space.product_of(min(form.terms)), of_terms)
    elif isinstance(form, Product) and form.coef != 1:
        inner = Product(1, form.items, form.key, shared=True)
        space.knowledge.assume(write(space, inner), div(values, exactly(form.coef)))


def is_total(space: Workspace, key: int) -> bool:
    """Tell whether what a key names is known to have a value everywhere."""
    is_total_node = space.definedness.is_total
    if key >= 0:
        return is_total_node(key)
    return all([is_total_node(base) for base in space.bases[-key - 1]])


def may_drop(space: Workspace, *idents: int) -> bool:
    """Tell whether nodes may be left out: where the domain is to be kept, what has a value everywhere."""
    return not space.strict or all([is_total(space, i) for i in idents])


def sign_of(fact: Fact) -> int | None:
    """Return the sign of values, None where it is not known."""
    if fact.positive:
        return 1
    if fact.negative:
        return -1
    return 0 if fact.low == fact.high == 0 else None
