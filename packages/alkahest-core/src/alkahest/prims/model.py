"""Language-model calls: `lm_call` answers with a text, `lm_schema_call` with values in the structure of a schema.

Backward, feedback on an answer becomes feedback on the messages by asking the model (`feedback.py`); forward, tangents
are sent to the model as the messages themselves are. Calls cost money, so a call is made only where its answer counts:
none for a symbolic zero, none for the gradient of a message that is a constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import STR, StrAVal, find_aval
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero, is_zero, materialize
from alkahest.errors import ClientError, OperandTypeError, SchemaViolationError
from alkahest.ir.boxes import Traced
from alkahest.models.client import active_client
from alkahest.prims.derived import all_zero, zeros_for
from alkahest.prims.feedback import lm_call_p, lm_feedback_p, lm_schema_call_p
from alkahest.prims.rules import Staged, rules, staged
from alkahest.prims.schema_json import make_json_schema_and_parser, schema_avals
from alkahest.prims.text import _kind

REPAIR_PROMPT = """\
That answer cannot be used: {violation}

Answer again, with JSON alone that follows the schema."""
"""What the model is told after an answer that violates the schema, where `repairs` allows to ask again."""

Messages = Sequence[Mapping[str, Any]]
_ROLE_AND_CONTENT = {"role", "content"}

# ----------------------------------------------------------------------------------------------------- what is sent


def _checked(messages: Any, model: Any, name: str) -> tuple[list[Any], tuple[str, ...]]:
    """Return contents and roles, or raise `OperandTypeError` that names the place of what cannot be sent."""
    if not isinstance(messages, list | tuple) or not messages:
        given = "no messages" if isinstance(messages, list | tuple) else f"{_kind(messages)} for messages"
        raise OperandTypeError(
            f"{name} was given {given}.", remedy='Pass a list of messages: [{"role": "user", "content": "…"}].'
        )
    parts = [_checked_message(message, k, name) for k, message in enumerate(cast("Sequence[Any]", messages))]
    _check_text(model, "model", name)
    return [content for _, content in parts], tuple([role for role, _ in parts])


def _checked_message(message: Any, k: int, name: str) -> tuple[str, Any]:
    place = f"messages[{k}]"
    if not isinstance(message, Mapping):
        raise OperandTypeError(
            f"{place} of {name} is {_kind(message)}.", remedy='Make it a dict: {"role": "user", "content": "…"}.'
        )
    entries = cast("Mapping[Any, Any]", message)
    wrong = [f"misses {key!r}" for key in ("role", "content") if key not in entries]
    wrong += [f"has {key!r}" for key in entries if key not in _ROLE_AND_CONTENT]
    if wrong:
        raise OperandTypeError(
            f"{place} of {name} {' and '.join(wrong)}.",
            remedy="Give every message 'role' and 'content', and nothing else; settings belong to the client.",
        )
    role = entries["role"]
    if not isinstance(role, str):
        raise OperandTypeError(
            f"{place}['role'] of {name} is {_kind(role)}.",
            remedy='Pass a str such as "user" or "system"; roles are fixed when a program is traced.',
        )
    _check_text(entries["content"], f"{place}['content']", name)
    return role, entries["content"]


def _check_text(value: Any, place: str, name: str) -> None:
    if not isinstance(find_aval(value), StrAVal):
        raise OperandTypeError(
            f"{place} of {name} is {_kind(value)} where a text is needed.",
            remedy='Pass a str or a traced text; alkahest.format("{}", value) makes one of other values.',
        )


def _sent(contents: Sequence[Any], roles: Sequence[str], name: str) -> list[dict[str, str]]:
    """Return the messages to send."""
    texts = materialize(list(contents))
    for k, text in enumerate(texts):
        _check_text(text, f"messages[{k}]['content']", name)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]


def _says_nothing(contents: Sequence[Any]) -> bool:
    """Tell whether these are tangents that turned out to be zero, known (`""`) or when the program runs (`Zero`)."""
    return any([is_zero(c) for c in contents]) and all([is_zero(c) or c == "" for c in contents])


# ---------------------------------------------------------------------------------------------------------- lm_call


def lm_call(messages: Messages, /, *, model: Any) -> Any:
    """Return what a language model answers to `messages`, a list of dicts with the entries role and content.

    Contents and `model` are texts and may be traced; roles are fixed when a program is traced. Who answers is said by
    `lm_client`: without it, names that begin with `local/` are answered by the embedded model, all others by LiteLLM.
    Nothing but messages and model is sent: sampling, retries, limits and time-outs are the client's.

    In `pullback`, text feedback on the answer becomes feedback on each traced content, by one more call of the same
    model for each: none where the feedback is a `Zero`, or for a constant content. In `pushforward` the tangents of
    the contents are sent as messages, with empty texts for zeros.

    Messages of another form raise `OperandTypeError`, which names the place. When it runs, a provider that fails for
    good raises `ProviderError`, a spent budget `BudgetError`.

    >>> import alkahest as af
    >>> def loud(name):
    ...     return af.lm_call([{"role": "user", "content": af.format("hello {}", name)}], model="local/upper")
    >>> ir = af.trace(loud)("you")
    >>> ir.call("Ada")
    'HELLO ADA'
    >>> with af.local_model("critic", {"<feedback>": "Say whom you greet.", "": "Hello!"}) as critic:
    ...     with af.lm_client(critic):
    ...         af.pullback(ir).call(("Ada",), "too impersonal")
    ('Hello!', ('Say whom you greet.',))
    """
    contents, roles = _checked(messages, model, "lm_call")
    return lm_call_p.bind((contents, model), roles=roles)


def _call_impl(in_tree: Any, /, *, roles: Sequence[str]) -> Any:
    contents, model = in_tree
    if _says_nothing(contents):
        return Zero(STR)
    return active_client.get().complete(_sent(contents, roles, "lm_call"), model)


async def _call_aimpl(in_tree: Any, /, *, roles: Sequence[str]) -> Any:
    contents, model = in_tree
    if _says_nothing(contents):
        return Zero(STR)
    return await active_client.get().acomplete(_sent(contents, roles, "lm_call"), model)


# --------------------------------------------------------------------------------------------------- lm_schema_call


def lm_schema_call(messages: Messages, /, *, model: Any, schema: Any, repairs: int = 0) -> Any:
    """Return what a language model answers to `messages`, as values in the structure of `schema`.

    `schema` is a structure of `Str`, `Int`, `Float`, `Bool` and `Enum`, with `Doc` for descriptions. The model is sent
    it as a JSON schema (`response_format`), and its answer is read and validated. One that violates the schema raises
    `SchemaViolationError`, which names the model and the place in the answer. With `repairs=n` the model is first told
    so and asked again, up to `n` times: each time costs one more call. The default of 0 keeps it at one call per
    equation, since providers that enforce schemas leave nothing to repair.

    Messages, model and errors are those of `lm_call`; what is no schema raises `SchemaError`. In `pullback`, feedback
    is text for each field, and becomes text feedback on each traced content by one more call for each; fields without
    feedback have a `Zero`.

    >>> import alkahest as af
    >>> schema = {"score": af.Int(min=0, max=10), "tone": af.Enum("warm", "cool")}
    >>> def judge(text):
    ...     return af.lm_schema_call([{"role": "user", "content": text}], model="local/echo", schema=schema)
    >>> af.trace(judge)("").call('{"score": 7, "tone": "warm"}')
    {'score': 7, 'tone': 'warm'}
    """
    contents, roles = _checked(messages, model, "lm_schema_call")
    if not isinstance(repairs, int) or isinstance(repairs, bool) or repairs < 0:
        raise ClientError(
            f"repairs={repairs!r} is no whole number of at least 0.", remedy="Give how often to ask again."
        )
    make_json_schema_and_parser(schema)  # what is no schema is refused here, not when the program runs
    params: dict[str, Any] = {"roles": roles, "schema": schema}
    if repairs:
        params["repairs"] = repairs
    return lm_schema_call_p.bind((contents, model), **params)


class _Asking:
    """One schema call on its way: what to ask next, until an answer is accepted or there is no further repair."""

    def __init__(self, in_tree: Any, roles: Sequence[str], schema: Any, repairs: int) -> None:
        contents, self.model = in_tree
        json_schema, self.parse = make_json_schema_and_parser(schema)
        self.form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": json_schema}}
        self.repairs = repairs
        self.asked = 0
        self.value: Any = None
        self.open = not _says_nothing(contents)
        if self.open:
            self.messages = _sent(contents, roles, "lm_schema_call")
        else:
            self.value = trees.map_leaves(Zero, schema_avals(schema))

    def request(self) -> tuple[list[dict[str, str]], str, dict[str, Any]]:
        """Return the arguments of the next call of a client."""
        self.asked += 1
        return self.messages, self.model, self.form

    def take(self, answer: str) -> None:
        """Read an answer; one that violates the schema is told to the model, or raised."""
        try:
            self.value = self.parse(answer)
            self.open = False
        except SchemaViolationError as violation:
            if self.asked > self.repairs:
                raise self._failure(violation, answer) from violation
            if answer.strip():  # providers refuse empty messages
                self.messages = [*self.messages, {"role": "assistant", "content": answer}]
            told = REPAIR_PROMPT.format(violation=violation.message)
            self.messages = [*self.messages, {"role": "user", "content": told}]

    def _failure(self, violation: SchemaViolationError, answer: str) -> SchemaViolationError:
        times = f", asked {self.asked} times," if self.asked > 1 else ""
        return SchemaViolationError(
            f"model {self.model!r}{times} did not answer as the schema says: {violation.message}",
            remedy="Loosen the schema, say in a Doc what is wanted, or pass repairs=1 to ask again.",
            **{**violation.details, "model": self.model, "answer": answer},
        )


def _schema_impl(in_tree: Any, /, *, roles: Sequence[str], schema: Any, repairs: int = 0) -> Any:
    asking = _Asking(in_tree, roles, schema, repairs)
    while asking.open:
        asking.take(active_client.get().complete(*asking.request()))
    return asking.value


async def _schema_aimpl(in_tree: Any, /, *, roles: Sequence[str], schema: Any, repairs: int = 0) -> Any:
    asking = _Asking(in_tree, roles, schema, repairs)
    while asking.open:
        asking.take(await active_client.get().acomplete(*asking.request()))
    return asking.value


# ------------------------------------------------------------------------------------------------ push and pull


def _push(prim: Prim) -> Staged:
    """Return the push rule of a call: the same call on the tangents of the contents, by the same model."""

    def push(in_tree: Any, /, **params: Any) -> Any:
        (contents, model), (tangents, _) = in_tree
        out = prim.bind((contents, model), **params)
        if all_zero(tangents):
            return out, zeros_for(out)
        # Of traced tangents the call itself finds out whether they are zero: it asks nobody then.
        known = [leaf if leaf.__class__ is Traced else materialize(leaf) for leaf in tangents]
        return out, prim.bind((known, model), **params)

    return staged(push)


def _pull(prim: Prim) -> tuple[Staged, Staged]:
    """Return the pull rules of a call: feedback on the answer becomes feedback on each content that is no constant."""

    def forward(in_tree: Any, /, **params: Any) -> Any:
        contents, model = in_tree
        out = prim.bind(in_tree, **params)
        return out, (contents, model, out)

    def backward(in_tree: Any, /, **params: Any) -> Any:
        (contents, model, out), cotangent = in_tree
        if all_zero(cotangent):
            return [Zero(STR) for _ in contents], Zero(STR)
        # Where something is traced, what is not is a literal, and nobody asks for its cotangent.
        traced = any([leaf.__class__ is Traced for leaf in trees.leaves(in_tree)])
        found = [
            lm_feedback_p.bind((content, out, cotangent, model), index=k, **params)
            if content.__class__ is Traced or not traced
            else Zero(STR)
            for k, content in enumerate(contents)
        ]
        return found, Zero(STR)

    return staged(forward), staged(backward)


rules(
    lm_call_p,
    impl=_call_impl,
    aimpl=_call_aimpl,
    abstract=lambda in_tree, roles: STR,
    push=_push(lm_call_p),
    pull=_pull(lm_call_p),
    waits=True,
)
rules(
    lm_schema_call_p,
    impl=_schema_impl,
    aimpl=_schema_aimpl,
    abstract=lambda in_tree, roles, schema, repairs=0: schema_avals(schema),
    push=_push(lm_schema_call_p),
    pull=_pull(lm_schema_call_p),
    waits=True,
)
