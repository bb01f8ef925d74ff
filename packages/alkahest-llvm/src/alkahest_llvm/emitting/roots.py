"""Which square roots of a tape are multiplied out: those for which the processor's divider has no time.

A root occupies the divider for many cycles, in which the other units stand idle where roots and divisions are all that
a loop waits for. Both ways round correctly (see `multiplied_root`), so it does not matter to any bit which is taken: so
many roots are multiplied out that the divider and the other units are busy for the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache

from alkahest.extend import CompileOptions, Tape
from alkahest_llvm.emitting.builder import Builder, Value
from alkahest_llvm.emitting.lowering import own_ops, rule_of
from alkahest_llvm.emitting.module_text import ModuleText
from alkahest_llvm.emitting.multiplied_root import LANES
from alkahest_llvm.targets import host_target

# Cycles for eight doubles on Intel's processors with AVX-512: the divider's, and what two units need for the rest.
_ROOT, _DIVISION, _OPERATION = 24.0, 16.0, 0.5
_MULTIPLIED = 8.0
_OVERLAP = 0.75  # of the other operations, that much is done while the divider works
_FEWEST = 0.1  # of the roots
# LLVM's names of Intel's processors with AVX-512: the proof of rounding takes the bits of their `vrsqrt14pd`.
_PROCESSORS = frozenset(
    "skylake-avx512 cascadelake cooperlake cannonlake icelake-client icelake-server tigerlake rocketlake "
    "sapphirerapids emeraldrapids graniterapids graniterapids-d diamondrapids".split()
)
_UNKNOWN = 0, 0, 10  # what a third party's op consists of: roots, divisions, other operations
_LOOKED_AT = frozenset({"pow", "polygamma"})  # the rules look at the values of their constants


def roots_to_multiply(tape: Tape, options: CompileOptions, width: int) -> Callable[[], bool] | None:
    """Return what tells at each root of a tape whether to multiply it out, in code of `width` lanes; None for at none.

    They are evenly spread over the tape.
    """
    if options.dtype != "f64" or width % LANES or not _available():
        return None
    share = _share(tape, options)
    if share < _FEWEST:
        return None
    done = 0.5

    def spread() -> bool:
        nonlocal done
        done += share
        if done < 1.0:
            return False
        done -= 1.0
        return True

    return spread


def _available() -> bool:
    target = host_target()
    return "+avx512f" in target.features and target.cpu in _PROCESSORS


def _share(tape: Tape, options: CompileOptions) -> float:
    """Return which part of a tape's roots to multiply out, so that neither the divider nor the rest waits."""
    kinds = Counter([_kind(tape, k) for k in range(len(tape.instrs))])
    if not any(op == "sqrt" or op in _LOOKED_AT for op, _, _ in kinds):
        return 0.0
    roots = divider = others = 0.0
    own = own_ops(tape.ops)
    for kind, count in kinds.items():
        r, d, o = _cost(*kind, options) if kind[0] in own else _UNKNOWN
        roots += count * r
        divider += count * (_ROOT * r + _DIVISION * d)
        others += count * _OPERATION * o
    surplus = (divider - _OVERLAP * others) / (_ROOT + _MULTIPLIED)
    return min(surplus / roots, 1.0) if roots and surplus > 0.0 else 0.0


def _kind(tape: Tape, k: int) -> tuple[str, tuple[float | None, ...], tuple[tuple[str, object], ...]]:
    op, args, params = tape.instrs[k]
    first = len(tape.inputs)
    numbers = [tape.consts[a - first] if first <= a < first + len(tape.consts) else None for a in args]
    return op, tuple([n if op in _LOOKED_AT else None for n in numbers]), params


@cache
def _cost(
    op: str,
    numbers: tuple[float | None, ...],
    params: tuple[tuple[str, object], ...],
    options: CompileOptions,
) -> tuple[int, int, int]:
    """Return how many roots, divisions and other operations there are in an instruction."""
    builder = Builder(ModuleText("inline"), LANES, accuracy=options.accuracy, contract=options.contract)
    operands = [Value(builder, "double", f"%x{k}") if n is None else builder.constant(n) for k, n in enumerate(numbers)]
    rule_of(op)(builder, *operands, **dict(params))
    roots = sum("@llvm.sqrt." in line for line in builder.lines)
    divisions = sum(" = fdiv " in line for line in builder.lines)
    free = sum(" = bitcast " in line or line.endswith(":") for line in builder.lines)
    return roots, divisions, len(builder.lines) - roots - divisions - free
