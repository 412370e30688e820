"""A slow engine is waited for, a dead slot is freed once, and no wait is without end."""

from __future__ import annotations

import asyncio

import pytest

from quart_chat.errors import (
    ModelTimeoutError,
)
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.providers.helpers import ask, question


async def test_a_dead_slot_is_freed_and_the_answer_still_comes(fake_ollama: FakeOllama, client: OllamaClient) -> None:
    fake_ollama.misbehave("slot_leak")
    async with asyncio.timeout(3):
        heard = await ask(client)
    assert heard.notices == ["restarted"]
    assert heard.content == HELLO
    assert heard.reason == "stop"
    assert fake_ollama.engine.unloads == 1


async def test_a_slot_that_stays_dead_is_a_timeout_after_one_attempt(
    fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    fake_ollama.misbehave("slot_leak", times=5)
    async with asyncio.timeout(3):
        heard = await ask(client)
    assert heard.notices == ["restarted"]
    assert type(heard.error) is ModelTimeoutError
    assert fake_ollama.engine.unloads == 1
    assert len(fake_ollama.questions) == 2


async def test_a_model_that_is_busy_with_our_own_answer_is_not_taken_for_dead(
    fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    first = fake_ollama.answer(Script(hold_at=1))
    patient = OllamaClient(fake_ollama.url, timeout_s=5, stuck_after_s=0.05)
    one = asyncio.create_task(ask(patient))
    async with asyncio.timeout(4):
        await first.held.wait()
        two = asyncio.create_task(ask(patient))
        polls = len(fake_ollama.seen("/api/ps"))
        await fake_ollama.until(lambda: len(fake_ollama.seen("/api/ps")) >= polls + 30)
        first.resume.set()
        assert (await one).content == (await two).content == HELLO
    assert fake_ollama.engine.unloads == 0
    await patient.close()


async def test_a_model_that_is_only_loading_is_not_taken_for_dead(
    fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    fake_ollama.add_model("large", load_s=0.7)
    heard = await ask(client, question(model="large"))
    assert heard.content == HELLO
    assert heard.notices == []
    assert heard.final.statistics.load_ms >= 700


async def test_an_answer_is_not_held_up_by_asking_what_is_in_memory(
    fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    fake_ollama.misbehave("hang_before_headers", times=100, path="/api/ps")
    fake_ollama.answer(Script(prompt_s=0.3))
    async with asyncio.timeout(2):
        assert (await ask(client)).content == HELLO
    assert fake_ollama.seen("/api/ps")


async def test_a_load_without_end_is_a_timeout(fake_ollama: FakeOllama) -> None:
    fake_ollama.add_model("endless", load_s=60)
    client = OllamaClient(fake_ollama.url, timeout_s=0.2, stuck_after_s=0.1)
    async with asyncio.timeout(2):
        heard = await ask(client, question(model="endless"))
        with pytest.raises(ModelTimeoutError):
            await client.load_model("endless")
    assert type(heard.error) is ModelTimeoutError
    assert fake_ollama.engine.unloads == 0
    await client.close()


async def test_a_long_prompt_gets_the_time_it_needs(fake_ollama: FakeOllama) -> None:
    """0.6 s is all that a short message gets here."""
    client = OllamaClient(fake_ollama.url, timeout_s=5, stuck_after_s=0.2)
    fake_ollama.answer(Script(prompt_s=0.85))
    heard = await ask(client, question("word " * 32))
    assert heard.notices == []
    assert heard.content == HELLO
    await client.close()
