"""LiteLLM as a provider, against a real OpenAI-compatible server on the loopback address, with its faults."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest

from alkahest.errors import BudgetError, ClientError, ModelTimeoutError, ProviderError, UnknownModelError
from alkahest.models.budgets import Budget, text_bound
from alkahest.models.client import lm_client
from alkahest.models.litellm_executor import COST_MAP, litellm_provider, load

# Not importorskip: its import, unlike ours, would fetch the table of prices from the network.
if find_spec("litellm") is None:
    pytest.skip("LiteLLM is not installed: the extra `lm` brings it", allow_module_level=True)

HI = [{"role": "user", "content": "hi"}]


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, timeout=120, **options
    )


@pytest.fixture
def client(server):
    """Return `client(**limits)`, which sends the model "small" to the server."""

    def make(**limits):
        provider = litellm_provider(api_base=server.base, api_key="sk-test", temperature=0.5)
        return lm_client({"small": (provider, "openai/small-1")}, **limits)

    return make


def test_a_request_arrives_and_its_answer_and_usage_come_back(server, client, ask):
    asked = client()
    assert ask(asked, "hi", "small") == "hello"
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {"model": "small-1", "messages": HI, "temperature": 0.5}
    assert request.headers["authorization"] == "Bearer sk-test"
    usage = asked.usage
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.unpriced) == (1, 11, 7, 1)


def test_a_schema_is_sent_and_what_violates_it_comes_back_as_text(server, client, ask):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "r", "strict": True, "schema": schema}}
    server.content = '{"n": "no number"}'
    assert ask(client(), "hi", "small", response_format=form) == '{"n": "no number"}'
    assert server.requests[0].body["response_format"] == form


def test_429_with_retry_after(server, client, ask, waits):
    server.faults = [server.status(429, Retry_After="7")]
    assert ask(client(), model="small") == "hello"
    assert len(server.requests) == 2
    assert 7 <= waits[0] <= 7.5


@pytest.mark.parametrize("fault", ["500", "503", "truncated"])
def test_a_fault_that_passes(server, client, ask, waits, fault):
    server.faults = [server.truncated if fault == "truncated" else server.status(int(fault))] * 2
    asked = client()
    assert ask(asked, model="small") == "hello"
    assert (len(server.requests), asked.usage.retries) == (3, 2)


def test_500_for_good(server, client, ask, waits):
    server.faults = [server.status(500)] * 9
    with pytest.raises(ProviderError, match="'small' failed after 3 attempts: InternalServerError") as caught:
        ask(client(retries=2), model="small")
    assert len(server.requests) == 3  # nobody below retries as well
    assert "fault 500" in str(caught.value.__cause__)
    assert caught.value.details["status"] == 500


@pytest.mark.parametrize(("status", "remedy"), [(400, "refuses"), (401, "key"), (403, "key"), (404, "name")])
def test_what_the_server_refuses_is_not_repeated(server, client, ask, waits, status, remedy):
    server.faults = [server.status(status)]
    with pytest.raises(ProviderError) as caught:
        ask(client(), model="small")
    assert (len(server.requests), waits) == (1, [])
    assert caught.value.details["status"] == status
    assert remedy in caught.value.remedy


def test_a_server_that_hangs(server, client, ask, waits):
    server.faults = [server.hang]
    with pytest.raises(ModelTimeoutError, match=r"within 0\.2 s \(1 attempt\)"):
        ask(client(timeout=0.2, retries=0), model="small")


def test_the_next_attempt_may_be_in_time(server, client, ask, waits):
    server.faults = [server.hang]
    assert ask(client(timeout=2), model="small") == "hello"
    assert len(waits) == 1


def test_nobody_listens(ask, waits):
    provider = litellm_provider(api_base="http://127.0.0.1:9/v1", api_key="none")
    with pytest.raises(ProviderError, match="2 attempts"):
        ask(lm_client({"*": provider}, retries=1), model="openai/x")


def test_one_loop_after_the_other(server, client):
    asked = client()
    for _ in range(5):
        assert asyncio.run(asked.acomplete(HI, "small")) == "hello"


def test_tasks_of_two_loops_at_once(server, client):
    asked = client(max_concurrency=3)
    answers = []

    async def main():
        return await asyncio.gather(*(asked.acomplete(HI, "small") for _ in range(8)))

    threads = [threading.Thread(target=lambda: answers.extend(asyncio.run(main()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    answers.extend(asked.complete_many([(HI, "small")] * 8))
    for thread in threads:
        thread.join()
    assert answers == ["hello"] * 24


def test_cancelling_ends_the_request(server, client):
    server.faults = [server.hang]
    asked = client(max_concurrency=1)

    async def main():
        task = asyncio.create_task(asked.acomplete(HI, "small"))
        while not server.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asked.acomplete(HI, "small")

    assert asyncio.run(main()) == "hello"


ROUTER = """
import asyncio, sys
from alkahest.models.client import lm_client
from alkahest.models.litellm_executor import load
parameters = {"model": "openai/small-1", "api_base": sys.argv[1], "api_key": "sk-test"}
router = load().Router([{"model_name": "small", "litellm_params": parameters}], num_retries=0)
client = lm_client(router, backoff=0)
messages = [{"role": "user", "content": "hi"}]
print(client.complete(messages, "small"), asyncio.run(client.acomplete(messages, "small")), client.usage.calls)
"""


def test_a_router(server, tmp_path):
    # In a process of its own: LiteLLM's Router leaves event loops and tasks of LiteLLM's behind.
    server.faults = [server.status(500)]
    run = python("-c", ROUTER, server.base, cwd=tmp_path)
    assert run.stdout.split() == ["hello", "hello", "3"], run.stderr


def test_a_name_whose_provider_nobody_knows(ask):
    with pytest.raises(UnknownModelError, match="'nonsense'") as caught:
        ask(lm_client(), model="nonsense")
    assert "openai/" in caught.value.remedy


# -- prices


def test_prices_come_from_litellms_table(server, ask):
    provider = litellm_provider(api_base=server.base, api_key="sk-test")
    asked = lm_client({"gpt-4o": (provider, "openai/gpt-4o")})
    ask(asked, model="gpt-4o")
    prices = load().model_cost["gpt-4o"]
    expected = 11 * prices["input_cost_per_token"] + 7 * prices["output_cost_per_token"]
    assert asked.usage.cost == pytest.approx(expected, rel=1e-12)


def test_a_budget_of_money_by_litellms_table(server, ask):
    provider = litellm_provider(api_base=server.base, api_key="sk-test")
    asked = lm_client({"*": provider}, budget=Budget(cost=1e-9))
    with pytest.raises(BudgetError, match="may cost"):
        ask(asked, model="openai/gpt-4o")
    with pytest.raises(BudgetError, match="price of model 'openai/mine' is not known"):
        ask(asked, model="openai/mine")
    assert server.requests == []


@pytest.mark.parametrize("text", ["hello world", "naïve 日本語 🙂", "\n\n\t {}[]", "0123456789" * 9, "ƒ" * 50, ""])
def test_a_tokenizer_makes_no_more_of_a_text_than_is_set_aside(text):
    assert load().token_counter(model="gpt-4", text=text) <= text_bound(text)


# -- how it is loaded, and how it ends


def test_options_that_belong_to_the_client():
    with pytest.raises(ClientError, match="num_retries, timeout"):
        litellm_provider(timeout=3, num_retries=2)


QUIET = f"""
import os, socket, sys
def refuse(*arguments): raise AssertionError("the network was asked for")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from alkahest.models.litellm_executor import litellm_provider, load
litellm_provider(api_key="none")
assert "litellm" not in sys.modules
load()
assert "litellm" in sys.modules and {COST_MAP!r} not in os.environ
"""


def test_its_import_reaches_no_network_and_warns_of_nothing(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != COST_MAP}
    run = python("-W", "error", "-c", QUIET, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")


def test_what_the_user_chose_for_the_table_of_prices_stays(tmp_path):
    code = f"import os; from alkahest.models.litellm_executor import load; load(); print(os.environ[{COST_MAP!r}])"
    chosen = {**os.environ, COST_MAP: "true"}
    run = python("-c", code, cwd=tmp_path, env=chosen)
    assert run.stdout.strip() == "true"


def test_a_failing_call_prints_nothing(server, client, waits, capfd):
    server.faults = [server.status(500)] * 3
    with pytest.raises(ProviderError):
        client(retries=2).complete(HI, "small")
    assert capfd.readouterr().out == ""


def test_messages_of_several_roles_arrive_unchanged(server, client):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "ünïcode 日本 \U0001f642 \x00"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": json.dumps({"a": 1})},
    ]
    client().complete(messages, "small")
    assert server.requests[0].body["messages"] == messages


ENDING = """
import asyncio, sys
from alkahest.models.client import lm_client
from alkahest.models.litellm_executor import litellm_provider
client = lm_client({"*": litellm_provider(api_base=sys.argv[1], api_key="none")})
print(client.complete([{"role": "user", "content": "hi"}], "openai/small"))
for _ in range(2):
    print(asyncio.run(client.acomplete([{"role": "user", "content": "hi"}], "openai/small")))
"""


def test_a_process_that_used_it_ends_quietly(server, tmp_path):
    run = python("-c", ENDING, server.base, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "hello\n" * 3, "")
