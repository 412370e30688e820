"""Deleting, copying, creating and recommending, with an Ollama of today and with older ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quart_chat.entities import Parameters
from quart_chat.errors import EngineUnavailableError, ModelError, ModelLoadError, ModelNotFoundError, ModelRefusedError
from quart_chat.providers.base import Recommendation
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.wire import JSON, Reply, Request, WireServer

RECOMMENDED: list[dict[str, Any]] = [
    {"model": "qwen3:4b", "description": "Small", "context_length": 8192, "vram_bytes": 3_000_000_000},
    {"model": "kimi-k2.6:cloud", "description": "Large"},
    {"model": "gpt-oss:120b-cloud"},
]


async def names(client: OllamaClient) -> list[str]:
    return [model.name for model in await client.list_models()]


class TestFiles:
    async def test_a_copy_is_a_second_name_for_the_same(self, client: OllamaClient) -> None:
        await client.copy_model("think", "mine:v2")
        copy, original = await client.get_model_info("mine:v2"), await client.get_model_info("think")
        assert (copy.digest, copy.capabilities) == (original.digest, original.capabilities)

    async def test_a_copy_to_what_is_no_name_is_refused(self, client: OllamaClient) -> None:
        with pytest.raises(ModelRefusedError, match="not the name of a model"):
            await client.copy_model("hello", "not a name!")

    async def test_a_deleted_model_is_gone_from_the_list_but_not_from_memory(self, client: OllamaClient) -> None:
        await client.load_model("hello")
        await client.delete_model("hello")
        assert await names(client) == ["think:latest"]
        assert [model.name for model in await client.running_models()] == ["hello:latest"]
        with pytest.raises(ModelNotFoundError):
            await client.unload_model("hello")

    async def test_a_created_model_is_the_other_with_its_own_settings(self, client: OllamaClient) -> None:
        await client.create_model("mine", source="think", system="Be brief.", parameters=Parameters(temperature=0.5))
        info = await client.get_model_info("mine")
        assert info.thinks
        assert info.parameters.split() == ["temperature", "0.5"]

    async def test_creating_from_what_is_not_here_downloads_nothing(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.offer("elsewhere")
        with pytest.raises(ModelNotFoundError, match="elsewhere is not on this machine"):
            await client.create_model("mine", source="elsewhere", system="", parameters=Parameters())
        assert fake_ollama.seen("/api/create") == []

    async def test_a_name_is_needed(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        for doing in (client.delete_model(""), client.copy_model("hello", " ")):
            with pytest.raises(ModelRefusedError, match="Choose a model"):
                await doing
        assert fake_ollama.requests == []

    async def test_a_delete_that_nobody_waits_for_any_more_is_done_all_the_same(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        deleting = asyncio.create_task(client.delete_model("hello"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        deleting.cancel()
        await fake_ollama.until(lambda: len(fake_ollama.seen("/api/delete")) == 1)
        assert await names(client) == ["think:latest"]

    async def test_nobody_listening_is_told(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave("refused")
        for doing in (client.delete_model("hello"), client.copy_model("hello", "x"), client.recommendations()):
            with pytest.raises(EngineUnavailableError):
                await doing


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"status":"parsing GGUF"}\n{"error":"no space left on device"}\n', "disk of Ollama's machine is full"),
        (200, b'{"error":"unknown parameter"}', "mine could not be created. Ollama says: unknown parameter"),
        (500, b'{"error":"open /usr/share/ollama/.ollama/x: what"}', "mine could not be created."),
        (200, b'{"status":"parsing GGUF"}\n', "broke off before mine was created"),
        (200, b"<html>", "does not speak like Ollama"),
    ],
)
async def test_a_failed_create_says_why(status: int, body: bytes, words: str) -> None:
    async def handler(request: Request, reply: Reply) -> None:
        found = b'{"models":[{"name":"hello:latest","digest":"1"}]}' if request.path == "/api/tags" else b"{}"
        if request.path == "/api/create":
            reply.whole(status, JSON, body)
        else:
            reply.whole(200, JSON, found)

    async with WireServer(handler) as server:
        client = OllamaClient(server.url)
        with pytest.raises(ModelError) as caught:
            await client.create_model("mine", source="hello", system="", parameters=Parameters())
        await client.close()
    assert words in caught.value.message
    assert "share" not in caught.value.message


class TestRecommendations:
    async def test_tell_what_runs_elsewhere(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.files.recommended = RECOMMENDED
        small, *others = await client.recommendations()
        assert small == Recommendation(
            name="qwen3:4b", description="Small", context_length=8192, vram_bytes=3_000_000_000
        )
        assert [(one.name, one.remote) for one in others] == [("kimi-k2.6:cloud", True), ("gpt-oss:120b-cloud", True)]

    async def test_leave_out_what_ollama_may_not_reach(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.files.recommended = RECOMMENDED
        fake_ollama.files.cloud_disabled = True
        assert [one.name for one in await client.recommendations()] == ["qwen3:4b"]

    async def test_of_an_older_ollama_are_none(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.files.recommended = None
        assert await client.recommendations() == []

    @pytest.mark.parametrize("body", [b"{}", b'{"recommendations":null}', b'{"recommendations":[{"name":"?"}]}'])
    async def test_of_another_shape_are_none(self, body: bytes) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            reply.whole(200, JSON, body)

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            assert await client.recommendations() == []
            await client.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model requires more system memory (9 GiB) than is available (4 GiB)", "not enough memory for hello"),
        (
            "llama-server process has terminated: error loading model: unable to allocate CUDA0 buffer",
            "not enough memory for hello",
        ),
        ("llama-server process has terminated: signal: killed", "memory ran out"),
        (
            "unable to load model: /usr/share/ollama/.ollama/models/blobs/sha256-38",
            "damaged or does not fit this Ollama",
        ),
        ("llama-server process has terminated: exit status 1", "hello crashed"),
        ("model runner has unexpectedly stopped, this may be due to resource limitations", "hello crashed"),
        ("timed out waiting for llama-server to start - progress 0.00", "took too long to load"),
    ],
)
async def test_a_load_or_unload_that_fails_has_words(text: str, words: str) -> None:
    async def handler(request: Request, reply: Reply) -> None:
        reply.json({"error": text}, 500)

    async with WireServer(handler) as server:
        client = OllamaClient(server.url)
        for doing in (client.load_model("hello"), client.unload_model("hello")):
            with pytest.raises(ModelLoadError) as caught:
                await doing
            assert words in caught.value.message
            assert "share" not in caught.value.message
        await client.close()
