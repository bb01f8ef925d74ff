"""Which failures are repeated, how long is waited, and what is said in the end."""

import asyncio
import pickle
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, formatdate
from types import SimpleNamespace

import pytest

from alkahest.errors import ModelTimeoutError, ProviderError, UnknownModelError
from alkahest.models import retrying
from alkahest.models.client import lm_client

HI = [{"role": "user", "content": "hi"}]


class StatusError(Exception):
    """What the clients of HTTP providers raise."""

    def __init__(self, status, **headers):
        super().__init__(f"status {status}")
        self.response = SimpleNamespace(status_code=status, headers=headers)


class APIConnectionError(Exception):
    """Of the name that the openai package gives it; it carries no status."""


PASSING = [
    *(StatusError(code) for code in (408, 409, 429, 500, 502, 503, 504, 529)),
    TimeoutError(),
    ConnectionResetError("reset"),
    APIConnectionError("no route"),
]
LASTING = [*(StatusError(code) for code in (400, 401, 403, 404, 422)), ValueError("a bug"), KeyError("choices")]


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_what_passes_is_repeated(counting, ask, waits, fault):
    provider = counting(faults=[fault, fault])
    assert ask(lm_client(provider)) == "fine"
    assert (len(provider.requests), len(waits)) == (3, 2)


@pytest.mark.parametrize("fault", LASTING, ids=repr)
def test_what_lasts_is_not_repeated(counting, ask, waits, fault):
    provider = counting(faults=[fault])
    with pytest.raises(ProviderError, match="after 1 attempt:") as caught:
        ask(lm_client(provider))
    assert caught.value.__cause__ is fault
    assert (len(provider.requests), waits) == (1, [])
    assert caught.value.remedy


def test_what_alkahest_raised_is_left_as_it_is(counting, ask, waits):
    error = UnknownModelError("no such model.", remedy="Ask for another.")
    provider = counting(faults=[error])
    with pytest.raises(UnknownModelError) as caught:
        ask(lm_client(provider))
    assert caught.value is error
    assert waits == []


def test_in_the_end_the_error_says_everything(counting, ask, waits):
    faults = [StatusError(500) for _ in range(5)]
    client = lm_client(counting(faults=list(faults)))
    with pytest.raises(ProviderError) as caught:
        ask(client, model="big")
    error = caught.value
    assert error.message == "model 'big' failed after 5 attempts: StatusError: status 500."
    assert error.__cause__ is faults[-1]
    assert error.details == {"model": "big", "attempts": 5, "status": 500}
    assert isinstance(error, RuntimeError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.details) == (str(error), error.details)
    assert (client.usage.calls, client.usage.retries, client.usage.failures) == (5, 4, 1)


def test_no_retries(counting, ask, waits):
    with pytest.raises(ModelTimeoutError, match=r"did not answer in time \(1 attempt\)"):
        ask(lm_client(counting(faults=[TimeoutError()]), retries=0))
    assert waits == []


def test_long_errors_are_cut(counting, ask):
    with pytest.raises(ProviderError) as caught:
        ask(lm_client(counting(faults=[ValueError("x" * 5000)])))
    assert len(caught.value.message) < 400


# -- waits


def test_waits_double_with_jitter_up_to_the_longest(counting, ask, waits):
    provider = counting(faults=[StatusError(503)] * 6)
    assert ask(lm_client(provider, retries=6, backoff=(1.0, 10.0))) == "fine"
    for waited, whole in zip(waits, [1, 2, 4, 8, 10, 10], strict=True):
        assert whole / 2 <= waited <= whole


def test_jitter_spreads_calls_that_fail_together():
    patience = retrying.Patience(retries=4, first=1.0, longest=60.0)
    drawn = {patience.seconds(3, StatusError(503)) for _ in range(50)}
    assert len(drawn) > 40


def test_very_many_retries_wait_no_longer(counting):
    patience = retrying.Patience(retries=10**6, first=1.0, longest=60.0)
    assert 30 <= patience.seconds(10**6, None) <= 60


def test_backoff_of_one_number(counting, ask, waits):
    ask(lm_client(counting(faults=[StatusError(503)]), backoff=4))
    assert 2 <= waits[0] <= 4


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_retry_after_in_seconds(counting, ask, waits, name):
    ask(lm_client(counting(faults=[StatusError(429, **{name: "17"})])))
    assert 17 <= waits[0] <= 17.5  # and at most the first wait of the backoff more


def test_retry_after_as_a_date(counting, ask, waits):
    date = formatdate(time.time() + 31, usegmt=True)
    ask(lm_client(counting(faults=[StatusError(503, **{"Retry-After": date})])))
    assert 28 < waits[0] < 32


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("²", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_of_every_form(text, seconds):
    assert retrying.retry_after(StatusError(429, **{"retry-after": text})) == seconds


def test_a_date_in_another_zone():
    zone = timezone(timedelta(hours=5))
    date = format_datetime(datetime.now(zone) + timedelta(seconds=100))
    assert 97 < retrying.retry_after(StatusError(429, **{"retry-after": date})) < 101


def test_headers_where_litellm_puts_them():
    error = StatusError(429)
    error.litellm_response_headers = {"Retry-After": "9"}
    assert retrying.retry_after(error) == 9.0


def test_a_provider_that_asks_for_too_long_is_not_waited_for(counting, ask, waits):
    provider = counting(faults=[StatusError(429, **{"Retry-After": "3600"})])
    with pytest.raises(ProviderError) as caught:
        ask(lm_client(provider))
    assert waits == []
    assert "asks to wait 3600 s" in caught.value.message
    assert "backoff" in caught.value.remedy


def test_the_place_is_free_while_a_call_waits_for_its_next_attempt(counting, monkeypatch):
    provider = counting(faults=[StatusError(503)])
    client = lm_client(provider, max_concurrency=1)
    others = []

    def pause(seconds):
        others.append(client.complete(HI, "m"))

    monkeypatch.setattr(retrying, "pause", pause)
    assert client.complete(HI, "m") == "fine"
    assert others == ["fine"]


def test_cancelling_while_waiting_for_the_next_attempt(counting):
    provider = counting(faults=[StatusError(503)])
    client = lm_client(provider, backoff=60)

    async def main():
        task = asyncio.create_task(client.acomplete(HI, "m"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(provider.requests) == 1


def test_pauses_wait(monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    retrying.pause(3.0)
    assert waited == [3.0]
    asyncio.run(retrying.apause(0.0))
