"""Which failures are worth another attempt, when it comes, and what is said when there is none left."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from alkahest.errors import AlkahestError, ModelTimeoutError, ProviderError
from alkahest.models.responses import entry

if TYPE_CHECKING:
    import tenacity

PASSING = frozenset({408, 409, 429})  # and every 5xx: what may be gone the next time
# Errors of httpx, requests and the openai package carry no status where no answer came. By name, because no
# provider's library may be imported to ask.
CONNECTION_ERRORS = frozenset({"APIConnectionError", "TransportError", "ConnectionError"})
TIMEOUTS = frozenset({"TimeoutException", "Timeout", "APITimeoutError"})
REMEDIES = {
    400: "The provider refuses the request itself: see the chained error for why.",
    401: "Check the key that the provider reads (an environment variable, or api_key=).",
    403: "Check what the key is allowed to do.",
    404: "Check the model's name and the address of the provider.",
    429: "Lower max_concurrency, or allow more retries or a longer backoff.",
}


def pause(seconds: float) -> None:
    """Wait before another attempt."""
    time.sleep(seconds)


async def apause(seconds: float) -> None:
    """Wait before another attempt, letting other tasks go on."""
    import asyncio

    await asyncio.sleep(seconds)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error tells of, or None."""
    for found in (entry(error, "status_code"), entry(entry(error, "response"), "status_code")):
        if isinstance(found, int):
            return found
    return None


def is_timeout(error: BaseException) -> bool:
    """Return whether the error says that no answer came in time."""
    named = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, TimeoutError) or status_of(error) == 408 or bool(TIMEOUTS & named)


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed the next time."""
    if not isinstance(error, Exception) or isinstance(error, AlkahestError):
        return False  # cancellation, Ctrl-C, and what Alkahest has judged already
    status = status_of(error)
    if status is not None:
        return status in PASSING or status >= 500
    named = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, ConnectionError) or is_timeout(error) or bool(CONNECTION_ERRORS & named)


def was_refused(error: BaseException) -> bool:
    """Return whether the provider, or Alkahest, answered with an error, so that nobody bills the attempt."""
    return not is_timeout(error) and (isinstance(error, AlkahestError) or status_of(error) is not None)


def retry_after(error: BaseException) -> float | None:
    """Return the seconds that the provider's `Retry-After` asks to wait (RFC 9110, 10.2.3), or None."""
    for headers in (entry(entry(error, "response"), "headers"), entry(error, "litellm_response_headers")):
        if not isinstance(headers, Mapping):
            continue
        for name, value in cast("Mapping[Any, Any]", headers).items():
            if str(name).lower() == "retry-after":
                return _seconds(str(value).strip())
    return None


def _seconds(text: str) -> float | None:
    if text.replace(".", "", 1).isdigit() and text.isascii():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without a zone is in UTC, as HTTP-dates are.
    stamp = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, stamp.timestamp() - time.time())


@dataclass(frozen=True)
class Patience:
    """How often a request is repeated, and after how long.

    The k-th wait is drawn between half of `first * 2**(k-1)` and the whole, at most `longest`; where the provider
    says `Retry-After`, it is that long and up to `first` longer, so that calls refused together do not come back
    together. A provider that asks for more than `longest` is not waited for.
    """

    retries: int
    first: float
    longest: float

    def again(self, error: BaseException) -> bool:
        """Return whether another attempt is worth making after this error."""
        return is_passing(error) and not self.asks_too_long(error)

    def asks_too_long(self, error: BaseException) -> bool:
        """Return whether the provider asks to wait longer than the longest wait."""
        return (retry_after(error) or 0.0) > self.longest

    def seconds(self, attempt: int, error: BaseException | None) -> float:
        """Return the wait after attempt number `attempt`, which failed with `error`."""
        asked = None if error is None else retry_after(error)
        if asked is not None:
            return asked + random.uniform(0.0, self.first)
        whole = min(self.first * 2.0 ** min(attempt - 1, 60), self.longest)
        return random.uniform(whole / 2, whole)

    def retrying(self) -> tenacity.Retrying:
        """Return tenacity's loop for one request."""
        import tenacity

        return tenacity.Retrying(sleep=_pause, **self._loop())

    def async_retrying(self) -> tenacity.AsyncRetrying:
        """Return tenacity's loop for one awaited request."""
        import tenacity

        return tenacity.AsyncRetrying(sleep=_apause, **self._loop())

    def _loop(self) -> dict[str, Any]:
        import tenacity

        return {
            "stop": tenacity.stop_after_attempt(self.retries + 1),
            "wait": self._wait,
            "retry": tenacity.retry_if_exception(self.again),
            "reraise": True,
        }

    def _wait(self, state: tenacity.RetryCallState) -> float:
        return self.seconds(state.attempt_number, state.outcome.exception() if state.outcome else None)


def _pause(seconds: float) -> None:
    pause(seconds)


async def _apause(seconds: float) -> None:
    await apause(seconds)


def final_error(
    error: Exception, model: str, attempts: int, patience: Patience, timeout: float | None
) -> ProviderError:
    """Return what the caller is told when a request has failed for good; the caller chains `error`."""
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    details = {"model": model, "attempts": attempts, "status": status_of(error)}
    if is_timeout(error):
        limit = "in time" if timeout is None else f"within {timeout:g} s"
        return ModelTimeoutError(
            f"model {model!r} did not answer {limit} ({times}).",
            remedy="Allow more time with timeout=, or more attempts with retries=.",
            **details,
        )
    message = f"model {model!r} failed after {times}: {_brief(error)}."
    if patience.asks_too_long(error):
        message += f" The provider asks to wait {retry_after(error):.0f} s."
        return ProviderError(message, remedy="Come back later, or allow longer waits with backoff=.", **details)
    return ProviderError(message, remedy=_remedy(error), **details)


def _brief(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    return text if len(text) <= 300 else text[:297] + "..."


def _remedy(error: Exception) -> str:
    status = status_of(error)
    if status is not None:
        by_kind = "It is the provider's fault: try again later, or allow more retries."
        return REMEDIES.get(status, by_kind if status >= 500 else REMEDIES[400])
    if is_passing(error):
        return "Check that the provider can be reached from here."
    return "The chained error comes from the provider's own code."
