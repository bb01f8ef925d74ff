"""Requests, the active client, and the limits that hold for threads, tasks and event loops together."""

import asyncio
import contextvars
import random
import threading

import pytest

from alkahest.errors import BudgetError, ClientError, ModelTimeoutError, ProviderError, UnknownModelError
from alkahest.models.budgets import Budget
from alkahest.models.client import Client, active_client, lm_client
from alkahest.models.local import local_model

HI = [{"role": "user", "content": "hi"}]


def together(count, function):
    """Run a function in that many threads and return what each returned or raised."""
    results = [None] * count

    def run(k):
        try:
            results[k] = function()
        except Exception as error:
            results[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


async def gathered(count, client, model="m"):
    return await asyncio.gather(*(client.acomplete(HI, model) for _ in range(count)), return_exceptions=True)


# -- what is sent and read


def test_only_messages_and_model_are_sent(counting, ask):
    provider = counting()
    assert ask(lm_client(provider)) == "fine"
    assert provider.requests == [{"messages": HI, "model": "m"}]


def test_a_response_format_is_passed_on(counting, ask):
    provider = counting()
    ask(lm_client(provider), response_format={"type": "json_object"})
    assert provider.requests[0]["response_format"] == {"type": "json_object"}


def test_a_time_out_is_sent_only_to_providers_that_take_one(counting, ask):
    provider = counting()
    ask(lm_client(provider, timeout=30))
    provider.accepts_timeout = True
    ask(lm_client(provider, timeout=30))
    assert [request.get("timeout") for request in provider.requests] == [None, 30.0]


def test_a_provider_may_change_the_messages_it_gets(ask):
    class Rude:
        def completion(self, messages, model):
            messages[0]["content"] = "changed"
            return {"choices": [{"message": {"content": "ok"}}]}

        async def acompletion(self, messages, model):
            return self.completion(messages, model)

    mine = [{"role": "user", "content": "mine"}]
    client = lm_client(Rude())
    client.complete(mine, "m")
    asyncio.run(client.acomplete(mine, "m"))
    assert mine == [{"role": "user", "content": "mine"}]


@pytest.mark.parametrize(
    "response", [None, {}, {"choices": []}, {"choices": [{"message": {"content": None}, "finish_reason": "length"}]}]
)
def test_a_response_without_text(response):
    class Odd:
        def completion(self, **request):
            return response

        acompletion = completion

    with pytest.raises(ProviderError, match="has no text") as caught:
        lm_client(Odd()).complete(HI, "m")
    assert ("'length'" in str(caught.value)) == bool(response and response["choices"])


def test_acompletion_must_be_awaitable():
    class Half:
        def completion(self, **request):
            return {}

        acompletion = completion

    with pytest.raises(ClientError, match="cannot be awaited"):
        asyncio.run(lm_client(Half()).acomplete(HI, "m"))


@pytest.mark.parametrize("messages", ["hi", {"role": "user"}, None, ["hi"]])
def test_messages_of_another_form(messages):
    with pytest.raises(ClientError, match="no list of dictionaries"):
        lm_client().complete(messages, "local/echo")


def test_a_model_must_be_named():
    with pytest.raises(ClientError, match="NoneType"):
        lm_client().complete(HI, None)


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"retries": -1},
        {"retries": 1.5},
        {"backoff": -1},
        {"backoff": (1, "x")},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"budget": 7},
        {"prices": {"m": 3}},
        {"prices": {"m": (1, -1)}},
        {"prices": {7: (1, 1)}},
    ],
)
def test_limits_that_make_no_sense(options):
    with pytest.raises(ClientError):
        lm_client(**options)


# -- the active client


def test_the_default_client_answers_where_none_is_active():
    default = active_client.get()
    assert isinstance(default, Client)
    assert default.complete(HI, "local/upper") == "HI"


def test_blocks_nest_and_one_client_may_be_entered_again():
    default = active_client.get()
    outer, inner = lm_client(), lm_client()
    with outer as entered:
        assert entered is outer is active_client.get()
        with inner, outer, inner:
            assert active_client.get() is inner
        assert active_client.get() is outer
    assert active_client.get() is default


def test_async_blocks():
    async def main():
        async with lm_client() as client:
            assert active_client.get() is client
            return await client.acomplete(HI, "local/upper")

    assert asyncio.run(main()) == "HI"


def test_tasks_do_not_see_each_others_clients():
    async def task(client):
        with client:
            await asyncio.sleep(0)
            return active_client.get() is client

    async def main():
        return await asyncio.gather(*(task(lm_client()) for _ in range(8)))

    assert all(asyncio.run(main()))


def test_threads_begin_with_the_default_client_and_may_enter_one():
    client = lm_client()
    default = active_client.get()

    def inside():
        with client:
            return active_client.get()

    with client:
        assert together(1, active_client.get) == [default]
        assert together(4, inside) == [client] * 4
        assert together(1, contextvars.copy_context().copy().get) != [default]
        context = contextvars.copy_context()
        assert together(1, lambda: context.run(active_client.get)) == [client]


