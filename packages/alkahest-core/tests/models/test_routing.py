"""From a model's name to who answers."""

import re
import subprocess
import sys
import types

import pytest

from alkahest.errors import ClientError, MissingPackageError, UnknownModelError
from alkahest.models import litellm_executor, routing
from alkahest.models.client import lm_client
from alkahest.plugins import manager
from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import ExecutorInfo

HI = [{"role": "user", "content": "hi"}]


class Named:
    """A provider that answers with its own name and the model's."""

    def __init__(self, name="named"):
        self.name = name

    def completion(self, *, messages, model):
        return {"choices": [{"message": {"content": f"{self.name}:{model}"}}]}

    async def acompletion(self, *, messages, model):
        return self.completion(messages=messages, model=model)


def acme():
    """Return the provider of the plugin below."""
    return Named("acme")


@pytest.fixture
def plugin(monkeypatch):
    """Return `offer(*infos)`, which registers a plugin with these executors for one test."""
    modules = {"acme_models": types.SimpleNamespace(provider=acme)}
    monkeypatch.setitem(sys.modules, "acme_models", modules["acme_models"])

    def offer(*infos):
        module = types.ModuleType("plugin")
        module.ALKAHEST_API = 1
        module.alkahest_executors = hookimpl(lambda: list(infos))
        manager.plugins().register(module, "acme")

    yield offer
    manager.plugins().unregister("acme")


def info(*models, name="acme"):
    return ExecutorInfo(name=name, factory="acme_models:provider", models=models, description="for tests")


# -- routes


def test_the_first_route_that_matches_wins(ask):
    routes = {
        "exact": Named("one"),
        "gpt-*": Named("two"),
        re.compile(r"fast/(.+)"): (Named("three"), r"openai/\1"),
        "small": (Named("four"), "llama-3.2-1b"),
        "*": Named("rest"),
        "never": Named("never"),
    }
    client = lm_client(routes)
    answers = {
        "exact": "one:exact",
        "gpt-5": "two:gpt-5",
        "fast/mini": "three:openai/mini",
        "xfast/mini": "rest:xfast/mini",
        "small": "four:llama-3.2-1b",
        "never": "rest:never",
    }
    assert {model: ask(client, model=model) for model in answers} == answers


def test_a_name_with_characters_of_patterns_matches_itself():
    assert lm_client({"a[1]": Named()}).complete(HI, "a[1]") == "named:a[1]"


def test_patterns_heed_capitals():
    with pytest.raises(UnknownModelError):
        lm_client({"GPT-*": Named()}).complete(HI, "gpt-4")


def test_an_unknown_name_lists_the_routes(ask):
    with pytest.raises(UnknownModelError, match=r"'zzz' \(there are 'a', 'b-\*', 'c\.\+'\)") as caught:
        ask(lm_client({"a": Named(), "b-*": Named(), re.compile("c.+"): Named()}), model="zzz")
    assert isinstance(caught.value, LookupError)


def test_one_provider_gets_all_names(ask):
    assert ask(lm_client(Named()), model="local/echo") == "named:local/echo"


def test_an_executor_by_name(ask):
    assert ask(lm_client({"loud": ("local", "local/upper")}), "hi", "loud") == "HI"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (object(), "object has no completion and no acompletion"),
        (Named, None),
        (types.SimpleNamespace(completion=len), "has no acompletion"),
        (7, "int has no completion"),
        ("litellm", "str has no completion"),
        ({}, "empty"),
        ({"a": 3}, "int has no completion"),
        ({3: Named()}, "3 is no route"),
        ({"a": (Named(), 3)}, "no (provider, name)"),
        ({"a": (Named(),)}, "no (provider, name)"),
        ({"a": "nobody"}, "there is no executor 'nobody' (there are litellm, local)"),
    ],
)
def test_what_is_no_client(given, said):
    if said is None:
        assert lm_client(given)  # a class whose methods are functions: it cannot be told from a module
        return
    with pytest.raises(ClientError, match=re.escape(said)):
        lm_client(given)


def test_a_renaming_that_does_not_go_with_its_pattern():
    client = lm_client({re.compile("x"): (Named(), r"\3")})
    with pytest.raises(ClientError, match="does not go with its pattern"):
        client.complete(HI, "x")


# -- executors of plugins


def test_the_built_in_executors():
    assert {name: i.models for name, i in manager.executors().items()} == {"local": ("local/*",), "litellm": ("*",)}


def test_a_plugin_claims_a_prefix(plugin, ask):
    plugin(info("acme/*"))
    assert ask(lm_client(), model="acme/large") == "acme:acme/large"
    assert ask(lm_client({"x": "acme"}), model="x") == "acme:x"
    assert ask(lm_client(), "hi", "local/upper") == "HI"


def test_two_executors_that_claim_the_same(plugin):
    plugin(info("*"))
    with pytest.raises(ClientError, match="litellm and acme both claim") as caught:
        lm_client().complete(HI, "gpt")
    assert "lm_client" in caught.value.remedy
    assert lm_client({"*": "acme"}).complete(HI, "gpt") == "acme:gpt"


def test_names_that_nobody_claims(monkeypatch):
    monkeypatch.setenv("ALKAHEST_PLUGINS", "")
    manager.reset_plugins()
    try:
        with pytest.raises(UnknownModelError, match=r"'gpt' \(there are local for local/\*\)"):
            lm_client().complete(HI, "gpt")
        assert lm_client().complete(HI, "local/upper") == "HI"
    finally:
        manager.reset_plugins()


def test_without_litellm_the_error_says_how_to_install_it(monkeypatch, ask):
    monkeypatch.setattr(litellm_executor, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    routing._load.cache_clear()
    try:
        with pytest.raises(MissingPackageError) as caught:
            ask(lm_client(), model="openai/gpt-4o")
    finally:
        routing._load.cache_clear()
    assert caught.value.remedy.endswith('pip install "./packages/alkahest-core[lm]"')
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import alkahest.models.client, alkahest.models.local", "asyncio tenacity litellm httpx concurrent.futures"),
        ("from alkahest.models.client import lm_client; lm_client({'a': 'litellm'})", "tenacity litellm httpx"),
    ],
)
def test_nothing_heavy_is_imported_before_a_request(statement, absent):
    code = f"import sys; {statement}; print([m for m in {absent.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
