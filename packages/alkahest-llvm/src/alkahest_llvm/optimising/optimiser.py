"""What is done to a tape before code is made of it: the same for every tier, width and entry point.

The steps, in their order, and what they do to the bits of results:

| step | does | changes bits |
|---|---|---|
| `simplifying` | drops factors of one, negations, divisions by powers of two | no |
| `polynomials` | nests sums with several powers of one variable | yes: fewer roundings, in another order |
| `powers` | small powers by repeated squaring, x^1/2, x^3/2 and x^-1/2 from one root | with `accuracy="4ulp"` |
| `sharing` | computes equal instructions once | no |
| `reciprocals` | divides once by what several quotients have below them | yes: 1.5 ulp instead of 0.5 |
| `pairing` | computes sine and cosine of one argument together | yes: both stay below 1 ulp |
| `fusing` | computes a product inside the one sum that reads it | yes: one rounding less |

`contract=False` switches all of them off: every operation of the tape stays and is rounded by itself. Results are
defined wherever those of the tape are, with the same infinities, and in some places more; the sign of a zero may differ
where a polynomial was nested. What `polynomials` takes apart may come to the largest floating-point number only within
a factor of about a hundred: a partial sum may overflow sooner than the sum as it is written.

Where a third party has replaced the rule of an operation in `lowering.ARITHMETIC`, nothing is done; of a function with
a foreign rule nothing is assumed.

Leaving out the rare path of exp and log where the range of the argument excludes it was measured and does not pay: the
branch costs next to nothing, and the longer basic blocks without it are scheduled worse.
"""

from __future__ import annotations

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.lowering import own_arithmetic
from alkahest_llvm.optimising.draft import rewritten
from alkahest_llvm.optimising.fusing import fuse
from alkahest_llvm.optimising.pairing import pair_sines
from alkahest_llvm.optimising.polynomials import nest_polynomials
from alkahest_llvm.optimising.powers import expand_powers
from alkahest_llvm.optimising.reciprocals import share_reciprocals
from alkahest_llvm.optimising.sharing import share
from alkahest_llvm.optimising.simplifying import simplify

STEPS = (simplify, nest_polynomials, expand_powers, share, share_reciprocals, pair_sines, fuse)


def optimise(tape: Tape, options: CompileOptions) -> Tape:
    """Return a tape that computes the same in fewer and cheaper operations; the tape itself where nothing is to do.

    It may hold ops that are no primitives: those of `alkahest_llvm.emitting.lowering.INTERNAL`. With `contract=False`
    every operation of the tape stays and rounds by itself.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> cubic = Tape(("x",), (3.0, 2.0), (Instr("pow", (0, 1)), Instr("mul", (3, 2)), Instr("sub", (4, 0))), (5,))
    >>> print(optimise(cubic, CompileOptions()))
    tape(x)
      %1 = 2.0
      %2 = mul %0, %0
      %3 = mul %2, %0
      %4 = fma.sub %3, %1, %0
      return %4
    """
    if not options.contract or not own_arithmetic():
        return tape
    return rewritten(tape, options, STEPS)
