"""`emit_c`: expressions as standalone C99."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alkahest.emitting.c_names import check_names
from alkahest.emitting.c_writer import REALS, write_function
from alkahest.errors import ArityError, ConfigError, EmitError
from alkahest.expr.expression import Expr
from alkahest.expr.tape import linearize
from alkahest.plugins.manager import load_lowerings


def emit_c(
    expr: Any,
    inputs: Expr | Sequence[Expr],
    *,
    var_name: str | None = None,
    var_names: Sequence[str] | None = None,
    fn_name: str = "f",
    dtype: str = "f64",
) -> str:
    """Return C99 text of a function that computes `expr`; it needs <math.h> alone, and is C++ as well.

    One expression gives `double f(double x, …)`, which returns its value. A list, of any length, gives
    `void f(double x, …, double *out0, double *out1, …)`, which stores one value per pointer after all are computed.
    `inputs` are the symbols that become parameters, in order. `var_name` (one input) or `var_names` name the
    parameters otherwise than the symbols are named; `fn_name` names the function. `dtype="f32"` computes in `float`.

    Numbers are written so that they read back exactly: floats as their shortest decimals, exact rationals, pi and e
    as the nearest double. Subexpressions used more than once are temporaries, and so are parts of long and deep
    expressions; a function of thousands of operations is split into static ones. Powers 2, 3 and -1 are written as
    products and quotient, all others as `pow`. Conditions are C's own; where one is used as a number it is 1.0 or
    0.0. The text rounds every operation by itself; compilers that contract products and sums by default keep to that
    with `-ffp-contract=off`.

    Raises `IdentifierError` for a name that is no free identifier of C, `EmitError` for a primitive without a rule
    in the lowering table "c", `ArityError` for a wrong number of names, and what `compile_expr` raises for inputs:
    `UnknownSymbolError`, `DuplicateInputError`, `NotASymbolError`, `PoolMismatchError`.

    >>> from alkahest import ExprPool, emit_c, exp, sin
    >>> x = ExprPool().symbol("x")
    >>> print(emit_c(sin(x) * exp(-x), [x], fn_name="damped_sin"))
    #include <math.h>
    <BLANKLINE>
    double damped_sin(double x) {
        return sin(x) * exp(-x);
    }
    <BLANKLINE>
    """
    if dtype not in REALS:
        raise ConfigError(f"dtype {dtype!r} is not known.", remedy="Use 'f64' or 'f32'.")
    symbols = [inputs] if isinstance(inputs, Expr) else list(inputs)
    outputs = _outputs(expr, symbols)
    tape = linearize(outputs, symbols)
    names = _parameter_names(tape.inputs, var_name, var_names)
    check_names(fn_name, names)
    load_lowerings("c")
    return str(write_function(tape, names, fn_name, dtype, returns=not isinstance(expr, list | tuple)))


def _outputs(expr: Any, symbols: list[Expr]) -> list[Expr]:
    """Return what to compute as expressions; numbers among them become literals of the pool in use."""
    values: list[Any] = list(expr) if isinstance(expr, list | tuple) else [expr]  # pyright: ignore[reportUnknownArgumentType]
    pools = [v.pool for v in [*values, *symbols] if isinstance(v, Expr)]
    if not values or not pools:
        raise EmitError(
            "there is nothing to write: no expression was given.", remedy="Pass an Expr, or a list of them."
        )
    return [v if isinstance(v, Expr) else pools[0].expr(v) for v in values]


def _parameter_names(symbols: tuple[str, ...], var_name: str | None, var_names: Sequence[str] | None) -> list[str]:
    if var_name is not None and var_names is not None:
        raise ArityError(
            "var_name and var_names were both given.",
            remedy="Use var_name for one input and var_names for several.",
        )
    if var_name is not None:
        var_names = [var_name]
    if var_names is None:
        return list(symbols)
    names = [var_names] if isinstance(var_names, str) else list(var_names)
    if len(names) != len(symbols):
        raise ArityError(
            f"{len(names)} name(s) were given for {len(symbols)} input(s).",
            remedy="Pass one name per input, in order, in var_names=[…].",
        )
    return names
