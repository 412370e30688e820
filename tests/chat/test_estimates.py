"""What was measured becomes an estimate."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from quart_chat.chat.estimates import Estimates
from quart_chat.entities import OWNER_ID
from quart_chat.model_entities import Job, JobKind, JobState, Measurements
from tests.chat.houses import MODEL, House
from tests.chat.test_turns import ticket
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


async def test_all_that_was_measured_before_is_known_and_told_at_the_start(house: House) -> None:
    await house.ended(await house.ask(await house.new_session()))
    told: list[Mapping[str, Measurements]] = []
    estimates = Estimates(house.storage, told.append)
    await estimates.start()
    assert told == [await house.storage.all_measurements()]
    assert list(told[0]) == [MODEL]
    assert estimates.known == told[0]


async def test_each_change_is_told_and_nothing_else(house: House) -> None:
    told: list[Mapping[str, Measurements]] = []
    estimates = Estimates(house.storage, told.append)
    await estimates.start()
    await estimates.refresh(MODEL)
    assert told == [{}], "nothing was measured"
    await house.ended(await house.ask(await house.new_session()))
    for _ in range(2):
        await estimates.refresh(MODEL)
    assert [list(known) for known in told] == [[], [MODEL]]
    await house.ended(await house.ask(await house.new_session()))
    await estimates.refresh(MODEL)
    assert [known[MODEL].count for known in told[1:]] == [1, 2], "what was told before does not change"


async def test_a_load_by_hand_is_the_estimate_for_the_next(house: House) -> None:
    load = Job(id="j", kind=JobKind.LOAD, model=MODEL, user_id=OWNER_ID, created_at=1_000, ended_at=3_500)
    await house.storage.save_job(replace(load, state=JobState.COMPLETE))
    estimates = house.services.estimates
    await estimates.refresh(MODEL)
    assert estimates.load_s(MODEL) == 2.5
    assert estimates.duration_s(ticket("a", MODEL)) is None
