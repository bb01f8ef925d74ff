"""The embedded model: deterministic answers without network or key, under names that begin with `local/`."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from alkahest.errors import ClientError, ProviderError, UnknownModelError
from alkahest.models.json_answers import json_answer
from alkahest.models.prose import prose
from alkahest.models.responses import Tokens, chat_response

PREFIX = "local/"
BYTES_PER_TOKEN = 4

_lock = threading.RLock()
_scripted: dict[str, list[LocalModel]] = {}  # the last of a name answers


class LocalModel:
    """An embedded model with answers of your own; made by `local_model`.

    `name` is what to ask for, `requests` are the messages it was asked so far, in order. As a context manager it
    is known inside the block only, and what had its name before is back afterwards. It is a provider too:
    `lm_client(model)` lets it answer to every name.
    """

    def __init__(self, name: str, answer: Callable[[Sequence[Mapping[str, Any]]], Any], latency: float) -> None:
        self.name = name
        self.requests: list[list[dict[str, Any]]] = []
        self._answer = answer
        self._latency = latency

    def __repr__(self) -> str:
        return f"<LocalModel {self.name!r}>"

    def __enter__(self) -> LocalModel:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Forget the model; what had its name before is back."""
        with _lock:
            left = [model for model in _scripted.pop(self.name, []) if model is not self]
            if left:
                _scripted[self.name] = left

    def completion(
        self, *, messages: Sequence[Mapping[str, Any]], model: str, response_format: Any = None
    ) -> dict[str, Any]:
        """Return the answer as a response."""
        time.sleep(self._latency)
        return self._respond(messages)

    async def acompletion(
        self, *, messages: Sequence[Mapping[str, Any]], model: str, response_format: Any = None
    ) -> dict[str, Any]:
        """Return the same; other tasks go on during the latency."""
        import asyncio

        await asyncio.sleep(self._latency)
        return self._respond(messages)

    def price(self, model: str, prompt_tokens: int, completion_tokens: int) -> float:
        """Return that it costs nothing."""
        return 0.0

    def _respond(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        asked = [dict(message) for message in messages]
        with _lock:
            self.requests.append(asked)
        return _response(messages, _as_text(self._answer(asked)))


class LocalModels:
    """The executor `local`.

    `local/echo` answers with the last user message, `local/upper` with that in capitals, `local/template` with
    sentences made from it. Where a JSON schema is asked for, each gives JSON that satisfies it, with what the
    messages say (`Key: value` lines, or JSON in them) and otherwise with values drawn from a hash of the messages.
    `local_model` adds others.
    """

    def completion(
        self, *, messages: Sequence[Mapping[str, Any]], model: str, response_format: Any = None
    ) -> dict[str, Any]:
        """Return the answer as a response; raises `UnknownModelError`."""
        scripted = _find(model)
        if scripted is not None:
            return scripted.completion(messages=messages, model=model, response_format=response_format)
        return _response(messages, _builtin(model, messages, response_format))

    async def acompletion(
        self, *, messages: Sequence[Mapping[str, Any]], model: str, response_format: Any = None
    ) -> dict[str, Any]:
        """Return the same, awaited."""
        scripted = _find(model)
        if scripted is not None:
            return await scripted.acompletion(messages=messages, model=model, response_format=response_format)
        return _response(messages, _builtin(model, messages, response_format))

    def price(self, model: str, prompt_tokens: int, completion_tokens: int) -> float:
        """Return that it costs nothing."""
        return 0.0


def local_model(name: str, answers: Any, *, latency: float = 0.0) -> LocalModel:
    r"""Make an embedded model known as `local/<name>`, for examples and tests, and return it.

    `answers` is

    - a dictionary from regular expressions to answers: the first that is found (`re.search`, over lines) in the
      contents of the messages, joined by newlines, answers. An answer is a text, a function of the `re.Match`, or
      a value that is sent as JSON;
    - a list of texts or values, one for each request, in the order in which they come;
    - a function of the messages;
    - or one text for all.

    It is known until `remove()`, or to the end of its `with` block, in all threads. `latency` is how many seconds
    an answer takes; it is waited without blocking others. A `response_format` is not looked at: the answers are yours.

    Raises `ClientError` for answers of another kind and for the names of the built-in models. A request without an
    answer raises `ProviderError`.

    >>> from alkahest import lm_client, local_model
    >>> answers = {r"(\d+) \+ (\d+)": lambda m: str(int(m[1]) + int(m[2])), "": "I can only add."}
    >>> with local_model("adder", answers) as adder, lm_client() as client:
    ...     client.complete([{"role": "user", "content": "What is 2 + 3?"}], "local/adder")
    ...     client.complete([{"role": "user", "content": "Who are you?"}], adder.name)
    '5'
    'I can only add.'
    """
    if not name or name.removeprefix(PREFIX) in BUILTIN:
        raise ClientError(
            f"{name!r} cannot name an embedded model of yours.",
            remedy=f"Choose another name; {', '.join(BUILTIN)} are built in.",
        )
    if latency < 0:
        raise ClientError(f"latency={latency!r} is negative.", remedy="Give the seconds that an answer takes.")
    full_name = PREFIX + name.removeprefix(PREFIX)
    model = LocalModel(full_name, _answerer(full_name, answers), latency)
    with _lock:
        _scripted.setdefault(full_name, []).append(model)
    return model


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the last message of a user, or the last of all where no user spoke."""
    spoken = [m for m in messages if m.get("role") == "user"] or list(messages)
    return text_of(spoken[-1]) if spoken else ""


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message's content; of a list of parts, the texts."""
    content = message.get("content")
    if isinstance(content, list | tuple):
        parts = cast("Sequence[Any]", content)
        return "\n".join(str(cast("Mapping[str, Any]", p).get("text", "")) for p in parts if isinstance(p, Mapping))
    return "" if content is None else str(content)


# -- answers


def _find(model: str) -> LocalModel | None:
    with _lock:
        return _scripted[model][-1] if model in _scripted else None


def _builtin(model: str, messages: Sequence[Mapping[str, Any]], response_format: Any) -> str:
    answer = BUILTIN.get(model.removeprefix(PREFIX)) if model.startswith(PREFIX) else None
    if answer is None:
        with _lock:
            known = ", ".join([*(PREFIX + name for name in BUILTIN), *sorted(_scripted)])
        raise UnknownModelError(
            f"there is no embedded model {model!r} (there are {known}).",
            remedy=f"Use one of these, or make your own with local_model({model.removeprefix(PREFIX)!r}, answers).",
            model=model,
        )
    text = last_user_text(messages)
    schema = _schema_of(response_format)
    return answer(text) if schema is None else json_answer(schema, text, [text_of(m) for m in messages])


def _schema_of(response_format: Any) -> Mapping[str, Any] | None:
    if not isinstance(response_format, Mapping):
        return None
    form = cast("Mapping[str, Any]", response_format)
    if form.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    described = form.get("json_schema")
    return cast("Mapping[str, Any]", described).get("schema") if isinstance(described, Mapping) else None


BUILTIN: dict[str, Callable[[str], str]] = {"echo": str, "upper": str.upper, "template": prose}


def _response(messages: Sequence[Mapping[str, Any]], content: str) -> dict[str, Any]:
    return chat_response(content, Tokens(sum(_tokens(text_of(m)) for m in messages), _tokens(content)))


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _as_text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)


