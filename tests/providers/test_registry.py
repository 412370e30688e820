"""Each model is answered for by one provider."""

from __future__ import annotations

import pytest

from quart_chat.errors import EngineUnavailableError, ModelNotFoundError
from quart_chat.providers.demo import DemoProvider
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.registry import Providers


def build(mode: str) -> tuple[Providers, OllamaClient, DemoProvider]:
    ollama, demo = OllamaClient("http://127.0.0.1:9"), DemoProvider()
    return Providers(ollama, demo, mode), ollama, demo  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_the_demo_answers_for_its_own_name_only(mode: str) -> None:
    providers, ollama, demo = build(mode)
    assert providers.for_model("demo") is demo
    assert providers.for_model("llama3.2") is ollama
    assert providers.for_model("") is ollama
    assert providers.primary is ollama
    assert providers.all() == (ollama, demo)


def test_a_demo_that_is_off_does_not_exist() -> None:
    providers, ollama, _ = build("off")
    with pytest.raises(ModelNotFoundError):
        providers.for_model("demo")
    assert providers.all() == (ollama,)
    assert providers.demo is None


async def test_closing_closes_the_engine() -> None:
    providers, ollama, _ = build("auto")
    await providers.close()
    with pytest.raises(EngineUnavailableError, match="closed"):
        await ollama.version()
