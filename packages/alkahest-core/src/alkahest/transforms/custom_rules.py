"""The rules of custom functions: those of any Python, and those made of primitives, whose body transforms use."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from alkahest.base import trees
from alkahest.base.avals import AVal, DeepAVal, avalof
from alkahest.base.interpreter import active_tags, using_interpreter
from alkahest.base.prim import Prim
from alkahest.base.rules import Rule, pull_fwd_rules
from alkahest.errors import MissingRuleError, RuleError, TraceError
from alkahest.ir.boxes import Traced
from alkahest.ir.columns import Columns, itemwise
from alkahest.ir.ir import IR, NO_TAGS, IREqn, IRVar, ir_type
from alkahest.ir.tracing import TracingInterpreter
from alkahest.prims.rules import rules, staged
from alkahest.transforms.keys import tree_key
from alkahest.transforms.plans import derived, expansions

if TYPE_CHECKING:
    from alkahest.transforms.boundary import CustomFunction

_BODIES = 256  # how many programs of its body a custom function keeps

# -------------------------------------------------------------------------------------------- functions of any kind


def opaque_rules(prim: Prim, is_async: bool, waits: bool, keep: bool, memoizable: bool) -> None:
    """Set the rules of a function that is any Python."""
    rules(
        prim,
        impl=_run_async if is_async else _run,
        aimpl=_arun if is_async else None,
        abstract=_declared,
        push=staged(_missing("pushforward")),
        pull=(staged(_forward_without), staged(_missing("pullback"))),
        waits=waits or is_async,
        keep=keep,
        memoizable=memoizable,
        register=False,
    )


def _forward_without(in_tree: Any, /, *, call: CustomFunction) -> Any:
    # The rule is missed only where a cotangent comes: none does to what chooses a branch.
    return call.prim.bind(in_tree, call=call), ()


def _missing(kind: str) -> Rule:
    def missing(in_tree: Any, /, *, call: CustomFunction) -> Any:
        raise MissingRuleError(
            f"custom function {call.prim} has no {kind} rule, and no body that one could follow from.",
            remedy=f"Set one: {call.prim}.set_{kind}(rule).",
        )

    return missing


def _declared(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return call.out


def _run(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return checked_output(call, call.func(*in_tree))


async def _arun(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return checked_output(call, await call.func(*in_tree))


def _run_async(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return awaited(_arun)(in_tree, call=call)


def awaited(rule: Rule) -> Rule:
    """Return the sync side of an async rule: it runs in an event loop of its own."""

    def run(in_tree: Any, /, *, call: CustomFunction) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(rule(in_tree, call=call))
        context = contextvars.copy_context()
        with ThreadPoolExecutor(1) as thread:  # a loop runs here already: another one needs a thread of its own
            return thread.submit(context.run, asyncio.run, rule(in_tree, call=call)).result()

    return run


def checked_output(call: CustomFunction, out: Any) -> Any:
    """Return `out`, or raise `RuleError` where it is not what `out=` says."""
    if not call.opaque:
        return out
    avals, treedef = trees.flatten(call.out)
    try:
        parts = treedef.flatten_up_to(out)
    except ValueError as error:
        raise RuleError(
            f"{call.prim} returned another structure than out= says: {str(error).splitlines()[0].rstrip('.')}.",
            remedy="Let the function return that structure, or say another.",
        ) from None
    for aval, part in zip(avals, parts, strict=True):
        if not aval.accepts(part):
            raise RuleError(
                f"{call.prim} returned a {type(part).__name__} where out= says {aval.label}.",
                remedy="Let the function return that type, or say another.",
            )
    return out


def _forward_own(in_tree: Any, /, *, call: CustomFunction) -> Any:
    out = call.prim.bind(in_tree, call=call)
    return out, (in_tree, out)


async def _aforward_own(in_tree: Any, /, *, call: CustomFunction) -> Any:
    out = await call.prim.abind(in_tree, call=call)
    return out, (in_tree, out)


def claim_forward(prim: Prim) -> None:
    """Let the backward rule of `prim` be given inputs and output, as a user's is."""
    pull_fwd_rules.set(prim, _forward_own, replace=True)
    pull_fwd_rules.aset(prim, _aforward_own, replace=True)


# ------------------------------------------------------------------------------------- functions made of primitives


def traced_rules(prim: Prim, keep: bool) -> None:
    """Set the rules of a function made of primitives: they use its body."""
    rules(
        prim,
        impl=_run,
        aimpl=_aimpl_body,
        abstract=_abstract_body,
        push=staged(_push_body),
        pull=(staged(_forward_body), staged(_backward_body)),
        batch=_batch_body,
        abatch=_abatch_body,
        keep=keep,
        memoizable=False,  # what it binds is seen when it runs, and may be a checkpoint
        register=False,
    )
    expansions[prim] = _expansion


def _expansion(eqn: IREqn) -> IR:
    """Return the body in place of an equation, under its tags."""
    body = custom_body(eqn.params["call"], eqn.in_ir_tree)
    if not eqn.tags:
        return body
    return derived(
        body,
        ("tags", eqn.tags),
        lambda: IR(
            [inner.replace(tags=inner.tags | eqn.tags) for inner in body.ir_eqns], body.in_ir_tree, body.out_ir_tree
        ),
    )


