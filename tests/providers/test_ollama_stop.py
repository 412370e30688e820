"""Stopping really stops: the engine sees it, and nothing stays open."""

from __future__ import annotations

import asyncio

import pytest

from quart_chat.errors import EngineUnavailableError
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.ollama_http import SPARE
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.doubles.wire import Reply, Request, WireServer
from tests.providers.helpers import ask, question


class TestStopping:
    @pytest.mark.parametrize("how", ["aclose", "cancel"])
    async def test_in_the_middle_the_engine_sees_it_within_a_second(
        self, how: str, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.answer(Script(count=1000, rate=200))
        stream = client.generate_response(question())
        async with asyncio.timeout(1):
            await anext(stream)
            if how == "aclose":
                await stream.aclose()
            else:
                reading = asyncio.ensure_future(anext(stream))
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait({reading})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert (await ask(client)).content == HELLO

    @pytest.mark.parametrize("held_by", ["loading", "prompt"])
    async def test_before_the_answer_too(self, held_by: str, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.add_model("large", load_s=60 if held_by == "loading" else 0)
        fake_ollama.answer(Script(prompt_s=60))
        asking = asyncio.create_task(ask(client, question(model="large")))
        async with asyncio.timeout(1):
            await fake_ollama.until(lambda: len(fake_ollama.questions) == 1)
            asking.cancel()
            await asyncio.wait({asking})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert asking.cancelled()

    async def test_cancelling_again_while_it_closes_does_not_keep_the_connection(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        script = fake_ollama.answer(Script(hold_at=1))
        asking = asyncio.create_task(ask(client))
        async with asyncio.timeout(1):
            await script.held.wait()
            asking.cancel()
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)

    async def test_a_whole_answer_is_read_to_its_end_before_the_connection_is_closed(self) -> None:
        """A stream that is closed early can cost the model its slot."""

        async def handler(request: Request, reply: Reply) -> None:
            reply.stream()
            await reply.part(b'{"message":{"content":"Hi"},"done":true}\n')
            await asyncio.sleep(0.1)
            reply.end()

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            assert (await ask(client)).content == "Hi"
            await client.close()
            await server.until(lambda: not server.connections)
        assert server.aborted == []

    async def test_an_answer_that_was_read_out_leaves_its_connection_to_the_next(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url)
        for _ in range(3):
            assert (await ask(client)).reason == "stop"
        assert fake_ollama.accepted == 1
        await client.close()

    async def test_a_kept_connection_that_the_engine_has_closed_is_replaced(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url)
        for _ in range(2):
            assert (await ask(client)).reason == "stop"
            fake_ollama.drop_connections()
            await fake_ollama.until(lambda: not fake_ollama.connections)
        await client.close()

    async def test_leaving_in_any_moment_leaves_nothing_behind(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url, slots=4)
        fake_ollama.answer_always(Script(count=20))
        for steps in range(60):
            asking = asyncio.create_task(ask(client))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            if steps % 2:
                await asyncio.sleep(0)
                asking.cancel()
            await asyncio.wait({asking})
        assert (await ask(client)).reason == "stop"
        await fake_ollama.until(lambda: len(fake_ollama.connections) <= SPARE, within_s=1)
        await client.close()
        await fake_ollama.until(lambda: not fake_ollama.connections, within_s=1)
        assert fake_ollama.engine.active == 0

    async def test_a_failed_answer_closes_its_connection_though_its_error_is_kept(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.misbehave("huge_line")
        heard = await ask(client)
        assert heard.error is not None
        await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1, within_s=1)

    async def test_cancelling_a_load_aborts_it(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.add_model("large", load_s=60)
        loading = asyncio.create_task(client.load_model("large"))
        async with asyncio.timeout(1):
            await fake_ollama.until(lambda: len(fake_ollama.seen("/api/chat")) == 1)
            loading.cancel()
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert fake_ollama.engine.loads == 0

    async def test_after_close_everything_is_unavailable(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        await client.version()
        await client.close()
        await client.close()
        with pytest.raises(EngineUnavailableError):
            await client.version()
        assert type((await ask(client)).error) is EngineUnavailableError
