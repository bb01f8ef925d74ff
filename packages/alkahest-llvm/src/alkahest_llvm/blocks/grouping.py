"""Which instructions of a tape one kernel computes together, where that was measured to pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alkahest.extend import Instr, Tape
from alkahest_llvm.optimising.pairing import PAIRS

LONGEST_CHAIN = 8  # multiply-adds


class Group(NamedTuple):
    """Instructions that one record computes.

    `steps` are in the slots of a form, whose operands are the slots `args` of the tape. The form's slots `results` are
    stored as the tape's slots `slots`.
    """

    steps: tuple[Instr, ...]
    args: tuple[int, ...]
    results: tuple[int, ...]
    slots: tuple[int, ...]


@dataclass
class Groups:
    """The groups of a tape by the slot at which they are computed, and the slots that were computed earlier by one."""

    at: dict[int, Group] = field(default_factory=dict[int, Group])
    done: set[int] = field(default_factory=set[int])


def find_groups(tape: Tape, last: list[int]) -> Groups:
    """Return the groups of a tape.

    `last` says where each slot is read last, -1 for a slot that nothing needs. It is changed where groups read slots
    elsewhere than the tape does.

    Sine and cosine of one argument are results of one kernel. In the multiply-adds of a Horner scheme memory takes
    longer than arithmetic, unless the sum stays in a register.
    """
    groups = Groups()
    if "sin.pair" in tape.ops:
        _add_pairs(groups, tape, last)
    if "fma" in tape.ops and tape.consts:
        _add_chains(groups, tape, last)
    return groups


def _add_pairs(groups: Groups, tape: Tape, last: Sequence[int]) -> None:
    first: dict[tuple[str, int], int] = {}
    for at, (op, args, _) in enumerate(tape.instrs, len(tape.inputs) + len(tape.consts)):
        if op not in PAIRS.values() or last[at] < 0:
            continue
        partner = "cos.pair" if op == "sin.pair" else "sin.pair"
        other = first.pop((partner, args[0]), None)
        if other is None:
            first[op, args[0]] = at
        else:
            steps = Instr(partner, (0,)), Instr(op, (0,))
            groups.at[other] = Group(steps, args, (1, 2), (other, at))
            groups.done.add(at)


def _add_chains(groups: Groups, tape: Tape, last: list[int]) -> None:
    """Find runs of `fma(sum, x, constant)` with one x, in which each sum is read by the next alone."""
    before: dict[int, int] = {}  # of a link, the one whose sum it reads
    factors: dict[int, int] = {}
    n_in, base = len(tape.inputs), len(tape.inputs) + len(tape.consts)
    for at, (op, args, _) in enumerate(tape.instrs, base):
        if op == "fma" and n_in <= args[2] < base and last[at] >= 0:
            factors[at] = args[1]
            if factors.get(args[0]) == args[1] and last[args[0]] == at:
                before[at] = args[0]
    if before:
        _add_links(groups, tape, before, last)


def _add_links(groups: Groups, tape: Tape, before: dict[int, int], last: list[int]) -> None:
    readers = _readers(tape)
    chains: dict[int, list[int]] = {}  # by the last link
    for at, total in before.items():
        if readers[total] == 1:
            chain = chains.get(total, [total])
            if len(chain) < LONGEST_CHAIN:
                chains.pop(total, None)
                chains[at] = [*chain, at]
    for end, chain in chains.items():
        group = groups.at[end] = _chain(tape, chain)
        for a in group.args:
            if last[a] in chain:
                last[a] = end
        for at in chain[:-1]:
            last[at] = -1


def _readers(tape: Tape) -> list[int]:
    """Return how often each slot is read."""
    counts = [0] * tape.n_slots
    for _, args, _ in tape.instrs:
        for a in args:
            counts[a] += 1
    for slot in tape.outputs:
        counts[slot] += 1
    return counts


def _chain(tape: Tape, chain: Sequence[int]) -> Group:
    instrs = [tape.instrs[at - len(tape.inputs) - len(tape.consts)] for at in chain]
    total, x, _ = instrs[0].args
    steps, result = chain_steps(len(chain))
    return Group(steps, (total, x, *[i.args[2] for i in instrs]), (result,), (chain[-1],))


def chain_steps(length: int) -> tuple[tuple[Instr, ...], int]:
    """Return multiply-adds, of which each but the first adds to the one before, and the slot of the last.

    Their operands are the sum, what it is multiplied by, and the constants.
    """
    n = 2 + length
    sums = [0, *range(n, n + length)]
    return tuple([Instr("fma", (before, 1, 2 + k)) for k, before in enumerate(sums[:-1])]), sums[-1]