def trace_avals(func: Callable[..., Any], in_avals_tree: Any, /) -> IR:
    """Return the program that `func` is on inputs of these abstract values; other leaves are literals.

    Variables and traced values stand for their abstract values. Tags that are active do not count.
    """
    leaves, treedef = trees.flatten(trees.map_leaves(_aval_or_literal, in_avals_tree))
    tracer = TracingInterpreter(getattr(func, "__name__", type(func).__name__))
    boxes = [_input(tracer, leaf) for leaf in leaves]
    token = active_tags.set(NO_TAGS)
    try:
        with using_interpreter(tracer):
            out = func(*treedef.unflatten(boxes))
    finally:
        active_tags.reset(token)
    ins = [box.var if box.__class__ is Traced else box for box in boxes]
    return IR(tracer.eqns, treedef.unflatten(ins), tracer.leave(out))


def _input(tracer: TracingInterpreter, leaf: Any) -> Any:
    if isinstance(leaf, DeepAVal):
        return tracer.new_input(leaf.aval, depth=leaf.depth)
    return tracer.new_input(leaf) if isinstance(leaf, AVal) else leaf


def custom_body(call: CustomFunction, in_avals_tree: Any, /) -> IR:
    """Return the body of a custom function as a program, for the tuple of arguments: abstract values and literals.

    Variables and traced values stand for their abstract values. The program is kept on the function.
    """
    if call.opaque:
        raise TraceError(
            f"{call.prim} was given out=, and is no program.",
            remedy="Set the rule that is needed on it: set_pushforward, set_pullback or set_batch.",
        )
    avals = trees.map_leaves(_aval_or_literal, in_avals_tree)
    key = tree_key(avals)
    body = call._bodies.get(key)
    if body is None:
        body = trace_avals(call.func, avals)
        if len(call._bodies) >= _BODIES:
            call._bodies.clear()
        call._bodies[key] = body
    return body


def _aval_or_literal(leaf: Any) -> Any:
    if leaf.__class__ is Traced:
        leaf = leaf.var
    return ir_type(leaf) if leaf.__class__ is IRVar else leaf


def _staged_body(call: CustomFunction, primals: Any) -> IR:
    """Return the body for the inputs of a rule: literals beside traced values stay, concrete values are abstracted."""
    traced = any(leaf.__class__ is Traced for leaf in trees.leaves(primals))
    return custom_body(call, primals if traced else trees.map_leaves(avalof, primals))


def _abstract_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return trees.map_leaves(ir_type, custom_body(call, in_tree).out_ir_tree)


async def _aimpl_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    # Traced at the values themselves, so that Python may look at them as it does in a plain call.
    values, treedef = trees.flatten(in_tree)
    known = [_hashable(value) for value in values]
    ir = trace_avals(call.func, treedef.unflatten([v if k else avalof(v) for v, k in zip(values, known, strict=True)]))
    return await ir.acall(*in_tree)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return value == value  # nan is no static input: it is not equal to itself


def _push_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    from alkahest.transforms.forward import pushforward

    primals, tangents = in_tree
    return pushforward(_staged_body(call, primals)).call(primals, tangents)


def _pull_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    from alkahest.transforms.reverse import pullback

    (primals, _), cotangent = in_tree
    return pullback(_staged_body(call, primals)).call(primals, cotangent)[1]


def _halves(call: CustomFunction, primals: Any) -> tuple[IR, IR]:
    """Return the body as a forward program, which keeps what it computed, and a backward one, which uses it."""
    from alkahest.transforms.hoisting import split
    from alkahest.transforms.reverse import NATIVE, pull_plan

    body = _staged_body(call, primals)
    kinds = (NATIVE,) * trees.structure(body.out_ir_tree).num_leaves
    return derived(body, "halves", lambda: split(pull_plan(body, kinds, inner=True)))


def _forward_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    out, kept = _halves(call, in_tree)[0].call(*in_tree)
    return out, (in_tree, kept)


def _backward_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    (primals, kept), cotangent = in_tree
    return _halves(call, primals)[1].call(kept, cotangent)


def _batched_body(in_tree: Any, call: CustomFunction) -> IR | None:
    """Return the batched body, or None where items are carried out one by one: none is batched, or there is none."""
    from alkahest.transforms.batching import batch

    columns = Columns(in_tree)
    if not columns.any or columns.size == 0:
        return None
    # What is not batched may be what Python decides by: it stays a literal.
    leaves = [
        avalof(value[0] if flag else value) if flag or value.__class__ not in (str, int, bool) else value
        for flag, value in zip(columns.flags, columns.columns, strict=True)
    ]
    return batch(custom_body(call, columns.treedef.unflatten(leaves)), in_axes=in_tree[1])


def _batch_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    ir = _batched_body(in_tree, call)
    if ir is None:
        return itemwise(Columns(in_tree), lambda row: call.prim.bind(row, call=call))
    return ir.call(*in_tree[2]), trees.map_leaves(lambda _: True, ir.out_ir_tree)


async def _abatch_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    ir = _batched_body(in_tree, call)
    if ir is None:
        return itemwise(Columns(in_tree), lambda row: call.prim.bind(row, call=call))
    return await ir.acall(*in_tree[2]), trees.map_leaves(lambda _: True, ir.out_ir_tree)


def default_rule(kind: str) -> Rule:
    """Return what runs on values where only the other side, async, has a rule of the user's."""
    return {"push": _push_body, "pull": _pull_body, "batch": _batch_body}[kind]
