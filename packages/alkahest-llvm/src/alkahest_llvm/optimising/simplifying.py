"""What another instruction can do without: negations, factors of one, divisions by powers of two.

Not one bit of a result changes. Each rule holds for every argument, signed zeros, infinities and nan included: a + (-b)
is a - b and (-a) * (-b) is a * b, but -(a - b) is not b - a where the two are equal, so that it stays. A product with a
power of two rounds as the division by its reciprocal does, and takes far less time.
"""

from __future__ import annotations

import math

from alkahest_llvm.optimising.draft import Draft

_LARGEST_SCALE = {"f64": 1022, "f32": 126}  # 2^±this, and its reciprocal, are normal numbers


def simplify(draft: Draft) -> None:
    """Drop what changes nothing, and negations and divisions that another instruction can do without.

    >>> from alkahest.extend import CompileOptions, Instr, Tape
    >>> from alkahest_llvm.optimising.draft import rewritten
    >>> halved = Tape(("x", "y"), (2.0,), (Instr("neg", (0,)), Instr("div", (3, 2)), Instr("sub", (1, 4))), (5,))
    >>> print(rewritten(halved, CompileOptions(), [simplify]))
    tape(x, y)
      %2 = -0.5
      %3 = mul %0, %2
      %4 = sub %1, %3
      return %4
    """
    numbers = draft.numbers.values()
    if 1.0 in numbers or ("pow" in draft.ops and 0.0 in numbers):
        _drop_ones(draft)
    if "div" in draft.ops:
        _divide_by_powers_of_two(draft)
    if "neg" in draft.ops:
        _drop_negations(draft)


def _drop_ones(draft: Draft) -> None:
    """Replace x * 1, x / 1 and x^1 by x, and x^0 by 1, which it is for every x."""
    numbers = draft.numbers
    ones = {slot for slot, c in numbers.items() if c == 1.0}
    for slot in draft.having("pow") if 0.0 in numbers.values() else ():
        if numbers.get(draft.args[slot][1]) == 0.0:
            ones.add(slot)
            draft.merge(slot, draft.constant(1.0))
    for slot in draft.readers(ones) if ones else ():
        if draft.op[slot] in ("mul", "div", "pow"):
            a, b = draft.args[slot]
            if b in ones:
                draft.merge(slot, a)
            elif draft.op[slot] == "mul":
                draft.merge(slot, b)
    draft.settle()


def _divide_by_powers_of_two(draft: Draft) -> None:
    limit = _LARGEST_SCALE[draft.options.dtype]
    inverses = {slot: 1.0 / c for slot, c in draft.numbers.items() if _is_scale(c, limit)}
    for slot in [slot for slot, op in enumerate(draft.op) if op == "div"] if inverses else ():
        a, b = draft.args[slot]
        if b in inverses:
            draft.put(slot, "mul", a, draft.constant(inverses[b]))


def _is_scale(number: float, limit: int) -> bool:
    if not math.isfinite(number):
        return False
    fraction, exponent = math.frexp(number)
    return abs(fraction) == 0.5 and abs(exponent - 1) <= limit


def _drop_negations(draft: Draft) -> None:
    negated: dict[int, int] = {}
    for slot in draft.having("neg"):
        (a,) = draft.args[slot]
        if a in negated:
            draft.merge(slot, negated[a])
        else:
            negated[slot] = a
    for slot in draft.readers(negated):
        if draft.op[slot] in _BINARY:
            _BINARY[draft.op[slot]](draft, slot, negated, *draft.args[slot])
    draft.settle()


def _add(draft: Draft, slot: int, negated: dict[int, int], a: int, b: int) -> None:
    if b in negated:
        draft.put(slot, "sub", a, negated[b])
    else:
        draft.put(slot, "sub", b, negated[a])


def _sub(draft: Draft, slot: int, negated: dict[int, int], a: int, b: int) -> None:
    if b in negated:
        draft.put(slot, "add", a, negated[b])


def _mul(draft: Draft, slot: int, negated: dict[int, int], a: int, b: int) -> None:
    if a in negated and b in negated:
        draft.put(slot, "mul", negated[a], negated[b])
    elif a in draft.numbers:
        draft.put(slot, "mul", draft.constant(-draft.numbers[a]), negated[b])
    elif b in draft.numbers:
        draft.put(slot, "mul", negated[a], draft.constant(-draft.numbers[b]))


def _div(draft: Draft, slot: int, negated: dict[int, int], a: int, b: int) -> None:
    if a in negated and b in negated:
        draft.put(slot, "div", negated[a], negated[b])


def _pow(draft: Draft, slot: int, negated: dict[int, int], a: int, b: int) -> None:
    if a in negated and draft.numbers.get(b, 1.0) % 2.0 == 0.0:
        draft.put(slot, "pow", negated[a], b)


_BINARY = {"add": _add, "sub": _sub, "mul": _mul, "div": _div, "pow": _pow}
