"""Small whole powers as products."""

from __future__ import annotations

from alkahest.extend import Instr, Tape

_FACTORS = {2.0: 1, 3.0: 2, 4.0: 2}  # products that replace a power; more of them would round too often


def expand_powers(tape: Tape) -> Tape:
    """Return the tape with x^2, x^3 and x^4 as products.

    >>> from alkahest.extend import Instr, Tape
    >>> expand_powers(Tape(("x",), (3.0,), (Instr("pow", (0, 1)),), (2,))).instrs
    (Instr(op='mul', args=(0, 0), params=()), Instr(op='mul', args=(2, 0), params=()))
    """
    if "pow" not in tape.ops:
        return tape
    n, base = len(tape.inputs), len(tape.inputs) + len(tape.consts)
    moved = list(range(base))
    instrs: list[Instr] = []
    squares: dict[int, int] = {}

    def emit(instr: Instr) -> int:
        instrs.append(instr)
        return base + len(instrs) - 1

    for op, args, params in tape.instrs:
        slots = tuple([moved[a] for a in args])
        if op == "pow" and n <= args[1] < base and tape.consts[args[1] - n] in _FACTORS:
            exponent, x = tape.consts[args[1] - n], slots[0]
            square = squares.get(x)
            if square is None:
                square = squares[x] = emit(Instr("mul", (x, x)))
            last = {2.0: None, 3.0: x, 4.0: square}[exponent]
            moved.append(square if last is None else emit(Instr("mul", (square, last))))
        else:
            moved.append(emit(Instr(op, slots, params)))
    return Tape(tape.inputs, tape.consts, tuple(instrs), tuple([moved[o] for o in tape.outputs]))
