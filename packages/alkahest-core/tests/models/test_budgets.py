"""A budget stops before it is exceeded, however many calls run at once."""

import asyncio
import threading

import pytest

from alkahest.errors import BudgetError, ClientError, ProviderError
from alkahest.models.budgets import Budget
from alkahest.models.client import lm_client

HI = [{"role": "user", "content": "hi"}]
PRICES = {"m": (1e6, 1e6)}  # a dollar a token


def kinds(results):
    return {kind: sum(isinstance(r, kind) for r in results) for kind in (str, BudgetError)}


def test_calls_are_exact_in_threads(counting):
    provider = counting(latency=0.001)
    results = lm_client(provider, budget=Budget(calls=7)).complete_many([(HI, "m")] * 100, return_exceptions=True)
    assert kinds(results) == {str: 7, BudgetError: 93}
    assert len(provider.requests) == 7


@pytest.mark.parametrize("bound", [None, 1, 3, 50])
def test_calls_are_exact_in_tasks(counting, bound):
    provider = counting(latency=0.001)
    client = lm_client(provider, budget=Budget(calls=7), max_concurrency=bound)

    async def main():
        return await asyncio.gather(*(client.acomplete(HI, "m") for _ in range(100)), return_exceptions=True)

    assert kinds(asyncio.run(main())) == {str: 7, BudgetError: 93}
    assert len(provider.requests) == 7


def test_calls_are_exact_in_threads_and_loops_together(counting):
    provider = counting(latency=0.001)
    client = lm_client(provider, budget=Budget(calls=7), max_concurrency=3)
    results = []

    async def tasks():
        return await asyncio.gather(*(client.acomplete(HI, "m") for _ in range(20)), return_exceptions=True)

    def many():
        results.extend(client.complete_many([(HI, "m")] * 20, return_exceptions=True))

    def loop():
        results.extend(asyncio.run(tasks()))

    threads = [threading.Thread(target=target) for target in (many, loop, many, loop, loop)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds(results) == {str: 7, BudgetError: 93}
    assert len(provider.requests) == 7


def test_retries_count_as_calls(counting, ask, waits):
    provider = counting(faults=[ConnectionError("gone")] * 9)
    client = lm_client(provider, budget=Budget(calls=3))
    with pytest.raises(BudgetError) as caught:
        ask(client)
    assert len(provider.requests) == 3
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert client.usage.failures == 1


def test_tokens_are_never_exceeded_with_a_limit_of_answers(counting):
    provider = counting(usage=(10, 20), latency=0.001)
    # Set aside: 8 + 8 + 2 for the prompt, 20 for the answer; used: 30.
    client = lm_client(provider, budget=Budget(tokens=200, max_completion_tokens=20))
    results = client.complete_many([(HI, "m")] * 50, return_exceptions=True)
    # Six use 180; the seventh might use 38 more.
    assert kinds(results)[str] == len(provider.requests) == 6
    assert client.usage.prompt_tokens + client.usage.completion_tokens == 180
    message = next(r.message for r in results if isinstance(r, BudgetError))
    assert message == "the next call may use 38 tokens; 20 of 200 are left."


def test_calls_wait_for_what_calls_in_flight_will_not_use(counting):
    provider = counting(usage=(2, 1), latency=0.001)
    # 118 set aside each, 3 used: two fit beside each other, and all 20 after one another.
    client = lm_client(provider, budget=Budget(tokens=240, max_completion_tokens=100))

    async def main():
        return await asyncio.gather(*(client.acomplete(HI, "m") for _ in range(20)))

    assert asyncio.run(main()) == ["fine"] * 20
    assert client.complete_many([(HI, "m")] * 20) == ["fine"] * 20
    assert provider.peak == 2


def test_the_reserve_for_answers_is_learnt_by_model(counting, ask):
    client = lm_client(counting(usage=(4, 10)), budget=Budget(tokens=1060))
    ask(client)  # 18 for the prompt and 1024 for the answer are set aside; 14 are used
    ask(client)  # twice 10 are set aside for the answer
    with pytest.raises(BudgetError, match="may use 1042 tokens; 1032 of 1060 are left"):
        ask(client, model="other")
    assert ask(client) == "fine"


def test_money_is_never_exceeded(counting):
    provider = counting(usage=(10, 20), latency=0.001)
    client = lm_client(provider, budget=Budget(cost=200, max_completion_tokens=20), prices=PRICES)
    results = client.complete_many([(HI, "m")] * 50, return_exceptions=True)
    assert kinds(results)[str] == 6
    assert client.usage.cost == 180.0
    message = next(r.message for r in results if isinstance(r, BudgetError))
    assert message == "the next call may cost $38; $20 of $200 is left."


def test_rounding_does_not_refuse_the_last_call(counting):
    provider = counting(usage=(0, 1))
    budget = Budget(cost=1.0, max_completion_tokens=1)
    client = lm_client(provider, budget=budget, prices={"m": (0, 1e5)})  # 0.1 dollars a call
    assert client.complete_many([(HI, "m")] * 10) == ["fine"] * 10
    with pytest.raises(BudgetError):
        client.complete(HI, "m")


def test_money_for_a_model_without_a_price(counting, ask):
    provider = counting()
    with pytest.raises(BudgetError, match="the price of model 'm' is not known"):
        ask(lm_client(provider, budget=Budget(cost=1.0)))
    assert provider.requests == []


def test_the_embedded_model_costs_nothing(ask):
    client = lm_client(budget=Budget(cost=0.0))
    assert ask(client, "hi", "local/upper") == "HI"
    assert client.usage.unpriced == 0


class Refused(Exception):
    status_code = 400


@pytest.mark.parametrize(
    ("fault", "charged"), [(Refused("no"), 0), (ConnectionError("gone"), 38), (TimeoutError("late"), 38)]
)
def test_what_an_attempt_without_an_answer_is_charged(counting, ask, fault, charged):
    budget = Budget(tokens=60, max_completion_tokens=20)
    provider = counting(faults=[fault], usage=(10, 20))
    client = lm_client(provider, budget=budget, retries=0)
    with pytest.raises(ProviderError):
        ask(client)
    if charged:
        with pytest.raises(BudgetError, match="22 of 60 are left"):
            ask(client)
    else:
        assert ask(client) == "fine"


def test_a_cancelled_attempt_is_charged_whole(counting):
    provider = counting(gate=99)
    client = lm_client(provider, budget=Budget(tokens=60, max_completion_tokens=20))

    async def main():
        task = asyncio.create_task(client.acomplete(HI, "m"))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    with pytest.raises(BudgetError, match="22 of 60 are left"):
        client.complete(HI, "m")


def test_an_answer_without_usage_is_charged_what_was_set_aside(counting, ask):
    client = lm_client(counting(usage=None), budget=Budget(tokens=60, max_completion_tokens=20))
    ask(client)
    with pytest.raises(BudgetError, match="22 of 60 are left"):
        ask(client)


def test_a_provider_that_uses_more_than_was_set_aside_ends_the_budget(counting, ask):
    client = lm_client(counting(usage=(10, 500)), budget=Budget(tokens=60, max_completion_tokens=20))
    ask(client)
    with pytest.raises(BudgetError, match="0 of 60 are left"):
        ask(client)


@pytest.mark.parametrize(
    "limits", [{"calls": -1}, {"calls": 1.5}, {"calls": True}, {"tokens": "x"}, {"cost": -1}, {"cost": float("inf")}]
)
def test_budgets_that_make_no_sense(limits):
    with pytest.raises(ClientError):
        Budget(**limits)
