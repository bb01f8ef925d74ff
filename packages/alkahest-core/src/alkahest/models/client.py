"""`lm_client`: who answers requests to language models, and within which limits."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, cast

from alkahest.errors import AlkahestError, BudgetError, ClientError
from alkahest.models.admission import Admission, Entry
from alkahest.models.budgets import Amount, Budget, Estimates
from alkahest.models.limits import Prices, checked_backoff, checked_prices, number, whole
from alkahest.models.responses import Answer, Tokens, chat_response, content_of, tokens_of
from alkahest.models.retrying import Patience, final_error, was_refused
from alkahest.models.routing import Target, matches, resolver
from alkahest.models.running import Many, call_within
from alkahest.models.usage import Meter, Usage

Messages = Sequence[Mapping[str, Any]]
MANY_THREADS = 64


class Request(NamedTuple):
    """One request of `complete_many`; a plain tuple of these does as well."""

    messages: Messages
    model: str
    response_format: Mapping[str, Any] | None = None


class _Call:
    """A request on its way: who is to answer, how many attempts were sent, and how the last of them failed."""

    __slots__ = ("attempts", "failure", "request", "target")

    def __init__(self, request: Request, target: Target) -> None:
        self.request = request
        self.target = target
        self.attempts = 0
        self.failure: BaseException | None = None

    def arguments(self, timeout: float | None) -> dict[str, Any]:
        """Return what the provider is given: a copy, since some providers change the messages they get."""
        messages, _, response_format = self.request
        given: dict[str, Any] = {"messages": [dict(message) for message in messages], "model": self.target.model}
        if response_format is not None:
            given["response_format"] = response_format
        if timeout is not None and getattr(self.target.provider, "accepts_timeout", False):
            given["timeout"] = timeout
        return given


class Client:
    """Sends requests to providers, within limits that hold for all threads, tasks and event loops together.

    Made by `lm_client`. `with client:` or `async with client:` makes it the current thread's or task's client;
    blocks nest, and one client may be entered again, in several threads too. A client is itself a provider, so
    `lm_client(client, …)` adds limits to its.
    """

    def __init__(
        self,
        client_or_routes: Any = None,
        /,
        *,
        max_concurrency: int | None = None,
        retries: int = 4,
        backoff: float | tuple[float, float] = (0.5, 60.0),
        timeout: float | None = None,
        budget: Budget | None = None,
        prices: Prices | None = None,
    ) -> None:
        self._resolver = resolver(client_or_routes)
        self._bound = whole("max_concurrency", max_concurrency, 1)
        self._patience = Patience(whole("retries", retries, 0) or 0, *checked_backoff(backoff))
        self._timeout = None if timeout is None else number("timeout", timeout, positive=True)
        if budget is not None and not isinstance(budget, Budget):
            raise ClientError(f"{budget!r} is no budget.", remedy="Give Budget(calls=…, tokens=…, cost=…).")
        self._prices = checked_prices(prices or {})
        self._budget = budget
        self._estimates = None if budget is None else Estimates(budget)
        self._admission = Admission(self._bound, budget)
        self._meter = Meter()

    # -- requests

    def complete(self, messages: Messages, model: str, response_format: Mapping[str, Any] | None = None) -> str:
        """Return the text that the model answers.

        Raises `UnknownModelError`, `BudgetError`, `ModelTimeoutError`, and `ProviderError` for a provider that
        fails for good; the provider's own error is chained.

        >>> from alkahest import lm_client
        >>> with lm_client() as client:
        ...     client.complete([{"role": "user", "content": "hello"}], "local/upper")
        'HELLO'
        """
        return self._answer(Request(messages, model, response_format)).content

    async def acomplete(self, messages: Messages, model: str, response_format: Mapping[str, Any] | None = None) -> str:
        """Return the text that the model answers; as `complete`, and other tasks go on meanwhile."""
        return (await self._aanswer(Request(messages, model, response_format))).content

    def complete_many(
        self, requests: Iterable[Request | tuple[Any, ...]], return_exceptions: bool = False
    ) -> list[Any]:
        """Return the answers to many requests, in order, sent at the same time from threads.

        At most `max_concurrency` are under way, and 64 at any rate; the threads see the caller's context
        variables. Each request is `(messages, model)` or `(messages, model, response_format)`. When one fails, no
        further one is sent, and its error, with the answers so far as `partial`, is raised once those under way
        have ended. With `return_exceptions=True` each failing request has its error in the list, and all are sent.

        >>> from alkahest import lm_client
        >>> with lm_client(max_concurrency=8) as client:
        ...     client.complete_many([([{"role": "user", "content": c}], "local/upper") for c in "abc"])
        ['A', 'B', 'C']
        """
        todo = [Request(*cast("Request", request)) for request in requests]
        threads = min(MANY_THREADS, self._bound or MANY_THREADS)
        return Many(lambda request: self._answer(request).content, todo, return_exceptions).run(threads)

    @property
    def usage(self) -> Usage:
        """What this client has used so far."""
        return self._meter.usage()

    # -- as a provider

    def completion(self, *, messages: Messages, model: str, response_format: Any = None) -> dict[str, Any]:
        """Return the answer as a response of the form that providers give."""
        return chat_response(*self._answer(Request(messages, model, response_format)))

    async def acompletion(self, *, messages: Messages, model: str, response_format: Any = None) -> dict[str, Any]:
        """Return the same, awaited."""
        return chat_response(*await self._aanswer(Request(messages, model, response_format)))

    def price(self, model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return what a call costs, in US dollars, or None where the model's price is not known."""
        return self._cost(model, self._resolver.target(model), Tokens(prompt_tokens, completion_tokens))

    # -- as the active client

    def __enter__(self) -> Client:
        _entered.set((*_entered.get(), (self, active_client.get())))
        active_client.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        entered = _entered.get()
        # A block that is left in another context than it was entered in has changed nothing there.
        if entered and entered[-1][0] is self:
            _entered.set(entered[:-1])
            active_client.set(entered[-1][1])

    async def __aenter__(self) -> Client:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)

    # -- one request

    def _answer(self, request: Request) -> Answer:
        call = self._call(request)
        try:
            return self._patience.retrying()(self._attempt, call)
        except Exception as error:
            self._give_up(call, error)
            raise

    async def _aanswer(self, request: Request) -> Answer:
        call = self._call(request)
        try:
            return await self._patience.async_retrying()(self._aattempt, call)
        except Exception as error:
            self._give_up(call, error)
            raise

    def _call(self, request: Request) -> _Call:
        messages, model, _ = request
        if not isinstance(model, str):
            raise ClientError(
                f"a model's name is a text, and a {type(model).__name__} was given.", remedy='Give model="name".'
            )
        listed = isinstance(messages, Sequence) and not isinstance(messages, str)
        if not listed or not all(isinstance(message, Mapping) for message in messages):
            raise ClientError(
                "the messages are no list of dictionaries.",
                remedy='Give [{"role": "user", "content": "…"}].',
            )
        return _Call(request, self._resolver.target(model))

    def _attempt(self, call: _Call) -> Answer:
        with self._admission.enter(self._amount(call)) as entry:
            self._sent(call)
            try:
                response = self._send(call)
            except BaseException as error:
                self._unanswered(call, entry, error)
                raise
            return self._read(call, entry, response)

    async def _aattempt(self, call: _Call) -> Answer:
        with await self._admission.aenter(self._amount(call)) as entry:
            self._sent(call)
            try:
                response = await self._asend(call)
            except BaseException as error:
                self._unanswered(call, entry, error)
                raise
            return self._read(call, entry, response)

    def _send(self, call: _Call) -> Any:
        arguments = call.arguments(self._timeout)
        if self._timeout is None:
            return call.target.provider.completion(**arguments)
        return call_within(self._timeout, lambda: call.target.provider.completion(**arguments))

    async def _asend(self, call: _Call) -> Any:
        import asyncio
        import inspect

        async with asyncio.timeout(self._timeout):
            response = call.target.provider.acompletion(**call.arguments(self._timeout))
            if not inspect.isawaitable(response):
                kind = type(call.target.provider).__name__
                raise ClientError(
                    f"acompletion of {kind} returned a {type(response).__name__}, which cannot be awaited.",
                    remedy="Write it as an async def.",
                )
            return await response

    def _sent(self, call: _Call) -> None:
        call.attempts += 1
        self._meter.sent(call.request.model, again=call.attempts > 1)

    def _read(self, call: _Call, entry: Entry, response: Any) -> Answer:
        model = call.request.model
        tokens = tokens_of(response)
        cost = None if tokens is None else self._cost(model, call.target, tokens)
        self._meter.answered(model, tokens, cost)
        if tokens is not None:
            entry.spent = Amount(sum(tokens), entry.amount.cost if cost is None else cost)
            if self._estimates is not None:
                self._estimates.seen(model, tokens)
        return Answer(content_of(response, model), tokens)

    def _unanswered(self, call: _Call, entry: Entry, error: BaseException) -> None:
        call.failure = error
        if was_refused(error):
            entry.spent = Amount()

    def _give_up(self, call: _Call, error: Exception) -> None:
        if call.attempts:
            self._meter.failed(call.request.model)
        if not isinstance(error, AlkahestError):
            model, attempts = call.request.model, call.attempts
            raise final_error(error, model, attempts, self._patience, self._timeout) from error
        if isinstance(error, BudgetError) and call.failure is not error and call.failure is not None:
            raise error from call.failure  # it was a retry that the budget did not allow

    # -- what it costs

    def _amount(self, call: _Call) -> Amount:
        budget = self._budget
        if budget is None or self._estimates is None or (budget.tokens is None and budget.cost is None):
            return Amount()
        messages, model, response_format = call.request
        tokens = self._estimates.tokens(messages, model, response_format)
        cost = None if budget.cost is None else self._cost(model, call.target, tokens)
        if budget.cost is not None and cost is None:
            raise BudgetError(
                f"the price of model {model!r} is not known, so the budget of ${budget.cost:g} cannot be kept.",
                remedy="Give lm_client(prices={model: (dollars per million prompt tokens, … of answers)}).",
            )
        return Amount(sum(tokens), cost or 0.0)

    def _cost(self, model: str, target: Target, tokens: Tokens) -> float | None:
        for pattern, (prompt, completion) in self._prices:
            if matches(pattern, model):
                return (tokens.prompt * prompt + tokens.completion * completion) / 1e6
        price = getattr(target.provider, "price", None)
        if callable(price):
            return cast("float | None", price(target.model, *tokens))
        if "litellm" not in sys.modules:
            return None
        from alkahest.models.litellm_executor import listed_cost

        return listed_cost(target.model, *tokens)


