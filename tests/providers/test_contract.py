"""What everybody may rely on from any provider. Set OLLAMA_TEST_URL to hold a real server to it as well."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from quart_chat.entities import Parameters
from quart_chat.errors import DownloadError, ModelNotFoundError, ModelRefusedError
from quart_chat.providers.base import FinalChunk, Provider, Recommendation
from quart_chat.providers.demo import DemoProvider
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.providers.helpers import ask, pulled, question

REAL = os.environ.get("OLLAMA_TEST_URL", "")
PROVIDERS = ["demo", "fake", *(["real"] if REAL else [])]


@pytest.fixture(params=PROVIDERS)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "demo":
        yield DemoProvider(words_per_s=0)
        return
    async with FakeOllama() as fake:
        client = OllamaClient(REAL if request.param == "real" else fake.url)
        yield client
        await client.close()


async def model_of(provider: Provider) -> str:
    return next(model.name for model in await provider.list_models() if model.chats)


class TestContract:
    async def test_it_names_itself_its_version_and_its_slots(self, provider: Provider) -> None:
        assert provider.name
        assert await provider.version()
        assert provider.slots >= 1

    async def test_every_listed_model_can_be_described(self, provider: Provider) -> None:
        for model in await provider.list_models():
            info = await provider.get_model_info(model.name)
            assert (info.name, info.capabilities) == (model.name, model.capabilities)

    async def test_an_answer_is_chunks_and_one_final_chunk_last(self, provider: Provider) -> None:
        heard = await ask(provider, question("Hello, who are you?", model=await model_of(provider)))
        assert heard.content
        assert [isinstance(chunk, FinalChunk) for chunk in heard.chunks].count(True) == 1
        assert heard.reason == "stop"
        assert heard.final.statistics.output_tokens > 0
        assert heard.final.statistics.prompt_tokens > 0

    async def test_max_tokens_ends_an_answer_with_length(self, provider: Provider) -> None:
        short = question(model=await model_of(provider), parameters=Parameters(max_tokens=2))
        heard = await ask(provider, short)
        assert heard.reason == "length"
        assert heard.final.statistics.output_tokens == 2

    async def test_an_unknown_model_is_not_found(self, provider: Provider) -> None:
        name = "no-such-model-here"
        assert type((await ask(provider, question(model=name))).error) is ModelNotFoundError
        with pytest.raises(ModelNotFoundError):
            await provider.get_model_info(name)
        with pytest.raises(ModelNotFoundError):
            await provider.load_model(name)

    async def test_a_loaded_model_is_in_memory(self, provider: Provider) -> None:
        name = await model_of(provider)
        assert await provider.load_model(name) >= 0
        assert name in [model.name for model in await provider.running_models()]
        await provider.unload_model(name)

    async def test_an_answer_can_be_left_at_once_and_the_next_asked(self, provider: Provider) -> None:
        request = question("Tell me a longer story", model=await model_of(provider))
        for _ in range(3):
            stream = provider.generate_response(request)
            await anext(stream)
            async with asyncio.timeout(2):
                await stream.aclose()
        assert (await ask(provider, request)).content

    async def test_an_answer_that_is_cancelled_ends_cancelled(self, provider: Provider) -> None:
        request = question("Tell me a longer story", model=await model_of(provider))
        asking = asyncio.create_task(ask(provider, request))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking}, timeout=2)
        assert asking.cancelled()

    async def test_a_copy_and_what_is_created_are_models_until_they_are_deleted(self, provider: Provider) -> None:
        name, copy, created = await model_of(provider), "contract-copy:latest", "contract-created:latest"
        if provider.name == "demo":
            with pytest.raises(ModelRefusedError, match="demo needs no files"):
                await provider.copy_model(name, copy)
            return
        await provider.copy_model(name, copy)
        await provider.create_model(created, source=copy, system="Be brief.", parameters=Parameters(temperature=0.5))
        before = [model.name for model in await provider.list_models()]
        for made in (copy, created):
            await provider.delete_model(made)
        assert {copy, created} <= set(before)
        assert not {copy, created} & {model.name for model in await provider.list_models()}
        with pytest.raises(ModelNotFoundError):
            await provider.delete_model(copy)
        with pytest.raises(ModelNotFoundError):
            await provider.copy_model(copy, created)

    async def test_a_download_of_nothing_fails_in_words(self, provider: Provider) -> None:
        told = await pulled(provider, "no-such-model-here/none:at-all")
        assert type(told.error) in (ModelNotFoundError, ModelRefusedError, DownloadError)
        assert told.words.endswith(".")

    async def test_what_it_recommends_has_names(self, provider: Provider) -> None:
        for one in await provider.recommendations():
            assert isinstance(one, Recommendation)
            assert one.name

    async def test_closing_twice_is_fine(self, provider: Provider) -> None:
        await provider.close()
        await provider.close()
