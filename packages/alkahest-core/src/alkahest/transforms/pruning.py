"""dce: dead code elimination, also inside branches, loops and transformed programs.

Programs inside an equation are narrowed: where nobody uses an output of the equation, the equation and the program
inside both have None in its place, and what only served that output goes; inputs that nothing inside needs go alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alkahest.base import trees
from alkahest.base.prim import Prim
from alkahest.base.rules import AsyncTwin, dce_rules, version
from alkahest.base.zero import zeroof
from alkahest.errors import OperandTypeError, ProgramError, RuleError, TreeError
from alkahest.ir.checking import checked
from alkahest.ir.graph import nested_irs, sub_irs
from alkahest.ir.ir import IR, IREqn, IRVar, check_ir
from alkahest.prims.control import switch_p, while_loop_p
from alkahest.prims.groups import non_dce_primitives
from alkahest.prims.marks import factor_p
from alkahest.prims.ordering import gather_p
from alkahest.transforms.calls import batch_call_p, pullback_call_p, pushforward_call_p, weighted_call_p

Flags = tuple[bool, ...]
_EFFECTS = ("effects",)


def dce(ir: IR, /, *, out_used: Any = None) -> IR:
    """Return `ir` without the equations that no used output needs.

    `out_used` says which outputs are used: truth values in exactly the structure of the output (else `TreeError`);
    without it all are. The inputs stay as they are; an output that is not used becomes None where what made it is
    gone. Checkpoints, factors and other primitives of `alkahest.extend.non_dce_primitives` stay, with what they need,
    and so does an equation whose programs hold one. A used variable that nothing defines raises `ProgramError`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: (x + "!", x + "?"))("a")
    >>> af.dce(ir, out_used=(True, False))
    program(a:str):
      b:str = concat(a, '!')
      return (b, None)
    """
    leaves, treedef = trees.flatten(check_ir(ir, "dce").out_ir_tree)
    flags = (True,) * len(leaves) if out_used is None else _out_flags(out_used, treedef)
    pruned, _ = _prune(ir, flags, False)
    return checked(pruned)


def _out_flags(out_used: Any, treedef: Any) -> Flags:
    flags, given = trees.flatten(out_used)
    if given != treedef:
        raise TreeError(
            f"out_used= has the structure {given}, and the output of the program {treedef}.",
            remedy="Give one True or False for each leaf of the output.",
        )
    for flag in flags:
        if flag.__class__ is not bool:
            raise OperandTypeError(f"out_used= holds a {type(flag).__name__}.", remedy="Use True and False in it.")
    return tuple(flags)


# ---------------------------------------------------------------------------------------------------- programs


def _prune(ir: IR, flags: Flags, narrow: bool) -> tuple[IR, Flags]:
    """Return `ir` without what the flagged outputs do not need, and which inputs are needed still.

    With `narrow`, all other outputs become None; else only those whose equation is gone. A program that occurs in many
    places is pruned once for each set of outputs.
    """
    key = ("dce", flags, narrow)
    now = (version(), len(non_dce_primitives))
    found = ir.derived.get(key)
    if found is None or found[0] != now:
        found = now, _pruned(ir, flags, narrow)
        ir.derived[key] = found
    return found[1]


def _pruned(ir: IR, flags: Flags, narrow: bool) -> tuple[IR, Flags]:
    leaves, treedef = trees.flatten(ir.out_ir_tree)
    live = {leaf for leaf, flag in zip(leaves, flags, strict=True) if flag and leaf.__class__ is IRVar}
    kept, positions = _live_equations(ir, live)
    inputs = trees.leaves(ir.in_ir_tree)
    needed = tuple([leaf in live if leaf.__class__ is IRVar else True for leaf in inputs])
    undefined = live.difference([leaf for leaf in inputs if leaf.__class__ is IRVar])
    if undefined:
        raise _undefined(ir, undefined)
    if all(flags) and len(kept) == len(ir.ir_eqns) and all(a is b for a, b in zip(kept, ir.ir_eqns, strict=True)):
        return ir, needed
    if not all(flags):
        there = _NOTHING if narrow else _defined(inputs, kept)
        leaves = [
            leaf if flag or (not narrow and (leaf.__class__ is not IRVar or leaf in there)) else None
            for leaf, flag in zip(leaves, flags, strict=True)
        ]
    ordered = None if ir.ordered is None else frozenset(k for k, p in enumerate(positions) if p in ir.ordered)
    return IR(kept, ir.in_ir_tree, treedef.unflatten(leaves), ordered=ordered), needed


_NOTHING: set[Any] = set()


def _live_equations(ir: IR, live: set[Any]) -> tuple[list[IREqn], list[int]]:
    """Return what is needed of the equations, and where it stood; `live` becomes what is needed from before them."""
    kept: list[IREqn] = []
    positions: list[int] = []
    for position in range(len(ir.ir_eqns) - 1, -1, -1):
        eqn = ir.ir_eqns[position]
        if live.isdisjoint(eqn.out_vars) and not _stays(eqn):
            continue
        if eqn.prim in dce_rules:
            ins = eqn.ins
            used = [leaf in live if leaf.__class__ is IRVar else False for leaf in eqn.outs]
            live.difference_update(eqn.out_vars)
            eqn, flags = _narrowed(eqn, used)
            live.update([leaf for leaf, flag in zip(ins, flags, strict=True) if flag and leaf.__class__ is IRVar])
        else:
            live.difference_update(eqn.out_vars)
            live.update(eqn.in_vars)
        kept.append(eqn)
        positions.append(position)
    kept.reverse()
    positions.reverse()
    return kept, positions


def _narrowed(eqn: IREqn, used: list[bool]) -> tuple[IREqn, list[bool]]:
    """Return what the dce rule of an equation makes of it, and which leaves of its inputs are needed."""
    made, in_used = dce_rules.get(eqn.prim)(eqn, eqn.out_parts()[1].unflatten(used))
    flags, treedef = trees.flatten(in_used)
    if not isinstance(made, IREqn) or treedef != eqn.in_parts()[1]:
        raise RuleError(
            f"the dce rule of {eqn.prim.name!r} returned no equation with flags in the structure of its inputs.",
            remedy="Return (equation, truth values in the structure of eqn.in_ir_tree).",
        )
    needed = {leaf for leaf, flag in zip(eqn.ins, flags, strict=True) if flag}
    if any(leaf.__class__ is IRVar and leaf not in needed for leaf in made.ins):
        raise RuleError(
            f"the dce rule of {eqn.prim.name!r} says that an input is not needed, and leaves it in the equation.",
            remedy="Flag each input that the returned equation uses.",
        )
    return made, flags


def _defined(inputs: list[Any], eqns: list[IREqn]) -> set[Any]:
    return {leaf for leaves in (inputs, *[eqn.outs for eqn in eqns]) for leaf in leaves if leaf.__class__ is IRVar}


def _undefined(ir: IR, undefined: set[Any]) -> ProgramError:
    users = [(leaf, f"the equation `{eqn!r}`") for eqn in ir.ir_eqns for leaf in eqn.ins if leaf in undefined]
    leaf, place = users[0] if users else (next(iter(undefined)), "the output")
    return ProgramError(
        f"{leaf!r} is used by {place} and not defined before.",
        remedy="Define each variable, by an input or an equation, before it is used.",
    )


def _stays(eqn: IREqn) -> bool:
    """Tell whether an equation stays although nobody uses what it gives."""
    return eqn.prim in non_dce_primitives or bool(eqn.params and _effects(eqn))


def _effects(eqn: IREqn) -> set[Prim]:
    """Return the primitives inside an equation for whose sake it stays."""
    found: set[Prim] = set()
    for ir in sub_irs(eqn):
        found |= _effects_of(ir)
    if eqn.prim is weighted_call_p:
        found.discard(factor_p)  # they count inside, for the weight that nobody uses
    return found


def _effects_of(ir: IR) -> set[Prim]:
    now = len(non_dce_primitives)
    known = ir.derived.get(_EFFECTS)
    if known is not None and known[0] == now:
        return known[1]
    for program in nested_irs(ir):  # inner ones come first, and are known when outer ones ask
        found: set[Prim] = {eqn.prim for eqn in program.ir_eqns} & non_dce_primitives
        for eqn in program.ir_eqns:
            if eqn.params:
                found |= _effects(eqn)
        program.derived[_EFFECTS] = now, found
    return ir.derived[_EFFECTS][1]


# ----------------------------------------------------------------------------------- equations that hold programs


def _cut(tree: Any, like: Any, flags: Sequence[bool]) -> Any:
    """Return `tree` with None where a leaf of `like` is not flagged, for all that stands there."""
    if all(flags):
        return tree
    treedef = trees.structure(like)
    parts = treedef.flatten_up_to(tree)
    return treedef.unflatten([part if flag else None for part, flag in zip(parts, flags, strict=True)])


def _spread(tree: Any, like: Any, flags: Sequence[bool]) -> Flags:
    """Return for each leaf of `tree` the flag of the leaf of `like` under which it stands."""
    parts = trees.structure(like).flatten_up_to(tree)
    return tuple([flag for part, flag in zip(parts, flags, strict=True) for _ in trees.leaves(part)])


def _gathered(tree: Any, like: Any, flags: Sequence[bool]) -> Flags:
    """Return for each leaf of `like` whether a leaf of `tree` that stands under it is flagged."""
    rest = iter(flags)
    parts = trees.structure(like).flatten_up_to(tree)
    return tuple([any([next(rest) for _ in trees.leaves(part)]) for part in parts])


def _without_inputs(ir: IR, needed: Flags) -> IR:
    """Return `ir` with None in place of the inputs that are not needed."""
    if all(needed):
        return ir
    key = ("inputs", needed)
    if key not in ir.derived:
        ir.derived[key] = IR(ir.ir_eqns, _cut(ir.in_ir_tree, ir.in_ir_tree, needed), ir.out_ir_tree, ordered=ir.ordered)
    return ir.derived[key]


def _either(a: Flags, b: Flags) -> Flags:
    return tuple([x or y for x, y in zip(a, b, strict=True)])


def _in_used(tree: Any, flags: Sequence[bool]) -> Any:
    return trees.structure(tree).unflatten(flags)


def _dce_switch(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    branches: dict[Any, IR] = eqn.params["branches"]
    key, operands = eqn.in_ir_tree
    first = next(iter(branches.values()))
    flags = _gathered(out_used, first.out_ir_tree, trees.leaves(out_used)) if branches else ()
    made = {name: _prune(ir, flags, True) for name, ir in branches.items()}
    needed = tuple([any(column) for column in zip(*[inputs for _, inputs in made.values()], strict=True)])
    given = _spread(operands, first.in_ir_tree, needed)
    changed = _changed(
        eqn,
        (key, _cut(operands, first.in_ir_tree, needed)),
        _cut(eqn.out_ir_tree, first.out_ir_tree, flags),
        branches={name: _without_inputs(ir, needed) for name, (ir, _) in made.items()},
    )
    return changed, (True, _in_used(operands, given))


def _changed(eqn: IREqn, in_ir_tree: Any, out_ir_tree: Any, **params: Any) -> IREqn:
    """Return the equation with other trees and programs; itself where the programs are the same."""
    same = all(_same(eqn.params[name], value) for name, value in params.items())
    if same and in_ir_tree == eqn.in_ir_tree and out_ir_tree == eqn.out_ir_tree:
        return eqn
    return eqn.replace(in_ir_tree=in_ir_tree, out_ir_tree=out_ir_tree, params={**eqn.params, **params})


def _same(a: Any, b: Any) -> bool:
    left, right = trees.leaves(a), trees.leaves(b)
    return len(left) == len(right) and all(x is y for x, y in zip(left, right, strict=True))


def _dce_while_loop(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    """Prune inside the condition and the body; the state stays whole."""
    made: dict[str, IR] = {}
    for name in ("cond_ir", "body_ir"):
        ir: IR = eqn.params[name]
        made[name], _ = _prune(ir, (True,) * len(trees.leaves(ir.out_ir_tree)), True)
    return _changed(eqn, eqn.in_ir_tree, eqn.out_ir_tree, **made), _all_used(eqn)


def _all_used(eqn: IREqn) -> Any:
    leaves, treedef = eqn.in_parts()
    return treedef.unflatten([True] * len(leaves))


def _dce_gather(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    """Prune the outputs of each member; a member without used outputs goes, unless it has effects."""
    irs: list[IR] = []
    ins: list[Any] = []
    outs: list[Any] = []
    flags: list[Any] = []
    for ir, args, out, used in zip(eqn.params["irs"], eqn.in_ir_tree, eqn.out_ir_tree, out_used, strict=True):
        wanted = _gathered(used, ir.out_ir_tree, trees.leaves(used))
        if not any(wanted) and not _effects_of(ir):
            flags.append(_in_used(args, [False] * len(trees.leaves(args))))
            continue
        pruned, needed = _prune(ir, wanted, True)
        given = _spread(args, ir.in_ir_tree, needed)
        irs.append(_without_inputs(pruned, needed))
        ins.append(_cut(args, ir.in_ir_tree, needed))
        outs.append(_cut(out, ir.out_ir_tree, wanted))
        flags.append(_in_used(args, given))
    return _changed(eqn, tuple(ins), tuple(outs), irs=tuple(irs)), tuple(flags)


def _dce_batch_call(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    ir: IR = eqn.params["ir"]
    axes: list[bool] = trees.leaves(eqn.params["in_axes"])
    wanted = _gathered(out_used, ir.out_ir_tree, trees.leaves(out_used))
    pruned, needed = _prune(ir, wanted, True)
    if not any(need and axis for need, axis in zip(needed, axes, strict=True)):
        needed = _either(needed, tuple(axes))  # the size of the batch must come from somewhere
    given = _spread(eqn.in_ir_tree, ir.in_ir_tree, needed)
    changed = _changed(
        eqn,
        _cut(eqn.in_ir_tree, ir.in_ir_tree, needed),
        _cut(eqn.out_ir_tree, ir.out_ir_tree, wanted),
        ir=_without_inputs(pruned, needed),
    )
    if not all(needed):
        changed = changed.using(in_axes=_cut(eqn.params["in_axes"], ir.in_ir_tree, needed))
    return changed, _in_used(eqn.in_ir_tree, given)


def _dce_weighted_call(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    ir: IR = eqn.params["ir"]
    out, weight = eqn.out_ir_tree
    wanted = _gathered(out_used[0], ir.out_ir_tree, trees.leaves(out_used[0]))
    pruned, needed = _prune(ir, wanted, True)
    given = _spread(eqn.in_ir_tree, ir.in_ir_tree, needed)
    outs = _cut(out, ir.out_ir_tree, wanted), weight
    changed = _changed(eqn, _cut(eqn.in_ir_tree, ir.in_ir_tree, needed), outs, ir=_without_inputs(pruned, needed))
    return changed, _in_used(eqn.in_ir_tree, given)


def _dce_pushforward_call(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    """Prune outputs of which neither value nor tangent is used; without used tangents, those of the inputs are zero.

    Unless there are marks inside: they mark tangents too.
    """
    ir: IR = eqn.params["ir"]
    primals, tangents = eqn.in_ir_tree
    flows = _gathered(out_used[1], ir.out_ir_tree, trees.leaves(out_used[1]))
    wanted = _either(_gathered(out_used[0], ir.out_ir_tree, trees.leaves(out_used[0])), flows)
    pruned, needed = _prune(ir, wanted, True)
    flowing = any(flows) or bool(_effects_of(ir))
    kept = tuple([_cut(part, ir.in_ir_tree, needed) for part in (primals, tangents)])
    outs = tuple([_cut(part, ir.out_ir_tree, wanted) for part in eqn.out_ir_tree])
    if not flowing:
        kept = kept[0], trees.map_leaves(zeroof, kept[1])
    changed = _changed(eqn, kept, outs, ir=_without_inputs(pruned, needed))
    given = _spread(primals, ir.in_ir_tree, needed)
    moving = _spread(tangents, ir.in_ir_tree, [flowing and need for need in needed])
    return changed, (_in_used(primals, given), _in_used(tangents, moving))


def _dce_pullback_call(eqn: IREqn, out_used: Any) -> tuple[IREqn, Any]:
    """Prune outputs where no cotangent of an input is used: the cotangents of the output are zero then.

    Unless there are marks inside: they mark cotangents too.
    """
    ir: IR = eqn.params["ir"]
    n = len(trees.leaves(ir.out_ir_tree))
    if any(trees.leaves(out_used[1])) or _effects_of(ir):
        pruned, _ = _prune(ir, (True,) * n, True)
        return _changed(eqn, eqn.in_ir_tree, eqn.out_ir_tree, ir=pruned), _all_used(eqn)
    wanted = _gathered(out_used[0], ir.out_ir_tree, trees.leaves(out_used[0]))
    pruned, needed = _prune(ir, wanted, True)
    primals, cotangents = eqn.in_ir_tree
    out, flows = eqn.out_ir_tree
    given = _spread(primals, ir.in_ir_tree, needed)
    ins = (
        _cut(primals, ir.in_ir_tree, needed),
        trees.map_leaves(zeroof, _cut(cotangents, ir.out_ir_tree, wanted)),
    )
    outs = _cut(out, ir.out_ir_tree, wanted), _cut(flows, ir.in_ir_tree, needed)
    changed = _changed(eqn, ins, outs, ir=_without_inputs(pruned, needed))
    nothing = [False] * len(trees.leaves(cotangents))
    return changed, (_in_used(primals, given), _in_used(cotangents, nothing))


for _prim, _rule in (
    (switch_p, _dce_switch),
    (while_loop_p, _dce_while_loop),
    (gather_p, _dce_gather),
    (batch_call_p, _dce_batch_call),
    (weighted_call_p, _dce_weighted_call),
    (pushforward_call_p, _dce_pushforward_call),
    (pullback_call_p, _dce_pullback_call),
):
    dce_rules.set(_prim, _rule)
    dce_rules.aset(_prim, AsyncTwin(_rule))
