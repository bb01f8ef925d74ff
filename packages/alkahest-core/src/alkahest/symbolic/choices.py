"""Conditions, choices and rounding of canonical arguments: decided where facts decide them, in one order otherwise."""

from __future__ import annotations

from collections.abc import Callable

from alkahest.symbolic.facts.arithmetic import add as add_facts
from alkahest.symbolic.facts.arithmetic import neg as neg_fact
from alkahest.symbolic.facts.fact import Fact, both, exactly
from alkahest.symbolic.facts.functions import fact_of_call
from alkahest.symbolic.forms import Form, Product, Sum, Workspace, atom
from alkahest.symbolic.forms import is_exact as is_number
from alkahest.symbolic.ordering import text_of
from alkahest.symbolic.signs import fact_of_form, is_truth, may_drop
from alkahest.symbolic.sums import add
from alkahest.symbolic.writing import write


def ordered(space: Workspace, op: str, a: Form, b: Form) -> Form:
    """Return a commutative call with its arguments in their order, numbers last."""
    i, j = write(space, a), write(space, b)
    if _after(space, i, j):
        i, j = j, i
    return atom(space.intern((op, i, j)))


def _after(space: Workspace, i: int, j: int) -> bool:
    p, q = text_of(space, i), text_of(space, j)
    return (p[0] < "2", p) > (q[0] < "2", q)


def _shared(form: Form) -> Form:
    if isinstance(form, Product | Sum):
        form.shared = True
    return form


def _difference(space: Workspace, a: Form, b: Form) -> Fact:
    """Return what is known of `a - b`."""
    one, other = fact_of_form(space, a), fact_of_form(space, b)
    known = add_facts(one, neg_fact(other))
    if is_number(a) or is_number(b):
        if not space.linear or (not isinstance(a, Sum) and not isinstance(b, Sum)):
            return known
    elif not (isinstance(a, Sum) or isinstance(b, Sum) or space.linear):
        return known
    between = add(space, _shared(a), _shared(b), -1)
    if isinstance(between, Sum | Product):
        between.settle()
    return both(known, fact_of_form(space, between))


def _extremum(op: str, toward: int) -> Callable[..., Form | None]:
    def rule(space: Workspace, a: Form, b: Form) -> Form | None:
        if is_number(a) and is_number(b):
            return None
        i, j = write(space, a), write(space, b)
        if i == j:
            return a
        difference = _difference(space, a, b)
        if difference.nonnegative or difference.nonpositive:
            left = difference.nonnegative == (toward > 0)
            if may_drop(space, j if left else i):
                return a if left else b
        return ordered(space, op, a, b)

    return rule


def _lenient(op: str) -> Callable[..., Form | None]:
    """Return the rule of fmin and fmax, which have a value in floating point where one operand has none."""

    def rule(space: Workspace, a: Form, b: Form) -> Form | None:
        if is_number(a) and is_number(b):
            return None
        return a if write(space, a) == write(space, b) else ordered(space, op, a, b)

    return rule


def _comparison(op: str, flipped: str, decided: Callable[[Fact], bool | None]) -> Callable[..., Form | None]:
    def rule(space: Workspace, a: Form, b: Form) -> Form | None:
        if is_number(a) and is_number(b):
            return None
        i, j = write(space, a), write(space, b)
        found = decided(exactly(0) if i == j else _difference(space, a, b))
        if found is not None and may_drop(space, i, j):
            return int(found)
        return atom(space.intern((flipped, j, i) if _after(space, i, j) else (op, i, j)))

    return rule


def _above(d: Fact) -> bool | None:
    return True if d.positive else False if d.nonpositive else None


def _at_least(d: Fact) -> bool | None:
    return True if d.nonnegative else False if d.negative else None


def _equal(d: Fact) -> bool | None:
    return False if d.not_zero else True if d.low == d.high == 0 else None


def _negation(decided: Callable[[Fact], bool | None]) -> Callable[[Fact], bool | None]:
    def rule(d: Fact) -> bool | None:
        found = decided(d)
        return None if found is None else not found

    return rule


def _rounding(op: str) -> Callable[..., Form | None]:
    def rule(space: Workspace, x: Form) -> Form | None:
        if is_number(x):
            return None
        fact = fact_of_form(space, x)
        if fact.integer:
            return x
        whole = fact_of_call(op, [fact])
        if whole.exact and not whole.impossible and isinstance(whole.low, int) and may_drop(space, write(space, x)):
            return whole.low
        return None

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
        if is_number(a):
            a, b = b, a
        if is_number(b):
            if (b != 0) != absorbing:
                return a if _truth(space, a) else None
            return int(absorbing) if is_number(a) or may_drop(space, write(space, a)) else None
        if write(space, a) == write(space, b) and _truth(space, a):
            return a
        return ordered(space, op, a, b)

    return rule


def _not(space: Workspace, a: Form) -> Form | None:
    if isinstance(a, Product) and a.coef == 1:
        node = space.nodes[write(space, a)]
        if node[0] == "not" and is_truth(space, node[1]):
            return atom(node[1])
    return None


def _where(space: Workspace, condition: Form, a: Form, b: Form) -> Form | None:
    if is_number(condition):
        return b if condition == 0 else a
    return a if write(space, a) == write(space, b) and may_drop(space, write(space, condition)) else None


CHOICES: dict[str, Callable[..., Form | None]] = {
    **{op: _rounding(op) for op in ("floor", "ceil", "trunc", "round", "round_away")},
    "min": _extremum("min", -1),
    "max": _extremum("max", 1),
    "fmin": _lenient("fmin"),
    "fmax": _lenient("fmax"),
    "lt": _comparison("lt", "gt", _negation(_at_least)),
    "gt": _comparison("gt", "lt", _above),
    "le": _comparison("le", "ge", _negation(_above)),
    "ge": _comparison("ge", "le", _at_least),
    "eq": _comparison("eq", "eq", _equal),
    "ne": _comparison("ne", "ne", _negation(_equal)),
    "and": _connective("and", False),
    "or": _connective("or", True),
    "not": _not,
    "where": _where,
}
