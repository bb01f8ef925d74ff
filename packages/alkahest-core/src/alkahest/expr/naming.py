"""What the names in a formula stand for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from alkahest.errors import NotASymbolError
from alkahest.expr.vocabulary import CONSTANT_NAMES

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import ExprPool


class Names:
    """What names stand for."""

    def __init__(self, pool: ExprPool, symbols: Iterable[Expr] | Mapping[str, Any] | None) -> None:
        self._pool = pool
        self._closed = symbols is not None
        given = _named(symbols or ())
        self._known = {name: pool.expr(value).id for name, value in given.items()}

    def find(self, name: str) -> int | None:
        """Return what `name` stands for, constants included; None where it is not known (yet)."""
        ident = self.symbol(name)
        if ident is None and name in CONSTANT_NAMES:
            ident = self._known[name] = self._pool.constant(CONSTANT_NAMES[name]).id
        return ident

    def symbol(self, name: str) -> int | None:
        """Return the symbol of that name, None where there is none."""
        ident = self._known.get(name)
        if ident is None and not self._closed:
            found = self._pool.find_symbol(name)
            if found is not None:
                ident = self._known[name] = found.id
        return ident

    def make(self, name: str) -> int | None:
        """Return a new symbol, None where only the symbols that were given may be used."""
        if self._closed:
            return None
        self._known[name] = self._pool.symbol(name).id
        return self._known[name]

    def listed(self) -> list[str]:
        """Return the names known so far."""
        return sorted(self._known)


def _named(symbols: Any) -> dict[str, Any]:
    if isinstance(symbols, Mapping):
        return dict(symbols)  # pyright: ignore[reportUnknownArgumentType]
    out: dict[str, Any] = {}
    for symbol in symbols:
        name = getattr(symbol, "name", None)
        if not isinstance(name, str):
            raise NotASymbolError(
                f"{symbol!r} is listed in `symbols` and is no symbol.",
                remedy="List symbols, or map names to expressions.",
            )
        out[name] = symbol
    return out


def suggestion(name: str, known: list[str]) -> str:
    """Return a question that offers the known names closest to `name`, or nothing."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else ""
