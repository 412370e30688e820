"""What is set for a model holds for everybody who uses it: its context size, and how long it stays in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quart_chat.chat.contexts import CHOICES
from quart_chat.entities import OWNER_ID
from quart_chat.errors import InvalidInputError
from tests.chat.houses import MODEL, House, open_house
from tests.doubles.fake_ollama import FakeOllama


async def test_the_context_of_a_model_is_sent_with_every_request_to_it_and_survives_a_restart(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama) as house:
        session = await house.new_session()
        await house.chat.update_session(session.id, OWNER_ID, {"num_ctx": 2048})
        await house.ended(await house.ask(session))
    async with open_house(tmp_path, fake_ollama) as house:
        await house.ended(await house.ask(await house.new_session("HELLO")))
        size = house.services.contexts.size("hello")
        await house.services.library.begin_load("hello", by=OWNER_ID, num_ctx=size).result()
        assert [body["options"]["num_ctx"] for body in fake_ollama.questions] == [2048, 2048]
        assert fake_ollama.engine.loads == 1


async def test_how_long_a_model_stays_is_sent_with_every_question_to_it_and_survives_a_restart(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama) as house:
        await house.ended(await house.ask(await house.new_session()))
        await house.services.contexts.set_keep_alive("HELLO", "30m")
        await house.ended(await house.ask(await house.new_session()))
    async with open_house(tmp_path, fake_ollama) as house:
        contexts = house.services.contexts
        assert (contexts.keep_alive(MODEL), contexts.keep_alive("think:latest")) == ("30m", None)
        await house.ended(await house.ask(await house.new_session("hello")))
        for value in (-1, None):
            await contexts.set_keep_alive(MODEL, value)
            await house.ended(await house.ask(await house.new_session()))
    sent = [body.get("keep_alive", "not sent") for body in fake_ollama.questions]
    assert sent == ["not sent", "30m", "30m", -1, "not sent"]


@pytest.mark.parametrize("value", [*CHOICES, 0, "1h", "-1", "", "forever"])
async def test_only_the_offered_times_can_be_set(house: House, value: int | str | None) -> None:
    contexts = house.services.contexts
    await contexts.set_keep_alive(MODEL, "2h")
    if value in CHOICES:
        await contexts.set_keep_alive(MODEL, value)
        assert contexts.keep_alive(MODEL) == value
    else:
        with pytest.raises(InvalidInputError):
            await contexts.set_keep_alive(MODEL, value)
        assert contexts.keep_alive(MODEL) == "2h"


async def test_what_is_set_at_the_same_time_for_several_models_is_all_kept(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    names = [f"model-{number}" for number in range(10)]
    async with open_house(tmp_path, fake_ollama) as house:
        contexts = house.services.contexts
        await asyncio.gather(
            *(contexts.set(name, 1024) for name in names), *(contexts.set_keep_alive(name, -1) for name in names)
        )
    async with open_house(tmp_path, fake_ollama) as house:
        contexts = house.services.contexts
        assert [contexts.size(name) for name in names] == [1024] * 10
        assert [contexts.keep_alive(name) for name in names] == [-1] * 10
