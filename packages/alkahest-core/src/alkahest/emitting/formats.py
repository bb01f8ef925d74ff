"""`emit`: an expression in any text format that a plugin writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alkahest.errors import UnknownFormatError
from alkahest.expr.expression import Expr
from alkahest.plugins.manager import emitters, load_factory


def emit(expr: Any, inputs: Expr | Sequence[Expr], format: str = "c", **options: Any) -> str:
    """Return `expr`, one expression or a list, as text of `format`, a function of the symbols `inputs`.

    `options` go to the emitter; those of "c" are the keywords of `emit_c`. `alkahest plugins` lists the formats.
    Raises `UnknownFormatError` for a format that no plugin offers, and what the emitter raises.

    >>> from alkahest import ExprPool, emit
    >>> x = ExprPool().symbol("x")
    >>> print(emit(x * x, [x], format="c", fn_name="square"))
    double square(double x) {
        return x * x;
    }
    <BLANKLINE>
    """
    known = emitters()
    if format not in known:
        raise UnknownFormatError(
            f"no emitter writes the format {format!r} (there are {', '.join(sorted(known)) or 'none'}).",
            remedy="Check the name, and with `alkahest plugins` that the plugin which offers it is loaded.",
        )
    return load_factory(known[format].factory)(expr, inputs, **options)
