"""Signs in arguments: what an odd function passes on and an even one drops."""

from __future__ import annotations

from fractions import Fraction

from alkahest.symbolic.forms import SMALL, Form, Product, Sum, Workspace
from alkahest.symbolic.ordering import sort_key
from alkahest.symbolic.sums import negated, scale
from alkahest.symbolic.writing import write


def opposite(space: Workspace, form: Form) -> Form | None:
    """Return minus `form` where all of it carries a minus sign, else None."""
    if isinstance(form, Sum):
        if form.const > 0 or len(form.terms) > SMALL or any([c > 0 for c in form.terms.values()]):
            return None
        if form.const == 0 and not any(form.terms.values()):
            return None
        return negated(form)
    lead = form.coef if isinstance(form, Product) else form
    return scale(space, -1, form) if lead < 0 else None


def unsigned(space: Workspace, form: Form) -> Form:
    """Return `form` or minus `form`, the same one for both; what comes first has a plus sign."""
    if isinstance(form, int | Fraction):
        return abs(form)
    if isinstance(form, Product):
        return scale(space, -1, form) if form.coef < 0 else form
    if len(form.terms) > SMALL or any([k >= 0 and space.nodes[k][0] in ("add", "sub") for k in form.terms]):
        return form
    leading = min(form.terms, key=lambda key: sort_key(space, key))
    return negated(form) if form.terms[leading] < 0 else form


def absolute_base(space: Workspace, base: int) -> int:
    """Return the id of the absolute value of an atom."""
    alone = space.sums.get(base)
    inner: Form = Product(1, {base: 1}, base, shared=True) if alone is None else unsigned(space, alone)
    ident = space.intern(("abs", write(space, inner)))
    space.special[ident] = inner
    return ident
