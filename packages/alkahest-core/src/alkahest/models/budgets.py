"""What may be spent at most, and what a call may come to before its answer is known."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from alkahest.errors import BudgetError, ClientError
from alkahest.models.responses import Tokens

FIRST_ANSWER = 1024  # tokens set aside for an answer while no answer of the model has been seen
PER_MESSAGE = 8  # tokens by which a provider frames a message: its role and separators
# Sums of prices are rounded: a budget of 1.0 pays for ten calls of 0.1.
ROUNDING = 1.0 + 1e-9


@dataclass(frozen=True)
class Budget:
    """What a client may use at most: calls, tokens (of prompts and answers together), US dollars.

    A call that might exceed the budget is not sent: it raises `BudgetError`. Before a call is sent, the most that
    it may come to is set aside, and settled by what the provider reports; calls in flight are counted with what
    is set aside for them, and where only that stands in the way, the call waits for them. Retries count as calls.

    - `calls` is exact, whatever runs at once.
    - `tokens` and `cost` are never exceeded where `max_completion_tokens` is given and your provider enforces it
      (nothing but messages, model and response_format is sent: the limit belongs into the provider's settings).
      A prompt is set aside as one token per UTF-8 byte, more than tokenizers that work on bytes make of it; images
      count by their JSON text, which may be too little.
    - Without `max_completion_tokens`, 1024 tokens are set aside for a model's first answer, later twice its longest
      so far. Then `tokens` and `cost` are exceeded at most by what answers in flight exceed that.
    - An attempt that ends without an answer (time-out, cancellation, a lost connection) is charged all that was
      set aside, since the provider may bill it; one refused with an HTTP status is charged no tokens.
    - `cost` needs a price for each model; a model without one raises `BudgetError`.

    >>> from alkahest import Budget, lm_client
    >>> with lm_client(budget=Budget(calls=1)) as client:
    ...     client.complete([{"role": "user", "content": "hello"}], "local/upper")
    ...     client.complete([{"role": "user", "content": "again"}], "local/upper")
    Traceback (most recent call last):
      ...
    alkahest.errors.BudgetError: the budget of 1 call is used up. Raise the budget. [E-LM-004]
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    max_completion_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "max_completion_tokens"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ClientError(
                    f"{name}={value!r} is no number of at least 0.",
                    remedy="Give a whole number, or None for no limit.",
                )
        cost = self.cost
        valid = isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost) and cost >= 0
        if cost is not None and not valid:
            raise ClientError(f"cost={cost!r} is no amount of money.", remedy="Give US dollars, or None for no limit.")


class Amount(NamedTuple):
    """Tokens and dollars."""

    tokens: int = 0
    cost: float = 0.0


class Ledger:
    """What of a budget is spent and set aside. Not safe by itself: `Admission` holds its lock around each use."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._calls = 0
        self._numbers = itertools.count()
        self._spent = Amount()
        self._held: dict[int, Amount] = {}  # by number of the call

    def fits(self, amount: Amount, *, beside_held: bool) -> bool:
        """Return whether a call of this amount fits, beside those in flight or beside what is spent alone."""
        return not self._excess(amount, beside_held)

    def require(self, amount: Amount, *, beside_held: bool = False) -> None:
        """Raise `BudgetError` where a call of this amount does not fit."""
        excess = self._excess(amount, beside_held)
        if excess:
            message, remedy = excess
            raise BudgetError(message, remedy=remedy)

    def hold(self, amount: Amount) -> int:
        """Count a call that goes out and set its amount aside; return the number to settle it by."""
        number = next(self._numbers)
        self._calls += 1
        self._held[number] = amount
        return number

    def undo(self, number: int) -> None:
        """Forget a call that did not go out."""
        self._calls -= 1
        del self._held[number]

    def settle(self, number: int, amount: Amount | None) -> None:
        """Replace what was set aside by what was spent, or charge it whole (None)."""
        held = self._held.pop(number)
        tokens, cost = held if amount is None else amount
        self._spent = Amount(self._spent.tokens + tokens, self._spent.cost + cost)

    def _excess(self, amount: Amount, beside_held: bool) -> tuple[str, str] | None:
        budget = self.budget
        if budget.calls is not None and self._calls >= budget.calls:
            calls = "1 call" if budget.calls == 1 else f"{budget.calls} calls"
            return f"the budget of {calls} is used up.", "Raise the budget."
        held = tuple(self._held.values()) if beside_held else ()
        remedy = "Raise the budget, or give Budget(max_completion_tokens=…) so that less is set aside for an answer."
        if budget.tokens is not None:
            left = budget.tokens - self._spent.tokens - sum(h.tokens for h in held)
            if amount.tokens > left:
                left = max(0, left)
                return f"the next call may use {amount.tokens} tokens; {left} of {budget.tokens} are left.", remedy
        if budget.cost is not None:
            left = budget.cost * ROUNDING - self._spent.cost - math.fsum(h.cost for h in held)
            if amount.cost > left:
                left = max(0.0, left)
                return f"the next call may cost ${amount.cost:.6g}; ${left:.6g} of ${budget.cost:g} is left.", remedy
        return None


class Estimates:
    """What a call may come to: an upper bound for its prompt, a reserve for its answer."""

    def __init__(self, budget: Budget) -> None:
        self._limit = budget.max_completion_tokens
        self._longest: dict[str, int] = {}

    def tokens(self, messages: Sequence[Mapping[str, Any]], model: str, response_format: Any) -> Tokens:
        """Return the most tokens that a request may come to."""
        prompt = PER_MESSAGE + sum(PER_MESSAGE + text_bound(message.get("content")) for message in messages)
        if response_format is not None:
            prompt += text_bound(response_format)
        return Tokens(prompt, self._answer(model))

    def seen(self, model: str, tokens: Tokens) -> None:
        """Learn from an answer how long those of the model are."""
        self._longest[model] = max(self._longest.get(model, 0), tokens.completion)

    def _answer(self, model: str) -> int:
        if self._limit is not None:
            return self._limit
        return 2 * self._longest[model] if model in self._longest else FIRST_ANSWER


def text_bound(content: Any) -> int:
    """Return a number of tokens that a text, or what is sent as JSON, does not exceed."""
    text = content if isinstance(content, str) else json.dumps(content, default=str)
    return len(text.encode("utf-8", "surrogatepass"))
