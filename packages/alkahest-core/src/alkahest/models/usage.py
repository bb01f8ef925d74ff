"""What calls to models have used: totals, and by model."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alkahest.models.responses import Tokens


@dataclass(frozen=True)
class Usage:
    """Totals of a client, as they were when asked for.

    `calls` were sent to a provider, `retries` of them because an earlier attempt failed; `failures` are requests
    that were sent and failed for good. `prompt_tokens` and `completion_tokens` are what providers report, and
    `cost` is in US dollars. Nothing is guessed: `unreported` answers came without token counts, and `unpriced`
    ones were of a model whose price is not known; they add nothing to the totals. `by_model` has the same for
    each model, under the name it was asked by.

    >>> from alkahest import lm_client
    >>> with lm_client(prices={"local/*": (1.0, 2.0)}) as client:
    ...     text = client.complete([{"role": "user", "content": "Good morning"}], "local/echo")
    >>> client.usage.calls, client.usage.prompt_tokens, client.usage.completion_tokens
    (1, 3, 3)
    >>> client.usage.by_model["local/echo"].cost == (3 * 1.0 + 3 * 2.0) / 1e6
    True
    """

    calls: int = 0
    retries: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    unreported: int = 0
    unpriced: int = 0
    by_model: Mapping[str, Usage] = field(default_factory=dict[str, "Usage"])


class Meter:
    """Counts what a client uses; safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: dict[str, dict[str, Any]] = {}

    def sent(self, model: str, *, again: bool) -> None:
        """Count a call that goes out."""
        self._add(model, calls=1, retries=int(again))

    def failed(self, model: str) -> None:
        """Count a request that has failed for good."""
        self._add(model, failures=1)

    def answered(self, model: str, tokens: Tokens | None, cost: float | None) -> None:
        """Count what an answer used, as far as it is known."""
        if tokens is None:
            self._add(model, unreported=1)
        elif cost is None:
            self._add(model, prompt_tokens=tokens.prompt, completion_tokens=tokens.completion, unpriced=1)
        else:
            self._add(model, prompt_tokens=tokens.prompt, completion_tokens=tokens.completion, cost=cost)

    def usage(self) -> Usage:
        """Return the totals so far."""
        with self._lock:
            by_model = {model: Usage(**counts) for model, counts in self._counts.items()}
        total: dict[str, Any] = {}
        for used in by_model.values():
            for name, value in vars(used).items():
                if name != "by_model":
                    total[name] = total.get(name, 0) + value
        return Usage(**total, by_model=by_model)

    def _add(self, model: str, **amounts: Any) -> None:
        with self._lock:
            counts = self._counts.setdefault(model, {})
            for name, amount in amounts.items():
                counts[name] = counts.get(name, 0) + amount
