"""Forward mode: tangents along a program."""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.base.avals import STR, find_aval
from alkahest.base.rules import push_rules
from alkahest.base.zero import Zero, is_zero, zeroof
from alkahest.errors import RuleError
from alkahest.ir.checking import checked
from alkahest.ir.ir import IR, Flow, IREqn, IRVar, check_ir, ir_type
from alkahest.prims.control import switch_p, while_loop_p
from alkahest.prims.derived import push_of
from alkahest.prims.rules import rules, staged
from alkahest.transforms.calls import batch_call_p, call_ir, copied, flows, pushforward_call_p
from alkahest.transforms.plans import as_written, derived, expansions, flat, inlined, like
from alkahest.transforms.pruning import dce
from alkahest.transforms.replaying import Replay


def pushforward(ir: IR, /) -> IR:
    """Return the program `(primals, tangents) -> (output, output tangent)`; both arguments are tuples like `ir`'s.

    A text tangent runs through the program as the text itself does; numbers follow the derivative. An equation all of
    whose tangents are symbolic zeros is not differentiated, and costs no further model call. The tangent of a static
    input, or of a literal output, is a `Zero`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda x: af.format("<{}>", x))("a")
    >>> af.pushforward(ir).call(("a",), ("b",))
    ('<a>', '<b>')
    >>> square = af.trace(lambda x: x * x)(1.0)
    >>> af.pushforward(square).call((3.0,), (1.0,))
    (9.0, 6.0)
    """
    check_ir(ir, "pushforward")
    ins = (copied(ir.in_ir_tree), flows("tangent", ir.in_ir_tree))
    outs = (copied(ir.out_ir_tree), flows("tangent", ir.out_ir_tree))
    return call_ir(pushforward_call_p, ins, outs, ir=ir)


def push_plan(ir: IR, zeros: tuple[bool, ...]) -> IR:
    """Return the program that carries out the push rules of `ir`; tangents flagged in `zeros` are symbolic zeros."""
    return derived(ir, ("push", zeros), lambda: _push_plan(flat(as_written(ir)), zeros))


def _push_plan(ir: IR, zeros: tuple[bool, ...]) -> IR:
    push = _Push(ir)
    ins = push.inputs(), push.tangent_inputs(zeros)
    with push.tracing():
        push.each(push.push)
    out = trees.map_leaves(push.tangent, ir.out_ir_tree)
    return checked(dce(push.plan(ins, (push.outputs(), out))))


class _Push(Replay):
    """A program bound again with tangents along it."""

    def __init__(self, ir: IR) -> None:
        super().__init__(ir, "a pushforward")
        self.tangents: dict[int, Any] = {}

    def tangent_inputs(self, zeros: tuple[bool, ...]) -> Any:
        """Return the tangents of the inputs: symbolic zeros where they are said to be, and for literals."""
        leaves, treedef = trees.flatten(self.ir.in_ir_tree)
        return treedef.unflatten([self._tangent_input(leaf, zero) for leaf, zero in zip(leaves, zeros, strict=True)])

    def _tangent_input(self, leaf: Any, zero: bool) -> Any:
        if leaf.__class__ is not IRVar:
            return zeroof(leaf)
        source = Flow("tangent", leaf)
        tangent = Zero(leaf.aval) if zero else self.tracer.new_input(leaf.aval, source, leaf.depth)
        self.tangents[leaf.id] = tangent
        return tangent

    def tangent(self, leaf: Any) -> Any:
        """Return the tangent of a variable or literal."""
        return self.tangents[leaf.id] if leaf.__class__ is IRVar else Zero(find_aval(leaf) or STR)

    def push(self, eqn: IREqn) -> None:
        """Bind an equation and its push rule."""
        leaves, treedef = eqn.in_parts()
        primals = treedef.unflatten([self.read(leaf) for leaf in leaves])
        incoming = treedef.unflatten([self.tangent(leaf) for leaf in leaves])
        out, outgoing = push_of(eqn.prim, primals, incoming, eqn.params)
        out_leaves, out_treedef = eqn.out_parts()
        try:
            pairs = zip(out_leaves, out_treedef.flatten_up_to(out), out_treedef.flatten_up_to(outgoing), strict=True)
        except ValueError as error:
            raise RuleError(
                f"the push rule of {eqn.prim} gave another structure than its abstract rule: "
                f"{str(error).splitlines()[0]}",
                remedy="Return output and tangent, both in the structure of the output.",
            ) from None
        for leaf, value, tangent in pairs:
            if leaf.__class__ is IRVar:
                self.values[leaf.id] = value
                self.tangents[leaf.id] = tangent


# ------------------------------------------------------------------------------------- the higher-order equation


