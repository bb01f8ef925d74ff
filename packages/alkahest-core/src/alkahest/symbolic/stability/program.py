"""A program: nodes in the order of computation, which floats and Arb's balls both run through."""

# NumPy's functions on arrays of any type say nothing of theirs.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple
from zlib import crc32

from alkahest.base.rules import impl_rules
from alkahest.errors import NumberOverflowError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import CONSTANTS, LEAVES, ExprPool
from alkahest.expr.traversal import reachable

NUMBERS = frozenset({"integer", "rational", "float"})


# Ops that every machine rounds alike.
_SURE = frozenset(
    "add sub mul div neg sqrt fma abs sign floor ceil trunc round round_away min max fmin fmax copysign fmod remainder "
    "lt le gt ge eq ne and or not where".split()
)


def doubted(op: str, value: Any) -> Any:
    """Return values of a function, half of them moved by one unit in the last place, as if another library gave them.

    A formula that is right only because two functions err alike is found out so. Which values move depends on the
    values alone. 0 and 1 stay: those are exact.
    """
    import numpy as np

    if op in _SURE:
        return value
    value = np.ascontiguousarray(value)
    salt = np.uint64(crc32(op.encode()) * 0x9E3779B1)
    mixed = ((value.view(np.uint64) ^ salt) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(61)
    exact = (value == 0) | (np.abs(value) == 1) | ~np.isfinite(value)
    up, down = (mixed == 1) | (mixed == 2), (mixed == 5) | (mixed == 6)
    moved = np.where(up, np.nextafter(value, np.inf), np.where(down, np.nextafter(value, -np.inf), value))
    return np.where(exact, value, moved)


class Op(NamedTuple):
    """One node: "input" with the number of its column, "number" with a Fraction, "const" with a name, or an op."""

    op: str
    args: tuple[int, ...] = ()
    value: Any = None


class Program(NamedTuple):
    """Nodes, children before parents."""

    ops: list[Op]

    def floats(self, columns: Sequence[Any], *, doubtful: bool = False) -> list[Any]:
        """Return the value of every node at the points of columns of floats, computed in their arithmetic.

        `doubtful` lets functions err as those of another machine may: see `doubted`.
        """
        import numpy as np

        out: list[Any] = []
        size = len(columns[0]) if columns else 1
        with np.errstate(all="ignore"):
            for op in self.ops:
                if op.op == "input":
                    out.append(columns[op.value])
                elif op.op in ("number", "const"):
                    out.append(np.full(size, nearest_float(op)))
                else:
                    rule = impl_rules.by_name(op.op)
                    value = np.broadcast_to(rule.array_function()(*[out[a] for a in op.args]), (size,))
                    out.append(doubted(op.op, value) if doubtful else value)
        return out


def leaf_op(pool: ExprPool, ident: int, inputs: dict[int, int]) -> Op:
    """Return a leaf as an `Op`; `inputs` gives the column of each symbol by its id."""
    node = pool._nodes[ident]
    if node[0] == "symbol":
        return Op("input", (), inputs[ident])
    if node[0] == "const":
        return Op("const", (), node[1])
    return Op("number", (), Fraction(node[1], node[2]) if node[0] == "rational" else Fraction(node[1]))


def program_of(exprs: Sequence[Expr], inputs: dict[int, int]) -> tuple[Program, dict[int, int]]:
    """Return the program of some expressions, and where in it each of their nodes stands, by id."""
    pool = exprs[0].pool
    ops: list[Op] = []
    where: dict[int, int] = {}
    for i in reachable(pool, [e.id for e in exprs]):
        node = pool._nodes[i]
        where[i] = len(ops)
        ops.append(leaf_op(pool, i, inputs) if node[0] in LEAVES else Op(node[0], tuple([where[a] for a in node[1:]])))
    return Program(ops), where


def nearest_float(op: Op) -> float:
    """Return the float of a number or constant; infinite where it is beyond their range."""
    if op.op == "const":
        return CONSTANTS[op.value]
    try:
        return op.value.numerator / op.value.denominator
    except (OverflowError, NumberOverflowError):
        return float("inf") if op.value > 0 else float("-inf")
