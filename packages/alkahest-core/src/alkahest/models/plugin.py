"""LiteLLM, offered as any plugin offers an executor; the entry point `litellm` of core's metadata names it."""

from __future__ import annotations

from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import ExecutorInfo

ALKAHEST_API = 1


@hookimpl
def alkahest_executors() -> list[ExecutorInfo]:
    """Describe the executor `litellm`, which answers to every name that no other executor claims."""
    return [
        ExecutorInfo(
            name="litellm",
            factory="alkahest.models.litellm_executor:litellm_provider",
            models=("*",),
            description="the providers that LiteLLM reaches; keys come from their usual environment variables",
            install='pip install "./packages/alkahest-core[lm]"',
        )
    ]
