"""Reverse mode: feedback on the output becomes feedback on the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import OPAQUE, STR, BoolAVal, FloatAVal, IntAVal, StrAVal, find_aval
from alkahest.base.prim import Prim, arity_of
from alkahest.base.rules import pull_bwd_rules, pull_fwd_rules
from alkahest.base.zero import Zero, is_zero
from alkahest.errors import RuleError
from alkahest.ir.boxes import Traced
from alkahest.ir.checking import checked
from alkahest.ir.ir import IR, Flow, IREqn, IRVar, check_ir, ir_type
from alkahest.ir.tracing import TracingInterpreter
from alkahest.prims.cotangents import accumulated, materialized
from alkahest.prims.derived import all_zero, either_side, pull_bwd_p, pull_fwd_p
from alkahest.prims.rules import KeepsInputs, Staged, rules
from alkahest.transforms.calls import batch_call_p, call_ir, copied, flows, pullback_call_p
from alkahest.transforms.hoisting import hoisted
from alkahest.transforms.plans import as_written, derived, expansions, flat, like
from alkahest.transforms.pruning import dce
from alkahest.transforms.replaying import Replay

ZERO, TEXT, NATIVE = "zero", "text", "native"
Kinds = tuple[str, ...]
_NUMBERS = (IntAVal, FloatAVal, BoolAVal)


def pullback(ir: IR, /) -> IR:
    """Return the program `(primals, cotangent) -> (output, input cotangents)`.

    `primals` is the tuple of `ir`'s arguments, the cotangent has the structure of its output, the input cotangents that
    of its arguments. The cotangent of a text, or of what a model answered, is feedback in words; a model call turns
    critique of its answer into critique of each message by asking the model. Numbers follow the derivative. Where a
    value is used several times its cotangents are accumulated (see `feedback_format`). An input on which nothing
    flows has a `Zero`, and so has a number that was only formatted into a text. Nothing is asked of a model for a
    cotangent that is zero, or that nobody uses.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x, y: af.format("{} and {}", x, y))("a", "b")
    >>> af.pullback(ir).call(("a", "b"), "too short")
    ('a and b', ('too short', 'too short'))
    >>> square = af.trace(lambda x: x * x)(1.0)
    >>> af.pullback(square).call((3.0,), 1.0)
    (9.0, (6.0,))
    """
    check_ir(ir, "pullback")
    ins = (copied(ir.in_ir_tree), flows("cotangent", ir.out_ir_tree, literals=True))
    outs = (copied(ir.out_ir_tree), flows("cotangent", ir.in_ir_tree))
    return call_ir(pullback_call_p, ins, outs, ir=ir)


def pull_plan(ir: IR, kinds: Kinds, *, inner: bool = False) -> IR:
    """Return the program that runs `ir` forward and then backward.

    `kinds` says of each leaf of the output what its cotangent is: a symbolic zero, a text, or of the leaf's own type.
    An `inner` program is part of another one: text feedback on its numeric inputs goes on to where they come from.
    """
    return derived(ir, ("pull", kinds, inner), lambda: _pull_plan(hoisted(flat(as_written(ir))), kinds, inner))


structured: dict[Prim, tuple[Callable[..., Any], Callable[..., Any]]] = {}
"""Forward and backward rules of primitives that hold programs: they are told the kinds of the cotangents to come."""


class _Sweep(Replay):
    """One pass forward and one backward over a program, while both are traced.

    `expected` has the kinds of the cotangents that will come to equations that hold programs, by position, as an
    earlier sweep found them out; where it has none, all kinds may come.
    """

    def __init__(self, ir: IR, expected: dict[int, Kinds]) -> None:
        super().__init__(ir, "a pullback")
        self.expected = expected
        self.found: dict[int, Kinds] = {}
        self.cotangents: dict[int, list[Any]] = {}
        self.tape: list[tuple[int, IREqn, Any, Any]] = []

    def add(self, leaf: Any, cotangent: Any) -> None:
        """Note a cotangent of a variable."""
        if leaf.__class__ is IRVar and not is_zero(cotangent):
            self.cotangents.setdefault(leaf.id, []).append(cotangent)

    def total(self, leaf: Any, words: bool) -> Any:
        """Return the sum of the cotangents of a variable.

        Without `words`, those on a number that also has a derivative count for nothing, as they do alone.
        """
        if leaf.__class__ is not IRVar:
            return Zero(find_aval(leaf) or STR)
        found = self.cotangents.get(leaf.id)
        if not found:
            return Zero(leaf.aval)
        if not words and isinstance(leaf.aval, _NUMBERS):
            found = [entry for entry in found if not _is_text(entry)] or found
        if len(found) == 1:
            return found[0]
        return accumulated(found)

    def forward(self, active: set[int]) -> None:
        """Bind every equation; what counts backward goes through its forward rule."""
        for position, eqn in enumerate(self.ir.ir_eqns):
            self.under(position, eqn, self._forward, position, position in active)

    def _forward(self, eqn: IREqn, position: int, counts: bool) -> None:
        leaves, treedef = eqn.in_parts()
        ins = [self.read(leaf) for leaf in leaves]
        rule = either_side(pull_fwd_rules, eqn.prim) if counts else None
        if rule is None or rule.__class__ is KeepsInputs:
            outs = self.tracer.copy(eqn, ins)
            if counts:
                primals = treedef.unflatten(ins)
                self.tape.append((position, eqn, primals, primals))
        else:
            primals = treedef.unflatten(ins)
            out, residuals = self._by_rule(position, eqn, rule, primals)
            outs = _split(eqn.out_parts()[1], out, eqn, "pull_fwd")
            self.tape.append((position, eqn, primals, residuals))
        for leaf, value in zip(eqn.outs, outs, strict=True):
            if leaf.__class__ is IRVar:
                self.values[leaf.id] = value

    def _by_rule(self, position: int, eqn: IREqn, rule: Any, primals: Any) -> Any:
        if eqn.prim in structured:
            kinds = self.expected.get(position) or (NATIVE,) * len(trees.leaves(_told(eqn)))
            return structured[eqn.prim][0](primals, kinds, **eqn.params)
        if isinstance(rule, Staged):
            return rule.rule(primals, **eqn.params)
        return pull_fwd_p.bind(primals, prim=eqn.prim, params=eqn.params)

    def backward(self) -> None:
        """Go back over the tape, from cotangents of outputs to cotangents of inputs."""
        for position, eqn, primals, residuals in reversed(self.tape):
            self.under(position, eqn, self._backward, position, primals, residuals)

    def _backward(self, eqn: IREqn, position: int, primals: Any, residuals: Any) -> None:
        out_leaves, out_treedef = eqn.out_parts()
        words = arity_of(eqn.prim.name) is None  # arithmetic makes nothing of them
        totals = [self.total(leaf, words) for leaf in out_leaves]
        cotangent = out_treedef.unflatten(totals)
        if eqn.prim in structured:
            told = trees.leaves(_told(eqn))
            given = like(_told(eqn), cotangent)
            self.found[position] = tuple([_kind(leaf, g) for leaf, g in zip(told, given, strict=True)])
        if not any([total.__class__ is Traced for total in totals]) and all_zero(cotangent):
            return
        rule = either_side(pull_bwd_rules, eqn.prim)
        if eqn.prim in structured:
            kinds = self.expected.get(position) or (NATIVE,) * len(self.found[position])
            found = structured[eqn.prim][1](primals, residuals, cotangent, kinds, **eqn.params)
        elif isinstance(rule, Staged):
            found = rule.rule((residuals, cotangent), **eqn.params)
        else:
            found = pull_bwd_p.bind((residuals, cotangent, primals), prim=eqn.prim, params=eqn.params)
        leaves, treedef = eqn.in_parts()
        for leaf, value in zip(leaves, _split(treedef, found, eqn, "pull_bwd"), strict=True):
            self.add(leaf, value)


def _told(eqn: IREqn) -> Any:
    """Return the structure that kinds of cotangents are about: for a batch, the outputs of one item."""
    return eqn.params["ir"].out_ir_tree if eqn.prim is batch_call_p else eqn.out_ir_tree


def _split(treedef: Any, value: Any, eqn: IREqn, table: str) -> list[Any]:
    try:
        return treedef.flatten_up_to(value)
    except ValueError as error:
        raise RuleError(
            f"the {table} rule of {eqn.prim} returned another structure than it should: {str(error).splitlines()[0]}",
            remedy="A forward rule returns the output and residuals, a backward rule one cotangent per input.",
        ) from None


def _counting(ir: IR, kinds: Kinds) -> set[int]:
    """Return the positions of equations through which a cotangent can flow from an output to an input."""
    reached = {leaf for leaf in trees.leaves(ir.in_ir_tree) if leaf.__class__ is IRVar}
    forward: list[bool] = []
    for eqn in ir.ir_eqns:
        depends = not reached.isdisjoint(eqn.in_vars)
        forward.append(depends)
        if depends:
            reached.update(eqn.out_vars)
    wanted = {
        leaf
        for leaf, kind in zip(trees.leaves(ir.out_ir_tree), kinds, strict=True)
        if leaf.__class__ is IRVar and kind != ZERO
    }
    counting: set[int] = set()
    for position in range(len(ir.ir_eqns) - 1, -1, -1):
        eqn = ir.ir_eqns[position]
        if not wanted.isdisjoint(eqn.out_vars):
            wanted.update(eqn.in_vars)
            if forward[position]:
                counting.add(position)
    return counting


def _pull_plan(ir: IR, kinds: Kinds, inner: bool) -> IR:
    expected: dict[int, Kinds] = {}
    holds = [k for k, eqn in enumerate(ir.ir_eqns) if eqn.prim in structured]
    while True:
        plan, found = _swept(ir, kinds, inner, expected)
        known = {k: found[k] for k in holds if k in found}
        if known == expected:
            return plan
        expected = known


def _swept(ir: IR, kinds: Kinds, inner: bool, expected: dict[int, Kinds]) -> tuple[IR, dict[int, Kinds]]:
    sweep = _Sweep(ir, expected)
    primals = sweep.inputs()
    leaves, treedef = trees.flatten(ir.in_ir_tree)
    out_leaves, out_treedef = trees.flatten(ir.out_ir_tree)
    incoming = [_incoming(sweep.tracer, leaf, kind) for leaf, kind in zip(out_leaves, kinds, strict=True)]
    with sweep.tracing():
        sweep.forward(_counting(ir, kinds))
        for leaf, cotangent in zip(out_leaves, incoming, strict=True):
            sweep.add(leaf, cotangent)
        sweep.backward()
        found = [sweep.total(leaf, False) for leaf in leaves]
        if not inner:
            found = [_for_input(leaf, cotangent) for leaf, cotangent in zip(leaves, found, strict=True)]
    plan = sweep.plan((primals, out_treedef.unflatten(incoming)), (sweep.outputs(), treedef.unflatten(found)))
    return checked(dce(plan)), sweep.found


def _incoming(tracer: TracingInterpreter, leaf: Any, kind: str) -> Any:
    if kind == ZERO:
        return Zero(find_aval(leaf) or STR)
    source = Flow("cotangent", leaf)
    if leaf.__class__ is not IRVar:  # feedback on a literal: it is taken, and goes nowhere
        return tracer.new_input(STR if kind == TEXT else find_aval(leaf) or OPAQUE, source)
    return tracer.new_input(STR if kind == TEXT else leaf.aval, source, leaf.depth)


def _for_input(leaf: Any, cotangent: Any) -> Any:
    """Return the cotangent of an input: a number has a number, and words say nothing about one that was passed in."""
    if leaf.__class__ is not IRVar or cotangent.__class__ is not Traced:
        return cotangent
    if not isinstance(leaf.aval, _NUMBERS):
        return cotangent
    return Zero(leaf.aval) if isinstance(cotangent.var.aval, StrAVal) else materialized(cotangent)


# ------------------------------------------------------------------------------------- the higher-order equation


def kinds_of(ir: IR, cotangents: Any) -> Kinds:
    """Return the kind of each cotangent given for the outputs of `ir`: values, or boxes and variables with a type."""
    leaves = trees.leaves(ir.out_ir_tree)
    return tuple([_kind(leaf, g) for leaf, g in zip(leaves, like(ir.out_ir_tree, cotangents), strict=True)])


def _kind(leaf: Any, given: Any) -> str:
    if is_zero(given) or (given.__class__ in (list, tuple, dict) and all_zero(given)):
        return ZERO
    if isinstance(getattr(leaf, "aval", None), StrAVal):
        return NATIVE
    return TEXT if _is_text(given) else NATIVE


def _is_text(given: Any) -> bool:
    """Tell whether a cotangent, or one in a container of them, is a text."""
    for leaf in trees.leaves(given):
        if leaf.__class__ is str:
            return True
        aval = leaf.var.aval if leaf.__class__ is Traced else None if is_zero(leaf) else find_aval(leaf)
        if isinstance(getattr(aval, "aval", aval), StrAVal):
            return True
    return False


def _impl(in_tree: Any, /, *, ir: IR) -> Any:
    return pull_plan(ir, kinds_of(ir, in_tree[1])).call(*in_tree)


async def _aimpl(in_tree: Any, /, *, ir: IR) -> Any:
    return await pull_plan(ir, kinds_of(ir, in_tree[1])).acall(*in_tree)


def _abstract(in_tree: Any, /, *, ir: IR) -> Any:
    return trees.map_leaves(ir_type, pull_plan(ir, kinds_of(ir, in_tree[1])).out_ir_tree)


rules(pullback_call_p, impl=_impl, aimpl=_aimpl, abstract=_abstract)
expansions[pullback_call_p] = lambda eqn: pull_plan(eqn.params["ir"], kinds_of(eqn.params["ir"], eqn.in_ir_tree[1]))


def join(kinds: Sequence[str], cotangents: Sequence[Any]) -> Kinds:
    """Return `kinds`, with the kind of a cotangent in place of each zero."""
    return tuple(
        [
            kind if kind != ZERO or is_zero(given) else TEXT if _is_text(given) else NATIVE
            for kind, given in zip(kinds, cotangents, strict=True)
        ]
    )
