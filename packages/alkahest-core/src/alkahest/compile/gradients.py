"""Derivatives of traced functions, as traced functions again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alkahest.base import trees
from alkahest.compile.program import Program
from alkahest.compile.tracing import TracedFn
from alkahest.errors import TraceError
from alkahest.expr.expression import Expr
from alkahest.symbolic.derivative import check_variables, jacobian_rows


class GradTracedFn(TracedFn):
    """A traced function whose result is a list of derivatives: `.exprs` over `.symbols`."""

    kind = "GradTracedFn"

    @property
    def exprs(self) -> Any:
        """The derivatives, one per symbol or argument; rows of them for second derivatives."""
        return self.expr


class CompiledGradTracedFn(GradTracedFn):
    """Derivatives that ask for native code from their first call; see `jit`."""

    kind = "CompiledGradTracedFn"


def grad(f: TracedFn, wrt: Sequence[Expr] | None = None) -> GradTracedFn:
    """Return the gradient of a scalar-valued traced function, folded.

    Its value is a list with one entry per argument, in that argument's structure, or one per symbol of `wrt`.
    `grad(grad(f))` gives the rows of the Hessian. A function of several outputs wants `jacobian`.

    >>> import alkahest
    >>> f = alkahest.trace_fn(lambda x, y: x**2 + alkahest.sin(y), alkahest.ExprPool())
    >>> grad(f).exprs
    [2*x, cos(y)]
    >>> grad(f)(3.0, 0.0)
    [6.0, 1.0]
    >>> grad(grad(f)).exprs
    [[2, 0], [0, -sin(y)]]
    """
    _require_traced(f, "grad")
    program = f.program
    if not isinstance(f, GradTracedFn) and not program.out_tree.is_leaf():
        raise TraceError(
            f"grad needs a function of one output, and {program.name} has {len(program.outputs)}.",
            remedy="Use jacobian for several outputs.",
        )
    return GradTracedFn(program.with_outputs(_derivatives(program, wrt)))


def value_and_grad(f: TracedFn, wrt: Sequence[Expr] | None = None) -> TracedFn:
    """Return a traced function that gives the pair (value, gradient), sharing what both need.

    >>> import alkahest
    >>> f = alkahest.trace_fn(lambda x: x**3, alkahest.ExprPool())
    >>> value_and_grad(f)(2.0)
    (8.0, [12.0])
    """
    gradient = grad(f, wrt)
    return TracedFn(f.program.with_outputs((f.expr, gradient.exprs)))


def jacobian(f: TracedFn, wrt: Sequence[Expr] | None = None) -> GradTracedFn:
    """Return the Jacobian of a traced function: for each output leaf, in the outputs' structure, its gradient.

    >>> import alkahest
    >>> f = alkahest.trace_fn(lambda x, y: [x * y, x - y], alkahest.ExprPool())
    >>> jacobian(f).exprs
    [[y, x], [1, -1]]
    """
    _require_traced(f, "jacobian")
    return GradTracedFn(f.program.with_outputs(_derivatives(f.program, wrt)))


def hessian(f: TracedFn, wrt: Sequence[Expr] | None = None) -> GradTracedFn:
    """Return the Hessian of a scalar-valued traced function: rows of second derivatives.

    >>> import alkahest
    >>> f = alkahest.trace_fn(lambda x, y: x**2 * y, alkahest.ExprPool())
    >>> hessian(f).exprs
    [[2*y, 2*x], [2*x, 0]]
    """
    return grad(grad(f, wrt), wrt)


def _require_traced(f: Any, name: str) -> None:
    if not isinstance(f, TracedFn):
        raise TraceError(
            f"{name} was given a {type(f).__name__}.",
            remedy=f"Trace the function first: {name}(trace_fn(fn, pool)); for an expression use diff(expr, x).",
        )


def _derivatives(program: Program, wrt: Sequence[Expr] | None) -> Any:
    """Return the outputs' structure with each leaf replaced by the list of its derivatives."""
    symbols = program.symbols if wrt is None else check_variables(program.pool, wrt)
    rows = jacobian_rows(program.outputs, symbols)
    if wrt is None:
        rows = [_by_argument(program, row) for row in rows]
    return program.out_tree.unflatten(rows)


def _by_argument(program: Program, row: list[Expr]) -> list[Any]:
    out: list[Any] = []
    at = 0
    for p in program.parameters:
        entries = row[at : at + len(p.symbols)]
        at += len(p.symbols)
        out.append(entries[0] if p.treedef is None else trees.unflatten(entries, p.treedef))
    return out
