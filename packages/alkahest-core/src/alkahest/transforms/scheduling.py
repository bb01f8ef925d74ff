"""sched: independent equations side by side, in stages."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from alkahest.errors import OperandTypeError
from alkahest.ir.checking import checked
from alkahest.ir.graph import eqn_levels, map_sub_irs, nested_irs, sub_irs
from alkahest.ir.ir import IR, IREqn, IRVar, check_ir
from alkahest.prims.groups import non_dce_primitives
from alkahest.prims.marks import factor_p
from alkahest.prims.ordering import gather_p
from alkahest.transforms.boundary import CustomFunction
from alkahest.transforms.custom_rules import custom_body
from alkahest.transforms.plans import derived

Condition = Callable[[IREqn], bool]


def sched(ir: IR, /, *, cond: Condition | None = None) -> IR:
    """Return `ir` in stages: equations that do not need each other stand together in one `gather`.

    Where an equation stands follows from the longest chain of equations that leads to it. Stages are how the program
    reads; it runs by data edges: an equation starts when its inputs are there, without waiting for the rest of a stage.

    Equations for which `cond(eqn)` is false stay out of the gathers, after that of their stage, and keep their order
    when the program runs. Marks (checkpoints, factors and other primitives that `dce` keeps) stay out too, and wait
    for their inputs alone; only those of one primitive with equal parameters, such as two checkpoints of one key, keep
    their order, and so do equations that hold such marks: a branch, a loop, a custom function made of primitives.
    Programs inside (branches, loops, transformed programs) are scheduled alike.

    >>> import alkahest as af
    >>> af.sched(af.trace(lambda x, y: (x + "!") + (y + "?"))("a", "b"))
    program(a:str, b:str), scheduled:
      gather:
        c:str = concat(a, '!')
        d:str = concat(b, '?')
      e:str = concat(c, d)
      return e
    """
    check_ir(ir, "sched")
    if cond is not None and not callable(cond):
        raise OperandTypeError(
            f"cond= of sched is a {type(cond).__name__}.", remedy="Pass a function of an equation, or nothing."
        )
    made: dict[int, IR] = {}
    _marks_of(ir)  # and those of all programs inside, in one go
    for program in nested_irs(ir):  # inner ones come first
        made[id(program)] = _schedule(program, cond, made)
    return checked(made[id(ir)])


def _schedule(ir: IR, cond: Condition | None, made: dict[int, IR]) -> IR:
    eqns = [map_sub_irs(eqn, lambda inner: made[id(inner)]) if eqn.params else eqn for eqn in ir.ir_eqns]
    allowed = [True] * len(eqns) if cond is None else [_allows(cond, eqn) for eqn in ir.ir_eqns]
    kept = {position for position, flag in enumerate(allowed) if not flag}
    order = _mark_order(ir)
    kept.update(order, *order.values())
    levels = _levels(ir, order)
    stages: list[tuple[list[IREqn], list[int]]] = [([], []) for _ in range(max(levels, default=-1) + 1)]
    for position, level in enumerate(levels):
        together, apart = stages[level]
        if position not in kept and eqns[position].prim not in non_dce_primitives:
            together.append(eqns[position])
        else:
            apart.append(position)
    out: list[IREqn] = []
    ordered: set[int] = set()
    for together, apart in stages:
        if together:
            out.append(together[0] if len(together) == 1 else gathered(together))
        for position in apart:
            if position in kept:
                ordered.add(len(out))
            out.append(eqns[position])
    return IR(out, ir.in_ir_tree, ir.out_ir_tree, ordered=frozenset(ordered))


def _allows(cond: Condition, eqn: IREqn) -> bool:
    """Apply the condition to an equation, or to those of a stage that was made before."""
    if eqn.prim is not gather_p:
        return bool(cond(eqn))
    return all(_allows(cond, member) for ir in eqn.params["irs"] for member in ir.ir_eqns)


def _mark_order(ir: IR) -> dict[int, set[int]]:
    """Return for each equation that is or holds marks the last positions before it of marks that are alike, if any.

    What collects checkpoints, or replaces them, counts them in their order. Factors multiply in any order.
    """
    last: dict[Hashable, int] = {}
    order: dict[int, set[int]] = {}
    for position, eqn in enumerate(ir.ir_eqns):
        for key in _marks(eqn):
            if key in last:
                order.setdefault(position, set()).add(last[key])
            last[key] = position
    return order


def _marks(eqn: IREqn) -> set[Hashable]:
    """Return what tells the marks apart that an equation is, or holds at any depth."""
    found: set[Hashable] = set()
    if eqn.prim in non_dce_primitives and eqn.prim is not factor_p:
        found.add((eqn.prim, tuple(sorted([(name, _hashable(value)) for name, value in eqn.params.items()]))))
    for ir in _inside(eqn):
        found |= _marks_of(ir)
    return found


def _marks_of(ir: IR) -> set[Hashable]:
    return derived(ir, "marks", lambda: _found_marks(ir))


def _found_marks(ir: IR) -> set[Hashable]:
    found: set[Hashable] = set()
    for program in nested_irs(ir):  # inner ones come first, and are known when outer ones ask
        found = set[Hashable]().union(*[_marks(eqn) for eqn in program.ir_eqns])
        if program is not ir:
            derived(program, "marks", lambda found=found: found)
    return found


def _inside(eqn: IREqn) -> list[IR]:
    call = eqn.params.get("call")
    if isinstance(call, CustomFunction) and not call.opaque:
        return [custom_body(call, eqn.in_ir_tree)]
    return sub_irs(eqn) if eqn.params else []


def _levels(ir: IR, order: dict[int, set[int]]) -> list[int]:
    """Return the stage of each equation: after all it needs, and not before the mark it must follow."""
    if not order:
        return eqn_levels(ir)
    level_of: dict[IRVar, int] = {}
    levels: list[int] = []
    for position, eqn in enumerate(ir.ir_eqns):
        before = [levels[k] for k in order.get(position, ())]
        needed = [level_of.get(leaf, -1) + 1 for leaf in eqn.ins if leaf.__class__ is IRVar]
        levels.append(max([*before, *needed], default=0))
        level_of.update((leaf, levels[-1]) for leaf in eqn.outs if leaf.__class__ is IRVar)
    return levels


def _hashable(value: Any) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def gathered(eqns: list[IREqn]) -> IREqn:
    """Return one equation that carries out `eqns`, none of which needs another, side by side.

    Each becomes a program of its own, whose inputs are variables alone: literals stay inside, where transforms of the
    program leave them as they are.
    """
    irs: list[IR] = []
    ins: list[tuple[IRVar, ...]] = []
    for eqn in eqns:
        args = tuple(dict.fromkeys([leaf for leaf in eqn.ins if leaf.__class__ is IRVar]))
        ins.append(args)
        irs.append(IR([eqn], args, eqn.out_ir_tree))
    return IREqn(gather_p, tuple(ins), tuple([eqn.out_ir_tree for eqn in eqns]), {"irs": tuple(irs)})
