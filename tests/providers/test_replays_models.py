"""What a real Ollama was recorded to say about its models and itself is understood as it was meant."""

from __future__ import annotations

import pytest

from quart_chat.errors import (
    EngineUnavailableError,
    ModelError,
    ModelNotFoundError,
)
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.ollama_errors import UnknownRequestError
from tests.doubles.recordings import Replay
from tests.providers.helpers import ask

HELLO = "Hello! I am a tiny model."


async def test_tags_are_completed_from_show() -> None:
    async with Replay("tags", "show-native-tools") as server:
        client = OllamaClient(server.url)
        models = {model.name: model for model in await client.list_models()}
        await client.close()
    assert len(models) == 14
    assert "tools" in models["native-tool:latest"].capabilities
    assert models["loop:latest"].size == 2_576_744
    assert models["loop:latest"].context_length == 8192
    assert all(model.digest and model.modified_at and model.family for model in models.values())


async def test_no_models_are_an_empty_list() -> None:
    async with Replay("tags-empty") as server:
        client = OllamaClient(server.url)
        assert await client.list_models() == []
        await client.close()


@pytest.mark.parametrize(
    ("name", "model", "capability"),
    [
        ("show-plain", "hello", "completion"),
        ("show-thinking", "think", "thinking"),
        ("show-tools", "tool", "tools"),
        ("show-embedding", "embed", "embedding"),
        ("show-native", "native", "completion"),
        ("show-native-tools", "native-tool", "tools"),
        ("show-native-thinking", "native-think", "thinking"),
    ],
)
async def test_show_tells_abilities_and_context(name: str, model: str, capability: str) -> None:
    async with Replay("tags", name) as server:
        client = OllamaClient(server.url)
        info = await client.get_model_info(model)
        await client.close()
    assert info.name == f"{model}:latest"
    assert capability in info.capabilities
    assert info.context_length == 8192
    assert info.chats is (capability != "embedding")
    assert info.thinks is (capability == "thinking")
    assert info.template


async def test_show_of_a_missing_model_is_not_found() -> None:
    async with Replay("tags-empty", "show-missing") as server:
        client = OllamaClient(server.url)
        with pytest.raises(ModelNotFoundError):
            await client.get_model_info("nope")
        await client.close()


async def test_ps_tells_what_is_in_memory() -> None:
    for name, count, forever in (
        ("ps-empty", 0, False),
        ("ps-loaded", 1, False),
        ("ps-keep-alive-forever", 1, True),
    ):
        async with Replay(name) as server:
            client = OllamaClient(server.url)
            loaded = await client.running_models()
            await client.close()
        assert len(loaded) == count
        for model in loaded:
            assert (model.name, model.size_vram, model.context_length) == ("hello:latest", 0, 4096)
            assert model.forever is forever


async def test_a_model_is_loaded_used_and_unloaded() -> None:
    async with Replay("load-unload-flow") as server:
        client = OllamaClient(server.url)
        assert await client.running_models() == []
        assert await client.load_model("hello", keep_alive=-1) >= 0
        assert (await client.running_models())[0].forever
        assert (await ask(client)).content == HELLO
        assert len(await client.running_models()) == 1
        await client.unload_model("hello")
        assert await client.running_models() == []
        await client.unload_model("hello")
        await client.close()
    assert [request.body.get("keep_alive") for request in server.seen_chats()] == [-1, None, 0, 0]


@pytest.mark.parametrize("name", ["load", "slow-load-preload"])
async def test_a_load_is_timed_by_ourselves(name: str) -> None:
    async with Replay(name, scale=0.05) as server:
        client = OllamaClient(server.url)
        assert 10 <= await client.load_model("hello") < 3000
        await client.close()


async def test_a_load_that_somebody_else_aborted_is_only_a_longer_wait() -> None:
    async with Replay("load-aborted", scale=0.05) as server:
        server.skip("POST", "/api/chat")
        client = OllamaClient(server.url)
        assert (await ask(client)).content == HELLO
        await client.close()


async def test_a_reload_with_another_context_is_an_answer_like_any() -> None:
    async with Replay("reload-num-ctx", scale=0.02) as server:
        client = OllamaClient(server.url)
        before = await client.running_models()
        assert (await ask(client)).content == HELLO
        await client.close()
    assert before[0].context_length == 4096


async def test_unload_is_understood() -> None:
    async with Replay("unload") as server:
        client = OllamaClient(server.url)
        await client.unload_model("hello")
        await client.close()


async def test_the_version_may_have_a_suffix() -> None:
    async with Replay("version") as server:
        client = OllamaClient(server.url)
        assert await client.version() == "0.33.0-rc2"
        await client.close()


@pytest.mark.parametrize("name", ["foreign-host", "foreign-origin"])
async def test_an_empty_403_says_that_our_address_was_refused(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        with pytest.raises(EngineUnavailableError, match="refused our request"):
            await client.list_models()
        await client.close()


@pytest.mark.parametrize("name", ["unknown-path", "wrong-method"])
async def test_a_404_or_405_in_plain_text_means_an_older_ollama(name: str) -> None:
    async with Replay(name) as server:
        server.same_for_all(name)
        client = OllamaClient(server.url)
        with pytest.raises(ModelError, match="older Ollama") as caught:
            await client.version()
        await client.close()
    assert type(caught.value) is UnknownRequestError
    assert not caught.value.retry
