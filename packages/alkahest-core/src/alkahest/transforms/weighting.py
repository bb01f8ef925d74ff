"""Weighted programs: the product of the factors that the executed path reached."""

from __future__ import annotations

from typing import Any

from alkahest.base import trees
from alkahest.base.avals import FLOAT
from alkahest.errors import RuleError
from alkahest.ir.checking import checked
from alkahest.ir.ir import IR, IREqn, IRVar, check_ir, ir_type
from alkahest.prims.control import switch_p, while_loop_p
from alkahest.prims.marks import factor_p
from alkahest.prims.rules import rules
from alkahest.transforms.boundary import CustomFunction
from alkahest.transforms.calls import batch_call_p, call_ir, copied, weighted_call_p
from alkahest.transforms.custom_rules import custom_body
from alkahest.transforms.forward import on_first
from alkahest.transforms.hoisting import hoisted
from alkahest.transforms.plans import as_written, derived, expansions, flat
from alkahest.transforms.replaying import Replay
from alkahest.transforms.weights import item_product_p, product, product_p, weight_p


def weighted(ir: IR, /) -> IR:
    """Return the program with the same inputs that gives `(output, weight)`.

    The weight is the product of the `factor`s that the executed path reached, in the branch taken by a `switch` and in
    each iteration of a `while_loop` too; 1.0 where it reached none. `batch(weighted(ir))` gives one weight per item;
    `weighted(batch(ir))` one product, in which a factor that depends on no batched input counts once. Derivatives go
    through the weight.

    >>> import alkahest as af
    >>> def program(x):
    ...     af.factor(0.5)
    ...     return x + "!"
    >>> af.weighted(af.trace(program)("a")).call("b")
    ('b!', 0.5)
    """
    check_ir(ir, "weighted")
    return call_ir(weighted_call_p, copied(ir.in_ir_tree), (copied(ir.out_ir_tree), IRVar(aval=FLOAT)), ir=ir)


def weight_plan(ir: IR) -> IR:
    """Return the program that carries its weight along: `args -> (output, weight)`."""
    return derived(ir, "weight", lambda: _weight_plan(hoisted(flat(as_written(ir)))))


def has_factors(ir: IR) -> bool:
    """Tell whether `ir`, or a program inside it, has a factor."""
    return derived(ir, "factors", lambda: any(_reaches(eqn) for eqn in flat(ir).ir_eqns))


def _reaches(eqn: IREqn) -> bool:
    if eqn.prim is factor_p:
        return True
    inner = [leaf for leaf in trees.leaves(eqn.params) if leaf.__class__ is IR]
    body = _body(eqn)
    return any(has_factors(ir) for ir in ([*inner, body] if body is not None else inner))


def _body(eqn: IREqn) -> IR | None:
    """Return the body of a custom function made of primitives."""
    call = eqn.params.get("call")
    return custom_body(call, eqn.in_ir_tree) if isinstance(call, CustomFunction) and not call.opaque else None


def _weight_plan(ir: IR) -> IR:
    replay = Replay(ir, "a weighted program")
    ins = replay.inputs()
    weights: list[Any] = []
    with replay.tracing():
        replay.each(lambda eqn: _bind(replay, eqn, weights))
        weight = product(weights)
    return checked(replay.plan(ins, (replay.outputs(), weight)))


def _bind(replay: Replay, eqn: IREqn, weights: list[Any]) -> None:
    leaves, treedef = eqn.in_parts()
    ins = treedef.unflatten([replay.read(leaf) for leaf in leaves])
    if _reaches(eqn):
        body = _body(eqn)
        if body is None and eqn.prim not in _RULES:
            raise RuleError(
                f"{eqn.prim} holds a program with factors, and nobody said how its weight comes out.",
                remedy="Use factor outside of it, or in switch, while_loop, batch and custom functions.",
            )
        out, weight = weight_plan(body).call(*ins) if body is not None else _RULES[eqn.prim](ins, **eqn.params)
        weights.append(weight)
    else:
        out = eqn.prim.bind(ins, **eqn.params)
    out_leaves, out_treedef = eqn.out_parts()
    for leaf, value in zip(out_leaves, out_treedef.flatten_up_to(out), strict=True):
        if leaf.__class__ is IRVar:
            replay.values[leaf.id] = value


def _factor(in_tree: Any, /, *, name: Any) -> Any:
    return (), weight_p.bind(in_tree)


def _switch(in_tree: Any, /, *, branches: Any) -> Any:
    plans = {key: weight_plan(ir) for key, ir in branches.items()}
    # A branch without a factor has the literal 1.0 where others have a variable.
    return switch_p.bind(in_tree, branches=plans)


def _while(in_tree: Any, /, *, cond_ir: IR, body_ir: IR, max_iters: int) -> Any:
    (init,) = in_tree
    plan = weight_plan(body_ir)
    (state,) = plan.in_ir_tree
    out, weight = plan.out_ir_tree
    before, after = IRVar(aval=FLOAT), IRVar(aval=FLOAT)
    eqns = [*plan.ir_eqns, IREqn(product_p, (before, weight), after)]
    body = IR(eqns, ((state, before),), (out, after), ordered=plan.ordered)
    return while_loop_p.bind(((init, 1.0),), cond_ir=on_first(cond_ir, body), body_ir=body, max_iters=max_iters)


def _batch(in_tree: Any, /, *, ir: IR, in_axes: Any) -> Any:
    out, weights = batch_call_p.bind(in_tree, ir=weight_plan(ir), in_axes=in_axes)
    return out, item_product_p.bind(weights)


_RULES = {factor_p: _factor, switch_p: _switch, while_loop_p: _while, batch_call_p: _batch}

# ------------------------------------------------------------------------------------- the higher-order equation


def _impl(in_tree: Any, /, *, ir: IR) -> Any:
    return weight_plan(ir).call(*in_tree)


async def _aimpl(in_tree: Any, /, *, ir: IR) -> Any:
    return await weight_plan(ir).acall(*in_tree)


rules(
    weighted_call_p,
    impl=_impl,
    aimpl=_aimpl,
    abstract=lambda in_tree, ir: trees.map_leaves(ir_type, weight_plan(ir).out_ir_tree),
)
expansions[weighted_call_p] = lambda eqn: weight_plan(eqn.params["ir"])