def _answerer(name: str, answers: Any) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    if isinstance(answers, str):
        return lambda messages: answers
    if callable(answers):
        return answers
    if isinstance(answers, Mapping):
        return _by_pattern(name, cast("Mapping[Any, Any]", answers))
    if isinstance(answers, list | tuple):
        return _in_turn(name, cast("Sequence[Any]", answers))
    raise ClientError(
        f"a {type(answers).__name__} is no way to answer for {name!r}.",
        remedy="Give a dictionary from patterns to answers, a list of answers, a function of the messages, or a text.",
    )


def _by_pattern(name: str, answers: Mapping[Any, Any]) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    try:
        table = [(re.compile(pattern), answer) for pattern, answer in answers.items()]
    except (re.error, TypeError) as error:
        raise ClientError(
            f"a pattern of {name!r} is no regular expression: {error}.",
            remedy="Escape what is meant literally with re.escape.",
        ) from error

    def answer(messages: Sequence[Mapping[str, Any]]) -> Any:
        text = "\n".join(text_of(message) for message in messages)
        for pattern, answer in table:
            found = pattern.search(text)
            if found is not None:
                return answer(found) if callable(answer) else answer
        known = ", ".join(repr(pattern.pattern) for pattern, _ in table)
        raise ProviderError(
            f"no pattern of {name!r} is found in the messages (there are {known or 'none'}).",
            remedy='Add one; "" is found in every text.',
            model=name,
        )

    return answer


def _in_turn(name: str, answers: Sequence[Any]) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    left = iter(tuple(answers))

    def answer(messages: Sequence[Mapping[str, Any]]) -> Any:
        with _lock:
            for found in left:
                return found
        raise ProviderError(
            f"all {len(answers)} answers of {name!r} are given.",
            remedy="Give more answers, or a dictionary of patterns, which has no end.",
            model=name,
        )

    return answer
