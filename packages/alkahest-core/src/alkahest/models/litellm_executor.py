"""LiteLLM as a provider: imported when it is first asked, kept quiet, and asked on an event loop of its own."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from alkahest.errors import ClientError, MissingPackageError, UnknownModelError

if TYPE_CHECKING:
    from concurrent.futures import Future

INSTALL = 'pip install "./packages/alkahest-core[lm]"'
COST_MAP = "LITELLM_LOCAL_MODEL_COST_MAP"
OURS = frozenset({"model", "messages", "timeout", "num_retries", "max_retries", "stream"})

_lock = threading.Lock()
_loaded: list[Any] = []
_loops: list[Any] = []


def litellm_provider(*, api_base: str | None = None, api_key: str | None = None, **options: Any) -> LiteLLM:
    """Return a provider that asks LiteLLM, for the routes of `lm_client`.

    `api_base` is the address of an OpenAI-compatible server of your own, with names such as "openai/llama3";
    `api_key` and further `options` (`temperature=`, `max_tokens=`, `extra_headers=`) go to `litellm.completion`.
    Without any of them, LiteLLM reads the environment variables of each provider (`OPENAI_API_KEY`, …).
    LiteLLM does not retry: `lm_client` does.

        here = litellm_provider(api_base="http://127.0.0.1:8000/v1", api_key="none")
        with lm_client({"qwen": (here, "openai/qwen3-8b")}):
            ...

    Raises `MissingPackageError` where LiteLLM is not installed, `ClientError` for options that `lm_client` sets.

    >>> from alkahest import litellm_provider
    >>> litellm_provider(num_retries=3)
    Traceback (most recent call last):
      ...
    alkahest.errors.ClientError: options of a provider cannot be num_retries. Set retries and timeout in ...
    """
    ours = sorted(OURS & set(options))
    if ours:
        raise ClientError(
            f"options of a provider cannot be {', '.join(ours)}.",
            remedy="Set retries and timeout in lm_client; requests or routes name the model.",
        )
    if "litellm" not in sys.modules and find_spec("litellm") is None:
        raise _missing()
    given = {"api_base": api_base, "api_key": api_key}
    return LiteLLM({**{k: v for k, v in given.items() if v is not None}, **options})


class LiteLLM:
    """A provider made by `litellm_provider`.

    LiteLLM keeps connections per event loop and loses track when a loop is closed and another one takes its
    address, as consecutive `asyncio.run` make it happen; its synchronous calls make event loops of their own and
    leave them open. So one loop, in a thread of its own, serves all callers, synchronous and asynchronous.
    """

    accepts_timeout = True

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def completion(self, **request: Any) -> Any:
        """Return LiteLLM's response."""
        future = self._submit(request)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def acompletion(self, **request: Any) -> Any:
        """Return LiteLLM's response; to cancel it ends the request."""
        import asyncio

        return await asyncio.wrap_future(self._submit(request))

    def price(self, model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return the US dollars that LiteLLM's table says for that many tokens, or None."""
        load()
        return listed_cost(model, prompt_tokens, completion_tokens)

    def _submit(self, request: dict[str, Any]) -> Future[Any]:
        import asyncio

        return asyncio.run_coroutine_threadsafe(self._ask(request), _loop())

    async def _ask(self, request: dict[str, Any]) -> Any:
        litellm = load()  # here, so that the caller's loop goes on while LiteLLM is imported
        try:
            return await litellm.acompletion(**self._arguments(request))
        except litellm.BadRequestError as error:
            _refuse_unknown(error, request["model"])
            raise

    def _arguments(self, request: dict[str, Any]) -> dict[str, Any]:
        # Both: the one is LiteLLM's own loop, the other that of the client library under it.
        return {**self._options, **request, "num_retries": 0, "max_retries": 0}


def load() -> Any:
    """Return the module litellm, imported without reaching the network and without its notices."""
    if _loaded:
        return _loaded[0]
    with _lock:
        if not _loaded:
            _loaded.append(_imported())
        return _loaded[0]


def _imported() -> Any:
    chosen = os.environ.get(COST_MAP)
    # Otherwise the import fetches the table of prices from the network.
    os.environ[COST_MAP] = "True" if chosen is None else chosen
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            litellm: Any = importlib.import_module("litellm")
            litellm.ModelResponse()  # its data classes are completed, with warnings, when the first is made
    except ModuleNotFoundError as error:
        raise _missing() from error
    finally:
        if chosen is None:
            del os.environ[COST_MAP]
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def listed_cost(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Return the US dollars that LiteLLM's table says for that many tokens, or None; LiteLLM has to be loaded."""
    try:
        costs = sys.modules["litellm"].cost_per_token(
            model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
    except Exception:  # for a model that the table lacks, of a class that differs between versions
        return None
    return float(sum(costs))


def _refuse_unknown(error: Exception, model: str) -> None:
    """Raise `UnknownModelError` for what LiteLLM calls a bad request: a name whose provider it does not know."""
    if "LLM Provider NOT provided" in str(error):
        raise UnknownModelError(
            f"LiteLLM knows no provider for the model name {model!r}.",
            remedy='Write the provider before it, as in "openai/gpt-4o"; the embedded models begin with "local/".',
            model=model,
        ) from error


def _missing() -> MissingPackageError:
    return MissingPackageError(
        "LiteLLM, which answers for all models but local/…, is not installed.",
        remedy=f"Install it from the source tree: {INSTALL}",
    )


def _loop() -> Any:
    """Return the running loop that all awaited calls share."""
    import asyncio
    import atexit

    with _lock:
        if not _loops:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="alkahest-litellm", daemon=True)
            thread.start()
            atexit.register(_finish, loop, thread, os.getpid())
            _loops.append(loop)
        return _loops[0]


def _serve(loop: Any) -> None:
    """Run the loop until it is stopped, then end its tasks: LiteLLM's own run forever."""
    import asyncio

    loop.run_forever()

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(end())
    loop.close()


def _finish(loop: Any, thread: threading.Thread, process: int) -> None:
    """Stop the loop when the process ends; a forked child has no such thread."""
    if os.getpid() == process and thread.is_alive():
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)


# The thread does not exist in a forked child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loops.clear)
