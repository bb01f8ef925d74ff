"""The canonical form: flat sums and products, exact constants folded, like terms collected, in linear time.

The result equals the input wherever the input is defined, and may be defined in more places (x/x becomes 1). Sharing
is never written out: a sum or product is copied into what it occurs in while it is small, see `forms.SMALL`.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any
from weakref import WeakKeyDictionary

from alkahest.errors import PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.facts.fact import Fact
from alkahest.symbolic.forms import Form, Product, Sum, Undefined, Workspace, atom
from alkahest.symbolic.functions import call
from alkahest.symbolic.products import divide, multiply, power
from alkahest.symbolic.signs import fact_of_atom, learn
from alkahest.symbolic.strictness import nothing_of
from alkahest.symbolic.sums import add, scale
from alkahest.symbolic.writing import write

# Written anew, what was too large to be copied may have lost its other uses: repeated until nothing changes.
_MAX_PASSES = 6
# Building node by node reads this many nodes of an operand at most, and remembers so many.
_READ_AT_MOST = 256
_REMEMBER_AT_MOST = 50_000


def canonical(exprs: Sequence[Expr], *, assumed: Mapping[int, Fact] | None = None, strict: bool = False) -> list[Expr]:
    """Return the canonical forms of expressions of one pool, in the same pool.

    Equal forms are the same `Expr`, whatever order things were created in. `assumed` are facts of nodes, by id; the
    result is equal where they hold. With `strict` it also has no value where the expression has none. The time is
    linear in the number of distinct nodes. Expressions of two pools raise `PoolMismatchError`.

    >>> x, y = ExprPool().symbols("x y")
    >>> canonical([x + y + x, x * y / x, (x - y) * 0])
    [2*x + y, y, 0]
    >>> canonical([x / x, (x * x) ** Fraction(1, 2)], assumed={x.id: Fact(high=0)}, strict=True)
    [1, -x]
    """
    if not exprs:
        return []
    pool = exprs[0].pool
    for e in exprs:
        if e.pool is not pool:
            raise PoolMismatchError(
                "expressions of two pools cannot be simplified together.",
                remedy="Build all parts in one ExprPool, or simplify them one by one.",
            )
    ids = [e.id for e in exprs]
    texts: dict[int, str] = {}
    for _ in range(_MAX_PASSES):
        space = Workspace(pool, reuses=True, strict=strict)
        space.texts = texts
        if assumed:
            _assume(space, pool, assumed)
        ids, closed = _one_pass(space, pool, ids)
        if not closed or _all_shared(pool, ids, closed):
            break
    return [Expr(pool, i) for i in ids]


def _assume(space: Workspace, pool: ExprPool, assumed: Mapping[int, Fact]) -> None:
    """Take it that facts hold of nodes, written in canonical form as they will be met."""
    nodes, forms = space.nodes, space.forms
    for i in reachable(pool, assumed):
        node = nodes[i]
        op = node[0]
        form = leaf_form(space, i, node) if op in LEAVES else _combined(space, op, [forms[c] for c in node[1:]])
        forms[i] = mark_shared(space, form)
        if i in assumed:
            learn(space, form, assumed[i])
    forms.clear()


def _one_pass(space: Workspace, pool: ExprPool, roots: list[int]) -> tuple[list[int], set[int]]:
    """Return the roots' canonical nodes, and what stayed whole because it is used elsewhere too."""
    nodes = pool._nodes
    uses = _uses(pool, roots)
    forms = space.forms
    for i in uses:
        node = nodes[i]
        op = node[0]
        form = leaf_form(space, i, node) if op in LEAVES else _combined(space, op, [forms[c] for c in node[1:]])
        forms[i] = mark_shared(space, form) if uses[i] > 1 else form
    return [write(space, forms[i]) for i in roots], space.closed


def _uses(pool: ExprPool, roots: list[int]) -> dict[int, int]:
    """Return how often each node is used, children before parents."""
    nodes = pool._nodes
    uses = dict.fromkeys(reachable(pool, roots), 0)
    for i in roots:
        uses[i] += 1
    for i in uses:
        node = nodes[i]
        if node[0] not in LEAVES:
            for child in node[1:]:
                uses[child] += 1
    return uses


def _all_shared(pool: ExprPool, roots: list[int], closed: set[int]) -> bool:
    uses = _uses(pool, roots)
    return all([uses.get(i, 2) > 1 for i in closed])


def mark_shared(space: Workspace, form: Form) -> Form:
    """Return `form`, which several uses may now hold: whoever changes it makes a copy first."""
    if isinstance(form, Product | Sum):
        form.settle()
    if isinstance(form, Product):
        form.shared = True
        alone = space.sums.get(form.key) if form.key is not None else None
        if alone is not None:
            alone.shared = True
    elif isinstance(form, Sum):
        form.shared = True
    return form


