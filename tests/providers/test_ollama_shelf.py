"""What the client knows of the models, and how often it asks for it."""

from __future__ import annotations

import asyncio

import pytest

from quart_chat.errors import EngineUnavailableError, ModelNotFoundError
from quart_chat.model_entities import ModelInfo
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.wire import Reply, Request, WireServer


class TestWhatIsKept:
    async def test_a_model_is_described_once_per_digest(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        for _ in range(3):
            models = await client.list_models()
            await client.get_model_info("hello")
        assert [model.name for model in models] == ["hello:latest", "think:latest"]
        assert [model.thinks for model in models] == [False, True]
        assert len(fake_ollama.seen("/api/show")) == 2
        fake_ollama.add_model("hello", digest="f" * 64, capabilities=("completion", "vision"))
        assert "vision" in (await client.get_model_info("Hello")).capabilities
        assert len(fake_ollama.seen("/api/show")) == 3

    async def test_what_is_no_longer_installed_is_forgotten(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        await client.list_models()
        fake_ollama.remove_model("hello")
        await client.list_models()
        fake_ollama.add_model("hello")
        await client.list_models()
        assert len(fake_ollama.seen("/api/show")) == 3

    async def test_a_model_that_runs_elsewhere_is_listed_without_asking_for_more(self) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            reply.json({"models": [{"name": "big:cloud", "remote_host": "https://ollama.com"}]})

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            (model,) = await client.list_models()
            await client.close()
        assert model.remote
        assert len(server.requests) == 1

    async def test_a_failed_description_is_no_failed_list_and_is_tried_again(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.misbehave("500", times=2, path="/api/show")
        assert [model.thinks for model in await client.list_models()] == [False, False]
        assert [model.thinks for model in await client.list_models()] == [False, True]

    async def test_a_slow_description_keeps_nobody_from_seeing_the_list(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        await client.list_models()
        fake_ollama.add_model("new")
        fake_ollama.misbehave("hang_before_headers", path="/api/show")
        early: asyncio.Future[list[ModelInfo]] = asyncio.get_running_loop().create_future()
        listing = asyncio.create_task(client.list_models(early=early.set_result))
        async with asyncio.timeout(5):
            models = {model.name: model for model in await early}
        assert models.keys() == {"hello:latest", "think:latest", "new:latest"}
        assert models["think:latest"].thinks, "what is known of the others is there"
        assert not listing.done()
        listing.cancel()

    async def test_models_come_and_go(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.remove_model("hello")
        assert [model.name for model in await client.list_models()] == ["think:latest"]
        with pytest.raises(ModelNotFoundError):
            await client.get_model_info("hello")

    async def test_however_many_ask_what_is_in_memory_one_request_is_under_way(self) -> None:
        answer = asyncio.Event()

        async def handler(request: Request, reply: Reply) -> None:
            await answer.wait()
            reply.json({"models": []})

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            asking = [asyncio.create_task(client.running_models()) for _ in range(10)]
            await server.until(lambda: len(server.requests) == 1)
            asking[0].cancel()
            answer.set()
            assert await asyncio.gather(*asking[1:]) == [[]] * 9
            assert len(server.requests) == 1
            assert await client.running_models() == []
            assert len(server.requests) == 2
            await client.close()
        assert asking[0].cancelled()

    async def test_closing_while_somebody_asks_is_an_unavailable_engine(self) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            await asyncio.Event().wait()

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            asking = asyncio.create_task(client.running_models())
            await server.until(lambda: len(server.requests) == 1)
            await client.close()
            with pytest.raises(EngineUnavailableError):
                await asking
