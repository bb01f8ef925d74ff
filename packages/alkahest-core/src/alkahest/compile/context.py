"""The active context: a pool and settings for a block of code, per thread and async task."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from alkahest.errors import ContextError, OperandError
from alkahest.expr.building import building
from alkahest.expr.expression import Expr
from alkahest.expr.pool import Builder, ExprPool, check_domain


@dataclass(frozen=True)
class ActiveContext:
    """What a `context` block sets."""

    pool: ExprPool | None = None
    domain: str | None = None
    simplify: bool = False


_current: ContextVar[ActiveContext] = ContextVar("alkahest_context", default=ActiveContext())  # noqa: B039 - frozen


def context(
    *, pool: ExprPool | None = None, domain: str | None = None, simplify: bool | None = None
) -> AbstractContextManager[ActiveContext]:
    """Set the pool, the default domain of symbols, and whether expressions are built in canonical form.

    Blocks nest and inherit what they do not set; each thread and async task has its own. A `pool` that is none raises
    `OperandError`, an unknown `domain` `UnknownDomainError`.

    >>> import alkahest
    >>> with alkahest.context(pool=alkahest.ExprPool(), simplify=True):
    ...     z = alkahest.symbol("z")
    ...     z**2 + 0 * z
    z^2
    """
    if pool is not None and not isinstance(pool, ExprPool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(
            f"context was given a {type(pool).__name__} as its pool.", remedy="Write context(pool=ExprPool())."
        )
    if domain is not None:
        check_domain(domain)
    return _context(pool, domain, simplify)


@contextmanager
def _context(pool: ExprPool | None, domain: str | None, simplify: bool | None) -> Generator[ActiveContext]:
    changes = {k: v for k, v in (("pool", pool), ("domain", domain), ("simplify", simplify)) if v is not None}
    active = replace(_current.get(), **changes)
    with ExitStack() as stack:
        if simplify is not None:
            stack.enter_context(building(_canonical_builder() if simplify else None))
        token = _current.set(active)
        try:
            yield active
        finally:
            _current.reset(token)


def _canonical_builder() -> Builder:
    from alkahest.symbolic.canonical import canonical_node

    return canonical_node


def active_context() -> ActiveContext:
    """Return the settings in force here."""
    return _current.get()


def active_pool() -> ExprPool:
    """Return the pool of the active context, or raise `ContextError`."""
    pool = _current.get().pool
    if pool is None:
        raise ContextError("no context with a pool is active.", remedy="Open one: with context(pool=ExprPool()): …")
    return pool


def symbol(name: str, domain: str | None = None) -> Expr:
    """Return the symbol `name` of the active context's pool, in its default domain unless one is given.

    >>> import alkahest
    >>> with alkahest.context(pool=alkahest.ExprPool(), domain="positive"):
    ...     alkahest.symbol("r").domain
    'positive'
    """
    return active_pool().symbol(name, domain or _current.get().domain)
