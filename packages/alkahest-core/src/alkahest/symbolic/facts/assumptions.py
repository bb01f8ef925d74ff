"""Assumptions: conditions that are taken to hold, in a block of code or in one call."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction

from alkahest.errors import AssumptionError
from alkahest.expr.building import building
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.symbolic.exact import Exact, exact_of
from alkahest.symbolic.facts.analysis import facts_of
from alkahest.symbolic.facts.fact import ANY, NONZERO, Fact, both, exactly
from alkahest.symbolic.facts.implied import spread

_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
_REMEDY = "Assume comparisons, such as x > 0; join them with and_."

_current: ContextVar[tuple[Expr, ...]] = ContextVar("alkahest_assumptions", default=())


@contextmanager
def assuming(*conditions: Expr) -> Generator[None]:
    """Let conditions hold in a block: `simplify` and what builds on it may rely on them there, in this thread or task.

    A condition compares expressions (`x > 0`, `ne(x, y)`), or joins comparisons by `and_`; blocks may be nested.
    Raises `AssumptionError` for anything else, and for conditions that are seen to contradict each other or the
    domains of symbols.

    >>> x = ExprPool().symbol("x")
    >>> with assuming(x > 0):
    ...     conditions_now()
    (x > 0,)
    """
    known = (*_current.get(), *conditions)
    for condition in conditions:  # raises for what cannot be assumed
        assumed_facts(known, getattr(condition, "pool", None))
    token = _current.set(known)
    try:
        yield
    finally:
        _current.reset(token)


def conditions_now() -> tuple[Expr, ...]:
    """Return the conditions that hold in the blocks around.

    >>> conditions_now()
    ()
    """
    return _current.get()


def assumed_facts(conditions: Iterable[Expr], pool: ExprPool | None = None) -> dict[int, Fact]:
    """Return what conditions say of nodes of `pool`, by id; conditions of other pools than it are left out.

    Without a `pool` it is that of the first condition. Errors are those of `assuming`.

    >>> x, y = ExprPool().symbols("x y")
    >>> assumed_facts([x - 1 > y])[(x - 1 - y).id].positive
    True
    """
    facts: dict[int, Fact] = {}
    for condition in conditions:
        if not isinstance(condition, Expr):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AssumptionError(f"a {type(condition).__name__} cannot be assumed.", remedy=_REMEDY)
        pool = condition.pool if pool is None else pool
        if condition.pool is pool:
            for ident, fact in _facts(condition):
                facts[ident] = both(facts.get(ident, ANY), fact)
            _check(condition, facts)
    return facts


def _check(condition: Expr, facts: dict[int, Fact]) -> None:
    """Raise `AssumptionError` where the facts, of which `condition` gave the last, contradict each other."""
    pool = condition.pool
    implied = spread(pool, facts)
    if any([f.impossible for f in facts_of(pool, implied, implied).values()]):
        raise AssumptionError(
            f"{condition} contradicts what else is assumed, or the domains of its symbols.",
            remedy="Leave out one of the conditions.",
        )


def _facts(condition: Expr) -> Iterable[tuple[int, Fact]]:
    """Yield (node, fact) for each comparison in a condition."""
    pool = condition.pool
    work = [(condition.id, True)]
    while work:
        ident, holds = work.pop()
        node = pool._nodes[ident]
        op = node[0]
        value = exact_of(node)
        if value is not None:  # what was folded when it was built
            yield ident, NONZERO if holds else exactly(0)
        elif op == "not":
            work.append((node[1], not holds))
        elif (op == "and" and holds) or (op == "or" and not holds):
            work += [(node[1], holds), (node[2], holds)]
        elif op in _FLIPPED:
            yield from _comparison(pool, op if holds else _OPPOSITE[op], node[1], node[2])
        else:
            raise AssumptionError(f"{condition} cannot be assumed.", remedy=_REMEDY)


def _comparison(pool: ExprPool, op: str, left: int, right: int) -> Iterable[tuple[int, Fact]]:
    a, b = _number(pool, left), _number(pool, right)
    if b is not None:
        yield left, _against(op, b)
    elif a is not None:
        yield right, _against(_FLIPPED[op], a)
    if op == "ne" or (a is None and b is None):
        with building(None):
            yield pool.apply("sub", Expr(pool, left), Expr(pool, right)).id, _against(op, 0)
            yield pool.apply("sub", Expr(pool, right), Expr(pool, left)).id, _against(_FLIPPED[op], 0)


def _number(pool: ExprPool, ident: int) -> Exact | None:
    node = pool._nodes[ident]
    return Fraction(node[1]) if node[0] == "float" else exact_of(node)


def _against(op: str, number: Exact) -> Fact:
    """Return the fact of values that stand in a relation to a number."""
    if op in ("gt", "ge"):
        return both(Fact(low=number, low_open=op == "gt"), ANY)
    if op in ("lt", "le"):
        return both(Fact(high=number, high_open=op == "lt"), ANY)
    if op == "eq":
        return exactly(number)
    return NONZERO if number == 0 else ANY
