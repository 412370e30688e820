"""What was measured becomes an estimate, and one context belongs to a model for everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from quart_chat.chat.estimates import Estimates
from quart_chat.entities import OWNER_ID
from tests.chat.houses import MODEL, House, open_house
from tests.chat.test_turns import ticket
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script


async def test_nothing_is_estimated_before_something_was_measured(house: House) -> None:
    estimates = Estimates(house.storage)
    await estimates.prepare(MODEL)
    assert estimates.duration_s(ticket("a", MODEL)) is None
    assert estimates.load_s(MODEL) is None
    assert estimates.reading_s(MODEL, 100) is None


async def test_what_an_answer_took_is_the_estimate_for_the_next(house: House) -> None:
    model = house.fake.engine.models[MODEL]
    model.load_s = 0.2
    house.fake.answer(Script(count=20, rate=100, prompt_s=0.1, prompt_tokens=50))
    await house.ask(await house.new_session())
    await house.idle()
    estimates = house.services.estimates
    assert estimates.load_s(MODEL) == pytest.approx(0.2, abs=0.15)
    assert estimates.reading_s(MODEL, 50) == pytest.approx(0.1, abs=0.1)
    assert estimates.duration_s(ticket("a", MODEL)) == pytest.approx(0.5, abs=0.3)
    script = house.fake.answer(Script(hold_at=1))
    await house.ask(await house.new_session())
    await script.held.wait()
    await house.ask(await house.new_session())
    waiting = house.queue.entries()[1]
    assert waiting.eta_s is not None
    assert waiting.eta_s >= 0
    script.resume.set()
    await house.idle()


async def test_the_context_of_a_model_is_sent_with_every_request_to_it_and_survives_a_restart(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama) as house:
        session = await house.new_session()
        await house.chat.update_session(session.id, OWNER_ID, {"num_ctx": 2048})
        await house.ended(await house.ask(session))
    async with open_house(tmp_path, fake_ollama) as house:
        await house.ended(await house.ask(await house.new_session("HELLO")))
        await house.services.library.begin_load("hello", num_ctx=house.services.contexts.size("hello")).result()
        assert [body["options"]["num_ctx"] for body in fake_ollama.questions] == [2048, 2048]
        assert fake_ollama.engine.loads == 1
