"""Feedback on a message, from feedback on what a language model answered to it: how model calls run backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alkahest.base.avals import STR
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero, is_zero, materialize
from alkahest.errors import OperandTypeError
from alkahest.prims.derived import all_zero, zeros_for
from alkahest.prims.rules import rules, staged
from alkahest.prims.schema_json import schema_leaves
from alkahest.prims.text import _kind

lm_call_p = Prim("lm_call")
lm_schema_call_p = Prim("lm_schema_call")
lm_feedback_p = Prim("lm_feedback")
"""`(content, output, feedback on the output, model)` gives feedback on the content: one message of a call.

Parameters are those of the call, and `index`, which message it is.
"""

FEEDBACK_PROMPT = """\
A language model was sent this message, in the role "{role}":

<message>
{content}
</message>

It answered:

<answer>
{output}
</answer>

This is the feedback on the answer:

<feedback>
{feedback}
</feedback>

Give concise, actionable feedback on the message: what to change in it so that the answer becomes what the feedback \
asks for. Reply with that feedback alone."""

FIELDS_PROMPT = """\
A language model was sent this message, in the role "{role}":

<message>
{content}
</message>

It answered with these fields, and each has the feedback below it:

<feedback>
{fields}
</feedback>

Give concise, actionable feedback on the message: what to change in it so that the answer becomes what the feedback \
asks for. Reply with that feedback alone."""

FIELD = "{path} = {value!r}\n  feedback: {feedback}"
NO_FEEDBACK = "(no feedback)"


def _asked(in_tree: Any, index: int, roles: Sequence[str], params: dict[str, Any]) -> str | None:
    """Return what to ask the model, or None where there is no feedback to pass on."""
    content, output, cotangent, _ = in_tree
    if all_zero(cotangent):
        return None
    message = {"role": roles[index], "content": materialize(content)}
    if "schema" in params:
        return FIELDS_PROMPT.format(**message, fields=_fields(output, cotangent, params["schema"]))
    return FEEDBACK_PROMPT.format(**message, output=materialize(output), feedback=_text(cotangent, "the answer"))


def _fields(output: Any, cotangent: Any, schema: Any) -> str:
    fields, treedef = schema_leaves(schema)
    values = treedef.flatten_up_to(materialize(output))
    parts: list[str] = []
    for field, value, flow in zip(fields, values, treedef.flatten_up_to(cotangent), strict=True):
        feedback = NO_FEEDBACK if is_zero(flow) else repr(_text(flow, field.path))
        parts.append(FIELD.format(path=field.path, value=value, feedback=feedback))
    return "\n".join(parts)


def _text(cotangent: Any, place: str) -> str:
    if isinstance(cotangent, str):
        return cotangent
    raise OperandTypeError(
        f"the feedback on {place} of a language model is {_kind(cotangent)} where a text is needed.",
        remedy="Give the feedback as a str, or Zero for none; apply stop_gradient to fields that are used as numbers.",
    )


def _impl(in_tree: Any, /, *, index: int, roles: Sequence[str], **params: Any) -> Any:
    asked = _asked(in_tree, index, roles, params)
    return Zero(STR) if asked is None else lm_call_p.bind(([asked], in_tree[3]), roles=("user",))


async def _aimpl(in_tree: Any, /, *, index: int, roles: Sequence[str], **params: Any) -> Any:
    asked = _asked(in_tree, index, roles, params)
    return Zero(STR) if asked is None else await lm_call_p.abind(([asked], in_tree[3]), roles=("user",))


def _push(in_tree: Any, /, **params: Any) -> Any:
    """Ask for feedback on the tangents as on the primals: nobody is asked where no feedback changes."""
    primals, (content, output, cotangent, _) = in_tree
    feedback = lm_feedback_p.bind(primals, **params)
    if all_zero(cotangent):
        return feedback, Zero(STR)
    return feedback, lm_feedback_p.bind((content, output, cotangent, primals[3]), **params)


def _backward(in_tree: Any, /, *, index: int, **params: Any) -> Any:
    """Send on the cotangent as the call sends a tangent: the transpose of a backward rule is the push rule."""
    (content, output, cotangent, model), flow = in_tree
    if is_zero(flow):
        return zeros_for((content, output, cotangent, model))
    prim = lm_schema_call_p if "schema" in params else lm_call_p
    contents = [flow if k == index else "" for k in range(len(params["roles"]))]
    found = prim.bind((contents, model), **params)
    return zeros_for(content), zeros_for(output), found, zeros_for(model)


rules(
    lm_feedback_p,
    impl=_impl,
    aimpl=_aimpl,
    abstract=lambda in_tree, **params: STR,
    push=staged(_push),
    pull=(staged(lambda in_tree, **params: (lm_feedback_p.bind(in_tree, **params), in_tree)), staged(_backward)),
    waits=True,
)
