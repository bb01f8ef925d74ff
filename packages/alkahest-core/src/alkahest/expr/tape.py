"""The tape: a flat scalar program, and all of an expression that a backend ever sees."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import count, repeat
from typing import Any, NamedTuple, cast

from alkahest.base.once import once
from alkahest.errors import (
    DuplicateInputError,
    NotASymbolError,
    NumberOverflowError,
    PoolMismatchError,
    UnknownSymbolError,
)
from alkahest.expr.expression import Expr
from alkahest.expr.pool import CONSTANTS, LEAVES, ExprPool, Node
from alkahest.expr.traversal import reachable

TAPE_VERSION = 2


class Instr(NamedTuple):
    """One instruction: the name of a primitive, the slots it reads, and static parameters."""

    op: str
    args: tuple[int, ...]
    params: tuple[tuple[str, Any], ...] = ()


# From (op, args, params), in half the time of Instr(op, args, params).
_instruction: Callable[[tuple[Any, ...]], Instr] = partial(cast("Any", tuple).__new__, Instr)


@dataclass(frozen=True)
class Tape:
    """A straight-line scalar program.

    Slots are numbered: the inputs, then the constants, then one for each instruction, which reads lower slots only.
    An output may name any slot. Tapes are hashable and picklable and hold neither pool nor expressions.
    """

    inputs: tuple[str, ...]
    consts: tuple[float, ...]
    instrs: tuple[Instr, ...]
    outputs: tuple[int, ...]

    @property
    def n_slots(self) -> int:
        """The number of slots."""
        return len(self.inputs) + len(self.consts) + len(self.instrs)

    @once
    def ops(self) -> frozenset[str]:
        """The names of the primitives used."""
        return frozenset([i.op for i in self.instrs])

    @once
    def digest(self) -> str:
        """SHA-256 of what the tape computes, names of inputs left out, as 64 hexadecimal digits."""
        ops, args, params = zip(*self.instrs, strict=True) if self.instrs else ((), (), ())
        slots = [a for some in args for a in some]
        head = (TAPE_VERSION, len(self.inputs), len(self.consts), len(ops), len(slots), len(self.outputs))
        h = hashlib.sha256(struct.pack("<6q", *head))
        h.update(struct.pack(f"<{len(self.consts)}d", *self.consts))
        numbers = (*[len(some) for some in args], *slots, *self.outputs)
        try:
            h.update(struct.pack(f"<{len(numbers)}q", *numbers))
        except struct.error:  # slots that are no integers: whoever reads the tape refuses it
            h.update(repr(numbers).encode())
        h.update(" ".join(ops).encode())
        h.update(repr([(k, p) for k, p in enumerate(params) if p]).encode())
        return h.hexdigest()

    def __str__(self) -> str:
        lines = [f"tape({', '.join(self.inputs)})"]
        lines += [f"  %{len(self.inputs) + k} = {c!r}" for k, c in enumerate(self.consts)]
        base = len(self.inputs) + len(self.consts)
        names = [f"%{k}" for k in range(self.n_slots)]
        for k, i in enumerate(self.instrs):
            params = "".join(f" {key}={value!r}" for key, value in i.params)
            lines.append(f"  %{base + k} = {i.op} {', '.join(names[a] for a in i.args)}{params}")
        return "\n".join([*lines, f"  return {', '.join(names[o] for o in self.outputs)}"])


def check_inputs(pool: ExprPool, inputs: Iterable[Any]) -> list[Expr]:
    """Return `inputs` as symbols of `pool`, each once, or raise what is wrong with them."""
    symbols: list[Expr] = []
    seen: set[int] = set()
    for item in inputs:
        if not isinstance(item, Expr) or item.op != "symbol":
            raise NotASymbolError(
                f"{item!r} stands among the inputs and is no symbol.",
                remedy="List symbols of the pool as inputs.",
            )
        if item.pool is not pool:
            raise PoolMismatchError(
                f"the input {item.name} is a symbol of another pool.",
                remedy="Use the pool that holds the expression.",
            )
        if item.id in seen:
            raise DuplicateInputError(f"the input {item.name} is listed twice.", remedy="List each symbol once.")
        seen.add(item.id)
        symbols.append(item)
    return symbols


def literal_float(pool: ExprPool, ident: int) -> float:
    """Return a literal node as the nearest float; an exact number beyond the range of floats raises."""
    node = pool._nodes[ident]
    if node[0] == "const":
        return CONSTANTS[node[1]]
    try:
        return node[1] / node[2] if node[0] == "rational" else float(node[1])
    except OverflowError:
        raise NumberOverflowError(
            f"an exact number of about 2^{abs(node[1]).bit_length()} does not fit a float.",
            remedy="Simplify the expression first, or scale it so that its numbers stay below 1.8e308.",
        ) from None


def rounded_literal(pool: ExprPool, ident: int) -> bool:
    """Tell whether a node is a literal whose number is not that of `literal_float`."""
    node = pool._nodes[ident]
    if node[0] in ("integer", "rational"):
        return Fraction(literal_float(pool, ident)) != Fraction(*node[1:])
    return node[0] == "const"


def linearize(outputs: Sequence[Expr], inputs: Iterable[Any]) -> Tape:
    """Return the tape that computes `outputs` from `inputs`, each shared node once.

    Raises `UnknownSymbolError` where an output uses a symbol that is no input.
    """
    if not outputs:
        return Tape(tuple([str(i) for i in inputs]), (), (), ())
    pool = outputs[0].pool
    for out in outputs:
        if out.pool is not pool:
            raise PoolMismatchError("the outputs are of two pools.", remedy="Build all outputs in one ExprPool.")
    symbols = check_inputs(pool, inputs)
    nodes = pool._nodes
    order = reachable(pool, [o.id for o in outputs])
    slot = {s.id: k for k, s in enumerate(symbols)}
    consts: dict[Any, int] = {}
    values: list[float] = []
    for i in [i for i in order if nodes[i][0] in LEAVES]:
        head, number = nodes[i][:2]
        if head == "symbol":
            _require_input(slot, i, number, symbols)
            continue
        value = number if head == "float" else literal_float(pool, i)
        key = value if value == value and value else value.hex()  # nan is no key, and 0.0 and -0.0 are the same
        at = consts.setdefault(key, len(values))
        if at == len(values):
            values.append(value)
        slot[i] = len(symbols) + at
    body = [i for i in order if nodes[i][0] not in LEAVES]
    slot.update(zip(body, count(len(symbols) + len(values))))
    names = tuple([str(s.name) for s in symbols])
    instrs = _instructions([nodes[i] for i in body], slot)
    return Tape(names, tuple(values), instrs, tuple([slot[o.id] for o in outputs]))


def _instructions(nodes: Sequence[Node], slot: dict[int, int]) -> tuple[Instr, ...]:
    args: list[tuple[int, ...]] = []
    for node in nodes:
        if len(node) == 3:  # by far the most, and the general way takes twice as long
            args.append((slot[node[1]], slot[node[2]]))
        else:
            args.append(tuple([slot[a] for a in node[1:]]))
    return tuple(map(_instruction, zip([node[0] for node in nodes], args, repeat(()))))


def _require_input(slot: dict[int, int], ident: int, name: str, symbols: list[Expr]) -> None:
    if ident not in slot:
        listed = ", ".join(str(s.name) for s in symbols) or "none"
        raise UnknownSymbolError(
            f"the expression uses the symbol {name}, which is no input (inputs: {listed}).",
            remedy="Add it to the inputs, or substitute a value for it.",
        )
