"""What depends on what in a program, and which programs it holds. Loops only, in linear time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from alkahest.base import trees
from alkahest.errors import ProgramError
from alkahest.ir.ir import IR, IREqn, IRVar, broadcast_prefix

_NO_PROGRAM = frozenset({str, int, float, bool, type(None)})


def ir_tree_ir_vars(tree: Any, /) -> tuple[IRVar, ...]:
    """Return the variables in the structure `tree`, in the order of its leaves; one that occurs twice comes twice.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x, y: x + y, static=(False, True))("a", "b")
    >>> ir_tree_ir_vars(ir.in_ir_tree) == (ir.in_ir_tree[0],)
    True
    """
    return tuple([leaf for leaf in trees.leaves(tree) if leaf.__class__ is IRVar])


def ir_var_producers(ir: IR, /) -> dict[IRVar, IREqn]:
    """Return the equation that defines each variable; inputs have none.

    A variable that two equations define raises `ProgramError`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: x + "!")("a")
    >>> ir_var_producers(ir) == {ir.out_ir_tree: ir.ir_eqns[0]}
    True
    """
    producers: dict[IRVar, IREqn] = {}
    for eqn in ir.ir_eqns:
        for leaf in eqn.outs:
            if leaf.__class__ is IRVar and producers.setdefault(leaf, eqn) is not eqn:
                raise ProgramError(
                    f"{leaf!r} is defined by two equations, `{producers[leaf]!r}` and `{eqn!r}`.",
                    remedy="Give every equation output variables of its own.",
                )
    return producers


def ir_eqn_graph(ir: IR, /) -> dict[IREqn, list[IREqn]]:
    """Return for each equation the equations that use what it gives, each once, in program order.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: x + "!" + "?")("a")
    >>> first, second = ir.ir_eqns
    >>> ir_eqn_graph(ir) == {first: [second], second: []}
    True
    """
    producers = ir_var_producers(ir)
    graph: dict[IREqn, list[IREqn]] = {eqn: [] for eqn in ir.ir_eqns}
    for eqn in ir.ir_eqns:
        # A dict for its order: each producer once.
        for parent in dict.fromkeys(producers[v] for v in eqn.ins if v.__class__ is IRVar and v in producers):
            graph[parent].append(eqn)
    return graph


def eqn_levels(ir: IR, /) -> list[int]:
    """Return for each equation how many equations the longest chain has that leads to it from the inputs."""
    level_of: dict[IRVar, int] = {}
    levels: list[int] = []
    for eqn in ir.ir_eqns:
        level = max([level_of.get(v, -1) for v in eqn.ins if v.__class__ is IRVar], default=-1) + 1
        levels.append(level)
        for leaf in eqn.outs:
            if leaf.__class__ is IRVar:
                level_of[leaf] = level
    return levels


def toposort_levels(ir: IR, /) -> list[list[IREqn]]:
    """Return the equations grouped by level: each depends on one of the level before, none on one of its own level.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x, y: (x + "!") + (y + "?"))("a", "b")
    >>> [len(level) for level in toposort_levels(ir)]
    [2, 1]
    """
    levels = eqn_levels(ir)
    groups: list[list[IREqn]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for level, eqn in zip(levels, ir.ir_eqns, strict=True):
        groups[level].append(eqn)
    return groups


def ir_liveness(ir: IR, /, *, out_used: Any = True) -> list[tuple[set[IRVar], set[IRVar]]]:
    """Return for each equation the variables that are needed from before it on, and from after it on.

    `out_used` says which outputs count: a truth value, or a structure of them that is a prefix of the output's; what
    is none raises `TreeError`. Time and memory grow with the number of variables in the sets.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: x + "!")("a")
    >>> ir_liveness(ir) == [({ir.in_ir_tree[0]}, {ir.out_ir_tree})]
    True
    """
    used = broadcast_prefix(out_used, ir.out_ir_tree, "out_used=")
    leaves = trees.leaves(ir.out_ir_tree)
    live = {leaf for leaf, flag in zip(leaves, used, strict=True) if flag and leaf.__class__ is IRVar}
    found: list[tuple[set[IRVar], set[IRVar]]] = []
    for eqn in reversed(ir.ir_eqns):
        after = live
        live = after.difference(leaf for leaf in eqn.outs if leaf.__class__ is IRVar)
        live.update(leaf for leaf in eqn.ins if leaf.__class__ is IRVar)
        found.append((live, after))
    found.reverse()
    return found


# ---------------------------------------------------------------------------------------- programs in programs


def sub_irs(eqn: IREqn, /) -> list[IR]:
    """Return the programs in the parameters of `eqn`, in whatever structure they stand there.

    >>> import alkahest as af
    >>> inner = af.trace(lambda x: x + "!")("a")
    >>> ir = af.trace(lambda key, x: af.switch(key, {"loud": inner}, x))("loud", "a")
    >>> sub_irs(ir.ir_eqns[0]) == [inner]
    True
    """
    found: list[IR] = []
    for value in eqn.params.values():
        if value.__class__ is IR:
            found.append(value)
        elif value and value.__class__ not in _NO_PROGRAM:
            found.extend([leaf for leaf in trees.leaves(value) if leaf.__class__ is IR])
    return found


def map_sub_irs(eqn: IREqn, fn: Callable[[IR], IR], /) -> IREqn:
    """Return `eqn` with `fn(program)` in place of each program in its parameters; where nothing changes, `eqn`."""
    changed: dict[str, Any] = {}
    for name, value in eqn.params.items():
        if value.__class__ in _NO_PROGRAM:
            continue
        # Parameters without programs are left alone: rebuilding may lose what is no part of the structure.
        leaves, treedef = trees.flatten(value)
        made = [fn(leaf) if leaf.__class__ is IR else leaf for leaf in leaves]
        if any(a is not b for a, b in zip(leaves, made, strict=True)):
            changed[name] = treedef.unflatten(made)
    return eqn.using(**changed) if changed else eqn


def nested_irs(ir: IR, /) -> list[IR]:
    """Return `ir` and all programs it holds at any depth, each once, inner ones before those that hold them."""
    order: list[IR] = []
    done: set[int] = set()
    stack: list[tuple[IR, bool]] = [(ir, False)]
    while stack:
        here, visited = stack.pop()
        if visited:
            order.append(here)
        elif id(here) not in done:
            done.add(id(here))
            stack.append((here, True))
            stack.extend([(inner, False) for inner in reversed(_held(here.ir_eqns)) if id(inner) not in done])
    return order


def _held(eqns: Iterable[IREqn]) -> list[IR]:
    return [inner for eqn in eqns if eqn.params for inner in sub_irs(eqn)]
