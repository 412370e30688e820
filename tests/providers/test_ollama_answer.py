"""Thinking, asking again, and prompts that were silently cut."""

from __future__ import annotations

import asyncio

import pytest

from quart_chat.entities import Parameters
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.providers.helpers import ask, question


class TestThinking:
    async def test_it_is_asked_for_only_where_the_model_can(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.answer(Script(thinking=["hm", "m"]))
        heard = await ask(client, question(model="THINK", think=True))
        await ask(client, question(model="hello", think=True))
        await ask(client, question(model="think", think=None))
        await ask(client, question(model="think", think=False))
        assert [body["think"] for body in fake_ollama.questions] == [True, False, False, False]
        assert (heard.thinking, heard.content) == ("hmm", HELLO)

    async def test_unknown_abilities_mean_no_thinking(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave("500", path="/api/show")
        assert (await ask(client, question(model="think", think=True))).content == HELLO
        assert fake_ollama.questions[0]["think"] is False

    async def test_a_model_that_lost_the_ability_is_asked_again_without(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        await client.list_models()
        fake_ollama.add_model("think")
        fake_ollama.answer_always("<think>well</think>Yes")
        heard = await ask(client, question(model="think", think=True))
        assert [body["think"] for body in fake_ollama.questions] == [True, False]
        assert (heard.thinking, heard.content) == ("well", "Yes")


class TestAskingAgain:
    async def test_a_busy_engine_is_asked_until_it_takes_it(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.misbehave("503", times=3)
        assert (await ask(client)).content == HELLO
        assert len(fake_ollama.questions) == 4

    async def test_an_engine_that_comes_back_in_time_is_not_noticed(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url, retries=6, backoff_s=0.05)
        fake_ollama.misbehave("refused")
        asking = asyncio.create_task(ask(client))
        await asyncio.wait({asking}, timeout=0.1)
        await fake_ollama.listen()
        assert (await asking).content == HELLO
        await client.close()

    async def test_not_more_often_than_allowed(self, fake_ollama: FakeOllama) -> None:
        for retries in (0, 2):
            client = OllamaClient(fake_ollama.url, retries=retries, backoff_s=0.01)
            fake_ollama.requests.clear()
            fake_ollama.misbehave("503", times=10)
            assert (await ask(client)).error is not None
            assert len(fake_ollama.questions) == retries + 1
            fake_ollama.behave()
            await client.close()

    @pytest.mark.parametrize("mode", ["404", "500", "cut_mid_line", "cut_without_done", "in_band_error", "empty"])
    async def test_anything_else_is_asked_once(self, mode: str, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave(mode)
        assert (await ask(client)).error is not None
        assert len(fake_ollama.questions) == 1


class TestSilentTruncation:
    LONG = "All work and no play makes a dull model. " * 800

    async def test_a_prompt_that_was_mostly_dropped_is_noticed(
        self, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        fake_ollama.answer(Script(prompt_tokens=2051))
        heard = await ask(client, question(self.LONG))
        assert heard.notices == ["truncated"]
        assert heard.reason == "stop"

    async def test_a_prompt_that_was_read_whole_is_not(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.answer(Script(prompt_tokens=8300))
        assert (await ask(client, question(self.LONG))).notices == []
        fake_ollama.answer(Script(prompt_tokens=5000))
        parameters = Parameters(num_ctx=16_384)
        assert (await ask(client, question(self.LONG, parameters=parameters))).notices == []

    async def test_white_space_is_not_taken_for_lost_text(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.answer(Script(prompt_tokens=300))
        assert (await ask(client, question("x" + " " * 40_000 + "y"))).notices == []
