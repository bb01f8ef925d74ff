"""Print how long XLA takes to compile tapes of growing length: where `MAX_INSTRUCTIONS` comes from.

python tests/compile_time.py 500 1000 2000 3000
"""

from __future__ import annotations

import random
import sys
import time

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest_jax.backend import XlaBackend


def tangled(length: int) -> Tape:
    """Return a tape in which each operation reads the latest value and one of the 50 before it: all are needed."""
    draw = random.Random(1)
    instrs = []
    for top in range(5, 5 + length):
        other = draw.randrange(max(0, top - 50), top)
        op = draw.choice(["add", "mul", "sub"])
        instrs.append(Instr("sin", (top - 1,)) if top % 6 == 0 else Instr(op, (top - 1, other)))
    return Tape(("x", "y", "z", "w"), (0.5,), tuple(instrs), (length + 2, length + 3, length + 4))


if __name__ == "__main__":
    backend = XlaBackend()
    backend.compile(tangled(1), CompileOptions())  # JAX's own start is not counted
    for argument in sys.argv[1:]:
        tape = tangled(int(argument))
        start = time.perf_counter()
        backend.compile(tape, CompileOptions())
        sys.stdout.write(f"{len(tape.instrs):>6} operations: {time.perf_counter() - start:6.1f} s\n")