def test_a_client_is_a_provider(counting, ask):
    provider = counting()
    outer = lm_client(provider, budget=Budget(calls=3))
    inner = lm_client(outer, budget=Budget(calls=2))
    assert ask(inner) == ask(inner) == "fine"
    with pytest.raises(BudgetError, match="2 calls"):
        ask(inner)
    assert ask(outer) == "fine"
    with pytest.raises(BudgetError, match="3 calls"):
        ask(outer)
    assert (inner.usage.calls, outer.usage.calls) == (2, 3)
    assert inner.usage.prompt_tokens == 6


# -- many at once


def test_one_hundred_requests_overlap(counting):
    provider = counting(gate=64)
    client = lm_client(provider)
    assert client.complete_many([(HI, "m")] * 100) == ["fine"] * 100
    assert provider.peak == 64


def test_one_hundred_awaited_requests_overlap(counting):
    provider = counting(gate=100)
    client = lm_client(provider)
    assert asyncio.run(gathered(100, client)) == ["fine"] * 100
    assert provider.peak == 100


def test_answers_keep_the_order_of_the_requests():
    requests = [([{"role": "user", "content": str(k)}], "local/echo") for k in range(200)]
    assert lm_client().complete_many(requests) == [str(k) for k in range(200)]


def test_threads_see_the_callers_context():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")
    with local_model("context", lambda messages: variable.get()):
        assert lm_client(timeout=30).complete_many([(HI, "local/context")] * 5) == ["mine"] * 5


def test_no_requests():
    assert lm_client().complete_many([]) == []


def test_a_failing_request_stops_those_to_come():
    asked = []

    def answer(messages):
        asked.append(messages[0]["content"])
        if asked[-1] == "bad":
            raise ValueError("bad luck")
        return asked[-1]

    requests = [([{"role": "user", "content": c}], "local/picky") for c in ("a", "bad", "c", "d")]
    with local_model("picky", answer):
        with pytest.raises(ProviderError, match="bad luck") as caught:
            lm_client(max_concurrency=1).complete_many(requests)
        assert asked == ["a", "bad"]
        assert caught.value.partial == {0: "a"}
        answers = lm_client(max_concurrency=2).complete_many(requests, return_exceptions=True)
    assert [answers[0], *answers[2:]] == ["a", "c", "d"]
    assert isinstance(answers[1], ProviderError)
    assert isinstance(answers[1].__cause__, ValueError)


def test_what_is_no_exception_is_not_put_into_a_list():
    def leave(messages):
        raise SystemExit(3)

    with local_model("leaving", leave), pytest.raises(SystemExit):
        lm_client().complete_many([(HI, "local/leaving")] * 3, return_exceptions=True)


# -- bounded concurrency


@pytest.mark.parametrize("bound", [1, 3])
def test_threads_respect_the_bound(counting, bound):
    provider = counting(latency=0.001)
    client = lm_client(provider, max_concurrency=bound)
    assert together(20, lambda: client.complete(HI, "m")) == ["fine"] * 20
    assert provider.peak == bound
    assert client.complete_many([(HI, "m")] * 20) == ["fine"] * 20
    assert provider.peak == bound


@pytest.mark.parametrize("bound", [1, 3])
def test_tasks_respect_the_bound_in_loop_after_loop(counting, bound):
    provider = counting(latency=0.001)
    client = lm_client(provider, max_concurrency=bound)
    for _ in range(3):
        assert asyncio.run(gathered(20, client)) == ["fine"] * 20
    assert provider.peak == bound


def test_threads_and_several_loops_share_one_bound(counting):
    provider = counting(latency=0.001)
    client = lm_client(provider, max_concurrency=4)

    def mixed():
        return [*asyncio.run(gathered(10, client)), client.complete(HI, "m")]

    assert together(6, mixed) == [["fine"] * 11] * 6
    assert provider.peak == 4


def test_a_waiting_task_does_not_block_its_loop(counting):
    provider = counting(gate=2)  # the only place is not left before a second call is under way: a thread's
    client = lm_client(provider, max_concurrency=1)
    ticks = []

    async def main():
        first = asyncio.create_task(client.acomplete(HI, "m"))
        second = asyncio.create_task(client.acomplete(HI, "m"))
        while len(ticks) < 20:
            await asyncio.sleep(0)
            ticks.append(second.done())
        provider.all_here.set()
        return await asyncio.gather(first, second)

    assert asyncio.run(main()) == ["fine", "fine"]
    assert provider.peak == 1