def lm_client(
    client_or_routes: Any = None,
    /,
    *,
    max_concurrency: int | None = None,
    retries: int = 4,
    backoff: float | tuple[float, float] = (0.5, 60.0),
    timeout: float | None = None,
    budget: Budget | None = None,
    prices: Prices | None = None,
) -> Client:
    r"""Return a client which, in a `with` or `async with` block, answers the requests to language models.

    `client_or_routes` is an object with `completion(messages=, model=)` and an awaitable `acompletion`, such as a
    LiteLLM Router, `litellm_provider(api_base=…)` or another client; or routes, a dictionary whose first matching
    entry wins, from a model's name, a pattern as of `fnmatch` or a compiled regex (which has to match the whole
    name) to a provider, an executor's name ("litellm", "local"), or `(provider, "its name there")`, in which
    `\1` stands for a group of the regex. None routes `local/…` to the embedded model and all else to LiteLLM.
    Providers are sent messages, model and, where a schema is asked for, response_format; nothing else.

    - `max_concurrency` bounds the calls under way, of all threads, tasks and event loops together.
    - `retries` repeats, after status 408, 409, 429 and 5xx, time-outs and connection errors; not where the
      provider refuses the request. Waits double from the first to the longest of `backoff` seconds, with jitter; a
      `Retry-After` of the provider is honoured, and one longer than the longest wait ends the request.
    - `timeout` is in seconds, for each attempt; the wait for a free place does not count. A synchronous attempt
      runs in a thread of its own, which is abandoned then and no longer counts as under way.
    - `budget` stops before it is exceeded: see `Budget`.
    - `prices` are `{model or pattern: (US dollars per million prompt tokens, … of answers)}`; models that are not
      listed cost what LiteLLM's table says, where LiteLLM is loaded.

    The client's `usage` has the totals. Threads that you start see the default client, because they begin with an
    empty context: use `with client:` in them too, or start them with `contextvars.copy_context().run`.

    Raises `ClientError` for what is no client, no route, or no sensible limit.

    >>> from alkahest import lm_client
    >>> with lm_client({"small": ("local", "local/upper")}, max_concurrency=4) as client:
    ...     client.complete([{"role": "user", "content": "hello"}], "small")
    'HELLO'
    >>> client.usage.calls
    1
    """
    return Client(
        client_or_routes,
        max_concurrency=max_concurrency,
        retries=retries,
        backoff=backoff,
        timeout=timeout,
        budget=budget,
        prices=prices,
    )


# Clients that were entered in this context, each with the one that was active before.
_entered: ContextVar[tuple[tuple[Client, Client], ...]] = ContextVar("alkahest_entered_clients", default=())
active_client: ContextVar[Client] = ContextVar("alkahest_active_client", default=Client())  # noqa: B039