def leaf_form(space: Workspace, ident: int, node: tuple[Any, ...]) -> Form:
    """Return the form of a symbol or literal."""
    head = node[0]
    if head == "symbol":
        return atom(ident)
    if head == "integer":
        return node[1]
    if head == "rational":
        return Fraction(node[1], node[2])
    if head == "float":
        if node[1] < 0:  # the sign of a float is arithmetic like any other
            ident = space.intern(("float", -node[1], 1.0))
            return Product(-1, {ident: 1}, ident)
        if node[1] == 0:
            space.zeros.add(ident)
    return atom(ident)


def _combined(space: Workspace, op: str, args: list[Form]) -> Form:
    """Return the form of `op(*args)`; what has no value is kept as it is written."""
    if space.undefined and op != "where" and any([_is_undefined(space, a) for a in args]):
        return _kept(space, op, args)
    try:
        rule = _ARITHMETIC.get(op)
        if rule is not None:
            return rule(space, *args)
        for a in args:
            if isinstance(a, Product | Sum):
                a.settle()
        return call(space, op, args)
    except Undefined:
        return _kept(space, op, args)


def _is_undefined(space: Workspace, form: Form) -> bool:
    return isinstance(form, Product) and form.key in space.undefined


def _kept(space: Workspace, op: str, args: list[Form]) -> Form:
    ident = space.intern((op, *[write(space, a) for a in args]))
    space.undefined.add(ident)
    return atom(ident)


def _pow(space: Workspace, base: Form, exponent: Form) -> Form:
    if isinstance(exponent, int | Fraction):
        return power(space, base, exponent)
    if isinstance(base, int) and base == 1:
        return add(space, 1, nothing_of(space, exponent))
    i = write(space, base)
    head, *inner = space.nodes[i]
    if (head, *inner) == ("const", "e"):
        return call(space, "exp", [exponent])
    if head == "exp":
        return call(space, "exp", [multiply(space, atom(inner[0]), exponent)])
    if head == "pow" and _powers_merge(space, inner[0]):
        return _pow(space, atom(inner[0]), multiply(space, atom(inner[1]), exponent))
    return atom(space.intern(("pow", i, write(space, exponent))))


def _powers_merge(space: Workspace, base: int) -> bool:
    """Tell whether (base**a)**b is base**(a*b); of 0, the latter has a value where both are negative."""
    fact = fact_of_atom(space, base)
    return fact.positive or (fact.nonnegative and not space.strict)


_ARITHMETIC: dict[str, Callable[..., Form]] = {
    "add": add,
    "sub": lambda space, f, g: add(space, f, g, -1),
    "mul": multiply,
    "div": divide,
    "neg": lambda space, f: scale(space, -1, f),
    "pow": _pow,
}


# -- one node at a time

# What is read through in an operand; everything else is an atom.
_SPINE = frozenset({"add", "sub", "mul", "div", "neg", "pow", "sqrt", "abs", "cbrt"})


class _Spaces(threading.local):
    def __init__(self) -> None:
        self.by_pool: WeakKeyDictionary[ExprPool, Workspace] = WeakKeyDictionary()


_spaces = _Spaces()


def canonical_node(pool: ExprPool, op: str, args: tuple[int, ...]) -> Expr:
    """Return the canonical form of `op(*args)` for operands in canonical form: a builder for `building`.

    Sums and products of more than `forms.SMALL` operands are not sorted into each other here.
    """
    space = _space_of(pool)
    space.intern = pool._intern
    try:
        form = _combined(space, op, [read_form(space, a) for a in args])
        ident = write(space, form)
    finally:
        space.release()
    space.forms[ident] = mark_shared(space, form)
    return Expr(pool, ident)


def _space_of(pool: ExprPool) -> Workspace:
    space = _spaces.by_pool.get(pool)
    if space is None or len(space.forms) > _REMEMBER_AT_MOST:
        texts = {} if space is None else space.texts
        space = _spaces.by_pool[pool] = Workspace(pool, reuses=False)
        space.texts = texts
    return space


def texts_of(pool: ExprPool) -> dict[int, str]:
    """Return the texts by which nodes of a pool are sorted, as far as they are known here."""
    return _space_of(pool).texts


def read_form(space: Workspace, root: int) -> Form:
    """Return the form of a node that is in canonical form; an atom where it is large."""
    forms, nodes = space.forms, space.nodes
    budget = _READ_AT_MOST
    stack = [root]
    while stack:
        i = stack[-1]
        node = nodes[i]
        if i not in forms and node[0] in _SPINE:
            missing = [c for c in node[1:] if c not in forms]
            budget -= len(missing)
            if budget < 0:
                return atom(root)
            if missing:
                stack += missing
                continue
            forms[i] = mark_shared(space, _combined(space, node[0], [forms[c] for c in node[1:]]))
        elif i not in forms:
            forms[i] = mark_shared(space, leaf_form(space, i, node) if node[0] in LEAVES else atom(i))
        stack.pop()
    return forms[root]
