"""Is a program well formed? Variables defined before they are used, and once; types as the abstract rules say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alkahest import settings
from alkahest.base import trees
from alkahest.base.avals import FLOAT, INT, find_aval
from alkahest.base.interpreter import box_types
from alkahest.base.rules import abstract_rules, version
from alkahest.base.zero import Zero
from alkahest.errors import MissingRuleError, ProgramError
from alkahest.ir.graph import nested_irs, sub_irs
from alkahest.ir.ir import IR, Flow, IREqn, IRVar, check_ir, ir_type

_KEY = ("checked",)


def checked(ir: IR) -> IR:
    """Return `ir`, verified first where `ALKAHEST_CHECK=1`: what transforms do with their results."""
    if settings.check_programs():
        check(ir)
    return ir


def check(ir: IR, /) -> None:
    """Raise `ProgramError` where `ir`, or a program inside it, is not well formed; the message names the equation.

    Checked are: each variable is defined once, by an input or an equation, and before it is used; the abstract rule of
    each primitive gives, for the types of the inputs, the structure and the types of the outputs.

    >>> import alkahest as af
    >>> check(af.trace(lambda x: x + "!")("a"))
    """
    for program in nested_irs(check_ir(ir, "check")):
        if program.derived.get(_KEY) != version():
            _check_program(program)
            program.derived[_KEY] = version()  # a program never changes; rules may


def _check_program(ir: IR) -> None:
    cls: type = ir.in_ir_tree.__class__
    if not issubclass(cls, tuple):
        raise ProgramError(
            f"the inputs of a program are a {cls.__name__}.",
            remedy="Make in_ir_tree the tuple of the arguments.",
        )
    defined: set[IRVar] = set()
    _define(trees.leaves(ir.in_ir_tree), defined, None)
    for eqn in ir.ir_eqns:
        _use(eqn.ins, defined, eqn)
        _check_types(eqn)
        _define(eqn.outs, defined, eqn)
    _use(trees.leaves(ir.out_ir_tree), defined, None)
    _check_order(ir)


def _check_order(ir: IR) -> None:
    wrong = [k for k in ir.ordered or () if not 0 <= k < len(ir.ir_eqns)]
    if wrong:
        raise ProgramError(
            f"a scheduled program of {len(ir.ir_eqns)} equations keeps the order of equation {min(wrong)}.",
            remedy="Give positions of its equations in ordered=.",
        )


def _define(leaves: Iterable[Any], defined: set[IRVar], eqn: IREqn | None) -> None:
    for leaf in leaves:
        if leaf.__class__ is IRVar:
            if leaf in defined:
                raise ProgramError(
                    f"{leaf!r} is defined a second time by {_place(eqn, 'an input')}.",
                    remedy="Give every input and every equation variables of its own.",
                )
            defined.add(leaf)


def _use(leaves: Iterable[Any], defined: set[IRVar], eqn: IREqn | None) -> None:
    for leaf in leaves:
        if leaf.__class__ is IRVar:
            if leaf not in defined:
                raise ProgramError(
                    f"{leaf!r} is used by {_place(eqn, 'the output')} and not defined before.",
                    remedy="Define each variable, by an input or an equation, before it is used.",
                )
        elif leaf.__class__ in box_types:
            raise ProgramError(
                f"{leaf!r}, a value of a trace, stands in {_place(eqn, 'the output')}.",
                remedy="Put variables and literals into programs.",
            )


def _place(eqn: IREqn | None, otherwise: str) -> str:
    return otherwise if eqn is None else f"the equation `{eqn!r}`"


# ------------------------------------------------------------------------------------------------------- types


def _check_types(eqn: IREqn) -> None:
    if eqn.prim not in abstract_rules:
        if not sub_irs(eqn):
            raise ProgramError(
                f"primitive {eqn.prim.name!r} has no abstract rule, and nothing can be said of the equation `{eqn!r}`.",
                remedy="Give it one: alkahest.extend.rules(prim, abstract=…).",
            )
        return
    outs, treedef = eqn.out_parts()
    try:
        wanted, wanted_treedef = trees.flatten(_abstract(eqn))
    except MissingRuleError:
        return  # a derivative without a rule is reported when it is run, as without the check
    if treedef != wanted_treedef:
        raise ProgramError(
            f"the outputs of the equation `{eqn!r}` have the structure {treedef}, and its abstract rule gives "
            f"{wanted_treedef}.",
            remedy="Let the equation define what its primitive gives.",
        )
    for leaf, aval in zip(outs, wanted, strict=True):
        if not _fits(leaf, aval):
            raise ProgramError(
                f"{leaf!r} is an output of the equation `{eqn!r}`, and its abstract rule gives {aval!r} there.",
                remedy="Give the variable that type.",
            )


def _abstract(eqn: IREqn) -> Any:
    leaves, treedef = eqn.in_parts()
    avals = treedef.unflatten([ir_type(leaf) for leaf in leaves])
    try:
        return abstract_rules.get(eqn.prim)(avals, **eqn.params)
    except MissingRuleError:
        raise
    except Exception as error:
        raise ProgramError(
            f"the abstract rule refuses the equation `{eqn!r}`: {error}",
            remedy="Give the primitive inputs of the types it takes.",
        ) from error


def _fits(leaf: Any, wanted: Any) -> bool:
    """Tell whether an output may stand where the abstract rule says `wanted`: a variable for a known value may."""
    if leaf.__class__ is IRVar and isinstance(leaf.source, Flow):
        return True  # feedback on a value of any type may be a text
    if leaf.__class__ is Zero or wanted.__class__ is Zero:
        return True  # nothing flows, in whatever type
    have, want = find_aval(ir_type(leaf)), find_aval(ir_type(wanted))
    return have is None or want is None or have == want or (have == FLOAT and want == INT)
