"""Which provider answers to a model's name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol, cast

from alkahest.errors import ClientError, UnknownModelError
from alkahest.plugins import manager
from alkahest.plugins.infos import ExecutorInfo


class Provider(Protocol):
    """Whoever answers: a LiteLLM Router, `litellm_provider(…)`, a `Client`, or an object of your own.

    A provider whose `accepts_timeout` is true is given `timeout=` in seconds as well; one with a method
    `price(model, prompt_tokens, completion_tokens)` tells US dollars, or None.
    """

    def completion(self, *, messages: list[dict[str, Any]], model: str) -> Any:
        """Return a response; `response_format=` is given as well where a schema is asked for."""

    async def acompletion(self, *, messages: list[dict[str, Any]], model: str) -> Any:
        """Return the same, awaited."""


class Target(NamedTuple):
    """Who is to answer a request, and the model's name there."""

    provider: Any
    model: str


class Route(NamedTuple):
    """One entry of a table of routes."""

    pattern: str | re.Pattern[str]
    provider: Any  # an executor's name, or a provider
    renamed: str | None


def matches(pattern: str | re.Pattern[str], name: str) -> re.Match[str] | bool:
    """Return whether a name is the pattern itself, fits it as `fnmatch` does, or is matched by all of a regex."""
    if isinstance(pattern, str):
        return pattern == name or fnmatchcase(name, pattern)
    return pattern.fullmatch(name) or False


class Routes:
    """A table of routes in the user's order; the first that matches wins."""

    def __init__(self, table: Mapping[Any, Any]) -> None:
        if not table:
            raise ClientError("the table of routes is empty.", remedy='Give at least one route, {"*": provider}.')
        self._routes = tuple(_route(pattern, value) for pattern, value in table.items())

    def target(self, model: str) -> Target:
        """Return who answers to the model's name; raises `UnknownModelError`."""
        for pattern, provider, renamed in self._routes:
            found = matches(pattern, model)
            if not found:
                continue
            name = model if renamed is None else _renamed(found, renamed)
            return Target(executor(provider) if isinstance(provider, str) else provider, name)
        known = ", ".join(repr(_text(route.pattern)) for route in self._routes)
        raise UnknownModelError(
            f"no route matches the model name {model!r} (there are {known}).",
            remedy='Add a route for it to lm_client, or one for "*".',
            model=model,
        )


class OneProvider:
    """All names go to one provider, unchanged."""

    def __init__(self, provider: Any) -> None:
        self._provider = checked_provider(provider)

    def target(self, model: str) -> Target:
        """Return the provider."""
        return Target(self._provider, model)


class DefaultRoutes:
    """Names go to the executor that claims them: `local/…` to the embedded model, others to LiteLLM."""

    def target(self, model: str) -> Target:
        """Return who answers to the model's name; raises `UnknownModelError`."""
        infos = manager.executors()
        claims = [(len(p), p, info) for info in infos.values() for p in info.models if matches(p, model)]
        if not claims:
            known = ", ".join(f"{info.name} for {' '.join(info.models) or 'none'}" for info in infos.values())
            raise UnknownModelError(
                f"no executor answers to the model name {model!r} (there are {known}).",
                remedy="Check the name, and with `alkahest plugins` that the plugin which answers to it is loaded.",
                model=model,
            )
        longest = max(length for length, _, _ in claims)
        best = {info.name: info for length, _, info in claims if length == longest}
        if len(best) > 1:
            raise ClientError(
                f"the executors {' and '.join(best)} both claim the model name {model!r}.",
                remedy="Say in lm_client({pattern: executor}) who shall answer.",
            )
        return Target(_load(next(iter(best.values()))), model)


def executor(name: str) -> Any:
    """Return the executor of that name, loaded at its first use; raises `ClientError` where nobody offers it."""
    infos = manager.executors()
    if name not in infos:
        raise ClientError(
            f"there is no executor {name!r} (there are {', '.join(sorted(infos)) or 'none'}).",
            remedy="Name one of these, or give an object with completion and acompletion.",
        )
    return _load(infos[name])


def checked_provider(provider: Any) -> Any:
    """Return the provider; raises `ClientError` that names what it lacks."""
    lacking = [name for name in ("completion", "acompletion") if not callable(getattr(provider, name, None))]
    if lacking:
        kind = provider.__name__ if isinstance(provider, type) else type(provider).__name__
        raise ClientError(
            f"a language-model client needs completion and acompletion; {kind} has no {' and no '.join(lacking)}.",
            remedy="Give a LiteLLM Router, litellm_provider(…), or an object with both methods.",
        )
    return provider


def resolver(client_or_routes: Any) -> Routes | OneProvider | DefaultRoutes:
    """Return what finds the provider for a model's name, from what `lm_client` was given."""
    if client_or_routes is None:
        return DefaultRoutes()
    if isinstance(client_or_routes, Mapping):
        return Routes(cast("Mapping[Any, Any]", client_or_routes))
    return OneProvider(client_or_routes)


def _route(pattern: Any, value: Any) -> Route:
    if not isinstance(pattern, str | re.Pattern):
        raise ClientError(
            f"{pattern!r} is no route.",
            remedy="A route begins with a model's name, a pattern such as 'openai/*', or a compiled regex.",
        )
    renamed: Any = None
    if isinstance(value, tuple):
        parts = cast("Sequence[Any]", value)
        if len(parts) != 2 or not isinstance(parts[1], str):
            raise ClientError(
                f"the route {_text(cast('Any', pattern))!r} leads to a tuple that is no (provider, name).",
                remedy='Give a provider, or (provider, "the model\'s name there").',
            )
        value, renamed = parts
    if isinstance(value, str):
        _require_executor(value)
    else:
        checked_provider(value)
    return Route(cast("Any", pattern), value, renamed)


def _renamed(found: re.Match[str] | bool, template: str) -> str:
    if isinstance(found, bool):
        return template
    try:
        return found.expand(template)
    except (re.error, IndexError) as error:
        raise ClientError(
            f"the name {template!r} of a route does not go with its pattern {found.re.pattern!r}: {error}.",
            remedy="Refer to groups that the pattern has, as in r'openai/\\1'.",
        ) from error


def _require_executor(name: str) -> None:
    infos = manager.executors()
    if name not in infos:
        executor(name)


def _text(pattern: str | re.Pattern[str]) -> str:
    return pattern if isinstance(pattern, str) else pattern.pattern


@functools.cache
def _load(info: ExecutorInfo) -> Any:
    return checked_provider(manager.load_factory(info.factory, info.install)())
