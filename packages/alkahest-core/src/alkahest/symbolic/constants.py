"""Operations on exact numbers alone, computed before anything is compiled: one rounding instead of several."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Sequence

from alkahest.errors import NumberOverflowError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.tape import literal_float
from alkahest.expr.traversal import reachable, rebuild
from alkahest.symbolic.exact import Exact, exact_call, exact_node, exact_of


def fold_constants(outputs: Sequence[Expr]) -> list[Expr]:
    """Return expressions of one pool with every operation on exact literals replaced by its exact value.

    What has no exact value stays, and what is zero (its sign would be lost) or beyond the range of floats. The
    expressions are otherwise as they were; the time is linear in the DAG.

    >>> x = ExprPool().symbol("x")
    >>> fold_constants([x * (x.pool.rational(1, 3) + 2 ** x.pool.integer(5)), x + 2])
    [x*(97/3), x + 2]
    """
    outputs = list(outputs)
    if not outputs:
        return outputs
    pool = outputs[0].pool
    nodes = pool._nodes
    order = reachable(pool, [o.id for o in outputs])
    values: dict[int, Exact] = {}
    for i in order:
        number = exact_of(nodes[i])
        if number is not None:
            values[i] = number
    folded: dict[int, Expr] = {}
    for i in order if values else ():
        node = nodes[i]
        if node[0] not in LEAVES and node[1] in values and node[-1] in values:
            literal = _value(pool, node[0], [values.get(a) for a in node[1:]])
            if literal is not None:
                folded[i] = literal
                number = exact_of(nodes[literal.id])
                if number is not None:
                    values[i] = number
    return rebuild(outputs, folded.get) if folded else outputs


def _value(pool: ExprPool, op: str, operands: Sequence[Exact | None]) -> Expr | None:
    known = [v for v in operands if v is not None]
    value = exact_call(op, known) if len(known) == len(operands) else None
    if value is None or value == 0:
        return None
    literal = Expr(pool, pool._intern(exact_node(value)))
    try:
        literal_float(pool, literal.id)
    except NumberOverflowError:
        return None
    return literal