def _zeros(tangents: Any, ir: IR) -> tuple[bool, ...]:
    leaves = trees.leaves(ir.in_ir_tree)
    given = like(ir.in_ir_tree, tangents)
    return tuple([leaf.__class__ is not IRVar or is_zero(g) for leaf, g in zip(leaves, given, strict=True)])


def _impl(in_tree: Any, /, *, ir: IR) -> Any:
    return push_plan(ir, _zeros(in_tree[1], ir)).call(*in_tree)


async def _aimpl(in_tree: Any, /, *, ir: IR) -> Any:
    return await push_plan(ir, _zeros(in_tree[1], ir)).acall(*in_tree)


def _abstract(in_tree: Any, /, *, ir: IR) -> Any:
    plan = push_plan(ir, _zeros(in_tree[1], ir))
    return trees.map_leaves(ir_type, plan.out_ir_tree)


rules(pushforward_call_p, impl=_impl, aimpl=_aimpl, abstract=_abstract)
expansions[pushforward_call_p] = lambda eqn: push_plan(eqn.params["ir"], _zeros(eqn.in_ir_tree[1], eqn.params["ir"]))

# ------------------------------------------------------------------------------------------------- control flow


def _switch_push(in_tree: Any, /, *, branches: Any) -> Any:
    (key, operands), (_, tangents) = in_tree
    plans = {name: push_plan(ir, _zeros(tangents, ir)) for name, ir in branches.items()}
    return switch_p.bind((key, (operands, tangents)), branches=plans)


push_rules.set(switch_p, staged(_switch_push))
push_rules.aset(switch_p, push_rules.get(switch_p))


def _while_push(in_tree: Any, /, *, cond_ir: IR, body_ir: IR, max_iters: int) -> Any:
    (state,), (tangent,) = in_tree
    zeros = [is_zero(t) for t in like(body_ir.in_ir_tree[0], tangent)]
    while True:  # a tangent that becomes non-zero in the body is not zero at its start either
        plan = push_plan(body_ir, tuple(zeros))
        outgoing = like(body_ir.out_ir_tree, plan.out_ir_tree[1])
        grown = [z and is_zero(t) for z, t in zip(zeros, outgoing, strict=True)]
        if grown == zeros:
            break
        zeros = grown
    body = paired_body(plan)
    init = (state, tangent)
    return while_loop_p.bind((init,), cond_ir=on_first(cond_ir, body), body_ir=body, max_iters=max_iters)


def paired_body(plan: IR) -> IR:
    """Return the plan of a loop's body as a body itself, whose state is the pair of state and tangent."""
    (state,), (tangent,) = plan.in_ir_tree
    return IR(plan.ir_eqns, ((state, tangent),), plan.out_ir_tree, ordered=plan.ordered)


def on_first(cond_ir: IR, body: IR) -> IR:
    """Return the condition `cond_ir` on the first part of the state that `body` takes."""
    (state,) = body.in_ir_tree
    ins = trees.map_leaves(
        lambda leaf: IRVar(aval=leaf.aval, source=leaf.source, depth=leaf.depth) if leaf.__class__ is IRVar else leaf,
        state,
    )
    eqns, (result,) = inlined(cond_ir, like(cond_ir.in_ir_tree, (ins[0],)))
    return IR(eqns, (ins,), result, ordered=cond_ir.ordered)


push_rules.set(while_loop_p, staged(_while_push))
push_rules.aset(while_loop_p, push_rules.get(while_loop_p))

# ------------------------------------------------------------------------------------------------------- batches


def _batch_push(in_tree: Any, /, *, ir: IR, in_axes: Any) -> Any:
    primals, tangents = in_tree
    zeros = _zeros(tangents, ir)
    plan = push_plan(ir, zeros)
    flags = like(ir.in_ir_tree, in_axes)
    moving = [f and not z for f, z in zip(flags, zeros, strict=True)]
    axes = trees.structure(plan.in_ir_tree).unflatten([*flags, *moving])
    out, tangent = batch_call_p.bind((primals, tangents), ir=plan, in_axes=axes)
    return out, _static_zeros(plan.out_ir_tree[1], tangent)


def _static_zeros(inner: Any, given: Any) -> Any:
    """Return `given` with the symbolic zeros that are known before anything runs."""
    leaves, treedef = trees.flatten(inner)
    pairs = zip(leaves, treedef.flatten_up_to(given), strict=True)
    return treedef.unflatten([trees.map_leaves(lambda _, z=leaf: z, g) if is_zero(leaf) else g for leaf, g in pairs])


push_rules.set(batch_call_p, staged(_batch_push))
push_rules.aset(batch_call_p, push_rules.get(batch_call_p))
