"""The embedded model answers the same to the same, and as scripted."""

import asyncio
import json
import re
import subprocess
import sys

import pytest

from alkahest.errors import ClientError, ProviderError, UnknownModelError
from alkahest.models.client import lm_client
from alkahest.models.local import LocalModels, local_model
from alkahest.models.prose import keywords, prose


def user(text):
    return [{"role": "user", "content": text}]


def test_echo_and_upper_answer_the_last_user_message(ask):
    messages = [
        *user("first"),
        {"role": "assistant", "content": "x"},
        *user("last"),
        {"role": "system", "content": "s"},
    ]
    assert lm_client().complete(messages, "local/echo") == "last"
    assert ask(lm_client(), "straße", "local/upper") == "STRASSE"


def test_messages_without_a_user_and_with_parts():
    client = lm_client()
    assert client.complete([{"role": "system", "content": "only"}], "local/echo") == "only"
    assert client.complete([], "local/echo") == ""
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "this"}]
    assert client.complete(user(parts), "local/echo") == "see\n\nthis"
    assert client.complete(user(None), "local/echo") == ""


def test_template_gives_sentences_about_the_message():
    text = prose("Explain why bright stars bend starlight on its way.")
    assert text == lm_client().complete(user("Explain why bright stars bend starlight on its way."), "local/template")
    assert re.fullmatch(r"[A-Z][^.:]*[.:].+\.", text)
    assert sum(word.lower() in text.lower() for word in ("Explain", "bright", "stars", "starlight")) >= 3
    texts = {prose(f"Tell me about subject number {word}") for word in ("tides", "comets", "quasars", "moons")}
    assert len(texts) == 4


def test_template_gives_advice_where_it_is_asked_for():
    advice = prose("Give concise feedback on this haiku about winter mornings.")
    assert re.match(r"(Say|Give|Put|State) ", advice)
    assert "feedback" not in advice


@pytest.mark.parametrize("text", ["", "?!", "the of and", "日本語のテキスト", "{0} {curly}", "a" * 10_000])
def test_template_never_fails(text):
    assert prose(text).strip()


def test_keywords_come_once_and_in_order():
    assert keywords("The cat saw the Cat and a dog's tail") == ["cat", "saw", "dog's", "tail"]


def test_the_same_answers_in_another_process():
    code = "from alkahest.models.prose import prose; print(prose('Compare tea and coffee in winter'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == prose("Compare tea and coffee in winter")


def test_the_executor_answers_only_to_its_prefix():
    for model in ("echo", "gpt-4", "local/nothing", "LOCAL/echo"):
        with pytest.raises(UnknownModelError, match="local/echo, local/upper, local/template") as caught:
            LocalModels().completion(messages=user("x"), model=model)
        assert caught.value.remedy


# -- scripts


AGENT = {
    r"Observation: (\d+)": lambda found: {"action": "finish", "input": found[1]},
    r"(?i)how (?:much|many)": {"action": "search", "input": "numbers"},
    r"^Name: (?P<name>\w+)$(?s:.*)polite": lambda found: f"Good day, {found['name']}.",
    "thanks": "You are welcome.",
}


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        (user("How many apples?"), '{"action": "search", "input": "numbers"}'),
        (user("How many apples?\nObservation: 12"), '{"action": "finish", "input": "12"}'),
        ([*user("How many?"), *user("Observation: 7")], '{"action": "finish", "input": "7"}'),
        (user("thanks"), "You are welcome."),
    ],
)
def test_answers_by_pattern(messages, answer):
    with local_model("agent", AGENT), lm_client() as client:
        assert client.complete(messages, "local/agent") == answer
        assert asyncio.run(client.acomplete(messages, "local/agent")) == answer


def test_patterns_look_over_lines():
    with local_model("m", {r"(?m)^Name: (\w+)$": lambda m: m[1]}), lm_client() as client:
        assert client.complete(user("Hello\nName: Ada\nBye"), "local/m") == "Ada"


def test_no_pattern_is_found(ask):
    with local_model("agent", AGENT), pytest.raises(ProviderError, match="no pattern of 'local/agent'"):
        ask(lm_client(), "nothing of that", "local/agent")


def test_answers_in_turn(ask):
    with local_model("turns", ["one", {"two": 2}]) as model:
        client = lm_client()
        assert ask(client, "x", "local/turns") == "one"
        assert json.loads(ask(client, "y", "local/turns")) == {"two": 2}
        with pytest.raises(ProviderError, match="all 2 answers"):
            ask(client, "z", "local/turns")
        assert [request[0]["content"] for request in model.requests] == ["x", "y", "z"]


def test_a_function_or_one_text(ask):
    with local_model("f", lambda messages: messages[-1]["content"][::-1]), local_model("t", "always"):
        assert ask(lm_client(), "abc", "local/f") == "cba"
        assert ask(lm_client(), "abc", "local/t") == "always"


def test_a_model_is_known_to_the_end_of_its_block():
    with local_model("passing", "outer") as outer:
        with local_model("local/passing", "inner"):
            assert lm_client().complete(user("x"), "local/passing") == "inner"
        assert lm_client().complete(user("x"), outer.name) == "outer"
    with pytest.raises(UnknownModelError):
        lm_client().complete(user("x"), "local/passing")


def test_models_removed_in_another_order():
    first, second = local_model("two", "first"), local_model("two", "second")
    first.remove()
    assert lm_client().complete(user("x"), "local/two") == "second"
    second.remove()
    second.remove()
    with pytest.raises(UnknownModelError):
        lm_client().complete(user("x"), "local/two")


def test_an_unknown_name_lists_those_made():
    with local_model("mine", "x"), pytest.raises(UnknownModelError, match="local/template, local/mine"):
        lm_client().complete(user("x"), "local/other")


def test_a_model_is_a_provider(ask):
    with local_model("any", "yes") as model:
        assert ask(lm_client(model), model="gpt-17") == "yes"


def test_latency_overlaps():
    """Were the waits not to overlap, 200 of 0.05 s would need 10 s; the test asks for the overlap itself."""
    begun = []
    with local_model("slow", lambda messages: begun.append(1) or "ok", latency=0.05):

        async def main():
            client = lm_client(max_concurrency=200)
            tasks = [asyncio.create_task(client.acomplete(user("x"), "local/slow")) for _ in range(200)]
            await asyncio.sleep(0)
            assert begun == []
            return await asyncio.gather(*tasks)

        assert asyncio.run(main()) == ["ok"] * 200


@pytest.mark.parametrize(
    ("name", "answers"), [("", "x"), ("echo", "x"), ("local/upper", "x"), ("m", 7), ("m", {"(": "x"}), ("m", {3: "x"})]
)
def test_scripts_that_are_none(name, answers):
    with pytest.raises(ClientError):
        local_model(name, answers)


def test_a_negative_latency():
    with pytest.raises(ClientError, match="negative"):
        local_model("m", "x", latency=-1)


def test_usage_is_reported():
    client = lm_client()
    client.complete(user("12345"), "local/echo")
    assert (client.usage.prompt_tokens, client.usage.completion_tokens, client.usage.cost) == (2, 2, 0.0)
