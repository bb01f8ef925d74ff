"""Functions whose argument is known to need no rare path take the form that has none. The bits are the same."""

from __future__ import annotations

from collections.abc import Callable

from alkahest_llvm.optimising.draft import Draft, instruction
from alkahest_llvm.optimising.ranges import Interval, Ranges

_EXP_LIMIT = 700.0  # below 708, where e^x and 2^k stop being normal numbers
_SMALLEST = {"f64": 2.0**-1000, "f32": 0.0}  # single precision is widened, so that no number is subnormal


def _exp_is_usual(x: Interval, dtype: str) -> bool:
    return x[0] >= -_EXP_LIMIT and x[1] <= _EXP_LIMIT


def _log_is_normal(x: Interval, dtype: str) -> bool:
    return x[0] > _SMALLEST[dtype]


_FORMS: dict[str, tuple[str, Callable[[Interval, str], bool]]] = {
    "exp": ("exp.usual", _exp_is_usual),
    "log": ("log.normal", _log_is_normal),
}


def drop_rare_paths(draft: Draft) -> None:
    """Replace exp of bounded arguments and log of arguments that are never small.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> tape = Tape(("x",), (1.0,), (Instr("exp", (0,)), Instr("add", (1, 2)), Instr("log", (3,))), (4,))
    >>> [instr.op for instr in rewritten(tape, CompileOptions(), [drop_rare_paths]).instrs]
    ['exp', 'add', 'log.normal']
    """
    ops = draft.ours & _FORMS.keys()
    if not ops:
        return
    ranges, dtype = Ranges(draft), draft.options.dtype
    for slot, (op, args, _) in enumerate(draft.code):
        if op in ops and _FORMS[op][1](ranges.of(args[0]), dtype):
            draft.code[slot] = instruction(_FORMS[op][0], args)
            draft.changed = True
