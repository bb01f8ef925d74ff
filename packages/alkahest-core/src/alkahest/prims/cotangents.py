"""Primitives of derivatives: adding cotangents, values for symbolic zeros, text feedback on all inputs alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import AVal, StrAVal, find_aval
from alkahest.base.interpreter import active_interpreter
from alkahest.base.prim import Prim
from alkahest.base.rules import push_rules
from alkahest.base.zero import Zero, accumulate_cotangents, is_zero, materialize
from alkahest.ir.boxes import Traced
from alkahest.ir.columns import Columns
from alkahest.ir.tracing import TracingInterpreter
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import Staged, keeps_inputs, rules, staged

accumulate_p = Prim("accumulate")
materialize_p = Prim("materialize")
spread_p = Prim("spread")

# ------------------------------------------------------------------------------------------------- accumulation


def accumulated(cotangents: list[Any]) -> Any:
    """Return the sum of cotangents, traced or not: an equation only where there is something to add."""
    given = [c for c in cotangents if not is_zero(c)]
    if len(given) < 2:
        return given[0] if given else cotangents[0]
    return accumulate_p.bind(tuple(given))


def _accumulate_abstract(in_tree: Any, /) -> Any:
    avals = [aval for aval in map(find_aval, in_tree) if aval is not None]
    texts = [aval for aval in avals if isinstance(aval, StrAVal)]
    return texts[0] if texts else avals[0]


def _accumulate_push(in_tree: Any, /) -> Any:
    primals, tangents = in_tree
    return accumulate_p.bind(primals), accumulated(list(tangents))


rules(
    accumulate_p,
    impl=accumulate_cotangents,
    abstract=_accumulate_abstract,
    push=staged(_accumulate_push),
    pull=(
        keeps_inputs(accumulate_p),
        staged(lambda in_tree: (in_tree[1],) * len(in_tree[0])),
    ),
)

# ---------------------------------------------------------------------------------------------- materialization


def materialized(tree: Any) -> Any:
    """Return `tree` with values for symbolic zeros, now or, where they are traced, when the program runs."""
    return trees.map_leaves(_materialized, tree)


def _materialized(leaf: Any) -> Any:
    return materialize_p.bind(leaf) if leaf.__class__ is Traced else materialize(leaf)


def _materialize_batch(in_tree: Any, /) -> Any:
    batch = Columns(in_tree)
    if not batch.any:
        return materialize(batch.one()), False
    (column,) = batch.columns
    return batch.pack([materialize(v) if v.__class__ is Zero else v for v in column]), True


rules(
    materialize_p,
    impl=materialize,
    abstract=find_aval,
    push=staged(lambda in_tree: (materialize_p.bind(in_tree[0]), in_tree[1])),
    pull=(staged(lambda x: (materialize_p.bind(x), ())), staged(lambda in_tree: in_tree[1])),
    batch=_materialize_batch,
)

# ------------------------------------------------------------------------------------------- the whole cotangent


def whole_cotangent(prim: Prim) -> tuple[Staged, Staged]:
    """Return pull rules that give every input the whole cotangent: nobody knows which part a criticism is about."""

    def backward(in_tree: Any, /, **params: Any) -> Any:
        primals, cotangent = in_tree
        leaves, structure = trees.flatten(primals)
        if is_zero(cotangent):
            return structure.unflatten([cotangent] * len(leaves))
        tracer = active_interpreter.get()
        if isinstance(tracer, TracingInterpreter) and cotangent.__class__ is Traced:
            aval = cotangent.aval
            outs = [aval if leaf.__class__ is Traced else Zero(aval) for leaf in leaves]
            given = {"prim": prim, "params": params, "structure": structure}
            return structure.unflatten(tracer.record(spread_p, [cotangent, *leaves], outs, given))
        found = spread_p.bind((cotangent, *leaves), prim=prim, params=params, structure=structure)
        return structure.unflatten(found)

    return keeps_inputs(prim), staged(backward)


# The inputs are the cotangent and the leaves of the primitive's inputs, whose structure is a parameter.
def _spread_impl(in_tree: Any, /, **_: Any) -> Any:
    return (in_tree[0],) * (len(in_tree) - 1)


def _spread_abstract(in_tree: Any, /, **_: Any) -> Any:
    cotangent, *primals = in_tree
    aval = find_aval(cotangent) or StrAVal()
    # Nothing flows into a literal.
    return tuple([aval if isinstance(leaf, AVal) else Zero(aval) for leaf in primals])


def _spread_push(in_tree: Any, /, **params: Any) -> Any:
    primals, tangents = in_tree
    out = spread_p.bind(primals, **params)
    if is_zero(tangents[0]):
        return out, (tangents[0],) * len(out)
    return out, spread_p.bind((tangents[0], *primals[1:]), **params)


def _spread_backward(in_tree: Any, /, *, prim: Prim, params: Mapping[str, Any], structure: Any) -> Any:
    """The transpose of spreading a cotangent over the inputs is pushing tangents of the inputs to the output."""
    primals, tangents = in_tree
    nothing = [Zero(find_aval(leaf) or StrAVal()) for leaf in primals]
    if all([is_zero(leaf) for leaf in tangents]):
        return (Zero(StrAVal()), *nothing)
    _, tangent = push_rules.get(prim)((structure.unflatten(primals), structure.unflatten(tangents)), **params)
    return (tangent, *nothing)


def _spread_batch(in_tree: Any, /, **_: Any) -> Any:
    _, (flag, *_rest), (cotangent, *primals) = in_tree
    return (cotangent,) * len(primals), (flag,) * len(primals)


rules(
    spread_p,
    impl=_spread_impl,
    abstract=_spread_abstract,
    push=staged(_spread_push),
    pull=(
        staged(lambda in_tree, **params: (spread_p.bind(in_tree, **params), in_tree[1:])),
        staged(_spread_backward),
    ),
    batch=_spread_batch,
)
cheap_primitives.update({accumulate_p, materialize_p, spread_p})