def test_a_cancelled_task_gives_its_place_back(counting):
    provider = counting(gate=99)
    client = lm_client(provider, max_concurrency=1)

    async def main():
        holds = asyncio.create_task(client.acomplete(HI, "m"))
        waits = asyncio.create_task(client.acomplete(HI, "m"))
        await asyncio.sleep(0.01)
        assert provider.under_way == 1
        waits.cancel()
        holds.cancel()
        assert [type(e) for e in await asyncio.gather(holds, waits, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2

    asyncio.run(main())
    assert len(provider.requests) == 1  # never repeated
    provider.all_here.set()
    assert client.complete(HI, "m") == "fine"


def test_a_task_cancelled_just_after_it_was_let_in(counting):
    provider = counting(gate=1)
    client = lm_client(provider, max_concurrency=1, budget=Budget(calls=2))

    async def main():
        loop = asyncio.get_running_loop()
        entry = client._admission.enter(client._amount(None))
        waits = asyncio.create_task(client.acomplete(HI, "m"))
        await asyncio.sleep(0)
        loop.call_soon(waits.cancel)  # before the loop tells the task that it may go
        with entry:
            pass
        with pytest.raises(asyncio.CancelledError):
            await waits

    asyncio.run(main())
    assert client.complete(HI, "m") == "fine"  # the place and the second call of the budget are there


def test_random_cancellation_loses_no_place_and_no_call(counting):
    provider = counting(latency=0.0005)
    client = lm_client(provider, max_concurrency=3, budget=Budget(calls=1000))

    async def main(draw):
        tasks = [asyncio.create_task(client.acomplete(HI, "m")) for _ in range(60)]
        for task in draw.sample(tasks, 40):
            await asyncio.sleep(draw.choice([0, 0, 0.0002]))
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    seeds = iter(range(4))
    outcomes = together(4, lambda: asyncio.run(main(random.Random(next(seeds)))))
    assert {type(r) for results in outcomes for r in results} == {str, asyncio.CancelledError}
    assert provider.peak == 3
    left = 1000 - len(provider.requests)
    provider.peak = provider.latency = 0
    results = client.complete_many([(HI, "m")] * (left + 9), return_exceptions=True)
    assert sum(isinstance(r, BudgetError) for r in results) == 9
    assert len(provider.requests) == 1000


def test_a_loop_that_is_closed_with_waiting_tasks_blocks_nobody(counting):
    client = lm_client(counting(), max_concurrency=1)
    loop = asyncio.new_event_loop()
    with client._admission.enter(client._amount(None)):
        waiting = client.acomplete(HI, "m")
        task = loop.create_task(waiting)
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
    try:
        assert client.complete(HI, "m") == "fine"
    finally:
        task._log_destroy_pending = False
        waiting.close()
    assert client.complete(HI, "m") == "fine"


def test_ctrl_c_gives_the_place_back_and_is_not_retried(counting, ask, waits):
    provider = counting(faults=[KeyboardInterrupt()])
    client = lm_client(provider, max_concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        ask(client)
    assert waits == []
    assert ask(client) == "fine"


def test_a_model_that_asks_models_does_not_wait_for_its_own_place(ask):
    client = lm_client(max_concurrency=1, budget=Budget(calls=2))
    inner = [{"role": "user", "content": "from within"}]
    with local_model("agent", lambda messages: client.complete(inner, "local/upper")):
        assert ask(client, model="local/agent") == "FROM WITHIN"
    with pytest.raises(BudgetError):
        ask(client, model="local/echo")


# -- time-outs


class Hanging:
    def __init__(self):
        self.calls = 0
        self.released = threading.Event()

    def completion(self, **request):
        self.calls += 1
        self.released.wait(60)

    async def acompletion(self, **request):
        self.calls += 1
        await asyncio.sleep(60)


def test_a_call_that_hangs_is_given_up(ask, waits):
    hanging = Hanging()
    client = lm_client(hanging, timeout=0.01, retries=2, max_concurrency=1)
    with pytest.raises(ModelTimeoutError, match=r"within 0\.01 s \(3 attempts\)") as caught:
        ask(client)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, ProviderError)
    hanging.released.set()
    assert (hanging.calls, len(waits)) == (3, 2)
    usage = client.usage
    assert (usage.calls, usage.retries, usage.failures) == (3, 2, 1)


def test_waiting_for_a_place_is_no_time_out(counting):
    provider = counting(gate=2)
    client = lm_client(provider, max_concurrency=1, timeout=20)

    async def main():
        tasks = [asyncio.create_task(client.acomplete(HI, "m")) for _ in range(2)]
        await asyncio.sleep(0.01)
        provider.all_here.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == ["fine", "fine"]


# -- usage


def test_usage_counts_by_model_and_in_total(counting, ask, waits):
    provider = counting(faults=[ConnectionError()])
    client = lm_client({"a": provider, "b": (provider, "c")}, prices={"a": (2.0, 4.0)})
    ask(client, model="a")
    ask(client, model="b")
    provider.usage = None
    ask(client, model="b")
    usage = client.usage
    assert (usage.calls, usage.retries, usage.failures) == (4, 1, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (6, 10)
    assert usage.cost == pytest.approx((3 * 2.0 + 5 * 4.0) / 1e6, rel=1e-15)
    assert (usage.unpriced, usage.unreported) == (1, 1)
    assert usage.by_model["a"].retries == 1
    assert (usage.by_model["b"].calls, usage.by_model["b"].unpriced) == (2, 1)


def test_what_was_never_sent_is_no_failure():
    client = lm_client(budget=Budget(calls=0))
    with pytest.raises(BudgetError):
        client.complete(HI, "local/echo")
    with pytest.raises(UnknownModelError):
        lm_client({"a": "local"}).complete(HI, "b")
    assert (client.usage.calls, client.usage.failures) == (0, 0)
