"""What a provider answers: an object or a dictionary in the form of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from alkahest.errors import ProviderError


class Tokens(NamedTuple):
    """The tokens that a provider reports for one call."""

    prompt: int
    completion: int


class Answer(NamedTuple):
    """The text of a response, and its tokens where the provider reports them."""

    content: str
    tokens: Tokens | None


def entry(value: Any, name: str) -> Any:
    """Return an entry of a mapping or an attribute of an object, or None."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)


def tokens_of(response: Any) -> Tokens | None:
    """Return the tokens that the response reports, or None."""
    usage = entry(response, "usage")
    counts = [entry(usage, "prompt_tokens"), entry(usage, "completion_tokens")]
    prompt, completion = [c if isinstance(c, int) and c >= 0 else None for c in counts]
    if prompt is None and completion is None:
        return None
    return Tokens(prompt or 0, completion or 0)


def content_of(response: Any, model: str) -> str:
    """Return the text of the first choice; raises `ProviderError` where there is none."""
    choices = entry(response, "choices")
    try:
        first = choices[0]
    except (TypeError, LookupError):
        first = None
    content = entry(entry(first, "message"), "content")
    if isinstance(content, str):
        return content
    reason = entry(first, "finish_reason")
    raise ProviderError(
        f"the answer of model {model!r} has no text in choices[0].message.content"
        + (f" (it finished with {reason!r})." if reason else "."),
        remedy="Look at what the provider returns for these messages; a refusal or a tool call carries no text.",
        model=model,
    )


def chat_response(content: str, tokens: Tokens | None) -> dict[str, Any]:
    """Return a response that holds `content`, as a dictionary."""
    message = {"role": "assistant", "content": content}
    response: dict[str, Any] = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    if tokens is not None:
        response["usage"] = {
            "prompt_tokens": tokens.prompt,
            "completion_tokens": tokens.completion,
            "total_tokens": tokens.prompt + tokens.completion,
        }
    return response
