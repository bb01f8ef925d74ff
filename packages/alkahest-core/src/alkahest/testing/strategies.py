"""Hypothesis strategies: random expressions, points, tapes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from alkahest import extend
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import Tape, linearize
from alkahest.prims.scalar import declarations

# The first argument of polygamma is an order: a random number there only gives nan.
LEFT_OUT = frozenset({"polygamma"})
SYMBOLS = ("x", "y")


def op_names(*, polygamma: bool = False) -> list[str]:
    """Return the names of the primitives that random expressions use."""
    return [op for op in extend.prim_names() if polygamma or op not in LEFT_OUT]


def literals() -> st.SearchStrategy[Any]:
    """Return a strategy of numbers as they stand in formulas: integers, fractions and floats of moderate size.

    >>> from hypothesis import find
    >>> bool(find(literals(), lambda v: v > 3) > 3)
    True
    """
    return st.one_of(
        st.integers(-9, 9),
        st.fractions(-9, 9, max_denominator=12),
        st.floats(-1e3, 1e3, allow_nan=False, allow_subnormal=False),
    )


@st.composite
def expr_lists(
    draw: st.DrawFn,
    symbols: tuple[str, ...] = SYMBOLS,
    *,
    ops: list[str] | None = None,
    max_ops: int = 10,
    max_outputs: int = 3,
) -> list[Expr]:
    """Return a strategy of some expressions of one fresh pool, which share nodes; it holds all `symbols`."""
    pool = ExprPool()
    nodes = [*pool.symbols(symbols), *(pool.number(v) for v in draw(st.lists(literals(), max_size=3)))]
    if not nodes:
        nodes = [pool.integer(1)]
    for op in draw(st.lists(st.sampled_from(ops or op_names()), max_size=max_ops)):
        # Counted from the newest node back, so that what is drawn last is small and the formula grows deep.
        back = [draw(st.integers(1, len(nodes))) for _ in range(declarations[op].arity)]
        nodes.append(pool.apply(op, *[nodes[-k] for k in back]))
    picks = draw(st.lists(st.integers(1, len(nodes)), min_size=1, max_size=max_outputs))
    return [nodes[-k] for k in picks]


def exprs(
    symbols: tuple[str, ...] = SYMBOLS, *, ops: list[str] | None = None, max_ops: int = 10
) -> st.SearchStrategy[Expr]:
    """Return a strategy of expressions over `symbols`, each in a pool of its own that holds all of them.

    >>> from hypothesis import find
    >>> find(exprs(ops=["sin", "add"]), lambda e: e.op == "sin")
    sin(y)
    """
    return expr_lists(symbols, ops=ops, max_ops=max_ops, max_outputs=1).map(lambda found: found[0])


def points(
    n: int = len(SYMBOLS), *, low: float = -10.0, high: float = 10.0, subnormal: bool = True
) -> st.SearchStrategy[list[float]]:
    """Return a strategy of `n` finite floats, among them zeros of both signs, whole numbers and tiny ones.

    `subnormal=False` leaves out numbers below the smallest normal one.

    >>> from hypothesis import find
    >>> find(points(2), lambda p: p == [0.5, -1.0])
    [0.5, -1.0]
    """
    numbers = st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5]),
        st.floats(low, high, allow_nan=False, allow_subnormal=subnormal),
    )
    return st.lists(numbers, min_size=n, max_size=n)


def tapes(
    symbols: tuple[str, ...] = SYMBOLS,
    *,
    ops: list[str] | None = None,
    max_ops: int = 10,
    max_outputs: int = 3,
) -> st.SearchStrategy[Tape]:
    """Return a strategy of tapes with inputs `symbols` and up to `max_outputs` outputs.

    >>> from hypothesis import find
    >>> print(find(tapes(ops=["mul"]), lambda tape: len(tape.instrs) == 1))
    tape(x, y)
      %2 = mul %1, %1
      return %2
    """

    def flatten(found: list[Expr]) -> Tape:
        pool = found[0].pool
        return linearize(found, [pool.symbol(name) for name in symbols])

    return expr_lists(symbols, ops=ops, max_ops=max_ops, max_outputs=max_outputs).map(flatten)
